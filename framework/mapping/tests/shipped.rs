//! The shipped documents, as a user would load them.

use bothways_mapping::{Severity, SourceFile, cases, laws, load};

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile::new(name, text)
}

#[test]
fn the_shipped_documents_load_without_errors_or_warnings() {
    let builtin = [file("stripe", include_str!("../../../connectors/stripe/connector.yaml"))];
    let files = [
        file("customers.yaml", include_str!("../../../mappings/customers.yaml")),
        file("stripe-customers.yaml", include_str!("../../../mappings/stripe-customers.yaml")),
    ];
    let loaded = load(&files, &builtin);
    let serious: Vec<_> = loaded.findings.iter().filter(|f| f.severity != Severity::Note).collect();
    assert!(serious.is_empty(), "{serious:#?}");
    let project = loaded.project.expect("a project");
    let mapping = project.mapping("stripe-customers").expect("the mapping");
    assert_eq!(mapping.remote_fields(), ["email", "name", "phone", "metadata"]);
    let can = mapping.capabilities();
    assert!(can.idempotency.is_some() && can.recover && can.webhook && can.feed && can.irreversible_delete);
    assert_eq!((mapping.sync.poll, mapping.sync.feed.map(|d| d.as_secs())), (None, Some(10)));
    assert_eq!(mapping.said_at("/sync/feed").to_string(), "stripe-customers.yaml:18:15");

    for field in &mapping.fields {
        let broken = laws::check_field(field, 1000, 1);
        assert!(broken.is_none(), "{broken:?}");
    }
    let shipped = file("cases", include_str!("../../../mappings/cases/stripe-customers.yaml"));
    let report = cases::run(mapping, &shipped);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!(report.passed.len(), 5);
}
