//! What users change between the read that a write was decided on and the write.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::Clock as _;
use bothways_model::{LocalId, Method, RemoteId};
use bothways_store::Links as _;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

const LATENCY: Duration = Duration::from_millis(500);
const UPDATE_WINS: &str =
    "deletes: { from_local: delete, confirm: irreversible, against_update: update_wins }";

async fn linked(policies: &str) -> (World, LocalId, RemoteId) {
    let world = World::new(Setup::with(policies)).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.hold_webhooks(true);
    world.set_latency(LATENCY);
    (world, row, id)
}

/// Lets every other task run once.
async fn step_back() {
    let mut has = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut has, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The record's name is changed once it was read and while the intent of the next write is committed, which takes five seconds: a
/// database that somebody else holds.
async fn changed_during_a_slow_commit(world: &World, row: &LocalId, id: &RemoteId) {
    let link = world.link_of(row).await.id;
    let requests = || world.stripe().requests().count();
    for _ in 0..10 {
        let before = requests();
        while requests() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let asked = world.clock.now();
        // The answer is there after half of the latency; the commit itself takes no time.
        tokio::time::sleep(LATENCY / 2 - Duration::from_millis(5)).await;
        let (store, clock) = (world.store.clone(), world.clock.clone());
        let slow = tokio::spawn(async move {
            for step in 0..2_000 {
                if step % 200 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let intents = store.intents(link, 9).await.unwrap();
                if intents.iter().any(|intent| intent.state.is_pending() && intent.sent_at >= asked) {
                    clock.ahead.fetch_add(5, Ordering::Relaxed);
                    return true;
                }
                step_back().await;
            }
            false
        });
        if slow.await.unwrap() {
            world.remote_update(id, json!({ "name": "Edited there" }));
            world.hold_webhooks(false);
            return;
        }
    }
    panic!("no intent was committed");
}

#[tokio::test(start_paused = true)]
async fn an_update_does_not_overwrite_what_was_changed_while_its_intent_was_committed() {
    let (world, row, id) = linked("conflicts: { winner: remote }").await;
    world.update(&row, &[("name", "Edited here")]);
    changed_during_a_slow_commit(&world, &row, &id).await;
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Edited there"));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_lost_is_not_sent_again_over_what_was_changed_meanwhile() {
    let (world, row, id) = linked("conflicts: { winner: remote }").await;
    world.fault(Fault::next(Action::LostRequest).on(Method::Post, "/v1/customers"));
    world.update(&row, &[("name", "Edited here")]);
    while world.fired("lost_request") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    changed_during_a_slow_commit(&world, &row, &id).await;
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Edited there"));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_was_lost_is_not_sent_again_once_the_record_was_changed() {
    let (world, row, id) = linked(UPDATE_WINS).await;
    world.fault(Fault::next(Action::LostRequest).on(Method::Delete, "/v1/customers"));
    world.delete(&row);
    let lost = async |w: &World| w.fired("lost_request") == 1;
    world.until("the lost delete", Duration::from_secs(60), lost).await;
    world.remote_update(&id, json!({ "name": "Edited there" }));
    world.hold_webhooks(false);
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Edited there"));
}

#[tokio::test(start_paused = true)]
async fn a_delete_does_not_take_what_was_changed_while_its_intent_was_committed() {
    let (world, row, id) = linked(UPDATE_WINS).await;
    world.delete(&row);
    changed_during_a_slow_commit(&world, &row, &id).await;
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Edited there"));
}
