//! Deliveries of many thin events, signed over method, address, body and a timestamp in milliseconds.
//!
//! HubSpot's webhooks are so (signature v3). What is signed of the address is what the operator says it is, never what a request claims.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, now};
use crate::support::connect;
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{Connector, Rejected, ResourceQuery, Unverified};
use bothways_model::Method;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use std::cell::RefCell;

const SECRET: &str = "client-secret";
const ADDRESS: &str = "https://hooks.example/hooks/crm";
const VARS: [(&str, &str); 2] = [("CRM_SECRET", SECRET), ("CRM_HOOK_URL", ADDRESS)];

fn document() -> String {
    format!(
        r#"
connector: crm
vars: {{ secret: {{ secret: true }}, hook_url: {{}} }}
http: {{ base_url: "https://crm.example" }}
lists: {{ items: $.things, pages: {{ offset: {{ query: skip }} }} }}
events:
  each: $[*]
  id: $.eventId
  type: $.subscriptionType
  at: {{ path: $.occurredAt, as: unix_ms }}
  id_of: $.objectId
  webhook:
    verify:
      hmac:
        secret: "${{secret}}"
        header: X-Signature-v3
        encoding: base64
        timestamp: X-Request-Timestamp
        signs: "POST${{hook_url}}{{body}}{{timestamp}}"
resources:
  things:{CALLS}
    list: GET /things
    events: {{ thing.creation: upsert, thing.propertyChange: upsert, thing.deletion: delete }}
"#
    )
}

fn signed(address: &str, body: &Json) -> Unverified {
    let (body, time) = (body.to_string().into_bytes(), now().timestamp_millis().to_string());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    for part in [b"POST".as_slice(), address.as_bytes(), &body, time.as_bytes()] {
        mac.update(part);
    }
    let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, mac.finalize().into_bytes());
    let headers = vec![("x-signature-v3".into(), signature), ("x-request-timestamp".into(), time)];
    Unverified { headers, body }
}

#[test]
fn of_thin_events_conform() {
    let connector = connect(&document(), &VARS);
    let (shelf, told) = (RefCell::new(Shelf::default()), RefCell::new(Vec::new()));
    let crate::stage::Script { records, record, change } = script();
    check(Bench {
        connector: &connector,
        resource: ResourceQuery { name: "things".into(), ..ResourceQuery::default() },
        send: &mut |request| {
            let (asked, mut shelf) = (Asked::read(request), shelf.borrow_mut());
            if let (Method::Get, ["things"]) = (asked.method, asked.call().1.as_slice()) {
                let skip = asked.query.get("skip").and_then(|n| n.parse().ok()).unwrap_or(0);
                return Some(bothways_model::Response::json(200, &json!({"things": shelf.some(skip, 3)})));
            }
            let answer = shelf.answer(&asked);
            if asked.method == Method::Post {
                let number = told.borrow().len();
                told.borrow_mut().push(json!({
                    "eventId": number, "subscriptionType": "thing.creation",
                    "occurredAt": now().timestamp_millis(), "objectId": shelf.things.last().expect("it was made")["id"],
                }));
            }
            Some(answer)
        },
        deliveries: Some(&mut || told.borrow().chunks(4).map(|some| signed(ADDRESS, &json!(some))).collect()),
        now: now(),
        records,
        record,
        change,
    });
}

#[test]
fn for_another_address_are_not_ours() {
    let connector = connect(&document(), &VARS);
    let webhook = connector.webhook().expect("the document has a webhook");
    let body = json!([]);
    assert!(webhook.verify(signed(ADDRESS, &body), now()).is_ok());
    let elsewhere = webhook.verify(signed("https://other.example/hooks/crm", &body), now());
    assert_eq!(elsewhere.map(|_| ()), Err(Rejected::Mismatch));
    let late = now() + chrono::TimeDelta::seconds(301);
    assert_eq!(webhook.verify(signed(ADDRESS, &body), late).map(|_| ()), Err(Rejected::Stale));
    // Without the address nothing can be checked, so nothing is taken in.
    assert!(connect(&document(), &VARS[..1]).webhook().is_none());
}
