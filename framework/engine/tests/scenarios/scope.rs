//! Who takes part (`only`): leaving, coming back, and what merely looks like it.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::PassOptions;
use bothways_model::Method;
use bothways_store::{LinkState, PauseScope};
use serde_json::json;
use std::time::Duration;

const SYNC: &str = "sync: { feed: never, reconcile: never }";

async fn states(world: &World) -> Vec<LinkState> {
    world.links().await.iter().map(|link| link.state).collect()
}

#[tokio::test(start_paused = true)]
async fn a_row_that_leaves_and_comes_back_is_in_step_again() {
    let world = World::new(Setup::with(&format!("only: {{ local: {{ phone: in }} }}\n{SYNC}"))).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann"), ("phone", "in")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.expect("it is linked");
    world.update(&row, &[("phone", "out")]);
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Unlinked]);
    world.update(&row, &[("name", "Anna")]);
    world.remote_update(&id, json!({ "description": "since" }));
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Ann"), "nothing flows meanwhile");
    world.update(&row, &[("phone", "in")]);
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Linked], "one link, and the same");
    world.assert_in_step().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Anna"), "what changed meanwhile goes out");
    assert_eq!(world.customers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_leaves_and_comes_back_is_in_step_again() {
    let only = "only: { remote: \"@.description == 'in'\" }";
    let world = World::new(Setup::with(&format!("{only}\ncreates: {{ from_local: ignore }}\n{SYNC}"))).await;
    let id = world.remote_create(json!({ "email": "ann@example.com", "name": "Ann", "description": "in" }));
    world.settle().await;
    let row = world.rows().await[0].id.clone();
    world.remote_update(&id, json!({ "description": "out" }));
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Unlinked]);
    world.stripe().clear_requests();
    world.update(&row, &[("phone", "1")]);
    world.remote_update(&id, json!({ "name": "Anna" }));
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("Ann"), "nothing flows meanwhile");
    assert_eq!(world.stripe().requests().count(), 0, "and nobody is asked");
    world.remote_update(&id, json!({ "description": "in" }));
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Linked]);
    world.assert_in_step().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("Anna"));
    assert_eq!(world.remote(&id, "phone").as_deref(), Some("1"));
}

/// A full pass finds what nothing told of, and a plan says so before.
#[tokio::test(start_paused = true)]
async fn a_pass_finds_what_is_back() {
    let only = "only: { remote: \"@.description == 'in'\" }";
    let world = World::new(Setup::with(&format!("{only}\n{SYNC}"))).await;
    let id = world.remote_create(json!({ "email": "ann@example.com", "description": "in" }));
    world.settle().await;
    world.remote_update(&id, json!({ "description": "out" }));
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Unlinked]);
    world.hold_webhooks(true);
    world.remote_update(&id, json!({ "description": "in" }));
    let (totals, items) = world.plan().await;
    assert_eq!((totals.link, items.len()), (1, 1), "{items:#?}");
    assert!(items[0].why.contains("again"), "{items:#?}");
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Linked]);
    assert_eq!(world.plan().await.1, []);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_does_not_show_what_the_scope_asks_for_has_not_left_it() {
    let only = "only: { remote: \"@.description == 'in'\" }";
    let world = World::new(Setup::with(&format!("{only}\ncreates: {{ from_local: ignore }}\n{SYNC}"))).await;
    for n in 0..4 {
        world.remote_create(json!({ "email": format!("p{n}@example.com"), "description": "in" }));
    }
    world.settle().await;
    assert_eq!(states(&world).await, [LinkState::Linked; 4]);
    world.fault(
        Fault::always(Action::HiddenField { field: "description".into() }).on(Method::Get, "/v1/customers"),
    );
    assert_eq!(world.plan().await.0.close, 0, "a plan does not say that they leave");
    for row in world.rows().await {
        world.update(&row.id, &[("name", "N")]);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(states(&world).await, [LinkState::Linked; 4]);
    let pauses = bothways_store::Pairs::pauses(&*world.store).await.unwrap();
    assert!(
        matches!(pauses[..], [ref pause] if matches!(pause.scope, PauseScope::Pair(_)) && pause.reason.contains("`$.description`")),
        "{pauses:?}"
    );
    world.stripe().clear_faults();
    world.ops.resume(&pauses[0].scope, "ada").await.unwrap();
    world.settle().await;
    world.assert_in_step().await;
    assert!(world.customers().iter().all(|customer| customer["name"] == "N"));
}
