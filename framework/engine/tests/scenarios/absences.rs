//! What an answer does not show: one 404, a field that a permission hides.

use crate::deletes::BOTH;
use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Answer, Fault};
use bothways_engine::Resolution;
use bothways_model::{LocalId, Method, Request, Secret};
use bothways_store::{DeleteChoice, LinkState, ParkReason, PauseScope, Signal, Subject, WorkQueue};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn one_404_is_no_delete() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world.insert(&[("email", "bob@example.com")]);
    world.settle().await;
    world.fault(Fault::next(Action::OtherAccount).on(Method::Get, format!("/v1/customers/{id}")));
    world.update(&row, &[("name", "Anna")]);
    world.settle().await;
    assert_eq!(world.fired("other_account"), 1);
    assert!(world.row(&row).await.is_some(), "it was asked for again before anything was concluded");
    assert_eq!(world.link_of(&row).await.state, LinkState::Linked);
    world.assert_in_step().await;
}

/// Has every row looked at.
async fn look_at_all(world: &World) {
    for row in world.rows().await {
        let subject = Subject::Local(row.id);
        let signal = Signal { pair: world.pair(), subject, look: true, not_before: None };
        world.store.signal(world.now(), &[signal]).await.unwrap();
    }
}

/// Ann, Bob and Cid, linked.
async fn three(world: &World) -> Vec<LocalId> {
    let people = ["ann@example.com", "bob@example.com", "cid@example.com"];
    let rows = people.map(|email| world.insert(&[("email", email), ("name", &email[..3])])).to_vec();
    world.settle().await;
    rows
}

/// Somebody else makes a customer in the other account.
fn stranger(world: &World) {
    world.fault(Fault::next(Action::OtherAccount).on(Method::Post, "/v1/customers"));
    let request = Request {
        method: Method::Post,
        url: "http://127.0.0.1:1/v1/customers".into(),
        headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
        body: b"email=eve@example.com&name=Eve".to_vec(),
        secret_headers: vec![("authorization".into(), Secret::new("Bearer sk_test_harness"))],
        secret_query: Vec::new(),
        secret_body: None,
    };
    let now = world.now();
    let answer = world.stripe().handle(&request, now);
    assert!(matches!(&answer, Answer::Response(response) if response.status == 200), "{answer:?}");
}

/// Nothing was concluded from it, and a person is asked.
async fn assert_unproven(world: &World, rows: &[LocalId]) {
    for row in rows {
        assert!(world.row(row).await.is_some());
        assert_eq!(world.link_of(row).await.state, LinkState::Linked);
    }
    let parked = world.parked().await;
    assert_eq!(parked.len(), rows.len(), "{parked:#?}");
    for work in parked {
        let parked = work.parked.unwrap();
        assert_eq!(parked.reason, ParkReason::Delete);
        assert!(parked.message.contains("nothing proves"), "{}", parked.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_nobody_here_knows_is_no_witness_of_a_delete() {
    let world = World::new(Setup::with(BOTH)).await;
    let rows = three(&world).await;
    stranger(&world);
    world.fault(Fault::always(Action::OtherAccount).on(Method::Get, "/v1/customers"));
    look_at_all(&world).await;
    world.settle().await;
    assert_unproven(&world, &rows).await;
    world.stripe().clear_faults();
    look_at_all(&world).await;
    world.settle().await;
    assert!(world.parked().await.is_empty(), "the records are there again");
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_came_after_the_missing_ones_were_last_seen_is_no_witness_where_no_account_is_known() {
    let mut world = World::new(Setup { account: false, ..Setup::with(BOTH) }).await;
    let rows = three(&world).await;
    world.kill();
    world.fault(Fault::always(Action::OtherAccount));
    world.restart().await;
    let eve = world.insert(&[("email", "eve@example.com"), ("name", "Eve")]);
    world.settle().await;
    assert!(
        world.link_of(&eve).await.remote_id.is_some(),
        "created in the other account, and readable there"
    );
    look_at_all(&world).await;
    world.settle().await;
    assert_unproven(&world, &rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_404_that_repeats_while_a_known_record_is_readable_is_a_delete() {
    for account in [true, false] {
        let world = World::new(Setup { account, ..Setup::with(BOTH) }).await;
        let rows = three(&world).await;
        let link = world.link_of(&rows[1]).await;
        let path = format!("/v1/customers/{}", link.remote_id.unwrap());
        world.fault(Fault::always(Action::OtherAccount).on(Method::Get, path));
        world.fault(Fault::always(Action::EmptyList));
        look_at_all(&world).await;
        world.settle().await;
        assert_eq!(world.rows().await.len(), 2);
        assert!(world.row(&rows[1]).await.is_none());
        assert!(world.parked().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_record_has_no_witness_and_a_person_decides() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, _) = world.linked().await;
    world.fault(Fault::always(Action::OtherAccount).on(Method::Get, "/v1/customers"));
    look_at_all(&world).await;
    world.settle().await;
    assert_unproven(&world, std::slice::from_ref(&row)).await;
    let item = world.ops.parked(None, None, 10).await.unwrap().remove(0);
    let carry = Resolution::Delete(DeleteChoice::Carry);
    world.ops.resolve(&item.id, &carry, Some(&item.digest), "test").await.unwrap();
    world.settle().await;
    assert!(world.row(&row).await.is_none(), "a person's word is evidence");
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hidden_field_in_conflict_at_first_contact_is_not_empty() {
    let mut world = World::new(Setup::default()).await;
    world.kill();
    let id = world.remote_create(json!({ "email": "ann@example.com", "name": "Anna" }));
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.restart().await;
    world.settle().await;
    assert!(world.link_of(&row).await.body.conflicts.contains_key("name"), "manual is the default");
    world.fault(Fault::next(Action::HiddenField { field: "name".into() }).on(Method::Get, "/v1/customers"));
    world.update(&row, &[("name", "Annie")]);
    world.settle().await;
    assert_eq!(world.fired("hidden_field"), 1);
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Anna"), "nobody chose");
    assert!(world.link_of(&row).await.body.conflicts.contains_key("name"));
}

#[tokio::test(start_paused = true)]
async fn p40_a_field_that_a_permission_hides_blanks_nothing_and_pauses_the_mapping() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world
        .fault(Fault::always(Action::HiddenField { field: "phone".into() }).on(Method::Get, "/v1/customers"));
    for name in ["A", "B", "C"] {
        world.remote_update(&id, json!({ "name": name }));
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("1"));
    assert_eq!(world.remote(&id, "phone").as_deref(), Some("1"));
    let pauses = bothways_store::Pairs::pauses(&*world.store).await.unwrap();
    assert!(
        matches!(pauses[0].scope, PauseScope::Pair(_)) && pauses[0].reason.contains("`phone`"),
        "{pauses:?}"
    );
}

/// The second 404 counts from the first one, not from the look that met it: that may have waited long for its answer.
#[tokio::test(start_paused = true)]
async fn a_404_that_was_slow_to_come_still_has_to_repeat_after_the_delay() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = world.linked().await;
    world.insert(&[("email", "bob@example.com")]);
    world.settle().await;
    let path = format!("/v1/customers/{id}");
    world.stripe().clear_requests();
    world.fault(Fault::always(Action::OtherAccount).on(Method::Get, path.clone()));
    let slow = Duration::from_secs(20);
    world.set_latency(slow);
    look_at_all(&world).await;
    world
        .until("the delete is proven", Duration::from_secs(600), async |w| w.row(&row).await.is_none())
        .await;
    let asked: Vec<_> = world.stripe().requests().filter(|r| r.path == path).map(|r| r.at).collect();
    let between = asked[1] - asked[0];
    assert!(between >= chrono::TimeDelta::seconds(20 + 15), "{between}");
}
