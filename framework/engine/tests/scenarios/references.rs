//! Records that refer to others: invoices and their customers on one connection (rule 35).

use crate::harness::{CATALOG, Setup, World, mapping, record};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::Resolution;
use bothways_mapping::SourceFile;
use bothways_model::{LocalId, Record, RemoteId, Value};
use bothways_store::{DeleteChoice, LinkState, Links, Pairs, PauseScope, Rows, WorkQueue};
use chrono::SubsecRound;
use serde_json::{Value as Json, json};
use std::time::Duration;

const INVOICES: &str = include_str!("../../../../mappings/invoices.yaml");
const STRIPE_INVOICES: &str = include_str!("../../../../mappings/stripe-invoices.yaml");
const SOON: Duration = Duration::from_secs(60);

fn setup() -> Setup {
    let quiet = STRIPE_INVOICES
        .replace("sync: { feed: 10s, reconcile: 24h }", "sync: { feed: never, reconcile: never }");
    Setup {
        more: vec![
            SourceFile::new("invoices.yaml", INVOICES),
            SourceFile::new("stripe-invoices.yaml", quiet),
        ],
        ..Setup::default()
    }
}

fn insert_invoice(world: &World, customer: i64, memo: &str) -> LocalId {
    let fields = Record::from_iter([
        ("customer_id", Value::Int(customer)),
        ("currency", Value::Text("eur".into())),
        ("status", Value::Text("draft".into())),
        ("memo", Value::Text(memo.into())),
        ("due_at", Value::Timestamp(world.now().trunc_subsecs(0) + chrono::TimeDelta::days(30))),
    ]);
    world.store.foreign().insert("invoices", fields, world.now()).unwrap()
}

fn invoices(world: &World) -> Vec<Json> {
    world.stripe().invoices()
}

async fn invoice_row(world: &World, id: &RemoteId) -> Option<Record> {
    let links =
        world.store.links_of_remote(world.pair_of("invoices"), std::slice::from_ref(id)).await.unwrap();
    let local = links.into_iter().flatten().next()?.local_id?;
    Some(world.store.row("invoices", &local).await.unwrap()?.fields)
}

fn draft(world: &World, customer: &RemoteId, fields: Json) -> RemoteId {
    let mut all = json!({ "customer": customer.as_str() });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let now = world.now();
    let made = world.stripe().dashboard_invoice(&all, now).unwrap();
    RemoteId(made["id"].as_str().unwrap().to_owned())
}

/// Waits and blocks nobody; the customer's link releases it, not the clock.
#[tokio::test(start_paused = true)]
async fn an_invoice_waits_for_its_customer_and_blocks_nobody() {
    let world = World::new(setup()).await;
    let known = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    world.settle().await;
    let waiting = insert_invoice(&world, 77, "waits");
    let flowing = insert_invoice(&world, known.as_str().parse().unwrap(), "flows");
    world.until("the other one is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    let customer = world.link_of(&known).await.remote_id.unwrap();
    assert_eq!(
        (&invoices(&world)[0]["customer"], &invoices(&world)[0]["description"]),
        (&json!(customer.as_str()), &json!("flows"))
    );
    let work = world.store.work_of(world.pair_of("invoices"), Some(&waiting), None).await.unwrap();
    assert_eq!((work.len(), work[0].attempts, work[0].parked.is_some()), (1, 0, false), "{work:?}");
    assert!(work[0].held.as_deref().unwrap().contains("row 77 of `customers` has no link yet"), "{work:?}");
    let before = world.now();
    world
        .store
        .foreign()
        .insert("customers", record(&[("id", "77"), ("name", "Bea"), ("email", "bea@x.io")]), before)
        .unwrap();
    world.until("released", SOON, async |w: &World| invoices(w).len() == 2).await;
    assert!(world.now() - before < chrono::TimeDelta::seconds(30), "nobody waited for a timer");
    let bea = world.link_of(&"77".into()).await.remote_id.unwrap();
    let made = invoices(&world).into_iter().find(|i| i["description"] == "waits").unwrap();
    assert_eq!(made["customer"], bea.as_str());
    world.settle().await;
    let writes = world.writes();
    assert_eq!(writes, 4, "two customers, two invoices");
    let links = world.links().await;
    assert!(links.iter().all(|l| l.state == LinkState::Linked) && links.len() == 4 && flowing != waiting);
}

/// The other way round: an invoice at the service whose customer has no row yet.
#[tokio::test(start_paused = true)]
async fn an_invoice_from_the_service_waits_for_its_customers_row() {
    let world = World::new(setup()).await;
    world.fault(Fault::next(Action::EventNotGenerated).on_event("customer.created"));
    let ann = world.remote_create(json!({ "name": "Ann", "email": "ann@x.io" }));
    let invoice =
        draft(&world, &ann, json!({ "description": "from there", "currency": "usd", "total": 1999 }));
    let held = async |w: &World| {
        let work = w.store.work_of(w.pair_of("invoices"), None, Some(&invoice)).await.unwrap();
        work.iter().any(|work| work.awaits.is_some())
    };
    world.until("it waits", SOON, held).await;
    assert_eq!(world.rows().await.len(), 0);
    world.remote_update(&ann, json!({ "phone": "1" }));
    world.until("its row is there", SOON, async |w: &World| invoice_row(w, &invoice).await.is_some()).await;
    let row = invoice_row(&world, &invoice).await.unwrap();
    let customer = world.rows().await[0].id.clone();
    assert_eq!(row.get("customer_id").unwrap().to_text(), customer.as_str());
    assert_eq!(row.get("total").unwrap().to_text(), "19.99");
    assert_eq!(row.get("currency"), Some(&Value::Text("usd".into())));
    world.settle().await;
    assert_eq!(world.writes(), 0, "nothing had to be written there");
}

/// Amounts by their currency's digits, words by their table, numbers that only come in.
#[tokio::test(start_paused = true)]
async fn an_invoice_lives_and_its_row_follows() {
    let world = World::new(setup()).await;
    let ann = world.remote_create(json!({ "name": "Ann", "email": "ann@x.io" }));
    world.settle().await;
    let invoice = draft(&world, &ann, json!({ "currency": "jpy", "total": 500 }));
    world.until("its row", SOON, async |w: &World| invoice_row(w, &invoice).await.is_some()).await;
    let row =
        async |w: &World, name: &str| invoice_row(w, &invoice).await.unwrap().get(name).unwrap().to_text();
    assert_eq!((row(&world, "total").await, row(&world, "status").await), ("500".into(), "draft".into()));
    for (step, status) in [("finalize", "open"), ("mark_uncollectible", "bad_debt"), ("pay", "paid")] {
        let now = world.now();
        world.stripe().dashboard_advance(invoice.as_str(), step, now).unwrap();
        world.until(status, SOON, async |w: &World| row(w, "status").await == status).await;
    }
    assert!(row(&world, "number").await.ends_with("-0001"));
    world.settle().await;
    assert_eq!(world.writes(), 0);
}

/// A finalized invoice stands as it is: what its row would change waits for a person, with the reason.
#[tokio::test(start_paused = true)]
async fn a_finalized_invoice_is_not_edited() {
    let world = World::new(setup()).await;
    let ann = world.remote_create(json!({ "name": "Ann", "email": "ann@x.io" }));
    let invoice = draft(&world, &ann, json!({ "total": 500 }));
    world.until("its row", SOON, async |w: &World| invoice_row(w, &invoice).await.is_some()).await;
    let links =
        world.store.links_of_remote(world.pair_of("invoices"), std::slice::from_ref(&invoice)).await.unwrap();
    let id = links[0].clone().unwrap().local_id.unwrap();
    let edit = |memo: &str| {
        let fields = Record::from_iter([("memo", Value::Text(memo.into()))]);
        assert!(world.store.foreign().update("invoices", &id, fields, world.now()).unwrap());
    };
    edit("while it is a draft");
    world.until("sent", SOON, async |w: &World| invoices(w)[0]["description"] == "while it is a draft").await;
    let now = world.now();
    world.stripe().dashboard_advance(invoice.as_str(), "finalize", now).unwrap();
    world.settle().await;
    edit("afterwards");
    world.until("parked", SOON, async |w: &World| w.parked().await.len() == 1).await;
    let parked = world.parked().await[0].parked.clone().unwrap();
    assert!(parked.message.contains("@.status == 'draft'"), "{parked:?}");
    assert_eq!(invoices(&world)[0]["description"], "while it is a draft");
}

/// First contact of both at once: parents first, and nothing is doubled or sent twice.
#[tokio::test(start_paused = true)]
async fn first_contact_brings_parents_first() {
    let mut world = World::stopped(Setup { walked: false, webhooks: false, ..setup() }).await;
    let mut there = Vec::new();
    for n in 0..30 {
        let customer = world.remote_create(json!({ "name": format!("C{n}"), "email": format!("c{n}@x.io") }));
        there.push(draft(&world, &customer, json!({ "description": format!("I{n}"), "total": 100 + n })));
    }
    for n in 30..50 {
        let email = format!("c{n}@x.io");
        let id = world.insert(&[("name", "local"), ("email", email.as_str())]);
        insert_invoice(&world, id.as_str().parse().unwrap(), &format!("I{n}"));
    }
    world.start().await;
    let all = Duration::from_secs(600);
    world
        .until("both sides hold all", all, async |w: &World| {
            let rows = w.store.rows("invoices", None, None, 500).await.unwrap().rows.len();
            invoices(w).len() == 50 && rows == 50 && w.customers().len() == 50
        })
        .await;
    world.settle().await;
    assert_eq!(world.writes(), 40, "twenty customers and twenty invoices");
    let customers = world.pair_of("customers");
    for invoice in there {
        let row = invoice_row(&world, &invoice).await.unwrap();
        let shown = world.stripe().invoice(invoice.as_str()).unwrap();
        let id = RemoteId(shown["customer"].as_str().unwrap().into());
        let link = world.store.links_of_remote(customers, std::slice::from_ref(&id)).await.unwrap()[0]
            .clone()
            .unwrap();
        assert_eq!(link.local_id.unwrap().as_str(), row.get("customer_id").unwrap().to_text());
    }
}

/// Both mappings, with deletes that go out.
fn deleting() -> Setup {
    let deletes = "deletes: { from_local: delete, confirm: irreversible }";
    let mut setup = Setup {
        mapping: mapping(&format!("sync: {{ feed: never, reconcile: never }}\n{deletes}")),
        ..setup()
    };
    let invoices_doc = setup.more.pop().unwrap();
    let text = invoices_doc.text.replace("deletes: { from_remote: manual, from_local: manual }", deletes);
    setup.more.push(SourceFile::new("stripe-invoices.yaml", text));
    setup
}

/// The paths of all deletes that the service was asked for, in their order.
fn deletes(world: &World) -> Vec<String> {
    let deletes = world.stripe();
    let deletes = deletes.requests().filter(|request| request.method == bothways_model::Method::Delete);
    deletes.map(|request| request.path.clone()).collect()
}

/// Deleted in one transaction with what refers to it: the service is told of those first, whoever is looked at first.
#[tokio::test(start_paused = true)]
async fn a_delete_goes_after_those_of_what_refers_to_it() {
    let world = World::new(deleting()).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    let bea = world.insert(&[("name", "Bea"), ("email", "bea@x.io")]);
    let of = |id: &LocalId| id.as_str().parse::<i64>().unwrap();
    let ids: Vec<LocalId> = (0..5).map(|n| insert_invoice(&world, of(&ann), &format!("I{n}"))).collect();
    let kept = insert_invoice(&world, of(&bea), "kept");
    world.until("all there", SOON, async |w: &World| invoices(w).len() == 6).await;
    world.settle().await;
    world.stripe().clear_requests();
    let now = world.now();
    world.store.foreign().delete("customers", &ann, now).unwrap();
    for id in &ids {
        world.store.foreign().delete("invoices", id, now).unwrap();
    }
    world.until("all gone", SOON, async |w: &World| invoices(w).len() == 1 && w.customers().len() == 1).await;
    let deletes = deletes(&world);
    assert_eq!(deletes.len(), 6);
    assert!(deletes[5].starts_with("/v1/customers/"), "{deletes:?}");
    assert!(world.store.row("invoices", &kept).await.unwrap().is_some());
}

/// What refers to a record is known by that too, where its row still names a key that its customer had before.
#[tokio::test(start_paused = true)]
async fn a_delete_goes_after_that_of_a_row_that_names_an_earlier_key() {
    let world = World::new(deleting()).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    let invoice = insert_invoice(&world, ann.as_str().parse().unwrap(), "hers");
    world.until("it is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    world.settle().await;
    let link = world.link_of(&ann).await;
    let customer = link.remote_id.clone().unwrap();
    world.ops.unlink(link.id, "ada").await.unwrap();
    world.hold_webhooks(true);
    let again = world.insert(&[("id", "99"), ("name", "Ann"), ("email", "ann@x.io")]);
    world.ops.link(Some("stripe-customers"), &again, &customer, "ada").await.unwrap();
    world.hold_webhooks(false);
    world.settle().await;
    world.stripe().clear_requests();
    let now = world.now();
    world.store.foreign().delete("customers", &again, now).unwrap();
    world.store.foreign().delete("invoices", &invoice, now).unwrap();
    world
        .until("both gone", SOON, async |w: &World| invoices(w).is_empty() && w.customers().is_empty())
        .await;
    let deletes = deletes(&world);
    assert_eq!(deletes.len(), 2, "{deletes:?}");
    assert!(deletes[1].starts_with("/v1/customers/"), "{deletes:?}");
}

/// A customer's row that was made anew under another key is still that customer: no invoice of it has changed.
#[tokio::test(start_paused = true)]
async fn a_customer_with_another_key_is_the_same_customer() {
    let world = World::new(setup()).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    let invoice = insert_invoice(&world, ann.as_str().parse().unwrap(), "hers");
    world.until("it is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    world.settle().await;
    let link = world.link_of(&ann).await;
    let customer = link.remote_id.clone().unwrap();
    world.ops.unlink(link.id, "ada").await.unwrap();
    world.hold_webhooks(true);
    let again = world.insert(&[("id", "99"), ("name", "Ann"), ("email", "ann@x.io")]);
    world.ops.link(Some("stripe-customers"), &again, &customer, "ada").await.unwrap();
    world.hold_webhooks(false);
    world.settle().await;
    let writes = world.writes();
    let moved = Record::from_iter([("customer_id", Value::Int(99))]);
    assert!(world.store.foreign().update("invoices", &invoice, moved, world.now()).unwrap());
    world.settle().await;
    assert_eq!(world.writes(), writes, "it is the same customer there");
    let work = world.store.work_of(world.pair_of("invoices"), Some(&invoice), None).await.unwrap();
    assert!(work.is_empty(), "nobody moved it: {work:?}");
    let links = world.store.links_of_local(world.pair_of("invoices"), &[invoice]).await.unwrap();
    let base = links[0].clone().unwrap().body.base["customer_id"].clone();
    assert_eq!((base.local, base.remote), (Some(Value::Int(99)), Some(Value::Text(customer.0))));
}

/// First contact of invoices goes on while customers are paused: what refers to one that has no link waits by itself.
#[tokio::test(start_paused = true)]
async fn first_contact_does_not_wait_for_what_is_paused() {
    let mut world = World::stopped(Setup { walked: false, webhooks: false, ..setup() }).await;
    let customer = world.remote_create(json!({ "name": "Ann", "email": "ann@x.io" }));
    draft(&world, &customer, json!({ "description": "hers", "total": 100 }));
    let customers = world.pair_of("customers");
    world.ops.pause(PauseScope::Pair(customers), "stock-taking", "ada").await.unwrap();
    world.start().await;
    let walked = async |w: &World, pair| {
        w.store.pairs().await.unwrap().into_iter().find(|p| p.id == pair).unwrap().walked_at.is_some()
    };
    let met = async |w: &World| walked(w, w.pair_of("invoices")).await;
    world.until("invoices have met", Duration::from_secs(600), met).await;
    assert!(!walked(&world, customers).await);
    assert_eq!(world.rows().await.len(), 0);
    world.ops.resume(&PauseScope::Pair(customers), "ada").await.unwrap();
    let there = async |w: &World| w.store.count_rows("invoices").await.unwrap() == 1;
    world.until("its row", Duration::from_secs(1200), there).await;
    assert_eq!(world.rows().await.len(), 1);
}

/// A customer's delete waits behind that of an invoice which a person has to decide about, without asking the service every second.
#[tokio::test(start_paused = true)]
async fn a_delete_behind_one_that_a_person_decides_is_patient() {
    let deletes = "deletes: { from_local: delete, confirm: irreversible }";
    let mapping = mapping(&format!("sync: {{ feed: never, reconcile: never }}\n{deletes}"));
    let world = World::new(Setup { mapping, ..setup() }).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    let invoice = insert_invoice(&world, ann.as_str().parse().unwrap(), "hers");
    world.until("it is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    world.settle().await;
    let now = world.now();
    world.store.foreign().delete("invoices", &invoice, now).unwrap();
    world.store.foreign().delete("customers", &ann, now).unwrap();
    let asked = async |w: &World| w.ops.parked(Some("stripe-invoices"), None, 9).await.unwrap();
    world.until("a person is asked", SOON, async |w: &World| asked(w).await.len() == 1).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    world.stripe().clear_requests();
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let requests = world.stripe().requests().count();
    assert!(requests <= 60, "{requests} requests in half an hour");
    assert_eq!((world.customers().len(), invoices(&world).len()), (1, 1));
    let item = asked(&world).await.remove(0);
    world.ops.resolve(&item.id, &Resolution::Delete(DeleteChoice::Carry), None, "ada").await.unwrap();
    world
        .until("both are gone", Duration::from_secs(180), async |w: &World| {
            invoices(w).is_empty() && w.customers().is_empty()
        })
        .await;
}

/// Customers of a service that tells nobody of a delete, and one of them gone: its link still lives.
async fn with_a_customer_that_is_gone(policy: &str) -> (World, LocalId, RemoteId) {
    let deletes = format!("deletes: {{ from_remote: {policy} }}\nsync: {{ feed: never, reconcile: never }}");
    let world = World::new(Setup { mapping: mapping(&deletes), ..setup() }).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    world.settle().await;
    let customer = world.link_of(&ann).await.remote_id.unwrap();
    world.fault(Fault::next(Action::EventNotGenerated).on_event("customer.deleted"));
    let now = world.now();
    world.stripe().dashboard_delete(customer.as_str(), now).unwrap();
    (world, ann, customer)
}

async fn work_of_invoice(world: &World, invoice: &LocalId) -> bothways_store::Work {
    let mut work = world.store.work_of(world.pair_of("invoices"), Some(invoice), None).await.unwrap();
    assert_eq!(work.len(), 1, "{work:?}");
    work.remove(0)
}

/// An invoice for a customer that is gone from the service: that is what a person is shown, and nothing is held against the invoice.
/// Once the row is linked with another customer there, the invoice follows by itself.
#[tokio::test(start_paused = true)]
async fn an_invoice_of_a_customer_that_is_gone_waits_for_what_becomes_of_that() {
    let (world, ann, _) = with_a_customer_that_is_gone("manual").await;
    let invoice = insert_invoice(&world, ann.as_str().parse().unwrap(), "hers");
    let detached = async |w: &World| w.link_of(&ann).await.state == LinkState::Detached;
    world.until("the customer is looked at", SOON, detached).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let work = work_of_invoice(&world, &invoice).await;
    assert_eq!((work.attempts, work.parked.is_some()), (0, false), "{work:?}");
    let held = work.held.unwrap();
    assert!(held.contains(&format!("the record of row {ann} of `customers` is gone there")), "{held}");
    world.stripe().clear_requests();
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert_eq!(world.stripe().requests().count(), 0, "what is known is not asked again");

    let bea = world.remote_create(json!({ "name": "Ann", "email": "ann@x.io" }));
    let link = world.link_of(&ann).await;
    world.ops.unlink(link.id, "ada").await.unwrap();
    world.ops.link(Some("stripe-customers"), &ann, &bea, "ada").await.unwrap();
    world.until("it follows", SOON, async |w: &World| invoices(w).len() == 1).await;
    assert_eq!(invoices(&world)[0]["customer"], bea.as_str());
    world.settle().await;
    let parked = world.ops.parked(Some("stripe-invoices"), None, 9).await.unwrap();
    assert!(parked.is_empty(), "{parked:?}");
}

/// Where records that are gone are made anew, the invoice goes to the new one.
#[tokio::test(start_paused = true)]
async fn an_invoice_of_a_customer_that_is_gone_goes_to_the_one_made_anew() {
    let (world, ann, customer) = with_a_customer_that_is_gone("recreate").await;
    insert_invoice(&world, ann.as_str().parse().unwrap(), "hers");
    world.until("it is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    let anew = world.link_of(&ann).await.remote_id.unwrap();
    assert_ne!(anew, customer);
    assert_eq!(invoices(&world)[0]["customer"], anew.as_str());
    world.settle().await;
    assert!(world.parked().await.is_empty());
}

/// A customer's row that is taken back out of the archive is there for the invoices of its record, also where that is gone.
#[tokio::test(start_paused = true)]
async fn an_invoice_from_the_service_waits_no_longer_for_a_row_that_is_live_again() {
    let quiet = "deletes: { from_local: unlink }\nsync: { feed: never, reconcile: never }";
    let catalog = format!("{CATALOG}deleted_at: archived_at\n");
    let world = World::new(Setup { mapping: mapping(quiet), catalog, ..setup() }).await;
    let ann = world.remote_create(json!({ "name": "Ann", "email": "ann@x.io" }));
    world.settle().await;
    let row = world.rows().await[0].id.clone();
    world.archive(&row);
    world.settle().await;
    let invoice = draft(&world, &ann, json!({ "total": 500 }));
    let now = world.now();
    world.stripe().dashboard_advance(invoice.as_str(), "finalize", now).unwrap();
    let held = async |w: &World| {
        let work = w.store.work_of(w.pair_of("invoices"), None, Some(&invoice)).await.unwrap();
        work.iter().any(|work| work.awaits.is_some())
    };
    world.until("it waits", SOON, held).await;
    world.stripe().dashboard_delete(ann.as_str(), now).unwrap();
    world.restore(&row);
    world.until("its row is there", SOON, async |w: &World| invoice_row(w, &invoice).await.is_some()).await;
    assert_eq!(world.link_of(&row).await.state, LinkState::Detached);
}

/// Whether an update is taken any more, the record tells as it is: it is read also where the base is trusted otherwise.
#[tokio::test(start_paused = true)]
async fn a_draft_is_updated_where_the_base_is_trusted() {
    let mut setup = setup();
    let trusting = setup.more[1]
        .text
        .replace("conflicts: { winner: remote }", "conflicts: { winner: remote, check: blind }");
    assert!(trusting.contains("check: blind"));
    setup.more[1] = SourceFile::new("stripe-invoices.yaml", trusting);
    let world = World::new(setup).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    let invoice = insert_invoice(&world, ann.as_str().parse().unwrap(), "first");
    world.until("it is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    world.settle().await;
    let fields = Record::from_iter([("memo", Value::Text("second".into()))]);
    assert!(world.store.foreign().update("invoices", &invoice, fields, world.now()).unwrap());
    world.settle().await;
    assert_eq!(invoices(&world)[0]["description"], "second");
    let work = world.store.work_of(world.pair_of("invoices"), Some(&invoice), None).await.unwrap();
    assert!(work.is_empty(), "{work:?}");
}

/// A customer's delete waits for that of her invoice, which a person decides, also where the invoice's id is another one's by now.
#[tokio::test(start_paused = true)]
async fn a_delete_waits_behind_one_whose_id_is_anothers_by_now() {
    let deletes = "deletes: { from_local: delete, confirm: irreversible }";
    let mapping = mapping(&format!("sync: {{ feed: never, reconcile: never }}\n{deletes}"));
    let world = World::new(Setup { mapping, ..setup() }).await;
    let ann = world.insert(&[("name", "Ann"), ("email", "ann@x.io")]);
    let bea = world.insert(&[("name", "Bea"), ("email", "bea@x.io")]);
    let of = |id: &LocalId| Value::Int(id.as_str().parse().unwrap());
    let invoice = insert_invoice(&world, ann.as_str().parse().unwrap(), "hers");
    world.until("it is there", SOON, async |w: &World| invoices(w).len() == 1).await;
    world.settle().await;
    world.store.foreign().delete("invoices", &invoice, world.now()).unwrap();
    let other = Record::from_iter([
        ("id", of(&invoice)),
        ("customer_id", of(&bea)),
        ("currency", Value::Text("eur".into())),
        ("status", Value::Text("draft".into())),
        ("memo", Value::Text("another".into())),
        ("due_at", Value::Timestamp(world.now().trunc_subsecs(0) + chrono::TimeDelta::days(30))),
    ]);
    world.store.foreign().insert("invoices", other, world.now()).unwrap();
    world.until("the other one", SOON, async |w: &World| invoices(w).len() == 2).await;
    world.settle().await;
    world.store.foreign().delete("customers", &ann, world.now()).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.customers().len(), 2, "a person decides about her invoice first");
    let item = world.ops.parked(Some("stripe-invoices"), None, 9).await.unwrap().remove(0);
    world.ops.resolve(&item.id, &Resolution::Delete(DeleteChoice::Carry), None, "ada").await.unwrap();
    let both = async |w: &World| invoices(w).len() == 1 && w.customers().len() == 1;
    world.until("both are gone", Duration::from_secs(180), both).await;
}
