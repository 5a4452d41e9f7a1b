//! Creation and first contact.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::{LocalId, Method};
use bothways_store::{Intake, Key, KeyWrite, Keys, LinkState, Links, PageCommit, ParkReason, Side};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn p07_the_created_event_before_the_create_answer_binds_to_the_pending_link() {
    let world = World::new(Setup::default()).await;
    world.fault(Fault::next(Action::SlowAnswer { millis: 5_000 }).on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.rows().await.len(), 1, "no second row");
    assert_eq!(world.stripe().counts().effective_creates, 1);
}

#[tokio::test(start_paused = true)]
async fn p29_two_records_with_one_email_are_one_ambiguous_entry_in_both_orders() {
    for local_first in [true, false] {
        let world = World::new(Setup::default()).await;
        world.hold_webhooks(true);
        world.set_down(true);
        if local_first {
            world.insert(&[("email", "twin@example.com"), ("name", "Row")]);
        }
        world.remote_create(json!({ "email": "twin@example.com", "name": "One" }));
        world.remote_create(json!({ "email": "twin@example.com", "name": "Two" }));
        world.set_down(false);
        world.hold_webhooks(false);
        if !local_first {
            world.settle().await;
            world.insert(&[("email", "TWIN@example.com"), ("name", "Row")]);
        }
        world.settle().await;
        let ambiguous: Vec<_> = world
            .parked()
            .await
            .into_iter()
            .filter(|w| w.parked.as_ref().is_some_and(|p| p.reason == ParkReason::Ambiguous))
            .collect();
        assert_eq!(ambiguous.len(), 1, "local first: {local_first}, {ambiguous:#?}");
        assert_eq!(world.customers().len(), 2, "nothing was created remotely");
        let linked_row =
            world.links().await.iter().any(|l| l.local_id == Some(LocalId::from("1")) && local_first);
        assert!(!linked_row, "nothing linked to the row");
    }
}

#[tokio::test(start_paused = true)]
async fn p30_a_record_created_during_the_first_walk_is_linked_not_doubled() {
    let setup = Setup { walked: false, ..Setup::with("sync: { feed: 10s, reconcile: never }") };
    let mut world = World::stopped(setup).await;
    for i in 0..250 {
        world.remote_create(json!({ "email": format!("r{i}@example.com"), "name": "R" }));
    }
    world.insert(&[("email", "late@example.com"), ("name", "Row")]);
    world.set_latency(Duration::from_millis(500));
    world.start().await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    world.remote_create(json!({ "email": "Late@example.com", "name": "Row" }));
    world
        .until("the first walk", Duration::from_secs(300), async |w: &World| {
            w.engine.refresh_pairs().await.unwrap();
            w.engine.pairs().all(|p| p.is_walked())
        })
        .await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.rows().await.len(), 251);
    assert_eq!(world.stripe().counts().effective_creates, 0);
}

#[tokio::test(start_paused = true)]
async fn p25_an_id_that_the_database_gives_to_another_person_is_a_new_record() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let ann = world.link_of(&row).await.remote_id.unwrap();
    world.delete(&row);
    let again = world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
    assert_eq!(again, row);
    world.settle().await;
    assert_eq!(
        world.remote(&ann, "email").as_deref(),
        Some("ann@example.com"),
        "Ann's record is not updated"
    );
    assert_eq!(world.remote(&ann, "name").as_deref(), Some("Ann"));
    let bob = world.link_of(&row).await.remote_id.expect("Bob has a record of his own");
    assert_ne!(bob, ann);
    assert_eq!(world.remote(&bob, "email").as_deref(), Some("bob@example.com"));
}

#[tokio::test(start_paused = true)]
async fn p26_links_follow_a_changed_key_and_a_swap() {
    let world = World::new(Setup::default()).await;
    let a = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    let b = world.insert(&[("email", "b@example.com"), ("name", "B")]);
    world.settle().await;
    let (of_a, of_b) = (world.link_of(&a).await.remote_id, world.link_of(&b).await.remote_id);
    let moved = LocalId::from("77");
    assert!(world.store.foreign().rekey("customers", &a, &moved, world.now()).unwrap());
    world.settle().await;
    assert_eq!(world.link_of(&moved).await.remote_id, of_a);
    world.store.foreign().swap("customers", &moved, &b, &LocalId::from("-1"), world.now()).unwrap();
    world.settle().await;
    assert_eq!(world.link_of(&b).await.remote_id, of_a);
    assert_eq!(world.link_of(&moved).await.remote_id, of_b);
    world.assert_in_step().await;
    assert_eq!(world.stripe().counts().effective_creates, 2);
    assert!(world.links().await.iter().all(|l| l.state == LinkState::Linked));
}

#[tokio::test(start_paused = true)]
async fn a_unique_match_adopts_and_fills_what_is_missing() {
    let world = World::new(Setup::default()).await;
    world.hold_webhooks(true);
    world.remote_create(json!({ "email": "ann@example.com", "phone": "1" }));
    world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.rows().await.len(), 1);
    assert_eq!(world.stripe().counts().effective_creates, 0);
    assert_eq!(world.customers()[0]["name"], "Ann");
}

#[tokio::test(start_paused = true)]
async fn blank_match_values_never_match() {
    let world = World::new(Setup::default()).await;
    world.hold_webhooks(true);
    world.remote_create(json!({ "name": "No mail" }));
    world.insert(&[("name", "No mail either")]);
    world.hold_webhooks(false);
    world.settle().await;
    assert_eq!(world.customers().len(), 2);
    assert_eq!(world.rows().await.len(), 2);
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn two_records_with_one_stamp_are_parked_until_they_are_told_apart() {
    for gone in [true, false] {
        let world = World::new(Setup::default()).await;
        let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
        world.settle().await;
        let link = world.link_of(&row).await;
        let own = link.remote_id.unwrap();
        let stamp = link.id.to_string();
        let clone = json!({ "email": "clone@example.com", "name": "C", "metadata": { "bothways": stamp } });
        let clone = world.remote_create(clone);
        world.settle().await;
        assert_eq!(world.rows().await.len(), 1, "the clone makes no row");
        world.update(&row, &[("name", "B")]);
        world.remote_update(&own, json!({ "phone": "1" }));
        world.settle().await;
        let parked = world.parked().await;
        assert_eq!(parked.len(), 2, "{parked:#?}");
        assert!(
            parked.iter().all(|w| w.parked.as_ref().is_some_and(|p| p.reason == ParkReason::Duplicate)),
            "{parked:#?}"
        );
        assert_eq!(world.remote(&own, "name").as_deref(), Some("A"), "whose it is nobody knows");
        assert_eq!(world.local(&row, "phone").await, None);
        if gone {
            world.remote_delete(&clone);
        } else {
            world.remote_update(&clone, json!({ "metadata": { "bothways": "" } }));
        }
        world.settle().await;
        assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
        assert_eq!(world.remote(&own, "name").as_deref(), Some("B"));
        assert_eq!(world.rows().await.len(), if gone { 1 } else { 2 });
        world.assert_in_step().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p26_keys_that_are_swapped_or_reused_during_a_look_write_no_row_that_is_not_its_own() {
    for swap in [true, false] {
        let world =
            World::new(Setup::with("conflicts: { winner: remote }\nsync: { feed: never, reconcile: never }"))
                .await;
        let a = world.insert(&[("email", "a@example.com"), ("name", "A")]);
        let b = world.insert(&[("email", "b@example.com"), ("name", "B")]);
        world.settle().await;
        let of_a = world.link_of(&a).await.remote_id.unwrap();
        world.set_latency(Duration::from_secs(2));
        let reads = world.stripe().counts().requests;
        world.remote_update(&of_a, json!({ "name": "A2" }));
        world
            .until("a look", Duration::from_secs(60), async |w: &World| w.stripe().counts().requests > reads)
            .await;
        match swap {
            true => world.store.foreign().swap("customers", &a, &b, &"-1".into(), world.now()).unwrap(),
            false => {
                world.delete(&a);
                world.insert(&[("id", a.as_str()), ("email", "c@example.com"), ("name", "C")]);
            }
        }
        world.settle().await;
        let names = [world.local(&a, "name").await.unwrap(), world.local(&b, "name").await.unwrap()];
        match swap {
            true => assert_eq!(names, ["B", "A2"]),
            false => assert_eq!(names, ["C", "B"]),
        }
        assert_eq!(world.remote(&of_a, "name").as_deref(), Some("A2"));
        assert_eq!(world.remote(&of_a, "email").as_deref(), Some("a@example.com"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_email_was_changed_since_it_was_noted_is_not_taken_for_the_record_that_had_it() {
    let setup = Setup::with("creates: { from_remote: ignore, from_local: ignore }");
    let world = World::new(setup).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    world.update(&row, &[("email", "rob@example.com")]);
    world.settle().await;
    // As if the change had not been looked at yet.
    let key = Key {
        pair: world.pair(),
        side: Side::Local,
        id: row.0.clone(),
        value: Some(r#"["ann@example.com"]"#.into()),
        seen: Links::draw(&*world.store, 1).await.unwrap(),
        content: None,
    };
    let page = PageCommit { keys: vec![KeyWrite::Put(key)], ..PageCommit::default() };
    Intake::commit_page(&*world.store, world.now(), &page).await.unwrap();
    world.remote_create(json!({ "email": "ann@example.com", "name": "Ann" }));
    world.settle().await;
    assert!(world.links().await.is_empty(), "{:#?}", world.links().await);
    assert_eq!(world.local(&row, "email").await.as_deref(), Some("rob@example.com"));
}

#[tokio::test(start_paused = true)]
async fn p25_a_delete_from_before_a_create_says_nothing_about_the_row_that_was_created() {
    let setup = Setup::with("deletes: { from_local: delete, confirm: irreversible }");
    let mut world = World::new(setup).await;
    world.kill();
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.delete(&row);
    world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers"));
    world.restart().await;
    world
        .until("the lost answer", Duration::from_secs(10), async |w: &World| w.fired("lost_answer") == 1)
        .await;
    world.update(&row, &[("email", "rob@example.com")]);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.stripe().counts().effective_creates, 1);
    assert_eq!(world.customers().len(), 1, "{:#?}", world.customers());
}

#[tokio::test(start_paused = true)]
async fn p25_two_people_without_a_match_value_are_not_the_same() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("name", "Ann")]);
    world.settle().await;
    let ann = world.link_of(&row).await.remote_id.unwrap();
    world.delete(&row);
    world.insert(&[("id", row.as_str()), ("name", "Bob")]);
    world.settle().await;
    assert_eq!(world.remote(&ann, "name").as_deref(), Some("Ann"), "Ann's record is not updated");
    let bob = world.link_of(&row).await.remote_id.expect("Bob has a record of his own");
    assert_eq!(world.remote(&bob, "name").as_deref(), Some("Bob"));
}

/// A mapping that makes records of rows, but no rows of records.
fn outward() -> Setup {
    Setup::with("creates: { from_remote: ignore }")
}

/// The row's create is refused for the moment; then its email is changed.
async fn renamed_before_its_create(world: &World, email: &str) -> LocalId {
    world.fault(Fault::next(Action::RateLimited429 { retry_after: 20 }).on(Method::Post, "/v1/customers"));
    let row = world.insert(&[("email", "first@example.com"), ("name", "Ann")]);
    let refused = async |w: &World| w.fired("rate_limited429") == 1;
    world.until("the refusal", Duration::from_secs(10), refused).await;
    world.update(&row, &[("email", email)]);
    world.settle().await;
    row
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_tried_again_is_not_made_beside_the_record_that_the_row_matches_by_then() {
    for known in [true, false] {
        let mut world = World::new(outward()).await;
        let ann = world.remote_create(json!({ "email": "ann@example.com", "name": "Ann" }));
        world.settle().await;
        if !known {
            let key = KeyWrite::Drop { pair: world.pair(), side: Side::Remote, id: ann.0.clone() };
            world.store.write_keys(&[key]).await.unwrap();
        }
        let row = renamed_before_its_create(&world, "ann@example.com").await;
        assert_eq!(world.customers().len(), 1, "known: {known}, {:#?}", world.customers());
        assert_eq!(world.link_of(&row).await.remote_id, Some(ann), "known: {known}");
        world.assert_in_step().await;
        assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
        world.kill();
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_tried_again_is_left_to_a_person_if_the_row_matches_a_linked_record_by_then() {
    let world = World::new(Setup::default()).await;
    world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let row = renamed_before_its_create(&world, "ann@example.com").await;
    assert_eq!(world.customers().len(), 1, "{:#?}", world.customers());
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0].parked.as_ref().unwrap().reason, ParkReason::Ambiguous);

    // Nothing stands in the way any more: the row is a new record.
    world.update(&row, &[("email", "anne@example.com")]);
    world.settle().await;
    assert_eq!(world.customers().len(), 2, "{:#?}", world.customers());
    world.assert_in_step().await;
}
