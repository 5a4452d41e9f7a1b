//! Undoing what sync wrote (rule 65).

use crate::harness::{Setup, World, mapping};
use bothways_engine::{EngineError, PassOptions, RevertItem, RevertOutcome, RevertTarget, RevertTotals};
use bothways_model::{LocalId, Value};
use bothways_store::{HistoryFilter, HistoryOp, LinkState, Operator, Side};
use futures::FutureExt as _;
use serde_json::json;

async fn revert(
    world: &World,
    target: RevertTarget,
    dry_run: bool,
) -> Result<(RevertTotals, Vec<RevertItem>), EngineError> {
    let mut items = Vec::new();
    let totals = world.ops.revert(&target, dry_run, "ada", &mut |item| items.push(item)).await?;
    Ok((totals, items))
}

fn record(id: &LocalId) -> RevertTarget {
    RevertTarget::Record { mapping: None, id: id.0.clone(), entry: None }
}

/// Rows that a pass links with customers who bring a phone number and a name of their own; returns the pass and the rows.
async fn met(world: &World, count: usize) -> (String, Vec<LocalId>) {
    let mut rows = Vec::new();
    for n in 0..count {
        let email = format!("{n}@example.com");
        rows.push(world.insert(&[("email", &email), ("name", "ours"), ("phone", "")]));
        world.remote_create(json!({ "email": email, "name": "ours", "phone": format!("+{n}") }));
    }
    let report = world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    world.assert_in_step().await;
    (report.id, rows)
}

fn first_contact(policies: &str) -> Setup {
    Setup { walked: false, webhooks: false, ..Setup::with(policies) }
}

const STILL: &str = "sync: { feed: never, reconcile: never }";

#[tokio::test(start_paused = true)]
async fn p38_a_revert_after_a_later_edit_leaves_and_lists_that_edit() {
    let world = World::new(first_contact(STILL)).await;
    let (pass, rows) = met(&world, 3).await;
    world.update(&rows[1], &[("phone", "+later")]);
    world.settle().await;

    let (would, _) = revert(&world, RevertTarget::Pass(pass.clone()), true).await.unwrap();
    assert_eq!((would.reverted, would.differing, would.refused), (2, 1, 0), "{would:?}");
    assert_eq!(world.local(&rows[0], "phone").await.as_deref(), Some("+0"), "a dry run writes nothing");

    let (done, items) = revert(&world, RevertTarget::Pass(pass.clone()), false).await.unwrap();
    assert_eq!(done, would, "the dry run said so");
    assert_eq!(done.links, 3);
    let later = items.iter().find(|item| item.local_id.as_deref() == Some(rows[1].as_str())).unwrap();
    assert_eq!((later.outcome, later.fields[0].outcome), (RevertOutcome::Differs, RevertOutcome::Differs));
    assert_eq!(later.fields[0].now, Some(Value::Text("+later".into())));
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.local(&rows[0], "phone").await, None);
    assert_eq!(world.local(&rows[1], "phone").await.as_deref(), Some("+later"));
    let carried = world.link_of(&rows[2]).await.remote_id.unwrap();
    assert_eq!(world.remote(&carried, "phone"), None, "sync carried it to the other side");

    let (again, _) = revert(&world, RevertTarget::Pass(pass), false).await.unwrap();
    assert_eq!((again.reverted, again.already, again.differing), (0, 2, 1), "{again:?}");
    let audits = world.store.audits(10).await.unwrap();
    assert!(audits.iter().any(|entry| entry.action == "reverted" && entry.by == "ada"));
}

#[tokio::test(start_paused = true)]
async fn the_log_says_who_reverts_before_anything_is_written() {
    let world = World::new(first_contact(STILL)).await;
    let (pass, rows) = met(&world, 2).await;
    let target = RevertTarget::Pass(pass);
    world.ops.revert(&target, true, "ada", &mut |_| ()).await.unwrap();
    assert!(!audited(&world), "nothing was done");
    let mut noted = Vec::new();
    world.ops.revert(&target, false, "ada", &mut |_| noted.push(audited(&world))).await.unwrap();
    assert_eq!(noted, vec![true; rows.len()]);
}

/// Whether the audit log names a revert that was begun.
fn audited(world: &World) -> bool {
    let audits = world.store.audits(10).now_or_never().unwrap().unwrap();
    audits.iter().any(|entry| entry.action == "revert" && entry.by == "ada")
}

#[tokio::test(start_paused = true)]
async fn a_record_goes_back_to_what_it_was_before_sync_wrote_it_and_forth_again() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let none = revert(&world, record(&row), false).await;
    assert!(matches!(none, Err(EngineError::NotFound(_))), "sync wrote nothing here yet: {none:?}");
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.remote_update(&id, json!({ "name": "B" }));
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("B"));
    let (done, _) = revert(&world, record(&row), false).await.unwrap();
    assert_eq!(done.reverted, 1);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("A"));
    let (done, _) = revert(&world, record(&LocalId(id.0.clone())), false).await.unwrap();
    assert_eq!(done.reverted, 1, "undoing it is undone by the record's other id as well");
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("B"));
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn one_write_to_the_other_side_is_undone_by_its_number() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    world.update(&row, &[("name", "wrong")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    let filter =
        HistoryFilter { link: Some(link.id), op: Some(HistoryOp::Update), ..HistoryFilter::default() };
    let pushed = world.ops.history(&filter, None, 10).await.unwrap();
    assert_eq!(pushed[0].entry.side, Side::Remote);
    let target = RevertTarget::Record { mapping: None, id: row.0.clone(), entry: Some(pushed[0].id) };
    let (done, _) = revert(&world, target, false).await.unwrap();
    assert_eq!(done.reverted, 1);
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("A"));
    assert_eq!(world.remote(&link.remote_id.unwrap(), "name").as_deref(), Some("A"));
    let created = HistoryFilter { op: Some(HistoryOp::Create), ..HistoryFilter::default() };
    let created = world.ops.history(&created, None, 10).await.unwrap()[0].id;
    let target = RevertTarget::Record { mapping: None, id: row.0.clone(), entry: Some(created) };
    let (done, items) = revert(&world, target, false).await.unwrap();
    assert_eq!((done.reverted, done.refused), (0, 1));
    assert!(items[0].why.contains("unlink"), "{}", items[0].why);
}

#[tokio::test(start_paused = true)]
async fn what_only_comes_in_is_refused_with_the_line_that_says_so() {
    let text = mapping(STILL).replace("phone: $.phone", "phone: { remote: $.phone, direction: in }");
    let world = World::new(Setup { mapping: text, ..first_contact(STILL) }).await;
    let (pass, rows) = met(&world, 1).await;
    let (done, items) = revert(&world, RevertTarget::Pass(pass), false).await.unwrap();
    assert_eq!((done.reverted, done.refused), (0, 1));
    let why = &items[0].fields[0].why;
    assert!(why.contains("one-way in") && why.contains("stripe-customers.yaml:"), "{why}");
    assert_eq!(world.local(&rows[0], "phone").await.as_deref(), Some("+0"));
}

#[tokio::test(start_paused = true)]
async fn rows_that_a_pass_made_are_taken_out_unless_that_deletes_for_good() {
    for (policy, removed) in [("manual", true), ("delete, confirm: irreversible", false)] {
        let deletes = format!("deletes: {{ from_local: {policy} }}\n{STILL}");
        let world = World::new(first_contact(&deletes)).await;
        world.remote_create(json!({ "email": "a@example.com", "name": "A" }));
        world.remote_create(json!({ "email": "b@example.com", "name": "B" }));
        let report = world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
        world.settle().await;
        let kept = world.rows().await[1].id.clone();
        world.update(&kept, &[("note", "mine")]);
        world.settle().await;
        let (done, items) = revert(&world, RevertTarget::Pass(report.id), false).await.unwrap();
        world.settle().await;
        assert_eq!(world.customers().len(), 2, "nothing is deleted at the service");
        if removed {
            assert_eq!((done.reverted, done.differing), (1, 1), "{items:#?}");
            let rows = world.rows().await;
            assert_eq!(
                rows.iter().map(|row| &row.id).collect::<Vec<_>>(),
                [&kept],
                "what a user added to stays"
            );
        } else {
            assert_eq!((done.reverted, done.refused), (0, 2), "{items:#?}");
            assert!(items[0].why.contains("for good"), "{}", items[0].why);
            assert_eq!(world.rows().await.len(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unlinked_record_is_not_edited() {
    let world = World::new(first_contact(STILL)).await;
    let (pass, rows) = met(&world, 1).await;
    let link = world.link_of(&rows[0]).await;
    world.ops.unlink(link.id, "ada").await.unwrap();
    let (done, items) = revert(&world, RevertTarget::Pass(pass), false).await.unwrap();
    assert_eq!((done.reverted, done.refused), (0, 1), "{items:#?}");
    assert_eq!(world.link_of(&rows[0]).await.state, LinkState::Unlinked);
    assert_eq!(world.local(&rows[0], "phone").await.as_deref(), Some("+0"));
    assert!(revert(&world, RevertTarget::Pass("nothing".into()), false).await.is_err());
}
