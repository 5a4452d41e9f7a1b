//! Deliveries whose body is the record itself; what happened, when, and the delivery's id, stand in headers.
//!
//! Shopify (`X-Shopify-Topic`, `X-Shopify-Triggered-At`, `X-Shopify-Webhook-Id`), GitHub (`X-GitHub-Event`, `X-GitHub-Delivery`), WooCommerce (`X-WC-Webhook-Topic`)
//! and GitLab (`X-Gitlab-Event`) are so.

use crate::support::connect;
use bothways_connector::{Connector, Unverified};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, Event, EventEffect};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};

const SECRET: &str = "hush-hush";

fn connector(each: &str) -> RestConnector {
    let document = format!(
        r#"
connector: shop
vars: {{ hook: {{ secret: true }} }}
http: {{ base_url: "https://shop.example" }}
events:
  each: {each}
  id: {{ header: X-Shop-Delivery }}
  type: {{ header: X-Shop-Topic }}
  at: {{ header: X-Shop-Triggered-At, as: iso8601 }}
  object: $
  webhook: {{ verify: {{ hmac: {{ secret: "${{hook}}", header: X-Shop-Hmac, encoding: base64 }} }} }}
resources:
  things:
    id: $.id
    get: GET /things/{{id}}
    events: {{ things/update: upsert, things/delete: delete }}
"#
    );
    connect(&document, &[("SHOP_HOOK", SECRET)])
}

fn told(connector: &RestConnector, headers: &[(&str, &str)], body: &Json) -> Result<Vec<Event>, ErrorClass> {
    let body = body.to_string().into_bytes();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(&body);
    let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, mac.finalize().into_bytes());
    let mut all = vec![("x-shop-hmac".to_owned(), signature)];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let webhook = connector.webhook().expect("the document has a webhook");
    let genuine =
        webhook.verify(Unverified { headers: all, body }, crate::stage::now()).expect("it is genuine");
    webhook.decode(&genuine).map_err(|failure| failure.class)
}

#[test]
fn name_the_event() {
    let shop = connector("$");
    let events =
        told(&shop, &[("x-shop-topic", "things/update"), ("x-shop-delivery", " d-1 ")], &json!({"id": 7}))
            .expect("it can be read");
    let [event] = events.as_slice() else { panic!("one event: {events:?}") };
    assert_eq!((event.id.as_str(), event.kind.as_str(), event.at), ("d-1", "things/update", None));
    let subject = event.subject.as_ref().expect("it is about a thing");
    assert_eq!((subject.id.as_str(), subject.effect), ("7", EventEffect::Upsert));

    let deleted =
        told(&shop, &[("x-shop-topic", "things/delete")], &json!({"id": 7})).expect("it can be read");
    assert_eq!(deleted[0].subject.as_ref().map(|s| s.effect), Some(EventEffect::Delete));
    assert_eq!(deleted[0].id.len(), 64, "without an id a digest stands for it");
    // Another topic is of no interest; none at all cannot be read.
    assert_eq!(told(&shop, &[("x-shop-topic", "carts/update")], &json!({})).expect("known")[0].subject, None);
    let odd = told(&shop, &[], &json!({"id": 7})).expect("the delivery is one");
    assert!(odd.len() == 1 && odd[0].unreadable && odd[0].subject.is_none(), "{odd:?}");
}

#[test]
fn of_a_batch_share_them() {
    let shop = connector("$.things");
    let headers = [("x-shop-topic", "things/update"), ("x-shop-delivery", "d-1")];
    let batch = json!({"things": [{"id": 1}, {"id": 2}]});
    let events = told(&shop, &headers, &batch).expect("it can be read");
    let ids: Vec<_> = events.iter().filter_map(|e| Some(e.subject.as_ref()?.id.as_str())).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_ne!(events[0].id, events[1].id, "one header cannot tell the events of a batch apart");
    assert_eq!(events, told(&shop, &headers, &batch).expect("it can be read"), "a repetition is recognised");
}

#[test]
fn tell_when_it_happened() {
    let at = |text: &str| {
        let headers = [("x-shop-topic", "things/update"), ("x-shop-triggered-at", text)];
        told(&connector("$"), &headers, &json!({"id": 7})).expect("it can be read")[0].at
    };
    assert_eq!(at(" 2026-11-18T22:26:40.5+02:00 ").map(|at| at.timestamp_millis()), Some(1_795_033_600_500));
    assert_eq!(at("lately"), None, "what cannot be read tells nothing");
}
