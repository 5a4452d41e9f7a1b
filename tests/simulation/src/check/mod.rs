//! The checkers: what must hold of any run, whatever was drawn.

mod archives;
mod brakes;
mod budget;
mod converged;
mod deletes;
mod once;
mod overdue;
mod patience;
mod register;

pub(crate) use archives::{archives, left_in_the_cold, note_archives};
pub(crate) use brakes::brakes;
pub(crate) use budget::budget;
pub(crate) use converged::{RELEASED, left_by_a_stop, passed_over, unsettled};
pub(crate) use deletes::{children_first, deletes};
pub(crate) use once::once;
pub(crate) use overdue::Overdue;
pub(crate) use patience::patience;
pub(crate) use register::register;

use crate::kinds::{LAST, Place};
use crate::sim::Sim;
use bothways_mapping::Mapping;
use bothways_model::{LinkId, LocalId, LocalRow, PairId, RemoteId};
use bothways_store::{
    BrakeKind, BrakeName, ChargeKey, HistoryFilter, HistoryRow, Intent, Link, LinkFilter, LinkState, Pair,
    PairCounts, ParkReason, ParkedFilter, Side, Subject, Withheld, Work, WorkId,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What work says that a brake holds back.
const BY_A_BRAKE: &str = "withheld by the brake";

/// What a delete says that waits for those of the records that refer to it.
const BY_CHILDREN: &str = "a delete waits for those of the records that refer to it";

/// What work says of the fields that the flap guard stopped, after their labels (rule 19).
const BACK_AND_FORTH: &str = " went back and forth";

/// Whether work is parked because this field went back and forth. The other fields of its record flow.
fn goes_back_and_forth(work: &Work, label: &str) -> bool {
    let flapping = work.parked.as_ref().filter(|parked| parked.reason == ParkReason::Flapping);
    let shown = flapping.and_then(|parked| parked.message.split_once(BACK_AND_FORTH));
    shown.is_some_and(|(labels, _)| labels.split(", ").any(|shown| shown == label))
}

/// Both sides of a mapping and everything stored about it, as they are at one moment.
pub(crate) struct Snapshot {
    pub(crate) place: &'static Place,
    pub(crate) mapping: Arc<Mapping>,
    /// Those that are not archived: what is counts as deleted (rule 32).
    pub(crate) rows: BTreeMap<String, LocalRow>,
    /// Those that are.
    pub(crate) archived: BTreeMap<String, LocalRow>,
    pub(crate) records: BTreeMap<String, Json>,
    pub(crate) links: Vec<Link>,
    pub(crate) parked: Vec<Work>,
    pub(crate) counts: PairCounts,
    /// Whether all that triggers tell of is relayed: else more is to be done than is counted.
    pub(crate) is_relayed: bool,
    pub(crate) pair: Option<Pair>,
    pub(crate) history: Vec<HistoryRow>,
    /// What brakes withhold, and nobody has approved.
    pub(crate) withheld: Vec<(BrakeName, Withheld)>,
    /// How much work waits for that.
    pub(crate) held_work: u64,
    /// Work that waits until what its record refers to has a link.
    pub(crate) waiting: Vec<Work>,
    /// The links of what its records refer to.
    pub(crate) parents: Vec<Link>,
    /// Which of their records there are.
    parent_records: BTreeSet<String>,
    /// Deletes that wait for those of the records that refer to them, by their links.
    pub(crate) after_children: Vec<(LinkId, WorkId)>,
    /// Rows to which rows referred that are deleted, and whose records are not.
    outlived: BTreeSet<String>,
}

/// Whether work says that the record of the row that its own refers to is not there any more.
fn is_about_gone(work: &Work) -> bool {
    work.held.as_deref().is_some_and(|held| held.ends_with("is not found there any more"))
}

/// Whether a brake holds back work that counts as pending. What is parked does not, whatever a brake withholds of it besides.
fn is_held_back(work: &Work) -> bool {
    work.parked.is_none() && work.held.as_ref().is_some_and(|held| held.starts_with(BY_A_BRAKE))
}

impl Snapshot {
    /// Whether a link's row is there, and whether its record is.
    pub(crate) fn sides(&self, link: &Link) -> (bool, bool) {
        let row = link.local_id.as_ref().is_some_and(|id| self.rows.contains_key(id.as_str()));
        let record = link.remote_id.as_ref().is_some_and(|id| self.records.contains_key(id.as_str()));
        (row, record)
    }

    /// Whether a full pass lists nothing on one of the sides. Rows that are archived are there.
    pub(crate) fn lists_nothing(&self) -> bool {
        self.records.is_empty() || (self.rows.is_empty() && self.archived.is_empty())
    }

    /// Reads all mappings, in the order of the plan's places. History is long and only read where it is asked for.
    ///
    /// # Errors
    /// The store fails, in words: a violation in itself.
    pub(crate) fn take_all(
        sim: &Sim,
        mappings: &[Arc<Mapping>],
        with_history: bool,
    ) -> Result<Vec<Self>, String> {
        let places = sim.plan.places.iter().zip(mappings);
        let mut all: Vec<Self> = places
            .map(|(place, mapping)| Self::take(sim, place, mapping, with_history))
            .collect::<Result<_, _>>()?;
        for index in 0..all.len() {
            let Some(kind) = all[index].place.kind.parent else { continue };
            let service = all[index].place.service;
            let parent = all.iter().find(|other| other.place.kind.is(kind) && other.place.service == service);
            let records = parent.map(|parent| parent.records.keys().cloned().collect());
            all[index].parents = parent.map(|parent| parent.links.clone()).unwrap_or_default();
            all[index].parent_records = records.unwrap_or_default();
            let outlived = all[index].outlived(sim);
            let parent =
                all.iter_mut().find(|other| other.place.kind.is(kind) && other.place.service == service);
            if let Some(parent) = parent {
                parent.outlived.extend(outlived);
            }
        }
        Ok(all)
    }

    fn take(
        sim: &Sim,
        place: &'static Place,
        mapping: &Arc<Mapping>,
        with_history: bool,
    ) -> Result<Self, String> {
        let backing = sim.table.store();
        let store = backing.store.clone();
        let now = sim.machine_time();
        let rows = sim.table.rows(place.kind.catalog).into_iter().map(|row| (row.id.0.clone(), row));
        let (archived, rows): (BTreeMap<String, LocalRow>, BTreeMap<String, LocalRow>) =
            rows.partition(|(_, row)| row.deleted_at.is_some());
        let records = sim.records(place).into_iter();
        let records: BTreeMap<String, Json> =
            records.map(|record| (place.id(&record).to_owned(), record)).collect();
        let read = async {
            let pairs = store.pairs().await?;
            let pair = pairs.into_iter().find(|pair| pair.spec.mapping == place.mapping);
            let id = pair.as_ref().map_or(PairId(0), |pair| pair.id);
            let links =
                store.links(&LinkFilter { pair: Some(id), ..LinkFilter::default() }, None, 100_000).await?;
            let parked = store
                .parked(&ParkedFilter { pair: Some(id), ..ParkedFilter::default() }, None, 10_000)
                .await?;
            let counts = if pair.is_some() { store.counts(id).await? } else { PairCounts::default() };
            let history = match with_history {
                true => {
                    let filter = HistoryFilter { pair: Some(id), ..HistoryFilter::default() };
                    store.history(&filter, None, 1_000_000).await?
                }
                false => Vec::new(),
            };
            let mut withheld = Vec::new();
            for brake in store.brakes(now).await?.into_iter().filter(|brake| brake.name.pair == id) {
                let some = store.withheld(brake.id, None, 10_000).await?;
                let open = some.into_iter().filter(|one| one.approved_until.is_none_or(|until| until <= now));
                withheld.extend(open.map(|one| (brake.name.clone(), one)));
            }
            let mut held_work = BTreeSet::new();
            for (_, one) in withheld.iter().filter(|_| counts.held > 0) {
                let row = match &one.key {
                    ChargeKey::Row(row) => Some(row),
                    _ => one.local_id.as_ref(),
                };
                let work = store.work_of(id, row, one.remote_id.as_ref()).await?;
                held_work.extend(work.iter().filter(|work| is_held_back(work)).map(|work| work.id));
            }
            let held_work = held_work.len() as u64;
            let mut waiting = BTreeMap::new();
            if counts.pending > held_work && place.kind.parent.is_some() {
                let rows = rows.keys().map(|id| (Some(LocalId(id.clone())), None));
                let records = records.keys().map(|id| (None, Some(RemoteId(id.clone()))));
                for (row, record) in rows.chain(records) {
                    let work = store.work_of(id, row.as_ref(), record.as_ref()).await?;
                    let waits = work.into_iter().filter(|work| {
                        (work.awaits.is_some() || is_about_gone(work)) && work.parked.is_none()
                    });
                    waiting.extend(waits.map(|work| (work.id, work)));
                }
            }
            let waiting: Vec<Work> = waiting.into_values().collect();
            let mut after_children = Vec::new();
            let lost = links.iter().filter(|link: &&Link| link.state.is_live() && counts.pending > held_work);
            for link in
                lost.filter(|link| link.local_id.as_ref().is_none_or(|id| !rows.contains_key(id.as_str())))
            {
                let work = store.work_of(id, link.local_id.as_ref(), link.remote_id.as_ref()).await?;
                let held = work.iter().filter(|work| work.held.as_deref() == Some(BY_CHILDREN));
                after_children.extend(held.map(|work| (link.id, work.id)));
            }
            let read = (pair, links, parked, counts, history, withheld, held_work, waiting, after_children);
            Ok::<_, bothways_store::StoreError>(read)
        };
        let (pair, links, parked, counts, history, withheld, held_work, waiting, after_children) = backing
            .run(read)
            .ok_or_else(|| "the store waits".to_owned())?
            .map_err(|error| format!("the store cannot be read: {error}"))?;
        let is_relayed = matches!(backing.run(store.drained(i64::MAX)), Some(Ok(true)));
        Ok(Self {
            place,
            mapping: mapping.clone(),
            rows,
            archived,
            records,
            links,
            parked,
            counts,
            is_relayed,
            pair,
            history,
            withheld,
            held_work,
            waiting,
            parents: Vec::new(),
            parent_records: BTreeSet::new(),
            after_children,
            outlived: BTreeSet::new(),
        })
    }

    /// What rows referred to that are deleted while their records are not known to be.
    fn outlived(&self, sim: &Sim) -> Vec<String> {
        let label = self.place.kind.labels[LAST];
        let ledger = sim.ledger(self.place.kind);
        // A row with the id of a deleted one is another.
        let is_its_own = |link: &Link, id: &LocalId| {
            let thing = ledger.rows.get(id.as_str()).filter(|_| self.rows.contains_key(id.as_str()));
            thing.is_some_and(|thing| ledger.rows_of(link.id).contains(&thing.entity))
        };
        let lost = |link: &&Link| !link.local_id.as_ref().is_some_and(|id| is_its_own(link, id));
        let base =
            |link: &Link| link.body.base.get(label)?.local.as_ref().map(bothways_model::Value::to_text);
        self.live_links().filter(lost).filter_map(base).collect()
    }

    /// Whether the delete of a link's row waits for those of the records that refer to it, and truly.
    pub(crate) fn is_after_children(&self, link: &Link) -> bool {
        let row = link.local_id.as_ref().or(link.body.former_local.as_ref());
        let outlived = row.is_some_and(|id| self.outlived.contains(id.as_str()));
        outlived && self.after_children.iter().any(|(of, _)| *of == link.id)
    }

    /// Whether work that waits has something to wait for: what it waits for has no link that can be referred to.
    pub(crate) fn is_wait_true(&self, work: &Work) -> bool {
        let Some(awaited) = &work.awaits else {
            // The link of what it refers to still stands: a brake or a person withholds what follows from the record's being gone. One
            // that is closed may keep its row, as that of an archived one does, and nothing is withheld any more.
            let refers = self.references(work);
            let refers = |link: &&Link| {
                let row = link.local_id.as_ref().filter(|_| link.state == LinkState::Linked);
                row.is_some_and(|id| refers.contains(&(Side::Local, id.0.clone())))
            };
            let gone = |link: &Link| {
                link.remote_id.as_ref().is_some_and(|id| !self.parent_records.contains(id.as_str()))
            };
            return is_about_gone(work) && self.parents.iter().filter(refers).any(gone);
        };
        if !self.references(work).contains(&(awaited.side, awaited.id.clone())) {
            return false;
        }
        !self.has_parent(awaited.side, &awaited.id)
    }

    /// Whether what a row or a record refers to has a link that can be referred to.
    fn has_parent(&self, side: Side, id: &str) -> bool {
        let of = |other: Option<&str>| other == Some(id);
        let is_there = |link: &Link| match side {
            Side::Local => {
                link.state == LinkState::Linked
                    && link.remote_id.is_some()
                    && link.body.missing_since.is_none()
                    && of(link.local_id.as_ref().map(|id| id.as_str()))
            }
            Side::Remote => {
                matches!(link.state, LinkState::Linked | LinkState::Detached)
                    && link.local_id.is_some()
                    && of(link.remote_id.as_ref().map(|id| id.as_str()))
            }
        };
        self.parents.iter().any(is_there)
    }

    /// Whether a link's row or record refers to something without such a link.
    pub(crate) fn lacks_parent(&self, link: &Link) -> bool {
        let row = link.local_id.as_ref().and_then(|id| self.rows.get(id.as_str()));
        let record = link.remote_id.as_ref().and_then(|id| self.records.get(id.as_str()));
        let key = row.and_then(|row| self.place.kind.cells(row)[LAST].clone());
        let id = record.and_then(|record| self.place.cells(record)[LAST].clone());
        key.is_some_and(|key| !self.has_parent(Side::Local, &key))
            || id.is_some_and(|id| !self.has_parent(Side::Remote, &id))
    }

    /// Whether a brake withholds anything from a link.
    pub(crate) fn is_braked(&self, link: LinkId) -> bool {
        self.withheld.iter().any(|(_, one)| one.key == ChargeKey::Link(link))
    }

    /// What the row and the record that work is about refer to.
    fn references(&self, work: &Work) -> Vec<(Side, String)> {
        let (mut row, mut record) = match &work.subject {
            Subject::Local(id) => (Some(id.clone()), None),
            Subject::Remote(id) => (None, Some(id.clone())),
            Subject::Group(_) => (None, None),
        };
        let of = |link: &&Link| {
            (row.is_some() && link.local_id == row) || (record.is_some() && link.remote_id == record)
        };
        if let Some(link) = self.live_links().find(of).cloned() {
            (row, record) = (row.or(link.local_id), record.or(link.remote_id));
        }
        let row = row.and_then(|id| self.place.kind.cells(self.rows.get(id.as_str())?)[LAST].clone());
        let record = record.and_then(|id| self.place.cells(self.records.get(id.as_str())?)[LAST].clone());
        row.map(|id| (Side::Local, id)).into_iter().chain(record.map(|id| (Side::Remote, id))).collect()
    }

    /// Whether a row's or a record's work waits for what it refers to, and truly.
    pub(crate) fn waits(&self, local: Option<&str>, remote: Option<&str>) -> bool {
        let about = |work: &&Work| match &work.subject {
            Subject::Local(id) => local == Some(id.as_str()),
            Subject::Remote(id) => remote == Some(id.as_str()),
            Subject::Group(_) => false,
        };
        self.waiting.iter().filter(about).any(|work| self.is_wait_true(work))
    }

    /// Whether a row's and a record's reference mean two that belong together, or did when the one of them went.
    pub(crate) fn is_same_parent(&self, sim: &Sim, row: &str, record: &str) -> bool {
        let Some(kind) = self.place.kind.parent else { return false };
        let ledger = sim.ledger(kind);
        let Some(entity) = ledger.entity(row) else { return false };
        let mut links = self
            .parents
            .iter()
            .filter(|link| link.remote_id.as_ref().is_some_and(|id| id.as_str() == record));
        links.any(|link| ledger.rows_of(link.id).contains(&entity))
    }

    /// The intents of a link.
    pub(crate) fn intents(sim: &Sim, link: &Link) -> Vec<Intent> {
        let backing = sim.table.store();
        backing.run(backing.store.intents(link.id, 1000)).and_then(Result::ok).unwrap_or_default()
    }

    /// All work there is, for whoever reads the story.
    pub(crate) fn all_work(sim: &Sim) -> Vec<Work> {
        const MANY: i64 = 10_000;
        let backing = sim.table.store();
        let work = |id| backing.run(backing.store.work(WorkId(id))).and_then(Result::ok).flatten();
        (1..MANY).filter_map(work).collect()
    }

    /// Fields of rows that two services insist on, as is shown: catalog, id and label.
    pub(crate) fn insisted_on(&self) -> BTreeSet<(&'static str, String, &'static str)> {
        let row = |work: &Work| match &work.subject {
            Subject::Local(id) => Some(id.0.clone()),
            Subject::Remote(id) => {
                let link = self.links.iter().find(|link| link.remote_id.as_ref() == Some(id))?;
                Some(link.local_id.as_ref()?.0.clone())
            }
            Subject::Group(_) => None,
        };
        let kind = self.place.kind;
        let of = |label: &'static str| {
            let shown = self.parked.iter().filter(move |work| goes_back_and_forth(work, label));
            shown.filter_map(row).map(move |id| (kind.catalog, id, label))
        };
        kind.labels.into_iter().flat_map(of).collect()
    }

    /// Groups of which a person has to choose.
    pub(crate) fn parked_groups(&self) -> BTreeSet<Subject> {
        let subjects = self.parked.iter().map(|work| &work.subject);
        subjects.filter(|subject| matches!(subject, Subject::Group(_))).cloned().collect()
    }

    /// Whether a brake withholds this kind of thing from a link.
    pub(crate) fn is_withheld(&self, link: LinkId, kind: BrakeKind) -> bool {
        self.withheld.iter().any(|(brake, one)| brake.kind == kind && one.key == ChargeKey::Link(link))
    }

    /// Whether a brake withholds the blanking of this field of a link, on either side.
    pub(crate) fn is_blanking_withheld(&self, link: LinkId, label: &str) -> bool {
        self.withheld.iter().any(|(brake, one)| {
            brake.kind == BrakeKind::Blanking
                && one.key == ChargeKey::Link(link)
                && brake.part.split_once('/').is_some_and(|(_, field)| field == label)
        })
    }

    /// Whether a brake withholds the creation of a row's record.
    pub(crate) fn is_create_withheld(&self, row: &str) -> bool {
        self.withheld.iter().any(|(_, one)| matches!(&one.key, ChargeKey::Row(id) if id.as_str() == row))
    }

    pub(crate) fn live_links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.state.is_live())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::{Seq, Timestamp};
    use bothways_store::{ParkReason, Parked};

    #[test]
    fn parked_work_is_not_among_the_pending_that_a_brake_holds_back() {
        let at = Timestamp::UNIX_EPOCH;
        let held = Work {
            id: WorkId(1),
            pair: PairId(1),
            subject: Subject::Local(LocalId("1".into())),
            generation: Seq(1),
            look: true,
            due: Some(at),
            since: at,
            changed: None,
            facts: Vec::new(),
            attempts: 0,
            tried_since: None,
            last_error: None,
            held: Some(format!("{BY_A_BRAKE} on blanking until a person approves it")),
            parked: None,
            pass: None,
            awaits: None,
        };
        assert!(is_held_back(&held));
        let parked = Parked { reason: ParkReason::Delete, message: String::new(), digest: String::new(), at };
        assert!(!is_held_back(&Work { parked: Some(parked), ..held.clone() }));
        assert!(!is_held_back(&Work { held: Some("`customer_id`: no link yet".into()), ..held }));
    }
}
