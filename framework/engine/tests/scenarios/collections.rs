//! Many records in one call at Salesforce, each judged by itself.

use crate::harness::hub::{Hub, Plan};
use bothways_connector_sandbox::salesforce::{Action, Config, DuplicateRule, Fault};
use bothways_engine::Settings;
use bothways_model::{LocalId, Method};
use bothways_store::{LinkState, Links, ParkReason, Subject};
use serde_json::json;

const UPDATES: &str = "/services/data/v62.0/composite/sobjects";
const READS: &str = "/services/data/v62.0/composite/sobjects/Account";
const UPSERTS: &str = "/services/data/v62.0/composite/sobjects/Account/Bothways_Id__c";

fn accounts() -> Hub {
    Hub::new(Plan {
        catalog: "catalog: accounts\ntable: accounts\nkey: id\nfields: { id: int, name: text, phone: text?, website: text? }"
            .into(),
        mappings: vec![
            r#"
mapping: salesforce-accounts
local: accounts
remote: { resource: salesforce/sobject, with: { object: Account } }
identity: { match: [name], stamp: $.Bothways_Id__c }
fields:
  name: { remote: $.Name, required: true }
  phone: $.Phone
  website: $.Website
sync: { poll: 30s, reconcile: never }
"#
            .into(),
        ],
        org: Config::default(),
        vars: Vec::new(),
        settings: Settings::default(),
    })
}

fn insert(hub: &Hub, count: usize) -> Vec<LocalId> {
    (0..count).map(|n| hub.insert(&[("name", &format!("A{n}"))])).collect()
}

/// Accounts on both sides; the log begins after them.
async fn linked(hub: &Hub, count: usize) -> Vec<LocalId> {
    let rows = insert(hub, count);
    hub.settle().await;
    assert_eq!(hub.org().record_count("Account"), count);
    hub.org().clear_requests();
    rows
}

/// How many records each call of this path changed.
fn calls(hub: &Hub, path: &str) -> Vec<u64> {
    hub.org()
        .requests()
        .filter(|r| r.method == Method::Patch && r.path == path && r.executed)
        .map(|r| r.changed)
        .collect()
}

async fn phone(hub: &Hub, row: &LocalId) -> serde_json::Value {
    let id = hub.remote_id("salesforce", row).await;
    hub.sobject(&id)["Phone"].clone()
}

/// Every link is in step, and nothing is parked.
async fn assert_in_step(hub: &Hub, rows: &[LocalId], value: &str) {
    for row in rows {
        assert_eq!(phone(hub, row).await, value, "{row}");
    }
    assert_eq!(hub.parked().await.len(), 0);
    assert_eq!(hub.org().record_count("Account"), rows.len());
}

#[tokio::test(start_paused = true)]
async fn p14_of_200_records_in_one_call_the_seventh_is_refused_and_parks_alone() {
    let hub = accounts();
    let process = hub.run().await;
    let rows = linked(&hub, 200).await;
    hub.org().inject(Fault::always(Action::ValidationRule { field: "Website".into() }));
    for (n, row) in rows.iter().enumerate() {
        let website = if n == 6 { "https://seventh.example" } else { "" };
        hub.update(row, &[("phone", "1"), ("website", website)]);
    }
    hub.settle().await;
    assert_eq!(calls(&hub, UPDATES), [199], "one call, answered 200, and 199 records of it are written");
    let reads = hub.org().requests().filter(|r| (r.method, &*r.path) == (Method::Post, READS)).count();
    assert_eq!(reads, 2, "one before it, and one of what it left");
    let refused = hub.org().requests().filter(|r| r.method == Method::Patch && r.status == Some(400)).count();
    assert_eq!(refused, 0, "its refusal is an item of that answer");

    let parked = hub.parked().await;
    let [(work, parked)] = parked.as_slice() else { panic!("{parked:#?}") };
    assert_eq!(parked.reason, ParkReason::Error);
    assert!(parked.message.contains("FIELD_CUSTOM_VALIDATION_EXCEPTION"), "{}", parked.message);
    assert!(parked.message.contains("Website cannot be set"), "{}", parked.message);
    assert_eq!(work.subject, Subject::Local(rows[6].clone()));
    let links = hub.links().await;
    assert!(links.iter().all(|link| link.state == LinkState::Linked && link.in_step_at.is_some()));
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(phone(&hub, row).await, if n == 6 { json!(null) } else { json!("1") }, "row {n}");
    }

    // The others go on; and so does this one, once it can.
    hub.update(&rows[0], &[("phone", "2")]);
    hub.settle().await;
    assert_eq!(phone(&hub, &rows[0]).await, "2");
    hub.update(&rows[6], &[("website", "")]);
    hub.settle().await;
    assert_eq!(phone(&hub, &rows[6]).await, "1");
    assert_eq!(hub.parked().await.len(), 0);
    drop(process);
}

#[tokio::test(start_paused = true)]
async fn new_records_go_together_and_one_alone_goes_as_it_is() {
    let hub = accounts();
    let process = hub.run().await;
    hub.insert(&[("name", "Alone")]);
    hub.settle().await;
    assert_eq!(calls(&hub, UPSERTS).len(), 0, "one record is the call that it was");
    insert(&hub, 450);
    hub.settle().await;
    assert_eq!(hub.links().await.len(), 451);
    assert_eq!(hub.org().record_count("Account"), 451);
    assert_eq!(calls(&hub, UPSERTS), [200, 200, 50]);
    hub.settle().await;
    assert_eq!(process.running_as("collection"), 0, "nobody waits to send more");
    assert_eq!(hub.org().counts().effective_writes, 451, "and that is that");
}

/// What `tests/README.md` says of it.
#[tokio::test(start_paused = true)]
async fn a_first_export_of_1000_accounts() {
    let hub = accounts();
    insert(&hub, 1000);
    let process = hub.process().await;
    process.ops.approve(None, "test").await.unwrap();
    process.engine.refresh_pairs().await.unwrap();
    process.engine.start();
    hub.until("all are there", async |hub: &Hub| {
        let links = hub.links().await;
        links.len() == 1000 && links.iter().all(|link| link.in_step_at.is_some())
    })
    .await;
    assert_eq!(calls(&hub, UPSERTS), [200; 5], "created");
    let reads = hub.org().requests().filter(|r| (r.method, &*r.path) == (Method::Post, READS)).count();
    assert_eq!(reads, 5, "and read once more");
    let finds = hub.org().requests().filter(|r| r.path == "/services/data/v62.0/query").count();
    assert_eq!(finds, 6, "whether each is there already, and whose organisation it is");
    assert_eq!(hub.org().counts().requests, 22);
}

/// Accounts that are there already and that nobody has told of yet, and values that do not fit into one address.
#[tokio::test(start_paused = true)]
async fn lookups_that_go_together_find_what_each_would_find() {
    let hub = accounts();
    let _process = hub.run().await;
    let now = hub.clock.truth();
    for n in 0..60 {
        hub.org().dashboard_create("Account", &json!({ "Name": format!("A{n}") }), now).unwrap();
    }
    hub.org().clear_requests();
    insert(&hub, 120);
    let long: Vec<LocalId> =
        (0..60).map(|n| hub.insert(&[("name", &format!("{n}{}", "ö".repeat(200)))])).collect();
    let linked = async |hub: &Hub| hub.links().await.iter().filter(|link| link.remote_id.is_some()).count();
    hub.until("all are linked", async |hub: &Hub| linked(hub).await == 180).await;
    assert_eq!(hub.org().record_count("Account"), 180, "nothing is made beside what was there");
    let finds = hub.org().requests().filter(|r| r.path == "/services/data/v62.0/query").count();
    assert!((4..40).contains(&finds), "{finds} for 180 values, 60 of which fit into an address by tens");
    hub.settle().await;
    assert_eq!(hub.org().record_count("Account"), 180);
    assert!(hub.parked().await.is_empty(), "{:?}", hub.parked().await);
    let links = hub.links().await;
    let by_us = links.iter().filter(|link| link.body.created_by_us);
    assert_eq!(by_us.count(), 120);
    assert!(links.iter().any(|link| link.local_id.as_ref() == long.last()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_each_uncertain_and_each_is_resolved() {
    for action in [Action::LostAnswer, Action::TruncatedBody, Action::HtmlBody, Action::ResultMissing] {
        let hub = accounts();
        let _process = hub.run().await;
        // Creates: what was made is found, and nothing is made twice.
        hub.org().inject(Fault::next(action.clone()).on(Method::Patch, UPSERTS));
        let rows = insert(&hub, 20);
        hub.settle().await;
        assert_eq!(hub.org().fired()[action.kind()], 1, "{action:?}");
        assert_eq!(hub.org().counts().effective_creates, 20, "{action:?}");
        // Updates.
        hub.org().inject(Fault::next(action.clone()).on(Method::Patch, UPDATES));
        rows.iter().for_each(|row| hub.update(row, &[("phone", "1")]));
        hub.settle().await;
        assert_eq!(hub.org().fired()[action.kind()], 2, "{action:?}");
        assert_in_step(&hub, &rows, "1").await;
        let writes = hub.org().counts().effective_writes;
        hub.settle().await;
        assert_eq!(hub.org().counts().effective_writes, writes, "{action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_everybodys_and_comes_again() {
    for action in
        [Action::Unavailable503, Action::Error500, Action::InvalidSession401, Action::RequestLimit403]
    {
        let hub = accounts();
        let _process = hub.run().await;
        let rows = linked(&hub, 20).await;
        hub.org().inject(Fault::next(action.clone()).on(Method::Patch, UPDATES));
        rows.iter().for_each(|row| hub.update(row, &[("phone", "1")]));
        hub.settle().await;
        assert_eq!(hub.org().fired()[action.kind()], 1, "{action:?}");
        assert_in_step(&hub, &rows, "1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_locked_record_comes_again_and_a_refused_one_parks() {
    let hub = accounts();
    let _process = hub.run().await;
    let rows = linked(&hub, 20).await;
    hub.org().inject(Fault::next(Action::RowLocked).on_event("Account.update").nth(3));
    hub.org().inject(Fault::always(Action::ValidationRule { field: "Website".into() }));
    for (n, row) in rows.iter().enumerate() {
        let website = if n == 14 { "https://refused.example" } else { "" };
        hub.update(row, &[("phone", "1"), ("website", website)]);
    }
    hub.settle().await;
    assert_eq!(hub.org().fired()["row_locked"], 1);
    assert_eq!(calls(&hub, UPDATES), [18]);
    let parked = hub.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    for (n, row) in rows.iter().enumerate().filter(|(n, _)| *n != 14) {
        assert_eq!(phone(&hub, row).await, "1", "row {n}");
    }
    assert_eq!(hub.org().counts().effective_writes, 19, "each of them once");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_told_more_alone_goes_alone() {
    let hub = accounts();
    let _process = hub.run().await;
    let rows = linked(&hub, 20).await;
    let now = hub.clock.truth();
    let other = hub.org().dashboard_create("Account", &json!({ "Name": "ACME" }), now).unwrap();
    hub.settle().await;
    hub.org().set_duplicate_rule(DuplicateRule::Alert);
    for (n, row) in rows.iter().enumerate() {
        hub.update(row, if n == 5 { &[("name", "Acme")] } else { &[("phone", "1")] });
    }
    hub.settle().await;
    assert_eq!(calls(&hub, UPDATES), [19]);
    let parked = hub.parked().await;
    let [(_, parked)] = parked.as_slice() else { panic!("{parked:#?}") };
    assert_eq!(parked.reason, ParkReason::Duplicate);
    assert!(
        parked.message.contains(other["Id"].as_str().unwrap()),
        "the other record is named: {}",
        parked.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_a_call_leaves_nothing_to_be_done_twice() {
    let hub = accounts();
    let process = hub.run().await;
    let rows = linked(&hub, 20).await;
    let slow = Action::SlowAnswer { millis: 5_000 };
    hub.org().inject(Fault::next(slow).on(Method::Patch, UPDATES));
    rows.iter().for_each(|row| hub.update(row, &[("phone", "1")]));
    hub.until("the call is under way", async |hub: &Hub| !calls(hub, UPDATES).is_empty()).await;
    process.kill();
    let _next = hub.run().await;
    hub.settle().await;
    assert_in_step(&hub, &rows, "1").await;
    assert_eq!(hub.org().counts().effective_writes, 20, "each of them once");
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_behind_other_calls_is_not_sent_and_comes_again() {
    let hub = accounts();
    let _process = hub.run().await;
    let rows = linked(&hub, 3).await;
    for (n, row) in rows.iter().enumerate() {
        let record = hub.remote_id("salesforce", row).await;
        let path = format!("/services/data/v62.0/sobjects/Account/{record}");
        if n < 2 {
            let slow = Action::SlowAnswer { millis: 25_000 };
            hub.org().inject(Fault::next(slow).on(Method::Patch, path.clone()));
        }
        hub.update(row, &[("phone", "1")]);
        if n < 2 {
            hub.until("the call is under way", async |hub: &Hub| calls(hub, &path).len() == 1).await;
        }
    }
    hub.settle().await;
    assert_eq!(hub.org().fired()["slow_answer"], 2);
    assert_in_step(&hub, &rows, "1").await;
    let last = hub.links().await.into_iter().find(|link| link.local_id.as_ref() == Some(&rows[2])).unwrap();
    let outcomes: Vec<_> =
        hub.store.intents(last.id, 9).await.unwrap().into_iter().map(|i| i.outcome).collect();
    assert!(outcomes.contains(&Some("never sent".into())), "{outcomes:?}");
    assert_eq!(hub.org().counts().effective_writes, 3, "each of them once");
}
