//! Services that everybody knows, by the documents in `examples`, against stand-ins of their documented shapes.

mod xero;

use bothways_mapping::{Mapping, Severity, SourceFile, load};
use bothways_model::{Record, Value};
use serde_json::json;
use std::sync::Arc;

/// The mapping of an example, which must be small and give no error.
fn mapping(name: &str, document: &str) -> Arc<Mapping> {
    assert!(document.lines().count() < 70, "an integration is less than 70 lines");
    let loaded = load(&[SourceFile::new(name, document)], &[]);
    let serious: Vec<_> = loaded.findings.iter().filter(|f| f.severity != Severity::Note).collect();
    assert!(serious.is_empty(), "{serious:#?}");
    let mappings = loaded.project.expect("no error").mappings;
    mappings.first().cloned().expect("the example has a mapping")
}

#[test]
fn a_row_becomes_a_contact_and_comes_back() {
    let mapping = mapping("xero.yaml", include_str!("../../../examples/xero.yaml"));
    let text = |text: &str| Value::Text(text.into());
    let row = Record::from_iter([
        ("company", text("Acme")),
        ("first_name", Value::Null),
        ("last_name", text("Lee")),
        ("email", text("ann@example.com")),
        ("mobile", text("555")),
        ("city", text("Bonn")),
    ]);
    let contact = mapping.new_remote(&row).expect("nothing is refused");
    let expected = json!({
        "Name": "Acme", "LastName": "Lee", "EmailAddress": "ann@example.com",
        "Phones": [{"PhoneType": "MOBILE", "PhoneNumber": "555"}], "Addresses": [{"AddressType": "STREET", "City": "Bonn"}]
    });
    assert_eq!(contact, expected);
    let mut back = mapping.to_row(&mapping.read_remote(&contact).record);
    back.set("first_name", Value::Null);
    assert_eq!(back, row);
}
