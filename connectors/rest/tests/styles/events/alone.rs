//! Deliveries and nothing else: no list of changes, no list at all. What is known of a record is what was told of it, and what is read by
//! its id.
//!
//! Payment terminals, e-signature services and many small services that only have callbacks are so. A delivery that is lost is made up
//! for by the next event about the same record: events are hints, and the record is read.

use crate::shelf::{CALLS, Shelf};
use crate::stage::{Asked, now};
use crate::support::{connect, path, spec};
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{Connector, ResourceQuery, Unverified};
use bothways_mapping::{Code, SourceFile, load};
use bothways_model::{Capabilities, Event, Method};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use std::cell::RefCell;

const VARS: [(&str, &str); 1] = [("BELL_HOOK", "ding-dong")];

fn document() -> String {
    format!(
        r#"
connector: bell
vars: {{ hook: {{ secret: true }} }}
http: {{ base_url: "https://bell.example", idempotency: {{ header: Idempotency-Key, keeps: 24h }} }}
events:
  type: $.what
  at: {{ header: X-Bell-Time, as: unix_ms }}
  id_of: $.thing
  webhook: {{ verify: {{ hmac: {{ secret: "${{hook}}", header: X-Bell-Signature }} }} }}
resources:
  things:{CALLS}
    events: {{ made: upsert, changed: upsert, removed: delete }}
"#
    )
}

fn delivery(event: &Json) -> Unverified {
    let body = event.to_string().into_bytes();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"ding-dong").expect("any key will do");
    mac.update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let headers =
        vec![("x-bell-signature".into(), signature), ("x-bell-time".into(), "1795000000250".into())];
    Unverified { headers, body }
}

/// The service: a shelf without a list, which remembers creates by their keys and tells of every change.
#[derive(Default)]
struct Bell {
    shelf: Shelf,
    keys: Vec<(String, bothways_model::Response)>,
    told: Vec<Json>,
}

impl Bell {
    fn answer(&mut self, request: &bothways_model::Request) -> bothways_model::Response {
        let asked = Asked::read(request);
        let key = request.header("idempotency-key").unwrap_or_default();
        if let Some((_, known)) =
            self.keys.iter().find(|(known, _)| asked.method != Method::Get && known == key)
        {
            return known.clone();
        }
        let answer = self.shelf.answer(&asked);
        let what = match asked.method {
            Method::Post => "made",
            Method::Patch => "changed",
            Method::Delete => "removed",
            _ => return answer,
        };
        let id = match asked.method {
            Method::Post => self.shelf.things.last().map_or(Json::Null, |thing| thing["id"].clone()),
            _ => json!(asked.path.last()),
        };
        self.told.push(json!({"what": what, "thing": id}));
        self.keys.push((key.to_owned(), answer.clone()));
        answer
    }
}

#[test]
fn conform() {
    let connector = connect(&document(), &VARS);
    let bell = RefCell::new(Bell::default());
    check(Bench {
        connector: &connector,
        resource: ResourceQuery { name: "things".into(), ..ResourceQuery::default() },
        send: &mut |request| Some(bell.borrow_mut().answer(request)),
        deliveries: Some(&mut || bell.borrow().told.iter().map(delivery).collect()),
        now: now(),
        records: 3,
        record: &|n| vec![(path(&["name"]), json!(format!("Ding {n}")))],
        change: vec![(path(&["colour"]), json!("red"))],
    });
    let can = spec(&document()).capabilities("things");
    let nothing_else =
        Capabilities { list: false, since: false, feed: false, recover: false, find: Vec::new(), ..can };
    assert_eq!(can, nothing_else);
    assert!(
        can.webhook && can.proves_a_create([]),
        "a create that may have arrived is sent again under its key"
    );
}

#[test]
fn are_hints_and_say_when() {
    let connector = connect(&document(), &VARS);
    let webhook = connector.webhook().expect("the document has a webhook");
    let read = |event: &Json| -> Vec<Event> {
        webhook
            .decode(&webhook.verify(delivery(event), now()).expect("it is genuine"))
            .expect("it can be read")
    };
    let events = read(&json!({"what": "changed", "thing": "t1"}));
    assert_eq!(events[0].at.map(|at| at.timestamp_millis()), Some(1_795_000_000_250));
    let subject = events[0].subject.as_ref().expect("it is about a thing");
    assert_eq!((subject.id.as_str(), subject.object.as_ref()), ("t1", None), "so the record is read");
}

#[test]
fn that_are_lost_are_warned_of() {
    let mapping = "
---
catalog: things
table: things
key: id
fields: { id: int, name: text }
---
mapping: things
local: things
remote: bell/things
fields: { name: $.name }
";
    let documents = format!("{}{mapping}", document());
    let loaded = load(&[SourceFile::new("bell.yaml", &documents)], &[]);
    assert!(loaded.project.is_some(), "{:#?}", loaded.findings);
    let [finding] = loaded.findings.as_slice() else { panic!("one warning: {:#?}", loaded.findings) };
    assert_eq!(finding.code, Code::M302);
    assert!(finding.message.contains("lost"), "{finding:?}");
}
