//! What an answer does not show: one 404, a field that a permission hides.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::{LocalId, Method, RemoteId};
use bothways_store::{LinkState, PauseScope};
use serde_json::json;
use std::time::Duration;

const BOTH: &str = "deletes: { from_remote: delete, from_local: delete, confirm: irreversible }\nsync: { feed: never, reconcile: never }";

async fn linked(world: &World) -> (LocalId, RemoteId) {
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    (row, link.remote_id.expect("created"))
}

#[tokio::test(start_paused = true)]
async fn one_404_is_no_delete() {
    let world = World::new(Setup::with(BOTH)).await;
    let (row, id) = linked(&world).await;
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
    let (row, id) = linked(&world).await;
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
