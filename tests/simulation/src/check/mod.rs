//! The checkers: what must hold of any run, whatever was drawn.

mod budget;
mod converged;
mod deletes;
mod once;
mod patience;
mod register;

pub(crate) use budget::budget;
pub(crate) use converged::unsettled;
pub(crate) use deletes::deletes;
pub(crate) use once::once;
pub(crate) use patience::patience;
pub(crate) use register::register;

use crate::sim::Sim;
use bothways_mapping::Mapping;
use bothways_model::{LinkId, LocalRow, PairId};
use bothways_store::{
    HistoryFilter, HistoryRow, Intent, Link, LinkFilter, Pair, PairCounts, ParkedFilter, Subject, Work,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What work says that is held back for a moment only.
const PASSING: [&str; 2] = ["a delete waits for earlier changes", "paused"];

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
    /// Links whose work a limit holds back.
    pub(crate) held_links: BTreeSet<LinkId>,
    /// How much work that is.
    pub(crate) held_work: u64,
}

impl Snapshot {
    /// Reads it. History is long and only read where it is asked for.
    ///
    /// # Errors
    /// The store fails, in words: a violation in itself.
    pub(crate) fn take(sim: &Sim, mapping: &Arc<Mapping>, with_history: bool) -> Result<Self, String> {
        let backing = sim.table.store();
        let store = backing.store.clone();
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
            let mut held = BTreeSet::new();
            let mut held_work = 0;
            for link in links.iter().filter(|link| counts.held > 0 && link.state.is_live()) {
                let work = store.work_of(link.pair, link.local_id.as_ref(), link.remote_id.as_ref()).await?;
                let by_a_brake = |held: &String| !PASSING.contains(&held.as_str());
                let count = work.iter().filter(|work| work.held.as_ref().is_some_and(by_a_brake)).count();
                if count > 0 {
                    held.insert(link.id);
                    held_work += count as u64;
                }
            }
            Ok::<_, bothways_store::StoreError>((pair, links, parked, counts, history, held, held_work))
        };
        let (pair, links, parked, counts, history, held_links, held_work) = backing
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
            held_links,
            held_work,
        })
    }

    /// The intents of a link.
    pub(crate) fn intents(sim: &Sim, link: &Link) -> Vec<Intent> {
        let backing = sim.table.store();
        backing.run(backing.store.intents(link.id, 1000)).and_then(Result::ok).unwrap_or_default()
    }

    /// Every local id that a link is known to have had. A link moves with its row's key, and history says where it was.
    pub(crate) fn ids_of(&self, link: &Link) -> BTreeSet<String> {
        let now = [&link.local_id, &link.body.former_local].into_iter().flatten();
        let then = self.history.iter().filter(|h| h.entry.link == Some(link.id));
        now.chain(then.filter_map(|h| h.entry.local_id.as_ref())).map(|id| id.0.clone()).collect()
    }

    /// Groups of which a person has to choose.
    pub(crate) fn parked_groups(&self) -> BTreeSet<Subject> {
        let subjects = self.parked.iter().map(|work| &work.subject);
        subjects.filter(|subject| matches!(subject, Subject::Group(_))).cloned().collect()
    }

    pub(crate) fn live_links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.state.is_live())
    }
}
