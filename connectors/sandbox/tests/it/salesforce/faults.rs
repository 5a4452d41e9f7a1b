//! Each kind of fault does what it says and is counted; and the allowance of requests.

use super::caller::Caller;
use bothways_connector_sandbox::Answer;
use bothways_connector_sandbox::salesforce::{Action, Config, Fault};
use bothways_model::Method::{Get, Patch, Post};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_lost_request_was_never_executed_and_a_lost_answer_was() {
    for (action, made) in [(Action::LostRequest, 0), (Action::LostAnswer, 1), (Action::Duplicate, 2)] {
        let mut c = Caller::new();
        let kind = action.kind();
        c.org.inject(Fault::next(action).on(Post, "/services/data/v62.0/sobjects/Contact"));
        let request = c.request(Post, "/sobjects/Contact", &json!({ "LastName": "Lee" }));
        let is_dropped = c.answer(&request) == Answer::Dropped;
        assert_eq!((c.org.record_count("Contact"), is_dropped), (made, kind != "duplicate"), "{kind}");
        assert_eq!(c.org.fired()[kind], 1);
    }
}

#[test]
fn an_upsert_is_safe_to_repeat_after_any_of_them() {
    for action in [
        Action::LostRequest,
        Action::LostAnswer,
        Action::Duplicate,
        Action::LateRequest { delay_ms: Some(5_000) },
    ] {
        let mut c = Caller::new();
        c.inject(action);
        let request = c.request(Patch, "/sobjects/Contact/Bothways_Id__c/1", &json!({ "LastName": "Lee" }));
        c.answer(&request);
        assert!(c.send(&request).status < 300);
        c.wait(6);
        assert_eq!((c.query("SELECT Id FROM Contact").column("Id").len(), c.org.late_requests()), (1, 0));
    }
}

#[test]
fn a_late_request_lands_when_it_is_due_or_released() {
    let mut c = Caller::new();
    let path = format!("/sobjects/Contact/{}", c.contact("A"));
    c.inject(Action::LateRequest { delay_ms: Some(5_000) });
    let request = c.request(Patch, &path, &json!({ "LastName": "B" }));
    assert_eq!(c.answer(&request), Answer::Dropped);
    assert_eq!(c.org.next_due(), Some(c.now + chrono::TimeDelta::seconds(5)));
    c.patch(&path, json!({ "LastName": "C" }));
    assert_eq!(c.get(&path).json["LastName"], "C");
    c.wait(5);
    assert_eq!(c.get(&path).json["LastName"], "B");
    c.inject(Action::LateRequest { delay_ms: None });
    c.answer(&request);
    let now = c.now;
    assert_eq!((c.org.release_late(now), c.org.late_requests()), (1, 0));
}

#[test]
fn refusals_are_salesforces() {
    let mut c = Caller::new();
    for (action, status, code) in [
        (Action::Error500, 500, "UNKNOWN_EXCEPTION"),
        (Action::Unavailable503, 503, "SERVER_UNAVAILABLE"),
        (Action::InvalidSession401, 401, "INVALID_SESSION_ID"),
        (Action::Forbidden403, 403, "INSUFFICIENT_ACCESS"),
        (Action::RequestLimit403, 403, "REQUEST_LIMIT_EXCEEDED"),
    ] {
        let kind = action.kind();
        c.inject(action);
        let got = c.post("/sobjects/Contact", json!({ "LastName": "Lee" }));
        assert_eq!((got.error(), c.org.fired()[kind]), ((status, code), 1));
    }
    assert_eq!(c.org.record_count("Contact"), 0);
}

#[test]
fn answers_can_be_slow_cut_or_not_json_at_all() {
    let mut c = Caller::new();
    let request = c.request(Post, "/sobjects/Contact", &json!({ "LastName": "Lee" }));
    c.inject(Action::SlowAnswer { millis: 1_500 });
    let wait = Duration::from_millis(1_500);
    assert!(
        matches!(c.answer(&request), Answer::Slow(response, after) if response.status == 201 && after == wait)
    );
    c.inject(Action::TruncatedBody);
    let cut = c.send(&request);
    assert_eq!((cut.status, &cut.json), (201, &Value::Null));
    c.inject(Action::HtmlBody);
    let page = c.send(&request);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html"));
    assert_eq!(c.org.record_count("Contact"), 2);
}

#[test]
fn flows_and_triggers_rewrite_what_the_api_writes() {
    let mut c = Caller::new();
    c.org.inject(Fault::always(Action::LowerCases { field: "Email".into() }));
    c.org.inject(Fault::always(Action::Automation { field: "Title".into(), value: json!("VIP") }));
    c.org.inject(Fault::always(Action::ValidationRule { field: "Fax".into() }));
    let id = c.contact_with(json!({ "LastName": "Lee", "Email": "Ann@X.io", "Title": "plain" }));
    let path = format!("/sobjects/Contact/{id}");
    let read = c.get(&path).json;
    assert_eq!((&read["Email"], &read["Title"]), (&json!("ann@x.io"), &json!("VIP")));
    // A person's edit runs no flow of ours, and accounts have no title.
    c.org.dashboard_update(&id, &json!({ "Title": "by hand" }), c.now).expect("edited");
    assert_eq!(c.get(&path).json["Title"], "by hand");
    c.account("Acme");
    let refused = c.post("/sobjects/Account", json!({ "Name": "Acme", "Fax": "1" }));
    assert_eq!(
        (refused.error(), &refused.json[0]["fields"]),
        ((400, "FIELD_CUSTOM_VALIDATION_EXCEPTION"), &json!(["Fax"]))
    );
    let fired = c.org.fired();
    assert_eq!((fired["lower_cases"], fired["automation"], fired["validation_rule"]), (1, 1, 1));
}

#[test]
fn every_answer_tells_how_the_allowance_stands() {
    let mut c = Caller::with(Config { daily_requests: 3, ..Config::default() });
    assert_eq!(c.query("SELECT Id FROM Contact").header("sforce-limit-info"), "api-usage=1/3");
    assert_eq!(c.get("/sobjects/Contact/nope").header("sforce-limit-info"), "api-usage=2/3");
    let limits = c.get("/limits");
    assert_eq!(limits.json["DailyApiRequests"], json!({ "Max": 3, "Remaining": 0 }));
    let over = c.query("SELECT Id FROM Contact");
    assert_eq!(
        (over.error(), over.header("sforce-limit-info")),
        ((403, "REQUEST_LIMIT_EXCEEDED"), "api-usage=3/3")
    );
    c.wait(86_400);
    c.log_in();
    assert_eq!(c.query("SELECT Id FROM Contact").header("sforce-limit-info"), "api-usage=1/3");
}

#[test]
fn the_service_describes_itself() {
    let mut c = Caller::new();
    let versions = c.send(&Caller::plain(Get, "/services/data", "")).json;
    assert!(versions.as_array().expect("versions").iter().any(|v| v["url"] == "/services/data/v62.0"));
    assert_eq!(c.get("").json["query"], "/services/data/v62.0/query");
    let objects = c.get("/sobjects").json;
    assert!(objects["sobjects"].as_array().expect("objects").iter().any(|o| o["keyPrefix"] == "003"));
    let fields = c.get("/sobjects/Contact/describe").json;
    let field =
        |name: &str| fields["fields"].as_array().expect("fields").iter().find(|f| f["name"] == name).cloned();
    let key = field("Bothways_Id__c").expect("the stamp");
    assert_eq!(
        (&key["externalId"], &key["unique"], &key["custom"]),
        (&json!(true), &json!(true), &json!(true))
    );
    let account = field("AccountId").expect("a reference");
    assert_eq!(
        (&account["referenceTo"], &account["relationshipName"]),
        (&json!(["Account"]), &json!("Account"))
    );
    for path in [
        "/services/data/v12.0/query",
        "/services/data/latest/query",
        "/services/apexrest/x",
        "/services/oauth2/x",
    ] {
        assert_eq!(c.send(&Caller::plain(Get, path, "")).status / 100, 4, "{path}");
    }
}

#[test]
fn faults_have_a_json_form() {
    let text = r#"{"event":"Contact.update","nth":2,"action":{"kind":"late_visible","seconds":5}}"#;
    let fault: Fault = serde_json::from_str(text).expect("a fault");
    assert_eq!(
        fault,
        Fault::next(Action::LateVisible { seconds: 5, untold: false }).on_event("Contact.update").nth(2)
    );
    let keys = [
        json!({}),
        json!({ "delay_ms": 1 }),
        json!({ "millis": 1 }),
        json!({ "seconds": 1 }),
        json!({ "field": "Email" }),
        json!({ "field": "Email", "value": null }),
        json!({ "object": "Contact" }),
        json!({ "code": "STRING_TOO_LONG" }),
    ];
    for kind in Action::KINDS {
        let read = keys.iter().find_map(|keys| {
            let mut action = keys.clone();
            action["kind"] = kind.into();
            serde_json::from_value::<Action>(action).ok()
        });
        assert_eq!(read.map(|action| action.kind()), Some(kind));
    }
    assert!(serde_json::from_str::<Fault>(r#"{"action":{"kind":"earthquake"}}"#).is_err());
}
