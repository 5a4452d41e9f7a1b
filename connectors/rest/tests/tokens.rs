//! Credentials: where they go, and how tokens are fetched, kept and replaced.

mod support;

use bothways_connector::{Connector, Operation, Outcome};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, Request, Response};
use serde_json::json;
use support::{call, connect, end, path, request, resource};

fn document(auth: &str) -> String {
    format!(
        r#"
connector: things
vars: {{ user: {{}}, secret: {{ secret: true }} }}
http:
  base_url: https://things.example/v1
  auth: {auth}
  headers: {{ X-Tenant: "t-${{secret}}", X-Plain: "${{user}}", Accept: application/vnd.things+json }}
resources:
  things: {{ id: $.id, get: "GET /things/{{id}}", create: POST /things }}
"#
    )
}

fn connector(auth: &str) -> RestConnector {
    connect(&document(auth), &[("THINGS_USER", "me&you"), ("THINGS_SECRET", "s3cret:1")])
}

fn get(connector: &RestConnector) -> Box<dyn bothways_connector::Exchange> {
    resource(connector, "things").start(Operation::Get { id: "1".into() }).expect("things can be read")
}

fn secret_of<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.secret_headers.iter().find(|(n, _)| n == name).map(|(_, secret)| secret.expose())
}

#[test]
fn credentials_go_where_the_document_says() {
    for (auth, name, value) in [
        ("{ bearer: \"${secret}\" }", "authorization", "Bearer s3cret:1"),
        // printf 'me&you:s3cret:1' | base64
        (
            "{ basic: { user: \"${user}\", password: \"${secret}\" } }",
            "authorization",
            "Basic bWUmeW91OnMzY3JldDox",
        ),
        ("{ header: { name: X-Api-Key, value: \"key ${secret}\" } }", "x-api-key", "key s3cret:1"),
    ] {
        let sent = request(get(&connector(auth)));
        assert_eq!(secret_of(&sent, name), Some(value), "{auth}");
        assert_eq!(secret_of(&sent, "x-tenant"), Some("t-s3cret:1"));
        assert_eq!(sent.header("x-plain"), Some("me&you"));
        assert_eq!(sent.header("accept"), Some("application/vnd.things+json"));
        let stored = serde_json::to_string(&sent).expect("requests can be stored");
        assert!(!stored.contains("s3cret"), "{stored}");
    }
    let sent = request(get(&connector("{ query: { name: key, value: \"${secret}\" } }")));
    assert_eq!(sent.url, "https://things.example/v1/things/1", "a credential is not part of what is stored");
    let [(name, secret)] = sent.secret_query.as_slice() else { panic!("one credential") };
    assert_eq!((name.as_str(), secret.expose()), ("key", "s3cret:1"));
    assert_eq!(
        request(get(&connector("none"))).secret_headers.len(),
        1,
        "only the header that holds a secret"
    );
}

const OAUTH: &str = "{ oauth2: { token_url: \"https://login.example/token\", client_id: \"${user}\", \
                     client_secret: \"${secret}\", scope: \"read write\" } }";

fn token(text: &str) -> Response {
    Response::json(200, &json!({"access_token": text, "token_type": "bearer", "expires_in": 3600}))
}

fn refused() -> Response {
    Response::json(401, &json!({"message": "expired"}))
}

fn thing() -> Response {
    Response::json(200, &json!({"id": "1"}))
}

#[test]
fn a_read_fetches_its_token_first_and_the_next_one_keeps_it() {
    let connector = connector(OAUTH);
    assert_eq!(connector.limits().token_origin.as_deref(), Some("https://login.example"));
    let mut reading = get(&connector);
    let asked = call(&mut reading, None);
    assert!(!asked.write);
    assert_eq!(asked.request.url, "https://login.example/token");
    assert_eq!(asked.request.body, b"grant_type=client_credentials&scope=read%20write");
    // printf 'me%%26you:s3cret%%3A1' | base64
    assert_eq!(secret_of(&asked.request, "authorization"), Some("Basic bWUlMjZ5b3U6czNjcmV0JTNBMQ=="));
    assert!(asked.request.header("x-plain").is_none(), "the service's headers are not the token's");
    let sent = call(&mut reading, Some(token("t1")));
    assert_eq!(secret_of(&sent.request, "authorization"), Some("Bearer t1"));
    assert!(matches!(end(&mut reading, thing()), Outcome::Record(_)));

    assert_eq!(secret_of(&request(get(&connector)), "authorization"), Some("Bearer t1"));
}

#[test]
fn a_refused_token_is_replaced_once() {
    let connector = connector(OAUTH);
    let mut first = get(&connector);
    call(&mut first, None);
    call(&mut first, Some(token("t1")));
    let mut second = get(&connector);
    call(&mut second, None);
    // Both are refused; one fetches, the other finds what the first one fetched.
    assert_eq!(call(&mut first, Some(refused())).request.url, "https://login.example/token");
    assert_eq!(secret_of(&call(&mut first, Some(token("t2"))).request, "authorization"), Some("Bearer t2"));
    assert_eq!(secret_of(&call(&mut second, Some(refused())).request, "authorization"), Some("Bearer t2"));
    assert!(matches!(end(&mut second, thing()), Outcome::Record(_)));
    let Outcome::Failed(failure) = end(&mut first, refused()) else { panic!("a second refusal is final") };
    assert_eq!(failure.class, ErrorClass::Auth);
}

#[test]
fn a_write_goes_out_first_and_again_only_after_a_refusal() {
    let connector = connector(OAUTH);
    let fields = vec![(path(&["name"]), json!("x"))];
    let create = Operation::Create { fields, key: "k".into() };
    let mut writing = resource(&connector, "things").start(create).expect("things can be made");
    let first = call(&mut writing, None);
    assert!(first.write, "an intent stores the first request");
    assert_eq!(secret_of(&first.request, "authorization"), None);
    assert_eq!(call(&mut writing, Some(refused())).request.url, "https://login.example/token");
    let again = call(&mut writing, Some(token("t1")));
    assert!(again.write);
    assert_eq!(secret_of(&again.request, "authorization"), Some("Bearer t1"));
    assert_eq!((&again.request.url, &again.request.body), (&first.request.url, &first.request.body));
    assert!(matches!(end(&mut writing, thing()), Outcome::Record(_)));
}

#[test]
fn no_token_is_an_error_of_its_own() {
    for (answer, class) in [
        (Response::json(400, &json!({"error": "invalid_client"})), ErrorClass::Auth),
        (Response::json(401, &json!({})), ErrorClass::Auth),
        (Response::json(429, &json!({})), ErrorClass::Throttle),
        (Response::json(503, &json!({})), ErrorClass::Retry),
        (Response::json(302, &json!({})), ErrorClass::Malformed),
        (Response::json(200, &json!({"access_token": ""})), ErrorClass::Malformed),
        (Response::json(200, &json!({"access_token": 1})), ErrorClass::Malformed),
        (Response { status: 200, headers: vec![], body: b"<html>".to_vec() }, ErrorClass::Malformed),
    ] {
        let mut reading = get(&connector(OAUTH));
        call(&mut reading, None);
        let Outcome::Failed(failure) = end(&mut reading, answer) else { panic!("there is no token") };
        assert_eq!(failure.class, class, "{failure}");
    }
}
