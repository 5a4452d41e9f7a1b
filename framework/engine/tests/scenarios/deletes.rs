//! Deletes on either side, and what only looks like one.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::{PassOptions, Resolution};
use bothways_model::Method;
use bothways_store::{Capture, DeleteChoice, LinkState, ParkReason};
use serde_json::json;
use std::time::Duration;

/// Deletes travel both ways.
pub(super) const BOTH: &str = "deletes: { from_remote: delete, from_local: delete, confirm: irreversible }\nsync: { feed: never, reconcile: never }";

#[tokio::test(start_paused = true)]
async fn p13_deleted_remotely_and_updated_locally_keeps_the_row_and_recreates_nothing() {
    for policies in ["sync: { feed: never, reconcile: never }", BOTH] {
        let world = World::new(Setup::with(policies)).await;
        let (row, id) = world.linked().await;
        world.hold_webhooks(true);
        world.remote_delete(&id);
        world.update(&row, &[("name", "Ann B")]);
        world.hold_webhooks(false);
        world.settle().await;
        assert_eq!(world.local(&row, "name").await.as_deref(), Some("Ann B"));
        assert!(world.customers().is_empty(), "recreates nothing by itself");
        assert_eq!(world.link_of(&row).await.state, LinkState::Detached);
        let parked = world.parked().await;
        assert_eq!(parked.len(), 1, "{parked:#?}");
        assert_eq!(parked[0].parked.as_ref().unwrap().reason, ParkReason::Delete);
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_travel_both_ways_where_the_mapping_says_so() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world.delete(&row);
    world.settle().await;
    assert!(world.customer(&id).is_none_or(|c| c["deleted"] == true), "{:?}", world.customer(&id));
    let (row, id) = world.linked().await;
    world.remote_delete(&id);
    world.settle().await;
    assert!(world.row(&row).await.is_none());
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_manual_delete_waits_for_a_person_who_may_carry_keep_or_recreate() {
    for choice in [DeleteChoice::Carry, DeleteChoice::Keep, DeleteChoice::Recreate] {
        let world = World::new(Setup::default()).await;
        let (row, id) = world.linked().await;
        world.remote_delete(&id);
        world.settle().await;
        let item = world.ops.parked(None, None, 10).await.unwrap().remove(0);
        assert_eq!(item.reason, "delete");
        world.ops.resolve(&item.id, &Resolution::Delete(choice), Some(&item.digest), "test").await.unwrap();
        world.settle().await;
        assert!(world.parked().await.is_empty(), "{choice:?} {:#?}", world.parked().await);
        match choice {
            DeleteChoice::Carry => assert!(world.row(&row).await.is_none()),
            DeleteChoice::Keep => {
                assert!(world.row(&row).await.is_some());
                assert!(world.customers().is_empty());
            }
            DeleteChoice::Recreate => {
                world.assert_in_step().await;
                assert_eq!(world.customers().len(), 1);
            }
        }
    }
}

/// What was left there on purpose is not brought back when tombstones are forgotten.
#[tokio::test(start_paused = true)]
async fn a_record_that_was_kept_does_not_come_back_as_a_row_after_a_month() {
    for policies in ["", "deletes: { from_local: ignore }\n"] {
        let world =
            World::new(Setup::with(&format!("{policies}sync: {{ feed: never, reconcile: never }}"))).await;
        let (row, id) = world.linked().await;
        world.delete(&row);
        world.settle().await;
        if policies.is_empty() {
            let item = world.ops.parked(None, None, 10).await.unwrap().remove(0);
            let keep = Resolution::Delete(DeleteChoice::Keep);
            world.ops.resolve(&item.id, &keep, Some(&item.digest), "test").await.unwrap();
            world.settle().await;
        }
        assert!(world.parked().await.is_empty());
        world.store.prune(world.now() + chrono::TimeDelta::days(31), 30).await.unwrap();
        world.remote_update(&id, json!({ "name": "Ann C" }));
        world.settle().await;
        world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
        world.settle().await;
        assert_eq!(world.rows().await, [], "{policies}");
        assert_eq!(world.customers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_delete_that_waits_for_a_person_can_be_carried_out() {
    let world = World::new(Setup::default()).await;
    let (row, _) = world.linked().await;
    world.delete(&row);
    world.settle().await;
    assert_eq!(world.customers().len(), 1, "manual: nothing is deleted by itself");
    let item = world.ops.parked(None, None, 10).await.unwrap().remove(0);
    let dismissed = world.ops.dismiss(&item.id, "test").await;
    assert!(dismissed.is_err_and(|why| why.to_string().contains("--delete keep")), "nothing would show it");
    world
        .ops
        .resolve(&item.id, &Resolution::Delete(DeleteChoice::Carry), Some(&item.digest), "test")
        .await
        .unwrap();
    world.settle().await;
    assert!(world.customers().is_empty());
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn p32_deletes_captured_while_the_engine_is_away_are_still_known() {
    let mut world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world.kill();
    world.delete(&row);
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    world.restart().await;
    world.settle().await;
    assert!(world.customer(&id).is_none_or(|c| c["deleted"] == true));
}

#[tokio::test(start_paused = true)]
async fn p33_a_victim_of_replace_and_a_row_lost_by_a_rebuild_are_noticed() {
    let world = World::new(Setup::default()).await;
    let (row, _) = world.linked().await;
    assert!(world.store.foreign().lose("customers", &row).unwrap(), "no trigger saw it");
    let now = world.now();
    let signal = bothways_store::Signal {
        pair: world.pair(),
        subject: bothways_store::Subject::Local(row.clone()),
        look: true,
        not_before: None,
    };
    bothways_store::WorkQueue::signal(&*world.store, now, &[signal]).await.unwrap();
    world.settle().await;
    assert_eq!(world.link_of(&row).await.state, LinkState::Missing);
    assert_eq!(world.customers().len(), 1, "no delete without evidence");
    world.insert(&[("id", row.as_str()), ("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")]);
    world.settle().await;
    assert_eq!(world.link_of(&row).await.state, LinkState::Linked, "a row that is back is linked again");
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_bare_404_must_repeat_while_others_can_be_read() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    let other = world.insert(&[("email", "bob@example.com")]);
    world.settle().await;
    // All lists are empty and every read fails: a permission shrank. That is no proof of anything.
    world.fault(Fault::always(Action::EmptyList).on(Method::Get, "/v1/customers"));
    world.fault(Fault::always(Action::Forbidden403).on(Method::Get, "/v1/customers/"));
    world.update(&row, &[("name", "changed")]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(world.row(&row).await.is_some() && world.row(&other).await.is_some());
    assert!(world.customer(&id).is_some());
    let pauses = bothways_store::Pairs::pauses(&*world.store).await.unwrap();
    assert_eq!(pauses.len(), 1, "403 on one resource pauses the mapping");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_comes_back_before_its_delete_is_carried_is_not_deleted() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world.delete(&row);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.insert(&[("id", row.as_str()), ("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")]);
    world.settle().await;
    assert!(world.customer(&id).is_some_and(|c| c["deleted"] != true));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_deleted_record_revives_nothing() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world.hold_webhooks(true);
    world.remote_update(&id, json!({ "name": "late" }));
    let late = world.take_deliveries();
    world.hold_webhooks(false);
    world.remote_delete(&id);
    world.settle().await;
    assert!(world.row(&row).await.is_none());
    for delivery in late {
        world.intake.receive(&bothways_model::ConnectionName::from("stripe"), delivery).await;
    }
    world.settle().await;
    assert!(world.rows().await.is_empty());
    assert!(world.customers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn p25_an_id_that_is_reused_while_a_delete_is_uncertain_is_a_new_record() {
    for fault in [Action::LostAnswer, Action::LostRequest] {
        let setup = Setup::with(BOTH);
        let mut world = World::new(Setup { webhooks: false, ..setup }).await;
        let (row, ann) = world.linked().await;
        world.fault(Fault::next(fault.clone()).on(Method::Delete, format!("/v1/customers/{ann}")));
        world.delete(&row);
        world.until("the fault", Duration::from_secs(60), async |w: &World| w.fired(fault.kind()) == 1).await;
        world.kill();
        world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
        world.restart().await;
        world.settle().await;
        assert!(world.customer(&ann).is_none_or(|c| c["deleted"] == true), "{fault:?}");
        let link = world.link_of(&row).await;
        assert_eq!(link.state, LinkState::Linked, "{fault:?}");
        assert_ne!(link.remote_id, Some(ann));
        world.assert_in_step().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p25_an_id_that_is_reused_after_the_record_went_too_is_a_new_record() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, ann) = world.linked().await;
    world.hold_webhooks(true);
    world.remote_delete(&ann);
    world.delete(&row);
    world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    assert_eq!(link.state, LinkState::Linked);
    assert_ne!(link.remote_id, Some(ann));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_comes_back_while_its_delete_is_decided_is_not_deleted() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    let requests = |w: &World| w.stripe().counts().requests;
    world.delete(&row);
    // Everything before the delete is known by then, and the record is being read.
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.set_latency(Duration::from_secs(2));
    let before = requests(&world);
    world.until("a look", Duration::from_secs(60), async |w: &World| requests(w) > before).await;
    world.insert(&[("id", row.as_str()), ("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")]);
    world.settle().await;
    assert!(world.customer(&id).is_some_and(|c| c["deleted"] != true), "{:?}", world.customer(&id));
    assert_eq!(world.link_of(&row).await.remote_id, Some(id));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn p25_an_id_whose_link_was_closed_is_free_for_another_person() {
    for policies in ["from_remote: unlink", "from_local: unlink"] {
        let setup =
            Setup::with(&format!("deletes: {{ {policies} }}\nsync: {{ feed: never, reconcile: never }}"));
        let world = World::new(setup).await;
        let (row, ann) = world.linked().await;
        if policies.contains("remote") {
            world.remote_delete(&ann);
            world.settle().await;
            assert_eq!(world.link_of(&row).await.state, LinkState::Unlinked);
        }
        world.delete(&row);
        world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
        world.settle().await;
        let link = world.link_of(&row).await;
        assert_eq!(link.state, LinkState::Linked, "{policies}");
        assert_ne!(link.remote_id, Some(ann));
    }
}

/// A row was deleted and another has its id: what becomes of the first one's record is asked by the record, whoever has the id (rules 30, 33).
#[tokio::test(start_paused = true)]
async fn p25_a_delete_that_waits_for_a_person_is_shown_though_its_id_is_anothers_by_now() {
    let world = World::new(Setup::default()).await;
    let (row, ann) = world.linked().await;
    world.delete(&row);
    world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
    world.settle().await;
    assert_ne!(world.link_of(&row).await.remote_id.as_ref(), Some(&ann));
    let items = world.ops.parked(None, None, 10).await.unwrap();
    assert_eq!(items.len(), 1, "no pass has to find it");
    assert_eq!((items[0].reason.as_str(), items[0].remote_id.as_deref()), ("delete", Some(ann.as_str())));
    let carry = Resolution::Delete(DeleteChoice::Carry);
    world.ops.resolve(&items[0].id, &carry, Some(&items[0].digest), "ada").await.unwrap();
    world.settle().await;
    assert!(world.customers().iter().all(|customer| customer["id"] != ann.as_str()));
    assert!(world.parked().await.is_empty());
    assert_eq!(world.link_of(&row).await.state, LinkState::Linked, "Bob stays");
}
