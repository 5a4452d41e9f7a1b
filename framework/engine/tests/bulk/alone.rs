//! Each of webhook, feed and full pass alone keeps both sides in step, both ways.

use crate::harness::{Setup, World};
use serde_json::json;
use std::time::Duration;

/// A world with `sync` as given and webhooks on or off; both sides known to be empty.
fn only(webhooks: bool, sync: &str) -> Setup {
    Setup { webhooks, ..Setup::with(&format!("sync: {sync}")) }
}

/// Creates and edits on both sides, one after the other and both at once.
async fn both_ways(setup: Setup) -> World {
    let world = World::new(setup).await;
    let ada = world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    let grace = world.remote_create(json!({ "name": "Grace", "email": "grace@example.com" }));
    let minutes = Duration::from_secs(600);
    world
        .until("both creates", minutes, async |w: &World| {
            w.customers().len() == 2 && w.rows().await.len() == 2
        })
        .await;
    world.settle().await;
    world.assert_in_step().await;

    let ada_remote = world.link_of(&ada).await.remote_id.unwrap();
    let rows = world.rows().await;
    let grace_row = rows.iter().find(|row| row.id != ada).unwrap().id.clone();
    world.remote_update(&ada_remote, json!({ "phone": "+1" }));
    world.remote_update(&grace, json!({ "name": "Grace Hopper" }));
    world.update(&grace_row, &[("phone", "+2")]);
    world
        .until("both edits", minutes, async |w: &World| {
            w.local(&ada, "phone").await.as_deref() == Some("+1")
                && w.local(&grace_row, "name").await.as_deref() == Some("Grace Hopper")
                && w.remote(&grace, "phone").as_deref() == Some("+2")
        })
        .await;
    world.settle().await;
    world.assert_in_step().await;
    world
}

#[tokio::test(start_paused = true)]
async fn webhooks_alone() {
    both_ways(only(true, "{ feed: never, reconcile: never }")).await;
}

#[tokio::test(start_paused = true)]
async fn the_feed_alone() {
    both_ways(only(false, "{ feed: 5s, reconcile: never }")).await;
}

#[tokio::test(start_paused = true)]
async fn the_full_pass_alone() {
    both_ways(only(false, "{ feed: never, reconcile: 10s }")).await;
}

#[tokio::test(start_paused = true)]
async fn all_together_write_no_more_than_one_alone() {
    let world = both_ways(only(true, "{ feed: 5s, reconcile: 10s }")).await;
    // One create and one update went out; everything else came in.
    assert_eq!(world.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_shows_only_our_own_echoes_costs_no_reads() {
    let world = both_ways(only(false, "{ feed: 5s, reconcile: never }")).await;
    // The events of the last edits are read within two polls.
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.settle().await;
    let row = world.rows().await[0].id.clone();
    world.update(&row, &[("name", "Ada Lovelace")]);
    world.until("the edit", Duration::from_secs(60), async |w: &World| w.writes() == 3).await;
    world.settle().await;
    let reads = reads_of_records(&world);
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.settle().await;
    assert_eq!(reads_of_records(&world), reads, "an echo was looked at");
    assert_eq!(world.writes(), 3);
}

/// GETs of single customers so far.
fn reads_of_records(world: &World) -> usize {
    let stripe = world.stripe();
    stripe
        .requests()
        .filter(|request| request.method == bothways_model::Method::Get)
        .filter(|request| request.path.starts_with("/v1/customers/"))
        .count()
}
