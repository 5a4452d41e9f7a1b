//! A whole world in one thread and in virtual time: the real engine and the real Stripe connector, the in-memory store, the
//! sandbox behind the HTTP port, webhooks delivered into the intake. Tokio's paused clock moves on by itself when nobody has
//! anything to do, so waiting costs nothing and no test sleeps for real.
#![allow(dead_code, unreachable_pub)]

pub mod hub;
mod ports;
mod rows;
pub mod service;

pub use ports::TestClock;
use ports::{TestHttp, TestRandom, TestTasks};
pub use rows::record;

use bothways_connector::{Connector, Unverified};
use bothways_connector_sandbox::{Config, Fault, Stripe};
use bothways_engine::{
    Clock, Engine, Intake, Loaded, Operations, PlanAccount, PlanItem, PlanSink, PlanTotals, Ports, Received,
    Settings,
};
use bothways_mapping::{Mapping, SourceFile};
use bothways_model::{Catalog, ConnectionName, LocalId, LocalRow, PairId, RemoteId, Timestamp, Value};
use bothways_queue::MemoryQueue;
use bothways_store::MemoryStore;
use bothways_store::{Capture, Link, LinkFilter, Links, Pairs, ParkedFilter, Rows, Work, WorkQueue};
use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

const KEY: &str = "sk_test_harness";

/// How a world is set up.
#[derive(Clone)]
pub struct Setup {
    /// Deliver webhooks.
    pub webhooks: bool,
    /// The mapping document.
    pub mapping: String,
    /// The catalog document.
    pub catalog: String,
    /// More documents: other catalogs and their mappings, on the same connection.
    pub more: Vec<SourceFile>,
    /// Connections that mean other accounts, with their keys.
    pub accounts: Vec<(&'static str, &'static str)>,
    /// The service can say whose account the credentials mean.
    pub account: bool,
    /// Skip first contact: both sides are known to be empty.
    pub walked: bool,
    /// Approve the pair at start.
    pub approved: bool,
    /// The engine's pace.
    pub settings: Settings,
    /// Sandbox seed.
    pub seed: u64,
    /// What the user's table is like: unique columns, defaults, triggers.
    pub table: fn(MemoryStore) -> MemoryStore,
}

pub const CATALOG: &str = r#"
catalog: customers
table: customers
key: id
fields: { id: int, name: text?, email: text?, phone: text?, note: text? }
"#;

/// A mapping of name, email and phone with these policy lines.
pub fn mapping(policies: &str) -> String {
    format!(
        r#"
mapping: stripe-customers
local: customers
remote: stripe/customers
identity: {{ match: [email], stamp: $.metadata.bothways }}
fields:
  email: {{ remote: $.email, normalize: [trim, lower] }}
  name: $.name
  phone: $.phone
{policies}
"#
    )
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            webhooks: true,
            mapping: mapping("sync: { feed: never, reconcile: never }"),
            catalog: CATALOG.into(),
            more: Vec::new(),
            accounts: Vec::new(),
            account: true,
            walked: true,
            approved: true,
            settings: Settings::default(),
            seed: 7,
            table: |store| store,
        }
    }
}

impl Setup {
    /// With these policy lines instead of the default ones.
    pub fn with(policies: &str) -> Self {
        Self { mapping: mapping(policies), ..Self::default() }
    }
}

/// The world.
pub struct World {
    pub setup: Setup,
    pub store: Arc<MemoryStore>,
    pub stripe: Arc<Mutex<Stripe>>,
    pub clock: Arc<TestClock>,
    pub engine: Arc<Engine>,
    pub intake: Intake,
    pub ops: Operations,
    /// The mapping of customers.
    pub mapping: Arc<Mapping>,
    /// All mappings.
    mappings: Vec<Arc<Mapping>>,
    pub secret: String,
    pub endpoint: String,
    http: Arc<TestHttp>,
    tasks: Arc<TestTasks>,
    random: Arc<TestRandom>,
    deliveries: Option<AbortHandle>,
    hold_webhooks: Arc<Mutex<bool>>,
}

/// Takes a plan in.
#[derive(Default)]
struct Items(Vec<PlanItem>);

impl PlanSink for Items {
    fn begin(&mut self, _: &PlanAccount) {}

    fn item(&mut self, item: PlanItem) {
        self.0.push(item);
    }
}

/// The checked mappings, the one of customers first, and all catalogs.
fn load(setup: &Setup) -> (Vec<Arc<Mapping>>, Vec<Catalog>) {
    let mut files = vec![
        SourceFile::new("customers.yaml", setup.catalog.clone()),
        SourceFile::new("stripe-customers.yaml", setup.mapping.clone()),
    ];
    files.extend(setup.more.iter().cloned());
    let lines = bothways_connector_stripe::DOCUMENT.lines();
    let document: Vec<&str> = lines.filter(|line| setup.account || !line.starts_with("account:")).collect();
    let builtin = [SourceFile::new(bothways_connector_stripe::DOCUMENT_NAME, document.join("\n"))];
    let loaded = bothways_mapping::load(&files, &builtin);
    let findings: Vec<String> =
        loaded.findings.iter().map(|f| format!("{:?}: {}", f.code, f.message)).collect();
    let project = loaded.project.unwrap_or_else(|| panic!("{findings:#?}"));
    let mut mappings = project.mappings;
    mappings.sort_by_key(|mapping| mapping.catalog.name != "customers");
    (mappings, project.catalogs.values().map(|catalog| (**catalog).clone()).collect())
}

impl World {
    /// Builds a world and starts its engine.
    pub async fn new(setup: Setup) -> Self {
        let mut world = Self::stopped(setup).await;
        world.start().await;
        world
    }

    /// Builds a world whose engine is not started yet.
    pub async fn stopped(setup: Setup) -> Self {
        let clock = Arc::new(TestClock { start: Instant::now(), ahead: AtomicI64::new(0) });
        let config = Config { seed: setup.seed, account: Some("acct_test".into()), ..Config::default() };
        let mut stripe = Stripe::new(config);
        let (endpoint, secret) =
            stripe.dashboard_endpoint("http://127.0.0.1:1/hooks/stripe", &[], clock.truth()).unwrap();
        let (mappings, catalogs) = load(&setup);
        let store = Arc::new((setup.table)(MemoryStore::new(catalogs)));
        let stripe = Arc::new(Mutex::new(stripe));
        let account = |name: &str, seed: u64| {
            Stripe::new(Config { seed, account: Some(format!("acct_{name}")), ..Config::default() })
        };
        let numbered = setup.accounts.iter().zip(100..);
        let others =
            numbered.map(|((name, _), seed)| ((*name).into(), Arc::new(Mutex::new(account(name, seed)))));
        let http = Arc::new(TestHttp {
            stripe: stripe.clone(),
            others: others.collect(),
            clock: clock.clone(),
            latency: Mutex::new(Duration::from_millis(20)),
            down: Mutex::new(false),
            quota: Mutex::default(),
        });
        let random = Arc::new(TestRandom { count: AtomicU64::new(1) });
        let tasks = Arc::new(TestTasks::default());
        let (engine, intake) =
            build(&setup, &store, &http, &clock, &random, &tasks, &mappings, &secret).await;
        Self {
            ops: Operations::new(engine.clone()),
            setup,
            store,
            stripe,
            clock,
            engine,
            intake,
            mapping: mappings[0].clone(),
            mappings,
            secret,
            endpoint,
            http,
            tasks,
            random,
            deliveries: None,
            hold_webhooks: Arc::default(),
        }
    }

    pub async fn start(&mut self) {
        if self.setup.approved {
            for pair in self.engine.pairs() {
                self.ops.approve(Some(&pair.mapping.name), "test").await.unwrap();
            }
        }
        if self.setup.walked {
            // A moment ago: what is inserted from here on is no first import.
            let walked = self.clock.now() - TimeDelta::seconds(1);
            for pair in self.engine.pairs() {
                self.store.set_walked(pair.id, walked).await.unwrap();
            }
            self.engine.refresh_pairs().await.unwrap();
        }
        self.engine.start();
        if self.setup.webhooks {
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        let (stripe, clock, intake) = (self.stripe.clone(), self.clock.clone(), self.intake.clone());
        let hold = self.hold_webhooks.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(30)).await;
                let now = clock.truth();
                let due = {
                    let mut stripe = stripe.lock().unwrap();
                    stripe.tick(now);
                    if *hold.lock().unwrap() { Vec::new() } else { stripe.due_deliveries(now) }
                };
                for delivery in due {
                    let unverified =
                        Unverified { headers: delivery.headers.clone(), body: delivery.body.clone() };
                    let received = intake.receive(&ConnectionName::from("stripe"), unverified).await;
                    let status = match received {
                        Received::Accepted { .. } => 200,
                        Received::StoreFailed => 503,
                        _ => 401,
                    };
                    stripe.lock().unwrap().delivered(&delivery.id, Some(status), clock.truth());
                }
            }
        });
        self.deliveries = Some(task.abort_handle());
    }

    /// Holds webhooks back, or lets them flow.
    pub fn hold_webhooks(&self, hold: bool) {
        *self.hold_webhooks.lock().unwrap() = hold;
    }

    /// Takes out what is due to be delivered, without delivering it.
    pub fn take_deliveries(&self) -> Vec<Unverified> {
        let now = self.clock.now() + TimeDelta::seconds(2);
        let due = self.stripe().due_deliveries(now);
        due.into_iter().map(|d| Unverified { headers: d.headers, body: d.body }).collect()
    }

    /// Kills the engine where it stands: every task is dropped at its present await.
    pub fn kill(&mut self) {
        self.tasks.kill();
        if let Some(deliveries) = self.deliveries.take() {
            deliveries.abort();
        }
    }

    /// Starts a new incarnation on the same store.
    pub async fn restart(&mut self) {
        self.reopen().await;
        self.engine.start();
        if self.setup.webhooks {
            self.deliver();
        }
    }

    /// A new incarnation on the same store that does nothing by itself.
    pub async fn reopen(&mut self) {
        self.tasks = Arc::new(TestTasks::default());
        let (engine, intake) = build(
            &self.setup,
            &self.store,
            &self.http,
            &self.clock,
            &self.random,
            &self.tasks,
            &self.mappings,
            &self.secret,
        )
        .await;
        self.ops = Operations::new(engine.clone());
        self.engine = engine;
        self.intake = intake;
    }

    /// The documents change while nothing runs: the next start reads this mapping.
    pub fn change_mapping(&mut self, text: &str) {
        self.setup.mapping = text.to_owned();
        (self.mappings, _) = load(&self.setup);
        self.mapping = self.mappings[0].clone();
    }

    /// Starts a new incarnation with these policy lines instead of the present ones.
    pub async fn remap(&mut self, policies: &str) {
        self.kill();
        self.change_mapping(&mapping(policies));
        self.restart().await;
    }

    /// The plan of the mapping as it is written.
    pub async fn plan(&self) -> (PlanTotals, Vec<PlanItem>) {
        let mut items = Items::default();
        let totals = self.ops.plan(None, &mut items).await.unwrap();
        (totals, items.0)
    }

    /// The engine's ports, for what is built beside it.
    pub fn ports(&self) -> Ports {
        Ports {
            clock: self.clock.clone(),
            random: self.random.clone(),
            tasks: self.tasks.clone(),
            http: self.http.clone(),
        }
    }

    pub fn stripe(&self) -> MutexGuard<'_, Stripe> {
        self.stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account that another connection means.
    pub fn account(&self, connection: &str) -> MutexGuard<'_, Stripe> {
        self.http.others[&ConnectionName::from(connection)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_down(&self, down: bool) {
        *self.http.down.lock().unwrap() = down;
    }

    pub fn set_latency(&self, latency: Duration) {
        *self.http.latency.lock().unwrap() = latency;
    }

    pub fn fault(&self, fault: Fault) {
        self.stripe().inject(fault);
    }

    /// How often a kind of fault fired.
    pub fn fired(&self, kind: &str) -> u64 {
        self.stripe().fired().get(kind).copied().unwrap_or(0)
    }

    pub fn pair(&self) -> PairId {
        self.engine.pairs().next().unwrap().id
    }

    /// The pair of a catalog.
    pub fn pair_of(&self, catalog: &str) -> PairId {
        self.engine.pairs().find(|pair| pair.mapping.catalog.name == catalog).unwrap().id
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Inserts a row as another program would, and returns its id.
    pub fn insert(&self, fields: &[(&str, &str)]) -> LocalId {
        self.store.foreign().insert("customers", record(fields), self.now()).unwrap()
    }

    pub fn update(&self, id: &LocalId, fields: &[(&str, &str)]) {
        assert!(self.store.foreign().update("customers", id, record(fields), self.now()).unwrap());
    }

    pub fn delete(&self, id: &LocalId) {
        assert!(self.store.foreign().delete("customers", id, self.now()).unwrap());
    }

    pub async fn row(&self, id: &LocalId) -> Option<LocalRow> {
        self.store.row("customers", id).await.unwrap()
    }

    pub async fn rows(&self) -> Vec<LocalRow> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.rows("customers", None, after.as_ref(), 500).await.unwrap();
            all.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }

    /// The value of a text field of a row; `None` for null.
    pub async fn local(&self, id: &LocalId, field: &str) -> Option<String> {
        match self.row(id).await.expect("the row is there").fields.get(field) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// Creates a customer in the dashboard.
    pub fn remote_create(&self, fields: Json) -> RemoteId {
        let now = self.now();
        let made = self.stripe().dashboard_create(&fields, now).unwrap();
        RemoteId(made["id"].as_str().unwrap().to_owned())
    }

    pub fn remote_update(&self, id: &RemoteId, fields: Json) {
        let now = self.now();
        self.stripe().dashboard_update(id.as_str(), &fields, now).unwrap();
    }

    pub fn remote_delete(&self, id: &RemoteId) {
        let now = self.now();
        self.stripe().dashboard_delete(id.as_str(), now).unwrap();
    }

    /// All live customers.
    pub fn customers(&self) -> Vec<Json> {
        self.stripe().customers()
    }

    pub fn customer(&self, id: &RemoteId) -> Option<Json> {
        self.stripe().customer(id.as_str())
    }

    /// A text field of a customer.
    pub fn remote(&self, id: &RemoteId, field: &str) -> Option<String> {
        self.customer(id).expect("the customer is there")[field].as_str().map(str::to_owned)
    }

    /// How many API writes changed anything.
    #[allow(clippy::misnamed_getters)]
    pub fn writes(&self) -> u64 {
        self.stripe().counts().effective_writes
    }

    pub async fn links(&self) -> Vec<Link> {
        self.store.links(&LinkFilter::default(), None, 100_000).await.unwrap()
    }

    pub async fn link_of(&self, id: &LocalId) -> Link {
        let links = self.store.links_of_local(self.pair(), std::slice::from_ref(id)).await.unwrap();
        links.into_iter().next().flatten().expect("the row is linked")
    }

    pub async fn parked(&self) -> Vec<Work> {
        self.store.parked(&ParkedFilter::default(), None, 1000).await.unwrap()
    }

    /// Waits, in virtual time, until `met` says so.
    pub async fn until(&self, what: &str, limit: Duration, mut met: impl AsyncFnMut(&Self) -> bool) {
        let end = Instant::now() + limit;
        loop {
            if met(self).await {
                return;
            }
            if Instant::now() >= end {
                let links = self.links().await;
                let parked = self.parked().await;
                let counts = self.store.counts(self.pair()).await;
                let brakes = self.ops.brakes().await;
                panic!(
                    "not met after {limit:?}: {what}\nlinks {links:#?}\nparked {parked:#?}\nbrakes {brakes:#?}\ncounts {counts:#?}\ncustomers {:#?}",
                    self.customers()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until nothing is captured, due, in flight or on its way by webhook.
    pub async fn settle(&self) {
        let mut calm = 0;
        self.until("quiescence", Duration::from_secs(1800), async |world: &Self| {
            let (mut pending, mut intents) = (0, 0);
            for pair in world.engine.pairs() {
                let counts = world.store.counts(pair.id).await.unwrap();
                (pending, intents) = (pending + counts.pending, intents + counts.intents);
            }
            let held = *world.hold_webhooks.lock().unwrap() || !world.setup.webhooks;
            let on_the_way = !held && world.stripe().open_deliveries() > 0;
            let relayed = world.store.relay(world.now(), 1).await.unwrap();
            let replanned = world.parked().await.iter().any(|w| w.due.is_some_and(|due| due <= world.now()));
            let busy = replanned || pending > 0 || intents > 0 || on_the_way || relayed.entries > 0;
            calm = if busy { 0 } else { calm + 1 };
            calm >= 4
        })
        .await;
    }

    /// Asserts that every live row and customer are one and the same, field by field.
    pub async fn assert_in_step(&self) {
        let rows = self.rows().await;
        let links = self.links().await;
        let customers = self.customers();
        let live: Vec<&Link> = links.iter().filter(|l| l.state.is_live()).collect();
        assert_eq!(rows.len(), customers.len(), "rows {rows:#?}\ncustomers {customers:#?}");
        assert_eq!(live.len(), rows.len(), "links {links:#?}");
        for row in &rows {
            let link =
                live.iter().find(|l| l.local_id.as_ref() == Some(&row.id)).expect("every row is linked");
            let id = link.remote_id.as_ref().expect("every link has a record");
            let customer =
                customers.iter().find(|c| c["id"] == json!(id.as_str())).expect("the linked customer exists");
            let reading = self.mapping.read_remote(customer);
            for field in &self.mapping.fields {
                let local = row.fields.get(field.local_name()).cloned().unwrap_or(Value::Null);
                let remote = reading.record.get(&field.label).cloned().unwrap_or(Value::Null);
                if !field.same(&local, &remote) {
                    let filter = bothways_store::HistoryFilter { link: Some(link.id), ..Default::default() };
                    let history = self.ops.history(&filter, None, 50).await.unwrap();
                    let intents = self.store.intents(link.id, 50).await.unwrap();
                    panic!(
                        "{}: {local:?} / {remote:?} of row {}\n{link:#?}\n{intents:#?}\n{history:#?}\n{:#?}",
                        field.label,
                        row.id,
                        self.stripe()
                            .events()
                            .iter()
                            .filter(|e| e["data"]["object"]["id"] == json!(id.as_str()))
                            .collect::<Vec<_>>()
                    );
                }
            }
        }
    }
}

#[allow(clippy::too_many_arguments)]
async fn build(
    setup: &Setup,
    store: &Arc<MemoryStore>,
    http: &Arc<TestHttp>,
    clock: &Arc<TestClock>,
    random: &Arc<TestRandom>,
    tasks: &Arc<TestTasks>,
    mappings: &[Arc<Mapping>],
    secret: &str,
) -> (Arc<Engine>, Intake) {
    let accounts: BTreeMap<String, &str> = setup
        .accounts
        .iter()
        .chain(&[("stripe", KEY)])
        .map(|(name, key)| (name.to_uppercase(), *key))
        .collect();
    let lookup = |name: &str| match name.split_once('_')? {
        (account, "API_KEY") => accounts.get(account).map(|key| (*key).to_owned()),
        (_, "BASE_URL") => Some("http://127.0.0.1:1".to_owned()),
        (_, "RATE") => Some("100000/s".to_owned()),
        ("STRIPE", "WEBHOOK_SECRET") => Some(secret.to_owned()),
        _ => None,
    };
    let mut connectors: BTreeMap<ConnectionName, Arc<dyn Connector>> = BTreeMap::new();
    for mapping in mappings {
        let name = &mapping.remote.connection;
        let resolved = mapping.connector.resolve(name, &lookup).unwrap();
        let open = || Arc::new(bothways_connector_stripe::connector(resolved).unwrap()) as Arc<dyn Connector>;
        connectors.entry(name.clone()).or_insert_with(open);
    }
    let ports =
        Ports { clock: clock.clone(), random: random.clone(), tasks: tasks.clone(), http: http.clone() };
    let load = |mapping: &Arc<Mapping>| Loaded {
        mapping: mapping.clone(),
        connection: mapping.remote.connection.clone(),
        connector: connectors[&mapping.remote.connection].clone(),
    };
    let loaded: Vec<Loaded> = mappings.iter().map(load).collect();
    let queue = Arc::new(MemoryQueue::default());
    let engine = Engine::open(store.clone(), queue, ports, &loaded, &[], setup.settings).await.unwrap();
    let intake = Intake::new(engine.clone());
    (engine, intake)
}
