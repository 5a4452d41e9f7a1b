//! What a mapping says about first contact: scope, creates, records named by their rows, nothing to match by.

use crate::harness::{CATALOG, Setup, World};
use bothways_engine::PassOptions;
use bothways_store::{LinkState, ParkReason};
use serde_json::json;
use std::time::Duration;

fn meeting(policies: &str) -> Setup {
    let policies = format!("{policies}\nsync: {{ feed: never, reconcile: never }}");
    Setup { walked: false, webhooks: false, ..Setup::with(&policies) }
}

async fn met(world: &mut World) {
    world.start().await;
    let walked = async |w: &World| w.engine.pairs().all(|pair| pair.is_walked());
    world.until("first contact", Duration::from_secs(600), walked).await;
    world.settle().await;
}

/// One on each side that match, and one alone on each side.
fn populate(world: &World) {
    world.insert(&[("name", "Ada"), ("email", "ada@example.com")]);
    world.remote_create(json!({ "name": "Ada", "email": "ada@example.com" }));
    world.insert(&[("name", "Here"), ("email", "here@example.com")]);
    world.remote_create(json!({ "name": "There", "email": "there@example.com" }));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_ignored_is_only_linked() {
    let mut world = World::stopped(meeting("creates: { from_remote: ignore, from_local: ignore }")).await;
    populate(&world);
    met(&mut world).await;
    assert_eq!((world.links().await.len(), world.rows().await.len(), world.writes()), (1, 2, 0));
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_to_a_person_is_parked_one_by_one() {
    let mut world = World::stopped(meeting("creates: { from_remote: manual, from_local: manual }")).await;
    populate(&world);
    met(&mut world).await;
    assert_eq!((world.links().await.len(), world.rows().await.len(), world.writes()), (1, 2, 0));
    let reasons: Vec<_> = world.parked().await.iter().map(|w| w.parked.as_ref().unwrap().reason).collect();
    assert_eq!(reasons, [ParkReason::Create, ParkReason::Create]);
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_scope_takes_no_part() {
    let scope =
        "only: { remote: \"@.phone == '+1'\", local: { note: ours } }\non_create: { local: { note: ours } }";
    let mut world = World::stopped(meeting(scope)).await;
    world.insert(&[("name", "In"), ("email", "in@example.com"), ("phone", "+1"), ("note", "ours")]);
    world.insert(&[("name", "Out"), ("email", "out@example.com"), ("phone", "+1"), ("note", "theirs")]);
    world.remote_create(json!({ "name": "In", "email": "in@example.com", "phone": "+1" }));
    world.remote_create(json!({ "name": "Out", "email": "out@example.com", "phone": "+1" }));
    world.remote_create(json!({ "name": "Far out", "email": "far@example.com", "phone": "+2" }));
    met(&mut world).await;
    let links = world.links().await;
    // "Out" is in scope remotely and not locally: its record gets a row of its own.
    assert_eq!(links.iter().filter(|link| link.state == LinkState::Linked).count(), 2, "{links:#?}");
    assert_eq!((world.rows().await.len(), world.customers().len(), world.writes()), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn without_match_fields_nobody_is_taken_for_somebody_else() {
    let setup = meeting("");
    let mapping = setup.mapping.replace("match: [email], ", "");
    let mut world = World::stopped(Setup { mapping, ..setup }).await;
    populate(&world);
    met(&mut world).await;
    assert_eq!((world.links().await.len(), world.rows().await.len(), world.customers().len()), (4, 4, 4));
    assert!(world.parked().await.is_empty());
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn blank_values_never_match() {
    let mut world = World::stopped(meeting("")).await;
    world.insert(&[("name", "Nobody"), ("email", "")]);
    world.insert(&[("name", "Blank"), ("email", "  ")]);
    world.remote_create(json!({ "name": "Nobody" }));
    met(&mut world).await;
    assert_eq!((world.rows().await.len(), world.customers().len()), (3, 3));
    assert_eq!(world.links().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_names_its_record_gets_that_one() {
    let setup = meeting("");
    let mapping = setup.mapping.replace("match: [email], ", "match: [email], remote_id: stripe_id, ");
    let catalog = CATALOG.replace("note: text?", "note: text?, stripe_id: text?");
    let mut world = World::stopped(Setup { mapping, catalog, ..setup }).await;
    let first = world.remote_create(json!({ "name": "First", "email": "same@example.com" }));
    let second = world.remote_create(json!({ "name": "Second", "email": "same@example.com" }));
    let row =
        world.insert(&[("name", "Second"), ("email", "same@example.com"), ("stripe_id", second.as_str())]);
    let lost = world.insert(&[("name", "Lost"), ("email", "lost@example.com"), ("stripe_id", "cus_nowhere")]);
    met(&mut world).await;
    assert_eq!(world.link_of(&row).await.remote_id, Some(second));
    let links = world.links().await;
    // The other one of that email is not taken for the same person, nor made a second row without asking.
    assert!(
        links.iter().all(|link| link.remote_id.as_ref() != Some(&first) || link.local_id.is_some()),
        "{links:#?}"
    );
    assert!(links.iter().all(|link| link.local_id.as_ref() != Some(&lost)));
    assert_eq!(world.writes(), 0, "a row that names its record is not created again");
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_closed_link_is_a_rival_only_while_it_matches() {
    let policies = "deletes: { from_local: ignore }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup::with(policies)).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let left = world.link_of(&row).await.remote_id.unwrap();
    world.delete(&row);
    world.settle().await;
    world.remote_create(json!({ "email": "ann@example.com", "name": "Another Ann" }));
    world.settle().await;
    assert_eq!(world.parked().await.len(), 1, "which of them is meant is for a person to say");
    world.remote_update(&left, json!({ "email": "elsewhere@example.com" }));
    world.insert(&[("email", "other@example.com")]);
    world.settle().await;
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    assert!(world.parked().await.is_empty(), "nobody has to choose any more");
    assert_eq!(world.rows().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_deleted_row_is_a_rival_of_what_matches_it_now() {
    let policies = "deletes: { from_local: manual }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup::with(policies)).await;
    world.insert(&[("email", "other@example.com")]);
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let left = world.link_of(&row).await.remote_id.unwrap();
    world.delete(&row);
    world.settle().await;
    world.remote_update(&left, json!({ "email": "ann@new.example" }));
    world.settle().await;
    world.remote_create(json!({ "email": "ann@new.example", "name": "Another Ann" }));
    world.settle().await;
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    let parked = world.parked().await;
    let reasons: Vec<_> = parked.iter().filter_map(|w| w.parked.as_ref()).map(|p| p.reason).collect();
    assert_eq!(reasons, [ParkReason::Delete, ParkReason::Ambiguous]);
    assert_eq!(world.rows().await.len(), 1, "no row of another one with the same match value");
}

/// While a person has to decide about a match field its bases stand still: a rival is who holds the value now.
#[tokio::test(start_paused = true)]
async fn a_link_whose_match_field_differs_is_a_rival_by_what_it_holds_now() {
    let policies = "conflicts: { winner: manual }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup::with(policies)).await;
    let row = world.insert(&[("email", "ann@old.example"), ("name", "Ann")]);
    world.settle().await;
    let ann = world.link_of(&row).await.remote_id.unwrap();
    world.hold_webhooks(true);
    world.update(&row, &[("email", "ann@here.example")]);
    world.remote_update(&ann, json!({ "email": "ann@there.example" }));
    world.hold_webhooks(false);
    world.settle().await;
    assert_eq!(world.link_of(&row).await.body.conflicts.len(), 1);
    let groups = async || {
        world.settle().await;
        world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
        world.settle().await;
        let ambiguous = world.ops.parked(None, Some("ambiguous"), 10).await.unwrap();
        ambiguous.into_iter().map(|item| item.message).collect::<Vec<_>>()
    };
    let other = world.remote_create(json!({ "email": "ann@there.example", "name": "Another Ann" }));
    for _ in 0..2 {
        let parked = groups().await;
        let records = format!("{} (linked)", ann.as_str());
        assert!(parked.len() == 1 && parked[0].contains(&records), "{parked:?}");
        assert_eq!(world.rows().await.len(), 1, "the same may be meant");
    }
    world.remote_delete(&other);
    world.remote_create(json!({ "email": "ann@old.example", "name": "Somebody else" }));
    assert_eq!(groups().await, Vec::<String>::new(), "nobody holds this value any more");
    assert_eq!(world.rows().await.len(), 2);
}

/// What was a conflict and is none any more, since both sides went back to what they had, moves no base.
#[tokio::test(start_paused = true)]
async fn a_link_whose_sides_went_back_is_a_rival_as_before() {
    let policies = "conflicts: { winner: manual }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup::with(policies)).await;
    let row = world.insert(&[("email", "ann@old.example"), ("name", "Ann")]);
    world.settle().await;
    let ann = world.link_of(&row).await.remote_id.unwrap();
    for (here, there) in [("ann@here.example", "ann@there.example"), ("ann@old.example", "ann@old.example")] {
        world.hold_webhooks(true);
        world.update(&row, &[("email", here)]);
        world.remote_update(&ann, json!({ "email": there }));
        world.hold_webhooks(false);
        world.settle().await;
    }
    assert!(world.link_of(&row).await.body.conflicts.is_empty());
    world.remote_create(json!({ "email": "ann@old.example", "name": "Another Ann" }));
    world.settle().await;
    let parked = world.parked().await;
    let reasons: Vec<_> = parked.iter().filter_map(|w| w.parked.as_ref()).map(|p| p.reason).collect();
    assert_eq!((reasons, world.rows().await.len()), (vec![ParkReason::Ambiguous], 1));
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_record_is_gone_is_a_rival_of_what_matches_it() {
    let policies = "deletes: { from_remote: ignore }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup::with(policies)).await;
    let first = world.remote_create(json!({ "email": "ann@example.com", "name": "Ann" }));
    world.settle().await;
    world.remote_delete(&first);
    world.settle().await;
    world.remote_create(json!({ "email": "ann@example.com", "name": "Another Ann" }));
    world.settle().await;
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    let parked = world.parked().await;
    assert_eq!(
        parked.iter().filter_map(|w| w.parked.as_ref()).map(|p| p.reason).collect::<Vec<_>>(),
        [ParkReason::Ambiguous]
    );
    assert_eq!(world.rows().await.len(), 1, "no second row beside one with the same match value");
}
