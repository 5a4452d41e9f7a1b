//! Rows with a `deleted_at`: archived here, archived because the record is gone, and live again.

use crate::harness::{CATALOG, Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::{Item, PassOptions, Resolution};
use bothways_model::{LocalId, Method, RemoteId};
use bothways_store::{DeleteChoice, HistoryFilter, HistoryOp, LinkState, Operator as _};
use serde_json::json;
use std::time::Duration;

const SYNC: &str = "sync: { feed: never, reconcile: never }";

/// A shop whose rows can be archived, under these policies of deletes.
fn archiving(deletes: &str) -> Setup {
    Setup {
        catalog: format!("{CATALOG}deleted_at: archived_at\n"),
        ..Setup::with(&format!("deletes: {{ {deletes} }}\n{SYNC}"))
    }
}

async fn items(world: &World) -> Vec<Item> {
    world.ops.parked(None, None, 10).await.unwrap()
}

async fn is_archived(world: &World, row: &LocalId) -> bool {
    world.row(row).await.expect("the row is there").deleted_at.is_some()
}

async fn state(world: &World, row: &LocalId) -> LinkState {
    world.link_of(row).await.state
}

async fn decide(world: &World, choice: DeleteChoice) {
    let item = items(world).await.remove(0);
    assert_eq!(item.reason, "delete");
    world.ops.resolve(&item.id, &Resolution::Delete(choice), Some(&item.digest), "ada").await.unwrap();
    world.settle().await;
}

/// Ann was archived because her record is gone, and her row is live again.
async fn detached() -> (World, LocalId, RemoteId) {
    let world = World::new(archiving("from_remote: archive")).await;
    let (row, id) = world.linked().await;
    world.remote_delete(&id);
    world.settle().await;
    assert!(is_archived(&world, &row).await);
    world.restore(&row);
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Detached);
    (world, row, id)
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_archived_goes_by_the_policy_of_local_deletes() {
    for (policy, after) in [
        ("from_local: manual", LinkState::Linked),
        ("from_local: ignore", LinkState::Linked),
        ("from_local: unlink", LinkState::Unlinked),
        ("from_local: delete, confirm: irreversible", LinkState::Tombstone),
    ] {
        let world = World::new(archiving(policy)).await;
        let (row, id) = world.linked().await;
        world.archive(&row);
        world.settle().await;
        assert_eq!(state(&world, &row).await, after, "{policy}");
        let deletes = policy.contains("delete,");
        assert_eq!(world.customers().len(), usize::from(!deletes), "{policy}");
        assert_eq!(items(&world).await.len(), usize::from(policy.contains("manual")), "{policy}");
        world.update(&row, &[("name", "Anna")]);
        world.settle().await;
        assert!(is_archived(&world, &row).await, "{policy}");
        assert!(deletes || world.remote(&id, "name").as_deref() == Some("Ann"), "nothing flows: {policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_gone_archives_its_row() {
    let world = World::new(archiving("from_remote: archive")).await;
    let (row, id) = world.linked().await;
    world.remote_delete(&id);
    world.settle().await;
    assert!(is_archived(&world, &row).await);
    assert_eq!(state(&world, &row).await, LinkState::Tombstone);
    world.update(&row, &[("phone", "2")]);
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Tombstone);
    assert!(items(&world).await.is_empty() && world.customers().is_empty());
}

/// Whatever closed the link of an archived row, what both sides changed meanwhile goes where it should.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_live_again_is_linked_as_before_where_its_record_lives() {
    for policy in
        ["from_local: manual", "from_local: ignore", "from_local: unlink", "from_local: manual, kept"]
    {
        let world = World::new(archiving(policy.trim_end_matches(", kept"))).await;
        let (row, id) = world.linked().await;
        let link = world.link_of(&row).await.id;
        world.archive(&row);
        world.settle().await;
        if policy.ends_with("kept") {
            decide(&world, DeleteChoice::Keep).await;
            assert_eq!(state(&world, &row).await, LinkState::Unlinked);
        }
        world.update(&row, &[("phone", "777")]);
        world.remote_update(&id, json!({ "name": "Anna" }));
        world.settle().await;
        assert_eq!(world.remote(&id, "phone").as_deref(), Some("1"), "{policy}");
        assert_eq!(world.local(&row, "name").await.as_deref(), Some("Ann"), "{policy}");
        world.restore(&row);
        world.settle().await;
        world.assert_in_step().await;
        assert_eq!(world.link_of(&row).await.id, link, "{policy}");
        assert_eq!(world.remote(&id, "phone").as_deref(), Some("777"), "{policy}");
        assert_eq!(world.local(&row, "name").await.as_deref(), Some("Anna"), "{policy}");
        assert!(items(&world).await.is_empty(), "{policy}");
        assert_eq!(world.customers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_both_sides_changed_while_a_row_was_archived_is_a_conflict() {
    let world = World::new(archiving("from_local: unlink")).await;
    let (row, id) = world.linked().await;
    world.archive(&row);
    world.settle().await;
    world.update(&row, &[("name", "Local")]);
    world.remote_update(&id, json!({ "name": "Remote" }));
    world.restore(&row);
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Remote"));
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("Local"));
    let waiting = items(&world).await;
    assert_eq!((waiting.len(), waiting[0].reason.as_str()), (1, "conflict"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_what_becomes_of_a_row_that_is_live_again() {
    let mut world = World::new(archiving("from_local: unlink")).await;
    let (row, id) = world.linked().await;
    world.archive(&row);
    world.settle().await;
    assert_eq!(world.plan().await.1, []);
    world.kill();
    world.restore(&row);
    let (totals, planned) = world.plan().await;
    assert_eq!((totals.link, planned.len()), (1, 1), "{planned:#?}");
    assert!(planned[0].why.contains("live again"), "{planned:#?}");
    world.hold_webhooks(true);
    world.remote_delete(&id);
    let (totals, planned) = world.plan().await;
    assert_eq!((totals.ask, planned.len()), (1, 1), "{planned:#?}");
    world.reopen().await;
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.restart().await;
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Detached);
    assert_eq!(items(&world).await.len(), 1);
    assert_eq!(world.plan().await.1, [], "it waits for a person, and nothing else is to be done");
}

/// Whoever deleted the record, the row that its user brought back stays, and waits for its user's word.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_live_again_without_its_record_is_detached_and_waits_for_a_person() {
    for policy in [
        "from_remote: archive",
        "from_local: delete, from_remote: delete, confirm: irreversible",
        "from_local: delete, from_remote: archive, against_update: delete_wins, confirm: irreversible",
        "from_local: unlink, from_remote: delete",
        "from_local: ignore, from_remote: unlink",
        "from_local: manual, from_remote: ignore",
    ] {
        let world = World::new(archiving(policy)).await;
        let (row, id) = world.linked().await;
        if !policy.starts_with("from_remote") {
            world.archive(&row);
            world.settle().await;
        }
        if world.customer(&id).is_some_and(|customer| customer["deleted"] != true) {
            world.remote_delete(&id);
            world.settle().await;
        }
        assert!(is_archived(&world, &row).await, "{policy}");
        world.restore(&row);
        world.settle().await;
        assert_eq!(state(&world, &row).await, LinkState::Detached, "{policy}");
        let waiting = items(&world).await;
        assert_eq!((waiting.len(), waiting[0].reason.as_str()), (1, "delete"), "{policy}");
        assert!(waiting[0].message.contains("gone"), "{}", waiting[0].message);
        // Neither a touch nor an edit, nor its end, has the policy take the row away again.
        for fields in [("note", "x"), ("phone", "777"), ("phone", "1")] {
            world.update(&row, &[fields]);
            world.settle().await;
            assert!(!is_archived(&world, &row).await, "{policy}");
            assert_eq!(state(&world, &row).await, LinkState::Detached, "{policy}");
            assert_eq!(items(&world).await.len(), 1, "{policy}");
        }
        assert!(world.customers().is_empty(), "{policy}: recreates nothing by itself");
        world.update(&row, &[("phone", "777")]);
        decide(&world, DeleteChoice::Recreate).await;
        world.assert_in_step().await;
        assert_eq!(world.customers()[0]["phone"], "777", "{policy}");
        assert!(items(&world).await.is_empty(), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_may_leave_a_detached_row_alone_until_it_is_edited_again() {
    for dismiss in [false, true] {
        let (world, row, _) = detached().await;
        world.update(&row, &[("phone", "777")]);
        world.settle().await;
        if dismiss {
            world.ops.dismiss(&items(&world).await[0].id, "ada").await.unwrap();
        } else {
            decide(&world, DeleteChoice::Keep).await;
        }
        assert_eq!(state(&world, &row).await, LinkState::Detached);
        assert!(items(&world).await.is_empty());
        world.update(&row, &[("note", "nothing that is mapped")]);
        world.settle().await;
        world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
        world.settle().await;
        assert!(items(&world).await.is_empty(), "that is left alone");
        world.update(&row, &[("phone", "778")]);
        world.settle().await;
        assert_eq!(items(&world).await.len(), 1, "nobody has seen this edit");
        assert!(!is_archived(&world, &row).await && world.customers().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_row_can_be_archived_again() {
    let (world, row, _) = detached().await;
    decide(&world, DeleteChoice::Carry).await;
    assert!(is_archived(&world, &row).await);
    assert_eq!(state(&world, &row).await, LinkState::Tombstone);
    let (world, row, _) = detached().await;
    world.archive(&row);
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Tombstone);
    assert!(items(&world).await.is_empty(), "nothing waits any more");
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_a_row_whose_lost_record_is_ignored_waits_for_a_person() {
    for policy in ["from_remote: ignore", "from_remote: ignore, against_update: delete_wins"] {
        let world = World::new(archiving(policy)).await;
        let (row, id) = world.linked().await;
        world.remote_delete(&id);
        world.settle().await;
        assert_eq!(state(&world, &row).await, LinkState::Detached);
        assert!(items(&world).await.is_empty(), "nothing is lost yet");
        world.update(&row, &[("phone", "777")]);
        world.settle().await;
        assert_eq!(items(&world).await.len(), 1, "{policy}");
        decide(&world, DeleteChoice::Recreate).await;
        world.assert_in_step().await;
        assert_eq!(world.customers()[0]["phone"], "777");
    }
}

/// To look again is no answer: who was asked about a row without its record is asked still.
#[tokio::test(start_paused = true)]
async fn what_a_person_is_asked_about_a_lost_record_outlives_a_replay() {
    for policy in [
        "from_remote: manual",
        "from_local: unlink, from_remote: delete",
        "from_remote: ignore, against_update: delete_wins",
    ] {
        let world = World::new(archiving(policy)).await;
        let (row, id) = world.linked().await;
        world.hold_webhooks(true);
        world.remote_delete(&id);
        world.update(&row, &[("phone", "777")]);
        world.hold_webhooks(false);
        world.settle().await;
        assert_eq!(state(&world, &row).await, LinkState::Detached, "{policy}");
        let asked = items(&world).await;
        assert_eq!(asked.len(), 1, "{policy}");
        world.ops.replay(&asked[0].id, "ada").await.unwrap();
        world.settle().await;
        assert_eq!(items(&world).await.len(), 1, "{policy}");
        decide(&world, DeleteChoice::Recreate).await;
        world.assert_in_step().await;
        assert_eq!(world.customers()[0]["phone"], "777", "{policy}");
        assert!(items(&world).await.is_empty(), "{policy}");
    }
}

/// Nor is a look that failed, and that was asked for again.
#[tokio::test(start_paused = true)]
async fn what_a_person_is_asked_about_a_lost_record_outlives_a_look_that_failed() {
    for asked_again in [true, false] {
        let (world, row, gone) = detached().await;
        assert_eq!(items(&world).await.len(), 1);
        let path = format!("/v1/customers/{gone}");
        world.update(&row, &[("phone", "777")]);
        world.settle().await;
        world.fault(Fault::always(Action::Error500).on(Method::Get, path));
        world.ops.replay(&items(&world).await[0].id, "ada").await.unwrap();
        let fails = async |w: &World| items(w).await.iter().any(|item| item.reason == "error");
        world.until("the trouble", Duration::from_secs(36 * 3600), fails).await;
        let failed = items(&world).await;
        world.stripe().clear_faults();
        match asked_again {
            true => world.ops.replay(&failed[0].id, "ada").await.unwrap(),
            false => world.update(&row, &[("phone", "777")]),
        }
        world.settle().await;
        assert_eq!(items(&world).await.len(), 1, "asked again: {asked_again}");
        decide(&world, DeleteChoice::Recreate).await;
        world.assert_in_step().await;
    }
}

/// Failures that looks got over do not add up until one more puts its trouble in the question's place (rule 42).
#[tokio::test(start_paused = true)]
async fn one_failure_a_day_later_hides_no_question() {
    let (mut world, _, gone) = detached().await;
    for _ in 0..2 {
        world.fault(Fault::next(Action::Error500).on(Method::Get, format!("/v1/customers/{gone}")));
        world.ops.replay(&items(&world).await[0].id, "ada").await.unwrap();
        // Until it has looked once more, and well.
        tokio::time::sleep(Duration::from_secs(120)).await;
        world.kill();
        tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
        world.restart().await;
        let reasons: Vec<_> = items(&world).await.into_iter().map(|item| item.reason).collect();
        assert_eq!(reasons, ["delete"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_row_is_attached_to_another_record_by_a_person() {
    let (world, row, gone) = detached().await;
    let other = world.remote_create(json!({ "email": "ann@example.com", "name": "Ann", "phone": "9" }));
    world.settle().await;
    let ambiguous = world.ops.parked(None, Some("ambiguous"), 10).await.unwrap();
    assert_eq!(ambiguous.len(), 1, "linked candidates count");
    assert!(ambiguous[0].message.contains("rows 1 (its link is detached)"), "{}", ambiguous[0].message);
    world.ops.link(None, &row, &other, "ada").await.unwrap();
    world.settle().await;
    let link = world.link_of(&row).await;
    assert_eq!((link.state, link.remote_id), (LinkState::Linked, Some(other)));
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    assert!(items(&world).await.iter().all(|item| item.reason == "conflict"), "{:#?}", items(&world).await);
    let old = world.links().await.into_iter().find(|link| link.remote_id.as_ref() == Some(&gone));
    assert_eq!(old.expect("it is known").state, LinkState::Unlinked);
}

#[tokio::test(start_paused = true)]
async fn a_person_s_own_unlink_is_final() {
    for policy in ["from_local: unlink", "from_local: delete, confirm: irreversible"] {
        let world = World::new(archiving(policy)).await;
        let (row, id) = world.linked().await;
        let link = world.link_of(&row).await.id;
        let late = policy.contains("unlink");
        if late {
            world.archive(&row);
            world.settle().await;
        }
        world.ops.unlink(link, "ada").await.unwrap();
        assert!(world.ops.unlink(link, "ada").await.is_err(), "there is nothing left to take apart");
        if !late {
            world.archive(&row);
            world.settle().await;
        }
        world.restore(&row);
        world.update(&row, &[("phone", "777")]);
        world.settle().await;
        assert_eq!(state(&world, &row).await, LinkState::Unlinked, "{policy}");
        assert_eq!(world.remote(&id, "phone").as_deref(), Some("1"));
        assert!(items(&world).await.is_empty());
    }
}

/// The record was given to another row while this one was archived: the restored row is a new one and meets it as any other would.
#[tokio::test(start_paused = true)]
async fn a_row_whose_record_belongs_to_another_one_by_now_is_a_new_row() {
    let world = World::new(archiving("from_local: unlink")).await;
    let (row, id) = world.linked().await;
    world.archive(&row);
    world.settle().await;
    let other = world.insert(&[("email", "ann@new.example"), ("name", "Ann B")]);
    world.settle().await;
    world.ops.unlink(world.link_of(&other).await.id, "ada").await.unwrap();
    world.ops.link(None, &other, &id, "ada").await.unwrap();
    world.settle().await;
    world.update(&row, &[("email", "old@example.com")]);
    world.restore(&row);
    world.settle().await;
    let link = world.link_of(&row).await;
    assert_eq!(link.state, LinkState::Linked);
    assert_ne!(link.remote_id, Some(id.clone()));
    assert_eq!(world.link_of(&other).await.remote_id, Some(id));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_only_not_found_must_be_missed_twice() {
    let world = World::new(archiving("from_local: unlink")).await;
    let (row, id) = world.linked().await;
    let other = world.insert(&[("email", "bob@example.com")]);
    world.settle().await;
    world.archive(&row);
    world.settle().await;
    world.fault(Fault::next(Action::OtherAccount).on(Method::Get, format!("/v1/customers/{id}")));
    world.restore(&row);
    world.update(&row, &[("phone", "777")]);
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Linked);
    assert_eq!(state(&world, &other).await, LinkState::Linked);
    assert_eq!(world.remote(&id, "phone").as_deref(), Some("777"));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn archives_count_in_the_brake_on_deletes() {
    let policy = "from_local: delete, from_remote: archive, confirm: irreversible";
    let world = super::brakes::linked(archiving(policy), 11).await;
    let rows = world.rows().await;
    for row in &rows {
        world.archive(&row.id);
    }
    assert_eq!(super::brakes::brake(&world, 11).await.kind, "deletes");
    assert_eq!(world.customers().len(), 11, "none is deleted");
    for row in &rows {
        world.restore(&row.id);
    }
    world.settle().await;
    world.assert_in_step().await;
    assert!(world.ops.brakes().await.unwrap().is_empty(), "what is back is not deleted");
    let world = super::brakes::linked(archiving(policy), 11).await;
    for customer in world.customers() {
        world.remote_delete(&RemoteId(customer["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(super::brakes::brake(&world, 11).await.kind, "deletes");
    assert!(world.rows().await.iter().all(|row| row.deleted_at.is_none()), "no row is archived");
}

#[tokio::test(start_paused = true)]
async fn no_record_is_created_again_where_the_mapping_creates_none() {
    let setup = archiving("from_remote: archive");
    let mapping = format!("{}\ncreates: {{ from_local: ignore }}\n", setup.mapping);
    let world = World::new(Setup { mapping, ..setup }).await;
    let id = world.remote_create(json!({ "email": "ann@example.com" }));
    world.settle().await;
    world.remote_delete(&id);
    world.settle().await;
    let row = world.rows().await.remove(0).id;
    world.restore(&row);
    world.settle().await;
    let item = items(&world).await.remove(0);
    let recreate = Resolution::Delete(DeleteChoice::Recreate);
    let refused = world.ops.resolve(&item.id, &recreate, Some(&item.digest), "ada").await;
    assert!(refused.is_err_and(|why| why.to_string().contains("creates.from_local")));
    assert_eq!(items(&world).await.len(), 1, "it still waits");
    decide(&world, DeleteChoice::Keep).await;
    assert!(items(&world).await.is_empty());
}

/// What was archived is remembered as long as its row is there: it does not come back as a new record.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_live_again_after_a_year_is_still_detached() {
    let world = World::new(archiving("from_remote: archive")).await;
    let (row, id) = world.linked().await;
    world.remote_delete(&id);
    world.settle().await;
    bothways_store::Capture::prune(&*world.store, world.now() + chrono::TimeDelta::days(365), 30)
        .await
        .unwrap();
    world.restore(&row);
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Detached);
    assert!(world.customers().is_empty());
}

/// The answer to the delete of its record was lost, and its user wants the row back before anybody knows how that ended.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_live_again_while_the_delete_of_its_record_is_uncertain_is_detached() {
    let setup = archiving("from_local: delete, confirm: irreversible");
    let mut world = World::new(Setup { webhooks: false, ..setup }).await;
    let (row, id) = world.linked().await;
    world.fault(Fault::next(Action::LostAnswer).on(Method::Delete, format!("/v1/customers/{id}")));
    world.archive(&row);
    let lost = async |w: &World| w.fired(Action::LostAnswer.kind()) == 1;
    world.until("the fault", Duration::from_secs(60), lost).await;
    world.kill();
    world.restore(&row);
    world.restart().await;
    world.settle().await;
    assert!(world.customers().is_empty());
    assert_eq!(state(&world, &row).await, LinkState::Detached);
    assert_eq!(items(&world).await.len(), 1, "a person is told that its edits do not flow");
}

/// What is edited at the service while the row is in the archive comes once it is live again, not with the next full pass.
#[tokio::test(start_paused = true)]
async fn what_was_edited_there_meanwhile_comes_when_the_row_is_live_again() {
    for policy in [
        "deletes: { from_local: manual }",
        "deletes: { from_local: ignore }",
        "deletes: { from_local: ignore }\nconflicts: { check: blind }",
        "deletes: { from_local: delete, confirm: irreversible }\nsafety: { deletes: 0 }",
    ] {
        let catalog = format!("{CATALOG}deleted_at: archived_at\n");
        let world = World::new(Setup { catalog, ..Setup::with(&format!("{policy}\n{SYNC}")) }).await;
        let (row, id) = world.linked().await;
        world.archive(&row);
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.remote_update(&id, json!({ "phone": "+44 1" }));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let phone = async |w: &World| w.row(&row).await.unwrap().fields.get("phone").unwrap().to_text();
        assert_ne!(phone(&world).await, "+44 1", "{policy}: nothing is written into the archive");
        world.restore(&row);
        world.settle().await;
        assert_eq!(phone(&world).await, "+44 1", "{policy}");
        assert!(items(&world).await.is_empty(), "{policy}");
        // And it is forgotten that it was archived: what changes nothing needs no look.
        let reads = world.stripe().counts().requests;
        world.update(&row, &[("phone", "+44 1")]);
        world.settle().await;
        assert_eq!(world.stripe().counts().requests, reads, "{policy}");
    }
}

/// That a row was archived once says nothing any more when its link is closed for another reason.
#[tokio::test(start_paused = true)]
async fn a_link_that_is_closed_after_its_row_was_live_again_stays_closed() {
    let mut world = World::new(archiving("from_local: ignore, from_remote: unlink")).await;
    let (row, id) = world.linked().await;
    world.archive(&row);
    world.settle().await;
    world.kill();
    world.restore(&row);
    world.remote_delete(&id);
    world.restart().await;
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Unlinked);
    world.update(&row, &[("phone", "+44 2")]);
    world.settle().await;
    assert_eq!(state(&world, &row).await, LinkState::Unlinked, "nothing waits for it to come back");
    assert!(items(&world).await.is_empty());
}

/// A linked row that is archived, and the delete of its record under way for as long as the service is not told to carry it out.
async fn deleting(policies: &str) -> (World, LocalId, RemoteId) {
    let world = World::new(archiving(policies)).await;
    let (row, id) = world.linked().await;
    world.fault(Fault::next(Action::LateRequest { delay_ms: None }).on(Method::Delete, "/v1/customers/"));
    world.archive(&row);
    let is_sent = async |w: &World| w.stripe().late_requests() == 1;
    world.until("the delete", Duration::from_secs(60), is_sent).await;
    (world, row, id)
}

/// The delete that is under way arrives.
async fn lands(world: &World, id: &RemoteId) {
    let now = world.now();
    assert_eq!(world.stripe().release_late(now), 1);
    assert!(world.customer(id).is_none_or(|customer| customer["deleted"] == true));
    world.settle().await;
}

/// Nothing keeps a delete that is under way from the record; history has what it took along (rules 24, 33).
#[tokio::test(start_paused = true)]
async fn an_abandoned_delete_that_lands_late_leaves_in_history_what_it_took() {
    let (world, _, id) = deleting("from_local: delete, confirm: irreversible").await;
    world.remote_update(&id, json!({ "name": "Edited" }));
    world.settle().await;
    assert_eq!(items(&world).await[0].reason, "delete", "the record was edited since: a person decides");
    lands(&world, &id).await;
    let filter = HistoryFilter { op: Some(HistoryOp::Echo), ..HistoryFilter::default() };
    let history = world.store.history(&filter, None, 10).await.unwrap();
    let before = history[0].entry.fields["name"].before.clone();
    assert_eq!(before, Some(bothways_model::Value::Text("Edited".into())));
}

/// That the record is gone by our own delete is no reason to take a row away that was live again before (rule 24).
#[tokio::test(start_paused = true)]
async fn an_abandoned_delete_that_lands_late_does_not_come_back_to_a_row_that_is_live_again() {
    for policy in ["archive", "delete"] {
        let policies = format!("from_local: delete, from_remote: {policy}, confirm: irreversible");
        let (world, row, id) = deleting(&policies).await;
        world.restore(&row);
        world.settle().await;
        world.update(&row, &[("name", "Anna")]);
        world.settle().await;
        assert_eq!(world.remote(&id, "name").as_deref(), Some("Anna"), "it is in step again: {policy}");
        lands(&world, &id).await;
        assert!(world.row(&row).await.is_some_and(|row| row.deleted_at.is_none()), "{policy}");
        assert_eq!(state(&world, &row).await, LinkState::Detached, "{policy}");
        decide(&world, DeleteChoice::Recreate).await;
        assert_eq!(state(&world, &row).await, LinkState::Linked, "{policy}");
        world.assert_in_step().await;
    }
}
