//! What others write at Salesforce around our own writes: before them, within them, and before they are read.

use super::organisations::{POLLED, accounts};
use crate::harness::hub::Hub;
use bothways_connector_sandbox::salesforce::{Action, Fault, Salesforce};
use bothways_model::{Method, RemoteId, Value};
use bothways_store::{HistoryFilter, HistoryOp, Operator, Side};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_flow_that_rewrites_a_field_after_our_write_is_not_fought() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    let rewrite = Action::Automation { field: "Phone".into(), value: json!("by a flow") };
    hub.org().inject(Fault::always(rewrite));
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let writes = hub.org().counts().effective_writes;
    // Whoever wrote it, it is what the record holds: it comes in, and nothing goes out again.
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("by a flow"));
    assert_eq!(hub.sobject(&hub.remote_id("salesforce", &row).await)["Phone"], "by a flow");
    hub.settle().await;
    assert_eq!(hub.org().counts().effective_writes, writes, "and that is that");
    // What a person changes there is another matter.
    let id = hub.remote_id("salesforce", &row).await;
    let now = hub.clock.truth();
    hub.org().dashboard_update(id.as_str(), &json!({ "Phone": "2" }), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("2"));
}

/// The answer to a write says nothing of the record. What somebody changes before it is read is a change like any other.
#[tokio::test(start_paused = true)]
async fn what_somebody_changes_between_a_write_and_the_read_after_it_comes_in() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    let change = |phone: &'static str| {
        move |org: &mut Salesforce, now| {
            let id = org.records("Account")[0]["Id"].as_str().unwrap().to_owned();
            org.dashboard_update(&id, &json!({ "Phone": phone }), now).unwrap();
        }
    };
    hub.right_after_a_write(change("theirs"));
    let row = hub.insert(&[("name", "Acme"), ("phone", "ours")]);
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("theirs"), "after a create");
    hub.right_after_a_write(change("theirs again"));
    hub.update(&row, &[("phone", "ours again")]);
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("theirs again"), "after an update");
    let filter = HistoryFilter { op: Some(HistoryOp::Update), ..HistoryFilter::default() };
    let history = hub.store.history(&filter, None, 10).await.unwrap();
    let replaced =
        history.iter().filter(|h| h.entry.side == Side::Local).filter_map(|h| h.entry.fields.get("phone"));
    let texts: Vec<_> = replaced.map(|change| change.before.clone()).collect();
    assert_eq!(
        texts,
        ["ours again", "ours"].map(|text| Some(Value::Text(text.into()))),
        "and nothing is forgotten"
    );
}

/// What a flow empties of each record that we create comes in only as far as nobody has to be asked (rule 57).
#[tokio::test(start_paused = true)]
async fn what_a_flow_empties_of_all_that_is_created_is_withheld() {
    let hub = Hub::new(accounts(POLLED));
    let process = hub.run().await;
    let empty = Action::Automation { field: "Phone".into(), value: json!(null) };
    hub.org().inject(Fault::always(empty));
    let mut rows = Vec::new();
    for n in 0..8 {
        rows.push(hub.insert(&[("name", &format!("Acme {n}")), ("phone", "1")]));
    }
    let withheld = async |_: &Hub| {
        let on = process.ops.brakes().await.unwrap();
        matches!(on.as_slice(), [one] if one.part == "local/phone" && one.withheld == 3)
    };
    hub.until("those beyond five wait", withheld).await;
    let mut full = 0;
    for row in &rows {
        full += usize::from(hub.local(row, "phone").await.is_some());
    }
    assert_eq!((full, hub.org().record_count("Account")), (3, 8), "each is created");
}

/// A row that was locked was not written: what is written to it afterwards is an edit, not our own late echo.
#[tokio::test(start_paused = true)]
async fn a_locked_row_was_not_written() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme"), ("phone", "A")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    hub.org().inject(Fault::next(Action::RowLocked).on_event("Account.update"));
    hub.update(&row, &[("phone", "B")]);
    hub.settle().await;
    assert_eq!(hub.sobject(&id)["Phone"], "B");
    let links = hub.links().await;
    assert!(links[0].body.late.is_empty(), "{:?}", links[0].body.late);
    for phone in ["C", "B"] {
        let now = hub.clock.truth();
        hub.org().dashboard_update(id.as_str(), &json!({ "Phone": phone }), now).unwrap();
        hub.settle().await;
        assert_eq!(hub.local(&row, "phone").await.as_deref(), Some(phone));
        assert_eq!(hub.sobject(&id)["Phone"], phone);
    }
}

/// A person changes a record between our read and our write.
async fn overtaken(hub: &Hub) -> RemoteId {
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    hub.org().clear_requests();
    hub.update(&row, &[("phone", "ours")]);
    let read = format!("/services/data/v62.0/sobjects/Account/{id}");
    while !hub.org().requests().any(|request| request.method == Method::Get && request.path == read) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let now = hub.clock.truth();
    hub.org().dashboard_update(id.as_str(), &json!({ "Phone": "theirs" }), now).unwrap();
    hub.settle().await;
    id
}

#[tokio::test(start_paused = true)]
async fn accounts_with_conditions_are_not_written_over_what_somebody_wrote_meanwhile() {
    let mut plan = accounts(POLLED);
    let unconditional = "{ resource: salesforce/sobject, with: { object: Account } }";
    assert!(plan.mappings[0].contains(unconditional));
    plan.mappings[0] = plan.mappings[0].replace(unconditional, "salesforce/account");
    let hub = Hub::new(plan);
    let _process = hub.run().await;
    let id = overtaken(&hub).await;
    assert_eq!(hub.sobject(&id)["Phone"], "theirs");
    let refused: Vec<_> =
        hub.org().requests().filter(|r| r.method == Method::Patch).map(|r| r.status).collect();
    assert_eq!(refused, [Some(412)]);
    let link = &hub.links().await[0];
    assert_eq!(link.body.conflicts.len(), 1, "a person decides");

    // Any other object, and accounts of which many are written: what was written last holds.
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    let id = overtaken(&hub).await;
    assert_eq!(hub.sobject(&id)["Phone"], "ours");
}

/// A create by our own key that was given up is an update of what a later one made, when it arrives after all.
#[tokio::test(start_paused = true)]
async fn a_create_that_arrives_after_a_newer_one_undoes_nothing() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    hub.hold_a_write();
    let row = hub.insert(&[("name", "Acme"), ("phone", "old")]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    hub.update(&row, &[("phone", "new")]);
    hub.until("another create", async |hub: &Hub| hub.org().record_count("Account") == 1).await;
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    assert_eq!(hub.sobject(&id)["Phone"], "new");
    assert!(hub.let_it_arrive());
    assert_eq!(hub.sobject(&id)["Phone"], "old", "it is written over");
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("new"), "nobody changed it there");
    assert_eq!(hub.sobject(&id)["Phone"], "new");
    assert_eq!(hub.org().record_count("Account"), 1);
}

/// An update that was given up since its record was in the recycle bin lands when that is back and holds a newer value (rule 24).
#[tokio::test(start_paused = true)]
async fn an_update_given_up_with_its_record_undoes_nothing_when_it_lands() {
    let policies = "conflicts: { winner: local }\ndeletes: { from_remote: manual }";
    let hub = Hub::new(accounts(&format!("{policies}\n{POLLED}")));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    hub.hold_a_write();
    hub.update(&row, &[("phone", "old")]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now = hub.clock.truth();
    hub.org().dashboard_delete(id.as_str(), now).unwrap();
    hub.update(&row, &[("phone", "new")]);
    hub.settle().await;
    let now = hub.clock.truth();
    hub.org().dashboard_undelete(id.as_str(), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.sobject(&id)["Phone"], "new");
    assert!(hub.let_it_arrive());
    assert_eq!(hub.sobject(&id)["Phone"], "old", "it is written over");
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("new"), "nobody changed it there");
    assert_eq!(hub.sobject(&id)["Phone"], "new");
}
