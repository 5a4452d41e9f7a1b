//! Plans: the same decisions as a run, and not one write (rules 9, 61, 64).

use crate::harness::{Setup, World};
use bothways_engine::decide::Action;
use bothways_engine::{
    Installed, NotInstalled, PlanAction, PlanItem, PlanReads, PlanSource, PlanTotals, ReadOnly, Renewer,
    RetryPolicy, plan,
};
use bothways_model::Method;
use bothways_store::{Capture, MemoryStore};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn meeting() -> Setup {
    Setup { walked: false, webhooks: false, ..Setup::with("sync: { feed: never, reconcile: never }") }
}

async fn plan_of(world: &World, reads: Arc<dyn PlanReads>) -> (PlanTotals, Vec<PlanItem>) {
    let pair = world.engine.pairs().next().unwrap().clone();
    let source = PlanSource {
        scratch: Arc::new(MemoryStore::new([(*pair.mapping.catalog).clone()])),
        pair,
        reads,
        remote: ReadOnly::new(&world.ports(), RetryPolicy::default(), Renewer::new(&world.ports(), None)),
        clock: world.clock.clone(),
    };
    let mut items = Vec::new();
    let totals = plan(&source, &mut |item| items.push(item)).await.unwrap();
    (totals, items)
}

async fn installed(world: &World) -> (PlanTotals, Vec<PlanItem>) {
    plan_of(world, Arc::new(Installed::new(world.store.clone()))).await
}

fn of(items: &[PlanItem], action: PlanAction) -> Vec<&PlanItem> {
    items.iter().filter(|item| item.action == action).collect()
}

/// Two sides with one of everything.
fn everything(world: &World) {
    world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.remote_create(json!({ "name": "Ada", "email": "ADA@example.com" }));
    world.insert(&[("name", "Bob"), ("email", "bob@example.com")]);
    world.remote_create(json!({ "name": "Robert", "email": "bob@example.com", "phone": "+1" }));
    world.insert(&[("name", "Only here"), ("email", "here@example.com")]);
    world.remote_create(json!({ "name": "Only there", "email": "there@example.com" }));
    world.remote_create(json!({ "name": "Nobody" }));
    world.insert(&[("name", "Twin"), ("email", "twin@example.com")]);
    world.insert(&[("name", "Twin"), ("email", "twin@example.com")]);
}

#[tokio::test(start_paused = true)]
async fn before_anything_is_installed_a_plan_says_what_first_contact_would_do() {
    let world = World::stopped(meeting()).await;
    everything(&world);
    let (totals, items) = plan_of(&world, Arc::new(NotInstalled::new(world.store.clone()))).await;
    assert_eq!((totals.remote, totals.local), (4, 5));
    assert_eq!((totals.link, totals.link_differing), (2, 1), "{totals:?}");
    assert_eq!((totals.create_local, totals.create_remote, totals.ambiguous), (2, 1, 1), "{totals:?}");
    assert_eq!((totals.update_local, totals.update_remote, totals.conflicts), (1, 0, 1), "{totals:?}");
    assert_eq!((totals.writes, totals.in_step), (1, 0), "{totals:?}");
    let bob = of(&items, PlanAction::Link).into_iter().find(|item| !item.fields.is_empty()).unwrap();
    let name = bob.fields.iter().find(|verdict| verdict.label == "name").unwrap();
    assert_eq!(name.action, Action::Conflict { first_contact: true });
    let phone = bob.fields.iter().find(|verdict| verdict.label == "phone").unwrap();
    assert_eq!((phone.action.clone(), phone.rule), (Action::Pull, 18));
    assert!(of(&items, PlanAction::Ambiguous)[0].why.contains("more than one candidate"));
}

#[tokio::test(start_paused = true)]
async fn the_plan_and_the_run_agree_and_the_plan_only_reads() {
    let mut world = World::stopped(meeting()).await;
    everything(&world);
    let (totals, _) = installed(&world).await;
    assert!(world.stripe().requests().all(|request| request.method == Method::Get));
    assert_eq!(totals.asked, world.stripe().requests().count() as u64);
    assert!(world.links().await.is_empty());

    world.start().await;
    let walked = async |w: &World| w.engine.pairs().all(|pair| pair.is_walked());
    world.until("first contact", Duration::from_secs(600), walked).await;
    world.settle().await;
    assert_eq!(world.writes(), totals.writes);
    let links = world.links().await;
    assert_eq!(links.len() as u64, totals.link + totals.create_local + totals.create_remote);
    assert_eq!(links.iter().filter(|l| !l.body.conflicts.is_empty()).count() as u64, totals.conflicts);
    assert_eq!(world.parked().await.len() as u64, totals.ambiguous);
}

#[tokio::test(start_paused = true)]
async fn of_linked_records_a_plan_shows_each_difference_once() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let mut rows = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let email = format!("{name}@example.com");
        rows.push(world.insert(&[("name", name), ("email", &email), ("phone", "0")]));
    }
    world.until("the creates", Duration::from_secs(60), async |w: &World| w.customers().len() == 5).await;
    world.settle().await;
    world.kill();
    let mut ids = Vec::new();
    for row in &rows {
        ids.push(world.link_of(row).await.remote_id.unwrap());
    }
    world.update(&rows[0], &[("name", "local")]);
    world.remote_update(&ids[1], json!({ "name": "remote" }));
    world.update(&rows[2], &[("name", "local")]);
    world.remote_update(&ids[2], json!({ "name": "remote", "phone": "1" }));
    world.delete(&rows[3]);
    assert_eq!(world.store.relay(world.now(), 100).await.unwrap().entries, 3);
    let before = world.writes();
    let (totals, items) = installed(&world).await;
    assert_eq!(world.writes(), before);
    let updates = of(&items, PlanAction::Update);
    assert_eq!(updates.len(), 3, "{items:#?}");
    assert_eq!((totals.update_remote, totals.update_local, totals.conflicts), (1, 2, 1), "{totals:?}");
    let asks = of(&items, PlanAction::Ask);
    assert_eq!(asks.len(), 1, "{items:#?}");
    assert!(asks[0].why.contains("deleted locally"), "{}", asks[0].why);
    let (again, _) = installed(&world).await;
    assert_eq!(again.digest, totals.digest);
    world.remote_update(&ids[4], json!({ "name": "moved" }));
    assert_ne!(installed(&world).await.0.digest, totals.digest);
}
