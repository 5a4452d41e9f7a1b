//! What the service says: an event that is pushed, a page of the feed, a record, a list. Any bytes may come with any status; what is read
//! from them must be what they say, and must be storable.

use super::{service, text};
use bothways_connector::{Connector as _, FeedQuery, Operation, Outcome, Step, Unverified};
use bothways_model::{Event, Observed, Response};
use chrono::DateTime;
use serde_json::Value as Json;

/// An exchange that asks for more than this many calls to get one answer is going round in circles.
const CALLS: usize = 16;

pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let json: Option<Json> = serde_json::from_slice(body).ok();
    pushed(body, json.as_ref());
    pulled(*first, body);
    if let (Some(json), true) = (json, text(body).is_some()) {
        let customers = service::resource(service::stripe(), "customers");
        if let Ok(seen) = customers.observe(json.clone()) {
            is_what_it_says(&seen, &json);
        }
    }
}

fn pushed(body: &[u8], json: Option<&Json>) {
    let webhook = service::stripe().webhook().expect("Stripe has one");
    let delivery = Unverified { headers: Vec::new(), body: body.to_vec() }.vouch();
    let Ok(events) = webhook.decode(&delivery) else { return };
    let json = json.expect("what is no JSON is no event");
    for event in &events {
        event_is_what_it_says(event, json);
    }
    let again = webhook.decode(&delivery).expect("it was readable");
    assert_eq!(events, again, "the same delivery was read differently");
}

fn event_is_what_it_says(event: &Event, json: &Json) {
    assert!(!event.id.is_empty(), "an event without an id cannot be told from another");
    if event.unreadable {
        assert!(event.subject.is_none(), "what cannot be read is about nothing");
        return;
    }
    assert_eq!(json.get("type").map(written), Some(event.kind.clone()));
    if let Some(subject) = &event.subject {
        assert!(!subject.id.as_str().is_empty(), "an event about no record");
        if let (Some(object), Some(said)) = (&subject.object, json.pointer("/data/object")) {
            is_what_it_says(object, said);
        }
    }
}

fn is_what_it_says(seen: &Observed, json: &Json) {
    let id = json.get("id").expect("a record without an id was observed");
    assert_eq!(seen.id.as_str(), written(id));
    assert_eq!(seen.gone, json.get("deleted") == Some(&Json::Bool(true)));
}

/// Ids and names may be numbers.
fn written(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// The same bytes as answers to everything that is asked, with a status of the first byte's choice.
fn pulled(first: u8, body: &[u8]) {
    const STATUSES: [u16; 12] = [200, 201, 204, 304, 400, 401, 402, 404, 409, 429, 500, 503];
    let status = STATUSES[usize::from(first) % STATUSES.len()];
    let answer = Response {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_vec(),
    };
    let stripe = service::stripe();
    let customers = service::resource(stripe, "customers");
    let since = DateTime::from_timestamp(1_795_000_000, 0).expect("a moment");
    let query = FeedQuery { since, types: vec!["customer.updated".into()], page: None };
    let mut exchanges = vec![stripe.feed().expect("Stripe has one").start(&query)];
    exchanges.extend(stripe.account());
    for operation in [
        Operation::List { page: None },
        Operation::Get { id: "cus_1".into() },
        Operation::Create { fields: Vec::new(), key: "k".into() },
        Operation::Delete { id: "cus_1".into(), key: "k".into(), seen: None },
    ] {
        exchanges.push(customers.start(operation).expect("Stripe can do that"));
    }
    for mut exchange in exchanges {
        let mut given = None;
        let mut calls = 0;
        let outcome = loop {
            match exchange.next(given.take()) {
                Step::Call(_) => given = Some(answer.clone()),
                Step::Done(outcome) => break outcome,
                Step::Renew(_) => panic!("Stripe has no tokens"),
            }
            calls += 1;
            assert!(calls < CALLS, "an exchange that never ends");
        };
        let page = match &outcome {
            Outcome::Page(page) => page.next.as_ref(),
            Outcome::Events(page) => page.next.as_ref(),
            Outcome::Written { id: Some(id) } => {
                assert!(!id.as_str().is_empty() && status < 300, "written, with status {status}");
                None
            }
            Outcome::Record(_) => {
                assert!(status < 300, "a record from status {status}");
                None
            }
            _ => None,
        };
        if let Some(cursor) = page {
            let stored = serde_json::to_string(cursor).expect("a cursor can be stored");
            let read: bothways_connector::PageCursor = serde_json::from_str(&stored).expect("and read again");
            assert_eq!(&read, cursor);
        }
    }
}
