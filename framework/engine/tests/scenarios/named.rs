//! Rows that hold the id of their record (`identity.remote_id`).

use crate::harness::{CATALOG, Setup, World, mapping};
use bothways_engine::PlanAction;
use bothways_model::{LocalId, RemoteId};
use bothways_store::ParkReason;
use serde_json::json;

fn naming() -> Setup {
    let mapping = mapping("sync: { feed: never, reconcile: never }");
    Setup {
        catalog: CATALOG.replace("note: text?", "rid: text?"),
        mapping: mapping.replace("identity: { ", "identity: { remote_id: rid, "),
        ..Setup::default()
    }
}

async fn linked(world: &World, email: &str) -> (LocalId, RemoteId) {
    let row = world.insert(&[("email", email), ("name", "Ann")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.expect("created");
    assert_eq!(world.local(&row, "rid").await.as_deref(), Some(id.as_str()), "the row receives the id");
    (row, id)
}

#[tokio::test(start_paused = true)]
async fn a_row_that_names_another_record_than_its_own_waits_for_a_person() {
    let world = World::new(naming()).await;
    let (row, id) = linked(&world, "ann@example.com").await;
    let (_, other) = linked(&world, "bob@example.com").await;
    for wrong in ["cus_wrong", other.as_str()] {
        world.update(&row, &[("rid", wrong), ("name", "Anna")]);
        world.remote_update(&id, json!({ "phone": wrong }));
        world.settle().await;
        let parked = world.parked().await.remove(0).parked.expect("parked");
        assert_eq!(parked.reason, ParkReason::Refused);
        assert!(parked.message.contains(wrong) && parked.message.contains(id.as_str()), "{}", parked.message);
        assert_eq!(world.remote(&id, "name").as_deref(), Some("Ann"), "nothing flows meanwhile");
        assert_eq!(world.local(&row, "rid").await.as_deref(), Some(wrong));
        world.update(&row, &[("rid", id.as_str()), ("name", "Ann")]);
        world.settle().await;
        assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
        world.assert_in_step().await;
    }
}

/// A plan says what a look would find, once for each row, whatever else differs.
#[tokio::test(start_paused = true)]
async fn a_plan_lists_rows_that_name_another_record() {
    let world = World::new(naming()).await;
    let (row, id) = linked(&world, "ann@example.com").await;
    let (_, other) = linked(&world, "bob@example.com").await;
    assert!(world.plan().await.1.is_empty());
    for (name, phone) in [("Ann", "1"), ("Anna", "1"), ("Anna", "2")] {
        world.update(&row, &[("rid", other.as_str()), ("name", name)]);
        world.remote_update(&id, json!({ "phone": phone }));
        let (totals, items) = world.plan().await;
        let [item] = items.as_slice() else { panic!("{items:#?}") };
        assert_eq!((item.action, totals.ask), (PlanAction::Ask, 1));
        assert_eq!((item.local.as_deref(), item.remote.as_deref()), (Some(row.as_str()), Some(id.as_str())));
        assert!(item.why.contains(other.as_str()) && item.why.contains("bothways unlink"), "{}", item.why);
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_record_is_the_other_one_is_linked_with_it_by_hand() {
    let world = World::new(naming()).await;
    let (row, id) = linked(&world, "ann@example.com").await;
    let right = world.remote_create(json!({ "email": "ann2@example.com", "name": "Ann" }));
    world.settle().await;
    let made = world.rows().await.into_iter().find(|r| r.id != row).expect("a row of its own");
    world.ops.unlink(world.link_of(&made.id).await.id, "test").await.unwrap();
    world.update(&row, &[("rid", right.as_str())]);
    world.settle().await;
    assert_eq!(world.parked().await.len(), 1);
    world.ops.unlink(world.link_of(&row).await.id, "test").await.unwrap();
    world.ops.link(None, &row, &right, "test").await.unwrap();
    world.settle().await;
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
    assert_eq!(world.link_of(&row).await.remote_id, Some(right));
    assert!(world.customer(&id).is_some());
}
