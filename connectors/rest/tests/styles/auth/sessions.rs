//! Services that want a login before anything else and give a session token for it.
//!
//! Odoo and Zabbix answer it in the body; SAP Business One, Metabase and Magento take user and password as JSON; Jira's and CouchDB's
//! older sessions take a form; Redfish and vCenter answer with a header of their own. Some of them end a session when the next one begins.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, conforms};
use crate::support::{call, connect, end, renewal, resource, token_request};
use bothways_connector::{Operation, Outcome, Renewal};
use bothways_model::{ErrorClass, Method, Request, Response};
use serde_json::{Value as Json, json};

const VARS: [(&str, &str); 2] = [("DEPOT_USER", "sync"), ("DEPOT_PASSWORD", "o\"pen & close")];

fn document(login: &str, errors: &str) -> String {
    format!(
        r#"
connector: depot
vars: {{ user: {{}}, password: {{ secret: true }} }}
http:
  base_url: https://depot.example/api
  auth: {{ login: {login} }}
  errors: {errors}
lists: {{ items: $.things, pages: {{ offset: {{ query: skip }} }} }}
resources:
  things:{CALLS}
    list: GET /things
"#
    )
}

const JSON: &str = r#"{ call: POST /session, json: { login: { name: "${user}", password: "${password}" } }, token: $.session.token }"#;
const FORM: &str = r#"{ call: POST /session?kind=short, form: { name: "${user}", password: "${password}", grant: password }, token: { header: X-Session }, header: { name: X-Session, value: "{token}" } }"#;
const BASIC: &str = r#"{ call: POST /session, basic: { user: "${user}", password: "${password}" }, token: $, header: { name: Cookie, value: "sid={token}" } }"#;

/// The service: one session at a time, each good for a few calls.
#[derive(Default)]
struct Depot {
    shelf: Shelf,
    sessions: usize,
    calls: usize,
    /// How a refused session is told.
    refusal: Option<Response>,
}

impl Depot {
    fn answer(&mut self, request: &Request) -> Response {
        if request.url.starts_with("https://depot.example/api/session") {
            return self.login(request);
        }
        let session = format!("s-{}", self.sessions);
        let carried = request.secret_headers.iter().find_map(|(name, value)| match name.as_str() {
            "authorization" => value.expose().strip_prefix("Bearer "),
            "x-session" => Some(value.expose()),
            "cookie" => value.expose().strip_prefix("sid="),
            _ => None,
        });
        self.calls += 1;
        if carried != Some(&session) || self.calls > 5 {
            return self.refusal.clone().unwrap_or_else(|| Response::json(401, &json!({})));
        }
        let mut asked = Asked::read(request);
        asked.path.remove(0);
        match asked.call() {
            (Method::Get, path) if path == ["things"] => {
                let skip = asked.query.get("skip").and_then(|n| n.parse().ok()).unwrap_or(0);
                Response::json(200, &json!({"things": self.shelf.some(skip, 3)}))
            }
            _ => self.shelf.answer(&asked),
        }
    }

    fn login(&mut self, request: &Request) -> Response {
        assert!(request.body.is_empty(), "what is secret is not in what may be stored");
        let body = request.secret_body.as_ref().map(|body| body.expose()).unwrap_or_default();
        let (name, password) = match request.header("content-type") {
            Some("application/json") => {
                let body: Json = serde_json::from_str(body).expect("bodies are JSON");
                let text = |at: &str| body["login"][at].as_str().unwrap_or_default().to_owned();
                (text("name"), text("password"))
            }
            Some("application/x-www-form-urlencoded") => {
                assert!(request.url.ends_with("?kind=short"), "{}", request.url);
                let field = |name: &str| {
                    let mut pairs = url::form_urlencoded::parse(body.as_bytes());
                    pairs.find(|(n, _)| n == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
                };
                assert_eq!(field("grant"), "password");
                (field("name"), field("password"))
            }
            _ => {
                let basic = request.secret_headers.iter().find(|(name, _)| name == "authorization");
                // printf 'sync:o"pen & close' | base64
                assert_eq!(basic.map(|(_, v)| v.expose()), Some("Basic c3luYzpvInBlbiAmIGNsb3Nl"));
                (VARS[0].1.to_owned(), VARS[1].1.to_owned())
            }
        };
        if (name.as_str(), password.as_str()) != (VARS[0].1, VARS[1].1) {
            return Response::json(403, &json!({}));
        }
        self.sessions += 1;
        self.calls = 0;
        let token = format!("s-{}", self.sessions);
        match request.header("content-type") {
            Some("application/json") => Response::json(201, &json!({"session": {"token": token}})),
            Some(_) => Response { status: 204, headers: Vec::new(), body: Vec::new() }
                .with_header("X-Session", token),
            None => Response::json(200, &json!(token)),
        }
    }
}

fn conform(login: &str, errors: &str, refusal: Option<Response>) {
    let mut depot = Depot { refusal, ..Depot::default() };
    conforms(&document(login, errors), &VARS, "things", script(), &mut |request| depot.answer(request));
    assert!(depot.sessions > 5, "sessions end, and others follow: {}", depot.sessions);
}

#[test]
fn a_json_login_and_a_bearer_token() {
    conform(JSON, "{}", None);
}

#[test]
fn a_form_login_and_headers_of_the_services_own() {
    conform(FORM, "{}", None);
}

#[test]
fn a_basic_login_and_a_cookie() {
    conform(BASIC, "{}", None);
}

#[test]
fn an_end_of_session_that_is_told_by_a_code() {
    let refusal = Response::json(400, &json!({"code": "SESSION_ENDED"}));
    conform(JSON, "{ code: $.code, codes: { SESSION_ENDED: auth } }", Some(refusal));
}

#[test]
fn workers_that_want_a_session_at_once_share_one() {
    let connector = connect(&document(JSON, "{}"), &VARS);
    let mut depot = Depot::default();
    depot.shelf.things.push(json!({"id": "t1"}));
    let things = resource(&connector, "things");
    let read = || things.start(Operation::Get { id: "t1".into() }).expect("things can be read");
    let mut workers: Vec<_> = (0..4).map(|_| read()).collect();
    let mut log_in = |asked: &Renewal| {
        let answer = depot.answer(&token_request(asked, None));
        let grant = asked.tokens.read(&answer, None).expect("a session");
        asked.tokens.install(&grant, asked.used.map_or(0, |used| used + 1));
    };
    // Nobody has a token. Whoever runs exchanges lets one ask for it; the others go on with what that one got.
    let asked: Vec<_> = workers.iter_mut().map(|worker| renewal(worker, None)).collect();
    assert!(asked.iter().all(|one| one.used.is_none()));
    log_in(&asked[0]);
    assert!(asked.iter().all(|one| one.tokens.in_use() == Some(0)));
    let sent: Vec<_> = workers.iter_mut().map(|worker| call(worker, None).request).collect();
    // All are refused; one renews, and the refusals of the others prove nothing against what it got.
    let refusal = || Response::json(401, &json!({}));
    log_in(&renewal(&mut workers[3], Some(refusal())));
    for worker in &mut workers[..3] {
        let again = call(worker, Some(refusal())).request;
        assert_ne!(again.secret_headers, sent[0].secret_headers);
        assert!(matches!(end(worker, depot.answer(&again)), Outcome::Record(_)));
    }
    assert_eq!(depot.sessions, 2);
}

#[test]
fn a_login_that_gives_nothing_is_an_error_of_its_own() {
    let connector = connect(&document(JSON, "{}"), &VARS);
    let things = resource(&connector, "things");
    let mut reading = things.start(Operation::Get { id: "t1".into() }).expect("things can be read");
    let asked = renewal(&mut reading, None);
    for (answer, class) in [
        (Response::json(403, &json!({})), ErrorClass::Auth),
        (Response::json(503, &json!({})), ErrorClass::Retry),
        (Response::json(200, &json!({"session": {}})), ErrorClass::Malformed),
        (Response::json(200, &json!({"session": {"token": ""}})), ErrorClass::Malformed),
        (Response::json(200, &json!({"session": {"token": "a\r\nb"}})), ErrorClass::Malformed),
        (Response::json(200, &json!({"session": {"token": ["x"]}})), ErrorClass::Malformed),
    ] {
        let failure = asked.tokens.read(&answer, None).expect_err("there is no token");
        assert_eq!(failure.class, class, "{failure}");
    }
}
