//! Webhooks: durable before yes, once, and never more than a hint (rules 48 to 50).

use crate::harness::{Setup, World};
use bothways_engine::Received;
use bothways_model::ConnectionName;
use serde_json::json;
use std::time::Duration;

fn stripe() -> ConnectionName {
    ConnectionName::from("stripe")
}

/// A world whose webhooks are delivered by the test itself.
async fn by_hand() -> World {
    World::new(Setup { webhooks: false, ..Setup::default() }).await
}

#[tokio::test(start_paused = true)]
async fn fifty_deliveries_of_one_event_at_once_are_one_event() {
    let world = by_hand().await;
    world.remote_create(json!({ "name": "Grace", "email": "grace@example.com" }));
    let deliveries = world.take_deliveries();
    assert_eq!(deliveries.len(), 1);
    let connection = stripe();
    let receive = |_| world.intake.receive(&connection, deliveries[0].clone());
    let received = futures::future::join_all((0..50).map(receive)).await;
    assert!(received.iter().all(|r| matches!(r, Received::Accepted { events: 1, .. })), "{received:?}");
    let new = received.iter().filter(|r| matches!(r, Received::Accepted { new: 1, .. })).count();
    assert_eq!(new, 1);
    world.until("the row", Duration::from_secs(60), async |w: &World| w.rows().await.len() == 1).await;
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_forged_or_stale_delivery_is_rejected_and_leaves_nothing() {
    let world = by_hand().await;
    world.remote_create(json!({ "name": "Grace", "email": "grace@example.com" }));
    let mut forged = world.take_deliveries().remove(0);
    let genuine = forged.clone();
    forged.body.push(b' ');
    assert_eq!(world.intake.receive(&stripe(), forged).await, Received::Rejected);
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(world.intake.receive(&stripe(), genuine.clone()).await, Received::Rejected);
    assert_eq!(world.intake.receive(&"other".into(), genuine).await, Received::UnknownConnection);
    world.settle().await;
    assert!(world.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_unknown_type_is_accepted_and_has_no_effect() {
    let world = by_hand().await;
    let now = world.now();
    let object = json!({ "id": "x_1", "object": "x" });
    world.stripe().dashboard_emit("x.happened", object.as_object().unwrap(), now);
    let delivery = world.take_deliveries().remove(0);
    let received = world.intake.receive(&stripe(), delivery).await;
    assert_eq!(received, Received::Accepted { events: 1, new: 1 });
    world.settle().await;
    assert!(world.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_echo_of_our_own_write_costs_no_look() {
    let world = by_hand().await;
    world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.until("the create", Duration::from_secs(60), async |w: &World| w.customers().len() == 1).await;
    world.settle().await;
    let requests = world.stripe().requests().count();
    for delivery in world.take_deliveries() {
        let received = world.intake.receive(&stripe(), delivery).await;
        assert_eq!(received, Received::Accepted { events: 1, new: 1 });
    }
    world.settle().await;
    assert_eq!(world.stripe().requests().count(), requests);
}

#[tokio::test(start_paused = true)]
async fn an_old_event_in_disorder_never_wins() {
    let world = by_hand().await;
    let id = world.remote_create(json!({ "name": "A", "email": "a@example.com" }));
    world.remote_update(&id, json!({ "name": "B" }));
    world.remote_update(&id, json!({ "name": "C" }));
    let mut deliveries = world.take_deliveries();
    assert_eq!(deliveries.len(), 3);
    deliveries.reverse();
    for delivery in deliveries {
        world.intake.receive(&stripe(), delivery).await;
    }
    world.until("the row", Duration::from_secs(60), async |w: &World| w.rows().await.len() == 1).await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("C"));
    assert_eq!(world.writes(), 0);
}
