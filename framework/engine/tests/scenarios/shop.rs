//! A service of one kind of records, driven by a document alone: what a scenario of updates and versions needs.

use crate::harness::service::Service;
use crate::harness::{Setup, World};
use async_trait::async_trait;
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_engine::{Engine, Http, Loaded, Operations, Ports, Purpose, SendError};
use bothways_mapping::SourceFile;
use bothways_model::{ConnectionName, LocalId, Method, Request, Response, Timestamp};
use bothways_queue::MemoryQueue;
use bothways_store::{IntentState, Links as _};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

pub(crate) fn connector(update: &str) -> String {
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

/// A service of one kind of records, each with a revision. A PUT replaces everything, a PATCH what it names; either looks at `If-Match`.
#[derive(Default)]
pub(crate) struct Shop {
    pub(crate) items: Vec<(u64, Json)>,
    answers: BTreeMap<String, Response>,
    /// Somebody sets this field once the next record was read.
    pub(crate) after_read: Option<(&'static str, &'static str)>,
    /// Somebody sets this field when the next write is on its way: after the last look that we can take.
    pub(crate) before_write: Option<(&'static str, &'static str)>,
    /// The next write never arrives, and somebody sets this field afterwards.
    pub(crate) lose: Option<(&'static str, &'static str)>,
    /// What the service makes of a field with the next write, whatever it is sent.
    pub(crate) alters: Option<(&'static str, &'static str)>,
    /// The next read after a write shows a page for people.
    pub(crate) garbles: bool,
    /// No version is ever the right one.
    pub(crate) never_matches: bool,
    /// Methods of what was asked of records that are there.
    pub(crate) asked: Vec<Method>,
}

impl Shop {
    pub(crate) fn edit(&mut self, (field, value): (&str, &str)) {
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
                let after_write = self.asked.iter().any(|method| *method != Method::Get);
                self.asked.push(Method::Get);
                if after_write && std::mem::take(&mut self.garbles) {
                    return Some(Response { status: 200, headers: Vec::new(), body: b"<html>".to_vec() });
                }
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
        if let Some((field, value)) = self.alters.take() {
            item[field] = json!(value);
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

/// Where nothing gets lost.
impl Service for Shop {
    fn answer(&mut self, request: &Request, _: Timestamp) -> Response {
        Shop::answer(self, request).unwrap_or_else(|| panic!("{:?} got lost", request.method))
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
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) shop: Arc<Mutex<Shop>>,
    pub(crate) row: LocalId,
}

impl Scene {
    /// A mapping `shop-items` of the catalog `customers`, both as documents, and the first row.
    pub(crate) async fn new(update: &str, catalog: &str, mapping: &str, row: &[(&str, &str)]) -> Self {
        let setup = Setup { webhooks: false, catalog: catalog.into(), ..Setup::default() };
        let mut world = World::stopped(setup).await;
        world.kill();
        let files = [
            SourceFile::new("shop.yaml", connector(update)),
            SourceFile::new("customers.yaml", catalog),
            SourceFile::new("shop-items.yaml", mapping),
        ];
        let loaded = bothways_mapping::load(&files, &[]);
        let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
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
        let row = world.insert(row);
        world.settle().await;
        Self { world, shop, row }
    }

    pub(crate) fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap()
    }

    pub(crate) fn item(&self, field: &str) -> String {
        self.shop().items[0].1[field].as_str().unwrap_or_default().to_owned()
    }

    /// Changes the row, and waits until that is through.
    pub(crate) async fn update(&self, fields: &[(&str, &str)]) {
        self.world.update(&self.row, fields);
        self.world.settle().await;
    }

    /// The value of a local field as text.
    pub(crate) async fn local(&self, field: &str) -> String {
        self.world.local(&self.row, field).await.unwrap_or_default()
    }

    pub(crate) async fn intents(&self) -> Vec<IntentState> {
        let link = self.world.link_of(&self.row).await.id;
        let mut intents = self.world.store.intents(link, 99).await.unwrap();
        intents.sort_by_key(|intent| intent.number);
        intents.into_iter().skip(1).map(|intent| intent.state).collect()
    }
}
