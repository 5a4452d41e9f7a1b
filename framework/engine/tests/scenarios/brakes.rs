//! Brakes: what may not happen in bulk without a person's word (rules 56 to 60, 63).

use crate::harness::{Setup, World};
use bothways_engine::stored::WithheldSet;
use bothways_engine::{BrakeRecord, BrakeStatus, Clock, EngineError, PassOptions, PassReport, Settings};
use bothways_model::{LocalId, RemoteId};
use bothways_store::{HistoryFilter, HistoryOp, LinkState, Operator, Pairs, Side};
use chrono::TimeDelta;
use serde_json::json;
use std::time::Duration;

pub(super) const BOTH: &str = "deletes: { from_remote: delete, from_local: delete, confirm: irreversible }\nsync: { feed: never, reconcile: never }";
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// A world with `count` linked customers, in step.
pub(super) async fn linked(setup: Setup, count: usize) -> World {
    let mut world = World::stopped(Setup { walked: false, ..setup }).await;
    world.hold_webhooks(true);
    for n in 0..count {
        let fields =
            json!({ "name": format!("Person {n}"), "email": format!("p{n}@example.com"), "phone": "1" });
        world.remote_create(fields);
    }
    world.take_deliveries();
    world.start().await;
    let walked = async |w: &World| w.engine.pairs().all(|pair| pair.is_walked());
    world.until("first contact", HOUR, walked).await;
    world.hold_webhooks(false);
    world.settle().await;
    world.assert_in_step().await;
    world
}

pub(super) async fn rows(world: &World) -> Vec<LocalId> {
    world.rows().await.into_iter().map(|row| row.id).collect()
}

pub(super) async fn pass(world: &World) -> Result<PassReport, EngineError> {
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await
}

/// The only brake, once it withholds `count`.
pub(super) async fn brake(world: &World, count: u64) -> BrakeStatus {
    world
        .until(&format!("{count} withheld"), HOUR, async |w: &World| {
            matches!(w.ops.brakes().await.unwrap().as_slice(), [one] if one.withheld == count)
        })
        .await;
    let id = world.ops.brakes().await.unwrap().remove(0).id;
    world.ops.brake(&id).await.unwrap()
}

pub(super) fn set(brake: &BrakeStatus) -> WithheldSet {
    WithheldSet { count: brake.open, digest: brake.set.clone().unwrap() }
}

pub(super) async fn approve(world: &World, brake: &BrakeStatus) {
    world.ops.approve_brake(&brake.id, &set(brake), None, "they asked us to", "ann").await.unwrap();
}

pub(super) async fn records(world: &World, brake: &BrakeStatus) -> Vec<BrakeRecord> {
    world.ops.brake_records(&brake.id, None, 1000).await.unwrap()
}

/// Who approved what of this kind was done on this side, oldest first; nobody, where it was done without.
pub(super) async fn approvers(world: &World, op: HistoryOp, side: Side) -> Vec<Option<String>> {
    let filter = HistoryFilter { op: Some(op), ..HistoryFilter::default() };
    let told = world.ops.history(&filter, None, 1000).await.unwrap();
    let of_side = told.into_iter().rev().filter(|row| row.entry.side == side);
    of_side.map(|row| row.entry.approved_by).collect()
}

/// So many that nobody approved, then so many that ann did.
pub(super) fn then_ann(without: usize, approved: usize) -> Vec<Option<String>> {
    let ann = std::iter::repeat_n(Some("ann".to_owned()), approved);
    std::iter::repeat_n(None, without).chain(ann).collect()
}

pub(super) async fn held(world: &World) -> u64 {
    world.store.counts(world.pair()).await.unwrap().held
}

pub(super) async fn wait(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn p12_a_mass_delete_waits_for_one_approval_that_names_it() {
    let world = linked(Setup::with(BOTH), 1000).await;
    let rows = rows(&world).await;
    let (gone, stay) = rows.split_at(250);
    gone.iter().for_each(|row| world.delete(row));
    let on = brake(&world, 250).await;
    assert_eq!((on.kind.as_str(), on.open, on.approved), ("deletes", 250, 0));
    wait(40).await;
    assert_eq!(world.customers().len(), 1000, "none is sent, however long nobody approves");
    assert_eq!(held(&world).await, 250);
    assert!(world.parked().await.is_empty(), "held, not parked");
    let listed = records(&world, &on).await;
    let mut named: Vec<_> = listed.iter().map(|one| one.local_id.clone().unwrap()).collect();
    named.sort_unstable();
    let mut expected: Vec<_> = gone.iter().map(|id| id.0.clone()).collect();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert!(
        listed.iter().all(|one| one.what == "delete the record at the service" && one.remote_id.is_some())
    );
    // Everything else flows meanwhile.
    world.update(&stay[0], &[("name", "Renamed")]);
    let id = world.link_of(&stay[0]).await.remote_id.unwrap();
    world
        .until("the other change", HOUR, async |w: &World| {
            w.remote(&id, "name").as_deref() == Some("Renamed")
        })
        .await;
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 750, "exactly those");
    assert!(world.ops.brakes().await.unwrap().is_empty(), "off when nothing is withheld any more");
    let audit =
        world.store.audits(10).await.unwrap().into_iter().find(|e| e.action == "approve-brake").unwrap();
    assert_eq!(
        (audit.by.as_str(), &audit.detail["count"], &audit.detail["why"]),
        ("ann", &json!(250), &json!("they asked us to"))
    );
    world.assert_in_step().await;
    assert_eq!(approvers(&world, HistoryOp::Delete, Side::Remote).await, then_ann(0, 250));
    // What was approved does not count: an ordinary delete goes, by nobody's approval.
    world.delete(&stay[1]);
    world.settle().await;
    assert_eq!(world.customers().len(), 749);
    assert_eq!(approvers(&world, HistoryOp::Delete, Side::Remote).await.last(), Some(&None));
}

#[tokio::test(start_paused = true)]
async fn p35_a_mass_delete_in_several_relay_batches_sends_none() {
    let settings = Settings { relay_batch: 100, ..Settings::default() };
    let mut world = linked(Setup { settings, ..Setup::with(BOTH) }, 1000).await;
    let rows = rows(&world).await;
    // The engine dies after its relay's first batch, and is away for longer than any delay.
    world.kill();
    rows[..250].iter().for_each(|row| world.delete(row));
    let relayed = bothways_store::Capture::relay(&*world.store, world.now(), 100).await.unwrap();
    assert_eq!((relayed.entries, relayed.more), (100, true));
    wait(60).await;
    world.restart().await;
    let on = brake(&world, 250).await;
    assert_eq!(world.customers().len(), 1000, "none is sent before approval");
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 750);
}

#[tokio::test(start_paused = true)]
async fn under_a_hundred_links_ten_deletes_need_no_approval_and_eleven_do() {
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    rows[..10].iter().for_each(|row| world.delete(row));
    world.settle().await;
    assert_eq!(world.customers().len(), 40);
    world.delete(&rows[10]);
    brake(&world, 1).await;
    wait(5).await;
    assert_eq!(world.customers().len(), 40, "the eleventh within half an hour");
}

#[tokio::test(start_paused = true)]
async fn from_a_hundred_links_on_a_fifth_needs_no_approval() {
    let world = linked(Setup::with(BOTH), 105).await;
    let rows = rows(&world).await;
    rows[..21].iter().for_each(|row| world.delete(row));
    world.settle().await;
    assert_eq!(world.customers().len(), 84, "a fifth of those that there were");
    world.delete(&rows[21]);
    brake(&world, 1).await;
}

#[tokio::test(start_paused = true)]
async fn deletes_that_wait_are_no_drift() {
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    rows[..20].iter().for_each(|row| world.delete(row));
    // Captured and not relayed, then relayed and not looked at, then withheld.
    for waits in [0, 1, 10] {
        tokio::time::sleep(Duration::from_secs(waits)).await;
        let report = pass(&world).await.unwrap();
        assert_eq!((report.counts.missing, report.counts.drifted), (0, 0), "after {waits} s");
        assert!(!world.ops.status().await.unwrap()[0].drift.as_ref().unwrap().alert);
    }
    let on = brake(&world, 20).await;
    approve(&world, &on).await;
    // Carried out while a pass runs.
    let report = pass(&world).await.unwrap();
    assert_eq!(report.counts.missing, 0);
    world.settle().await;
    assert_eq!(world.customers().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn the_window_moves_on_for_those_who_come_later() {
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    for some in rows[..30].chunks(10) {
        some.iter().for_each(|row| world.delete(row));
        world.settle().await;
        wait(31).await;
    }
    assert_eq!(world.customers().len(), 20);
    assert!(world.ops.brakes().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_brake_survives_restarts_and_an_approval_too() {
    let mut world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    rows[..20].iter().for_each(|row| world.delete(row));
    let on = brake(&world, 20).await;
    world.kill();
    wait(40).await;
    world.restart().await;
    wait(40).await;
    assert_eq!(world.customers().len(), 50);
    let again = brake(&world, 20).await;
    assert_eq!((&again.id, &again.since, &again.set), (&on.id, &on.since, &on.set));
    approve(&world, &again).await;
    world.kill();
    wait(5).await;
    world.restart().await;
    world.settle().await;
    assert_eq!(world.customers().len(), 30);
}

/// A delete waits for others like it from when its row went, not from when somebody looks.
#[tokio::test(start_paused = true)]
async fn a_delete_that_was_captured_long_ago_waits_no_more() {
    let mut world = linked(Setup::with(BOTH), 3).await;
    let row = rows(&world).await.remove(0);
    world.kill();
    world.delete(&row);
    wait(1).await;
    let start = tokio::time::Instant::now();
    world.restart().await;
    let is_gone = async |w: &World| w.customers().len() == 2;
    world.until("the delete", Duration::from_secs(60), is_gone).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_engines_do_not_pass_a_brake_together() {
    let mut world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    // A second engine on the same database; the first goes on beside it.
    let first = world.engine.clone();
    world.restart().await;
    rows[..25].iter().for_each(|row| world.delete(row));
    let on = brake(&world, 25).await;
    wait(60).await;
    assert_eq!(world.customers().len(), 50);
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 25, "each of them once");
    first.stop();
}

#[tokio::test(start_paused = true)]
async fn an_approval_expires_and_names_only_what_was_shown() {
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    rows[..15].iter().for_each(|row| world.delete(row));
    let shown = brake(&world, 15).await;
    world.delete(&rows[15]);
    let now = brake(&world, 16).await;
    let stale = world.ops.approve_brake(&shown.id, &set(&shown), None, "", "ann").await.unwrap_err();
    assert!(stale.to_string().contains("another set"), "{stale}");
    // The service is away for as long as the approval holds.
    world.set_down(true);
    let hour = Some(Duration::from_secs(600));
    world.ops.approve_brake(&now.id, &set(&now), hour, "", "ann").await.unwrap();
    wait(20).await;
    world.set_down(false);
    wait(20).await;
    assert_eq!(world.customers().len(), 50, "it has ended");
    let again = brake(&world, 16).await;
    assert_eq!((again.approved, again.open), (0, 16));
    for odd in [Duration::ZERO, HOUR * 24 + Duration::from_secs(1), HOUR * 25] {
        assert!(world.ops.approve_brake(&again.id, &set(&again), Some(odd), "", "ann").await.is_err());
    }
    let longest = world.ops.approve_brake(&again.id, &set(&again), Some(HOUR * 24), "", "ann").await.unwrap();
    assert_eq!(longest, world.clock.now() + TimeDelta::hours(24));
    world.settle().await;
    assert_eq!(world.customers().len(), 34);
    assert!(world.ops.brake("brake-999").await.is_err());
    assert!(world.ops.brake("stripe-customers").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_back_is_not_deleted_though_it_was_approved() {
    let world = linked(Setup::with(BOTH), 50).await;
    let all = rows(&world).await;
    let kept: Vec<_> = world.rows().await.into_iter().take(2).map(|row| row.fields).collect();
    all[..12].iter().for_each(|row| world.delete(row));
    let on = brake(&world, 12).await;
    // One is back before the approval, one after it and before its look.
    world.store.foreign().insert("customers", kept[0].clone(), world.now()).unwrap();
    let on_now = brake(&world, 11).await;
    assert_eq!(on.id, on_now.id);
    world.store.foreign().insert("customers", kept[1].clone(), world.now()).unwrap();
    let listed = world.ops.brake(&on.id).await.unwrap();
    approve(&world, &listed).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 40);
    assert_eq!(world.rows().await.len(), 40);
    world.assert_in_step().await;
    assert!(world.ops.brakes().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_brake_goes_when_all_rows_are_back() {
    let world = linked(Setup::with(BOTH), 50).await;
    let kept: Vec<_> = world.rows().await.into_iter().take(15).collect();
    kept.iter().for_each(|row| world.delete(&row.id));
    brake(&world, 15).await;
    for row in kept {
        world.store.foreign().insert("customers", row.fields, world.now()).unwrap();
    }
    world.settle().await;
    assert!(world.ops.brakes().await.unwrap().is_empty());
    assert_eq!(world.customers().len(), 50);
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn missing_rows_count() {
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    for row in &rows[..10] {
        assert!(world.store.foreign().lose("customers", row).unwrap());
    }
    pass(&world).await.unwrap();
    let lost = async |w: &World| {
        w.links().await.iter().filter(|link| link.state == LinkState::Missing).count() == 10
    };
    world.until("missing", HOUR, lost).await;
    world.delete(&rows[20]);
    brake(&world, 1).await;
    wait(5).await;
    assert_eq!(world.customers().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_mass_delete_at_the_service_does_not_empty_the_table() {
    let world = linked(Setup::with(BOTH), 50).await;
    let ids: Vec<RemoteId> = world.links().await.into_iter().filter_map(|link| link.remote_id).collect();
    ids[..20].iter().for_each(|id| world.remote_delete(id));
    let on = brake(&world, 20).await;
    wait(60).await;
    assert_eq!(world.rows().await.len(), 50);
    assert!(records(&world, &on).await.iter().all(|one| one.what == "delete the row"));
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(world.rows().await.len(), 30);
    assert_eq!(approvers(&world, HistoryOp::Delete, Side::Local).await, then_ann(0, 20));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_delete_stays_approved() {
    use bothways_connector_sandbox::{Action, Fault};
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    rows[..15].iter().for_each(|row| world.delete(row));
    let on = brake(&world, 15).await;
    world.fault(
        Fault::next(Action::RateLimited429 { retry_after: 1 })
            .times(9)
            .on(bothways_model::Method::Delete, "/v1/customers/"),
    );
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 35);
}
