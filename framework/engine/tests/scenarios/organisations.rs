//! One catalog on Salesforce: sessions that end, stamps that are equal, permissions that shrink, records that are merged.

use crate::harness::hub::{Hub, Plan};
use bothways_connector_sandbox::salesforce::{Action, Config, DuplicateRule, Fault};
use bothways_engine::{ConnectionState, HourOfCalls, Resolution, Settings};
use bothways_model::{ConnectionName, LocalId, Method, RemoteId};
use bothways_store::{
    Credentials, DeleteChoice, HistoryFilter, HistoryOp, LinkState, Operator as _, ParkReason, PauseScope,
    RenewalAsk, Turn,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Duration;

const TOKENS: &str = "SALESFORCE_REFRESH_TOKEN";

pub(super) fn accounts(policies: &str) -> Plan {
    Plan {
        catalog: "catalog: accounts\ntable: accounts\nkey: id\nfields: { id: int, name: text, phone: text?, website: text? }"
            .into(),
        mappings: vec![format!(
            r#"
mapping: salesforce-accounts
local: accounts
remote: {{ resource: salesforce/sobject, with: {{ object: Account }} }}
identity: {{ match: [name], stamp: $.Bothways_Id__c }}
fields:
  name: {{ remote: $.Name, required: true }}
  phone: $.Phone
  website: $.Website
{policies}
"#
        )],
        org: Config::default(),
        vars: Vec::new(),
        settings: Settings::default(),
    }
}

pub(super) const POLLED: &str = "sync: { poll: 30s, reconcile: never }";

fn salesforce() -> ConnectionName {
    ConnectionName::from("salesforce")
}

/// A hub whose app was consented to: it has a refresh token, which is replaced each time it is used.
fn consented() -> Hub {
    let mut hub = Hub::new(accounts(POLLED));
    let token = hub.org().dashboard_consent();
    hub.plan.vars.push((TOKENS.into(), token));
    hub
}

async fn is_ready(process: &crate::harness::hub::Process) -> bool {
    matches!(process.engine.check_account(&salesforce()).await, Ok(ConnectionState::Ready { .. }))
}

#[tokio::test(start_paused = true)]
async fn p20_eight_workers_with_an_ended_session_renew_it_once() {
    let hub = consented();
    // Two processes on one database, four workers each.
    let (one, other) = (hub.process().await, hub.process().await);
    assert!(is_ready(&one).await && is_ready(&other).await);
    assert_eq!(hub.token_requests(), 1, "the other found the token of the first");
    for round in 2..5 {
        hub.org().dashboard_end_sessions();
        let workers = (0..8).map(|n| is_ready(if n % 2 == 0 { &one } else { &other }));
        let ready = futures::future::join_all(workers).await;
        assert_eq!(ready, [true; 8]);
        assert_eq!(hub.token_requests(), round);
    }
}

#[tokio::test(start_paused = true)]
async fn p20_a_replaced_token_is_stored_before_it_is_used() {
    let hub = consented();
    let first = hub.process().await;
    assert!(is_ready(&first).await);
    hub.org().dashboard_end_sessions();
    // Renews, and dies at the very first use of what it got.
    hub.die_at_use();
    let engine = first.engine.clone();
    let working = tokio::spawn(async move { engine.check_account(&salesforce()).await.is_ok() });
    hub.until("the death", async |hub: &Hub| hub.has_died()).await;
    working.abort();
    first.kill();
    assert_eq!(hub.token_requests(), 2);
    let second = hub.process().await;
    assert!(is_ready(&second).await, "the token that it got is in the database");
    assert_eq!(hub.token_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn p20_a_replaced_token_is_stored_though_nobody_waits_for_it_any_more() {
    let hub = consented();
    let first = hub.process().await;
    assert!(is_ready(&first).await);
    hub.org().dashboard_end_sessions();
    hub.hold_tokens(true);
    // A browser that hangs up while the service is asked for a token.
    let engine = first.engine.clone();
    let asking = tokio::spawn(async move { engine.check_account(&salesforce()).await.is_ok() });
    hub.until("the token is granted", async |hub: &Hub| hub.token_requests() == 2).await;
    asking.abort();
    assert!(asking.await.is_err_and(|error| error.is_cancelled()));
    hub.hold_tokens(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = hub.process().await;
    assert!(is_ready(&second).await, "the token is in the database");
    assert_eq!(hub.token_requests(), 2);
}

/// What a person fetches by a login while the engine runs may be of another account (rule 28).
#[tokio::test(start_paused = true)]
async fn a_login_to_another_account_stops_a_running_connection() {
    let hub = consented();
    let first = hub.plan.vars[0].1.clone();
    let running = hub.run().await;
    let row = hub.insert(&[("name", "Acme")]);
    hub.until("it is there", async |hub: &Hub| hub.org().records("Account").len() == 1).await;
    hub.settle().await;

    let mut plan = accounts(POLLED);
    plan.org.seed = 9;
    let elsewhere = Hub::new(plan);
    let token = elsewhere.org().dashboard_consent();
    let mut elsewhere = elsewhere;
    elsewhere.plan.vars.push((TOKENS.into(), token.clone()));
    assert!(is_ready(&elsewhere.process().await).await);
    let now = hub.clock.truth();
    let origin = |first: &str| hex::encode(Sha256::digest(first));
    let ask = RenewalAsk { connection: salesforce(), origin: origin(&token), used: None, now, until: now };
    let Turn::Newer(theirs) = elsewhere.store.begin_renewal(&ask).await.unwrap() else {
        panic!("it is kept")
    };
    hub.store.keep(&salesforce(), &origin(&first), &theirs.sealed).await.unwrap();
    std::mem::swap(&mut *hub.org(), &mut *elsewhere.org());

    hub.update(&row, &[("phone", "1")]);
    let blocked = async |_: &Hub| matches!(running.engine.connection_state(&salesforce()), ConnectionState::Blocked(why) if why.contains("Organization") || why.contains("account"));
    hub.until("it is stopped", blocked).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let served: Vec<String> = hub
        .org()
        .requests()
        .filter(|asked| asked.status == Some(200) && asked.path.contains("/sobjects"))
        .map(|asked| asked.path.clone())
        .collect();
    assert_eq!(served, Vec::<String>::new(), "no record of another account is read or written");
    assert!(hub.org().records("Account").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_process_with_an_older_token_takes_nothing_from_the_others() {
    let mut hub = consented();
    let old = hub.process().await;
    assert!(is_ready(&old).await);
    // A person sets another token, and forgets about a shell that has the first one.
    let earlier = std::mem::take(&mut hub.plan.vars);
    let token = hub.org().dashboard_consent();
    hub.plan.vars.push((TOKENS.into(), token));
    let new = hub.process().await;
    assert!(is_ready(&new).await);
    let later = std::mem::replace(&mut hub.plan.vars, earlier);
    match hub.process().await.engine.check_account(&salesforce()).await {
        Ok(ConnectionState::Blocked(why)) => assert!(why.contains("is an older one"), "{why}"),
        other => panic!("{other:?}"),
    }
    hub.org().dashboard_end_sessions();
    assert!(is_ready(&new).await, "its token is as good as it was");
    hub.plan.vars = later;
    assert!(is_ready(&hub.process().await).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_lost_in_a_crash_pauses_the_connection_and_says_what_to_do() {
    let mut hub = consented();
    let first = hub.process().await;
    hub.die_at_token();
    let engine = first.engine.clone();
    let working = tokio::spawn(async move { engine.check_account(&salesforce()).await.is_ok() });
    hub.until("the death", async |hub: &Hub| hub.has_died()).await;
    working.abort();
    first.kill();
    assert_eq!(hub.token_requests(), 1, "it was granted, and nobody has it");

    let second = hub.process().await;
    assert!(second.engine.check_account(&salesforce()).await.is_err(), "the dead one's turn is not over yet");
    tokio::time::sleep(Duration::from_secs(120)).await;
    let blocked = |state: Result<ConnectionState, _>| match state {
        Ok(ConnectionState::Blocked(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = blocked(
        second.engine.check_account(&salesforce()).await.map_err(|e: bothways_engine::EngineError| e),
    );
    assert!(why.contains("set SALESFORCE_REFRESH_TOKEN to it"), "{why}");
    assert_eq!(hub.token_requests(), 2);
    // Nobody asks again, in whatever process.
    let third = hub.process().await;
    for process in [&second, &third, &third] {
        blocked(process.engine.check_account(&salesforce()).await);
    }
    assert_eq!(hub.token_requests(), 2);

    let token = hub.org().dashboard_consent();
    hub.plan.vars = vec![(TOKENS.into(), token)];
    let fourth = hub.process().await;
    assert!(is_ready(&fourth).await, "another token starts anew");
}

/// Sessions that end while an engine starts are an outage, which is over by itself; that it lasts is shown.
#[tokio::test(start_paused = true)]
async fn sessions_that_end_again_and_again_at_the_start_block_nothing() {
    let mut hub = consented();
    hub.org().inject(Fault::always(Action::InvalidSession401));
    let process = hub.run().await;
    let row = hub.insert(&[("name", "Acme")]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(process.engine.connection_state(&salesforce()), ConnectionState::Unknown);
    let status = process.ops.status().await.unwrap();
    let shown = status.iter().flat_map(|pair| &pair.trouble).any(|why| why.contains("INVALID_SESSION_ID"));
    assert!(shown, "{status:#?}");
    let asked = hub.token_requests();
    assert!((20..=60).contains(&asked), "with patience, and for ever: {asked} tokens in ten minutes");
    hub.org().clear_faults();
    hub.until("the record", async |hub: &Hub| hub.org().record_count("Account") == 1).await;
    hub.settle().await;
    assert_eq!(hub.remote_id("salesforce", &row).await.as_str().len(), 18);
    let status = process.ops.status().await.unwrap();
    assert!(status.iter().all(|pair| pair.trouble.is_empty()), "{status:#?}");
    // Credentials that are refused are another matter.
    hub.plan.org.client_secret = "another".into();
    let other = hub.process().await;
    hub.org().dashboard_end_sessions();
    assert!(matches!(other.engine.check_account(&salesforce()).await, Ok(ConnectionState::Blocked(_))));
}

/// A day does not begin anew with a process.
#[tokio::test(start_paused = true)]
async fn what_was_spent_of_the_day_is_known_after_a_restart() {
    let hub = Hub::new(accounts(POLLED));
    let first = hub.run().await;
    hub.until("it began", async |hub: &Hub| hub.recalled().len() == 1).await;
    assert!(hub.recalled()[0].is_empty());
    let hour = |calls| HourOfCalls { began: hub.clock.truth(), calls };
    let spent = [hour(7), hour(5)];
    hub.spend(&spent);
    // The sweep keeps it.
    tokio::time::sleep(Duration::from_secs(120)).await;
    first.kill();
    let second = hub.run().await;
    hub.until("the next one began", async |hub: &Hub| hub.recalled().len() == 2).await;
    assert_eq!(hub.recalled()[1], spent);
    // What came since is kept when it is stopped.
    let more = [spent[0], hour(6)];
    hub.spend(&more);
    second.engine.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    second.kill();
    hub.run().await;
    hub.until("the third one began", async |hub: &Hub| hub.recalled().len() == 3).await;
    assert_eq!(hub.recalled()[2], more);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_not_about_the_token_gives_up_no_token() {
    let mut hub = consented();
    let right = hub.plan.org.client_secret.clone();
    hub.plan.org.client_secret = "another".into();
    let first = hub.process().await;
    for _ in 0..2 {
        match first.engine.check_account(&salesforce()).await {
            Ok(ConnectionState::Blocked(why)) => {
                assert!(why.contains("invalid_client"), "{why}");
                assert!(!why.contains("refresh token"), "nothing is wrong with that: {why}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(hub.token_requests(), 2, "it is asked again");
    hub.plan.org.client_secret = right;
    // What answers there knows nothing of tokens.
    hub.plan.vars.push(("SALESFORCE_INSTANCE_URL".into(), "http://127.0.0.1:1/elsewhere".into()));
    let second = hub.process().await;
    assert!(matches!(second.engine.check_account(&salesforce()).await, Ok(ConnectionState::Blocked(_))));
    assert_eq!(hub.token_requests(), 3);
    hub.plan.vars.pop();
    assert!(is_ready(&hub.process().await).await, "the refresh token is as good as before");
}

#[tokio::test(start_paused = true)]
async fn p19_300_records_of_one_stamp_arrive_though_the_reader_dies_after_a_page() {
    let mut plan = accounts(POLLED);
    plan.org.page_size = 200;
    let hub = Hub::new(plan);
    // The page behind the first one does not come.
    let pages = Fault::always(Action::Unavailable503).on(Method::Get, "/services/data/v62.0/query/");
    hub.org().inject(pages);
    let first = hub.run().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let now = hub.clock.truth();
    let ids: Vec<String> = (0..300)
        .map(|n| {
            let made =
                hub.org().dashboard_create("Account", &json!({ "Name": format!("A{n}") }), now).unwrap();
            made["Id"].as_str().unwrap().to_owned()
        })
        .collect();
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    hub.org().dashboard_bulk_update(&all, &json!({ "Phone": "1" }), now).unwrap();
    hub.until("the first page", async |hub: &Hub| hub.row_count().await == 200).await;
    first.kill();
    hub.org().clear_faults();
    hub.run().await;
    hub.until("all of them", async |hub: &Hub| hub.row_count().await == 300).await;
    hub.settle().await;
    assert_eq!((hub.row_count().await, hub.links().await.len()), (300, 300));
    assert_eq!(hub.parked().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn p40_a_field_that_a_permission_hides_pauses_the_mapping_and_blanks_nothing() {
    let hub = Hub::new(accounts(POLLED));
    let process = hub.run().await;
    let row = hub.insert(&[("name", "Acme"), ("phone", "1"), ("website", "https://acme.example")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    hub.org().inject(Fault::always(Action::HiddenField { field: "Phone".into() }));
    hub.update(&row, &[("website", "https://acme.test")]);
    hub.until("a pause", async |hub: &Hub| !hub.pauses().await.is_empty()).await;
    let pauses = hub.pauses().await;
    let pair = hub.pair("salesforce").await;
    assert_eq!(pauses.iter().map(|pause| &pause.scope).collect::<Vec<_>>(), [&PauseScope::Pair(pair)]);
    assert!(pauses[0].reason.contains("Phone"), "the field is named: {}", pauses[0].reason);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("1"));
    assert_eq!(hub.sobject(&id)["Phone"], "1");

    hub.org().clear_faults();
    assert!(process.ops.resume(&PauseScope::Pair(pair), "test").await.unwrap());
    hub.settle().await;
    assert_eq!(hub.sobject(&id)["Website"], "https://acme.test");
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("1"));
}

const DELETES: &str =
    "deletes: { from_remote: delete, from_local: delete }\nsync: { poll: 30s, reconcile: never }";

/// An account that is gone from the recycle bin too before anybody looked, deleted or merged.
async fn vanished(act: impl Fn(&Hub, &str, chrono::DateTime<chrono::Utc>)) -> (Hub, LocalId) {
    let hub = Hub::new(accounts(DELETES));
    let process = hub.run().await;
    hub.insert(&[("name", "Kept")]);
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    process.kill();
    let now = hub.clock.truth();
    act(&hub, id.as_str(), now);
    hub.org().dashboard_empty_recycle_bin(now);
    (hub, row)
}

/// Merged, and purged before anybody saw into what: nothing tells it from a delete, and its row is not lost for that.
#[tokio::test(start_paused = true)]
async fn a_record_merged_and_purged_is_left_to_a_person() {
    let (hub, row) = vanished(|hub, id, now| {
        let master = hub.org().dashboard_create("Account", &json!({ "Name": "Acme Limited" }), now).unwrap();
        hub.org().dashboard_merge(master["Id"].as_str().unwrap(), id, now).unwrap();
    })
    .await;
    let process = hub.run().await;
    hub.update(&row, &[("phone", "2")]);
    hub.settle().await;
    let parked = hub.parked().await;
    let [(_, parked)] = parked.as_slice() else { panic!("{parked:#?}") };
    assert_eq!(parked.reason, ParkReason::Delete);
    assert!(parked.message.contains("`bothways link` it to that one"), "{}", parked.message);
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("2"), "the row stays");

    // What was merged goes on with the record that it is part of.
    let link = hub.links().await.into_iter().find(|link| link.local_id.as_ref() == Some(&row)).unwrap();
    process.ops.unlink(link.id, "ada").await.unwrap();
    let records = hub.org().records("Account");
    let master = records.iter().find(|record| record["Name"] == "Acme Limited").unwrap();
    let master = RemoteId(master["Id"].as_str().unwrap().to_owned());
    let second = hub.links().await.into_iter().find(|link| link.remote_id.as_ref() == Some(&master));
    if let Some(second) = second {
        // It is a row of its own by now.
        process.ops.unlink(second.id, "ada").await.unwrap();
    }
    process.ops.link(None, &row, &master, "ada").await.unwrap();
    hub.settle().await;
    assert_eq!(hub.remote_id("salesforce", &row).await, master);
}

/// Deleted, and purged before anybody looked: it looks the same, and is one answer away from being carried out.
#[tokio::test(start_paused = true)]
async fn a_record_deleted_and_purged_is_deleted_once_a_person_says_so() {
    let (hub, row) = vanished(|hub, id, now| hub.org().dashboard_delete(id, now).unwrap()).await;
    let process = hub.run().await;
    hub.update(&row, &[("phone", "2")]);
    hub.settle().await;
    assert_eq!((hub.parked().await.len(), hub.row_count().await), (1, 2));
    let item = process.ops.parked(None, None, 9).await.unwrap().remove(0);
    let carry = Resolution::Delete(DeleteChoice::Carry);
    process.ops.resolve(&item.id, &carry, None, "ada").await.unwrap();
    hub.settle().await;
    assert_eq!((hub.parked().await.len(), hub.row_count().await), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_like_another_parks_and_names_it() {
    let hub = Hub::new(accounts("creates: { from_remote: ignore }\nsync: { poll: 30s, reconcile: never }"));
    let _process = hub.run().await;
    let now = hub.clock.truth();
    let other = hub.org().dashboard_create("Account", &json!({ "Name": "ACME" }), now).unwrap();
    hub.org().set_duplicate_rule(DuplicateRule::Alert);
    // Nothing matches it: `find` compares by another field than the rule.
    let row = hub.insert(&[("name", "Other"), ("phone", "1")]);
    hub.settle().await;
    hub.update(&row, &[("name", "Acme")]);
    hub.settle().await;
    let parked = hub.parked().await;
    let [(_, parked)] = parked.as_slice() else { panic!("{parked:#?}") };
    assert_eq!(parked.reason, ParkReason::Duplicate);
    assert!(parked.message.contains(other["Id"].as_str().unwrap()), "{}", parked.message);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_record_is_known_by_the_recycle_bin() {
    let hub = Hub::new(accounts(
        "deletes: { from_remote: delete, from_local: delete }\nsync: { poll: 30s, reconcile: never }",
    ));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme")]);
    let kept = hub.insert(&[("name", "Kept")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    let now = hub.clock.truth();
    hub.org().dashboard_delete(id.as_str(), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.row_count().await, 1);
    // The other way: a row that goes takes its record along.
    let id = hub.remote_id("salesforce", &kept).await;
    hub.delete(&kept);
    hub.until("the delete", async |hub: &Hub| hub.sobject(&id)["IsDeleted"] == true).await;
    hub.settle().await;
    let states: Vec<LinkState> = hub.links().await.iter().map(|link| link.state).collect();
    assert!(states.iter().all(|state| !state.is_live()), "{states:?}");
}

/// An update whose answer was lost was carried out before its record went: taken back out of the recycle bin, that shows what we wrote
/// ourselves, and not what somebody changed there (rule 24).
#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_record_went_does_not_come_back_with_it() {
    let policies = "conflicts: { winner: remote }\ndeletes: { from_remote: manual }";
    let hub = Hub::new(accounts(&format!("{policies}\n{POLLED}")));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    hub.hold_a_write();
    hub.update(&row, &[("phone", "2")]);
    hub.until("the write", async |hub: &Hub| hub.let_it_arrive()).await;
    assert_eq!(hub.sobject(&id)["Phone"], "2");
    let now = hub.clock.truth();
    hub.org().dashboard_delete(id.as_str(), now).unwrap();
    hub.settle().await;
    let parked: Vec<_> = hub.parked().await.into_iter().map(|(_, parked)| parked.reason).collect();
    assert!(parked.contains(&ParkReason::Delete), "{parked:?}");
    let now = hub.clock.truth();
    hub.org().dashboard_undelete(id.as_str(), now).unwrap();
    hub.update(&row, &[("phone", "3")]);
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("3"), "the user's last word");
    assert_eq!(hub.sobject(&id)["Phone"], "3");
    let filter = HistoryFilter { op: Some(HistoryOp::Echo), ..HistoryFilter::default() };
    let echoes = hub.store.history(&filter, None, 10).await.unwrap();
    assert!(!echoes.is_empty(), "history says so");
}

#[tokio::test(start_paused = true)]
async fn an_uncertain_create_is_found_by_its_stamp_though_it_was_renamed() {
    let hub = Hub::new(accounts(&format!("conflicts: {{ winner: manual }}\n{POLLED}")));
    let _process = hub.run().await;
    hub.org().inject(Fault::next(Action::LostAnswer).on(Method::Patch, "/"));
    let away =
        [Method::Get, Method::Patch].map(|method| Fault::always(Action::Unavailable503).on(method, "/"));
    let row = hub.insert(&[("name", "Acme")]);
    hub.until("the record", async |hub: &Hub| {
        let is_there = hub.org().record_count("Account") == 1;
        if is_there {
            away.iter().for_each(|fault| hub.org().inject(fault.clone()));
        }
        is_there
    })
    .await;
    let id = hub.org().records("Account")[0]["Id"].as_str().unwrap().to_owned();
    let now = hub.clock.truth();
    hub.org().dashboard_update(&id, &json!({ "Name": "Acme Limited" }), now).unwrap();
    hub.org().clear_faults();
    hub.settle().await;
    assert_eq!(hub.local(&row, "name").await.as_deref(), Some("Acme Limited"), "a user's word there");
    assert_eq!(hub.org().record_count("Account"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_page_in_front_of_the_service_is_no_answer_to_an_update() {
    let hub = Hub::new(accounts(&format!("conflicts: {{ winner: remote }}\n{POLLED}")));
    let _process = hub.run().await;
    let row = hub.insert(&[("name", "Acme"), ("phone", "1")]);
    hub.settle().await;
    let id = hub.remote_id("salesforce", &row).await;
    hub.org().inject(Fault::next(Action::HtmlBody).on(Method::Patch, "/"));
    hub.update(&row, &[("phone", "2")]);
    hub.settle().await;
    assert_eq!(hub.org().fired()["html_body"], 1);
    assert_eq!(hub.sobject(&id)["Phone"], "2");
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("2"), "not what the record still held");
}
