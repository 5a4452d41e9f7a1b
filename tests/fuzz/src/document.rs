//! YAML documents as a person, or somebody who sends a pull request, may write them. Either there is a project or there are errors;
//! every finding is at a place that exists and can be shown; nothing that looks like a secret is shown.

use super::text;
use bothways_diagnose::{Style, findings_to_json, render};
use bothways_mapping::{Severity, SourceFile, redact, yaml};
use std::sync::Arc;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let file = SourceFile::new("input.yaml", text);
    let builtin =
        [SourceFile::new(bothways_connector_stripe::DOCUMENT_NAME, bothways_connector_stripe::DOCUMENT)];
    let loaded = bothways_mapping::load(std::slice::from_ref(&file), &builtin);
    assert_eq!(loaded.project.is_none(), loaded.has_errors(), "{:#?}", loaded.findings);
    for finding in loaded.findings.iter().filter(|finding| &*finding.file == "input.yaml") {
        let span = finding.span;
        assert!(span.start <= span.end && span.end <= text.len(), "{finding:?}");
        assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{finding:?}");
        assert!(span.line >= 1 && span.col >= 1, "{finding:?}");
        assert!(!finding.message.is_empty());
        let _: Severity = finding.severity;
    }
    let shown = render(&loaded.findings, &|name| (name == "input.yaml").then_some(text), Style::Plain);
    assert!(shown.len() >= loaded.findings.len());
    let as_json = findings_to_json(&loaded.findings);
    assert!(serde_json::to_string(&as_json).is_ok());
    let redacted = redact(text);
    assert_eq!(redacted.len(), text.len(), "redacting moved places");
    assert_eq!(redact(&redacted), redacted, "redacting twice shows another text");

    let (documents, findings) = yaml::parse(&Arc::from("input.yaml"), text);
    let (again, _) = yaml::parse(&Arc::from("input.yaml"), text);
    assert_eq!(documents, again);
    assert!(text.len() <= yaml::MAX_BYTES || !findings.is_empty());

    // What is sound must stay usable: its connectors can be bound, with any value for their variables.
    for connector in loaded.project.iter().flat_map(|project| project.connectors.values()) {
        if let Ok(resolved) = connector.resolve(&"fuzz".into(), &|_| Some("https://x.example".into())) {
            drop(bothways_connector_rest::RestConnector::new(
                resolved,
                bothways_connector_rest::Vendor::default(),
            ));
        }
    }
}
