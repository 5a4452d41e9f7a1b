//! The shipped documents, as a user would load them.

use bothways_mapping::{Severity, SourceFile, cases, laws, load};

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile::new(name, text)
}

#[test]
fn the_shipped_documents_load_without_errors_or_warnings() {
    let builtin = [
        file("salesforce", include_str!("../../../connectors/salesforce/connector.yaml")),
        file("stripe", include_str!("../../../connectors/stripe/connector.yaml")),
    ];
    let files = [
        file("accounts.yaml", include_str!("../../../mappings/accounts.yaml")),
        file("customers.yaml", include_str!("../../../mappings/customers.yaml")),
        file("salesforce-accounts.yaml", include_str!("../../../mappings/salesforce-accounts.yaml")),
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

    let accounts = project.mapping("salesforce-accounts").expect("the mapping");
    let can = accounts.capabilities();
    assert!(can.upsert && !can.create && can.since && can.changed_at && !can.irreversible_delete);

    for (name, text, count) in [
        ("salesforce-accounts", include_str!("../../../mappings/cases/salesforce-accounts.yaml"), 4),
        ("stripe-customers", include_str!("../../../mappings/cases/stripe-customers.yaml"), 5),
    ] {
        let mapping = project.mapping(name).expect("the mapping");
        for field in &mapping.fields {
            let broken = laws::check_field(field, 1000, 1);
            assert!(broken.is_none(), "{broken:?}");
        }
        let report = cases::run(mapping, &file("cases", text));
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        assert_eq!(report.passed.len(), count, "{name}");
    }
}
