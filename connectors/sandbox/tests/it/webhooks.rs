//! Webhook deliveries: signed, repeated with back-off, at least once, and bent by faults.

use crate::caller::Caller;
use bothways_connector_sandbox::{Action, Config, Delivery, Fault};
use bothways_model::Method::Post;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// A caller with an endpoint for all events, its id and its secret.
fn with_endpoint() -> (Caller, String, String) {
    let mut c = Caller::new();
    let made = c.post("/v1/webhook_endpoints", "url=http://127.0.0.1:9/hook&enabled_events[]=*");
    let secret = made.json["secret"].as_str().expect("a secret at creation").to_owned();
    (c, made.id(), secret)
}

fn due(c: &mut Caller) -> Vec<Delivery> {
    let now = c.now;
    c.stripe.due_deliveries(now)
}

fn report(c: &mut Caller, delivery: &Delivery, status: Option<u16>) {
    let now = c.now;
    c.stripe.delivered(&delivery.id, status, now);
}

fn signature(delivery: &Delivery) -> &str {
    delivery
        .headers
        .iter()
        .find(|(name, _)| name == "stripe-signature")
        .map(|(_, v)| v.as_str())
        .expect("signed")
}

fn kind(delivery: &Delivery) -> String {
    let event: Value = serde_json::from_slice(&delivery.body).expect("an event");
    event["type"].as_str().unwrap_or_default().to_owned()
}

/// Checks a signature the way a receiver does, with code of its own.
fn is_signed_by(delivery: &Delivery, secret: &str) -> bool {
    let header = signature(delivery);
    let t = header.split(',').find_map(|part| part.strip_prefix("t=")).expect("a time");
    header.split(',').filter_map(|part| part.strip_prefix("v1=")).any(|v1| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key fits");
        mac.update(format!("{t}.{}", std::str::from_utf8(&delivery.body).expect("text")).as_bytes());
        mac.verify_slice(&hex::decode(v1).expect("hex")).is_ok()
    })
}

#[test]
fn deliveries_are_signed_snapshots_of_events() {
    let (mut c, _, secret) = with_endpoint();
    let id = c.customer("name=Ann");
    let [delivery] = due(&mut c).try_into().expect("one delivery");
    assert!(is_signed_by(&delivery, &secret) && !is_signed_by(&delivery, "whsec_other"));
    assert!(signature(&delivery).starts_with("t=1800000000,v1="));
    let event: Value = serde_json::from_slice(&delivery.body).unwrap();
    assert_eq!(
        (event["type"].as_str(), event["pending_webhooks"].as_i64()),
        (Some("customer.created"), Some(1))
    );
    assert_eq!(event["data"]["object"]["id"], id);
    assert_eq!(delivery.url, "http://127.0.0.1:9/hook");
    report(&mut c, &delivery, Some(200));
    assert_eq!(c.stripe.open_deliveries(), 0);
    let feed = c.get("/v1/events");
    assert_eq!(feed.json["data"][0]["pending_webhooks"], 0);
    assert_eq!(feed.json["data"][0]["id"], event["id"]);
}

#[test]
fn failures_are_repeated_with_back_off_and_given_up() {
    let backoff = vec![TimeDelta::seconds(10), TimeDelta::seconds(100)];
    let mut c = Caller::with(Config { webhook_backoff: backoff, ..Config::default() });
    let now = c.now;
    c.stripe.dashboard_endpoint("http://127.0.0.1:9/hook", &[], now).unwrap();
    c.customer("");
    let mut bodies = Vec::new();
    for (status, wait) in [(Some(500), 10), (None, 100), (Some(302), 0)] {
        let [delivery] = due(&mut c).try_into().expect("due");
        bodies.push((delivery.event.clone(), signature(&delivery).to_owned()));
        report(&mut c, &delivery, status);
        if wait > 0 {
            c.wait(wait - 1);
            assert!(due(&mut c).is_empty());
            assert_eq!(c.get("/v1/events?delivery_success=true").ids().len(), 0);
            c.wait(1);
        }
    }
    assert_eq!((c.stripe.open_deliveries(), c.stripe.next_due()), (0, None));
    assert_eq!(c.get("/v1/events?delivery_success=false").ids(), [bodies[0].0.as_str()]);
    assert!(bodies.iter().all(|(event, _)| *event == bodies[0].0));
    assert_ne!(bodies[0].1, bodies[1].1, "each attempt is signed at its own time");
}

#[test]
fn what_was_never_reported_is_delivered_again() {
    let (mut c, ..) = with_endpoint();
    c.customer("");
    assert_eq!((due(&mut c).len(), due(&mut c).len()), (1, 0));
    c.wait(60);
    assert_eq!(due(&mut c).len(), 1);
}

#[test]
fn two_secrets_sign_while_one_is_rolled() {
    let (mut c, endpoint, old) = with_endpoint();
    let now = c.now;
    let new = c.stripe.dashboard_roll_secret(&endpoint, TimeDelta::hours(1), now).unwrap();
    c.customer("");
    let both = due(&mut c).remove(0);
    assert_eq!(signature(&both).matches("v1=").count(), 2);
    assert!(is_signed_by(&both, &old) && is_signed_by(&both, &new));
    c.wait(3_600);
    c.customer("");
    let only = due(&mut c).pop().unwrap();
    assert!(!is_signed_by(&only, &old) && is_signed_by(&only, &new));
}

#[test]
fn disabled_and_deleted_endpoints_get_nothing_more() {
    let (mut c, endpoint, _) = with_endpoint();
    c.customer("");
    c.post(&format!("/v1/webhook_endpoints/{endpoint}"), "disabled=true");
    assert!(due(&mut c).is_empty());
    c.post(&format!("/v1/webhook_endpoints/{endpoint}"), "disabled=false");
    assert!(due(&mut c).is_empty(), "what was due while it was disabled stays undelivered");
    c.customer("");
    c.delete(&format!("/v1/webhook_endpoints/{endpoint}"));
    c.customer("");
    assert!(due(&mut c).is_empty());
    assert_eq!(c.stripe.open_deliveries(), 0);
}

#[test]
fn endpoints_choose_their_events() {
    let mut c = Caller::new();
    let form = "url=http://127.0.0.1:9/&enabled_events[]=customer.updated&enabled_events[]=customer.deleted";
    c.post("/v1/webhook_endpoints", form);
    let id = c.customer("");
    c.post(&format!("/v1/customers/{id}"), "name=Ann");
    let kinds: Vec<String> = due(&mut c).iter().map(kind).collect();
    assert_eq!(kinds, ["customer.updated"]);
    let listed = c.get("/v1/webhook_endpoints");
    assert_eq!(listed.ids().len(), 1);
    assert!(listed.json["data"][0].get("secret").is_none());
}

#[test]
fn deliveries_can_be_lost_doubled_delayed_and_never_generated() {
    let (mut c, ..) = with_endpoint();
    let mut run = |action: Action| {
        let fired = action.kind();
        c.stripe.inject(Fault::next(action).on_event("customer."));
        c.customer("");
        let now = due(&mut c);
        c.wait(2);
        let later = due(&mut c);
        for delivery in now.iter().chain(&later) {
            report(&mut c, delivery, Some(204));
        }
        assert_eq!(c.stripe.fired()[fired], 1);
        (now.len(), later.len(), c.get("/v1/events?limit=100").ids().len())
    };
    assert_eq!(run(Action::DeliveryLost), (0, 0, 1));
    assert_eq!(run(Action::DeliveryDuplicated), (2, 0, 2));
    assert_eq!(run(Action::DeliveryDelayed { millis: 2_000 }), (0, 1, 3));
    assert_eq!(run(Action::EventNotGenerated), (0, 0, 3));
    assert_eq!(run(Action::EventVersion { version: "2019-01-01".into() }), (1, 0, 4));
    assert_eq!(c.stripe.events().pop().unwrap()["api_version"], "2019-01-01");
}

#[test]
fn a_reordered_delivery_comes_after_the_next_one_or_after_a_while() {
    let (mut c, ..) = with_endpoint();
    c.stripe.inject(Fault::next(Action::DeliveryReordered).on_event("customer.created"));
    let id = c.customer("");
    c.post(&format!("/v1/customers/{id}"), "name=Ann");
    let first = due(&mut c);
    assert_eq!(first.iter().map(kind).collect::<Vec<_>>(), ["customer.updated"]);
    assert!(due(&mut c).is_empty());
    report(&mut c, &first[0], Some(200));
    let second = due(&mut c);
    assert_eq!(second.iter().map(kind).collect::<Vec<_>>(), ["customer.created"]);
    report(&mut c, &second[0], Some(200));
    assert_eq!(c.stripe.open_deliveries(), 0);

    c.stripe.inject(Fault::next(Action::DeliveryReordered));
    c.customer("");
    assert!(due(&mut c).is_empty());
    c.wait(5);
    assert_eq!(due(&mut c).len(), 1);
}

#[test]
fn any_event_can_be_emitted_by_hand() {
    let (mut c, ..) = with_endpoint();
    let now = c.now;
    let object = json!({"id": "pm_1", "object": "payment_method"});
    c.stripe.dashboard_emit("payment_method.attached", object.as_object().unwrap(), now);
    assert_eq!(kind(&due(&mut c)[0]), "payment_method.attached");
    assert_eq!(c.call(Post, "/v1/customers", "", None).status, 200);
}
