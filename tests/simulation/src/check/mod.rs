//! The checkers: what must hold of any run, whatever was drawn.

mod brakes;
mod budget;
mod converged;
mod deletes;
mod once;
mod patience;
mod register;

pub(crate) use brakes::brakes;
pub(crate) use budget::budget;
pub(crate) use converged::{left_by_a_stop, passed_over, unsettled};
pub(crate) use deletes::deletes;
pub(crate) use once::once;
pub(crate) use patience::patience;
pub(crate) use register::register;

use crate::sim::Sim;
use bothways_mapping::Mapping;
use bothways_model::{LinkId, LocalRow, PairId};
use bothways_store::{
    BrakeKind, BrakeName, ChargeKey, HistoryFilter, HistoryRow, Intent, Link, LinkFilter, Pair, PairCounts,
    ParkedFilter, Subject, Withheld, Work, WorkId,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What work says that a brake holds back.
const BY_A_BRAKE: &str = "withheld by the brake";

/// Both sides and everything stored, as they are at one moment.
pub(crate) struct Snapshot {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) rows: BTreeMap<String, LocalRow>,
    pub(crate) records: BTreeMap<String, Json>,
    pub(crate) links: Vec<Link>,
    pub(crate) parked: Vec<Work>,
    pub(crate) counts: PairCounts,
    pub(crate) pair: Option<Pair>,
    pub(crate) history: Vec<HistoryRow>,
    /// What brakes withhold, and nobody has approved.
    pub(crate) withheld: Vec<(BrakeName, Withheld)>,
    /// How much work waits for that.
    pub(crate) held_work: u64,
}

impl Snapshot {
    /// Whether a link's row is there, and whether its record is.
    pub(crate) fn sides(&self, link: &Link) -> (bool, bool) {
        let row = link.local_id.as_ref().is_some_and(|id| self.rows.contains_key(id.as_str()));
        let record = link.remote_id.as_ref().is_some_and(|id| self.records.contains_key(id.as_str()));
        (row, record)
    }

    /// Reads it. History is long and only read where it is asked for.
    ///
    /// # Errors
    /// The store fails, in words: a violation in itself.
    pub(crate) fn take(sim: &Sim, mapping: &Arc<Mapping>, with_history: bool) -> Result<Self, String> {
        let backing = sim.table.store();
        let store = backing.store.clone();
        let now = sim.machine_time();
        let read = async {
            let pair = store.pairs().await?.into_iter().next();
            let id = pair.as_ref().map_or(PairId(0), |pair| pair.id);
            let links = store.links(&LinkFilter::default(), None, 100_000).await?;
            let parked = store.parked(&ParkedFilter::default(), None, 10_000).await?;
            let counts = if pair.is_some() { store.counts(id).await? } else { PairCounts::default() };
            let history = match with_history {
                true => store.history(&HistoryFilter::default(), None, 1_000_000).await?,
                false => Vec::new(),
            };
            let mut withheld = Vec::new();
            for brake in store.brakes(now).await? {
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
                let held = |work: &&Work| work.held.as_ref().is_some_and(|held| held.starts_with(BY_A_BRAKE));
                held_work.extend(work.iter().filter(held).map(|work| work.id));
            }
            let held_work = held_work.len() as u64;
            Ok::<_, bothways_store::StoreError>((pair, links, parked, counts, history, withheld, held_work))
        };
        let (pair, links, parked, counts, history, withheld, held_work) = backing
            .run(read)
            .ok_or_else(|| "the store waits".to_owned())?
            .map_err(|error| format!("the store cannot be read: {error}"))?;
        let records = sim.stripe().customers();
        Ok(Self {
            mapping: mapping.clone(),
            rows: sim.table.rows().into_iter().map(|row| (row.id.0.clone(), row)).collect(),
            records: records
                .into_iter()
                .map(|record| (record["id"].as_str().unwrap_or_default().to_owned(), record))
                .collect(),
            links,
            parked,
            counts,
            pair,
            history,
            withheld,
            held_work,
        })
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
