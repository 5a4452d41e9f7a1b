//! What leaves late: a write is held up before it is sent, or arrives long after its answer was given up. The service keeps no keys, so
//! that whoever creates too much has made a second record.

use crate::harness::Setup;
use crate::harness::World;
use async_trait::async_trait;
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_engine::{Engine, Http, Loaded, Ports, Purpose, SendError, Settings};
use bothways_mapping::SourceFile;
use bothways_model::{ConnectionName, LocalId, Method, Request, Response};
use bothways_queue::MemoryQueue;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

const CONNECTOR: &str = "
connector: shop
http:
  base_url: http://127.0.0.1:1
  rate: { limit: 100000/s }
lists: { items: $.items }
resources:
  items:
    id: $.id
    list: GET /items
    get: GET /items/{id}
    create: POST /items
    update: PATCH /items/{id}
    find: { $.stamp: { call: \"GET /items?stamp={value}\", consistent: true } }
";

const MAPPING: &str = "
mapping: shop-items
local: customers
remote: shop/items
identity: { match: [email], stamp: $.stamp }
fields: { email: $.email, name: $.name }
sync: { poll: never, reconcile: never }
";

/// The service, and the way to it.
#[derive(Default)]
struct Shop {
    items: Arc<Mutex<Vec<Json>>>,
    /// How long the next create waits before it leaves.
    held: Mutex<Option<Duration>>,
    /// How long after its answer was given up the next create arrives.
    late: Mutex<Option<Duration>>,
    /// How long a read takes.
    reads: Mutex<Duration>,
    /// Whether records are found by their email, too.
    finds: bool,
    /// Whether the answer of the next create is given up before it leaves.
    sleeps: Mutex<bool>,
    /// Such a create. It leaves when somebody looks for a record with its email.
    asleep: Mutex<Option<Json>>,
}

#[async_trait]
impl Http for Shop {
    async fn send(
        &self,
        _: &ConnectionName,
        _: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        let path = request.url.split("/items").nth(1).unwrap_or_default();
        if request.method == Method::Post {
            let held = self.held.lock().unwrap().take();
            tokio::time::sleep(held.unwrap_or_default()).await;
            let item: Json = serde_json::from_slice(&request.body).unwrap();
            if std::mem::take(&mut *self.sleeps.lock().unwrap()) {
                *self.asleep.lock().unwrap() = Some(item);
                tokio::time::sleep(deadline).await;
                return Err(SendError::Lost("timeout".into()));
            }
            let late = self.late.lock().unwrap().take();
            if let Some(late) = late {
                let items = self.items.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(deadline + late).await;
                    create(&items, item);
                });
                tokio::time::sleep(deadline).await;
                return Err(SendError::Lost("timeout".into()));
            }
            return Ok(Response::json(200, &create(&self.items, item)));
        }
        let reads = *self.reads.lock().unwrap();
        tokio::time::sleep(reads).await;
        let woken = self.asleep.lock().unwrap().take_if(|_| path.starts_with("?email="));
        if let Some(item) = woken {
            create(&self.items, item);
        }
        let items = self.items.lock().unwrap();
        Ok(if let Some(stamp) = path.strip_prefix("?stamp=") {
            let found: Vec<&Json> = items.iter().filter(|item| item["stamp"] == stamp).collect();
            Response::json(200, &json!({ "items": found }))
        } else if let Some(id) = path.strip_prefix('/') {
            match items.iter().find(|item| item["id"] == id) {
                Some(item) => Response::json(200, item),
                None => Response::json(404, &json!({})),
            }
        } else {
            Response::json(200, &json!({ "items": *items }))
        })
    }
}

fn create(items: &Mutex<Vec<Json>>, mut item: Json) -> Json {
    let mut items = items.lock().unwrap();
    item["id"] = json!(format!("i{}", items.len()));
    items.push(item.clone());
    item
}

/// A world on this service whose engine runs.
async fn world(shop: &Arc<Shop>) -> World {
    let mut world = World::stopped(Setup { webhooks: false, ..Setup::default() }).await;
    world.engine = engine(&world, shop).await;
    world.ops = bothways_engine::Operations::new(world.engine.clone());
    world.start().await;
    world
}

/// One more engine on the store of a world.
async fn engine(world: &World, shop: &Arc<Shop>) -> Arc<Engine> {
    let by_email = "find: { $.email: { call: \"GET /items?email={value}\", consistent: true }, ";
    let connector = if shop.finds { CONNECTOR.replace("find: { ", by_email) } else { CONNECTOR.to_owned() };
    let files = [
        SourceFile::new("shop.yaml", connector),
        SourceFile::new("customers.yaml", crate::harness::CATALOG),
        SourceFile::new("shop-items.yaml", MAPPING),
    ];
    let loaded = bothways_mapping::load(&files, &[]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let mapping = project.mapping("shop-items").unwrap().clone();
    let connection = ConnectionName::from("shop");
    let resolved = mapping.connector.resolve(&connection, &|_| None).unwrap();
    let connector = Arc::new(RestConnector::new(resolved, Vendor::default()).unwrap());
    let ports = Ports { http: shop.clone(), ..world.ports() };
    let loaded = [Loaded { mapping, connection, connector }];
    let queue = Arc::new(MemoryQueue::default());
    Engine::open(world.store.clone(), queue, ports, &loaded, &[], Settings::default()).await.unwrap()
}

async fn is_linked(world: &World, row: &LocalId) -> bool {
    let links = world.links().await;
    links.iter().any(|link| link.local_id.as_ref() == Some(row) && link.remote_id.is_some())
}

/// What must be true however late something is: one record, which the row is linked to.
async fn assert_one(world: &World, shop: &Shop, row: &LocalId) {
    world.until("linked", SECOND * 600, async |w: &World| is_linked(w, row).await).await;
    tokio::time::sleep(SECOND * 300).await;
    assert_eq!(shop.items.lock().unwrap().len(), 1, "{:#?}", shop.items.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_write_never_leaves_after_its_lease() {
    let shop = Arc::new(Shop::default());
    let world = world(&shop).await;
    // For longer than a lease lasts; another engine takes the link meanwhile, and finds nothing at the service.
    *shop.held.lock().unwrap() = Some(SECOND * 100);
    let row = world.insert(&[("email", "ann@x.io"), ("name", "Ann")]);
    world.until("it is sent", SECOND * 10, async |_: &World| shop.held.lock().unwrap().is_none()).await;
    let other = engine(&world, &shop).await;
    other.start();
    assert_one(&world, &shop, &row).await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_was_decided_slowly_may_arrive_late() {
    let shop = Arc::new(Shop::default());
    let world = world(&shop).await;
    // Looking for candidates takes long; then the create is lost on its way, and arrives when its answer has been given up for long.
    *shop.reads.lock().unwrap() = SECOND * 25;
    *shop.late.lock().unwrap() = Some(SECOND * 20);
    let row = world.insert(&[("email", "ann@x.io"), ("name", "Ann")]);
    world.until("it is sent", SECOND * 100, async |_: &World| shop.late.lock().unwrap().is_none()).await;
    *shop.reads.lock().unwrap() = Duration::ZERO;
    assert_one(&world, &shop, &row).await;
}

/// The machine sleeps between the decision and the call: what was just proven not to have arrived does so then (rule 41). It matches the
/// row, and is the row's own.
#[tokio::test(start_paused = true)]
async fn a_create_that_leaves_after_it_was_proven_not_to_have_arrived_is_no_rival_of_its_row() {
    let shop = Arc::new(Shop { finds: true, ..Shop::default() });
    let world = world(&shop).await;
    *shop.sleeps.lock().unwrap() = true;
    let row = world.insert(&[("email", "ann@x.io"), ("name", "Ann")]);
    world.until("it sleeps", SECOND * 10, async |_: &World| shop.asleep.lock().unwrap().is_some()).await;
    assert_one(&world, &shop, &row).await;
    assert!(shop.asleep.lock().unwrap().is_none(), "it left");
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
}
