//! A refusal that says in a header of the service's own when to come back: seconds, or a moment.
//!
//! GitHub and Okta (`X-RateLimit-Reset`, a moment in Unix seconds), Zendesk's ticket limits (`Zendesk-RateLimit-…-Reset`), Twilio's and
//! Mailgun's older APIs are so.

use crate::support::{answered, connect, resource};
use bothways_connector::{Connector, Operation, Outcome};
use bothways_model::{ErrorClass, Failure, Response};
use serde_json::json;

const DOCUMENT: &str = r#"
connector: depot
http:
  base_url: https://depot.example
  errors: { retry_header: X-RateLimit-Reset, statuses: { 403: throttle } }
resources:
  things: { id: $.id, get: "GET /things/{id}" }
"#;

fn failed(status: u16, headers: &[(&str, &str)]) -> Failure {
    let connector = connect(DOCUMENT, &[]);
    let answer = headers
        .iter()
        .fold(Response::json(status, &json!({})), |answer, (name, value)| answer.with_header(name, *value));
    let things = resource(&connector, "things");
    let reading = things.start(Operation::Get { id: "t1".into() }).expect("things can be read");
    match answered(reading, answer) {
        Outcome::Failed(failure) => failure,
        other => panic!("ended in {other:?}"),
    }
}

fn asked_to_wait(headers: &[(&str, &str)]) -> Option<u64> {
    let failure = failed(403, headers);
    assert_eq!(failure.class, ErrorClass::Throttle);
    failure.retry_after_ms
}

#[test]
fn by_a_header_of_the_services_own() {
    let date = ("Date", "Sun, 22 Nov 2026 10:00:00 GMT");
    assert_eq!(asked_to_wait(&[("X-RateLimit-Reset", "17")]), Some(17_000));
    assert_eq!(asked_to_wait(&[date, ("X-RateLimit-Reset", "1795341620")]), Some(20_000));
    assert_eq!(
        asked_to_wait(&[("Retry-After", "3")]),
        Some(3_000),
        "the usual header is heeded where there is no other"
    );
    assert_eq!(asked_to_wait(&[]), None);
}

#[test]
fn what_the_document_calls_too_many_slows_the_connection_down() {
    let coded =
        DOCUMENT.replace("statuses:", "code: $.code, codes: { 3001: throttle, locked: retry }, statuses:");
    let connector = connect(&coded, &[]);
    let slows = |status: u16, body| connector.limits().throttling.is_said_by(&Response::json(status, &body));
    assert!(
        slows(403, json!({})) && slows(429, json!({"code": "other"})) && slows(400, json!({"code": 3001}))
    );
    assert!(!slows(429, json!({"code": "locked"})), "a lock on one record is not about the rate");
    assert!(!slows(400, json!({})) && !slows(200, json!({"code": 3001})));
}

#[test]
fn what_is_in_every_answer_asks_for_no_wait_where_nothing_was_too_much() {
    let headers = [
        ("Date", "Sun, 22 Nov 2026 10:00:00 GMT"),
        ("X-RateLimit-Reset", "1795345200"),
        ("Retry-After", "2"),
    ];
    for (status, class) in [(500, ErrorClass::Retry), (503, ErrorClass::Retry), (422, ErrorClass::Invalid)] {
        let failure = failed(status, &headers);
        assert_eq!((failure.class, failure.retry_after_ms), (class, Some(2000)), "{status}");
    }
    assert_eq!(failed(429, &headers).retry_after_ms, Some(3_600_000));
}
