//! Whole services, each a document in `examples/` against a stand-in of its documented shape.

mod hubspot;
mod quickbooks;
mod shopify;
mod zendesk;

use bothways_mapping::{Project, Severity, SourceFile};

/// The document of the connector, which is the first.
fn connector(documents: &str) -> &str {
    documents.split_once("---").map_or(documents, |(connector, _)| connector)
}

/// All documents of an example, which fit on a page and have nothing wrong about them.
fn project(documents: &str) -> Project {
    assert!(documents.lines().count() < 70, "an example fits on a page");
    let loaded = bothways_mapping::load(&[SourceFile::new("example.yaml", documents)], &[]);
    let wrong: Vec<_> = loaded.findings.iter().filter(|f| f.severity != Severity::Note).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    loaded.project.expect("nothing is wrong")
}
