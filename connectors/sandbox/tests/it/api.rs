//! Customers, lists, events and the account, as the API shows them.

use crate::caller::Caller;
use bothways_connector_sandbox::{Config, RateLimit};
use bothways_model::{Method, Request};
use serde_json::json;

#[test]
fn a_customer_has_stripes_fields() {
    let mut c = Caller::new();
    let made = c.post("/v1/customers", "name=Ann&email=ann%40x.io&metadata[bothways]=u1&address[city]=Ulm");
    assert_eq!(made.status, 200);
    let id = made.id();
    assert!(id.starts_with("cus_") && id.len() == 18);
    assert_eq!(made.json["created"], 1_800_000_000);
    for (field, value) in [
        ("object", json!("customer")),
        ("name", json!("Ann")),
        ("email", json!("ann@x.io")),
        ("phone", json!(null)),
        ("livemode", json!(false)),
        ("balance", json!(0)),
        ("metadata", json!({"bothways": "u1"})),
        ("preferred_locales", json!([])),
        ("tax_exempt", json!("none")),
        (
            "address",
            json!({"city": "Ulm", "country": null, "line1": null, "line2": null, "postal_code": null, "state": null}),
        ),
    ] {
        assert_eq!(made.json[field], value, "{field}");
    }
    assert_eq!(c.get(&format!("/v1/customers/{id}")).json, made.json);
    assert!(made.response.header("request-id").is_some_and(|id| id.starts_with("req_")));
    assert_eq!(made.response.header("date"), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
}

#[test]
fn deleted_customers_stay_readable_and_nothing_else() {
    let mut c = Caller::new();
    let id = c.customer("email=a%40x.io");
    let path = format!("/v1/customers/{id}");
    let gone = json!({"id": id, "object": "customer", "deleted": true});
    assert_eq!(c.delete(&path).json, gone);
    let read = c.get(&path);
    assert_eq!((read.status, read.json), (200, gone));
    for answer in [c.post(&path, "name=x"), c.delete(&path), c.get("/v1/customers/cus_nope")] {
        assert_eq!(answer.status, 404);
        assert_eq!(answer.error("code"), "resource_missing");
        assert_eq!(answer.error("param"), "id");
        assert_eq!(answer.error("type"), "invalid_request_error");
    }
    assert!(c.get("/v1/customers").ids().is_empty());
    assert!(c.get("/v1/customers?email=a%40x.io").ids().is_empty());
}

#[test]
fn walking_all_pages_sees_each_customer_once_newest_first() {
    let mut c = Caller::new();
    let mut expected = Vec::new();
    for n in 0..25 {
        expected.insert(0, c.customer(&format!("name=c{n}")));
        if n % 3 == 0 {
            c.wait(1);
        }
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let page = c.get(&format!("/v1/customers?limit=7{after}"));
        assert_eq!(page.json["object"], "list");
        assert_eq!(page.json["url"], "/v1/customers");
        seen.extend(page.ids());
        if page.json["has_more"] != true {
            break;
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(c.get("/v1/customers").ids().len(), 10);
    let before = c.get(&format!("/v1/customers?limit=2&ending_before={}", expected[5]));
    assert_eq!(before.ids(), expected[3..5]);
    assert_eq!(before.json["has_more"], true);
}

#[test]
fn refusals_look_like_stripes() {
    let mut c = Caller::new();
    let id = c.customer("");
    for (method, path, body, status, code, param) in [
        (Method::Post, "/v1/customers", "bogus=1", 400, "parameter_unknown", "bogus"),
        (Method::Get, "/v1/customers?limit=101", "", 400, "", "limit"),
        (Method::Get, "/v1/customers?starting_after=cus_x", "", 400, "resource_missing", "starting_after"),
        (Method::Get, "/v1/customers?colour=red", "", 400, "parameter_unknown", "colour"),
        (Method::Get, "/v1/events/evt_x", "", 404, "resource_missing", "id"),
        (Method::Get, "/v1/things", "", 404, "", ""),
        (Method::Get, "/v1/customers/", "", 404, "", ""),
        (Method::Get, "/", "", 404, "", ""),
        (Method::Put, "/v1/customers", "", 404, "", ""),
    ] {
        let got = c.call(method, path, body, None);
        assert_eq!(got.status, status, "{path}");
        assert_eq!((got.error("code"), got.error("param")), (code, param), "{path}");
        assert!(!got.error("message").is_empty());
    }
    let long = format!("metadata[k]={}", "v".repeat(501));
    assert_eq!(c.post(&format!("/v1/customers/{id}"), &long).status, 400);
    assert_eq!(c.get(&format!("/v1/customers/{id}")).json["metadata"], json!({}));
}

#[test]
fn requests_without_a_test_key_are_refused() {
    let mut c = Caller::new();
    let open = Request::new(Method::Get, "http://sandbox.test/v1/customers");
    let live = open.clone().with_header("authorization", "Bearer sk_live_123456789012");
    for request in [open, live] {
        let response = c.send(&request).response().unwrap();
        assert_eq!(response.status, 401);
        assert!(!String::from_utf8(response.body).unwrap().contains("123456789012"));
    }
}

#[test]
fn events_tell_what_changed_and_who_caused_it() {
    let mut c = Caller::new();
    let id = c.customer("name=Ann&metadata[a]=1&metadata[b]=2");
    c.wait(1);
    let changed = c.call(
        Method::Post,
        &format!("/v1/customers/{id}"),
        "name=Eve&metadata[b]=3&metadata[c]=4&address[city]=Ulm",
        Some("key-1"),
    );
    c.post(&format!("/v1/customers/{id}"), "name=Eve");
    c.wait(1);
    let now = c.now;
    c.stripe.dashboard_update(&id, &json!({"phone": "+49", "metadata": null}), now).unwrap();
    c.delete(&format!("/v1/customers/{id}"));

    let events = c.get("/v1/events");
    let kinds: Vec<&str> =
        events.json["data"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["customer.deleted", "customer.updated", "customer.updated", "customer.created"]);

    let updated = &events.json["data"][2];
    assert_eq!(updated["data"]["object"]["name"], "Eve");
    assert_eq!(
        updated["data"]["previous_attributes"],
        json!({"address": null, "name": "Ann", "metadata": {"b": "2", "c": null}})
    );
    assert_eq!(updated["request"]["idempotency_key"], "key-1");
    assert_eq!(updated["request"]["id"].as_str(), changed.response.header("request-id"));
    assert_eq!(updated["created"], 1_800_000_001);
    assert_eq!(updated["pending_webhooks"], 0);

    let by_hand = &events.json["data"][1];
    assert_eq!(by_hand["request"], json!({"id": null, "idempotency_key": null}));
    assert_eq!(by_hand["data"]["previous_attributes"]["metadata"], json!({"a": "1", "b": "3", "c": "4"}));

    let created = &events.json["data"][3];
    assert!(created["data"].get("previous_attributes").is_none());
    assert_eq!(created["api_version"], "2025-09-30.clover");
    let one = c.get(&format!("/v1/events/{}", created["id"].as_str().unwrap()));
    assert_eq!(one.json, *created);
}

#[test]
fn events_are_filtered_and_kept_for_30_days() {
    let mut c = Caller::new();
    let id = c.customer("name=Ann");
    c.wait(10);
    c.post(&format!("/v1/customers/{id}"), "name=Eve");
    c.wait(10);
    c.delete(&format!("/v1/customers/{id}"));
    let count = |c: &mut Caller, query: &str| c.get(&format!("/v1/events?{query}")).ids().len();
    assert_eq!(count(&mut c, "type=customer.updated"), 1);
    assert_eq!(count(&mut c, "type=customer.*"), 3);
    assert_eq!(count(&mut c, "types[]=customer.created&types[]=customer.deleted"), 2);
    assert_eq!(count(&mut c, "types[0]=invoice.created"), 0);
    assert_eq!(count(&mut c, "created[gte]=1800000010"), 2);
    assert_eq!(count(&mut c, "created[gt]=1800000010&types[]=customer.deleted"), 1);
    let newest = c.get("/v1/events?limit=1").ids().remove(0);
    let rest = c.get(&format!("/v1/events?limit=1&starting_after={newest}"));
    assert_eq!((rest.ids().len(), &rest.json["has_more"]), (1, &json!(true)));
    let oldest = c.get("/v1/events").ids().pop().unwrap();
    assert_eq!(count(&mut c, &format!("ending_before={oldest}")), 2);
    let too_many: String = (0..21).map(|n| format!("types[]=a.b{n}&")).collect();
    assert_eq!(c.get(&format!("/v1/events?{too_many}")).status, 400);
    c.wait(30 * 86_400 - 5);
    assert_eq!(count(&mut c, ""), 1);
    assert_eq!(c.get(&format!("/v1/events/{oldest}")).status, 404);
    assert_eq!(c.get(&format!("/v1/events?starting_after={oldest}")).status, 400);
}

#[test]
fn the_account_is_configurable() {
    let mut c = Caller::with(Config { account: Some("acct_mine".into()), ..Config::default() });
    let account = c.get("/v1/account");
    assert_eq!(
        (account.json["id"].as_str(), account.json["object"].as_str()),
        (Some("acct_mine"), Some("account"))
    );
    assert_eq!(c.get("/v1/accounts/acct_mine").json, account.json);
    let ids = |seed| Caller::with(Config { seed, ..Config::default() }).get("/v1/account").id();
    assert_ne!(ids(1), ids(2));
}

#[test]
fn versions_are_echoed() {
    let mut c = Caller::new();
    assert_eq!(c.get("/v1/account").response.header("stripe-version"), Some("2025-09-30.clover"));
    let request =
        Caller::request(Method::Get, "/v1/account", "", None).with_header("Stripe-Version", "2024-06-20");
    let response = c.send(&request).response().unwrap();
    assert_eq!(response.header("stripe-version"), Some("2024-06-20"));
}

#[test]
fn the_rate_limit_answers_429_and_recovers() {
    let limit = RateLimit { per_second: 1.0, burst: 2.0 };
    let mut c = Caller::with(Config { rate_limit: Some(limit), ..Config::default() });
    let statuses: Vec<u16> = (0..3).map(|_| c.get("/v1/account").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let refused = c.get("/v1/account");
    assert_eq!(refused.response.header("retry-after"), Some("1"));
    assert_eq!(refused.error("code"), "rate_limit");
    c.wait(1);
    assert_eq!(c.get("/v1/account").status, 200);
}

#[test]
fn the_log_counts_effective_writes() {
    let mut c = Caller::new();
    let id = c.customer("name=Ann");
    let path = format!("/v1/customers/{id}");
    c.post(&path, "name=Ann");
    c.post(&path, "name=Eve");
    c.post(&path, "bogus=1");
    c.call(Method::Post, &path, "phone=1", Some("k"));
    c.call(Method::Post, &path, "phone=1", Some("k"));
    c.get(&path);
    let now = c.now;
    c.stripe.dashboard_update(&id, &json!({"name": "Zoe"}), now).unwrap();
    let counts = c.stripe.counts();
    assert_eq!((counts.requests, counts.reads, counts.writes), (7, 1, 6));
    assert_eq!((counts.effective_writes, counts.effective_creates), (3, 1));
    assert_eq!((counts.errors, counts.replays), (1, 1));
    let last_write = c.stripe.requests().rev().nth(1).unwrap();
    assert_eq!((last_write.replayed, last_write.executed, last_write.effective), (true, false, false));
    c.stripe.clear_requests();
    assert_eq!((c.stripe.counts().requests, c.stripe.requests().count()), (0, 0));
}

#[test]
fn one_seed_is_one_history() {
    let run = || {
        let mut c = Caller::new();
        let id = c.customer("name=Ann");
        c.post("/v1/webhook_endpoints", "url=http://127.0.0.1:1/&enabled_events[]=*");
        c.post(&format!("/v1/customers/{id}"), "name=Eve");
        let deliveries = c.stripe.due_deliveries(c.now);
        (c.get("/v1/events").response, c.get("/v1/customers").response, deliveries)
    };
    assert_eq!(run(), run());
}
