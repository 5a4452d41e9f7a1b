//! A refusal that says in a header of the service's own when to come back: seconds, or a moment.
//!
//! GitHub and Okta (`X-RateLimit-Reset`, a moment in Unix seconds), Zendesk's ticket limits (`Zendesk-RateLimit-…-Reset`), Twilio's and
//! Mailgun's older APIs are so.

use crate::support::{answered, connect, resource};
use bothways_connector::{Connector, Operation, Outcome};
use bothways_model::{ErrorClass, Response};
use serde_json::json;

const DOCUMENT: &str = r#"
connector: depot
http:
  base_url: https://depot.example
  errors: { retry_header: X-RateLimit-Reset, statuses: { 403: throttle } }
resources:
  things: { id: $.id, get: "GET /things/{id}" }
"#;

fn asked_to_wait(headers: &[(&str, &str)]) -> Option<u64> {
    let connector = connect(DOCUMENT, &[]);
    let refusal = headers
        .iter()
        .fold(Response::json(403, &json!({})), |refusal, (name, value)| refusal.with_header(name, *value));
    let wait = connector
        .limits()
        .retry_after(&refusal)
        .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let things = resource(&connector, "things");
    let reading = things.start(Operation::Get { id: "t1".into() }).expect("things can be read");
    let Outcome::Failed(failure) = answered(reading, refusal) else { panic!("it is refused") };
    assert_eq!(
        (failure.class, failure.retry_after_ms),
        (ErrorClass::Throttle, wait),
        "the HTTP port reads the same"
    );
    wait
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
