//! Scheduled passes: cheap when nothing changed, honest about drift, stopped by a side that lists nothing (rules 4, 54, 59).

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::{EngineError, PassOptions, PassReport, PassStage};
use bothways_model::{Method, Value};
use bothways_store::{HistoryFilter, LinkState, Operator, PauseScope};
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn pass(world: &World) -> Result<PassReport, EngineError> {
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await
}

/// A world with `count` linked customers, in step, and nothing that tells of remote changes.
async fn linked(count: usize) -> World {
    let setup =
        Setup { webhooks: false, walked: false, ..Setup::with("sync: { feed: never, reconcile: never }") };
    let mut world = World::stopped(setup).await;
    for n in 0..count {
        world.remote_create(json!({ "name": format!("Person {n}"), "email": format!("p{n}@example.com") }));
    }
    world.start().await;
    let walked = async |w: &World| w.engine.pairs().all(|pair| pair.is_walked());
    world.until("first contact", Duration::from_secs(600), walked).await;
    world.settle().await;
    world.assert_in_step().await;
    world
}

async fn history(world: &World) -> usize {
    world.store.history(&HistoryFilter::default(), None, 100_000).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_second_pass_over_records_in_step_writes_nothing() {
    let world = linked(1000).await;
    let before = (world.writes(), history(&world).await, world.links().await);
    let report = pass(&world).await.unwrap();
    world.settle().await;
    assert_eq!((report.counts.remote, report.counts.local), (1000, 1000));
    assert_eq!((report.counts.differing, report.counts.handed_on, report.counts.handed_out), (0, 0, 0));
    assert!(!report.first);
    assert!((world.writes(), history(&world).await, world.links().await) == before, "the second pass wrote");
}

#[tokio::test(start_paused = true)]
async fn drift_is_counted_and_mended() {
    let world = linked(250).await;
    let ids: Vec<_> = world.customers().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
    for id in &ids[..7] {
        world.remote_update(&id.as_str().into(), json!({ "name": "Drifted" }));
    }
    // Longer ago than catching up reaches back: an event that is on its way is no drift.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let report = pass(&world).await.unwrap();
    assert_eq!((report.counts.differing, report.counts.drifted), (7, 7));
    let drift = world.ops.status().await.unwrap()[0].drift.clone().unwrap();
    assert!(drift.alert && drift.drifted == 7, "webhooks seem healthy and had told of none: {drift:?}");
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(
        world
            .rows()
            .await
            .iter()
            .filter(|r| r.fields.get("name") == Some(&Value::Text("Drifted".into())))
            .count(),
        7
    );
    assert_eq!(pass(&world).await.unwrap().counts.differing, 0);
    assert!(!world.ops.status().await.unwrap()[0].drift.as_ref().unwrap().alert);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_delete_nobody_told_of_is_asked_for() {
    let world = linked(30).await;
    let id = world.customers()[3]["id"].as_str().unwrap().into();
    world.remote_delete(&id);
    let report = pass(&world).await.unwrap();
    assert_eq!(report.counts.differing, 1, "not met, so looked at");
    world.settle().await;
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "the default leaves a delete to a person");
    assert_eq!(world.rows().await.len(), 30, "and nothing is deleted before");
    assert_eq!(pass(&world).await.unwrap().counts.differing, 0);
}

#[tokio::test(start_paused = true)]
async fn p11_an_empty_remote_side_stops_the_pass() {
    let world = linked(300).await;
    world.fault(Fault::next(Action::EmptyList));
    let error = pass(&world).await.unwrap_err();
    assert!(error.to_string().contains("lists nothing although 300 links exist"), "{error}");
    assert_eq!(world.fired("empty_list"), 1);
    let status = world.ops.status().await.unwrap();
    assert!(status[0].trouble.iter().any(|trouble| trouble.contains("rule 59")), "{:?}", status[0].trouble);
    let brakes = world.ops.brakes().await.unwrap();
    assert_eq!(brakes.len(), 1);
    assert_eq!((brakes[0].kind.as_str(), brakes[0].part.as_str()), ("empty", "remote"));
    world.settle().await;
    world.assert_in_step().await;
    // It was a fault of the moment; the next pass says so.
    pass(&world).await.unwrap();
    assert!(world.ops.brakes().await.unwrap().is_empty());
    assert!(world.ops.status().await.unwrap()[0].trouble.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_table_stops_the_pass() {
    let world = linked(20).await;
    for row in world.rows().await {
        world.store.foreign().lose("customers", &row.id).unwrap();
    }
    let error = pass(&world).await.unwrap_err();
    assert!(error.to_string().contains("the local side"), "{error}");
    world.settle().await;
    assert_eq!(world.customers().len(), 20);
    assert!(world.links().await.iter().all(|link| link.state == LinkState::Linked));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_gone_without_a_captured_delete_is_missing() {
    let world = linked(20).await;
    let lost = world.rows().await[3].id.clone();
    world.store.foreign().lose("customers", &lost).unwrap();
    let report = pass(&world).await.unwrap();
    assert_eq!(report.counts.missing, 1);
    world.settle().await;
    assert_eq!(world.link_of(&lost).await.state, LinkState::Missing);
    assert_eq!(world.customers().len(), 20);
    assert_eq!(world.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_one_list_leaves_out_is_not_deleted() {
    let world = linked(250).await;
    world.fault(Fault::next(Action::PageSkipped).times(1));
    let report = pass(&world).await.unwrap();
    assert_eq!(world.fired("page_skipped"), 1);
    assert!(report.counts.remote < 250);
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_comes_twice_changes_nothing() {
    let world = linked(250).await;
    world.fault(Fault::next(Action::PageRepeated).times(1));
    pass(&world).await.unwrap();
    assert_eq!(world.fired("page_repeated"), 1);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_list_reverts_nothing() {
    let world = linked(50).await;
    let row = world.rows().await[0].id.clone();
    world.update(&row, &[("name", "Ours")]);
    world.until("the push", Duration::from_secs(60), async |w: &World| w.writes() == 1).await;
    world.settle().await;
    world.fault(Fault::next(Action::StaleList { seconds: 3600 }).times(10));
    // Then the list knows none of the customers of this young world.
    let _ = pass(&world).await;
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("Ours"));
    world.assert_in_step().await;
    assert_eq!(world.writes(), 1);
}

#[tokio::test(start_paused = true)]
async fn outages_on_the_way_are_waited_out() {
    let world = linked(500).await;
    world.fault(Fault::next(Action::Unavailable503).times(3));
    world.fault(Fault::next(Action::TruncatedBody).times(1));
    world.fault(Fault::next(Action::HtmlBody).times(1));
    world.fault(Fault::next(Action::RateLimited429 { retry_after: 3 }).times(1));
    let report = pass(&world).await.unwrap();
    assert_eq!(report.counts.remote, 500);
    assert_eq!(world.fired("unavailable503") + world.fired("truncated_body") + world.fired("html_body"), 5);
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_a_pass_and_it_goes_on_afterwards() {
    let world = linked(1500).await;
    world.ops.pause(PauseScope::All, "a test", "test").await.unwrap();
    let error = pass(&world).await.unwrap_err();
    assert!(error.to_string().contains("paused"), "{error}");
    world.ops.resume(&PauseScope::All, "test").await.unwrap();
    assert_eq!(pass(&world).await.unwrap().counts.remote, 1500);
}

/// A pass that goes on after a kill has read much before what it is asked for now; triggers put back at the start ask for one.
#[tokio::test(start_paused = true)]
async fn a_pass_that_is_asked_for_while_another_waits_to_go_on_comes_after_it() {
    let mut world = linked(600).await;
    world.set_latency(Duration::from_millis(50));
    world.engine.want_pass(world.pair()).await.unwrap();
    let pages = |w: &World| {
        w.stripe().requests().filter(|r| r.method == Method::Get && r.path == "/v1/customers").count()
    };
    let before = pages(&world);
    world.until("two pages", Duration::from_secs(60), async |w: &World| pages(w) >= before + 2).await;
    world.kill();
    world.restart().await;
    world.engine.want_pass(world.pair()).await.unwrap();
    // Six pages each; one may have been read twice.
    let both = async |w: &World| pages(w) >= before + 12;
    world.until("both passes", Duration::from_secs(600), both).await;
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_stage_by_stage() {
    let world = linked(600).await;
    let stages: Mutex<Vec<PassStage>> = Mutex::default();
    let seen: Mutex<u64> = Mutex::default();
    let progress = |progress: &bothways_engine::PassProgress| {
        stages.lock().unwrap().push(progress.stage);
        *seen.lock().unwrap() = progress.counts.remote;
    };
    world.engine.pass(world.pair(), PassOptions::default(), &progress).await.unwrap();
    let mut order = stages.into_inner().unwrap();
    order.dedup();
    assert_eq!(order, [PassStage::Remote, PassStage::Local, PassStage::CatchUp, PassStage::Match]);
    assert_eq!(seen.into_inner().unwrap(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_detached_row_counts_as_a_namesake_by_what_it_holds_now() {
    let world = World::new(Setup::with("deletes: { from_remote: manual }")).await;
    let kept = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    world.remote_delete(&world.link_of(&kept).await.remote_id.unwrap());
    world.settle().await;
    world.update(&kept, &[("email", "both@example.com")]);
    world.settle().await;
    world.insert(&[("email", "both@example.com"), ("name", "Bob")]);
    world.settle().await;
    assert!(world.customers().is_empty(), "{:#?}", world.customers());

    world.engine.want_pass(world.pair()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.settle().await;
    assert!(world.customers().is_empty(), "a person has to choose: {:#?}", world.customers());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_ahead_puts_no_pass_off() {
    let setup = Setup { webhooks: false, ..Setup::with("sync: { feed: never, reconcile: 5m }") };
    let mut world = World::stopped(setup).await;
    world.clock.ahead.store(100 * 3600, Ordering::Relaxed);
    world.start().await;
    let id = world.remote_create(json!({ "name": "Old", "email": "ann@example.com" }));
    let here = async |w: &World| w.rows().await.len() == 1;
    world.until("a pass finds it", Duration::from_secs(1200), here).await;
    world.settle().await;
    world.clock.ahead.store(0, Ordering::Relaxed);
    world.remote_update(&id, json!({ "name": "New" }));
    let row = world.rows().await.remove(0).id;
    let new = async |w: &World| w.local(&row, "name").await.as_deref() == Some("New");
    world.until("another finds the change", Duration::from_secs(1200), new).await;
}
