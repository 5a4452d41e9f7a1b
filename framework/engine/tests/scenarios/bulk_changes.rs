//! Brakes on what is changed or created in bulk: fields emptied, storms, creates, a side that lists nothing (rules 57 to 60).

use super::brakes::{HOUR, approve, approvers, brake, held, linked, pass, rows, then_ann, wait};
use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::{RemoteId, Value};
use bothways_store::{HistoryFilter, HistoryOp, Intake, Operator as _, Side};
use serde_json::{Value as Json, json};
use std::time::Duration;

const QUIET: &str = "sync: { feed: never, reconcile: never }";

fn with(safety: &str) -> Setup {
    Setup::with(&format!("{QUIET}\n{safety}"))
}

fn emptied(world: &World) -> usize {
    world.customers().iter().filter(|customer| customer["phone"].is_null()).count()
}

async fn emptied_here(world: &World) -> usize {
    let empty = |row: &&bothways_model::LocalRow| row.fields.get("phone").is_none_or(|value| value.is_null());
    world.rows().await.iter().filter(empty).count()
}

fn named(world: &World, name: &str) -> usize {
    world.customers().iter().filter(|customer| customer["name"] == name).count()
}

async fn ids(world: &World) -> Vec<RemoteId> {
    world.links().await.into_iter().filter_map(|link| link.remote_id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_field_emptied_in_bulk_is_withheld_and_other_fields_flow() {
    let world = linked(with(""), 200).await;
    let rows = rows(&world).await;
    rows[..30].iter().for_each(|row| world.update(row, &[("phone", ""), ("name", "Renamed")]));
    let on = brake(&world, 20).await;
    assert_eq!((on.kind.as_str(), on.part.as_str()), ("blanking", "remote/phone"));
    world.until("the names", HOUR, async |w: &World| named(w, "Renamed") == 30).await;
    wait(60).await;
    assert_eq!(emptied(&world), 10, "5 % of 200");
    assert!(held(&world).await >= 20);
    // A later edit of another field of a held record flows too, and one of the field itself lifts nothing.
    let held_row = world.ops.brake_records(&on.id, None, 1).await.unwrap().remove(0).local_id.unwrap();
    world.update(&held_row.as_str().into(), &[("name", "Again")]);
    world.until("the later edit", HOUR, async |w: &World| named(w, "Again") == 1).await;
    assert_eq!(emptied(&world), 10);
    // Who is full again needs nothing.
    world.update(&held_row.as_str().into(), &[("phone", "1")]);
    let fewer = brake(&world, 19).await;
    approve(&world, &fewer).await;
    world.settle().await;
    assert_eq!(emptied(&world), 29);
    assert!(world.ops.brakes().await.unwrap().is_empty());
    world.assert_in_step().await;
}

/// Nothing told of it, and the pass meets records that are as they were: what is withheld of them is over all the same.
#[tokio::test(start_paused = true)]
async fn what_nobody_wants_any_more_is_not_withheld_beyond_the_next_full_pass() {
    let world = linked(with(""), 200).await;
    let ids = &ids(&world).await[..30];
    ids.iter().for_each(|id| world.remote_update(id, json!({ "phone": Json::Null })));
    brake(&world, 20).await;
    world.hold_webhooks(true);
    ids.iter().for_each(|id| world.remote_update(id, json!({ "phone": "1" })));
    world.take_deliveries();
    world.hold_webhooks(false);
    wait(10).await;
    assert_eq!(world.ops.brakes().await.unwrap()[0].withheld, 20, "nobody knows yet");
    pass(&world).await.unwrap();
    world.settle().await;
    assert!(world.ops.brakes().await.unwrap().is_empty());
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_field_emptied_at_the_service_does_not_empty_the_table() {
    let world = linked(with(""), 200).await;
    for id in &ids(&world).await[..30] {
        world.remote_update(id, json!({ "phone": Json::Null, "name": "Renamed" }));
    }
    let on = brake(&world, 20).await;
    assert_eq!(on.part, "local/phone");
    wait(30).await;
    assert_eq!(emptied_here(&world).await, 10);
    let renamed = world.rows().await;
    let renamed = renamed.iter().filter(|row| row.fields.get("name") == Some(&Value::Text("Renamed".into())));
    assert_eq!(renamed.count(), 30, "other fields flow");
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(emptied_here(&world).await, 30);
    let updates = approvers(&world, HistoryOp::Update, Side::Local).await;
    assert_eq!(updates, then_ann(30, 20), "30 names, 10 of them with a phone, then the other phones");
    world.assert_in_step().await;
}

/// Whoever chose an empty value of the service is not asked again: the choice waits for the approval, and is carried out then.
#[tokio::test(start_paused = true)]
async fn what_a_person_chose_outlives_the_brake_that_withholds_it() {
    let world = linked(with("conflicts: { winner: manual }"), 8).await;
    world.hold_webhooks(true);
    for (row, id) in rows(&world).await.iter().zip(ids(&world).await) {
        world.update(row, &[("phone", "777")]);
        world.remote_update(&id, json!({ "phone": Json::Null }));
    }
    world.hold_webhooks(false);
    world.settle().await;
    let set = world.ops.conflicts(None, None).await.unwrap();
    assert_eq!(set.count, 8);
    world.ops.resolve_all(None, None, Side::Remote, &set.digest, "ada").await.unwrap();
    let on = brake(&world, 3).await;
    assert_eq!(on.part, "local/phone");
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(emptied_here(&world).await, 8);
    let filter = HistoryFilter { op: Some(HistoryOp::Conflict), ..HistoryFilter::default() };
    assert_eq!(world.store.history(&filter, None, 100).await.unwrap().len(), 8, "each was asked about once");
}

/// A world that nothing tells of remote changes.
fn deaf() -> Setup {
    Setup { webhooks: false, ..with("") }
}

/// Changes `count` records in a way that only a full pass finds.
async fn drift(world: &World, count: usize, name: &str) {
    for id in &ids(world).await[..count] {
        world.remote_update(id, json!({ "name": name }));
    }
    // Longer ago than any catching up reaches back.
    wait(60).await;
}

async fn named_here(world: &World, name: &str) -> usize {
    let name = Value::Text(name.to_owned());
    world.rows().await.iter().filter(|row| row.fields.get("name") == Some(&name)).count()
}

#[tokio::test(start_paused = true)]
async fn a_full_pass_that_would_change_a_third_is_withheld() {
    let world = linked(deaf(), 100).await;
    drift(&world, 30, "Drifted").await;
    pass(&world).await.unwrap();
    world.settle().await;
    assert_eq!(named_here(&world, "Drifted").await, 30, "30 % need no approval");
    drift(&world, 40, "Stormed").await;
    pass(&world).await.unwrap();
    let on = brake(&world, 10).await;
    assert_eq!(on.kind, "updates");
    wait(30).await;
    assert_eq!(named_here(&world, "Stormed").await, 30);
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(named_here(&world, "Stormed").await, 40);
    assert_eq!(approvers(&world, HistoryOp::Update, Side::Local).await, then_ann(60, 10));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn an_approved_change_may_be_a_storm() {
    let mut world = linked(deaf(), 100).await;
    drift(&world, 90, "Wanted").await;
    world.remap(&format!("{QUIET}\ncreates: {{ from_local: ignore }}")).await;
    let (totals, _) = world.plan().await;
    world.ops.approve_plan(None, &totals.digest, "ann").await.unwrap();
    pass(&world).await.unwrap();
    // Another pass meanwhile does not make it its own.
    pass(&world).await.unwrap();
    world.settle().await;
    assert_eq!(named_here(&world, "Wanted").await, 90);
    // It covers one pass, and to approve the same again approves nothing new.
    drift(&world, 90, "Unwanted").await;
    world.ops.approve(None, "ann").await.unwrap();
    pass(&world).await.unwrap();
    brake(&world, 60).await;
}

#[tokio::test(start_paused = true)]
async fn what_users_change_in_bulk_is_no_storm() {
    let world = linked(with(""), 100).await;
    for row in rows(&world).await {
        world.update(&row, &[("name", "Everybody")]);
    }
    world.settle().await;
    assert_eq!(named(&world, "Everybody"), 100);
}

#[tokio::test(start_paused = true)]
async fn creates_beyond_the_limit_wait_for_an_approval() {
    let world = World::new(with("safety: { creates: 20 }")).await;
    for n in 0..30 {
        world.insert(&[("email", &format!("p{n}@example.com")), ("name", "New")]);
    }
    let on = brake(&world, 10).await;
    assert_eq!(on.kind, "creates");
    wait(60).await;
    assert_eq!(world.customers().len(), 20);
    let shown = world.ops.brake_records(&on.id, None, 100).await.unwrap();
    assert!(shown.iter().all(|one| one.local_id.is_some() && one.what == "create its record at the service"));
    // One of them is taken back: nobody wants it any more.
    world.delete(&shown[0].local_id.as_deref().unwrap().into());
    let fewer = brake(&world, 9).await;
    approve(&world, &fewer).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 29);
    assert!(world.ops.brakes().await.unwrap().is_empty());
    assert_eq!(approvers(&world, HistoryOp::Create, Side::Remote).await, then_ann(20, 9));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_first_import_creates_what_its_plan_named() {
    let mut world = World::stopped(Setup { walked: false, ..with("safety: { creates: 20 }") }).await;
    for n in 0..50 {
        world.insert(&[("email", &format!("p{n}@example.com"))]);
    }
    world.start().await;
    world.until("all of them", HOUR, async |w: &World| w.customers().len() == 50).await;
    assert!(world.ops.brakes().await.unwrap().is_empty());
}

/// A world that nobody has approved yet and that has seen what it would do with so many rows.
async fn observing(count: usize) -> World {
    let mut world = World::stopped(Setup { walked: false, approved: false, ..with("") }).await;
    for n in 0..count {
        world.insert(&[("email", &format!("p{n}@example.com"))]);
    }
    world.start().await;
    let seen = async |w: &World| {
        let cursor = w.store.cursor(&format!("pass/{}", w.pair())).await.unwrap();
        cursor.is_some_and(|state| !state["observed_at"].is_null())
    };
    world.until("the plan", HOUR, seen).await;
    world
}

#[tokio::test(start_paused = true)]
async fn rows_that_come_before_the_approval_are_in_its_plan() {
    let world = observing(0).await;
    for n in 0..40 {
        world.insert(&[("email", &format!("p{n}@example.com"))]);
    }
    world.ops.approve(None, "ann").await.unwrap();
    world.until("all of them", HOUR, async |w: &World| w.customers().len() == 40).await;
    assert!(world.ops.brakes().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_import_that_grew_since_its_plan_was_seen_is_withheld() {
    let mut world = observing(5).await;
    world.kill();
    world.ops.approve(None, "ann").await.unwrap();
    for n in 5..40 {
        world.insert(&[("email", &format!("p{n}@example.com"))]);
    }
    wait(5).await;
    world.restart().await;
    let on = brake(&world, 25).await;
    assert_eq!((on.kind.as_str(), on.part.as_str()), ("creates", "first import"));
    wait(30).await;
    assert_eq!(world.customers().len(), 15, "5 were named; 10 more are few");
    approve(&world, &on).await;
    world.settle().await;
    assert_eq!(world.customers().len(), 40);
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn p11_an_empty_side_stops_the_pass_until_a_person_says_that_it_is_right() {
    let world = linked(with(""), 1000).await;
    world.fault(Fault::always(Action::EmptyList));
    for _ in 0..2 {
        let error = pass(&world).await.unwrap_err();
        assert!(matches!(error, bothways_engine::EngineError::Braked(_)), "{error}");
        assert_eq!((world.customers().len(), world.rows().await.len()), (1000, 1000), "0 deletes");
        let on = brake(&world, 1).await;
        assert_eq!((on.kind.as_str(), on.part.as_str()), ("empty", "remote"));
    }
    let before = world.ops.status().await.unwrap()[0].passed_at.clone();
    let on = brake(&world, 1).await;
    approve(&world, &on).await;
    let passed = async |w: &World| w.ops.status().await.unwrap()[0].passed_at != before;
    world.until("the pass that was stopped", HOUR, passed).await;
    assert!(world.ops.brakes().await.unwrap().is_empty());
    assert_eq!((world.customers().len(), world.rows().await.len()), (1000, 1000), "absence is no delete");
    assert!(pass(&world).await.is_err(), "the approval was for one pass");
}

#[tokio::test(start_paused = true)]
async fn a_mapping_may_tighten_a_brake() {
    let deletes =
        "deletes: { from_local: delete, confirm: irreversible }\nsafety: { deletes: 2, blanking: 1% }";
    let world = linked(with(deletes), 50).await;
    let rows = rows(&world).await;
    rows[..3].iter().for_each(|row| world.delete(row));
    brake(&world, 3).await;
    world.update(&rows[10], &[("phone", "")]);
    let two = async |w: &World| w.ops.brakes().await.unwrap().len() == 2;
    world.until("both brakes", Duration::from_secs(60), two).await;
    assert_eq!((world.customers().len(), emptied(&world)), (50, 0));
}

/// A row is back, and empties a field at once: what is withheld of it now is another thing than before (rule 63).
#[tokio::test(start_paused = true)]
async fn what_is_withheld_of_a_row_that_is_back_is_what_it_does_now() {
    let world = linked(with("deletes: { from_local: delete, confirm: irreversible }"), 50).await;
    let all = world.rows().await;
    all[..15].iter().for_each(|row| world.delete(&row.id));
    let deletes = brake(&world, 15).await;
    for row in &all[20..27] {
        world.update(&row.id, &[("phone", "")]);
    }
    let of = async |kind: &str| {
        let on = world.ops.brakes().await.unwrap().into_iter().find(|on| on.kind == kind);
        on.map_or(0, |on| on.withheld)
    };
    world.until("seven are too many", HOUR, async |_: &World| of("blanking").await == 2).await;
    let mut back = all[0].fields.clone();
    back.0.insert("phone".into(), Value::Null);
    world.store.foreign().insert("customers", back, world.now()).unwrap();
    world.until("its field is withheld", HOUR, async |_: &World| of("blanking").await == 3).await;
    assert_eq!(of("deletes").await, 14, "its delete is not");
    assert_eq!(world.ops.brake(&deletes.id).await.unwrap().open, 14);
}

/// What an approved plan creates is nobody's storm, however much it is (rule 60).
#[tokio::test(start_paused = true)]
async fn what_an_approved_change_creates_is_not_charged() {
    let ignored = "creates: { from_local: ignore }\nsafety: { creates: 5 }";
    let mut world = World::new(with(ignored)).await;
    for n in 0..12 {
        world.insert(&[("email", &format!("p{n}@example.com"))]);
    }
    pass(&world).await.unwrap();
    world.settle().await;
    assert!(world.customers().is_empty());
    world.remap(&format!("{QUIET}\nsafety: {{ creates: 5 }}")).await;
    let (totals, _) = world.plan().await;
    world.ops.approve_plan(None, &totals.digest, "ann").await.unwrap();
    pass(&world).await.unwrap();
    world.settle().await;
    assert_eq!(world.customers().len(), 12);
    assert!(world.ops.brakes().await.unwrap().is_empty());
}
