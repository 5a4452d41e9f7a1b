//! Idempotency keys: replay, mismatch, what is saved and for how long.

use crate::caller::Caller;
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::Method::{Delete, Get, Post};

#[test]
fn a_repeated_key_gives_the_first_answer_again() {
    let mut c = Caller::new();
    let first = c.call(Post, "/v1/customers", "name=Ann&email=a%40x.io", Some("k"));
    c.post(&format!("/v1/customers/{}", first.id()), "name=Eve");
    let again = c.call(Post, "/v1/customers", "email=a%40x.io&name=Ann", Some("k"));
    assert_eq!((again.status, &again.json), (200, &first.json));
    assert_eq!(again.response.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.response.header("original-request"), first.response.header("request-id"));
    assert_ne!(again.response.header("request-id"), first.response.header("request-id"));
    assert_eq!(first.response.header("idempotent-replayed"), None);
    assert_eq!(c.stripe.customer_count(), 1);
}

#[test]
fn a_key_belongs_to_its_parameters_and_its_path() {
    let mut c = Caller::new();
    let id = c.call(Post, "/v1/customers", "name=Ann", Some("k")).id();
    for (path, body) in
        [("/v1/customers".to_owned(), "name=Eve"), (format!("/v1/customers/{id}"), "name=Ann")]
    {
        let other = c.call(Post, &path, body, Some("k"));
        assert_eq!((other.status, other.error("type")), (400, "idempotency_error"), "{path}");
    }
    assert_eq!(c.stripe.customer_count(), 1);
    assert_eq!(c.call(Post, "/v1/customers", "", Some(&"k".repeat(256))).status, 400);
}

#[test]
fn keys_are_forgotten_after_a_day() {
    let mut c = Caller::new();
    let first = c.call(Post, "/v1/customers", "name=Ann", Some("k")).id();
    c.wait(86_400 - 1);
    assert_eq!(c.call(Post, "/v1/customers", "name=Ann", Some("k")).id(), first);
    c.wait(1);
    assert_ne!(c.call(Post, "/v1/customers", "name=Ann", Some("k")).id(), first);
    assert_eq!(c.stripe.customer_count(), 2);
}

#[test]
fn refusals_before_execution_are_not_saved() {
    let mut c = Caller::new();
    assert_eq!(c.call(Post, "/v1/customers", "email=nobody", Some("a")).status, 400);
    assert_eq!(c.call(Post, "/v1/customers", "email=a%40x.io", Some("a")).status, 200);
    for action in [
        Action::RateLimited429 { retry_after: 1 },
        Action::LockTimeout429,
        Action::KeyInUse409,
        Action::Unauthorized401,
        Action::Unavailable503,
        Action::Error500,
    ] {
        let key = action.kind();
        c.stripe.inject(Fault::next(action));
        assert!(c.call(Post, "/v1/customers", "", Some(key)).status >= 400, "{key}");
        let second = c.call(Post, "/v1/customers", "", Some(key));
        assert_eq!((second.status, second.response.header("idempotent-replayed")), (200, None), "{key}");
    }
}

#[test]
fn answers_of_endpoints_are_saved_even_when_they_are_errors() {
    let mut c = Caller::new();
    let id = c.customer("");
    c.delete(&format!("/v1/customers/{id}"));
    let path = format!("/v1/customers/{id}");
    assert_eq!(c.call(Post, &path, "name=x", Some("gone")).status, 404);
    let again = c.call(Post, &path, "name=x", Some("gone"));
    assert_eq!((again.status, again.response.header("idempotent-replayed")), (404, Some("true")));

    for (executed, made) in [(true, 1), (false, 0)] {
        let mut c = Caller::new();
        c.stripe.inject(Fault::next(Action::SavedError500 { executed }).on(Post, "/v1/customers"));
        for replayed in [None, Some("true"), Some("true")] {
            let got = c.call(Post, "/v1/customers", "name=Ann", Some("k"));
            assert_eq!((got.status, got.error("type")), (500, "api_error"));
            assert_eq!(got.response.header("idempotent-replayed"), replayed);
        }
        assert_eq!(c.stripe.customer_count(), made);
        assert_eq!(c.stripe.events().len(), made);
        assert_eq!(c.stripe.counts().effective_writes, made as u64);
        c.wait(86_400);
        assert_eq!(c.call(Post, "/v1/customers", "name=Ann", Some("k")).status, 200);
    }
}

#[test]
fn only_post_knows_keys() {
    let mut c = Caller::new();
    let id = c.customer("");
    let path = format!("/v1/customers/{id}");
    assert_eq!(c.call(Get, &path, "", Some("k")).json["name"], serde_json::Value::Null);
    c.post(&path, "name=Ann");
    assert_eq!(c.call(Get, &path, "", Some("k")).json["name"], "Ann");
    assert_eq!(c.call(Delete, &path, "", Some("d")).status, 200);
    assert_eq!(c.call(Delete, &path, "", Some("d")).status, 404);
}
