//! Fields that hold the key of a row of another catalog, of which the remote side knows a value.

use bothways_mapping::{Mapping, Reference, RowLookup, SourceFile, cases, laws, load};
use bothways_model::{FieldType, Record, Value};
use serde_json::json;
use std::sync::Arc;

const DOCUMENTS: &str = "
connector: crm
http: { base_url: https://crm.example, idempotency: { header: Idempotency-Key, keeps: 24h } }
lists: { items: $.people }
resources:
  people: { id: $.id, list: GET /people, get: 'GET /people/{id}', create: POST /people, update: 'PATCH /people/{id}' }
---
catalog: plans
table: plans
key: id
fields: { id: int, code: text, rank: int }
---
catalog: people
table: people
key: id
fields:
  id: int
  plan_id: int
  next_id: { ref: plans }
  rank_id: int?
---
mapping: people
local: people
remote: crm/people
fields:
  plan: { local: plan_id, remote: $.plan, as: { lookup: { catalog: plans, by: code } } }
  next_id: { remote: $.next, as: [{ lookup: { catalog: plans, by: code } }, { prefix: 'plan-' }] }
  rank_id: { remote: $.rank, as: [{ lookup: { catalog: plans, by: rank } }, string], direction: in }
";

fn mapping() -> Arc<Mapping> {
    let loaded = load(&[SourceFile::new("people.yaml", DOCUMENTS)], &[]);
    let errors: Vec<_> =
        loaded.findings.iter().filter(|f| f.severity == bothways_mapping::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    Arc::clone(loaded.project.unwrap().mapping("people").unwrap())
}

/// The catalog that is looked into has no mapping, and a field that refers to it needs no links then.
#[test]
fn a_lookup_needs_a_table_and_no_mapping() {
    let mapping = mapping();
    let by_code = || RowLookup { catalog: "plans".into(), by: "code".into() };
    let next = mapping.field("next_id").unwrap();
    assert_eq!(next.reference, Some(Reference::Lookup(by_code())));
    assert_eq!((next.linked(), next.lookup()), (None, Some(&by_code())));
    assert_eq!((next.ty(), mapping.type_of(next)), (&FieldType::Text, &FieldType::Int));
}

#[test]
fn what_a_row_is_known_by_travels() {
    let mapping = mapping();
    let reading = mapping.read_remote(&json!({ "plan": "pro", "next": "plan-max", "rank": "3" }));
    assert!(reading.refusals.is_empty(), "{:?}", reading.refusals);
    let text = |t: &str| Value::Text(t.into());
    let read =
        Record::from_iter([("plan", text("pro")), ("next_id", text("max")), ("rank_id", Value::Int(3))]);
    assert_eq!(reading.record, read);
    let row = Record::from_iter([("plan_id", text("pro")), ("next_id", text("max"))]);
    assert_eq!(mapping.new_remote(&row).unwrap(), json!({ "plan": "pro", "next": "plan-max" }));
    for field in &mapping.fields {
        for seed in 0..8 {
            assert_eq!(laws::check_field(field, 500, seed), None, "{}", field.label);
        }
    }
}

/// Cases know no table: a row is given as what stands for it.
#[test]
fn a_case_gives_what_stands_for_the_row() {
    let cases_of = |text: &str| cases::run(&mapping(), &SourceFile::new("people.cases.yaml", text));
    let holds = "- { name: plans, local: { plan_id: pro, next_id: max, rank_id: 3 }, remote: { plan: pro, next: plan-max, rank: '3' } }
- { name: no prefix, remote: { plan: pro, next: max }, parks: form }";
    let report = cases_of(holds);
    assert_eq!(report.passed, ["plans", "no prefix"], "{:?}", report.findings);
    let report = cases_of("- { name: plans, local: { plan_id: 7 }, remote: { plan: pro } }");
    assert_eq!(report.failed, ["plans"], "{:?}", report.findings);
}
