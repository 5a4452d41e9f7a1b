//! Fields whose two sides have different shapes: two names and one, a set, a shared table, one element of a list, one value in two places,
//! a name that a list does not show.

use bothways_mapping::{Mapping, RefusalKind, SourceFile, laws, load};
use bothways_model::{Record, Value};
use serde_json::{Value as Json, json};
use std::sync::Arc;

const DOCUMENTS: &str = "
connector: crm
http: { base_url: https://crm.example, idempotency: { header: Idempotency-Key, keeps: 24h } }
lists: { items: $.people }
resources:
  people: { id: $.id, list: GET /people, get: 'GET /people/{id}', create: POST /people, update: 'PATCH /people/{id}' }
---
catalog: people
table: people
key: id
fields:
  id: int
  first: text?
  last: text?
  tags: { list: text, optional: true }
  home: { enum: [germany, france], optional: true }
  work: { enum: [germany, france], optional: true }
  mobile: text?
  numbers: { list: text, optional: true }
---
mapping: people
local: people
remote: crm/people
tables:
  countries: { germany: DE, france: FR }
fields:
  name: { local: [first, last], remote: $.name, as: { words: last }, normalize: [trim] }
  tags: { remote: $.tags, normalize: [lower, unique, sort] }
  home: { remote: $.home.country, as: { table: countries } }
  work: { remote: $.work.country, as: { table: countries } }
  mobile: \"$.phones[?@.type == 'mobile'].number\"
  mobile_too: { local: mobile, remote: $.sms, direction: out }
  numbers: { remote: \"$.phones[?@.type == 'mobile'].number\", direction: in }
";

fn mapping() -> Arc<Mapping> {
    let loaded = load(&[SourceFile::new("people.yaml", DOCUMENTS)], &[]);
    let errors: Vec<_> =
        loaded.findings.iter().filter(|f| f.severity == bothways_mapping::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    Arc::clone(loaded.project.unwrap().mapping("people").unwrap())
}

fn text(t: &str) -> Value {
    Value::Text(t.into())
}

fn texts(all: &[&str]) -> Value {
    Value::List(all.iter().map(|t| text(t)).collect())
}

fn read(body: Json) -> Record {
    let reading = mapping().read_remote(&body);
    assert!(reading.refusals.is_empty(), "{:?}", reading.refusals);
    reading.record
}

#[test]
fn every_shape_keeps_the_laws() {
    let mapping = mapping();
    for field in &mapping.fields {
        for seed in 0..8 {
            assert_eq!(laws::check_field(field, 500, seed), None, "{}", field.label);
        }
    }
}

#[test]
fn a_row_goes_out_and_comes_back() {
    let row = Record::from_iter([
        ("first", text("Ann Maria ")),
        ("last", text("Lee")),
        ("tags", texts(&["b", "A", "B"])),
        ("home", text("france")),
        ("work", text("germany")),
        ("mobile", text("1")),
    ]);
    let mapping = mapping();
    let body = mapping.new_remote(&row).unwrap();
    let expected = json!({
        "name": "Ann Maria Lee", "tags": ["a", "b"], "home": {"country": "FR"}, "work": {"country": "DE"},
        "phones": [{"type": "mobile", "number": "1"}], "sms": "1"
    });
    assert_eq!(body, expected);
    let back = mapping.to_row(&mapping.read_remote(&body).record);
    let expected = Record::from_iter([
        ("first", text("Ann Maria")),
        ("last", text("Lee")),
        ("tags", texts(&["a", "b"])),
        ("home", text("france")),
        ("work", text("germany")),
        ("mobile", text("1")),
        ("numbers", texts(&["1"])),
    ]);
    assert_eq!(back, expected);
}

#[test]
fn one_name_of_one_word_is_the_last_name() {
    let seen = read(json!({"name": " Cher "}));
    assert_eq!((seen.get("first"), seen.get("last")), (Some(&Value::Null), Some(&text("Cher"))));
    let seen = read(json!({"name": null}));
    assert_eq!((seen.get("first"), seen.get("last")), (Some(&Value::Null), Some(&Value::Null)));
    assert_eq!(read(json!({})).get("last"), None, "absent is unknown");
}

#[test]
fn names_that_would_come_back_as_others_are_not_sent() {
    let mapping = mapping();
    let first = mapping.field("first").unwrap();
    assert_eq!(first.unit, mapping.field("last").unwrap().unit, "they are decided about together");
    let image = |first_name: &str, last_name: &str| {
        let row = Record::from_iter([("first", text(first_name)), ("last", text(last_name))]);
        mapping.image(first, &row)
    };
    assert_eq!(image("Ludwig", "Beethoven"), Ok(json!("Ludwig Beethoven")));
    assert_eq!(image("Ludwig", "van Beethoven").unwrap_err().kind, RefusalKind::Form);
}

#[test]
fn a_list_that_is_shown_without_the_element_says_that_there_is_none() {
    let phones = |phones: Json| read(json!({ "phones": phones })).get("mobile").cloned();
    assert_eq!(phones(json!([{"type": "home", "number": "2"}])), Some(Value::Null));
    assert_eq!(phones(json!([{"type": "mobile"}])), None, "the element does not show its number");
    assert_eq!(
        phones(json!([{"type": "mobile", "number": "1"}, {"type": "mobile", "number": "3"}])),
        Some(text("1"))
    );
    assert_eq!(read(json!({})).get("mobile"), None);
    let both =
        read(json!({"phones": [{"type": "mobile", "number": "1"}, {"type": "mobile", "number": "3"}]}));
    assert_eq!(both.get("numbers"), Some(&texts(&["1", "3"])), "a list takes all of them");
}

#[test]
fn a_name_that_is_not_known_is_refused_whatever_the_field_is() {
    const STAGES: &str = "
connector: pipe
http: { base_url: https://pipe.example }
lists: { items: $.data }
resources:
  stages: { id: $.id, list: GET /stages }
  deals:
    id: $.id
    list: GET /deals
    get: GET /deals/{id}
    lookups: { $.stage: { from: $.stage_id, resource: stages, name: $.label } }
---
catalog: deals
table: deals
key: id
fields: { id: int, stage: text?, raw: json? }
---
mapping: deals
local: deals
remote: pipe/deals
fields:
  stage: { remote: $.stage, direction: in, default: none }
  raw: { remote: $.stage, direction: in }
creates: { from_local: ignore }
";
    let loaded = load(&[SourceFile::new("deals.yaml", STAGES)], &[]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let mapping = project.mapping("deals").unwrap();
    let shown = mapping.resource().unwrap().lookups[0].unlisted();
    let reading = mapping.read_remote(&json!({"id": 1, "stage_id": 7, "stage": shown}));
    assert!(reading.record.0.is_empty(), "{:?}", reading.record);
    assert_eq!(reading.refusals.len(), 2);
    for (_, refusal) in &reading.refusals {
        assert_eq!(refusal.kind, RefusalKind::Word);
        assert!(refusal.detail.contains("`stages`") && refusal.detail.contains("$.stage_id"), "{refusal}");
    }
}
