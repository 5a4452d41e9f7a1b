//! One catalog on two services at once, in virtual time: Stripe and Salesforce behind one HTTP port, the in-memory store between.

use super::ports::{TestRandom, TestTasks, arrives};
use super::{TestClock, record};
use async_trait::async_trait;
use bothways_connector::Connector;
use bothways_connector_sandbox::salesforce::Salesforce;
use bothways_connector_sandbox::{Stripe, salesforce};
use bothways_engine::{
    Clock, Engine, HourOfCalls, Http, Loaded, Operations, Ports, Purpose, SendError, Settings, Vault,
};
use bothways_mapping::{Mapping, SourceFile};
use bothways_model::{
    ConnectionName, LocalId, Method, PairId, RemoteId, Request, Response, Secret, Timestamp, Value,
};
use bothways_queue::MemoryQueue;
use bothways_store::{
    Capture, Link, LinkFilter, Links, MemoryStore, Pairs, Parked, ParkedFilter, Pause, Rows, Work, WorkQueue,
};
use chrono::TimeDelta;
use serde_json::Value as Json;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// 32 bytes in Base64.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How a hub is set up.
pub struct Plan {
    /// The catalog.
    pub catalog: String,
    /// The mappings of it.
    pub mappings: Vec<String>,
    /// The organisation.
    pub org: salesforce::Config,
    /// Variables of connections.
    pub vars: Vec<(String, String)>,
    /// The engine's pace.
    pub settings: Settings,
}

/// What both services and all engines share.
pub struct Hub {
    pub plan: Plan,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<TestClock>,
    pub mappings: Vec<Arc<Mapping>>,
    services: Arc<Services>,
    random: Arc<TestRandom>,
}

/// One engine process of a hub.
pub struct Process {
    pub engine: Arc<Engine>,
    pub ops: Operations,
    tasks: Arc<TestTasks>,
}

struct Services {
    stripe: Mutex<Stripe>,
    org: Mutex<Salesforce>,
    clock: Arc<TestClock>,
    /// Requests to the token endpoint that were answered.
    tokens: AtomicU64,
    /// Whether one was since somebody asked for a death.
    granted: Mutex<bool>,
    /// Where the process that gets there dies: what it waits for never comes.
    dies: Mutex<Option<Death>>,
    died: AtomicBool,
    /// What somebody does at the organisation as soon as the next write there was carried out.
    meanwhile: Mutex<Option<Meanwhile>>,
    /// The next write there is held up on its way, and its answer lost.
    holds_write: AtomicBool,
    held_write: Mutex<Option<Request>>,
    /// What the port says of the day's calls.
    spent: Mutex<Vec<HourOfCalls>>,
    /// What each process told it of the calls before.
    recalled: Mutex<Vec<Vec<HourOfCalls>>>,
    /// Whether answers of the token endpoint are held back.
    holds_tokens: watch::Sender<bool>,
}

type Meanwhile = Box<dyn FnOnce(&mut Salesforce, bothways_model::Timestamp) + Send>;

/// Where a process dies.
#[derive(Clone, Copy, PartialEq)]
enum Death {
    /// A token was granted, and not taken in.
    AtToken,
    /// A token was granted, and goes out for the first time.
    AtUse,
}

impl Services {
    async fn die_at(&self, here: Death) {
        if *self.dies.lock().unwrap() == Some(here) {
            *self.dies.lock().unwrap() = None;
            self.died.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Http for Services {
    async fn send(
        &self,
        connection: &ConnectionName,
        _: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let is_token = request.url.ends_with("/services/oauth2/token");
        if !is_token && *self.granted.lock().unwrap() {
            self.die_at(Death::AtUse).await;
        }
        if request.method == Method::Patch && self.holds_write.swap(false, Ordering::Relaxed) {
            *self.held_write.lock().unwrap() = Some(request);
            tokio::time::sleep(deadline).await;
            return Err(SendError::Lost("timeout".into()));
        }
        let now = self.clock.truth();
        let answer = match connection.as_str() {
            "stripe" => self.stripe.lock().unwrap().handle(&request, now),
            _ => {
                let mut org = self.org.lock().unwrap();
                let answer = org.handle(&request, now);
                if request.method == Method::Patch
                    && let Some(meanwhile) = self.meanwhile.lock().unwrap().take()
                {
                    meanwhile(&mut org, now);
                }
                answer
            }
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
        if is_token {
            self.tokens.fetch_add(1, Ordering::Relaxed);
            let _ = self.holds_tokens.subscribe().wait_for(|held| !held).await;
            *self.granted.lock().unwrap() = true;
            self.die_at(Death::AtToken).await;
        }
        arrives(answer, deadline).await
    }

    fn calls_of_day(&self, connection: &ConnectionName, _: Timestamp) -> Vec<HourOfCalls> {
        let salesforce = connection.as_str() == "salesforce";
        if salesforce { self.spent.lock().unwrap().clone() } else { Vec::new() }
    }

    fn recall(&self, _: &ConnectionName, _: Timestamp, calls: &[HourOfCalls]) {
        self.recalled.lock().unwrap().push(calls.to_vec());
    }
}

impl Hub {
    pub fn new(plan: Plan) -> Self {
        let clock = Arc::new(TestClock { start: Instant::now(), ahead: AtomicI64::new(0) });
        let mut files = vec![SourceFile::new("catalog.yaml", plan.catalog.clone())];
        for (n, mapping) in plan.mappings.iter().enumerate() {
            files.push(SourceFile::new(format!("mapping-{n}.yaml"), mapping.clone()));
        }
        let builtin = [
            SourceFile::new(bothways_connector_stripe::DOCUMENT_NAME, bothways_connector_stripe::DOCUMENT),
            SourceFile::new(
                bothways_connector_salesforce::DOCUMENT_NAME,
                bothways_connector_salesforce::DOCUMENT,
            ),
        ];
        let loaded = bothways_mapping::load(&files, &builtin);
        let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
        let store = MemoryStore::new(project.catalogs.values().map(|catalog| (**catalog).clone()));
        let services = Arc::new(Services {
            stripe: Mutex::new(Stripe::new(bothways_connector_sandbox::Config::default())),
            org: Mutex::new(Salesforce::new(plan.org.clone())),
            clock: clock.clone(),
            tokens: AtomicU64::new(0),
            granted: Mutex::new(false),
            dies: Mutex::new(None),
            died: AtomicBool::new(false),
            meanwhile: Mutex::new(None),
            holds_write: AtomicBool::new(false),
            held_write: Mutex::new(None),
            spent: Mutex::default(),
            recalled: Mutex::default(),
            holds_tokens: watch::Sender::new(false),
        });
        let random = Arc::new(TestRandom { count: AtomicU64::new(1) });
        Self { plan, store: Arc::new(store), clock, mappings: project.mappings, services, random }
    }

    /// An engine process that is not started yet.
    pub async fn process(&self) -> Process {
        let tasks = Arc::new(TestTasks::default());
        let ports = Ports {
            clock: self.clock.clone(),
            random: self.random.clone(),
            tasks: tasks.clone(),
            http: self.services.clone(),
        };
        let loaded: Vec<Loaded> = self.mappings.iter().map(|mapping| self.loaded(mapping)).collect();
        let queue = Arc::new(MemoryQueue::default());
        let store = self.store.clone();
        let engine = Engine::open(store, queue, ports, &loaded, &[], self.plan.settings).await.unwrap();
        engine.set_vault(Vault::parse(&Secret::new(KEY)).unwrap());
        Process { ops: Operations::new(engine.clone()), engine, tasks }
    }

    /// A process that runs, with every pair approved and both sides known to be empty.
    pub async fn run(&self) -> Process {
        let process = self.process().await;
        for mapping in &self.mappings {
            process.ops.approve(Some(&mapping.name), "test").await.unwrap();
        }
        let walked = self.clock.now() - TimeDelta::seconds(1);
        for pair in process.engine.pairs() {
            self.store.set_walked(pair.id, walked).await.unwrap();
        }
        process.engine.refresh_pairs().await.unwrap();
        process.engine.start();
        process
    }

    fn loaded(&self, mapping: &Arc<Mapping>) -> Loaded {
        let connection = mapping.remote.connection.clone();
        let usual = |name: &str| match name {
            "STRIPE_API_KEY" => Some("sk_test_hub".to_owned()),
            "STRIPE_BASE_URL" | "SALESFORCE_INSTANCE_URL" => Some("http://127.0.0.1:1".to_owned()),
            "SALESFORCE_CLIENT_ID" => Some(self.plan.org.client_id.clone()),
            "SALESFORCE_CLIENT_SECRET" => Some(self.plan.org.client_secret.clone()),
            "STRIPE_RATE" | "SALESFORCE_RATE" => Some("100000/s".to_owned()),
            _ => None,
        };
        let said =
            |name: &str| self.plan.vars.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let lookup = |name: &str| said(name).or_else(|| usual(name));
        let resolved = mapping.connector.resolve(&connection, &lookup).unwrap();
        let connector: Arc<dyn Connector> = match mapping.connector.name.as_str() {
            "stripe" => Arc::new(bothways_connector_stripe::connector(resolved).unwrap()),
            _ => Arc::new(bothways_connector_salesforce::connector(resolved).unwrap()),
        };
        Loaded { mapping: mapping.clone(), connection, connector }
    }

    pub fn org(&self) -> MutexGuard<'_, Salesforce> {
        self.services.org.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stripe(&self) -> MutexGuard<'_, Stripe> {
        self.services.stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next write to the organisation is held up on its way.
    pub fn hold_a_write(&self) {
        self.services.holds_write.store(true, Ordering::Relaxed);
    }

    /// What was held up arrives. False if nothing was.
    pub fn let_it_arrive(&self) -> bool {
        let held = self.services.held_write.lock().unwrap().take();
        let now = self.clock.truth();
        held.is_some_and(|request| {
            self.org().handle(&request, now).response().is_some_and(|r| r.status < 300)
        })
    }

    /// Somebody does this at the organisation between the next write there and whatever comes after it.
    pub fn right_after_a_write(
        &self,
        meanwhile: impl FnOnce(&mut Salesforce, bothways_model::Timestamp) + Send + 'static,
    ) {
        *self.services.meanwhile.lock().unwrap() = Some(Box::new(meanwhile));
    }

    /// From now on the port says this of the day's calls.
    pub fn spend(&self, calls: &[HourOfCalls]) {
        *self.services.spent.lock().unwrap() = calls.to_vec();
    }

    /// What each process told the port of the calls before it.
    pub fn recalled(&self) -> Vec<Vec<HourOfCalls>> {
        self.services.recalled.lock().unwrap().clone()
    }

    /// How often the token endpoint was asked.
    pub fn token_requests(&self) -> u64 {
        self.services.tokens.load(Ordering::Relaxed)
    }

    /// Holds the answers of the token endpoint back, or lets them go.
    pub fn hold_tokens(&self, hold: bool) {
        self.services.holds_tokens.send_replace(hold);
    }

    /// Whoever asks for a token next gets no further: it is granted, and not taken in.
    pub fn die_at_token(&self) {
        self.die(Death::AtToken);
    }

    /// Whoever gets a token next gets no further than to its first use.
    pub fn die_at_use(&self) {
        self.die(Death::AtUse);
    }

    fn die(&self, at: Death) {
        *self.services.granted.lock().unwrap() = false;
        *self.services.dies.lock().unwrap() = Some(at);
        self.services.died.store(false, Ordering::Relaxed);
    }

    /// Whether somebody has died there.
    pub fn has_died(&self) -> bool {
        self.services.died.load(Ordering::Relaxed)
    }

    /// The pair of a connection.
    pub async fn pair(&self, connection: &str) -> PairId {
        let pairs = self.store.pairs().await.unwrap();
        pairs.into_iter().find(|pair| pair.spec.connection.as_str() == connection).expect("a pair").id
    }

    pub fn catalog(&self) -> &str {
        &self.mappings[0].catalog.name
    }

    /// Inserts a row as another program would.
    pub fn insert(&self, fields: &[(&str, &str)]) -> LocalId {
        self.store.foreign().insert(self.catalog(), record(fields), self.clock.now()).unwrap()
    }

    pub fn update(&self, id: &LocalId, fields: &[(&str, &str)]) {
        let catalog = self.catalog();
        assert!(self.store.foreign().update(catalog, id, record(fields), self.clock.now()).unwrap());
    }

    pub fn delete(&self, id: &LocalId) {
        assert!(self.store.foreign().delete(self.catalog(), id, self.clock.now()).unwrap());
    }

    /// A text field of a row; `None` for null.
    pub async fn local(&self, id: &LocalId, field: &str) -> Option<String> {
        let row = self.store.row(self.catalog(), id).await.unwrap().expect("the row is there");
        match row.fields.get(field) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub async fn row_count(&self) -> u64 {
        self.store.count_rows(self.catalog()).await.unwrap()
    }

    /// The record of a row at a connection.
    pub async fn remote_id(&self, connection: &str, id: &LocalId) -> RemoteId {
        let pair = self.pair(connection).await;
        let links = self.store.links_of_local(pair, std::slice::from_ref(id)).await.unwrap();
        links.into_iter().next().flatten().and_then(|link| link.remote_id).expect("the row is linked")
    }

    pub async fn links(&self) -> Vec<Link> {
        self.store.links(&LinkFilter::default(), None, 100_000).await.unwrap()
    }

    pub async fn parked(&self) -> Vec<(Work, Parked)> {
        let parked = self.store.parked(&ParkedFilter::default(), None, 1000).await.unwrap();
        parked.into_iter().filter_map(|work| work.parked.clone().map(|parked| (work, parked))).collect()
    }

    pub async fn pauses(&self) -> Vec<Pause> {
        self.store.pauses().await.unwrap()
    }

    /// An organisation's record as a person sees it.
    pub fn sobject(&self, id: &RemoteId) -> Json {
        self.org().record(id.as_str()).expect("the record is there")
    }

    /// Waits, in virtual time, until `met` says so.
    pub async fn until(&self, what: &str, mut met: impl AsyncFnMut(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(1800);
        while !met(self).await {
            if Instant::now() >= end {
                let links = self.links().await;
                let (parked, pauses) = (self.parked().await, self.pauses().await);
                panic!("not met: {what}\nlinks {links:#?}\nparked {parked:#?}\npauses {pauses:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until nothing is captured, due or in flight, and each list has been read again since.
    pub async fn settle(&self) {
        let polled = Instant::now() + Duration::from_secs(150);
        let mut calm = 0;
        self.until("quiescence", async |hub: &Self| {
            let mut busy = Instant::now() < polled;
            for pair in hub.store.pairs().await.unwrap() {
                let counts = hub.store.counts(pair.id).await.unwrap();
                busy |= counts.pending > 0 || counts.intents > 0;
            }
            busy |= hub.store.relay(hub.clock.now(), 1).await.unwrap().entries > 0;
            calm = if busy { 0 } else { calm + 1 };
            calm >= 4
        })
        .await;
    }
}

impl Process {
    /// How many of its tasks of this name run.
    pub fn running_as(&self, name: &str) -> usize {
        self.tasks.running_as(name)
    }

    /// Kills it where it stands.
    pub fn kill(self) {
        self.tasks.kill();
    }
}
