//! What a checked mapping does with records.

#[path = "mapping/lookups.rs"]
mod lookups;
#[path = "mapping/shapes.rs"]
mod shapes;

use bothways_mapping::{Mapping, RefusalKind, SourceFile, cases, laws, load};
use bothways_model::{Record, Value};
use serde_json::json;
use std::sync::Arc;

const CONNECTOR: &str = "
connector: crm
http: { base_url: https://crm.example, idempotency: { header: Idempotency-Key, keeps: 24h } }
events: { object: $, feed: { call: GET /events, order: newest_first, retention: 1d } }
resources:
  people:
    id: $.id
    get: GET /people/{id}
    list: GET /people
    create: POST /people
    update: PATCH /people/{id}
    sparse: [$.metadata]
    events: { changed: upsert }
---
catalog: people
table: people
key: id
fields:
  id: int
  email: text
  city: text?
  tier: { enum: [free, paid] }
  score: { decimal: 2, optional: true }
  currency: text?
  joined: timestamp?
  tags: { list: text, optional: true }
  source: text?
  active: bool
";

const MAPPING: &str = "
mapping: people
local: people
remote: crm/people
only: { remote: '@.kind == \"person\"', local: { active: true } }
identity: { match: [email, town], stamp: $.metadata.link }
fields:
  email: { remote: $.email, normalize: [trim, lower] }
  town: { local: city, remote: $.address.city, normalize: [trim] }
  tier: { remote: $.metadata.tier, as: { values: { free: F, paid: P } } }
  currency: { remote: $.currency, normalize: [lower] }
  score: { remote: $.score, as: { minor: currency } }
  joined: { remote: $.joined, as: unix }
  tags: { remote: '$.labels[*].name', direction: in }
  source: { remote: $.source, direction: in, default: unknown }
on_create: { local: { active: true }, remote: { $.kind: person } }
";

fn mapping() -> Arc<Mapping> {
    let loaded =
        load(&[SourceFile::new("crm.yaml", CONNECTOR), SourceFile::new("people.yaml", MAPPING)], &[]);
    let errors: Vec<_> =
        loaded.findings.iter().filter(|f| f.severity == bothways_mapping::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    Arc::clone(loaded.project.unwrap().mapping("people").unwrap())
}

fn text(t: &str) -> Value {
    Value::Text(t.into())
}

#[test]
fn a_remote_record_is_read_by_label_with_absent_null_and_refused_told_apart() {
    let body = json!({
        "email": " Ann@X.IO ", "address": null, "metadata": {}, "currency": "JPY", "score": 500,
        "labels": [{"name": "a"}, {"name": "b"}], "source": null, "joined": "soon"
    });
    let reading = mapping().read_remote(&body);
    let expected: Record = [
        ("email", text("ann@x.io")),
        ("town", Value::Null),
        ("tier", Value::Null),
        ("currency", text("jpy")),
        ("score", Value::Decimal(500.into())),
        ("tags", Value::List(vec![text("a"), text("b")])),
        ("source", text("unknown")),
    ]
    .into_iter()
    .collect();
    assert_eq!(reading.record, expected);
    let refused: Vec<_> = reading.refusals.iter().map(|(l, r)| (l.as_str(), r.kind)).collect();
    assert_eq!(refused, [("joined", RefusalKind::Type)]);

    let without = mapping().read_remote(&json!({"email": "a@x.io"}));
    assert_eq!(
        without.record.get("tier"),
        None,
        "below a sparse path that is itself absent, absent is unknown"
    );
    assert_eq!(without.record.get("town"), None);
    assert_eq!(
        without.record.get("tags"),
        None,
        "an empty list is known only where what it looks into is there"
    );
    let emptied = mapping().read_remote(&json!({"labels": []}));
    assert_eq!(emptied.record.get("tags"), Some(&Value::List(vec![])));
}

#[test]
fn a_row_becomes_a_body_and_a_body_a_row() {
    let mapping = mapping();
    let row: Record = [
        ("id", Value::Int(1)),
        ("email", text("Ann@x.io")),
        ("city", text("Bonn")),
        ("tier", text("paid")),
        ("currency", text("EUR")),
        ("score", Value::Decimal("12.5".parse().unwrap())),
        ("joined", Value::Null),
    ]
    .into_iter()
    .collect();
    let body = mapping.new_remote(&row).unwrap();
    let expected = json!({
        "email": "ann@x.io", "address": {"city": "Bonn"}, "metadata": {"tier": "P"}, "currency": "eur", "score": 1250,
        "kind": "person"
    });
    assert_eq!(body, expected);
    let back = mapping.to_row(&mapping.read_remote(&body).record);
    assert_eq!(back.get("city"), Some(&text("Bonn")));
    assert_eq!(back.get("score"), row.get("score"));
    assert_eq!(back.get("id"), None);

    let bad: Record = [("email", Value::Null), ("tier", text("gold"))].into_iter().collect();
    let refused = mapping.new_remote(&bad).unwrap_err();
    let kinds: Vec<_> = refused.iter().map(|(l, r)| (l.as_str(), r.kind)).collect();
    assert_eq!(kinds, [("email", RefusalKind::Required), ("tier", RefusalKind::Word)]);
}

#[test]
fn both_sides_match_by_one_key() {
    let mapping = mapping();
    let row: Record = [("email", text("ANN@x.io ")), ("city", text("Bonn"))].into_iter().collect();
    let remote = mapping.read_remote(&json!({"email": "ann@x.io", "address": {"city": " Bonn"}}));
    let key = mapping.match_key(&mapping.read_local(&row)).unwrap();
    assert_eq!(mapping.match_key(&remote.record), Some(key));
    let joined = |email: &str, town: &str| {
        mapping.match_key(&[("email", text(email)), ("town", text(town))].into_iter().collect())
    };
    assert_ne!(joined("a", "b,c"), joined("a,b", "c"));
    assert_ne!(joined("a\",\"b", "c"), joined("a", "b\",\"c"));
    assert_eq!(joined("a", " "), None);
    assert_eq!(mapping.match_key(&[("email", text("a"))].into_iter().collect()), None);
}

#[test]
fn scope_units_and_stamp() {
    let mapping = mapping();
    assert!(mapping.remote_in_scope(&json!({"kind": "person"})));
    assert!(!mapping.remote_in_scope(&json!({"kind": "company"})));
    assert!(mapping.local_in_scope(&[("active", Value::Bool(true))].into_iter().collect()));
    assert!(!mapping.local_in_scope(&Record::new()));
    assert_eq!(mapping.stamp_of(&json!({"metadata": {"link": "x"}})), Some("x"));
    let unit = mapping.field("score").unwrap().unit;
    assert_eq!(mapping.unit(unit).map(|f| f.label.as_str()).collect::<Vec<_>>(), ["currency", "score"]);
}

#[test]
fn every_field_keeps_the_laws() {
    for field in &mapping().fields {
        let broken = laws::check_field(field, 1000, 7);
        assert!(broken.is_none(), "{}", broken.unwrap());
    }
}

#[test]
fn a_field_that_refuses_everything_is_told() {
    let yaml = MAPPING.replace("as: unix", "as: [iso8601, { prefix: \"\\u0000\" }]");
    let broken_table = yaml
        .replace("{ free: F, paid: P }", "{ free: F, paid: F }")
        .replace("tier: { remote", "tier: { direction: out, remote");
    let loaded =
        load(&[SourceFile::new("crm.yaml", CONNECTOR), SourceFile::new("people.yaml", broken_table)], &[]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    // A table that writes one word for two is lawful where nothing comes back.
    assert!(laws::check_field(project.mapping("people").unwrap().field("tier").unwrap(), 300, 1).is_none());

    let mut broken = project.mapping("people").unwrap().field("tier").unwrap().clone();
    broken.direction = bothways_mapping::Direction::Both;
    let counterexample = laws::check_field(&broken, 300, 1).unwrap();
    assert_eq!(
        counterexample.to_string(),
        "`tier` breaks PutGet: \"paid\" is sent as \"F\", and read back as \"free\""
    );
}

#[test]
fn cases_hold_or_say_where_they_do_not() {
    let file = SourceFile::new(
        "cases/people.yaml",
        "
- name: good
  local: { email: ann@x.io, city: Bonn, tier: paid, source: unknown }
  remote: { email: ann@x.io, address: { city: Bonn }, metadata: { tier: P }, source: unknown }
- name: wrong both ways
  local: { email: ann@x.io, tier: paid, source: unknown }
  remote: { email: ann@x.io, metadata: { tier: F } }
- name: parks
  remote: { email: ann@x.io, metadata: { tier: GOLD } }
  parks: word
- name: does not park
  remote: { email: ann@x.io, metadata: { tier: F } }
  parks: word
- name: no such field
  local: { emial: x }
  remote: {}
",
    );
    let report = cases::run(&mapping(), &file);
    assert_eq!(report.passed, ["good", "parks"], "{:#?}", report.findings);
    let said: Vec<String> =
        report.findings.iter().map(|f| format!("{}:{} {}", f.span.line, f.code, f.message)).collect();
    assert_eq!(
        said,
        [
            "7:T001 `tier` would be sent as \"P\", and the case says \"F\"",
            "6:T001 `tier` would be read as \"free\", and the case says \"paid\"",
            "6:T001 `source` would be read as null, and the case says \"unknown\"",
            "13:T001 nothing parks here",
            "15:M101 the catalog `people` has no field `emial`",
        ]
    );
}

#[test]
fn everything_that_is_looked_at_is_asked_for() {
    let fields = ["email", "address", "metadata", "currency", "score", "joined", "labels", "source", "kind"];
    assert_eq!(mapping().remote_fields(), fields);
}
