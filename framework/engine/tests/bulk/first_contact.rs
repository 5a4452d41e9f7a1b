//! Two sides that know nothing of each other meet (rule 27).

use crate::harness::{Setup, World};
use bothways_engine::{PassOptions, PassProgress, PassStage};
use bothways_model::RemoteId;
use bothways_store::{KeyWrite, Keys, LinkState, ParkReason, Side};
use futures::FutureExt;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(1200);

/// Nothing tells of changes but the first contact and what the setup says.
fn meeting() -> Setup {
    Setup { walked: false, webhooks: false, ..Setup::with("sync: { feed: never, reconcile: never }") }
}

/// `count` rows and records with an email of their own, the first `same` of each side the same people.
fn populate(world: &World, count: usize, same: usize) {
    for n in 0..count {
        world.insert(&[("name", &format!("Person {n}")), ("email", &format!("local{n}@example.com"))]);
    }
    for n in 0..count {
        let email =
            if n < same { format!("Local{n}@Example.com ") } else { format!("remote{n}@example.com") };
        world.remote_create(json!({ "name": format!("Person {n}"), "email": email.trim() }));
    }
}

async fn walked(world: &World) {
    world.until("first contact", LONG, async |w: &World| w.engine.pairs().all(|pair| pair.is_walked())).await;
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn five_hundred_on_each_side_of_which_two_hundred_match() {
    let mut world = World::stopped(meeting()).await;
    populate(&world, 500, 200);
    for n in 0..2 {
        world.remote_create(json!({ "name": format!("Twin {n}"), "email": "twin@example.com" }));
    }
    let lone = world.insert(&[("name", "Twin"), ("email", "twin@example.com")]);
    world.start().await;
    walked(&world).await;

    assert_eq!(world.rows().await.len(), 801);
    assert_eq!(world.customers().len(), 802);
    let links = world.links().await;
    assert_eq!(links.len(), 800);
    assert!(
        links.iter().all(|link| link.state == LinkState::Linked && link.local_id.as_ref() != Some(&lone))
    );
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0].parked.as_ref().unwrap().reason, ParkReason::Ambiguous);
    // 300 rows went out, and nothing else was written remotely.
    assert_eq!(world.writes(), 300);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_approval_and_what_would_be_is_counted() {
    let mut world = World::stopped(Setup { approved: false, ..meeting() }).await;
    populate(&world, 30, 10);
    world.start().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.writes(), 0);
    assert_eq!(world.rows().await.len(), 30);
    assert!(world.links().await.is_empty());
    let options = bothways_engine::PassOptions { observe: true, restart: true };
    let report = world.engine.pass(world.pair(), options, &|_| {}).await.unwrap();
    let counts = report.counts;
    assert_eq!((counts.linked, counts.linked_differing), (10, 0), "{counts:?}");
    assert_eq!((counts.created, counts.handed_out, counts.ambiguous), (20, 20, 0), "{counts:?}");

    world.ops.approve(None, "test").await.unwrap();
    walked(&world).await;
    assert_eq!(world.links().await.len(), 50);
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn what_changed_between_observing_and_approval_is_caught_up_with() {
    let mut world = World::stopped(Setup { approved: false, ..meeting() }).await;
    populate(&world, 5, 5);
    world.start().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    // A second one of the same email, and one that is gone again.
    world.remote_create(json!({ "email": "local0@example.com" }));
    let gone = world.customers().last().unwrap()["email"].clone();
    let id = world.remote_create(json!({ "email": "late@example.com" }));
    world.remote_delete(&id);
    assert_ne!(gone, json!("late@example.com"));
    world.ops.approve(None, "test").await.unwrap();
    walked(&world).await;
    assert_eq!(world.links().await.len(), 4);
    assert_eq!(world.parked().await.len(), 1);
    assert_eq!(world.writes(), 0);
    assert_eq!(world.rows().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_record_created_during_the_walk_is_linked_not_doubled() {
    let mut world = World::stopped(meeting()).await;
    populate(&world, 300, 0);
    let late = world.insert(&[("name", "Late"), ("email", "late@example.com")]);
    world.start().await;
    world
        .until("the walk is under way", LONG, async |w: &World| {
            use bothways_store::Intake;
            let cursor = w.store.cursor(&format!("pass/{}", w.pair())).await.unwrap();
            cursor.is_some_and(|state| !state["stage"]["remote"]["page"].is_null())
        })
        .await;
    let id = world.remote_create(json!({ "name": "Late", "email": "late@example.com" }));
    walked(&world).await;
    assert_eq!(world.link_of(&late).await.remote_id, Some(id));
    world.assert_in_step().await;
    assert_eq!(world.customers().len(), 601);
}

/// The records of a batch were seen before; whoever finds out meanwhile that they are gone is not overruled by it.
#[tokio::test(start_paused = true)]
async fn what_is_found_gone_while_a_batch_waits_is_not_brought_back() {
    let policies = "creates: { from_local: manual }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup { webhooks: false, ..Setup::with(policies) }).await;
    let bob = world.insert(&[("name", "Bob"), ("email", "z-bob@example.com")]);
    world.settle().await;
    for n in 0..120 {
        world.remote_create(json!({ "name": format!("Person {n}"), "email": format!("p{n}@example.com") }));
    }
    let late = ["z-ann@example.com", "z-bob@example.com"]
        .map(|email| world.remote_create(json!({ "name": "Late", "email": email })));
    // The second batch has been read when the first one is told of.
    let found = AtomicBool::new(false);
    let progress = |progress: &PassProgress| {
        let is_time = progress.stage == PassStage::Match && progress.counts.created >= 100;
        if is_time && !found.swap(true, Ordering::Relaxed) {
            late.iter().for_each(|id| world.remote_delete(id));
            world.update(&bob, &[("name", "Robert")]);
            let drop =
                |id: &RemoteId| KeyWrite::Drop { pair: world.pair(), side: Side::Remote, id: id.0.clone() };
            let gone: Vec<_> = late.iter().map(drop).collect();
            world.store.write_keys(&gone).now_or_never().unwrap().unwrap();
        }
    };
    world.engine.pass(world.pair(), PassOptions::default(), &progress).await.unwrap();
    world.settle().await;
    assert!(found.into_inner());
    assert_eq!((world.rows().await.len(), world.links().await.len()), (121, 120));
    assert_eq!(world.local(&bob, "name").await.as_deref(), Some("Robert"));
}

/// The pass as it is stored: its id, its stage (0 to 3) and how far it is in it.
async fn place(world: &World) -> Option<(String, u64, u64)> {
    use bothways_store::Intake;
    let state = world.store.cursor(&format!("pass/{}", world.pair())).await.unwrap()?;
    let counted = |name: &str| state["counts"][name].as_u64().unwrap();
    let (stage, seen) = match &state["stage"] {
        serde_json::Value::String(_) => (2, 0),
        stage if stage.get("remote").is_some() => (0, counted("remote")),
        stage if stage.get("local").is_some() => (1, counted("local")),
        _ => (3, counted("linked") + counted("created") + counted("handed_out")),
    };
    Some((state["id"].as_str().unwrap().to_owned(), stage, seen))
}

#[tokio::test(start_paused = true)]
async fn a_walk_that_is_killed_goes_on_where_it_was() {
    let mut world = World::stopped(meeting()).await;
    populate(&world, 400, 200);
    world.start().await;
    let mut places = Vec::new();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(90)).await;
        world.kill();
        places.extend(place(&world).await);
        world.restart().await;
        if world.engine.pairs().all(|pair| pair.is_walked()) {
            break;
        }
    }
    assert!(places.len() > 2, "the walk was hardly ever killed on its way: {places:?}");
    // One pass, which never falls back.
    assert!(places.is_sorted(), "{places:?}");
    assert!(places.iter().all(|(id, ..)| *id == places[0].0), "{places:?}");
    assert!(places.iter().any(|(_, stage, seen)| *stage == 0 && *seen > 0), "{places:?}");
    walked(&world).await;
    assert_eq!(world.links().await.len(), 600);
    world.assert_in_step().await;
    assert_eq!(world.writes(), 200);
}

#[tokio::test(start_paused = true)]
async fn linked_candidates_count_by_what_they_hold_now() {
    let world = World::new(Setup { webhooks: true, ..Setup::default() }).await;
    let ada = world.insert(&[("name", "Ada"), ("email", "old@example.com")]);
    world.until("the create", LONG, async |w: &World| w.customers().len() == 1).await;
    world.settle().await;
    world.update(&ada, &[("email", "new@example.com")]);
    world.until("the edit", LONG, async |w: &World| w.writes() == 2).await;
    world.settle().await;
    // Nobody has the old one any more; the new one is Ada's.
    world.remote_create(json!({ "name": "Somebody", "email": "old@example.com" }));
    world.until("somebody", LONG, async |w: &World| w.rows().await.len() == 2).await;
    world.remote_create(json!({ "name": "Ada too?", "email": "new@example.com" }));
    world.until("the question", LONG, async |w: &World| w.parked().await.len() == 1).await;
    world.settle().await;
    assert_eq!(world.rows().await.len(), 2);
    assert_eq!(world.parked().await[0].parked.as_ref().unwrap().reason, ParkReason::Ambiguous);
}

#[tokio::test(start_paused = true)]
async fn differences_at_first_contact_wait_for_a_person() {
    let mut world = World::stopped(meeting()).await;
    let row = world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    let id = world.remote_create(json!({ "name": "Ada L.", "phone": "+1", "email": "ada@example.com" }));
    world.start().await;
    walked(&world).await;
    let link = world.link_of(&row).await;
    assert_eq!(link.remote_id, Some(id));
    assert!(link.body.conflicts["name"].first_contact);
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("+1"));
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("Ada"));
    assert_eq!(world.writes(), 0);
}
