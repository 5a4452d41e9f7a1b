//! A world around a service that a document alone describes: the real engine, the document's connector, the in-memory store, virtual time.

use super::hub::KEY;
use super::ports::{TestClock, TestRandom, TestTasks};
use super::record;
use async_trait::async_trait;
use bothways_connector::Connector;
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_engine::{Clock, Engine, Http, Loaded, Operations, Ports, Purpose, SendError, Settings, Vault};
use bothways_mapping::{Mapping, SourceFile};
use bothways_model::{
    Catalog, ConnectionName, LocalId, LocalRow, PairId, Request, Response, Secret, Timestamp, Value,
};
use bothways_queue::MemoryQueue;
use bothways_store::{Link, LinkFilter, Links, MemoryStore, Pairs, ParkedFilter, Rows, Work, WorkQueue};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A stand-in of a service.
pub trait Service: Send + 'static {
    /// Answers one request at the service's time.
    fn answer(&mut self, request: &Request, now: Timestamp) -> Response;
}

struct ServiceHttp<S> {
    service: Arc<Mutex<S>>,
    clock: Arc<TestClock>,
}

#[async_trait]
impl<S: Service> Http for ServiceHttp<S> {
    async fn send(
        &self,
        _connection: &ConnectionName,
        _purpose: Purpose,
        request: Request,
        _deadline: Duration,
    ) -> Result<Response, SendError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(self.service.lock().unwrap().answer(&request, self.clock.truth()))
    }
}

/// The world.
pub struct ServiceWorld<S> {
    pub service: Arc<Mutex<S>>,
    pub store: Arc<MemoryStore>,
    pub engine: Arc<Engine>,
    pub ops: Operations,
    pub mapping: Arc<Mapping>,
    /// The code of each finding about the documents.
    pub findings: Vec<String>,
    clock: Arc<TestClock>,
}

impl<S: Service> ServiceWorld<S> {
    /// A world whose engine is not started yet. `documents` hold connector, catalog and mapping; `vars` its variables.
    pub async fn stopped(documents: &str, vars: &[(&str, &str)], service: S) -> Self {
        let loaded = bothways_mapping::load(&[SourceFile::new("all.yaml", documents)], &[]);
        let findings = loaded.findings.iter().map(|f| f.code.to_string()).collect();
        let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
        let mapping = project.mappings[0].clone();
        let connection = ConnectionName(mapping.connector.name.clone());
        let lookup = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let resolved = mapping.connector.resolve(&connection, &lookup).unwrap();
        let connector: Arc<dyn Connector> =
            Arc::new(RestConnector::new(resolved, Vendor::default()).unwrap());
        let clock = Arc::new(TestClock { start: Instant::now(), ahead: AtomicI64::new(0) });
        let catalog: Catalog = (*mapping.catalog).clone();
        let store = Arc::new(MemoryStore::new([catalog]));
        let service = Arc::new(Mutex::new(service));
        let ports = Ports {
            clock: clock.clone(),
            random: Arc::new(TestRandom { count: AtomicU64::new(1) }),
            tasks: Arc::new(TestTasks::default()),
            http: Arc::new(ServiceHttp { service: service.clone(), clock: clock.clone() }),
        };
        let loaded = [Loaded { mapping: mapping.clone(), connection, connector }];
        let queue = Arc::new(MemoryQueue::default());
        let engine =
            Engine::open(store.clone(), queue, ports, &loaded, &[], Settings::default()).await.unwrap();
        engine.set_vault(Vault::parse(&Secret::new(KEY)).unwrap());
        Self { ops: Operations::new(engine.clone()), service, store, engine, mapping, findings, clock }
    }

    /// Approves the pair and starts the engine: first contact follows.
    pub async fn start(&self) {
        self.ops.approve(None, "test").await.unwrap();
        self.engine.refresh_pairs().await.unwrap();
        self.engine.start();
    }

    /// Lets somebody work at the service.
    pub fn there<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        work(&mut self.service.lock().unwrap())
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn pair(&self) -> PairId {
        self.engine.pairs().next().unwrap().id
    }

    fn table(&self) -> &str {
        self.mapping.catalog.table.as_str()
    }

    /// Inserts a row as another program would, and returns its id.
    pub fn insert(&self, fields: &[(&str, &str)]) -> LocalId {
        self.store.foreign().insert(self.table(), record(fields), self.now()).unwrap()
    }

    pub fn update(&self, id: &LocalId, fields: &[(&str, &str)]) {
        assert!(self.store.foreign().update(self.table(), id, record(fields), self.now()).unwrap());
    }

    pub async fn rows(&self) -> Vec<LocalRow> {
        self.store.rows(self.table(), None, None, 500).await.unwrap().rows
    }

    /// The row whose text field holds this.
    pub async fn row_with(&self, field: &str, value: &str) -> Option<LocalRow> {
        let wanted = Value::Text(value.into());
        self.rows().await.into_iter().find(|row| row.fields.get(field) == Some(&wanted))
    }

    pub async fn links(&self) -> Vec<Link> {
        self.store.links(&LinkFilter::default(), None, 1000).await.unwrap()
    }

    pub async fn parked(&self) -> Vec<Work> {
        self.store.parked(&ParkedFilter::default(), None, 1000).await.unwrap()
    }

    /// Waits, in virtual time, until `met` says so.
    pub async fn until(&self, what: &str, limit: Duration, mut met: impl AsyncFnMut(&Self) -> bool) {
        let end = Instant::now() + limit;
        while !met(self).await {
            if Instant::now() >= end {
                let (links, parked, rows) = (self.links().await, self.parked().await, self.rows().await);
                let counts = self.store.counts(self.pair()).await;
                panic!(
                    "not met after {limit:?}: {what}\nlinks {links:#?}\nparked {parked:#?}\nrows {rows:#?}\ncounts {counts:#?}"
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Lets virtual time go by.
    pub async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
