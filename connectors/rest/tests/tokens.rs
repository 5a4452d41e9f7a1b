//! Credentials: where they go, and how tokens are fetched, kept and replaced.

mod support;

use bothways_connector::{Connector, Grant, Login, Operation, Outcome};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, Request, Response, Secret};
use serde_json::json;
use support::{call, connect, end, path, renew, renewal, request, resource, token_request};

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

/// The body of a request for a token, which is secret as a whole.
fn body_of(request: &Request) -> &str {
    assert!(request.body.is_empty(), "what is secret is not in what may be stored");
    request.secret_body.as_ref().map(|body| body.expose()).unwrap_or_default()
}

fn refused() -> Response {
    Response::json(401, &json!({"message": "expired"}))
}

fn thing() -> Response {
    Response::json(200, &json!({"id": "1"}))
}

#[test]
fn a_read_asks_for_its_token_first_and_the_next_one_keeps_it() {
    let connector = connector(OAUTH);
    assert_eq!(connector.limits().token_origin.as_deref(), Some("https://login.example"));
    let mut reading = get(&connector);
    let asked = renewal(&mut reading, None);
    assert_eq!((asked.used, asked.tokens.first()), (None, None), "what never changes is not stored");
    let request = token_request(&asked, None);
    assert_eq!(request.url, "https://login.example/token");
    assert_eq!(body_of(&request), "grant_type=client_credentials&scope=read%20write");
    // printf 'me%%26you:s3cret%%3A1' | base64
    assert_eq!(secret_of(&request, "authorization"), Some("Basic bWUlMjZ5b3U6czNjcmV0JTNBMQ=="));
    assert!(request.header("x-plain").is_none(), "the service's headers are not the token's");
    renew(&asked, "t1");
    assert_eq!(secret_of(&call(&mut reading, None).request, "authorization"), Some("Bearer t1"));
    assert!(matches!(end(&mut reading, thing()), Outcome::Record(_)));

    assert_eq!(secret_of(&self::request(get(&connector)), "authorization"), Some("Bearer t1"));
}

#[test]
fn the_client_names_itself_where_the_document_says() {
    let connector = connector(&OAUTH.replace(", scope:", ", client_auth: body, scope:"));
    let request = token_request(&renewal(&mut get(&connector), None), None);
    let body = "grant_type=client_credentials&scope=read%20write&client_id=me%26you&client_secret=s3cret%3A1";
    assert_eq!(body_of(&request), body);
    assert!(request.secret_headers.is_empty());
    assert!(!format!("{request:?}").contains("s3cret"), "{request:?}");
}

#[test]
fn a_refused_token_is_replaced_once() {
    let connector = connector(OAUTH);
    let mut first = get(&connector);
    renew(&renewal(&mut first, None), "t1");
    call(&mut first, None);
    let mut second = get(&connector);
    call(&mut second, None);
    // Both are refused; one asks for another, the other finds what the first one got.
    let asked = renewal(&mut first, Some(refused()));
    assert_eq!(asked.used, Some(0));
    renew(&asked, "t2");
    assert_eq!(secret_of(&call(&mut first, None).request, "authorization"), Some("Bearer t2"));
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
    renew(&renewal(&mut writing, Some(refused())), "t1");
    let again = call(&mut writing, None);
    assert!(again.write);
    assert_eq!(secret_of(&again.request, "authorization"), Some("Bearer t1"));
    assert_eq!((&again.request.url, &again.request.body), (&first.request.url, &first.request.body));
    assert!(matches!(end(&mut writing, thing()), Outcome::Record(_)));
}

#[test]
fn a_refresh_token_is_replaced_where_the_service_replaces_it() {
    let rotating = OAUTH.replace("client_secret:", "refresh_token: \"${secret}\", client_secret:");
    let connector = connector(&rotating);
    let asked = renewal(&mut get(&connector), None);
    assert_eq!(asked.tokens.first().expect("these are stored").expose(), "s3cret:1");
    let asks = |kept: Option<&Grant>| body_of(&token_request(&asked, kept)).to_owned();
    assert_eq!(asks(None), "grant_type=refresh_token&refresh_token=s3cret%3A1");
    let read = |refresh: serde_json::Value, kept: Option<&Grant>| {
        let answer = Response::json(200, &json!({"access_token": "t1", "refresh_token": refresh}));
        asked.tokens.read(&answer, kept).expect("there is a token")
    };
    let replaced = read(json!("r2"), None);
    assert_eq!(replaced.refresh.as_ref().expect("a refresh token").expose(), "r2");
    assert_eq!(asks(Some(&replaced)), "grant_type=refresh_token&refresh_token=r2");
    assert_eq!(
        read(json!(null), Some(&replaced)).refresh,
        replaced.refresh,
        "it stays where it is not replaced"
    );
    assert_eq!(read(json!(null), None).refresh.expect("the first one").expose(), "s3cret:1");
    assert!(asked.tokens.remedy().contains("THINGS_SECRET"), "{}", asked.tokens.remedy());
}

#[test]
fn no_token_is_an_error_of_its_own() {
    let connector = connector(OAUTH);
    let asked = renewal(&mut get(&connector), None);
    for (answer, class) in [
        (Response::json(400, &json!({"error": "invalid_client"})), ErrorClass::Auth),
        (Response::json(401, &json!({})), ErrorClass::Auth),
        (Response::json(200, &json!({"error": "bad_refresh_token"})), ErrorClass::Auth),
        (Response::json(200, &json!({"ok": false, "error": "invalid_grant"})), ErrorClass::Auth),
        (Response::json(429, &json!({})), ErrorClass::Throttle),
        (Response::json(503, &json!({})), ErrorClass::Retry),
        (Response::json(302, &json!({})), ErrorClass::Malformed),
        (Response::json(200, &json!({"access_token": ""})), ErrorClass::Malformed),
        (Response::json(200, &json!({"access_token": 1})), ErrorClass::Malformed),
        (Response { status: 200, headers: vec![], body: b"<html>".to_vec() }, ErrorClass::Malformed),
    ] {
        let failure = asked.tokens.read(&answer, None).expect_err("there is no token");
        assert_eq!(failure.class, class, "{failure}");
    }
    // What the service says beside its word may quote what was sent.
    let talkative = Response::json(400, &json!({"error": "invalid_grant", "error_description": "s3cret:1"}));
    let failure = asked.tokens.read(&talkative, None).expect_err("there is no token");
    assert_eq!(failure.code.as_deref(), Some("invalid_grant"));
    assert!(!failure.to_string().contains("s3cret"), "{failure}");
}

#[test]
fn a_person_lets_a_client_in_and_what_comes_of_it_is_kept() {
    let asked_of_people = OAUTH.replace(
        "client_secret:",
        "authorize_url: \"https://login.example/authorize?tenant=1\", client_secret:",
    );
    let connector = connector(&asked_of_people);
    let tokens = connector.tokens().expect("tokens");
    // The pair of RFC 7636, appendix B.
    let login = Login {
        redirect: "http://127.0.0.1:7/callback".into(),
        state: "st&te".into(),
        verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    };
    assert_eq!(
        tokens.login_url(&login).expect("somebody has to log in"),
        "https://login.example/authorize?tenant=1&response_type=code&client_id=me%26you\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A7%2Fcallback&state=st%26te\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&scope=read%20write"
    );
    let request = tokens.redeem(&login, &Secret::new("c/1"));
    assert_eq!(request.url, "https://login.example/token");
    assert_eq!(
        body_of(&request),
        "grant_type=authorization_code&code=c%2F1&redirect_uri=http%3A%2F%2F127.0.0.1%3A7%2Fcallback\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    assert_eq!(secret_of(&request, "authorization"), Some("Basic bWUlMjZ5b3U6czNjcmV0JTNBMQ=="));
    let now = chrono::DateTime::from_timestamp(1_795_000_000, 0).expect("a moment");
    let nobody = tokens.request(None, now).expect_err("nobody has logged in");
    assert!(nobody.message.contains("`bothways login things`"), "{nobody}");
    let alone = Grant { access: Secret::new("a"), refresh: None };
    let unrenewable = tokens.request(Some(&alone), now).expect_err("there is nothing to renew it with");
    assert!(unrenewable.message.contains("`bothways login things`"), "{unrenewable}");
    assert!(!unrenewable.message.contains("nobody has logged in"), "{unrenewable}");
    let answer = |body| tokens.read(&Response::json(200, &body), None).expect("a token");
    let grant = answer(json!({"access_token": "a", "refresh_token": "r"}));
    assert_eq!(
        body_of(&tokens.request(Some(&grant), now).expect("a request")),
        "grant_type=refresh_token&refresh_token=r"
    );
    assert_eq!(answer(json!({"access_token": "a"})).refresh, None, "nothing that lasts");
    assert_eq!(self::connector(OAUTH).tokens().expect("tokens").login_url(&login), None);
}
