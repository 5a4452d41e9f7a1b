//! A mapping that changes after it was approved goes on as it was until the change is approved by its plan's digest (rule 62).

use crate::harness::{Setup, World, mapping};
use bothways_engine::EngineError;
use bothways_engine::decide::Action;
use bothways_store::Operator;
use serde_json::json;
use std::time::Duration;

const SYNC: &str = "sync: { feed: never, reconcile: never }";

/// A world with one linked record, started again with another mapping.
async fn changed(before: &str, after: &str) -> World {
    let mut world = World::new(Setup { mapping: before.into(), ..Setup::default() }).await;
    world.insert(&[("email", "a@example.com"), ("name", "A"), ("note", "N")]);
    world.settle().await;
    world.kill();
    world.change_mapping(after);
    world.restart().await;
    world
}

async fn held(world: &World) -> Vec<String> {
    world.ops.status().await.unwrap().remove(0).held
}

#[tokio::test(start_paused = true)]
async fn a_delete_policy_is_held_until_its_plan_is_approved() {
    let before = mapping(SYNC);
    let after = mapping(&format!("deletes: {{ from_local: delete, confirm: irreversible }}\n{SYNC}"));
    let world = changed(&before, &after).await;
    assert!(held(&world).await[0].contains("from_local manual"), "{:?}", held(&world).await);
    let rows = world.rows().await;
    world.insert(&[("email", "b@example.com"), ("name", "B")]);
    world.settle().await;
    world.delete(&rows[0].id);
    world
        .until("the question", Duration::from_secs(60), async |w: &World| !w.parked().await.is_empty())
        .await;
    assert_eq!(world.customers().len(), 2, "the old policy asks, and it goes on");

    let refused = world.ops.approve(None, "ada").await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "a change is approved by digest: {refused:?}");
    let refused = world.ops.approve_plan(None, "0123", "ada").await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    let (totals, _) = world.plan().await;
    assert_eq!(totals.delete_remote, 1, "{totals:?}");
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    assert!(held(&world).await.is_empty());
    world.until("the delete", Duration::from_secs(120), async |w: &World| w.customers().len() == 1).await;
    let audits = world.store.audits(10).await.unwrap();
    let approved = audits.iter().find(|entry| entry.by == "ada" && entry.action == "approve").unwrap();
    assert_eq!(approved.detail["plan"], json!(totals.digest));
    assert_ne!(approved.detail["before"], approved.detail["digest"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_void_when_what_it_would_do_has_changed() {
    let text = mapping(SYNC).replace("name: $.name", "name: { remote: $.name, direction: out }");
    let world = changed(&mapping(SYNC), &text).await;
    let (totals, _) = world.plan().await;
    world.insert(&[("email", "new@example.com"), ("name", "New")]);
    world.hold_webhooks(true);
    world.settle().await;
    let id = world.link_of(&world.rows().await[0].id).await.remote_id.unwrap();
    world.remote_update(&id, json!({ "phone": "+1" }));
    let refused = world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap_err().to_string();
    assert!(refused.contains("has changed"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_direction_is_held_and_the_old_one_goes_on() {
    let text = mapping(SYNC).replace("name: $.name", "name: { remote: $.name, direction: out }");
    let world = changed(&mapping(SYNC), &text).await;
    let row = world.rows().await[0].id.clone();
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.remote_update(&id, json!({ "name": "B" }));
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("B"), "both ways, as approved");
    let (totals, _) = world.plan().await;
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    world.remote_update(&id, json!({ "name": "C" }));
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("B"), "one way out, once approved");
}

#[tokio::test(start_paused = true)]
async fn a_new_field_writes_nothing_before_it_is_approved() {
    let text = mapping(SYNC).replace("phone: $.phone", "phone: $.phone\n  note: $.description");
    let world = changed(&mapping(SYNC), &text).await;
    let row = world.rows().await[0].id.clone();
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.update(&row, &[("name", "B"), ("note", "M")]);
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("B"), "what was approved flows");
    assert_eq!(world.remote(&id, "description"), None);
    let (totals, items) = world.plan().await;
    assert_eq!(totals.update_remote, 1, "{items:#?}");
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    let filled = async |w: &World| w.remote(&id, "description").as_deref() == Some("M");
    world.until("the new field", Duration::from_secs(120), filled).await;
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_shrinks_unlinks_nobody_before_it_is_approved() {
    let after = mapping(&format!("only: {{ local: {{ name: B }} }}\n{SYNC}"));
    let world = changed(&mapping(SYNC), &after).await;
    let row = world.rows().await[0].id.clone();
    world.update(&row, &[("phone", "+1")]);
    world.settle().await;
    world.assert_in_step().await;
    let (totals, _) = world.plan().await;
    assert_eq!(totals.close, 1, "{totals:?}");
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    let unlinked = async |w: &World| w.links().await.iter().all(|link| !link.state.is_live());
    world.until("the link is closed", Duration::from_secs(120), unlinked).await;
    assert_eq!(world.customers().len(), 1, "and nothing is deleted");
}

#[tokio::test(start_paused = true)]
async fn a_match_field_that_is_gone_stops_the_mapping() {
    let after = mapping(SYNC)
        .replace("match: [email]", "match: [name]")
        .replace("  email: { remote: $.email, normalize: [trim, lower] }\n", "");
    let world = changed(&mapping(SYNC), &after).await;
    let status = world.ops.status().await.unwrap().remove(0);
    assert!(status.stopped.is_some_and(|why| why.contains("email")));
    world.insert(&[("name", "New"), ("email", "new@example.com")]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.customers().len(), 1, "it stands still");
    let (totals, _) = world.plan().await;
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    world.until("the create", Duration::from_secs(120), async |w: &World| w.customers().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_decides_nothing_about_whom_to_write_holds_at_once() {
    let after = mapping(&format!("conflicts: {{ winner: local }}\n{SYNC}"));
    let world = changed(&mapping(SYNC), &after).await;
    assert!(held(&world).await.is_empty());
    assert!(world.ops.status().await.unwrap()[0].approval_is_current);
}

#[tokio::test(start_paused = true)]
async fn an_approval_by_another_process_is_carried_out_by_the_engine_that_runs() {
    let text = mapping(SYNC).replace("phone: $.phone", "phone: $.phone\n  note: $.description");
    let mut world = changed(&mapping(SYNC), &text).await;
    let id = world.link_of(&world.rows().await[0].id).await.remote_id.unwrap();
    let (totals, _) = world.plan().await;
    // The first engine goes on; the second does nothing but approve.
    world.reopen().await;
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    let filled = async |w: &World| w.remote(&id, "description").as_deref() == Some("N");
    world.until("the new field", Duration::from_secs(120), filled).await;
}

/// What was last known of one path says nothing of another: where the two sides differ there, nobody knows who is right (rule 18).
#[tokio::test(start_paused = true)]
async fn a_field_that_moves_to_another_path_meets_it_for_the_first_time() {
    let text = mapping(SYNC).replace("phone: $.phone", "phone: $.description");
    let mut world = World::new(Setup { mapping: mapping(SYNC), ..Setup::default() }).await;
    let row = world.insert(&[("email", "a@example.com"), ("phone", "1")]);
    let same = world.insert(&[("email", "b@example.com"), ("phone", "2")]);
    world.settle().await;
    for (row, described) in [(&row, "other"), (&same, "2")] {
        let id = world.link_of(row).await.remote_id.unwrap();
        world.remote_update(&id, json!({ "description": described }));
    }
    world.settle().await;
    let writes = world.writes();
    world.kill();
    world.change_mapping(&text);
    world.restart().await;
    let (totals, items) = world.plan().await;
    let planned: Vec<_> = items.iter().flat_map(|item| &item.fields).map(|field| &field.action).collect();
    assert_eq!(planned, [&Action::Conflict { first_contact: true }], "{items:#?}");
    world.ops.approve_plan(None, &totals.digest, "ada").await.unwrap();
    let asked = async |w: &World| w.link_of(&row).await.body.conflicts.contains_key("phone");
    world.until("a person is asked", Duration::from_secs(120), asked).await;
    world.settle().await;
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("1"), "nothing came in");
    let id = world.link_of(&row).await.remote_id.unwrap();
    assert_eq!(world.remote(&id, "description").as_deref(), Some("other"));
    assert_eq!(world.writes(), writes, "and nothing went out");
    assert!(world.link_of(&same).await.body.conflicts.is_empty(), "equal values are known to be equal");
}
