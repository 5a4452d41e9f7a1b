//! Records that the user's table refuses.

use crate::harness::{Setup, World};
use bothways_store::ParkReason;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_record_that_the_table_refuses_is_parked_and_made_a_row_later() {
    let setup = Setup {
        walked: false,
        webhooks: false,
        table: |store| store.unique("customers", &["phone"]),
        ..Setup::with("sync: { feed: never, reconcile: never }")
    };
    let mut world = World::stopped(setup).await;
    world.remote_create(json!({ "name": "A", "email": "a@example.com", "phone": "+1" }));
    world.remote_create(json!({ "name": "B", "email": "b@example.com", "phone": "+1" }));
    world.remote_create(json!({ "name": "C", "email": "c@example.com", "phone": "+2" }));
    world.start().await;
    let walked = async |w: &World| w.engine.pairs().all(|pair| pair.is_walked());
    world.until("first contact", Duration::from_secs(600), walked).await;
    world.settle().await;
    assert_eq!(world.rows().await.len(), 2);
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    let why = parked[0].parked.as_ref().unwrap();
    assert_eq!(why.reason, ParkReason::Error);
    assert!(why.message.contains("refused"), "{}", why.message);

    // The one in the way moves on; a replay makes the row.
    let rows = world.rows().await;
    let holder =
        rows.iter().find(|row| row.fields.get("phone") == Some(&bothways_model::Value::Text("+1".into())));
    let id = holder.unwrap().id.clone();
    world.update(&id, &[("phone", "+9")]);
    world.settle().await;
    world.ops.replay(&parked[0].id.0.to_string(), "test").await.unwrap();
    world.until("the row", Duration::from_secs(60), async |w: &World| w.rows().await.len() == 3).await;
    world.settle().await;
    world.assert_in_step().await;
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_becomes_no_row_beside_the_one_that_it_matches_by_then() {
    let setup = Setup {
        table: |store| store.unique("customers", &["phone"]),
        ..Setup::with("creates: { from_local: ignore }")
    };
    let world = World::new(setup).await;
    let ann = world.insert(&[("email", "ann@example.com"), ("phone", "+1")]);
    let record = world.remote_create(json!({ "email": "first@example.com", "phone": "+1" }));
    world.settle().await;
    assert_eq!(world.parked().await.len(), 1, "{:#?}", world.parked().await);

    world.remote_update(&record, json!({ "email": "ann@example.com", "phone": "+2" }));
    world.settle().await;
    assert_eq!(world.rows().await.len(), 1, "{:#?}", world.rows().await);
    assert_eq!(world.link_of(&ann).await.remote_id, Some(record));
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_that_left_the_scope_becomes_no_row() {
    let setup = Setup {
        table: |store| store.unique("customers", &["phone"]),
        ..Setup::with("only: { remote: \"@.description == 'keep'\" }")
    };
    let world = World::new(setup).await;
    world.insert(&[("email", "ann@example.com"), ("phone", "+1")]);
    let record =
        world.remote_create(json!({ "email": "b@example.com", "phone": "+1", "description": "keep" }));
    world.settle().await;
    assert!(!world.parked().await.is_empty());

    world.remote_update(&record, json!({ "phone": "+2", "description": "drop" }));
    world.settle().await;
    assert_eq!(world.rows().await.len(), 1, "{:#?}", world.rows().await);

    world.remote_update(&record, json!({ "description": "keep" }));
    world.settle().await;
    assert_eq!(world.rows().await.len(), 2, "{:#?}", world.rows().await);
}
