//! Everything the store holds, with the indexes that keep each call quick, and the small steps all calls are made of.

use super::brakes::BrakeRow;
use super::intake::InboxEntry;
use super::table::Table;
use crate::transition::{ChargeRow, WorkRow};
use crate::{
    ApiToken, AuditEntry, BrakeName, Fact, HistoryRow, Intent, Key, Link, Pair, PassMark, Pause, Result,
    Side, Signal, StoreError, StoreErrorKind, Subject, WorkId,
};
use bothways_model::planted::{self, Bug};
use bothways_model::{ConnectionName, LinkId, LocalId, PairId, RemoteId, Seq, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What a change log entry says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    Insert,
    Update,
    Delete,
    /// The row had this key before.
    Rekey(LocalId),
    /// REPLACE may have displaced the row.
    Victim,
}

#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) catalog: String,
    pub(super) key: LocalId,
    pub(super) op: Op,
    pub(super) at: Timestamp,
}

pub(super) struct State {
    /// Raised by every write.
    pub(super) version: u64,
    /// The latest time any call named, for row writes that name none.
    pub(super) clock: Timestamp,
    counter: i64,
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) changes: BTreeMap<i64, Change>,
    pub(super) last_change: i64,
    /// The highest change that was relayed.
    pub(super) last_relayed: i64,
    pub(super) pairs: BTreeMap<PairId, Pair>,
    pub(super) links: BTreeMap<LinkId, Link>,
    by_local: BTreeMap<(PairId, LocalId), BTreeSet<LinkId>>,
    by_remote: BTreeMap<(PairId, RemoteId), BTreeSet<LinkId>>,
    pub(super) intents: BTreeMap<(LinkId, u32), Intent>,
    /// The last intent number each link used; survives pruning.
    pub(super) last_intent: BTreeMap<LinkId, u32>,
    pub(super) work: BTreeMap<WorkId, WorkRow>,
    pub(super) subjects: BTreeMap<(PairId, Subject), WorkId>,
    pub(super) due: BTreeSet<(Timestamp, WorkId)>,
    last_work: i64,
    pub(super) keys: BTreeMap<(PairId, Side, String), Key>,
    pub(super) events: BTreeMap<(ConnectionName, String), InboxEntry>,
    pub(super) events_taken: u64,
    pub(super) cursors: BTreeMap<String, serde_json::Value>,
    pub(super) history: BTreeMap<i64, HistoryRow>,
    last_history: i64,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) tokens: Vec<ApiToken>,
    pub(super) credentials: BTreeMap<ConnectionName, crate::CredentialState>,
    pub(super) pauses: BTreeMap<crate::PauseScope, Pause>,
    /// Brakes that are on.
    pub(super) brakes: BTreeMap<BrakeName, BrakeRow>,
    pub(super) last_brake: i64,
    /// What was charged, by the text of its key.
    pub(super) charges: BTreeMap<BrakeName, BTreeMap<String, ChargeRow>>,
}

impl State {
    pub(super) fn new(tables: BTreeMap<String, Table>) -> Self {
        Self {
            version: 0,
            clock: Timestamp::UNIX_EPOCH,
            counter: 0,
            tables,
            changes: BTreeMap::new(),
            last_change: 0,
            last_relayed: 0,
            pairs: BTreeMap::new(),
            links: BTreeMap::new(),
            by_local: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            intents: BTreeMap::new(),
            last_intent: BTreeMap::new(),
            work: BTreeMap::new(),
            subjects: BTreeMap::new(),
            due: BTreeSet::new(),
            last_work: 0,
            keys: BTreeMap::new(),
            events: BTreeMap::new(),
            events_taken: 0,
            cursors: BTreeMap::new(),
            history: BTreeMap::new(),
            last_history: 0,
            audit: Vec::new(),
            tokens: Vec::new(),
            credentials: BTreeMap::new(),
            pauses: BTreeMap::new(),
            brakes: BTreeMap::new(),
            last_brake: 0,
            charges: BTreeMap::new(),
        }
    }

    pub(super) fn touch(&mut self) {
        self.version += 1;
    }

    pub(super) fn at(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        now
    }

    pub(super) fn draw(&mut self, count: u32) -> Seq {
        let first = self.counter + 1;
        self.counter += i64::from(count);
        Seq(first)
    }

    pub(super) fn table(&self, catalog: &str) -> Result<&Table> {
        self.tables.get(catalog).ok_or_else(|| no_catalog(catalog))
    }

    pub(super) fn table_mut(&mut self, catalog: &str) -> Result<&mut Table> {
        self.tables.get_mut(catalog).ok_or_else(|| no_catalog(catalog))
    }

    pub(super) fn pair(&self, id: PairId) -> Result<&Pair> {
        self.pairs.get(&id).ok_or_else(|| no_pair(id))
    }

    pub(super) fn pair_mut(&mut self, id: PairId) -> Result<&mut Pair> {
        self.touch();
        self.pairs.get_mut(&id).ok_or_else(|| no_pair(id))
    }

    /// The table of a pair's catalog.
    pub(super) fn table_of(&self, pair: PairId) -> Result<&Table> {
        self.table(&self.pair(pair)?.spec.catalog)
    }

    pub(super) fn log(&mut self, change: Change) {
        self.touch();
        self.last_change += 1;
        self.changes.insert(self.last_change, change);
    }

    pub(super) fn put_link(&mut self, link: Link) {
        self.touch();
        if let Some(old) = self.links.get(&link.id).cloned() {
            self.unindex_link(&old);
        }
        if let Some(id) = &link.local_id {
            self.by_local.entry((link.pair, id.clone())).or_default().insert(link.id);
        }
        if let Some(id) = &link.remote_id {
            self.by_remote.entry((link.pair, id.clone())).or_default().insert(link.id);
        }
        self.links.insert(link.id, link);
    }

    pub(super) fn remove_link(&mut self, id: LinkId) {
        self.touch();
        if let Some(old) = self.links.remove(&id) {
            self.unindex_link(&old);
        }
        self.last_intent.remove(&id);
        self.intents.retain(|(link, _), _| *link != id);
    }

    fn unindex_link(&mut self, old: &Link) {
        if let Some(id) = &old.local_id {
            forget(&mut self.by_local, (old.pair, id.clone()), old.id);
        }
        if let Some(id) = &old.remote_id {
            forget(&mut self.by_remote, (old.pair, id.clone()), old.id);
        }
    }

    /// All links of a row, of any state.
    pub(super) fn links_at_local(&self, pair: PairId, id: &LocalId) -> Vec<LinkId> {
        self.by_local.get(&(pair, id.clone())).into_iter().flatten().copied().collect()
    }

    /// The link that answers for a row: the live one, else the newest closed one.
    pub(super) fn link_of_local(&self, pair: PairId, id: &LocalId) -> Option<&Link> {
        self.answering(self.by_local.get(&(pair, id.clone())))
    }

    /// The link that answers for a record: the live one, else the newest closed one.
    pub(super) fn link_of_remote(&self, pair: PairId, id: &RemoteId) -> Option<&Link> {
        self.answering(self.by_remote.get(&(pair, id.clone())))
    }

    fn answering(&self, ids: Option<&BTreeSet<LinkId>>) -> Option<&Link> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.links.get(id))
            .max_by_key(|l| (l.state.is_live(), l.created_at, l.id))
    }

    /// Whether another live link has one of this live link's ids (rule 30).
    pub(super) fn is_taken(&self, link: &Link) -> bool {
        let other = |l: Option<&Link>| l.is_some_and(|l| l.id != link.id && l.state.is_live());
        link.state.is_live()
            && !planted::is(Bug::OneRecordTwoLinks)
            && (link.local_id.as_ref().is_some_and(|id| other(self.link_of_local(link.pair, id)))
                || link.remote_id.as_ref().is_some_and(|id| other(self.link_of_remote(link.pair, id))))
    }

    /// Whether another link, live or closed, has one of this link's ids.
    pub(super) fn was_linked(&self, link: &Link) -> bool {
        let passes = |l: &Link| planted::is(Bug::OneRecordTwoLinks) && l.state.is_live();
        let other = |l: Option<&Link>| l.is_some_and(|l| l.id != link.id && !passes(l));
        link.local_id.as_ref().is_some_and(|id| other(self.link_of_local(link.pair, id)))
            || link.remote_id.as_ref().is_some_and(|id| other(self.link_of_remote(link.pair, id)))
    }

    pub(super) fn put_work(&mut self, row: WorkRow) {
        self.touch();
        let id = row.work.id;
        self.remove_work(id);
        if let Some(due) = row.work.due {
            self.due.insert((due, id));
        }
        self.subjects.insert((row.work.pair, row.work.subject.clone()), id);
        self.work.insert(id, row);
    }

    pub(super) fn remove_work(&mut self, id: WorkId) -> Option<WorkRow> {
        let row = self.work.remove(&id)?;
        self.touch();
        if let Some(due) = row.work.due {
            self.due.remove(&(due, id));
        }
        self.subjects.remove(&(row.work.pair, row.work.subject.clone()));
        Some(row)
    }

    pub(super) fn work_at(&self, pair: PairId, subject: &Subject) -> Option<&WorkRow> {
        self.work.get(self.subjects.get(&(pair, subject.clone()))?)
    }

    /// The work row of a subject, made if it is not there; not stored.
    pub(super) fn work_for(&mut self, pair: PairId, subject: &Subject, now: Timestamp) -> WorkRow {
        if let Some(row) = self.work_at(pair, subject) {
            return row.clone();
        }
        self.last_work += 1;
        WorkRow::new(WorkId(self.last_work), pair, subject.clone(), Seq(0), now)
    }

    pub(super) fn signal(&mut self, signal: &Signal, fact: Option<Fact>, now: Timestamp) {
        let mut generation = self.draw(1);
        let mut row = self.work_for(signal.pair, &signal.subject, now);
        if planted::is(Bug::CountersPerRow) {
            generation = Seq(row.work.generation.0 + 1);
        }
        row.signal(signal, generation, now);
        if let Some(fact) = fact {
            row.fact(fact);
        }
        self.put_work(row);
    }

    pub(super) fn signal_of_pass(&mut self, signal: &Signal, pass: PassMark, now: Timestamp) {
        let generation = self.draw(1);
        let mut row = self.work_for(signal.pair, &signal.subject, now);
        row.signal_of_pass(signal, generation, now, pass);
        self.put_work(row);
    }

    pub(super) fn signal_approved(&mut self, signal: &Signal, now: Timestamp) {
        let generation = self.draw(1);
        let mut row = self.work_for(signal.pair, &signal.subject, now);
        row.signal_approved(signal, generation, now);
        self.put_work(row);
    }

    pub(super) fn add_history(&mut self, at: Timestamp, entry: crate::History) {
        self.touch();
        self.last_history += 1;
        self.history.insert(self.last_history, HistoryRow { id: self.last_history, at, entry });
    }
}

fn forget<K: Ord>(index: &mut BTreeMap<K, BTreeSet<LinkId>>, key: K, id: LinkId) {
    if let Some(set) = index.get_mut(&key) {
        set.remove(&id);
        if set.is_empty() {
            index.remove(&key);
        }
    }
}

pub(super) fn no_catalog(name: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unknown, format!("there is no catalog `{name}`"))
}

pub(super) fn no_pair(id: PairId) -> StoreError {
    StoreError::new(StoreErrorKind::Unknown, format!("there is no pair {id}"))
}
