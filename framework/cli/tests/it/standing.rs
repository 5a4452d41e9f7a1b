//! What `status` says beyond counts: what the last full pass found (rule 54), and how much of a day's calls is used (rule 47).

use crate::service::serve;
use crate::shop::{DESK_MAPPING, Shop};
use bothways_connector_sandbox::{Action, Fault};
use chrono::TimeDelta;
use serde_json::json;

#[tokio::test]
async fn events_that_are_lost_are_an_alarm_until_a_pass_finds_nothing_more() {
    let shop = Shop::with_table().await;
    // Long ago, so that no event of its making is read again and told of it.
    let fields = json!({ "name": "Grace", "email": "grace@example.com" });
    let sandbox = shop.stripe.sandbox();
    let made = sandbox.with(|stripe, now| stripe.dashboard_create(&fields, now - TimeDelta::days(1)));
    let id = made.expect("created")["id"].as_str().expect("an id").to_owned();
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    sandbox.with(|stripe, _| stripe.inject(Fault::next(Action::EventNotGenerated)));
    shop.rename(&id, "Grace Hopper");
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.sql("SELECT name FROM customers").await.as_deref(), Some("Grace Hopper"));
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    let drift = &status["mappings"][0]["drift"];
    assert_eq!((&drift["alert"], &drift["drifted"], &drift["missing"]), (&json!(true), &json!(1), &json!(0)));
    let told = shop.run(&["status"]).await.ended(1);
    let alarm = "the last full pass found 1 records that differed and 0 rows that were gone";
    assert!(told.err.contains(alarm) && told.err.contains("some are being lost"), "{told:?}");

    shop.run(&["sync"]).await.ended(0);
    let calm = shop.run(&["status"]).await.ended(0);
    assert!(calm.err.contains("stripe-customers: last full pass: nothing differed\n"), "{calm:?}");
}

#[tokio::test]
async fn the_calls_of_the_day_and_what_they_keep_from_going_out_are_told() {
    let (address, serving) = serve(|_| {
        let used = ("x-calls", "850/1000".to_owned());
        (200, vec![used], json!({ "items": [] }))
    })
    .await;
    let mut shop = Shop::with_table().await;
    shop.write(
        "mappings/desk.yaml",
        r#"connector: desk
vars: { url: {} }
http: { base_url: "${url}", rate: { used: { header: X-Calls, format: "{used}/{limit}" } } }
lists: { items: $.items }
resources:
  people: { id: $.id, list: GET /people, get: "GET /people/{id}", update: "PATCH /people/{id}" }
"#,
    );
    shop.write("mappings/desk-people.yaml", DESK_MAPPING);
    std::fs::remove_file(shop.path("mappings/stripe-customers.yaml")).expect("removed");
    shop.set("DESK_URL", Some(&address));
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await;
    let told = shop.run(&["status"]).await;
    let used = "desk-people: desk: 850 of the day's 1000 calls are used: reading in bulk has stopped\n";
    assert!(told.err.contains(used), "{told:?}");
    let status = shop.run(&["status", "--format", "json"]).await.json();
    assert_eq!(status["mappings"][0]["quota"], json!({ "used": 850, "limit": 1000 }));
    serving.abort();
}
