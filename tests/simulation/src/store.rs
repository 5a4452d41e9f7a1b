//! The store as one process sees it: every call is a point before and a point after its effect, and may fail in between.

use crate::ledger::Who;
use crate::process::{Kind, Process};
use crate::shown::untold;
use crate::sim::Sim;
use crate::table::Backing;
use async_trait::async_trait;
use bothways_model::{
    AccountId, ConnectionName, LinkId, LocalId, LocalRow, Mode, PairId, Record, RemoteId, Secret, Seq,
    Timestamp, Value,
};
use bothways_store::{
    ApiToken, Approval, AuditEntry, Brake, BrakeApproval, BrakeApproved, BrakeId, BrakeName, Brakes, Capture,
    Charge, ChargeKey, Credentials, Delivery, Erased, Group, Guard, HistoryFilter, HistoryRow, Intake,
    Intent, Judged, KeyWrite, Keys, Link, LinkFilter, Links, Operator, PageCommit, Pair, PairCounts,
    PairSpec, Pairs, Parked, ParkedFilter, Pause, PauseScope, Relayed, RenewalAsk, RenewalEnd, Result,
    RowPage, RowUpdate, Rows, Sealed, Signal, StoreError, StoreErrorKind, Take, Taken, TakenEvent, Turn,
    Unit, UnitOutcome, Withheld, WithheldSet, Work, WorkId, WorkQueue,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Poll;

/// One process's store.
pub(crate) struct SimStore {
    pub(crate) process: Arc<Process>,
    pub(crate) backing: Backing,
    /// The last captured change that this process was woken for, where the store does not say so itself.
    pub(crate) seen: AtomicI64,
}

impl SimStore {
    async fn call<T>(
        &self,
        before: &'static str,
        after: &'static str,
        kind: Kind,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.call_and_note(before, after, kind, call, |_, _, _| ()).await
    }

    /// `note` enters into the ledgers what the call did; it gets the number of the last thing that happened before, by catalog.
    async fn call_and_note<T>(
        &self,
        before: &'static str,
        after: &'static str,
        kind: Kind,
        call: impl Future<Output = Result<T>> + Send,
        note: impl FnOnce(&Sim, &BTreeMap<&'static str, u64>, &T) + Send,
    ) -> Result<T> {
        self.process.at(before, kind).await;
        if let Some(error) = self.trouble(kind) {
            return Err(error);
        }
        let sim = &self.process.sim;
        // From here to the next point nothing else can run: the effect and its entry in the ledger are one.
        let result = self.backing.run(call).unwrap_or_else(|| {
            Err(StoreError::new(StoreErrorKind::Broken, format!("the store waits in `{before}`")))
        });
        if matches!(kind, Kind::Commit | Kind::Write) {
            sim.table.stamp(sim.machine_time());
        }
        if kind == Kind::Commit {
            let last =
                sim.plan.kinds().into_iter().map(|kind| (kind.catalog, sim.ledger(kind).last())).collect();
            let changed = sim.observe_rows(Who::Engine(self.process.pid));
            if let Ok(done) = &result {
                note(sim, &last, done);
            }
            if changed {
                sim.say(|| format!("process {} writes rows", self.process.pid));
            }
        }
        if let Err(error) = &result {
            sim.say(|| format!("process {} {before}: {error}", self.process.pid));
        }
        let writes = matches!(kind, Kind::Write | Kind::Commit);
        let unknown =
            writes && !sim.is_calm() && sim.draw(|dice| dice.chance(sim.plan.weather.store_unknown));
        self.process.at(after, kind).await;
        if unknown && result.is_ok() {
            sim.count("commit_outcome_unknown");
            return Err(StoreError::new(
                StoreErrorKind::Retry,
                "the connection was lost; the outcome is unknown",
            ));
        }
        result
    }

    async fn commit_units(&self, now: Timestamp, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
        let watched: Vec<Unit> = units.iter().map(|unit| watch(&self.process.sim, unit)).collect();
        let call = self.backing.store.commit(now, &watched);
        let note = |sim: &Sim, last: &BTreeMap<&'static str, u64>, outcomes: &Vec<UnitOutcome>| {
            let mut doubts = sim.doubts.lock().unwrap_or_else(PoisonError::into_inner);
            for (unit, outcome) in units.iter().zip(outcomes) {
                if matches!(outcome, UnitOutcome::Done { .. } | UnitOutcome::RowRefused { .. }) {
                    doubts.note(unit);
                }
                tie(sim, last, unit, outcome);
            }
        };
        let result = self.call_and_note("commit", "commit, after", Kind::Commit, call, note).await;
        let done = match &result {
            Ok(_) => Some(true),
            Err(error) => (error.kind == StoreErrorKind::Retry).then_some(false),
        };
        if let Some(done) = done {
            self.process.promises.lock().unwrap_or_else(PoisonError::into_inner).note(units, done);
        }
        result
    }

    /// Says what a poll goes on from without having anybody look at it.
    fn check_shown(&self, page: &PageCommit) {
        let sim = &self.process.sim;
        let pair =
            |kind: &str| page.cursor.as_ref().and_then(|cursor| cursor.name.strip_prefix(kind)?.parse().ok());
        if let Some(wanted) = pair("pass-wanted/").map(PairId) {
            let mut known = self.process.shown.lock().unwrap_or_else(PoisonError::into_inner);
            known.ask(sim.executor.this_task(), wanted);
        }
        let poll = pair("poll/");
        let Some((pair, place)) = poll.map(PairId).and_then(|pair| Some((pair, sim.place_of(pair)?))) else {
            return;
        };
        let mut known = self.process.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let task = sim.executor.this_task();
        let shown = known.take(task);
        let position = page.cursor.as_ref().map(|cursor| cursor.value.clone());
        known.stand(task, position.unwrap_or_default());
        // Whose list does not reach back begins anew; a full pass, asked for before, finds what it passes over (rule 53).
        if page.cursor.as_ref().is_some_and(|cursor| cursor.value == serde_json::json!({})) {
            if !known.has_asked(task, pair) {
                sim.is_wrong(format!(
                    "cursor: the poll of {} begins anew, and nobody asked for a full pass",
                    place.mapping
                ));
            }
            return;
        }
        let ids: Vec<RemoteId> = shown.iter().map(|record| place.id(record).into()).collect();
        let links = self.backing.run(self.backing.store.links_of_remote(pair, &ids));
        let Some(mut links) = links.and_then(Result::ok).filter(|_| !ids.is_empty()) else { return };
        if sim.plan.archives > 0 {
            // One that was closed when the list was read, and is one again by now, is looked at for that (rule 34).
            for link in &mut links {
                link.take_if(|link| self.backing.run(self.is_signalled(link)).unwrap_or(false));
            }
        }
        for wrong in untold((&sim.plan, place), &shown, &links, &sim.records(place), &page.signals) {
            sim.is_wrong(format!("cursor: a poll goes on, and {wrong}"));
        }
    }

    /// Whether somebody is to look at a link already.
    async fn is_signalled(&self, link: &Link) -> bool {
        let (row, record) = (link.local_id.as_ref(), link.remote_id.as_ref());
        let work = self.backing.store.work_of(link.pair, row, record).await.unwrap_or_default();
        work.iter().any(|work| work.parked.is_none())
    }

    /// Says which events are known from now on without having anybody look at what they tell.
    async fn check_told(&self, deliveries: &[Delivery], new: &[bool]) {
        let sim = &self.process.sim;
        for (delivery, _) in deliveries.iter().zip(new).filter(|(_, new)| **new) {
            let event = sim.stripe().event(&delivery.event).unwrap_or_default();
            let object = std::slice::from_ref(&event["data"]["object"]);
            let id = object[0]["id"].as_str().unwrap_or_default();
            let Some((pair, place)) = sim.pair_of(id) else { continue };
            let Ok(links) = self.backing.store.links_of_remote(pair, &[id.into()]).await else { continue };
            for wrong in untold((&sim.plan, place), object, &links, &sim.records(place), &delivery.signals) {
                sim.is_wrong(format!("webhook: event {} is stored, and {wrong}", delivery.event));
            }
        }
    }

    /// Why the database does not carry a call out.
    fn trouble(&self, kind: Kind) -> Option<StoreError> {
        let sim = &self.process.sim;
        let weather = &sim.plan.weather;
        let writes = matches!(kind, Kind::Write | Kind::Commit);
        if sim.is_calm() {
            return None;
        }
        let now = sim.executor.now();
        if writes && sim.disk_full_until.load(Ordering::Relaxed) > now {
            sim.count("disk_full");
            return Some(StoreError::new(StoreErrorKind::Retry, "database or disk is full"));
        }
        if writes && sim.draw(|dice| dice.chance(weather.disk_full)) {
            let time = sim.draw(|dice| dice.millis(100, 30_000));
            sim.disk_full_until.store(now + crate::executor::micros(time), Ordering::Relaxed);
            sim.say(|| format!("the disk is full for {time:?}"));
        }
        if sim.draw(|dice| dice.chance(weather.store_busy)) {
            let (counter, words) = match kind {
                Kind::Commit => ("serialization_failure", "could not serialize access"),
                _ => ("database_busy", "database is locked"),
            };
            sim.count(counter);
            return Some(StoreError::new(StoreErrorKind::Retry, words));
        }
        None
    }
}

/// Has the ledger told of rows in which a unit undoes what was written (rule 65): that is a person's doing.
fn watch(sim: &Arc<Sim>, unit: &Unit) -> Unit {
    let mut unit = unit.clone();
    if let Some(settle) = unit.settle.take() {
        let sim = sim.clone();
        unit.settle = Some(Arc::new(move |row, link| {
            let settled = settle(row, link);
            if let (Some(row), true) = (row, settled.history.iter().any(|entry| entry.rules.contains(&65))) {
                sim.count("operator_reverted");
                if let Some(place) = sim.place_of(link.pair) {
                    sim.ledger(place.kind).is_undone(row.id.as_str());
                }
            }
            settled
        }));
    }
    unit
}

/// The id of an event somewhere in a text.
fn event_in(text: &str) -> Option<String> {
    let id = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    id.into_iter().find(|word| word.starts_with("evt_")).map(str::to_owned)
}

/// Enters which row a unit tied its link to, if it did: one that it claimed, or that it made.
fn tie(sim: &Sim, last: &BTreeMap<&'static str, u64>, unit: &Unit, outcome: &UnitOutcome) {
    let claim = match &unit.guard {
        Guard::Claim(link) => Some(&**link),
        Guard::Token { .. } | Guard::Free => None,
    };
    let after = match outcome {
        UnitOutcome::Done { link, .. } => link.as_deref(),
        UnitOutcome::RowRefused { .. } => None,
        _ => return,
    };
    let Some(link) = after.or(claim) else { return };
    let Some(id) = &link.local_id else { return };
    let Some(place) = sim.place_of(link.pair) else { return };
    let last = last.get(place.kind.catalog).copied().unwrap_or(0);
    let mut ledger = sim.ledger(place.kind);
    let made = ledger.rows.get(id.as_str()).is_some_and(|row| row.born_seq > last);
    if claim.is_some() || made {
        ledger.tie(link.pair, link.id, id.as_str());
    }
    if let (true, Some(record)) = (made, &link.remote_id) {
        ledger.make_of(id.as_str(), record.as_str());
    }
}

macro_rules! forward {
    ($trait:ident { $( $kind:ident $name:ident( $($arg:ident : $ty:ty),* ) -> $out:ty; )* } $($commit:ident)?) => {
        #[async_trait]
        impl $trait for SimStore {
            $(async fn $commit(&self, now: Timestamp, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
                self.commit_units(now, units).await
            })?
            $(
                async fn $name(&self $(, $arg: $ty)*) -> Result<$out> {
                    let call = self.backing.store.$name($($arg),*);
                    self.call(stringify!($name), concat!(stringify!($name), ", after"), Kind::$kind, call).await
                }
            )*
        }
    };
}

#[async_trait]
impl Capture for SimStore {
    async fn relay(&self, now: Timestamp, limit: usize) -> Result<Relayed> {
        self.call("relay", "relay, after", Kind::Write, self.backing.store.relay(now, limit)).await
    }

    async fn drained(&self, change: i64) -> Result<bool> {
        self.call("drained", "drained, after", Kind::Read, self.backing.store.drained(change)).await
    }

    async fn changed(&self) {
        self.process.alive().await;
        if self.backing.runtime.is_some() {
            let table = &self.process.sim.table;
            std::future::poll_fn(|context| match table.captured(&self.seen, context.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        } else {
            self.backing.store.changed().await;
        }
        self.process.alive().await;
    }

    async fn repair(&self) -> Result<Vec<String>> {
        self.call("repair", "repair, after", Kind::Read, self.backing.store.repair()).await
    }

    async fn prune(&self, now: Timestamp, keep_days: u32) -> Result<()> {
        self.call("prune", "prune, after", Kind::Read, self.backing.store.prune(now, keep_days)).await
    }
}

forward!(WorkQueue {
    Write signal(now: Timestamp, signals: &[Signal]) -> ();
    Write take(take: Take<'_>) -> Vec<Taken>;
    Write relay_and_take(limit: usize, take: Take<'_>) -> (Relayed, Vec<Taken>);
    Read next_due(pairs: &[PairId]) -> Option<Timestamp>;
    Read parked(filter: &ParkedFilter, after: Option<WorkId>, limit: usize) -> Vec<Work>;
    Read work(id: WorkId) -> Option<Work>;
    Read work_of(pair: PairId, local: Option<&LocalId>, remote: Option<&RemoteId>) -> Vec<Work>;
    Read rows_to_delete(pair: PairId, after: Option<&LocalId>, limit: usize) -> Vec<LocalId>;
    Write replay(id: WorkId, now: Timestamp) -> bool;
    Write dismiss(id: WorkId) -> bool;
    Write park_group(pair: PairId, value: &str, parked: &Parked) -> ();
    Write clear_group(pair: PairId, value: &str) -> bool;
    Read sweep(now: Timestamp) -> u64;
    Write release(link: LinkId, token: Seq) -> ();
});

forward!(Links {
    Read link(id: LinkId) -> Option<Link>;
    Read links(filter: &LinkFilter, after: Option<LinkId>, limit: usize) -> Vec<Link>;
    Read links_of_remote(pair: PairId, ids: &[RemoteId]) -> Vec<Option<Link>>;
    Read links_of_local(pair: PairId, ids: &[LocalId]) -> Vec<Option<Link>>;
    Write lease(id: LinkId, now: Timestamp, until: Timestamp) -> Option<Taken>;
    Write end_leases(now: Timestamp) -> u64;
    Read intents(link: LinkId, limit: usize) -> Vec<Intent>;
    Read creates_in_flight(pair: PairId, limit: usize) -> Vec<Intent>;
    Read draw(count: u32) -> Seq;
} commit);

forward!(Keys {
    Read groups_of(pair: PairId, values: &[String]) -> Vec<Group>;
    Read unlinked_groups(pair: PairId, after: Option<&str>, limit: usize) -> (Vec<Group>, Option<String>);
    Write write_keys(writes: &[KeyWrite]) -> ();
});

#[async_trait]
impl Intake for SimStore {
    async fn intake(&self, now: Timestamp, deliveries: &[Delivery]) -> Result<Vec<bool>> {
        let call = async {
            let new = self.backing.store.intake(now, deliveries).await?;
            self.check_told(deliveries, &new).await;
            let ids = deliveries.iter().map(|delivery| delivery.event.clone());
            self.process.sim.stored_events.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
            Ok(new)
        };
        self.call("intake", "intake, after", Kind::Write, call).await
    }

    async fn events_of(
        &self,
        connection: &ConnectionName,
        resource: &str,
        record: &RemoteId,
        limit: usize,
    ) -> Result<Vec<TakenEvent>> {
        let call = self.backing.store.events_of(connection, resource, record, limit);
        self.call("events_of", "events_of, after", Kind::Read, call).await
    }

    async fn commit_page(&self, now: Timestamp, page: &PageCommit) -> Result<()> {
        // A feed goes on after the last event of the page before, which must have been taken in by then (rule 53).
        let feed = page.cursor.as_ref().filter(|cursor| cursor.name.starts_with("feed/"));
        if let Some(event) = feed.and_then(|cursor| event_in(&cursor.value.to_string()))
            && !self.process.sim.is_stored(&event)
        {
            self.process.sim.is_wrong(format!("cursor: it stands after event {event}, which is not stored"));
        }
        self.check_shown(page);
        let call = self.backing.store.commit_page(now, page);
        self.call("commit_page", "commit_page, after", Kind::Write, call).await
    }

    async fn cursor(&self, name: &str) -> Result<Option<serde_json::Value>> {
        let call = async {
            let stored = self.backing.store.cursor(name).await?;
            if name.starts_with("poll/") {
                let mut known = self.process.shown.lock().unwrap_or_else(PoisonError::into_inner);
                known.stand(self.process.sim.executor.this_task(), stored.clone().unwrap_or_default());
            }
            Ok(stored)
        };
        self.call("cursor", "cursor, after", Kind::Read, call).await
    }

    async fn drop_cursor(&self, name: &str) -> Result<()> {
        self.call("drop_cursor", "drop_cursor, after", Kind::Write, self.backing.store.drop_cursor(name))
            .await
    }
}

forward!(Pairs {
    Write ensure_pair(spec: &PairSpec) -> Pair;
    Read pairs() -> Vec<Pair>;
    Write set_account(pair: PairId, account: &AccountId, mode: Mode) -> ();
    Write approve(pair: PairId, approval: &Approval) -> ();
    Write set_walked(pair: PairId, at: Timestamp) -> ();
    Write set_passed(pair: PairId, at: Timestamp) -> ();
    Read counts(pair: PairId) -> PairCounts;
    Read pauses() -> Vec<Pause>;
    Write pause(pause: &Pause) -> ();
    Write resume(scope: &PauseScope) -> bool;
});

forward!(Rows {
    Read row(catalog: &str, id: &LocalId) -> Option<LocalRow>;
    Read rows(catalog: &str, search: Option<&str>, after: Option<&LocalId>, limit: usize) -> RowPage;
    Read held_by(catalog: &str, field: &str, keys: &[LocalId]) -> Vec<Option<Value>>;
    Read holders(catalog: &str, field: &str, values: &[Value]) -> Vec<Vec<LocalId>>;
    Read count_rows(catalog: &str) -> u64;
    Write insert_row(catalog: &str, fields: &Record) -> LocalRow;
    Write update_row(catalog: &str, id: &LocalId, expected: &Record, fields: &Record) -> RowUpdate;
    Write delete_row(catalog: &str, id: &LocalId) -> bool;
});

forward!(Brakes {
    Read brakes(now: Timestamp) -> Vec<Brake>;
    Read withheld(brake: BrakeId, after: Option<&ChargeKey>, limit: usize) -> Vec<Withheld>;
    Read withheld_set(brake: BrakeId, now: Timestamp) -> Option<WithheldSet>;
    Write approve_withheld(now: Timestamp, approval: &BrakeApproval, audit: &AuditEntry) -> BrakeApproved;
    Write charge(now: Timestamp, charge: &Charge) -> Judged;
    Write forget_withheld(brake: &BrakeName, key: &ChargeKey) -> ();
});

#[async_trait]
impl Credentials for SimStore {
    async fn begin_renewal(&self, ask: &RenewalAsk) -> Result<Turn> {
        let call = self.backing.store.begin_renewal(ask);
        self.call("begin_renewal", "begin_renewal, after", Kind::Write, call).await
    }

    async fn end_renewal(&self, connection: &ConnectionName, number: u64, end: &RenewalEnd) -> Result<bool> {
        let call = async {
            let stands = self.backing.store.end_renewal(connection, number, end).await?;
            self.process.tokens.lock().unwrap_or_else(PoisonError::into_inner).are_stored();
            Ok(stands)
        };
        self.call("end_renewal", "end_renewal, after", Kind::Write, call).await
    }

    async fn keep(&self, connection: &ConnectionName, origin: &str, sealed: &Sealed) -> Result<()> {
        let call = self.backing.store.keep(connection, origin, sealed);
        self.call("keep", "keep, after", Kind::Write, call).await
    }

    async fn reseal(&self, connection: &ConnectionName, number: u64, sealed: &Sealed) -> Result<bool> {
        let call = self.backing.store.reseal(connection, number, sealed);
        self.call("reseal", "reseal, after", Kind::Write, call).await
    }
}

forward!(Operator {
    Read audit(entry: &AuditEntry) -> ();
    Read audits(limit: usize) -> Vec<AuditEntry>;
    Read history(filter: &HistoryFilter, before: Option<i64>, limit: usize) -> Vec<HistoryRow>;
    Read add_token(token: &ApiToken) -> ();
    Read secret() -> Secret;
    Read tokens() -> Vec<ApiToken>;
    Read revoke_token(name: &str, at: Timestamp) -> bool;
    Read touch_token(hash: &str, at: Timestamp) -> ();
    Write erase(pair: PairId, local: Option<&LocalId>, remote: Option<&RemoteId>) -> Erased;
});
