//! What everything in one run shares: time, chance, the service, the table, the ledger of what really happened.

use crate::dice::Dice;
use crate::doubts::Doubts;
use crate::executor::{Executor, Pid};
use crate::kinds::{Kind, LAST, Place, Service};
use crate::ledger::{Cut, Ledger, Seen, Who};
use crate::plan::Plan;
use crate::table::Table;
use crate::trace::Trace;
use crate::turns::Turns;
use bothways_connector_sandbox::Stripe;
use bothways_connector_sandbox::salesforce::Salesforce;
use bothways_model::{LinkId, PairId, Request, Timestamp};
use chrono::TimeDelta;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A crash that is ordered beforehand: at the nth fateful point of a process after arming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CrashOrder {
    /// Count points at all.
    pub(crate) armed: bool,
    /// Points passed since arming.
    pub(crate) passed: u64,
    /// Die at this one; 0 for never.
    pub(crate) at: u64,
}

/// One run.
pub(crate) struct Sim {
    pub(crate) executor: Arc<Executor>,
    pub(crate) plan: Plan,
    stripe: Mutex<Stripe>,
    org: Mutex<Salesforce>,
    pub(crate) table: Arc<dyn Table>,
    /// By the catalog of the kind.
    ledgers: BTreeMap<&'static str, Mutex<Ledger>>,
    /// Which mapping each pair is of.
    pairs: Mutex<BTreeMap<PairId, &'static Place>>,
    pub(crate) trace: Mutex<Trace>,
    dice: Mutex<Dice>,
    points: bool,
    calm: AtomicBool,
    calm_since: AtomicU64,
    /// What the machine's clock says beyond the truth, in microseconds.
    pub(crate) clock_offset: AtomicI64,
    /// The database takes no write before this moment.
    pub(crate) disk_full_until: AtomicU64,
    /// The service cannot be reached before this moment.
    pub(crate) down_until: AtomicU64,
    /// Until this moment somebody waits for a slow answer, which may be about what is no more.
    pub(crate) slow_until: AtomicU64,
    pub(crate) crash: Mutex<CrashOrder>,
    pub(crate) turns: Mutex<Turns>,
    /// When the create with each idempotency key was first tried.
    tried: Mutex<BTreeMap<String, u64>>,
    /// What became of intents.
    pub(crate) doubts: Mutex<Doubts>,
    /// Events whose ids are stored.
    pub(crate) stored_events: Mutex<BTreeSet<String>>,
    /// What was seen to be wrong while it happened.
    pub(crate) seen_wrong: Mutex<Vec<String>>,
    /// When somebody emptied the recycle bin.
    bin_emptied: Mutex<Vec<u64>>,
    /// Links of which a person said that the delete of one side is to be carried out on the other.
    carried: Mutex<BTreeSet<String>>,
    /// Told when the service has something to deliver.
    pub(crate) deliveries: Notify,
    /// The record of a guarded place that an engine was shown last, until somebody has heard of it.
    looked_at: Mutex<Option<String>>,
    /// Told when there is one.
    looks: Notify,
    /// Processes that run.
    pub(crate) live: AtomicU64,
    /// Walks of the remote side that are between two pages.
    pub(crate) open_walks: AtomicU64,
}

impl Sim {
    pub(crate) fn new(
        plan: Plan,
        (stripe, org): (Stripe, Salesforce),
        table: Arc<dyn Table>,
        dice: Dice,
        print: bool,
    ) -> Arc<Self> {
        let clock_offset = AtomicI64::new(plan.weather.clock_ahead * 1_000_000);
        let ledgers =
            plan.kinds().into_iter().map(|kind| (kind.catalog, Mutex::new(Ledger::new(kind)))).collect();
        let sim = Arc::new(Self {
            executor: Executor::new(),
            plan,
            stripe: Mutex::new(stripe),
            org: Mutex::new(org),
            table,
            ledgers,
            pairs: Mutex::default(),
            trace: Mutex::new(Trace::new(print)),
            dice: Mutex::new(dice),
            points: print && std::env::var_os("BOTHWAYS_TRACE_POINTS").is_some(),
            calm: AtomicBool::new(false),
            calm_since: AtomicU64::new(0),
            clock_offset,
            disk_full_until: AtomicU64::new(0),
            down_until: AtomicU64::new(0),
            slow_until: AtomicU64::new(0),
            crash: Mutex::default(),
            turns: Mutex::default(),
            tried: Mutex::default(),
            doubts: Mutex::default(),
            stored_events: Mutex::default(),
            seen_wrong: Mutex::default(),
            bin_emptied: Mutex::default(),
            carried: Mutex::default(),
            deliveries: Notify::new(),
            looked_at: Mutex::default(),
            looks: Notify::new(),
            live: AtomicU64::new(0),
            open_walks: AtomicU64::new(0),
        });
        if sim.plan.weather.clock_ahead != 0 {
            sim.count("clock_wrong");
        }
        sim
    }

    /// Draws from the run's own stream.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.dice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stripe(&self) -> MutexGuard<'_, Stripe> {
        self.stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn org(&self) -> MutexGuard<'_, Salesforce> {
        self.org.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that are held up on their way to a service.
    pub(crate) fn late_requests(&self) -> usize {
        self.stripe().late_requests() + self.org().late_requests()
    }

    /// Records that a service's lists do not show as they are yet.
    pub(crate) fn lagging_records(&self) -> usize {
        self.org().lagging(self.true_time())
    }

    /// What happened to the records of a kind. Of one run; no other thread has it.
    pub(crate) fn ledger(&self, kind: &Kind) -> MutexGuard<'_, Ledger> {
        let ledger = self.ledgers.get(kind.catalog).unwrap_or_else(|| unreachable!("a kind of another plan"));
        ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pair is of this mapping.
    pub(crate) fn note_pair(&self, pair: PairId, mapping: &str) {
        let place = self.plan.places.iter().find(|place| place.mapping == mapping);
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.extend(place.map(|place| (pair, *place)));
    }

    /// The mapping of a pair.
    pub(crate) fn place_of(&self, pair: PairId) -> Option<&'static Place> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner).get(&pair).copied()
    }

    /// The mapping of the record with this id, and its pair.
    pub(crate) fn pair_of(&self, id: &str) -> Option<(PairId, &'static Place)> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.iter().find(|(_, place)| place.owns(id)).map(|(pair, place)| (*pair, *place))
    }

    /// Whatever is in the recycle bin is gone for good.
    pub(crate) fn note_bin_emptied(&self) {
        self.bin_emptied.lock().unwrap_or_else(PoisonError::into_inner).push(self.executor.now());
    }

    /// Whether that happened between these moments.
    pub(crate) fn is_bin_emptied(&self, from: u64, to: u64) -> bool {
        let emptied = self.bin_emptied.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.iter().any(|at| (from..=to).contains(at))
    }

    /// A person decides that the delete of one side of a link is carried out on the other.
    pub(crate) fn note_carried(&self, link: &str) {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).insert(link.to_owned());
    }

    /// Whether a person ever did.
    pub(crate) fn is_carried(&self, link: LinkId) -> bool {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).contains(&link.to_string())
    }

    /// An engine is shown a record of a guarded place.
    pub(crate) fn note_look(&self, id: &str) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
        self.looks.notify_one();
    }

    /// The record that one was shown last, as soon as there is one that nobody has heard of.
    pub(crate) async fn next_look(&self) -> String {
        loop {
            let shown = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).take();
            match shown {
                Some(id) => return id,
                None => self.looks.notified().await,
            }
        }
    }

    /// Enters what the rows of all kinds are by now. Whether any changed.
    pub(crate) fn observe_rows(&self, who: Who) -> bool {
        let mut changed = false;
        for kind in self.plan.kinds() {
            changed |= self.observe_rows_of(kind, who);
        }
        changed
    }

    /// The same for the rows of one kind.
    pub(crate) fn observe_rows_of(&self, kind: &'static Kind, who: Who) -> bool {
        let rows = self.table.rows(kind.catalog);
        let mut cut: Cut = rows.iter().map(|row| (row.id.0.clone(), (kind.cells(row), None))).collect();
        if let Some(parent) = kind.parent {
            let parents = self.ledger(parent);
            for (cells, _) in cut.values_mut() {
                cells[LAST] = cells[LAST].take().map(|raw| parents.meant(&raw));
            }
        }
        let archived =
            rows.iter().filter(|row| row.deleted_at.is_some()).map(|row| row.id.0.clone()).collect();
        self.ledger(kind).observe_rows(cut, &archived, who, self.executor.now())
    }

    /// All records of a place.
    pub(crate) fn records(&self, place: &Place) -> Vec<Json> {
        match place.service {
            Service::Stripe if place.resource == "customers" => self.stripe().customers(),
            Service::Stripe => self.stripe().invoices(),
            Service::Salesforce => self.org().records(place.resource),
        }
    }

    /// Enters what the records of a service are by now: `who` did what changed in those of `kind`, having seen what `seen`
    /// says; what changed with them the service did. Whether any changed.
    pub(crate) fn observe_records(
        &self,
        service: Service,
        kind: Option<&Kind>,
        who: Who,
        seen: &Seen,
    ) -> bool {
        let mut changed = false;
        for of in self.plan.kinds() {
            let places = || self.plan.places.iter().filter(|place| place.kind.is(of));
            if !places().any(|place| place.service == service) {
                continue;
            }
            let mut cut = Cut::new();
            for place in places() {
                let records = self.records(place);
                cut.extend(
                    records.iter().map(|record| {
                        (place.id(record).to_owned(), (place.cells(record), place.stamp(record)))
                    }),
                );
            }
            let theirs = kind.is_none_or(|kind| kind.is(of));
            let all = Seen::of_all(u64::MAX);
            let (who, seen) = if theirs { (who, seen) } else { (Who::Service, &all) };
            changed |= self.ledger(of).observe_records(cut, who, self.executor.now(), seen);
        }
        changed
    }

    /// Adds to the trace.
    pub(crate) fn note(&self, what: &str, a: u64, b: u64) {
        let now = self.executor.now();
        self.trace().note(what, a ^ now.rotate_left(17), b);
    }

    /// A line of the story.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        let now = self.executor.now();
        self.trace().say(now, line);
    }

    /// A line that only those want who look closely.
    pub(crate) fn say_detail(&self, line: impl FnOnce() -> String) {
        if self.tells_points() {
            self.say(line);
        }
    }

    /// Whether whoever reads the story wants every point of it.
    pub(crate) fn tells_points(&self) -> bool {
        self.points
    }

    pub(crate) fn count(&self, kind: &str) {
        self.trace().counters.count(kind);
    }

    /// When the create with this idempotency key was first tried: now, if never before.
    pub(crate) fn first_tried(&self, key: String, now: u64) -> u64 {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(now)
    }

    /// Whether an event's id is in the database.
    pub(crate) fn is_stored(&self, event: &str) -> bool {
        self.stored_events.lock().unwrap_or_else(PoisonError::into_inner).contains(event)
    }

    /// Something must not be, whatever comes of it.
    pub(crate) fn is_wrong(&self, what: String) {
        self.say(|| format!("WRONG: {what}"));
        self.seen_wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn be_calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.calm_since.store(self.executor.now(), Ordering::Relaxed);
        self.disk_full_until.store(0, Ordering::Relaxed);
        self.down_until.store(0, Ordering::Relaxed);
    }

    /// Since when nothing goes wrong.
    pub(crate) fn calm_since(&self) -> u64 {
        self.calm_since.load(Ordering::Relaxed)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// The service's time, which is the true one.
    pub(crate) fn true_time(&self) -> Timestamp {
        timestamp(self.executor.now())
    }

    /// What the machine of the engines and the database believes.
    pub(crate) fn machine_time(&self) -> Timestamp {
        self.true_time() + TimeDelta::microseconds(self.clock_offset.load(Ordering::Relaxed))
    }

    /// Whether a process that passes this point dies by order.
    pub(crate) fn is_crash_point(&self, what: &str, pid: Pid) -> bool {
        let mut crash = self.crash.lock().unwrap_or_else(PoisonError::into_inner);
        if !crash.armed {
            return false;
        }
        crash.passed += 1;
        let dies = crash.passed == crash.at;
        if dies {
            crash.armed = false;
            drop(crash);
            self.say(|| format!("process {pid} is killed at {what}"));
        }
        dies
    }
}

/// The idempotency key of a request.
pub(crate) fn key_of(request: &Request) -> Option<&str> {
    let mut headers = request.headers.iter();
    headers.find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key")).map(|(_, key)| key.as_str())
}

/// A moment of a run.
pub(crate) fn timestamp(micros: u64) -> Timestamp {
    const START: i64 = 1_795_341_600;
    let start = Timestamp::from_timestamp(START, 0).unwrap_or_default();
    start + TimeDelta::microseconds(i64::try_from(micros).unwrap_or(i64::MAX / 4))
}
