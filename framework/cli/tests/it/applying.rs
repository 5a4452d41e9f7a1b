//! Saved plans, changed mappings and undo on the command line.

use crate::shop::{MAPPING, Shop, until};
use reqwest::Method;
use serde_json::{Value as Json, json};

/// A row and a record that are alone.
async fn two() -> Shop {
    let shop = Shop::with_table().await;
    shop.sql("INSERT INTO customers (name, email) VALUES ('Ada', 'ada@example.com')").await;
    shop.customer("Edsger", "edsger@example.com");
    shop
}

#[tokio::test]
async fn a_saved_plan_is_applied_exactly_once_and_can_be_put_back() {
    let shop = two().await;
    let refused = shop.run(&["plan", "--out", "plan.jsonl"]).await.ended(2);
    assert!(refused.err.contains("--values"), "nothing keys the hashes yet: {refused:?}");
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["plan", "--out", "plan.jsonl"]).await.ended(0);
    let text = std::fs::read_to_string(shop.path("plan.jsonl")).expect("saved");
    assert!(!text.contains("example.com") && text.lines().count() == 4, "{text}");
    shop.sql("INSERT INTO customers (name, email) VALUES ('Later', 'later@example.com')").await;

    let cut = text.lines().take(3).map(|line| format!("{line}\n")).collect::<String>();
    shop.write("cut.jsonl", &cut);
    shop.write("edited.jsonl", &text.replacen("create_remote", "create_local", 1));
    for (file, why) in [("cut.jsonl", "ends early"), ("edited.jsonl", "edited")] {
        let refused = shop.run(&["apply", file]).await.ended(1);
        assert!(refused.err.contains(why), "{refused:?}");
    }
    assert_eq!(shop.remote_writes(), 0);

    let applied = shop.run(&["apply", "plan.jsonl", "--format", "json"]).await.ended(0).json_lines();
    let report = &applied.last().expect("a report")["applied"];
    assert_eq!((&report["items"], &report["done"], &report["stale"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(shop.remote_writes(), 1, "the later row is not the plan's");
    let again = shop.run(&["apply", "plan.jsonl", "--format", "json"]).await.ended(0).json_lines();
    assert_eq!(again.last().expect("a report")["applied"]["already"], 2);
    assert_eq!(shop.remote_writes(), 1);

    let id = report["id"].as_str().expect("an id");
    let would = shop.run(&["revert", "--pass", id, "--dry-run", "--format", "json"]).await.json_lines();
    assert_eq!(would.last().expect("totals")["totals"]["reverted"], 1, "{would:?}");
    let done = shop.run(&["revert", "--pass", id]).await.ended(1);
    assert!(done.out.contains("put back") && done.out.contains("refused"), "{done:?}");
    let history = shop.run(&["history", "--pass", id, "--format", "json"]).await.ended(0).json();
    assert_eq!(history.as_array().map(Vec::len), Some(2), "{history}");
}

#[tokio::test]
async fn a_change_of_the_mapping_is_held_until_its_digest_is_approved() {
    let shop = two().await;
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    shop.write(
        "mappings/stripe-customers.yaml",
        &MAPPING.replace("phone: $.phone", "phone: { remote: $.phone, direction: in }"),
    );
    let status = shop.run(&["status"]).await.ended(1);
    assert!(
        status.out.contains("changed") && status.err.contains("direction both was approved"),
        "{status:?}"
    );
    shop.sql("UPDATE customers SET phone = '+1' WHERE name = 'Ada'").await;
    let ran = shop.run(&["sync"]).await.ended(1);
    assert!(ran.err.contains("changed since its plan was approved"), "{ran:?}");
    assert_eq!(shop.remote_writes(), 2, "the old direction goes on");
    let refused = shop.run(&["approve"]).await.ended(1);
    assert!(refused.err.contains("--digest"), "{refused:?}");
    shop.run(&["approve", "--digest", "0000"]).await.ended(1);
    let plan = shop.run(&["plan", "--format", "json"]).await.json_lines();
    let digest = plan.last().expect("totals")["totals"]["digest"].as_str().expect("a digest").to_owned();
    shop.run(&["approve", "--digest", &digest]).await.ended(0);
    shop.sql("UPDATE customers SET phone = '+2' WHERE name = 'Ada'").await;
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.remote_writes(), 2, "one way in, once approved");
}

#[tokio::test]
async fn explain_names_intents_decisions_and_lines() {
    let shop = two().await;
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    let explained = shop.run(&["explain", "1", "--format", "json"]).await.ended(0).json();
    let one = &explained[0];
    assert_eq!(one["intents"][0]["state"], "confirmed");
    assert!(one["intents"][0]["sent_at"].is_string());
    let line = |json: &Json| json.as_str().is_some_and(|line| line.contains("stripe-customers.yaml:7:"));
    assert!(line(&one["history"][0]["lines"]["name"]), "{}", one["history"]);
    assert!(
        one["events"].as_array().is_some_and(Vec::is_empty),
        "without a feed and webhooks nothing is told"
    );
    let text = shop.run(&["explain", "1"]).await.ended(0);
    for heading in ["DECIDED BY", "REMOTE BASE", "told by the service"] {
        assert!(text.out.contains(heading), "{heading}: {text:?}");
    }
}

/// Sends a request to a running engine.
async fn call(method: Method, url: &str, token: &str, media: &str, body: &str) -> (u16, String) {
    let request =
        reqwest::Client::new().request(method, url).bearer_auth(token).header("content-type", media);
    let answer = request.body(body.to_owned()).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn plans_are_made_applied_approved_and_put_back_over_http() {
    const JSON: &str = "application/json";
    const LINES: &str = "application/x-ndjson";
    let shop = two().await;
    shop.run(&["migrate"]).await.ended(0);
    let engine = shop.start(&[]);
    engine.says("ready").await;
    let base = engine.base("page ");
    let mapping = format!("{base}/api/mappings/stripe-customers");
    let of = async |scope: &str| {
        shop.run(&["token", "new", scope, "--scope", scope]).await.ended(0).out.trim().to_owned()
    };
    let (token, read, operate) = (of("admin").await, of("read").await, of("operate").await);

    let (status, file) = call(Method::GET, &format!("{mapping}/plan"), &read, JSON, "").await;
    assert_eq!((status, file.lines().count()), (200, 4), "{file}");
    assert!(!file.contains("example.com"), "no values unless asked for: {file}");
    let (_, shown) = call(Method::GET, &format!("{mapping}/plan?values=true"), &read, JSON, "").await;
    assert!(shown.contains("edsger@example.com"), "{shown}");

    let apply = format!("{mapping}/apply");
    for (who, media, body, expected) in [
        (&read, LINES, file.as_str(), 403),
        (&operate, LINES, file.as_str(), 403),
        (&token, JSON, file.as_str(), 415),
        (&token, LINES, "", 409),
        (&token, LINES, &file[..file.len() - 10], 409),
    ] {
        let (status, text) = call(Method::POST, &apply, who, media, body).await;
        assert_eq!(status, expected, "{text}");
    }
    shop.sql("UPDATE customers SET name = 'Ada Lovelace'").await;
    let (status, text) = call(Method::POST, &apply, &token, LINES, &file).await;
    let report: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &report["done"], &report["stale"]), (200, &json!(1), &json!(1)), "{text}");
    assert_eq!(report["listed"][0]["outcome"], "stale");
    assert_eq!(shop.remote_writes(), 0, "the row has changed since");

    let revert = format!("{base}/api/revert");
    let what = json!({ "pass": report["id"], "dry_run": true }).to_string();
    let (status, text) = call(Method::POST, &revert, &operate, JSON, &what).await;
    assert_eq!(status, 200, "{text}");

    let approve = format!("{mapping}/approve");
    let stale = json!({ "digest": "0123" }).to_string();
    assert_eq!(call(Method::POST, &approve, &token, JSON, &stale).await.0, 409);
    let (_, plan) = call(Method::GET, &format!("{mapping}/plan"), &read, JSON, "").await;
    let end: Json = serde_json::from_str(plan.lines().last().expect("an end")).expect("JSON");
    let digest = json!({ "digest": end["end"]["totals"]["digest"] }).to_string();
    assert_eq!(call(Method::POST, &approve, &operate, JSON, &digest).await.0, 403);
    let (status, text) = call(Method::POST, &approve, &token, JSON, &digest).await;
    assert_eq!(status, 204, "{text}");
    until("the row appears there", async || shop.remote("ada@example.com", "id")).await;
    let (_, explained) = call(Method::GET, &format!("{base}/api/explain/customers/1"), &read, JSON, "").await;
    let one: Json = serde_json::from_str(&explained).expect("JSON");
    assert_eq!(one[0]["intents"][0]["kind"], "create", "{one}");
    assert!(one[0]["fields"][0]["line"].as_str().is_some_and(|line| line.contains(".yaml:")), "{one}");
    assert_eq!(engine.stop().await, 0);
}
