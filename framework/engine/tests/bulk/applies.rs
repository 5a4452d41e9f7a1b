//! Carrying a saved plan out: exactly that (design 6).

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action as FaultAction, Fault};
use bothways_engine::{ApplyItem, ApplyOutcome, ApplyReport, EngineError, PlanAction, RevertTarget};
use bothways_model::RemoteId;
use bothways_store::{LinkState, Operator, WithheldSet};
use serde_json::json;
use std::io::{BufRead, Cursor};
use std::time::Duration;

fn meeting() -> Setup {
    Setup {
        walked: false,
        approved: false,
        webhooks: false,
        ..Setup::with("sync: { feed: never, reconcile: never }")
    }
}

async fn saved(world: &World, values: bool) -> Vec<u8> {
    let mut file = Vec::new();
    world.ops.save_plan(None, &mut file, values, "ada").await.unwrap();
    file
}

async fn apply(world: &World, file: &[u8]) -> Result<(ApplyReport, Vec<ApplyItem>), EngineError> {
    let mut items = Vec::new();
    let mut open = || Ok(Box::new(Cursor::new(file.to_vec())) as Box<dyn BufRead + Send>);
    let report = world.ops.apply(None, &mut open, "ada", &mut |item| items.push(item)).await?;
    Ok((report, items))
}

/// Two sides with one of everything that can be done without a person.
fn everything(world: &World) {
    world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.remote_create(json!({ "name": "Ada", "email": "ADA@example.com" }));
    world.insert(&[("name", "Bob"), ("email", "bob@example.com"), ("phone", "")]);
    world.remote_create(json!({ "name": "Bob", "email": "bob@example.com", "phone": "+1" }));
    world.insert(&[("name", "Cleo"), ("email", "cleo@example.com"), ("phone", "+2")]);
    world.remote_create(json!({ "name": "Cleo", "email": "cleo@example.com" }));
    world.insert(&[("name", "Only here"), ("email", "here@example.com")]);
    world.remote_create(json!({ "name": "Only there", "email": "there@example.com" }));
}

#[tokio::test(start_paused = true)]
async fn a_saved_plan_is_carried_out_exactly_and_then_nothing_is_left() {
    let world = World::stopped(meeting()).await;
    everything(&world);
    let file = saved(&world, false).await;
    assert!(!String::from_utf8_lossy(&file).contains("example.com"), "no personal data unless asked for");
    // What came after the plan is not the plan's.
    world.insert(&[("name", "Later"), ("email", "later@example.com")]);
    world.remote_create(json!({ "name": "Later there", "email": "later-there@example.com" }));

    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.items, report.done, report.stale, report.failed), (5, 5, 0, 0), "{items:#?}");
    assert_eq!((world.rows().await.len(), world.customers().len()), (6, 6));
    assert_eq!(world.links().await.len(), 5, "neither of the later ones");
    let phone = |name: &str| {
        let customers = world.customers();
        let one = customers.iter().find(|customer| customer["name"] == name).unwrap();
        one["phone"].as_str().map(str::to_owned)
    };
    assert_eq!((phone("Bob").as_deref(), phone("Cleo").as_deref()), (Some("+1"), Some("+2")));
    let written = world.writes();

    let (again, _) = apply(&world, &file).await.unwrap();
    assert_eq!((again.done, again.already, again.stale), (0, 5, 0), "{again:?}");
    assert_eq!(world.writes(), written, "what is done is not done again");
    let audits = world.store.audits(10).await.unwrap();
    assert!(audits.iter().any(|entry| entry.action == "applied" && entry.by == "ada"));
    assert!(
        !world.engine.pairs().next().unwrap().is_approved(),
        "consent to these items and to nothing else"
    );

    let mut undone = Vec::new();
    let target = RevertTarget::Pass(report.id);
    let totals = world.ops.revert(&target, true, "ada", &mut |item| undone.push(item)).await.unwrap();
    assert!(totals.reverted >= 2, "what it wrote is known by its name: {undone:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_moved_since_is_stale_and_left_alone() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let mut rows = Vec::new();
    for name in ["a", "b", "c", "d"] {
        rows.push(world.insert(&[("name", name), ("email", &format!("{name}@example.com"))]));
    }
    world.settle().await;
    world.kill();
    world.reopen().await;
    let mut ids: Vec<RemoteId> = Vec::new();
    for row in &rows {
        ids.push(world.link_of(row).await.remote_id.unwrap());
    }
    world.update(&rows[0], &[("name", "planned")]);
    world.update(&rows[1], &[("name", "planned")]);
    world.remote_update(&ids[2], json!({ "name": "planned" }));
    world.remote_update(&ids[3], json!({ "name": "planned" }));
    let file = saved(&world, true).await;
    world.update(&rows[1], &[("name", "moved")]);
    world.remote_update(&ids[3], json!({ "name": "moved" }));
    let before = world.writes();

    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.done, report.stale), (2, 2), "{items:#?}");
    assert_eq!(world.writes(), before + 1);
    assert_eq!(world.remote(&ids[0], "name").as_deref(), Some("planned"));
    assert_eq!(world.remote(&ids[1], "name").as_deref(), Some("b"), "the stale one is not sent");
    assert_eq!(world.local(&rows[2], "name").await.as_deref(), Some("planned"));
    assert_eq!(world.local(&rows[3], "name").await.as_deref(), Some("d"), "the stale one is not stored");
    let stale = items.iter().find(|item| item.outcome == ApplyOutcome::Stale).unwrap();
    assert!(stale.why.contains("name"), "{}", stale.why);
}

#[tokio::test(start_paused = true)]
async fn a_cut_or_edited_plan_does_nothing_at_all() {
    let world = World::stopped(meeting()).await;
    everything(&world);
    let file = saved(&world, false).await;
    let text = String::from_utf8(file.clone()).unwrap();
    let cut = &file[..file.len() / 2];
    let edited = text.replacen("create_remote", "create_local", 1);
    assert_ne!(edited, text);
    let without_a_line: String =
        text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, line)| format!("{line}\n")).collect();
    for bad in [cut, edited.as_bytes(), without_a_line.as_bytes(), b"", b"{}\n"] {
        let refused = apply(&world, bad).await;
        assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    }
    assert_eq!(world.writes(), 0);
    assert!(world.links().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_another_mapping_or_account_is_refused_wholly() {
    let mut world = World::stopped(meeting()).await;
    everything(&world);
    let file = saved(&world, false).await;
    let text = world.setup.mapping.replace("normalize: [trim, lower]", "normalize: [trim]");
    world.change_mapping(&text);
    world.reopen().await;
    let refused = apply(&world, &file).await.unwrap_err().to_string();
    assert!(refused.contains("has changed since the plan was made"), "{refused}");

    let file = saved(&world, false).await;
    world.fault(Fault::always(FaultAction::OtherAccount));
    let refused = apply(&world, &file).await.unwrap_err().to_string();
    assert!(refused.contains("acct_test"), "{refused}");
    assert_eq!(world.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_plan_asks_whose_account_it_is_before_it_reads_a_record() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.insert(&[("name", "a"), ("email", "a@example.com")]);
    world.settle().await;
    world.kill();
    world.reopen().await;
    world.fault(Fault::always(FaultAction::OtherAccount));
    let before = world.stripe().requests().count();
    let mut file = Vec::new();
    let refused = world.ops.save_plan(None, &mut file, false, "ada").await.unwrap_err().to_string();
    assert!(refused.contains("acct_test"), "{refused}");
    let stripe = world.stripe();
    let asked: Vec<_> = stripe.requests().skip(before).map(|request| request.path.clone()).collect();
    assert!(asked.iter().all(|url| url.contains("/account")), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_killed_apply_is_run_again_and_finishes() {
    for kill_after in [20, 60, 100, 140, 180, 220, 260, 300, 400] {
        let mut world = World::stopped(meeting()).await;
        everything(&world);
        let file = saved(&world, false).await;
        let cut_short = tokio::time::timeout(Duration::from_millis(kill_after), apply(&world, &file)).await;
        world.kill();
        world.restart().await;
        // Leases of the dead run out.
        tokio::time::sleep(Duration::from_secs(600)).await;
        let (report, items) = apply(&world, &file).await.unwrap();
        assert_eq!(
            (report.done + report.already, report.stale, report.failed),
            (5, 0, 0),
            "killed after {kill_after} ms ({}): {items:#?}",
            cut_short.is_ok()
        );
        assert_eq!(
            (world.rows().await.len(), world.customers().len()),
            (5, 5),
            "killed after {kill_after} ms"
        );
        assert!(world.links().await.iter().all(|link| link.state == LinkState::Linked));
        world.assert_in_step().await;
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_and_what_waits_for_a_person() {
    let deletes =
        "deletes: { from_local: delete, confirm: irreversible }\nsync: { feed: never, reconcile: never }";
    let mut world = World::new(Setup { webhooks: false, ..Setup::with(deletes) }).await;
    let rows: Vec<_> = ["a", "b"]
        .map(|name| world.insert(&[("name", name), ("email", &format!("{name}@example.com"))]))
        .to_vec();
    world.settle().await;
    world.kill();
    world.reopen().await;
    let gone = world.link_of(&rows[0]).await.remote_id.unwrap();
    let asked = world.link_of(&rows[1]).await.remote_id.unwrap();
    world.delete(&rows[0]);
    world.remote_delete(&asked);
    world.ops.engine().relay().await.unwrap();
    let file = saved(&world, false).await;
    let (report, items) = apply(&world, &file).await.unwrap();
    let of = |action| items.iter().find(|item| item.action == action).map(|item| item.outcome);
    assert_eq!(of(PlanAction::DeleteRemote), Some(ApplyOutcome::Done), "{items:#?}");
    assert_eq!((report.done, report.left), (1, 1), "{items:#?}");
    assert!(world.customer(&gone).is_none_or(|customer| customer["deleted"] == true));
    assert!(world.row(&rows[1]).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn brakes_hold_for_saved_plans_too_and_creates_are_named_by_them() {
    let deletes = "deletes: { from_local: delete, confirm: irreversible }\nsafety: { creates: 2 }\n\
                   sync: { feed: never, reconcile: never }";
    let mut world = World::new(Setup { webhooks: false, ..Setup::with(deletes) }).await;
    let people = |from: u32, to: u32| (from..to).map(|n| (format!("P{n}"), format!("p{n}@example.com")));
    let mut rows = Vec::new();
    for (name, email) in people(0, 2) {
        rows.push(world.insert(&[("name", &name), ("email", &email)]));
    }
    world.settle().await;
    world.kill();
    world.reopen().await;
    for (name, email) in people(2, 15) {
        rows.push(world.insert(&[("name", &name), ("email", &email)]));
    }
    let file = saved(&world, false).await;
    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.done, report.failed), (13, 0), "the plan names each create: {items:#?}");

    rows.iter().take(14).for_each(|row| world.delete(row));
    world.ops.engine().relay().await.unwrap();
    let file = saved(&world, false).await;
    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.done, report.failed), (0, 14), "{items:#?}");
    assert!(items.iter().all(|item| item.why.contains("withheld by the brake on deletes")), "{items:#?}");
    assert_eq!(world.customers().len(), 15);
    let on = world.ops.brakes().await.unwrap().remove(0);
    let shown = world.ops.brake(&on.id).await.unwrap();
    let set = WithheldSet { count: shown.open, digest: shown.set.unwrap() };
    assert_eq!(set.count, 14);
    world.ops.approve_brake(&on.id, &set, None, "", "ann").await.unwrap();
    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.done, report.failed), (14, 0), "{items:#?}");
    assert_eq!(world.customers().len(), 1);
    assert!(world.ops.brakes().await.unwrap().is_empty());
}

/// What an adoption may not empty unasked is asked about and carried out by the plan, not by whoever comes later.
#[tokio::test(start_paused = true)]
async fn what_a_plan_empties_is_emptied_by_it() {
    let policies = "conflicts: { winner: remote }\nsync: { feed: never, reconcile: never }";
    let world =
        World::stopped(Setup { walked: false, approved: false, webhooks: false, ..Setup::with(policies) })
            .await;
    let row = world.insert(&[("name", "Ada"), ("email", "ada@example.com"), ("phone", "1")]);
    world.remote_create(json!({ "name": "Ada", "email": "ada@example.com", "phone": "  " }));
    let file = saved(&world, false).await;
    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.items, report.done, report.failed), (1, 1, 0), "{items:#?}");
    assert_ne!(world.local(&row, "phone").await.as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_to_a_person_is_not_called_done() {
    let world = World::stopped(meeting()).await;
    world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.remote_create(json!({ "name": "Ada L.", "email": "ada@example.com" }));
    let file = saved(&world, false).await;
    let (report, _) = apply(&world, &file).await.unwrap();
    assert_eq!(report.done, 1, "they are linked");
    let (report, _) = apply(&world, &file).await.unwrap();
    assert_eq!((report.done, report.already), (0, 1));
    let file = saved(&world, false).await;
    let (report, items) = apply(&world, &file).await.unwrap();
    assert_eq!((report.items, report.left), (1, 1), "the names differ still: {items:?}");
}
