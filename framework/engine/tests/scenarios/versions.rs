//! What somebody changes between our read and our write, at services that compare versions and at services that take whole records: what
//! the mapping does not know is nobody's to lose.

use crate::harness::{CATALOG, Setup, World};
use async_trait::async_trait;
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_engine::{Engine, Http, Loaded, Operations, Ports, Purpose, SendError};
use bothways_mapping::SourceFile;
use bothways_model::{ConnectionName, LocalId, Method, Request, Response};
use bothways_queue::MemoryQueue;
use bothways_store::{IntentState, Links as _, ParkReason};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

const PATCH_IF_MATCH: &str = "{ call: \"PATCH /items/{id}\", if_match: { header: If-Match } }";
const PUT_IF_MATCH: &str = "{ call: \"PUT /items/{id}\", sends: whole, if_match: { header: If-Match } }";
const PUT: &str = "{ call: \"PUT /items/{id}\", sends: whole }";

fn connector(update: &str) -> String {
    format!(
        r#"
connector: shop
http:
  base_url: http://127.0.0.1:1
  rate: {{ limit: 100000/s }}
  idempotency: {{ header: Once, keeps: 24h }}
lists: {{ items: $.items }}
resources:
  items:
    id: $.id
    version: {{ header: ETag }}
    list: GET /items
    get: GET /items/{{id}}
    create: POST /items
    update: {update}
"#
    )
}

const MAPPING: &str = r#"
mapping: shop-items
local: customers
remote: shop/items
identity: { match: [email] }
fields: { email: $.email, name: $.name, phone: $.phone }
conflicts: { winner: remote }
"#;

/// A service of one kind of records, each with a revision. A PUT replaces everything, a PATCH what it names; either looks at `If-Match`.
#[derive(Default)]
struct Shop {
    items: Vec<(u64, Json)>,
    answers: BTreeMap<String, Response>,
    /// Somebody sets this field once the next record was read.
    after_read: Option<(&'static str, &'static str)>,
    /// Somebody sets this field when the next write is on its way: after the last look that we can take.
    before_write: Option<(&'static str, &'static str)>,
    /// The next write never arrives, and somebody sets this field afterwards.
    lose: Option<(&'static str, &'static str)>,
    /// No version is ever the right one.
    never_matches: bool,
    /// Methods of what was asked of records that are there.
    asked: Vec<Method>,
}

impl Shop {
    fn edit(&mut self, (field, value): (&str, &str)) {
        for (revision, item) in &mut self.items {
            item[field] = json!(value);
            *revision += 1;
        }
    }

    /// `None`: it got lost.
    fn answer(&mut self, request: &Request) -> Option<Response> {
        let path = request.url.split("/items").nth(1).unwrap_or_default();
        let at =
            path.strip_prefix("/i").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n < self.items.len());
        match (request.method, at) {
            (Method::Get, None) if path.is_empty() => {
                let items: Vec<&Json> = self.items.iter().map(|(_, item)| item).collect();
                Some(Response::json(200, &json!({"items": items})))
            }
            (Method::Get, Some(at)) => {
                self.asked.push(Method::Get);
                let shown = self.shown(at);
                if let Some(edit) = self.after_read.take() {
                    self.edit(edit);
                }
                Some(shown)
            }
            (Method::Post, None) => {
                let mut item: Json = serde_json::from_slice(&request.body).unwrap();
                item["id"] = json!(format!("i{}", self.items.len()));
                self.items.push((1, item));
                Some(self.shown(self.items.len() - 1))
            }
            (method @ (Method::Put | Method::Patch), Some(at)) => {
                self.asked.push(method);
                if let Some(edit) = self.lose.take() {
                    self.edit(edit);
                    return None;
                }
                if let Some(edit) = self.before_write.take() {
                    self.edit(edit);
                }
                Some(self.write(at, request))
            }
            _ => Some(Response::json(404, &json!({}))),
        }
    }

    fn write(&mut self, at: usize, request: &Request) -> Response {
        let key = request.header("once").unwrap().to_owned();
        if let Some(saved) = self.answers.get(&key) {
            return saved.clone();
        }
        let etag = self.etag(at);
        if self.never_matches || request.header("if-match").is_some_and(|version| version != etag) {
            return Response { status: 412, headers: Vec::new(), body: Vec::new() };
        }
        let sent: Json = serde_json::from_slice(&request.body).unwrap();
        let (revision, item) = &mut self.items[at];
        *revision += 1;
        if request.method == Method::Put {
            *item = json!({});
        }
        for (name, value) in sent.as_object().unwrap() {
            item[name] = value.clone();
        }
        let answer = self.shown(at);
        self.answers.insert(key, answer.clone());
        answer
    }

    fn etag(&self, at: usize) -> String {
        format!("\"{}\"", self.items[at].0)
    }

    fn shown(&self, at: usize) -> Response {
        Response::json(200, &self.items[at].1).with_header("ETag", self.etag(at))
    }
}

struct Port(Arc<Mutex<Shop>>);

#[async_trait]
impl Http for Port {
    async fn send(
        &self,
        _: &ConnectionName,
        _: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = self.0.lock().unwrap().answer(&request);
        match answer {
            Some(answer) => Ok(answer),
            None => {
                tokio::time::sleep(deadline).await;
                Err(SendError::Lost("timeout".into()))
            }
        }
    }
}

/// A world whose engine talks to the shop, with one linked row.
struct Scene {
    world: World,
    shop: Arc<Mutex<Shop>>,
    row: LocalId,
}

impl Scene {
    async fn new(update: &str) -> Self {
        let mut world = World::stopped(Setup { webhooks: false, ..Setup::default() }).await;
        world.kill();
        let files = [
            SourceFile::new("shop.yaml", connector(update)),
            SourceFile::new("customers.yaml", CATALOG),
            SourceFile::new("shop-items.yaml", MAPPING),
        ];
        let project = bothways_mapping::load(&files, &[]).project.expect("the documents are sound");
        let mapping = project.mapping("shop-items").unwrap().clone();
        let connection = ConnectionName::from("shop");
        let resolved = mapping.connector.resolve(&connection, &|_| None).unwrap();
        let connector = Arc::new(RestConnector::new(resolved, Vendor::default()).unwrap());
        let shop = Arc::new(Mutex::new(Shop::default()));
        let ports = Ports { http: Arc::new(Port(shop.clone())), ..world.ports() };
        let loaded = [Loaded { mapping, connection, connector }];
        let queue = Arc::new(MemoryQueue::default());
        let settings = world.setup.settings;
        let engine = Engine::open(world.store.clone(), queue, ports, &loaded, &[], settings).await.unwrap();
        world.ops = Operations::new(engine.clone());
        world.engine = engine;
        world.start().await;
        let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")]);
        world.settle().await;
        let scene = Self { world, shop, row };
        // Nothing of ours: `note` is not mapped.
        scene.shop().edit(("note", "theirs"));
        scene.shop().asked.clear();
        scene
    }

    fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap()
    }

    fn item(&self, field: &str) -> String {
        self.shop().items[0].1[field].as_str().unwrap_or_default().to_owned()
    }

    /// Renames the row, and waits until that is through.
    async fn rename(&self) {
        self.world.update(&self.row, &[("name", "Here")]);
        self.world.settle().await;
    }

    async fn intents(&self) -> Vec<IntentState> {
        let link = self.world.link_of(&self.row).await.id;
        let mut intents = self.world.store.intents(link, 99).await.unwrap();
        intents.sort_by_key(|intent| intent.number);
        intents.into_iter().skip(1).map(|intent| intent.state).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_conditional_update_that_was_overtaken_is_decided_anew() {
    let scene = Scene::new(PATCH_IF_MATCH).await;
    scene.shop().before_write = Some(("name", "There"));
    scene.rename().await;
    assert_eq!(scene.item("name"), "There", "the remote side wins, and was there first");
    assert_eq!(scene.world.local(&scene.row, "name").await.as_deref(), Some("There"));
    assert_eq!(scene.intents().await, [IntentState::Refused]);
    assert_eq!(scene.shop().asked, [Method::Get, Method::Patch, Method::Get]);
}

#[tokio::test(start_paused = true)]
async fn a_conditional_update_needs_no_second_read() {
    let scene = Scene::new(PATCH_IF_MATCH).await;
    scene.rename().await;
    assert_eq!(scene.shop().asked, [Method::Get, Method::Patch]);
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs".into()));
}

#[tokio::test(start_paused = true)]
async fn a_whole_record_keeps_what_somebody_changed_beside_the_mapping_while_it_was_under_way() {
    let scene = Scene::new(PUT_IF_MATCH).await;
    scene.shop().before_write = Some(("note", "theirs, newer"));
    scene.rename().await;
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Refused, IntentState::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_whole_record_that_no_version_guards_is_read_once_more_before_it_goes_out() {
    let scene = Scene::new(PUT).await;
    scene.shop().after_read = Some(("note", "theirs, newer"));
    scene.rename().await;
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Refused, IntentState::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_conditional_update_that_is_stale_by_now_is_resolved_by_a_look() {
    for update in [PATCH_IF_MATCH, PUT_IF_MATCH] {
        let scene = Scene::new(update).await;
        scene.shop().lose = Some(("note", "theirs, newer"));
        scene.rename().await;
        assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
        assert_eq!(scene.intents().await, [IntentState::Refused, IntentState::Confirmed]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_whole_record_that_no_version_guards_is_never_sent_again_as_it_was() {
    let scene = Scene::new(PUT).await;
    scene.shop().lose = Some(("note", "theirs, newer"));
    scene.rename().await;
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Abandoned, IntentState::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_agrees_with_a_version_is_not_asked_for_ever() {
    let scene = Scene::new(PATCH_IF_MATCH).await;
    scene.shop().never_matches = true;
    scene.rename().await;
    let parked = scene.world.parked().await;
    let reason = parked.first().and_then(|work| work.parked.as_ref()).map(|parked| parked.reason);
    assert_eq!(reason, Some(ParkReason::Error));
    let writes = scene.shop().asked.iter().filter(|method| **method == Method::Patch).count();
    assert_eq!(writes, 10);
    assert_eq!(scene.item("name"), "Ann");
}
