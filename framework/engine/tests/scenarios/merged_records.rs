//! Records that people make part of one another at Salesforce (rule 26).

use super::organisations::{POLLED, accounts};
use crate::harness::hub::Hub;
use bothways_connector_sandbox::salesforce::{Action, Fault};
use bothways_engine::PassOptions;
use bothways_model::{LocalId, Method, RemoteId};
use bothways_store::{LinkState, ParkReason};
use serde_json::json;
use std::time::Duration;

/// A row whose record was made part of another one, which was made and merged between two polls: nobody has looked at it as a record of
/// its own.
async fn merged(hub: &Hub) -> (LocalId, RemoteId) {
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let loser = hub.remote_id("salesforce", &row).await;
    let now = hub.clock.truth();
    let master =
        hub.org().dashboard_create("Account", &json!({ "Name": "Acme", "Phone": "1" }), now).unwrap();
    let master = RemoteId(master["Id"].as_str().unwrap().to_owned());
    hub.org().dashboard_merge(master.as_str(), loser.as_str(), now).unwrap();
    hub.settle().await;
    (row, master)
}

#[tokio::test(start_paused = true)]
async fn a_merged_record_takes_its_link_along() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    let (row, master) = merged(&hub).await;
    assert_eq!(hub.remote_id("salesforce", &row).await, master);
    hub.update(&row, &[("phone", "2")]);
    hub.settle().await;
    assert_eq!(hub.sobject(&master)["Phone"], "2");
    assert_eq!((hub.row_count().await, hub.org().record_count("Account")), (1, 1));
}

/// A row that is deleted before anybody saw that its record was merged is over: nobody is asked, and its id is free.
#[tokio::test(start_paused = true)]
async fn nobody_is_asked_about_a_deleted_row_whose_record_was_merged() {
    let hub = Hub::new(accounts("deletes: { from_local: delete }\nsync: { poll: 1h, reconcile: never }"));
    let _process = hub.run().await;
    let kept = hub.insert(&[("name", "Acme")]);
    let row = hub.insert(&[("name", "Acme Limited")]);
    hub.settle().await;
    let master = hub.remote_id("salesforce", &kept).await;
    let loser = hub.remote_id("salesforce", &row).await;
    hub.org().dashboard_merge(master.as_str(), loser.as_str(), hub.clock.truth()).unwrap();
    hub.delete(&row);
    hub.settle().await;
    assert!(hub.parked().await.is_empty(), "{:#?}", hub.parked().await);
    assert!(!hub.links().await.iter().any(|link| link.local_id.as_ref() == Some(&row)));
    assert_eq!(hub.org().record_count("Account"), 1);
}

/// Nothing is known of the record that the link of a deleted row moved to: it is a rival only while it matches (rule 27).
#[tokio::test(start_paused = true)]
async fn what_a_deleted_rows_record_was_merged_into_is_a_rival_only_while_it_matches() {
    let policies = "deletes: { from_local: manual }\ncreates: { from_remote: ignore }";
    let hub = Hub::new(accounts(&format!("{policies}\n{POLLED}")));
    let process = hub.run().await;
    let row = hub.insert(&[("name", "Acme")]);
    hub.settle().await;
    let loser = hub.remote_id("salesforce", &row).await;
    hub.delete(&row);
    let now = hub.clock.truth();
    let master = hub.org().dashboard_create("Account", &json!({ "Name": "Beta" }), now).unwrap();
    let master = RemoteId(master["Id"].as_str().unwrap().to_owned());
    hub.settle().await;
    hub.org().dashboard_merge(master.as_str(), loser.as_str(), hub.clock.truth()).unwrap();
    hub.settle().await;
    let next = hub.insert(&[("name", "Beta")]);
    hub.settle().await;
    let reasons = async || {
        let parked = hub.parked().await;
        parked.into_iter().map(|(_, parked)| parked.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons().await, [ParkReason::Delete, ParkReason::Ambiguous]);
    let now = hub.clock.truth();
    hub.org().dashboard_update(master.as_str(), &json!({ "Name": "Gamma" }), now).unwrap();
    hub.settle().await;
    let pair = hub.pair("salesforce").await;
    process.engine.pass(pair, PassOptions::default(), &|_| {}).await.unwrap();
    hub.settle().await;
    assert_eq!(reasons().await, [ParkReason::Delete], "nobody has to choose any more");
    assert_eq!(Some(hub.remote_id("salesforce", &next).await), record_named(&hub, "Beta"));
}

/// The log of deletes names a merged record again and again, in another form than the list does: what was shown once is no news.
#[tokio::test(start_paused = true)]
async fn a_merged_record_that_is_still_listed_is_not_asked_for_by_every_poll() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    merged(&hub).await;
    let asked = || {
        let org = hub.org();
        let about = |path: &str| path.contains("/sobjects/Account/00") || path.contains("MasterRecordId");
        org.requests().filter(|request| about(&request.path)).count()
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = asked();
    tokio::time::sleep(Duration::from_secs(240)).await;
    assert_eq!(asked(), before);
}

/// The row of a record that is part of another one goes on by itself, which a person is asked about until that person decides.
#[tokio::test(start_paused = true)]
async fn what_a_person_is_asked_about_a_merged_record_outlives_a_replay() {
    let hub = Hub::new(accounts(POLLED));
    let process = hub.run().await;
    let kept = hub.insert(&[("name", "Acme")]);
    let row = hub.insert(&[("name", "Acme Limited"), ("phone", "1")]);
    hub.settle().await;
    let master = hub.remote_id("salesforce", &kept).await;
    let loser = hub.remote_id("salesforce", &row).await;
    hub.org().dashboard_merge(master.as_str(), loser.as_str(), hub.clock.truth()).unwrap();
    hub.settle().await;
    hub.update(&row, &[("phone", "2")]);
    hub.settle().await;
    let reasons = async || {
        let parked = hub.parked().await;
        parked.into_iter().map(|(_, parked)| parked.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons().await, [ParkReason::Merged]);
    let items = process.ops.parked(None, None, 10).await.unwrap();
    process.ops.replay(&items[0].id, "ada").await.unwrap();
    hub.settle().await;
    assert_eq!(reasons().await, [ParkReason::Merged]);
}

/// The answer to the next create is lost, and whether it was carried out cannot be asked for the time being.
fn doubt_a_create(hub: &Hub) {
    let by_stamp = "/services/data/v62.0/sobjects/Account/Bothways_Id__c/";
    hub.org().inject(Fault::next(Action::LostAnswer).on(Method::Patch, by_stamp));
    hub.org().inject(Fault::always(Action::Unavailable503).on(Method::Get, by_stamp));
}

/// The one record of a name.
fn record_named(hub: &Hub, name: &str) -> Option<RemoteId> {
    let records = hub.org().records("Account");
    let found = records.iter().find(|record| record["Name"] == name)?;
    Some(RemoteId(found["Id"].as_str()?.to_owned()))
}

/// What a create made is of the row it was made for, though nobody was told yet that it was made (rules 25, 26).
#[tokio::test(start_paused = true)]
async fn a_merge_into_what_a_create_just_made_leaves_it_to_its_own_row() {
    let hub = Hub::new(accounts(&format!("conflicts: {{ winner: local }}\n{POLLED}")));
    let _process = hub.run().await;
    let first = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let loser = hub.remote_id("salesforce", &first).await;
    doubt_a_create(&hub);
    let second = hub.insert(&[("name", "Beta"), ("phone", "2")]);
    hub.until("the record", async |hub: &Hub| record_named(hub, "Beta").is_some()).await;
    let beta = record_named(&hub, "Beta").unwrap();
    hub.org().dashboard_merge(beta.as_str(), loser.as_str(), hub.clock.truth()).unwrap();
    let is_of_first = |link: &bothways_store::Link| link.local_id.as_ref() == Some(&first);
    hub.until("a look at the merged one", async |hub: &Hub| {
        let links = hub.links().await;
        !links.iter().any(|link| {
            is_of_first(link) && link.state == LinkState::Linked && link.remote_id.as_ref() == Some(&loser)
        })
    })
    .await;
    hub.org().clear_faults();
    hub.settle().await;
    assert_eq!(hub.remote_id("salesforce", &second).await, beta);
    let of_first = hub.links().await.into_iter().find(is_of_first).unwrap();
    assert_eq!((of_first.state, of_first.body.merged_into.as_ref()), (LinkState::Tombstone, Some(&beta)));
    assert_eq!((&hub.sobject(&beta)["Name"], &hub.sobject(&beta)["Phone"]), (&json!("Beta"), &json!("2")));
    assert_eq!(hub.local(&first, "phone").await.as_deref(), Some("1"));
}

/// A row is deleted while its create is uncertain, and what that made was linked to another row: nobody has to choose, and a new row may
/// have the id (rules 23, 30).
#[tokio::test(start_paused = true)]
async fn a_deleted_row_whose_created_record_was_linked_elsewhere_frees_its_id() {
    let hub = Hub::new(accounts(POLLED));
    let process = hub.run().await;
    let other = hub.insert(&[("name", "Acme")]);
    hub.settle().await;
    let link = hub.links().await.remove(0);
    process.ops.unlink(link.id, "ada").await.unwrap();
    doubt_a_create(&hub);
    let row = hub.insert(&[("name", "Beta")]);
    hub.until("the record", async |hub: &Hub| record_named(hub, "Beta").is_some()).await;
    let beta = record_named(&hub, "Beta").unwrap();
    process.ops.link(None, &other, &beta, "ada").await.unwrap();
    hub.delete(&row);
    hub.insert(&[("id", row.as_str()), ("name", "Gamma")]);
    hub.org().clear_faults();
    hub.settle().await;
    assert!(record_named(&hub, "Gamma").is_some(), "{:#?}", hub.parked().await);
    assert_eq!(Some(hub.remote_id("salesforce", &row).await), record_named(&hub, "Gamma"));
    assert_eq!(hub.remote_id("salesforce", &other).await, beta, "it is not deleted");
    let closed = hub.links().await.into_iter().find(|link| link.body.former_local.as_ref() == Some(&row));
    assert_eq!(closed.map(|link| link.state), Some(LinkState::Tombstone));
    assert!(hub.parked().await.is_empty());
}

/// The full pass covers all that was before it: no poll asks for what the log has forgotten, and for another pass, but for the few whose
/// overlap reaches back to before it was shortened, and the deep ones of the next minutes (rule 47).
#[tokio::test(start_paused = true)]
async fn a_shortened_log_of_deletes_costs_no_pass_at_every_poll() {
    let hub = Hub::new(accounts(POLLED));
    let _process = hub.run().await;
    hub.insert(&[("name", "Acme")]);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    hub.org().dashboard_purge_delete_log(hub.clock.truth());
    // A walk asks for the list alone, a poll for the log of deletes too.
    let walks = || {
        let org = hub.org();
        let asked = |what: &str| org.requests().filter(|request| request.path.contains(what)).count();
        asked("/queryAll") - asked("/deleted/")
    };
    let before = walks();
    tokio::time::sleep(Duration::from_secs(1500)).await;
    let after = walks();
    assert!((1..=10).contains(&(after - before)), "{} walks of 50 polls", after - before);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(walks(), after);
}

/// What was on its way to a record that became part of another one does not arrive there: if that holds the same some day, it is
/// somebody's own word (rules 24, 26).
#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_to_a_merged_record_is_no_echo_of_the_other_one() {
    let policies = "conflicts: { winner: remote }\ncreates: { from_remote: ignore }";
    let hub = Hub::new(accounts(&format!("{policies}\n{POLLED}")));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let loser = hub.remote_id("salesforce", &row).await;
    hub.hold_a_write();
    hub.update(&row, &[("phone", "2")]);
    hub.until("the write", async |hub: &Hub| hub.let_it_arrive()).await;
    let now = hub.clock.truth();
    let master =
        hub.org().dashboard_create("Account", &json!({ "Name": "Beta", "Phone": "9" }), now).unwrap();
    let master = RemoteId(master["Id"].as_str().unwrap().to_owned());
    hub.org().dashboard_merge(master.as_str(), loser.as_str(), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.remote_id("salesforce", &row).await, master);
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("9"));
    let now = hub.clock.truth();
    hub.org().dashboard_update(master.as_str(), &json!({ "Phone": "2" }), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("2"), "somebody's own word");
    assert_eq!(hub.sobject(&master)["Phone"], "2");
}

/// What was made part of another record is nobody's rival any more, before the next full pass too (rules 26, 27).
#[tokio::test(start_paused = true)]
async fn a_merged_record_of_a_deleted_row_keeps_no_row_from_its_own() {
    let hub = Hub::new(accounts(&format!("deletes: {{ from_local: manual }}\n{POLLED}")));
    let _process = hub.run().await;
    let kept = hub.insert(&[("name", "Beta")]);
    let row = hub.insert(&[("name", "Acme")]);
    hub.settle().await;
    let master = hub.remote_id("salesforce", &kept).await;
    let loser = hub.remote_id("salesforce", &row).await;
    hub.delete(&row);
    hub.settle().await;
    let next = hub.insert(&[("name", "Acme")]);
    hub.settle().await;
    assert_eq!(hub.org().record_count("Account"), 2, "a person has to choose");
    hub.org().dashboard_merge(master.as_str(), loser.as_str(), hub.clock.truth()).unwrap();
    hub.settle().await;
    hub.update(&next, &[("phone", "1")]);
    hub.settle().await;
    assert_eq!(Some(hub.remote_id("salesforce", &next).await), record_named(&hub, "Acme"));
}

/// A search may hide what was seen a moment ago: the record that the row before left behind is a rival all the same (rule 27).
#[tokio::test(start_paused = true)]
async fn the_record_that_a_deleted_row_left_is_a_rival_though_no_search_shows_it() {
    let hub = Hub::new(accounts(&format!("deletes: {{ from_local: unlink }}\n{POLLED}")));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme")]);
    hub.settle().await;
    hub.delete(&row);
    hub.settle().await;
    hub.org().inject(Fault::always(Action::EmptyList).on(Method::Get, "/services/data/v62.0/query"));
    hub.insert(&[("name", "Acme")]);
    hub.settle().await;
    let reasons: Vec<_> = hub.parked().await.into_iter().map(|(_, parked)| parked.reason).collect();
    assert_eq!(reasons, [ParkReason::Ambiguous]);
    assert_eq!(hub.org().record_count("Account"), 1);
}
