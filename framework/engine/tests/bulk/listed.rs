//! The incremental list, on a made-up service that has one: equal stamps, late-visible rows, kills, refused pages (rules 52, 53).

use crate::harness::{Setup, World};
use bothways_connector::{
    Connector, Exchange, Feed, Limits, Operation, Outcome, Page, PageCursor, Resource, ResourceQuery, Step,
    StoredRequest, UnknownResource, Webhook,
};
use bothways_engine::{Engine, Loaded, Operations, PassOptions};
use bothways_mapping::Mapping;
use bothways_model::{
    Capabilities, ConnectionName, ErrorClass, Failure, Observed, RemoteId, Response, SingularPath, Timestamp,
};
use bothways_queue::MemoryQueue;
use bothways_store::{Intake, Pairs};
use chrono::TimeDelta;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One record of the service.
#[derive(Clone)]
struct Stored {
    name: String,
    changed_at: Timestamp,
    /// It shows up in lists only from then on, however old its stamp.
    visible_at: Timestamp,
}

/// A service of records that say when they changed.
struct Service {
    records: Mutex<BTreeMap<String, Stored>>,
    clock: Arc<dyn bothways_engine::Clock>,
    limits: Limits,
    capabilities: Capabilities,
    /// How often a list was asked for, and what page to refuse once.
    lists: Mutex<u64>,
    refuse: Mutex<Option<ErrorClass>>,
    /// True while no list gets beyond its first page.
    breaks_off: Mutex<bool>,
}

const PAGE: usize = 200;

impl Service {
    fn put(&self, id: &str, name: &str, changed_at: Timestamp) {
        self.put_late(id, name, changed_at, changed_at);
    }

    fn put_late(&self, id: &str, name: &str, changed_at: Timestamp, visible_at: Timestamp) {
        let stored = Stored { name: name.to_owned(), changed_at, visible_at };
        self.records.lock().unwrap().insert(id.to_owned(), stored);
    }

    fn observed(id: &str, stored: &Stored) -> Observed {
        let body =
            json!({ "id": id, "name": stored.name, "email": format!("{id}@example.com"), "phone": null });
        Observed {
            id: RemoteId(id.to_owned()),
            body: Arc::new(body),
            gone: false,
            changed_at: Some(stored.changed_at),
            version: None,
        }
    }

    /// Records in order of (changed at, id), after the page's cursor.
    fn page(&self, since: Option<Timestamp>, page: Option<PageCursor>) -> Outcome {
        *self.lists.lock().unwrap() += 1;
        if let Some(class) = self
            .refuse
            .lock()
            .unwrap()
            .take_if(|_| page.is_some() || since.is_none_or(|s| s > Timestamp::MIN_UTC))
        {
            return Outcome::Failed(Failure::new(class, "refused by the test"));
        }
        if page.is_some() && *self.breaks_off.lock().unwrap() {
            return Outcome::Failed(Failure::new(ErrorClass::Retry, "broken off by the test"));
        }
        let now = self.clock.now();
        let records = self.records.lock().unwrap();
        let mut visible: Vec<_> = records
            .iter()
            .filter(|(_, r)| r.visible_at <= now && since.is_none_or(|since| r.changed_at >= since))
            .collect();
        visible.sort_by_key(|(id, r)| (r.changed_at, (*id).clone()));
        let from = page.and_then(|p| p.0.parse().ok()).unwrap_or(0);
        let items: Vec<_> =
            visible.iter().skip(from).take(PAGE).map(|(id, r)| Self::observed(id, r)).collect();
        let more = from + items.len() < visible.len();
        Outcome::Page(Page {
            next: more.then(|| PageCursor((from + items.len()).to_string())),
            items,
            date: Some(now),
            token: None,
            covered: None,
        })
    }
}

/// An answer that needs no request.
struct Ready(Option<Outcome>);

impl Exchange for Ready {
    fn next(&mut self, _: Option<Response>) -> Step {
        Step::Done(self.0.take().unwrap())
    }
}

struct Records(Arc<Service>);

impl Resource for Records {
    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn sparse(&self) -> &[SingularPath] {
        &[]
    }

    fn start(&self, operation: Operation) -> Result<Box<dyn Exchange>, Failure> {
        let outcome = match operation {
            Operation::Get { id } => match self.0.records.lock().unwrap().get(id.as_str()) {
                Some(stored) => Outcome::Record(Service::observed(id.as_str(), stored)),
                None => Outcome::Missing,
            },
            Operation::List { page } => self.0.page(None, page),
            Operation::Since { since, page } => self.0.page(Some(since), page),
            _ => return Err(Failure::new(ErrorClass::Invalid, "this service is read-only")),
        };
        Ok(Box::new(Ready(Some(outcome))))
    }

    fn resume(&self, _: StoredRequest) -> Box<dyn Exchange> {
        Box::new(Ready(Some(Outcome::Missing)))
    }

    fn observe(&self, body: serde_json::Value) -> Result<Observed, Failure> {
        let id = RemoteId(body["id"].as_str().unwrap_or_default().to_owned());
        Ok(Observed { id, body: Arc::new(body), gone: false, changed_at: None, version: None })
    }
}

struct Shop(Arc<Service>);

impl Connector for Shop {
    fn name(&self) -> &str {
        "stripe"
    }

    fn account(&self) -> Option<Box<dyn Exchange>> {
        None
    }

    fn resource(&self, _: &ResourceQuery) -> Result<Arc<dyn Resource>, UnknownResource> {
        Ok(Arc::new(Records(self.0.clone())))
    }

    fn webhook(&self) -> Option<&dyn Webhook> {
        None
    }

    fn feed(&self) -> Option<&dyn Feed> {
        None
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }
}

/// A world whose engine talks to the made-up service.
struct Listed {
    world: World,
    service: Arc<Service>,
    mapping: Arc<Mapping>,
}

impl Listed {
    async fn new(poll: Option<Duration>) -> Self {
        let mut world = World::stopped(Setup { webhooks: false, ..Setup::default() }).await;
        let real = world.engine.pairs().next().unwrap().clone();
        let capabilities = Capabilities {
            list: true,
            get: true,
            since: true,
            changed_at: true,
            since_overlap_ms: 2000,
            ..Capabilities::default()
        };
        let service = Arc::new(Service {
            records: Mutex::default(),
            clock: world.clock.clone(),
            limits: real.connector.limits().clone(),
            capabilities,
            lists: Mutex::default(),
            refuse: Mutex::default(),
            breaks_off: Mutex::default(),
        });
        let mut mapping = (*world.mapping).clone();
        mapping.sync.poll = poll;
        world.kill();
        let mut listed = Self { world, service, mapping: Arc::new(mapping) };
        listed.open().await;
        listed
    }

    /// A new incarnation on the same store; its loops run.
    async fn open(&mut self) {
        let loaded = Loaded {
            mapping: self.mapping.clone(),
            connection: ConnectionName::from("stripe"),
            connector: Arc::new(Shop(self.service.clone())),
        };
        let queue = Arc::new(MemoryQueue::default());
        let engine = Engine::open(
            self.world.store.clone(),
            queue,
            self.world.ports(),
            &[loaded],
            &[],
            self.world.setup.settings,
        )
        .await
        .unwrap();
        self.world.ops = Operations::new(engine.clone());
        self.world.engine = engine;
        self.world.start().await;
    }

    async fn rows(&self, count: usize) {
        let minutes = Duration::from_secs(1200);
        self.world.until("the rows", minutes, async |w: &World| w.rows().await.len() == count).await;
        self.world.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_carries_creates_and_edits_in() {
    let listed = Listed::new(Some(Duration::from_secs(5))).await;
    listed.service.put("a", "A", listed.world.now());
    listed.rows(1).await;
    listed.service.put("a", "A2", listed.world.now());
    let id = listed.world.rows().await[0].id.clone();
    listed
        .world
        .until("the edit", Duration::from_secs(60), async |w: &World| {
            w.local(&id, "name").await.as_deref() == Some("A2")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn p19_three_hundred_records_of_one_stamp_all_arrive_across_a_kill() {
    let mut listed = Listed::new(Some(Duration::from_secs(5))).await;
    let stamp = listed.world.now();
    for n in 0..300 {
        listed.service.put(&format!("r{n}"), &format!("R{n}"), stamp);
    }
    listed
        .world
        .until("page 1 is in", Duration::from_secs(60), async |w: &World| {
            let cursor = w.store.cursor(&format!("poll/{}", w.pair())).await.unwrap().unwrap_or_default();
            !cursor["open"].is_null() || cursor["at"].is_string()
        })
        .await;
    listed.world.kill();
    listed.open().await;
    listed.rows(300).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_becomes_visible_late_is_caught_by_the_deep_read() {
    let listed = Listed::new(Some(Duration::from_secs(5))).await;
    let now = listed.world.now();
    listed.service.put("a", "A", now);
    // Ten minutes old when it shows up: far beyond the overlap of two seconds.
    listed.service.put_late("late", "Late", now, now + TimeDelta::minutes(10));
    listed.rows(1).await;
    listed.service.put("b", "B", now + TimeDelta::minutes(9));
    listed.rows(3).await;
}

/// Whose poll goes on with pages that a killed one had begun has not read deep: it does so next, not minutes later.
#[tokio::test(start_paused = true)]
async fn a_poll_that_goes_on_with_earlier_pages_is_no_deep_read() {
    let mut listed = Listed::new(Some(Duration::from_secs(5))).await;
    let stamp = listed.world.now();
    *listed.service.breaks_off.lock().unwrap() = true;
    for n in 0..300 {
        listed.service.put(&format!("r{n}"), &format!("R{n}"), stamp);
    }
    listed.rows(PAGE).await;
    listed.world.kill();
    *listed.service.breaks_off.lock().unwrap() = false;
    let now = listed.world.now();
    listed.service.put_late("late", "Late", stamp - TimeDelta::minutes(5), now);
    listed.open().await;
    listed
        .world
        .until("all of them", Duration::from_secs(60), async |w: &World| w.rows().await.len() == 301)
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_overlap_shows_again_costs_no_look() {
    let mut listed = Listed::new(Some(Duration::from_secs(5))).await;
    // Stays unlinked: two of one email.
    let now = listed.world.now();
    listed.service.put("a", "A", now);
    listed.world.insert(&[("name", "x"), ("email", "a@example.com")]);
    listed.world.insert(&[("name", "y"), ("email", "a@example.com")]);
    listed.service.put("b", "B", now);
    listed.world.until("b", Duration::from_secs(60), async |w: &World| w.links().await.len() == 1).await;
    listed.world.settle().await;
    let draws = listed.world.store.counts(listed.world.pair()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(listed.world.store.counts(listed.world.pair()).await.unwrap(), draws);
    assert!(*listed.service.lists.lock().unwrap() > 20);
    listed.world.kill();
}

#[tokio::test(start_paused = true)]
async fn an_expired_list_brings_a_full_pass() {
    let mut listed = Listed::new(Some(Duration::from_secs(5))).await;
    let now = listed.world.now();
    // Older than any poll looks.
    listed.service.put("old", "Old", now - TimeDelta::days(400));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(listed.world.rows().await.is_empty());
    *listed.service.refuse.lock().unwrap() = Some(ErrorClass::Expired);
    listed.rows(1).await;
    listed.world.kill();
}

#[tokio::test(start_paused = true)]
async fn a_refused_page_cursor_begins_the_walk_again() {
    let listed = Listed::new(None).await;
    let now = listed.world.now();
    for n in 0..3000 {
        listed.service.put(&format!("r{n}"), &format!("R{n}"), now - TimeDelta::days(9));
    }
    let engine = listed.world.engine.clone();
    let refused = std::sync::atomic::AtomicBool::new(false);
    let progress = |progress: &bothways_engine::PassProgress| {
        // Once something of the walk is in, its next page is refused.
        if progress.counts.remote > 0 && !refused.swap(true, std::sync::atomic::Ordering::Relaxed) {
            *listed.service.refuse.lock().unwrap() = Some(ErrorClass::Missing);
        }
    };
    let options = PassOptions { restart: true, ..PassOptions::default() };
    let report = engine.pass(listed.world.pair(), options, &progress).await.unwrap();
    assert_eq!(report.counts.restarts, 1);
    assert_eq!((report.counts.remote, report.counts.created), (3000, 3000), "{:?}", report.counts);
    assert_eq!(listed.world.rows().await.len(), 3000);
    // Refused again and again, the pass fails; the next one does not go on from the refused page.
    let refuse = |progress: &bothways_engine::PassProgress| {
        if progress.counts.remote > 0 {
            *listed.service.refuse.lock().unwrap() = Some(ErrorClass::Missing);
        }
    };
    let failed = engine.pass(listed.world.pair(), PassOptions::default(), &refuse).await;
    assert!(failed.is_err(), "{failed:?}");
    *listed.service.refuse.lock().unwrap() = Some(ErrorClass::Missing);
    let report = engine.pass(listed.world.pair(), PassOptions::default(), &|_| ()).await.unwrap();
    assert_eq!(report.counts.remote, 3000);
}
