//! What the feed does not tell: expired cursors, refusals, lost and unheard-of events (rules 49, 52, 53).

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::EngineError;
use bothways_model::{ConnectionName, Method, Timestamp};
use bothways_store::{Cursor, Intake, PageCommit};
use chrono::TimeDelta;
use serde_json::json;
use std::time::Duration;

fn fed(sync: &str) -> Setup {
    Setup { webhooks: false, ..Setup::with(&format!("sync: {sync}")) }
}

async fn cursor_of_feed(world: &World) -> Option<Timestamp> {
    let cursor = world.store.cursor("feed/stripe").await.unwrap()?;
    serde_json::from_value(cursor["at"].clone()).ok()
}

#[tokio::test(start_paused = true)]
async fn an_expired_cursor_brings_a_full_pass_without_deletes() {
    let mut world = World::new(fed("{ feed: 5s, reconcile: never }")).await;
    let row = world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.until("the create", Duration::from_secs(60), async |w: &World| w.customers().len() == 1).await;
    world.settle().await;
    world.kill();
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.remote_update(&id, json!({ "name": "Ada Lovelace" }));
    world.remote_create(json!({ "name": "Grace", "email": "grace@example.com" }));
    // As if the engine had been away for two months: the events of it are gone.
    let old = json!({ "at": world.now() - TimeDelta::days(60) });
    let page = PageCommit {
        cursor: Some(Cursor { name: "feed/stripe".into(), value: old }),
        ..PageCommit::default()
    };
    world.store.commit_page(world.now(), &page).await.unwrap();
    world.fault(Fault::next(Action::EmptyList).times(100).on(Method::Get, "/v1/events"));
    world.restart().await;
    world
        .until("the pass", Duration::from_secs(600), async |w: &World| {
            w.local(&row, "name").await.as_deref() == Some("Ada Lovelace") && w.rows().await.len() == 2
        })
        .await;
    world.settle().await;
    world.assert_in_step().await;
    // The feed goes on from now.
    let now = world.now();
    world
        .until("a new beginning", Duration::from_secs(60), async |w: &World| {
            cursor_of_feed(w).await.is_some_and(|at| now - at < TimeDelta::minutes(5))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn p36_two_changes_in_one_second_with_a_poll_between_both_arrive() {
    let world = World::new(fed("{ feed: never, reconcile: never }")).await;
    let stripe = ConnectionName::from("stripe");
    let first = world.remote_create(json!({ "name": "A", "email": "a@example.com" }));
    let _ = first;
    // The mapping says `never`, so nothing is polled: there is no feed in use.
    assert_eq!(world.engine.read_feed(&stripe).await.unwrap().seen, 0);

    let world = World::new(fed("{ feed: 24h, reconcile: never }")).await;
    world
        .until("the first poll", Duration::from_secs(60), async |w: &World| cursor_of_feed(w).await.is_some())
        .await;
    world.remote_create(json!({ "name": "A", "email": "a@example.com" }));
    assert_eq!(world.engine.read_feed(&stripe).await.unwrap().new, 1);
    world.remote_create(json!({ "name": "B", "email": "b@example.com" }));
    assert_eq!(world.engine.read_feed(&stripe).await.unwrap().new, 1);
    world.settle().await;
    assert_eq!(world.rows().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_feed_is_shown_and_stops_nothing_else() {
    let world = World::stopped(fed("{ feed: 5s, reconcile: 30s }")).await;
    world.fault(Fault::next(Action::Forbidden403).times(1000).on(Method::Get, "/v1/events"));
    let mut world = world;
    world.start().await;
    world.remote_create(json!({ "name": "Grace", "email": "grace@example.com" }));
    world.until("the pass", Duration::from_secs(600), async |w: &World| w.rows().await.len() == 1).await;
    let status = world.ops.status().await.unwrap();
    assert!(status[0].trouble.iter().any(|t| t.starts_with("feed/stripe")), "{:?}", status[0].trouble);
    assert_eq!(status[0].paused, None);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_never_generated_is_found_by_the_pass() {
    let world = World::new(fed("{ feed: 5s, reconcile: 60s }")).await;
    world.fault(Fault::next(Action::EventNotGenerated));
    world.remote_create(json!({ "name": "Grace", "email": "grace@example.com" }));
    world.until("the pass", Duration::from_secs(300), async |w: &World| w.rows().await.len() == 1).await;
    assert_eq!(world.fired("event_not_generated"), 1);
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_feed_with_many_pages_is_read_to_its_end_across_a_kill() {
    let mut world = World::new(fed("{ feed: 5s, reconcile: never }")).await;
    world
        .until("the first poll", Duration::from_secs(60), async |w: &World| cursor_of_feed(w).await.is_some())
        .await;
    for n in 0..450 {
        world.remote_create(json!({ "name": format!("P{n}"), "email": format!("p{n}@example.com") }));
    }
    world
        .until("a poll is under way", Duration::from_secs(60), async |w: &World| {
            let cursor = w.store.cursor("feed/stripe").await.unwrap().unwrap_or_default();
            !cursor["open"].is_null()
        })
        .await;
    world.kill();
    world.restart().await;
    world.until("all of them", Duration::from_secs(600), async |w: &World| w.rows().await.len() == 450).await;
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_another_account_reads_nothing() {
    let mut world = World::new(fed("{ feed: 5s, reconcile: 10s }")).await;
    world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.until("the create", Duration::from_secs(60), async |w: &World| w.customers().len() == 1).await;
    world.settle().await;
    world.kill();
    world.fault(Fault::next(Action::OtherAccount).times(1000));
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.stripe().clear_requests();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.stripe().requests().count(), 0);
    let error = world.engine.pass(world.pair(), Default::default(), &|_| {}).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused(_)), "{error}");
}
