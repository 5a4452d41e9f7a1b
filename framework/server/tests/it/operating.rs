//! Operations: what waits for a person, history, health.

use crate::world::World;
use axum::http::StatusCode;
use bothways_server::{Server, Settings};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn conflicts_and_parked_work_are_listed_with_what_a_decision_needs() {
    let world = World::new().await;
    let link = world.link("1", "r1", &[("name", "Ada here", "Ada there")]).await.to_string();
    world.park("two records look like `somebody`").await;
    let items = world.call("GET", "/api/parked").send().await.json();
    let reasons: Vec<_> = items["items"].as_array().unwrap().iter().map(|i| i["reason"].clone()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.contains(&json!("conflict")) && reasons.contains(&json!("ambiguous")));
    let one = world.call("GET", &format!("/api/parked/{link}")).send().await.json();
    assert_eq!(one["fields"]["name"]["local"], "Ada here");
    assert_eq!(one["fields"]["name"]["remote"], "Ada there");
    assert!(!one["digest"].as_str().unwrap().is_empty());
    let only = world.call("GET", "/api/parked?reason=conflict").send().await.json();
    assert_eq!(only["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_decision_on_what_is_not_there_any_more_is_refused() {
    let world = World::new().await;
    let link = world.link("1", "r1", &[("name", "a", "b")]).await;
    let decide = |body| world.call("POST", &format!("/api/parked/{link}/resolve")).json(&body).send();
    let stale = decide(json!({ "keep": "local", "digest": "0123456789abcdef" })).await;
    assert_eq!((stale.status, stale.problem()), (StatusCode::CONFLICT, "refused".to_owned()));
    let blind = decide(json!({ "keep": "local" })).await;
    assert_eq!(blind.problem(), "malformed", "whoever decides says what they were shown");
    for unclear in [
        json!({ "digest": "d" }),
        json!({ "keep": "local", "delete": "carry", "digest": "d" }),
        json!({ "fields": {}, "digest": "d" }),
    ] {
        assert_eq!(decide(unclear.clone()).await.problem(), "malformed", "{unclear}");
    }
    for unknown in [
        json!({ "keep": "both", "digest": "d" }),
        json!({ "fields": { "name": "mine" }, "digest": "d" }),
        json!({ "choose": "local", "digest": "d" }),
    ] {
        assert_eq!(decide(unknown.clone()).await.status, StatusCode::BAD_REQUEST, "{unknown}");
    }
    let nobody = world.call("POST", "/api/parked/999/replay").send().await;
    assert_eq!(nobody.problem(), "not_found");
}

/// A misspelt key is not left out of account: `digset` must not approve whatever the plan is by now.
#[tokio::test]
async fn a_key_that_nobody_knows_is_refused() {
    let world = World::new().await;
    let digest = json!({ "digset": "0123" });
    let bodies = [
        ("/api/mappings/things/approve", &digest),
        ("/api/mappings/things/pause", &json!({ "raeson": "x" })),
        ("/api/mappings/things/link", &json!({ "local": "1", "remote": "r1", "force": true })),
        ("/api/revert", &json!({ "pass": "p", "dryrun": true })),
        ("/api/brakes/1/approve", &json!({ "count": 1, "digest": "d", "reason": "r", "untl": "x" })),
    ];
    for (path, body) in bodies {
        let answer = world.call("POST", path).json(body).send().await;
        let known = answer.status != StatusCode::NOT_FOUND;
        assert_eq!((answer.status, known), (StatusCode::BAD_REQUEST, true), "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("unknown field"), "{path}");
    }
    for query in ["/api/parked?reson=x", "/api/history?record=1", "/api/catalogs/things?search=a"] {
        let answer = world.call("GET", query).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn parked_work_is_replayed_or_dropped() {
    let world = World::new().await;
    world.park("two records look alike").await;
    let items = world.call("GET", "/api/parked").send().await.json();
    let id = items["items"][0]["id"].as_str().unwrap().to_owned();
    let dismiss = || world.call("POST", &format!("/api/parked/{id}/dismiss")).send();
    assert_eq!(dismiss().await.status, StatusCode::NO_CONTENT);
    assert_eq!(dismiss().await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.call("GET", "/api/parked").send().await.json(), json!({ "items": [] }));
}

#[tokio::test]
async fn history_is_paged_newest_first_and_filtered() {
    let world = World::new().await;
    for number in 1..=5 {
        world.wrote(if number == 3 { "7" } else { "8" }, &format!("name {number}"), "edited").await;
    }
    let page = async |query: &str| world.call("GET", &format!("/api/history?{query}")).send().await.json();
    let after = |page: &serde_json::Value| -> Vec<String> {
        let entries = page["entries"].as_array().unwrap();
        entries.iter().map(|e| e["fields"]["name"]["after"].as_str().unwrap().to_owned()).collect()
    };
    let first = page("limit=2").await;
    assert_eq!(after(&first), ["name 5", "name 4"]);
    let second = page(&format!("limit=2&before={}", first["next"])).await;
    assert_eq!(after(&second), ["name 3", "name 2"]);
    assert_eq!(after(&page("local_id=7").await), ["name 3"]);
    assert_eq!(after(&page("op=delete").await), [""; 0]);
    let bad = world.call("GET", "/api/history?op=explode").send().await;
    assert_eq!(bad.problem(), "malformed");
    let entry = &first["entries"][0];
    assert_eq!(
        (&entry["side"], &entry["op"], &entry["rules"]),
        (&json!("remote"), &json!("update"), &json!([9]))
    );
}

#[tokio::test]
async fn what_is_put_back_is_one_thing_that_is_known() {
    let world = World::new().await;
    let revert = |body| world.call("POST", "/api/revert").json(&body).send();
    for unclear in [json!({}), json!({ "pass": "p", "record": "1" }), json!({ "pass": "p", "entry": 7 })] {
        assert_eq!(revert(unclear.clone()).await.problem(), "malformed", "{unclear}");
    }
    assert_eq!(revert(json!({ "pass": "p" })).await.problem(), "not_found");
    assert_eq!(revert(json!({ "record": "1", "dry_run": true })).await.problem(), "not_found");
}

#[tokio::test]
async fn a_process_whose_links_need_a_connection_it_lacks_is_not_ready() {
    let world = World::new().await;
    world.pair().await;
    assert_eq!(world.request("GET", "/readyz").send().await.status, StatusCode::OK, "no links, no need");
    world.link("1", "r1", &[]).await;
    let answer = world.request("GET", "/readyz").send().await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"));
    let status = world.call("GET", "/api/status").send().await.json();
    assert_eq!(status["ready"], false);
    assert!(status["reasons"][0].as_str().unwrap().contains("`elsewhere`"), "{status}");
    assert_eq!(world.request("GET", "/healthz").send().await.text, "ok\n");
}

#[tokio::test]
async fn metrics_are_what_the_program_renders() {
    let world = World::build(|engine| {
        let settings = Settings::new("127.0.0.1:7171".parse().unwrap());
        let render = Arc::new(|| "bothways_up 1\n".to_owned());
        Server::with(engine, settings, Some(render), None)
    })
    .await;
    let answer = world.call("GET", "/metrics").send().await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "bothways_up 1\n"));
    assert_eq!(World::new().await.call("GET", "/metrics").send().await.problem(), "not_found");
}

#[tokio::test]
async fn what_names_nothing_is_not_found() {
    let world = World::new().await;
    for (method, path) in [
        ("POST", "/api/mappings/none/approve"),
        ("POST", "/api/mappings/none/resume"),
        ("POST", "/api/mappings/none/sync"),
        ("POST", "/api/links/none/unlink"),
        ("GET", "/api/explain/things/1"),
        ("GET", "/api/explain/none/1"),
        ("GET", "/api/nothing"),
    ] {
        assert_eq!(world.call(method, path).send().await.problem(), "not_found", "{method} {path}");
    }
    let wrong = world.call("DELETE", "/api/status").send().await;
    assert_eq!((wrong.status, wrong.problem()), (StatusCode::METHOD_NOT_ALLOWED, "method".to_owned()));
}

#[tokio::test]
async fn what_people_did_can_be_read() {
    let world = World::new().await;
    world.operations.pause(bothways_store::PauseScope::All, "<b>holiday</b>", "ada").await.unwrap();
    let audit = world.call("GET", "/api/audit?limit=1").send().await.json();
    let entry = &audit["entries"][0];
    assert_eq!((&entry["by"], &entry["action"]), (&json!("ada"), &json!("pause")));
    assert_eq!(entry["detail"]["reason"], "<b>holiday</b>");
    let page = world.browser().await.page("/audit").await;
    assert!(page.contains("<strong>ada</strong> pause") && !page.contains("<b>holiday"), "{page}");
}
