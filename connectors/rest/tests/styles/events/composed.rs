//! Deliveries in which two members say together what happened: which kind of record, and what was done to it.
//!
//! Pipedrive (`meta.entity`, `meta.action`), GitHub (`X-GitHub-Event` and `action`), Linear (`type`, `action`) and Asana are so.

use crate::stage::now;
use crate::support::connect;
use bothways_connector::{Connector, Unverified};
use bothways_model::{ErrorClass, EventEffect};
use serde_json::{Value as Json, json};

const DOCUMENT: &str = r#"
connector: pipe
vars: { hook: { secret: true } }
http: { base_url: "https://pipe.example" }
events:
  id: $.meta.id
  type: [{ header: X-Pipe-Entity }, $.meta.action]
  id_of: $.meta.entity_id
  webhook: { verify: { token: { header: Authorization, value: "Basic ${hook}" } } }
resources:
  deals: { id: $.id, get: "GET /deals/{id}", events: { deal.change: upsert, deal.delete: delete } }
  persons: { id: $.id, get: "GET /persons/{id}", events: { person.change: upsert } }
"#;

/// The resource, the id and the effect of what was told.
fn told(entity: &str, meta: &Json) -> Result<Option<(String, String, EventEffect)>, ErrorClass> {
    let connector = connect(DOCUMENT, &[("PIPE_HOOK", "dXNlcjpwYXNz")]);
    let webhook = connector.webhook().expect("the document has a webhook");
    let headers = [("authorization", "Basic dXNlcjpwYXNz"), ("x-pipe-entity", entity)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let delivery = Unverified { headers, body: json!({ "meta": meta }).to_string().into_bytes() };
    let genuine = webhook.verify(delivery, now()).expect("it is genuine");
    let events = webhook.decode(&genuine).map_err(|failure| failure.class)?;
    if events[0].unreadable {
        return Err(ErrorClass::Malformed);
    }
    let subject = events[0].subject.as_ref();
    Ok(subject.map(|subject| (subject.resource.clone(), subject.id.0.clone(), subject.effect)))
}

#[test]
fn say_together_what_happened() {
    let meta = |action: &str| json!({"id": "e1", "action": action, "entity_id": 7});
    let upsert = |resource: &str| Some((resource.to_owned(), "7".to_owned(), EventEffect::Upsert));
    assert_eq!(told("deal", &meta("change")), Ok(upsert("deals")));
    assert_eq!(told("person", &meta("change")), Ok(upsert("persons")));
    assert_eq!(told("deal", &meta("delete")), Ok(Some(("deals".into(), "7".into(), EventEffect::Delete))));
    assert_eq!(told("person", &meta("delete")), Ok(None), "of no interest");
    assert_eq!(told("deal", &json!({"entity_id": 7})), Err(ErrorClass::Malformed), "half a type is none");
}
