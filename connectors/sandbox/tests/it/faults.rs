//! Each kind of fault does what it says and is counted.

use crate::caller::Caller;
use bothways_connector_sandbox::{Action, Answer, Fault};
use bothways_model::Method::{Get, Post};
use serde_json::{Value, json};
use std::time::Duration;

fn send(c: &mut Caller, body: &str, key: &str) -> Answer {
    let request = Caller::request(Post, "/v1/customers", body, Some(key));
    c.send(&request)
}

fn inject(c: &mut Caller, action: Action) {
    c.stripe.inject(Fault::next(action));
}

#[test]
fn a_lost_request_was_never_executed_and_a_lost_answer_was() {
    for (action, made) in [(Action::LostRequest, 0), (Action::LostAnswer, 1)] {
        let mut c = Caller::new();
        let kind = action.kind();
        inject(&mut c, action);
        assert_eq!(send(&mut c, "name=Ann", "k"), Answer::Dropped);
        assert_eq!(c.stripe.customer_count(), made, "{kind}");
        assert_eq!(c.stripe.counts().effective_writes, made as u64);
        assert_eq!(c.call(Post, "/v1/customers", "name=Ann", Some("k")).status, 200);
        assert_eq!(c.stripe.customer_count(), 1, "{kind}");
        assert_eq!(c.stripe.fired()[kind], 1);
    }
}

#[test]
fn a_late_request_lands_after_its_delay_or_when_released() {
    let mut c = Caller::new();
    let id = c.customer("name=A");
    let path = format!("/v1/customers/{id}");
    inject(&mut c, Action::LateRequest { delay_ms: Some(5_000) });
    assert_eq!(c.send(&Caller::request(Post, &path, "name=B", Some("b"))), Answer::Dropped);
    c.post(&path, "name=C");
    assert_eq!(c.stripe.next_due(), Some(c.now + chrono::TimeDelta::seconds(5)));
    c.wait(4);
    assert_eq!(c.get(&path).json["name"], "C");
    c.wait(1);
    assert_eq!(c.get(&path).json["name"], "B");
    assert_eq!(c.stripe.late_requests(), 0);

    inject(&mut c, Action::LateRequest { delay_ms: None });
    c.send(&Caller::request(Post, &path, "name=D", None));
    c.wait(100_000);
    assert_eq!(c.get(&path).json["name"], "B");
    let now = c.now;
    assert_eq!(c.stripe.release_late(now), 1);
    assert_eq!(c.get(&path).json["name"], "D");
}

#[test]
fn a_late_create_does_nothing_once_its_key_was_used() {
    let mut c = Caller::new();
    inject(&mut c, Action::LateRequest { delay_ms: Some(1_000) });
    assert_eq!(send(&mut c, "name=Ann", "k"), Answer::Dropped);
    assert_eq!(c.call(Post, "/v1/customers", "name=Ann", Some("k")).status, 200);
    c.wait(2);
    c.get("/v1/account");
    assert_eq!(c.stripe.customer_count(), 1);
}

#[test]
fn a_key_is_in_use_until_its_request_is_executed() {
    let mut c = Caller::new();
    inject(&mut c, Action::Unfinished { delay_ms: Some(5_000) });
    assert_eq!(send(&mut c, "name=Ann", "k"), Answer::Dropped);
    let busy = c.call(Post, "/v1/customers", "name=Ann", Some("k"));
    assert_eq!((busy.status, &busy.json["error"]["code"]), (409, &"idempotency_key_in_use".into()));
    assert_eq!(c.stripe.customer_count(), 0);
    c.wait(5);
    let again = c.call(Post, "/v1/customers", "name=Ann", Some("k"));
    assert_eq!((again.status, c.stripe.customer_count()), (200, 1));
    assert_eq!(c.stripe.fired()["unfinished"], 1);
}

#[test]
fn a_duplicate_is_harmless_only_with_a_key() {
    for (key, made) in [(Some("k"), 1), (None, 2)] {
        let mut c = Caller::new();
        inject(&mut c, Action::Duplicate);
        assert_eq!(c.call(Post, "/v1/customers", "name=Ann", key).status, 200);
        assert_eq!(c.stripe.customer_count(), made);
    }
}

#[test]
fn refusals_carry_stripes_headers() {
    let mut c = Caller::new();
    for (action, status, code, headers) in [
        (Action::Unavailable503, 503, "", vec![]),
        (Action::Unauthorized401, 401, "", vec![]),
        (Action::Forbidden403, 403, "more_permissions_required_for_application", vec![]),
        (Action::RateLimited429 { retry_after: 7 }, 429, "rate_limit", vec![("retry-after", "7")]),
        (Action::LockTimeout429, 429, "lock_timeout", vec![("stripe-should-retry", "true")]),
        (Action::KeyInUse409, 409, "idempotency_key_in_use", vec![]),
    ] {
        let kind = action.kind();
        inject(&mut c, action);
        let got = c.call(Post, "/v1/customers", "name=Ann", None);
        assert_eq!((got.status, got.error("code")), (status, code), "{kind}");
        for (name, value) in headers {
            assert_eq!(got.response.header(name), Some(value), "{kind}");
        }
        assert!(got.response.header("request-id").is_some());
        assert_eq!(c.stripe.fired()[kind], 1);
    }
    assert_eq!(c.stripe.customer_count(), 0);
}

#[test]
fn answers_can_be_slow_cut_or_not_json_at_all() {
    let mut c = Caller::new();
    inject(&mut c, Action::SlowAnswer { millis: 1_500 });
    let slow = send(&mut c, "name=Ann", "a");
    assert!(matches!(slow, Answer::Slow(response, Duration { .. }) if response.status == 200));
    inject(&mut c, Action::TruncatedBody);
    let cut = c.call(Post, "/v1/customers", "name=Eve", None);
    assert_eq!((cut.status, &cut.json), (200, &Value::Null));
    assert!(cut.response.body.starts_with(b"{\"id\":\"cus_"));
    inject(&mut c, Action::HtmlBody);
    let page = c.call(Post, "/v1/customers", "name=Zoe", None);
    assert_eq!((page.status, page.response.header("content-type")), (200, Some("text/html")));
    assert_eq!(c.stripe.customer_count(), 2);
}

#[test]
fn the_remote_normalises_and_automates() {
    let mut c = Caller::new();
    c.stripe.inject(Fault::always(Action::LowerCases { field: "email".into() }));
    let field = "description".to_owned();
    c.stripe.inject(Fault::next(Action::Automation { field, value: json!("VIP") }).on(Post, "/v1/customers"));
    let made = c.post("/v1/customers", "email=Ann%40X.io&description=plain");
    assert_eq!((&made.json["email"], &made.json["description"]), (&json!("ann@x.io"), &json!("plain")));
    let id = made.id();
    assert_eq!(c.get(&format!("/v1/customers/{id}")).json["description"], "VIP");
    let newest = c.get("/v1/events?limit=1");
    assert_eq!(newest.json["data"][0]["request"]["id"], Value::Null);
    assert_eq!(newest.json["data"][0]["data"]["previous_attributes"], json!({"description": "plain"}));
    c.post(&format!("/v1/customers/{id}"), "email=ann%40x.io");
    assert_eq!((c.stripe.fired()["lower_cases"], c.stripe.fired()["automation"]), (1, 1));
    assert_eq!(c.stripe.counts().effective_writes, 1);
}

#[test]
fn lists_lag_empty_repeat_and_skip() {
    let mut c = Caller::new();
    let old = c.customer("email=a%40x.io");
    c.wait(100);
    let mut all = vec![c.customer(""), old.clone()];
    all.insert(0, c.customer(""));
    inject(&mut c, Action::StaleList { seconds: 60 });
    c.get("/v1/events");
    assert_eq!(c.get("/v1/customers").ids(), [old.as_str()]);
    assert_eq!(c.get("/v1/customers").ids(), all);
    inject(&mut c, Action::EmptyList);
    let empty = c.get("/v1/customers?limit=1");
    assert_eq!((empty.status, empty.ids().len(), &empty.json["has_more"]), (200, 0, &json!(false)));
    inject(&mut c, Action::PageRepeated);
    let first = c.get("/v1/customers?limit=1").ids();
    assert_eq!(c.get(&format!("/v1/customers?limit=1&starting_after={}", first[0])).ids(), first);
    inject(&mut c, Action::PageSkipped);
    assert_eq!(c.get(&format!("/v1/customers?limit=1&starting_after={}", first[0])).ids(), all[2..]);
    for kind in ["stale_list", "empty_list", "page_repeated", "page_skipped"] {
        assert_eq!(c.stripe.fired()[kind], 1, "{kind}");
    }
}

#[test]
fn shrunken_permissions_hide_a_field_everywhere() {
    let mut c = Caller::new();
    let id = c.customer("email=a%40x.io&name=Ann");
    c.stripe.inject(Fault::always(Action::HiddenField { field: "email".into() }));
    for (path, pointer) in [
        (format!("/v1/customers/{id}"), ""),
        ("/v1/customers".to_owned(), "/data/0"),
        ("/v1/events".to_owned(), "/data/0/data/object"),
    ] {
        let json = c.get(&path).json;
        let customer = json.pointer(pointer).unwrap();
        assert_eq!((customer.get("email"), &customer["name"]), (None, &json!("Ann")), "{path}");
    }
    c.stripe.clear_faults();
    assert_eq!(c.get(&format!("/v1/customers/{id}")).json["email"], "a@x.io");
}

#[test]
fn another_account_has_records_of_its_own() {
    let mut c = Caller::new();
    let (mine, account) = (c.customer("name=Ann"), c.get("/v1/account").id());
    c.stripe.inject(Fault::always(Action::OtherAccount));
    assert_ne!(c.get("/v1/account").id(), account);
    assert_eq!(c.get(&format!("/v1/customers/{mine}")).status, 404);
    c.customer("name=Eve");
    c.stripe.clear_faults();
    assert_eq!(c.get("/v1/customers").ids(), [mine]);
}

#[test]
fn faults_have_a_json_form() {
    let text =
        r#"{"method":"POST","path":"/v1/customers","nth":2,"action":{"kind":"late_request","delay_ms":5}}"#;
    let fault: Fault = serde_json::from_str(text).unwrap();
    let expected = Fault::next(Action::LateRequest { delay_ms: Some(5) }).on(Post, "/v1/customers").nth(2);
    assert_eq!(fault, expected);
    assert_eq!(serde_json::from_str::<Fault>(&serde_json::to_string(&fault).unwrap()).unwrap(), fault);
    for bad in [
        r#"{"action":{"kind":"earthquake"}}"#,
        r#"{"acton":{"kind":"lost_answer"}}"#,
        r#"{"action":{"kind":"slow_answer","ms":1}}"#,
    ] {
        assert!(serde_json::from_str::<Fault>(bad).is_err(), "{bad}");
    }
    let mut c = Caller::new();
    c.stripe.inject(fault);
    assert_eq!(c.call(Get, "/v1/customers", "", None).status, 200);
    assert_eq!(c.stripe.faults().len(), 1);
}
