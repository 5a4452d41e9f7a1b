//! The shared suite against the sandbox, and what only Stripe does.

use bothways_connector::conformance::{Bench, check};
use bothways_connector::{
    Connector, Exchange, FieldWrites, Operation, Outcome, Resource, ResourceQuery, Step, StoredRequest,
    Unverified, WriteKind,
};
use bothways_connector_rest::RestConnector;
use bothways_connector_sandbox::{Action, Config, Fault, Stripe};
use bothways_model::{
    AccountId, ErrorClass, Failure, Mode, Request, Response, Segment, SingularPath, Timestamp,
};
use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::sync::Arc;

const BASE: &str = "http://127.0.0.1:1";

fn connector(secret: &str) -> RestConnector {
    let file = bothways_mapping::SourceFile::new(
        bothways_connector_stripe::DOCUMENT_NAME,
        bothways_connector_stripe::DOCUMENT,
    );
    let loaded = bothways_mapping::load(&[], &[file]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let lookup = |name: &str| {
        let value = match name {
            "STRIPE_API_KEY" => "sk_test_conformance",
            "STRIPE_BASE_URL" => BASE,
            "STRIPE_WEBHOOK_SECRET" => secret,
            _ => return None,
        };
        Some(value.to_owned())
    };
    let resolved =
        project.connectors["stripe"].resolve(&"stripe".into(), &lookup).expect("all variables are set");
    bothways_connector_stripe::connector(resolved).expect("the base URL is one")
}

fn customers(connector: &RestConnector) -> Arc<dyn Resource> {
    let query = ResourceQuery { name: "customers".into(), ..ResourceQuery::default() };
    connector.resource(&query).expect("the document has customers")
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000, 0).expect("a moment")
}

fn path(names: &[&str]) -> SingularPath {
    SingularPath(names.iter().map(|n| Segment::Name((*n).into())).collect())
}

/// One exchange against a sandbox; `None` if its connection was dropped.
fn run(stripe: &mut Stripe, mut exchange: Box<dyn Exchange>) -> Option<Outcome> {
    let mut answer = None;
    loop {
        match exchange.next(answer.take()) {
            Step::Done(outcome) => return Some(outcome),
            Step::Call(call) => answer = Some(stripe.handle(&call.request, now()).response()?),
            Step::Renew(_) => panic!("Stripe has no tokens"),
        }
    }
}

fn failed(outcome: Option<Outcome>) -> Failure {
    match outcome {
        Some(Outcome::Failed(failure)) => failure,
        other => panic!("ended in {other:?}"),
    }
}

fn create(resource: &dyn Resource, email: &str, key: &str) -> Box<dyn Exchange> {
    let fields = vec![(path(&["email"]), json!(email))];
    resource.start(Operation::Create { fields, key: key.into() }).expect("Stripe can create customers")
}

/// Makes the sandbox deliver to an endpoint, and says its secret.
fn endpoint(stripe: &mut Stripe) -> String {
    let mut request = Request::new(bothways_model::Method::Post, format!("{BASE}/v1/webhook_endpoints"))
        .with_header("content-type", "application/x-www-form-urlencoded");
    request
        .secret_headers
        .push(("authorization".into(), bothways_model::Secret::new("Bearer sk_test_conformance")));
    request.body = b"url=https://hooks.example/&enabled_events[0]=*".to_vec();
    let answer = stripe.handle(&request, now()).response().expect("an answer");
    let endpoint: Json = serde_json::from_slice(&answer.body).expect("JSON");
    endpoint["secret"].as_str().unwrap_or_else(|| panic!("no secret in {endpoint}")).to_owned()
}

#[test]
fn customers_conform() {
    let mut stripe = Stripe::new(Config::default());
    let secret = endpoint(&mut stripe);
    // During a rotation there are two; the old one is still accepted.
    let connector = connector(&format!("whsec_of_tomorrow,{secret}"));
    let stripe = RefCell::new(stripe);
    check(Bench {
        connector: &connector,
        resource: ResourceQuery { name: "customers".into(), ..ResourceQuery::default() },
        send: &mut |request| stripe.borrow_mut().handle(request, now()).response(),
        deliveries: Some(&mut || {
            let due = stripe.borrow_mut().due_deliveries(now() + TimeDelta::minutes(1));
            due.into_iter().map(|d| Unverified { headers: d.headers, body: d.body }).collect()
        }),
        now: now(),
        records: 230,
        record: &|n| {
            vec![
                (path(&["email"]), json!(format!("ann+{n}&co=%@exämple.com"))),
                (path(&["name"]), json!(format!("Ann “{n}” O'Hara & Söhne = 100%"))),
                (path(&["metadata", "bothways"]), json!(format!("0190-{n}"))),
                (path(&["address", "line1"]), json!("1 High St; Flat #2")),
            ]
        },
        change: vec![
            (path(&["phone"]), json!("+1 555 0100")),
            (path(&["name"]), Json::Null),
            (path(&["metadata", "note"]), json!("a=b&c[d]")),
        ],
    });
}

#[test]
fn the_account_and_its_mode() {
    let mut stripe = Stripe::new(Config { account: Some("acct_1".into()), ..Config::default() });
    let connector = connector("");
    let asked = || connector.account().expect("Stripe has an account call");
    let known = Outcome::Account { id: Some(AccountId("acct_1".into())), mode: Mode::Test };
    assert_eq!(run(&mut stripe, asked()), Some(known));
    stripe.inject(Fault::next(Action::Forbidden403));
    let unknown = Outcome::Account { id: None, mode: Mode::Test };
    assert_eq!(run(&mut stripe, asked()), Some(unknown));
    assert!(connector.webhook().is_none(), "without a secret there is no webhook");
}

#[test]
fn a_lock_slows_nothing_down() {
    let limits = connector("").limits().clone();
    assert_eq!(limits.throttling.code, path(&["error", "code"]));
    assert_eq!(limits.throttling.codes.get("lock_timeout"), Some(&false), "{:?}", limits.throttling);
    assert_eq!((limits.origin.as_str(), limits.origin_from_operator), (BASE, true));
}

#[test]
fn errors_mean_what_stripe_says() {
    let mut stripe = Stripe::new(Config::default());
    let connector = connector("");
    let customers = customers(&connector);
    for (fault, class, wait) in [
        (Action::RateLimited429 { retry_after: 3 }, ErrorClass::Throttle, Some(3000)),
        (Action::LockTimeout429, ErrorClass::Retry, None),
        (Action::KeyInUse409, ErrorClass::Retry, None),
        (Action::Unauthorized401, ErrorClass::Auth, None),
        (Action::Forbidden403, ErrorClass::Forbidden, None),
        (Action::Error500, ErrorClass::Retry, None),
        (Action::Unavailable503, ErrorClass::Retry, None),
        (Action::HtmlBody, ErrorClass::Malformed, None),
        (Action::TruncatedBody, ErrorClass::Malformed, None),
    ] {
        stripe.inject(Fault::next(fault.clone()));
        let failure =
            failed(run(&mut stripe, create(&*customers, "a@x.io", &format!("key-{}", fault.kind()))));
        assert_eq!((failure.class, failure.retry_after_ms), (class, wait), "{fault:?}: {failure}");
        assert!(!failure.replayed, "{fault:?}: {failure}");
    }
    let bad = Operation::Create { fields: vec![(path(&["no_such_field"]), json!("x"))], key: "k".into() };
    let failure = failed(run(&mut stripe, customers.start(bad).expect("it is sent")));
    assert_eq!(failure.class, ErrorClass::Invalid);
    assert_eq!(failure.code.as_deref(), Some("parameter_unknown"));
    assert!(failure.message.contains("no_such_field"), "{failure}");
}

#[test]
fn a_saved_error_is_told_from_a_new_one() {
    let mut stripe = Stripe::new(Config::default());
    let connector = connector("");
    let customers = customers(&connector);
    stripe.inject(Fault::next(Action::SavedError500 { executed: true }));
    let first = failed(run(&mut stripe, create(&*customers, "a@x.io", "k")));
    assert!(first.is_uncertain() && !first.replayed, "{first}");
    let again = failed(run(&mut stripe, create(&*customers, "a@x.io", "k")));
    assert!(again.is_uncertain() && again.replayed, "{again}");
    assert_eq!(stripe.customer_count(), 1);
}

#[test]
fn a_lost_create_is_sent_again_from_its_stored_bytes() {
    let mut stripe = Stripe::new(Config::default());
    let connector = connector("");
    let customers = customers(&connector);
    stripe.inject(Fault::next(Action::LostAnswer));
    let mut exchange = create(&*customers, "a@x.io", "k");
    let Step::Call(call) = exchange.next(None) else { panic!("a create begins with a call") };
    assert!(stripe.handle(&call.request, now()).response().is_none());
    let stored = StoredRequest { kind: WriteKind::Create, id: None, request: call.request };
    let text = serde_json::to_string(&stored).expect("writes can be stored");
    let stored: StoredRequest = serde_json::from_str(&text).expect("and read");
    let Some(Outcome::Record(seen)) = run(&mut stripe, customers.resume(stored)) else { panic!("no record") };
    assert_eq!(stripe.customer_count(), 1);
    assert_eq!(stripe.customer(seen.id.as_str()).expect("it is there")["email"], "a@x.io");
}

#[test]
fn requests_are_what_stripe_documents() {
    let connector = connector("");
    let customers = customers(&connector);
    let sent = |operation: Operation| {
        let mut exchange = customers.start(operation).expect("Stripe can do that");
        match exchange.next(None) {
            Step::Call(call) => call.request,
            step => panic!("begins with {step:?}"),
        }
    };
    let fields: FieldWrites = vec![
        (path(&["email"]), json!("a+b@x.io")),
        (path(&["phone"]), Json::Null),
        (path(&["metadata", "bothways"]), json!("0190")),
    ];
    let request =
        sent(Operation::Update { id: "cus_1".into(), fields, key: "k1".into(), seen: None, version: None });
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.url, format!("{BASE}/v1/customers/cus_1"));
    assert_eq!(String::from_utf8_lossy(&request.body), "email=a%2Bb%40x.io&phone=&metadata[bothways]=0190");
    assert_eq!(request.header("idempotency-key"), Some("k1"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(request.header("stripe-version").is_some());
    let [(name, secret)] = request.secret_headers.as_slice() else { panic!("one credential") };
    assert_eq!((name.as_str(), secret.expose()), ("authorization", "Bearer sk_test_conformance"));

    let since = now();
    let recover = sent(Operation::Recover { since, page: None });
    assert_eq!(recover.url, format!("{BASE}/v1/customers?created[gte]=1795000000&limit=100"));
    let find = sent(Operation::Find { path: path(&["email"]), value: "a+b@x.io".into() });
    assert_eq!(find.url, format!("{BASE}/v1/customers?email=a%2Bb%40x.io&limit=100"));
    let query = bothways_connector::FeedQuery {
        since,
        types: vec!["customer.created".into(), "customer.updated".into()],
        page: None,
    };
    let mut exchange = connector.feed().expect("Stripe has a feed").start(&query);
    let Step::Call(call) = exchange.next(None) else { panic!("a feed begins with a call") };
    assert_eq!(
        call.request.url,
        format!(
            "{BASE}/v1/events?types[]=customer.created&types[]=customer.updated&created[gte]=1795000000&limit=100"
        )
    );
}

#[test]
fn a_refused_page_cursor_starts_the_walk_anew() {
    let connector = connector("");
    let customers = customers(&connector);
    let mut stripe = Stripe::new(Config::default());
    for n in 0..101 {
        run(&mut stripe, create(&*customers, &format!("{n}@x.io"), &format!("k{n}")));
    }
    let first = customers.start(Operation::List { page: None }).expect("Stripe can list");
    let Some(Outcome::Page(page)) = run(&mut stripe, first) else { panic!("no page") };
    assert_eq!(page.items.len(), 100);
    assert!(page.date.is_some(), "the service's clock is in each page");
    // Another account knows nothing of this cursor.
    let mut other = Stripe::new(Config { seed: 1, ..Config::default() });
    let second = customers.start(Operation::List { page: page.next }).expect("Stripe can list");
    assert_eq!(failed(run(&mut other, second)).class, ErrorClass::Expired);
}

#[test]
fn an_answer_of_another_shape_proves_nothing() {
    let connector = connector("");
    let customers = customers(&connector);
    let answered = |operation: Operation, body: Json| {
        let mut exchange = customers.start(operation).expect("Stripe can do that");
        exchange.next(None);
        match exchange.next(Some(Response::json(200, &body))) {
            Step::Done(outcome) => outcome,
            step => panic!("goes on with {step:?}"),
        }
    };
    let merged = answered(Operation::Get { id: "cus_1".into() }, json!({"id": "cus_2", "email": "a@x.io"}));
    let Outcome::Record(seen) = merged else { panic!("no record") };
    assert_eq!(seen.id.as_str(), "cus_2", "a merge is for the engine to see");
    let gone = answered(Operation::Get { id: "cus_1".into() }, json!({"id": "cus_1", "deleted": true}));
    assert!(matches!(gone, Outcome::Record(seen) if seen.gone));
    for body in [
        json!({"object": "list"}),
        json!({"data": {}}),
        json!({"data": [{"email": "x"}], "has_more": false}),
        json!({"data": [], "has_more": true}),
        json!([]),
        json!({"error": {"message": "no"}}),
    ] {
        let outcome = answered(Operation::List { page: None }, body.clone());
        assert!(
            matches!(&outcome, Outcome::Failed(f) if f.class == ErrorClass::Malformed),
            "{body}: {outcome:?}"
        );
    }
}
