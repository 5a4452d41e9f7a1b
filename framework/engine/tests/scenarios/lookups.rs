//! Rows of another catalog that the service knows by a value of theirs: customers and the plans they are on (rule 35).

use crate::harness::{Setup, World};
use bothways_engine::{KeepText, PassOptions, PlanAction, Resolution, RevertTarget};
use bothways_mapping::SourceFile;
use bothways_model::{LocalId, Record, RemoteId, Value};
use bothways_store::{FieldBase, HistoryFilter, HistoryOp, LinkState, ParkReason, Side};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// As long as it may take until somebody looks again by himself at what has just been parked.
const A_WHILE: Duration = Duration::from_secs(30 * 60);
const PLANS: &str = "
catalog: plans
table: plans
key: id
deleted_at: archived_at
fields: { id: int, code: text?, name: text? }
";

/// Customers with a plan, of which the service knows the code. Nothing maps the plans.
fn setup() -> Setup {
    let catalog = "
catalog: customers
table: customers
key: id
fields: { id: int, name: text?, email: text?, phone: text?, plan_id: { ref: plans, optional: true } }
";
    let policies =
        "  plan: { local: plan_id, remote: $.metadata.plan, as: { lookup: { catalog: plans, by: code } } }
sync: { feed: never, reconcile: never }";
    Setup {
        catalog: catalog.into(),
        more: vec![SourceFile::new("plans.yaml", PLANS)],
        ..Setup::with(policies)
    }
}

fn first_contact() -> Setup {
    Setup { walked: false, webhooks: false, ..setup() }
}

fn add_plan(world: &World, id: i64, code: &str) {
    let fields = Record::from_iter([("id", Value::Int(id)), ("code", Value::Text(code.into()))]);
    world.store.foreign().insert("plans", fields, world.now()).unwrap();
}

fn recode(world: &World, id: i64, code: Value) {
    let fields = Record::from_iter([("code", code)]);
    assert!(world.store.foreign().update("plans", &key(id), fields, world.now()).unwrap());
}

fn archive_plan(world: &World, id: i64) {
    assert!(world.store.foreign().archive("plans", &key(id), Some(world.now()), world.now()).unwrap());
}

fn key(id: i64) -> LocalId {
    LocalId(id.to_string())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A world in which there are the plans 1, `pro`, and 2, `max`.
async fn world() -> World {
    let world = World::new(setup()).await;
    add_plan(&world, 1, "pro");
    add_plan(&world, 2, "max");
    world
}

fn add(world: &World, name: &str, plan: Option<i64>) -> LocalId {
    let email = format!("{}@x.io", name.to_lowercase());
    let plan = plan.map_or(Value::Null, Value::Int);
    let fields = Record::from_iter([("name", text(name)), ("email", text(&email)), ("plan_id", plan)]);
    world.store.foreign().insert("customers", fields, world.now()).unwrap()
}

fn put_on(world: &World, id: &LocalId, plan: Option<i64>) {
    let fields = Record::from_iter([("plan_id", plan.map_or(Value::Null, Value::Int))]);
    assert!(world.store.foreign().update("customers", id, fields, world.now()).unwrap());
}

fn there(world: &World, name: &str, plan: &str) -> RemoteId {
    let email = format!("{}@x.io", name.to_lowercase());
    world.remote_create(json!({ "name": name, "email": email, "metadata": { "plan": plan } }))
}

fn put_on_there(world: &World, id: &RemoteId, plan: &str) {
    world.remote_update(id, json!({ "metadata": { "plan": plan } }));
}

async fn plan_here(world: &World, id: &LocalId) -> Option<i64> {
    match world.row(id).await?.fields.get("plan_id") {
        Some(Value::Int(plan)) => Some(*plan),
        _ => None,
    }
}

fn plan_there(world: &World, id: &RemoteId) -> Json {
    world.customer(id).unwrap()["metadata"]["plan"].clone()
}

async fn record_of(world: &World, id: &LocalId) -> RemoteId {
    world.link_of(id).await.remote_id.unwrap()
}

async fn row_called(world: &World, name: &str) -> Option<LocalId> {
    let rows = world.rows().await;
    rows.into_iter().find(|row| row.fields.get("name") == Some(&text(name))).map(|row| row.id)
}

/// A row and its record, both on plan `pro`.
async fn linked(world: &World) -> (LocalId, RemoteId) {
    let row = add(world, "Ann", Some(1));
    world.settle().await;
    let record = record_of(world, &row).await;
    assert_eq!(plan_there(world, &record), "pro");
    (row, record)
}

/// The one thing that is parked, in words.
async fn parked(world: &World) -> String {
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    let parked = parked[0].parked.clone().unwrap();
    assert_eq!(parked.reason, ParkReason::Refused);
    parked.message
}

#[tokio::test(start_paused = true)]
async fn a_plan_travels_both_ways_by_its_code() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    let base = world.link_of(&row).await.body.base["plan"].clone();
    assert_eq!(base, FieldBase { local: Some(Value::Int(1)), remote: Some(text("pro")) });
    put_on(&world, &row, Some(2));
    world.settle().await;
    assert_eq!(plan_there(&world, &record), "max");
    put_on(&world, &row, None);
    world.settle().await;
    assert_eq!(plan_there(&world, &record), Json::Null, "no plan is no plan there");
    assert_eq!(world.writes(), 3, "a create and two updates");
    put_on_there(&world, &record, "pro");
    world.settle().await;
    assert_eq!(plan_here(&world, &row).await, Some(1));
    put_on_there(&world, &record, "");
    world.settle().await;
    assert_eq!(plan_here(&world, &row).await, None);
    let other = there(&world, "Bea", "max");
    world.settle().await;
    let here = row_called(&world, "Bea").await.unwrap();
    assert_eq!((plan_here(&world, &here).await, record_of(&world, &here).await), (Some(2), other));
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    assert_eq!(world.writes(), 3, "what came in is no change here");
    assert!(world.parked().await.is_empty());
}

/// Nothing is guessed, other fields flow, and nobody has to say when the row is there.
#[tokio::test(start_paused = true)]
async fn a_code_that_no_row_has_waits_for_its_row() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    world.remote_update(&record, json!({ "phone": "5", "metadata": { "plan": "gold" } }));
    world.settle().await;
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("5"));
    assert_eq!(plan_here(&world, &row).await, Some(1));
    let why = parked(&world).await;
    assert!(why.contains("`plan`: no row of `plans` has the `code` that the record says"), "{why}");
    assert!(!why.contains("gold"), "{why}");
    let told = world.ops.explain(None, row.as_str()).await.unwrap();
    let field = told[0].fields.iter().find(|field| field.verdict.label == "plan").unwrap();
    assert_eq!(
        (field.verdict.rule, field.verdict.remote.clone()),
        (35, Some(Value::Json(json!({ "code": "gold" }))))
    );

    let new = there(&world, "Bea", "gold");
    world.until("both are parked", SOON, async |w: &World| w.parked().await.len() == 2).await;
    assert_eq!(row_called(&world, "Bea").await, None);
    add_plan(&world, 3, "gold");
    let released = async |w: &World| {
        plan_here(w, &row).await == Some(3)
            && w.parked().await.is_empty()
            && row_called(w, "Bea").await.is_some()
    };
    world.until("they go on", A_WHILE, released).await;
    let here = row_called(&world, "Bea").await.unwrap();
    assert_eq!((plan_here(&world, &here).await, record_of(&world, &here).await), (Some(3), new));
    world.settle().await;
    assert_eq!(world.writes(), 1, "nothing was to be written there");
}

/// What has waited long is looked at less and less often, but never forgotten.
#[tokio::test(start_paused = true)]
async fn what_waits_is_looked_at_ever_more_rarely() {
    let world = World::new(Setup { webhooks: false, ..setup() }).await;
    add_plan(&world, 1, "pro");
    let (row, record) = linked(&world).await;
    put_on(&world, &row, Some(77));
    world.until("it is parked", SOON, async |w: &World| !w.parked().await.is_empty()).await;
    let before = world.stripe().counts().requests;
    tokio::time::sleep(Duration::from_secs(6 * 3600)).await;
    let looks = world.stripe().counts().requests - before;
    assert!((3..10).contains(&looks), "{looks}");
    let parked = world.parked().await;
    let due = parked[0].due.expect("it is looked at again") - world.now();
    assert!(due < chrono::TimeDelta::hours(7), "{due}");
    add_plan(&world, 77, "rare");
    world.ops.replay(&parked[0].id.0.to_string(), "ada").await.unwrap();
    world.until("a person did not wait", SOON, async |w: &World| plan_there(w, &record) == "rare").await;
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_a_code_is_not_sent() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    let fields = Record::from_iter([("id", Value::Int(3))]);
    world.store.foreign().insert("plans", fields, world.now()).unwrap();
    put_on(&world, &row, Some(3));
    world.update(&row, &[("phone", "5")]);
    world.settle().await;
    let why = parked(&world).await;
    assert!(why.contains("the row of `plans` that it names has no `code`"), "{why}");
    assert_eq!(
        (plan_there(&world, &record), world.remote(&record, "phone").as_deref()),
        (json!("pro"), Some("5"))
    );
    let new = add(&world, "Bea", Some(77));
    world.until("both are parked", SOON, async |w: &World| w.parked().await.len() == 2).await;
    assert_eq!(world.customers().len(), 1);
    recode(&world, 3, text("gold"));
    add_plan(&world, 77, "rare");
    let released = async |w: &World| w.parked().await.is_empty() && w.customers().len() == 2;
    world.until("they go on", A_WHILE, released).await;
    assert_eq!(plan_there(&world, &record), "gold");
    assert_eq!(plan_there(&world, &record_of(&world, &new).await), "rare");
}

#[tokio::test(start_paused = true)]
async fn a_code_that_two_rows_have_means_neither() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    add_plan(&world, 3, "max");
    put_on_there(&world, &record, "max");
    world.settle().await;
    let why = parked(&world).await;
    assert!(why.contains("more than one row of `plans` has the `code`"), "{why}");
    assert_eq!(plan_here(&world, &row).await, Some(1));
    // Outward it is no question; and the record says already what would be sent.
    put_on(&world, &row, Some(3));
    world.settle().await;
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
    assert_eq!((plan_here(&world, &row).await, plan_there(&world, &record)), (Some(3), json!("max")));
    put_on_there(&world, &record, "pro");
    world.settle().await;
    put_on_there(&world, &record, "max");
    world.settle().await;
    parked(&world).await;
    recode(&world, 2, text("grand"));
    world.until("it goes on", A_WHILE, async |w: &World| plan_here(w, &row).await == Some(3)).await;
    assert_eq!(world.writes(), 1, "one create");
}

/// An archived plan keeps its code for who is on it, and nobody gets on it from outside.
#[tokio::test(start_paused = true)]
async fn an_archived_plan_is_for_those_who_are_on_it() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    archive_plan(&world, 2);
    put_on_there(&world, &record, "max");
    world.settle().await;
    parked(&world).await;
    put_on(&world, &row, Some(2));
    world.settle().await;
    assert!(world.parked().await.is_empty(), "both say the same now");
    put_on(&world, &row, Some(1));
    world.settle().await;
    put_on(&world, &row, Some(2));
    world.settle().await;
    assert_eq!((plan_here(&world, &row).await, plan_there(&world, &record)), (Some(2), json!("max")));
    world.remote_update(&record, json!({ "phone": "5" }));
    world.settle().await;
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("5"));
    assert!(world.parked().await.is_empty());
}

/// The row is as it was and so is the record: neither changed.
#[tokio::test(start_paused = true)]
async fn a_plan_that_gets_another_code_writes_nothing_by_itself() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    recode(&world, 1, text("basic"));
    recode(&world, 2, text("pro"));
    world.engine.pass(world.pair(), PassOptions::default(), &|_| {}).await.unwrap();
    world.settle().await;
    world.remote_update(&record, json!({ "phone": "5" }));
    world.update(&row, &[("name", "Anna")]);
    world.settle().await;
    assert_eq!(world.local(&row, "phone").await.as_deref(), Some("5"));
    assert_eq!((plan_here(&world, &row).await, plan_there(&world, &record)), (Some(1), json!("pro")));
    put_on_there(&world, &record, "basic");
    world.settle().await;
    assert_eq!(plan_here(&world, &row).await, Some(1), "the same plan by its new code");
    assert_eq!(world.writes(), 2, "a create and the name");
    put_on_there(&world, &record, "pro");
    world.settle().await;
    assert_eq!(plan_here(&world, &row).await, Some(2), "what that means now");
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn both_sides_get_on_another_plan() {
    let world = world().await;
    add_plan(&world, 3, "gold");
    let (row, record) = linked(&world).await;
    for (there, keep, plan) in [
        ("gold", KeepText::Local, (Some(2), "max")),
        ("nobody's", KeepText::Local, (Some(2), "max")),
        ("gold", KeepText::Remote, (Some(3), "gold")),
        ("gold", KeepText::Value(json!(1)), (Some(1), "pro")),
    ] {
        put_on(&world, &row, Some(1));
        world.settle().await;
        world.hold_webhooks(true);
        put_on_there(&world, &record, there);
        put_on(&world, &row, Some(2));
        world.settle().await;
        let conflict = world.link_of(&row).await.body.conflicts["plan"].clone();
        let shown = if there == "gold" { Value::Int(3) } else { Value::Json(json!({ "code": there })) };
        assert_eq!((conflict.local, conflict.remote), (Some(Value::Int(2)), Some(shown)));
        assert_eq!((plan_here(&world, &row).await, plan_there(&world, &record)), (Some(2), json!(there)));
        let item = world.ops.parked(None, Some("conflict"), 9).await.unwrap().remove(0);
        let kept = BTreeMap::from([("plan".to_owned(), keep)]);
        world.ops.resolve(&item.id, &Resolution::Fields(kept), None, "ada").await.unwrap();
        world.hold_webhooks(false);
        world.settle().await;
        assert!(world.link_of(&row).await.body.conflicts.is_empty());
        assert_eq!((plan_here(&world, &row).await, plan_there(&world, &record)), (plan.0, json!(plan.1)));
    }
}

/// Equal by what they mean, different, unknown, and known to the archive alone.
#[tokio::test(start_paused = true)]
async fn first_contact_compares_what_the_codes_mean() {
    let mut world = World::stopped(first_contact()).await;
    for (id, code) in [(1, "pro"), (2, "max"), (3, "old")] {
        add_plan(&world, id, code);
    }
    archive_plan(&world, 3);
    let mut met = BTreeMap::new();
    for (name, here, code) in [
        ("Same", Some(1), "pro"),
        ("Other", Some(1), "max"),
        ("Unknown", None, "gold"),
        ("Strange", Some(1), "gold"),
        ("Archived", Some(3), "old"),
        ("Filled", None, "max"),
        ("Sent", Some(2), ""),
    ] {
        met.insert(name, (add(&world, name, here), there(&world, name, code)));
    }
    there(&world, "New", "pro");
    there(&world, "Newer", "gold");
    add(&world, "Mine", Some(1));
    let (_, items) = world.plan().await;
    let asks: Vec<&str> =
        items.iter().filter(|item| item.action == PlanAction::Ask).map(|item| item.why.as_str()).collect();
    assert_eq!(asks.len(), 1, "{items:#?}");
    assert!(asks[0].contains("no row of `plans` has the `code`"), "{asks:?}");
    world.start().await;
    world.until("all are linked", A_WHILE, async |w: &World| w.links().await.len() == 9).await;
    world.settle().await;
    let links = world.links().await;
    assert!(links.iter().all(|link| link.state == LinkState::Linked), "{links:#?}");
    for (name, plan, code) in [
        ("Same", Some(1), json!("pro")),
        ("Other", Some(1), json!("max")),
        ("Unknown", None, json!("gold")),
        ("Strange", Some(1), json!("gold")),
        ("Archived", Some(3), json!("old")),
        ("Filled", Some(2), json!("max")),
        ("Sent", Some(2), json!("max")),
    ] {
        let (row, record) = &met[name];
        assert_eq!((plan_here(&world, row).await, plan_there(&world, record)), (plan, code), "{name}");
        let conflicts = world.link_of(row).await.body.conflicts;
        assert_eq!(
            conflicts.len(),
            usize::from(["Other", "Strange"].contains(&name)),
            "{name} {conflicts:?}"
        );
    }
    assert_eq!(plan_here(&world, &row_called(&world, "New").await.unwrap()).await, Some(1));
    assert_eq!(
        world.parked().await.len(),
        2,
        "one of no row, one that has a row: {:#?}",
        world.parked().await
    );
    add_plan(&world, 4, "gold");
    let (unknown, _) = &met["Unknown"];
    let released =
        async |w: &World| plan_here(w, unknown).await == Some(4) && row_called(w, "Newer").await.is_some();
    world.until("they go on", A_WHILE, released).await;
    world.settle().await;
    assert!(world.parked().await.is_empty());
    assert_eq!(world.writes(), 2, "one that has no record, one that has no plan there");
}

/// What was sent is a code; undone is the plan.
#[tokio::test(start_paused = true)]
async fn what_was_sent_is_undone_here() {
    let world = world().await;
    let (row, record) = linked(&world).await;
    put_on(&world, &row, Some(2));
    world.settle().await;
    let filter = HistoryFilter { op: Some(HistoryOp::Update), ..HistoryFilter::default() };
    let sent = world.ops.history(&filter, None, 9).await.unwrap();
    let sent = sent.iter().find(|written| written.entry.fields.contains_key("plan")).unwrap();
    assert_eq!((sent.entry.side, sent.entry.fields["plan"].after.clone()), (Side::Remote, Some(text("max"))));
    let target = RevertTarget::Record { mapping: None, id: row.0.clone(), entry: Some(sent.id) };
    let totals = world.ops.revert(&target, false, "ada", &mut |_| ()).await.unwrap();
    assert_eq!((totals.reverted, totals.refused), (1, 0), "{totals:?}");
    world.settle().await;
    assert_eq!((plan_here(&world, &row).await, plan_there(&world, &record)), (Some(1), json!("pro")));
}
