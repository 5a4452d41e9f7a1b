//! Webhooks: repeated, reordered, forged, late.

use crate::harness::{Setup, World, record};
use bothways_connector::Unverified;
use bothways_engine::Received;
use bothways_model::ConnectionName;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use std::time::Duration;

fn stripe() -> ConnectionName {
    ConnectionName::from("stripe")
}

fn sign(secret: &str, t: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{t}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn delivery(header: String, body: &[u8]) -> Unverified {
    Unverified { headers: vec![("Stripe-Signature".into(), header)], body: body.to_vec() }
}

#[tokio::test(start_paused = true)]
async fn p01_one_event_delivered_fifty_times_has_one_effect() {
    let world = World::new(Setup::default()).await;
    let id = world.remote_create(json!({ "email": "ann@example.com", "name": "Ann" }));
    world.settle().await;
    world.hold_webhooks(true);
    world.remote_update(&id, json!({ "name": "Anna" }));
    let taken = world.take_deliveries();
    assert_eq!(taken.len(), 1);
    let receives = (0..50).map(|_| {
        let (intake, delivery) = (world.intake.clone(), taken[0].clone());
        async move { intake.receive(&stripe(), delivery).await }
    });
    let answers = futures::future::join_all(receives).await;
    assert!(answers.iter().all(|a| matches!(a, Received::Accepted { .. })), "{answers:?}");
    let new: usize =
        answers.iter().map(|a| if let Received::Accepted { new, .. } = a { *new } else { 0 }).sum();
    assert_eq!(new, 1);
    world.hold_webhooks(false);
    world.settle().await;
    world.assert_in_step().await;
    let link = &world.links().await[0];
    let filter = bothways_store::HistoryFilter { link: Some(link.id), ..Default::default() };
    let history = world.ops.history(&filter, None, 100).await.unwrap();
    let updates = history.iter().filter(|h| h.entry.op == bothways_store::HistoryOp::Update).count();
    assert_eq!(updates, 1, "{history:#?}");
    assert_eq!(world.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn p02_three_updates_in_one_second_arriving_in_reverse() {
    let world = World::new(Setup::default()).await;
    let id = world.remote_create(json!({ "email": "ann@example.com", "name": "1" }));
    world.settle().await;
    world.hold_webhooks(true);
    for name in ["2", "3", "4"] {
        world.remote_update(&id, json!({ "name": name }));
    }
    let mut taken = world.take_deliveries();
    taken.reverse();
    for delivery in taken {
        assert!(matches!(world.intake.receive(&stripe(), delivery).await, Received::Accepted { .. }));
    }
    world.settle().await;
    let row = world.rows().await.remove(0);
    assert_eq!(world.local(&row.id, "name").await.as_deref(), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn p17_both_secrets_of_a_rotation_are_accepted_and_the_old_one_only_until_it_ends() {
    // The connection holds both secrets: a comma list.
    let mut world = World::stopped(Setup::default()).await;
    let old = world.secret.clone();
    let new = "whsec_new_secret_of_the_rotation".to_owned();
    world.secret = format!("{old},{new}");
    world.kill();
    world.restart().await;
    world.engine.check_account(&stripe()).await.unwrap();
    let body = json!({ "id": "evt_1", "object": "event", "type": "customer.created", "created": 1, "data": { "object": { "id": "cus_x", "object": "customer" } } })
        .to_string();
    let t = world.now().timestamp();
    let both = format!("t={t},v1={},v1={}", sign(&old, t, body.as_bytes()), sign(&new, t, body.as_bytes()));
    assert!(matches!(
        world.intake.receive(&stripe(), delivery(both, body.as_bytes())).await,
        Received::Accepted { .. }
    ));
    let by_new = format!("t={t},v1={}", sign(&new, t, body.as_bytes()));
    assert!(matches!(
        world.intake.receive(&stripe(), delivery(by_new, body.as_bytes())).await,
        Received::Accepted { .. }
    ));
    world.secret.clone_from(&new);
    world.kill();
    world.restart().await;
    let by_old = format!("t={t},v1={}", sign(&old, t, body.as_bytes()));
    assert_eq!(world.intake.receive(&stripe(), delivery(by_old, body.as_bytes())).await, Received::Rejected);
}

#[tokio::test(start_paused = true)]
async fn p18_a_valid_body_five_minutes_off_is_refused_in_both_directions() {
    let world = World::new(Setup::default()).await;
    let body = json!({ "id": "evt_1", "object": "event", "type": "customer.created", "created": 1, "data": { "object": { "id": "cus_x", "object": "customer" } } })
        .to_string();
    for off in [-301, 301] {
        let t = world.now().timestamp() + off;
        let header = format!("t={t},v1={}", sign(&world.secret, t, body.as_bytes()));
        assert_eq!(
            world.intake.receive(&stripe(), delivery(header, body.as_bytes())).await,
            Received::Rejected,
            "{off}"
        );
    }
    let t = (world.now() + TimeDelta::seconds(299)).timestamp();
    let header = format!("t={t},v1={}", sign(&world.secret, t, body.as_bytes()));
    let fresh = world.intake.receive(&stripe(), delivery(header, body.as_bytes())).await;
    assert_eq!(fresh, Received::Accepted { events: 1, new: 1 }, "nothing of the refused ones was stored");
}

/// Databases with sequences give a change its number before its transaction commits.
#[tokio::test(start_paused = true)]
async fn p15_a_change_that_commits_after_a_later_one_is_still_carried() {
    let world = World::new(Setup::default()).await;
    let [ann, bob] = ["ann", "bob"].map(|name| {
        world.insert(&[("email", &format!("{name}@example.com")), ("name", name), ("phone", "1")])
    });
    world.settle().await;
    let (ann_there, bob_there) = (world.link_of(&ann).await.remote_id, world.link_of(&bob).await.remote_id);
    let phone = |id: &Option<bothways_model::RemoteId>| world.remote(id.as_ref().unwrap(), "phone");
    let foreign = world.store.foreign();
    let (ten, eleven) = (foreign.begin(), foreign.begin());
    assert!(eleven.update("customers", &bob, record(&[("phone", "2")]), world.now()).unwrap());
    world.settle().await;
    assert_eq!((phone(&ann_there).as_deref(), phone(&bob_there).as_deref()), (Some("1"), Some("2")));
    assert!(ten.update("customers", &ann, record(&[("phone", "2")]), world.now()).unwrap());
    world.settle().await;
    assert_eq!((phone(&ann_there).as_deref(), phone(&bob_there).as_deref()), (Some("2"), Some("2")));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn p27_a_webhook_and_a_local_change_of_one_link_are_looked_at_one_after_the_other() {
    let world = World::new(Setup::default()).await;
    let id = world.remote_create(json!({ "email": "ann@example.com", "name": "Ann", "phone": "1" }));
    world.settle().await;
    let row = world.rows().await.remove(0).id;
    world.set_latency(Duration::from_millis(400));
    for round in 0..5 {
        world.remote_update(&id, json!({ "phone": format!("+{round}") }));
        world.update(&row, &[("name", &format!("Ann {round}"))]);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Ann 4"));
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("+4"));
}

#[tokio::test(start_paused = true)]
async fn p36_two_changes_in_one_second_with_a_poll_between_both_arrive() {
    let setup = Setup { webhooks: false, ..Setup::with("sync: { feed: 5s, reconcile: never }") };
    let world = World::new(setup).await;
    let first = world.remote_create(json!({ "email": "a@example.com", "name": "A" }));
    let second = world.remote_create(json!({ "email": "b@example.com", "name": "B" }));
    world.until("both rows", Duration::from_secs(60), async |w: &World| w.rows().await.len() == 2).await;
    // Two changes of two records within one second of the service's clock, a poll falling between them.
    world.remote_update(&first, json!({ "name": "A2" }));
    world
        .until("the poll between", Duration::from_secs(30), async |w: &World| {
            w.rows().await.iter().any(|r| format!("{:?}", r.fields).contains("A2"))
        })
        .await;
    world.remote_update(&second, json!({ "name": "B2" }));
    world.remote_update(&first, json!({ "name": "A3" }));
    world
        .until("both changes", Duration::from_secs(60), async |w: &World| {
            let text = format!("{:?}", w.rows().await);
            text.contains("A3") && text.contains("B2")
        })
        .await;
}
