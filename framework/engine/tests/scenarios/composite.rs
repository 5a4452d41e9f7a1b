//! A table whose key is two columns: whoever inserts a row gives both, and the link goes by both.

use crate::harness::{Setup, World, mapping};
use bothways_engine::PlanAction;
use bothways_model::{LocalId, RemoteId, Value};
use bothways_store::ParkReason;
use serde_json::{Value as Json, json};

const CATALOG: &str = "
catalog: customers
table: customers
key: [tenant, id]
fields: { tenant: text, id: int, name: text?, email: text?, phone: text? }
";

const NEVER: &str = "sync: { feed: never, reconcile: never }";

/// The key travels: each side can make the other's.
fn mapped() -> Setup {
    let key = "  tenant: { remote: $.metadata.tenant, immutable: true }\n  id: { remote: $.metadata.number, as: string, immutable: true }";
    Setup { catalog: CATALOG.into(), mapping: mapping(&format!("{key}\n{NEVER}")), ..Setup::default() }
}

/// The key stays here, so that no row is made for a record.
fn local_only() -> Setup {
    let policies = "creates: { from_remote: manual }\ndeletes: { from_local: delete, confirm: irreversible }";
    Setup { catalog: CATALOG.into(), mapping: mapping(&format!("{policies}\n{NEVER}")), ..Setup::default() }
}

fn row(world: &World, tenant: &str, id: &str, email: &str) -> LocalId {
    world.insert(&[("tenant", tenant), ("id", id), ("email", email), ("name", "Ann")])
}

async fn record_of(world: &World, row: &LocalId) -> RemoteId {
    world.link_of(row).await.remote_id.expect("created")
}

fn record(tenant: &str, number: &str, email: &str) -> Json {
    json!({ "email": email, "name": "Eve", "metadata": { "tenant": tenant, "number": number } })
}

#[tokio::test(start_paused = true)]
async fn rows_of_two_tenants_with_one_number_go_their_own_ways() {
    let world = World::new(mapped()).await;
    let (a, b) = (row(&world, "acme", "7", "a@example.com"), row(&world, "beta", "7", "b@example.com"));
    assert_eq!((a.as_str(), b.as_str()), ("acme/7", "beta/7"));
    world.settle().await;
    let (of_a, of_b) = (record_of(&world, &a).await, record_of(&world, &b).await);
    let metadata = |id: &RemoteId| world.customer(id).unwrap()["metadata"].clone();
    assert_eq!((&metadata(&of_a)["tenant"], &metadata(&of_b)["tenant"]), (&json!("acme"), &json!("beta")));
    assert_eq!(metadata(&of_b)["number"], json!("7"));
    world.update(&a, &[("name", "Anna")]);
    world.remote_update(&of_b, json!({ "phone": "2" }));
    world.settle().await;
    assert_eq!(world.remote(&of_a, "name").as_deref(), Some("Anna"));
    assert_eq!(
        (world.local(&a, "phone").await, world.local(&b, "phone").await.as_deref()),
        (None, Some("2"))
    );
    world.assert_in_step().await;
    let lost = world.ops.explain(None, "7").await.unwrap_err().to_string();
    assert!(lost.ends_with("ids of `customers` are written `tenant/id`"), "{lost}");
    let found = world.ops.explain(None, "beta/7").await.unwrap();
    assert_eq!(
        (found[0].local_id.as_deref(), found[0].remote_id.as_deref()),
        (Some("beta/7"), Some(of_b.as_str()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_makes_a_row_with_the_key_that_it_brings() {
    let world = World::new(mapped()).await;
    let new = world.remote_create(record("a/b", "9", "eve@example.com"));
    world.settle().await;
    let rows = world.rows().await;
    assert_eq!(rows[0].id.as_str(), "a%2Fb/9");
    assert_eq!(rows[0].fields.get("tenant"), Some(&Value::Text("a/b".into())));
    assert_eq!(record_of(&world, &rows[0].id).await, new);
    world.assert_in_step().await;

    // One that brings no whole key waits for a person, as does one whose key another row has.
    world.remote_create(json!({ "email": "no@example.com", "metadata": { "tenant": "acme" } }));
    world.remote_create(record("a/b", "9", "twin@example.com"));
    world.settle().await;
    let parked: Vec<_> = world.parked().await.into_iter().filter_map(|work| work.parked).collect();
    let [incomplete, taken] = parked.as_slice() else { panic!("{parked:#?}") };
    assert_eq!((incomplete.reason, taken.reason), (ParkReason::Refused, ParkReason::Error));
    assert!(incomplete.message.contains("`id`"), "{}", incomplete.message);
    assert!(taken.message.contains("UNIQUE") && taken.message.contains("[tenant, id]"), "{}", taken.message);
    assert_eq!(world.rows().await, rows, "no row was made or touched");
}

/// What comes in never gives a row another key.
#[tokio::test(start_paused = true)]
async fn a_key_that_changes_at_the_service_waits_for_a_person() {
    let world = World::new(mapped()).await;
    let id = row(&world, "acme", "7", "a@example.com");
    world.settle().await;
    let record = record_of(&world, &id).await;
    world.remote_update(&record, json!({ "metadata": { "number": "8" } }));
    world.settle().await;
    assert_eq!(world.parked().await.len(), 1);
    assert_eq!(world.rows().await.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["acme/7"]);
    assert_eq!(world.link_of(&id).await.remote_id, Some(record));
}

#[tokio::test(start_paused = true)]
async fn the_link_follows_a_changed_part_and_a_delete_is_that_row_s() {
    let world = World::new(local_only()).await;
    let (a, b) = (row(&world, "acme", "7", "a@example.com"), row(&world, "beta", "7", "b@example.com"));
    world.settle().await;
    let (of_a, of_b) = (record_of(&world, &a).await, record_of(&world, &b).await);
    let moved = LocalId::from("gamma/7");
    assert!(world.store.foreign().rekey("customers", &a, &moved, world.now()).unwrap());
    world.settle().await;
    assert_eq!(record_of(&world, &moved).await, of_a);
    world.update(&moved, &[("name", "Anna")]);
    world.settle().await;
    assert_eq!(world.remote(&of_a, "name").as_deref(), Some("Anna"));
    assert_eq!(world.stripe().counts().effective_creates, 2, "nothing was made anew");
    world.store.foreign().swap("customers", &moved, &b, &"spare/0".into(), world.now()).unwrap();
    world.settle().await;
    assert_eq!((record_of(&world, &b).await, record_of(&world, &moved).await), (of_a.clone(), of_b.clone()));
    world.assert_in_step().await;
    world.delete(&moved);
    let (_, items) = world.plan().await;
    let [item] = items.as_slice() else { panic!("{items:#?}") };
    assert_eq!((item.action, item.local.as_deref()), (PlanAction::DeleteRemote, Some("gamma/7")));
    world.settle().await;
    assert_eq!((world.customer(&of_b), world.customer(&of_a).is_some()), (None, true));
    world.assert_in_step().await;
}
