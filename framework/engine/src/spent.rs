//! What each connection has spent of its day (rule 47), kept over restarts and for other processes: `bothways status` is one.
//!
//! The HTTP port counts. The sweep stores what it counted, so a process that dies forgets the calls since then at most. One engine works on
//! a database at a time; where several did, each would know its own calls and those of whoever stored last before it began.

use crate::{Engine, EngineError, HourOfCalls, Quota};
use bothways_model::{ConnectionName, Timestamp};
use bothways_store::{Cursor, PageCommit};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is stored of each connection, once it has been read.
#[derive(Default)]
pub(crate) struct Spent(Mutex<BTreeMap<ConnectionName, Counted>>);

impl Spent {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionName, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells whether there is something to store.
#[derive(Clone, Default)]
struct Counted {
    /// The calls of each hour.
    hours: Vec<u64>,
    quota: Option<Quota>,
}

impl Counted {
    /// Our own calls to the last one; of what the service counts, a hundredth of the day's calls.
    fn is_alike(&self, now: &Self) -> bool {
        let same = |(kept, now): (Quota, Quota)| {
            kept.limit == now.limit && kept.used.abs_diff(now.used) * 100 < now.limit
        };
        self.hours == now.hours && (now.quota.is_none() || self.quota.zip(now.quota).is_some_and(same))
    }
}

/// A connection's day as it is stored.
#[derive(Serialize, Deserialize)]
struct Day {
    at: Timestamp,
    hours: Vec<HourOfCalls>,
    quota: Option<Quota>,
}

impl Day {
    fn counted(&self) -> Counted {
        Counted { hours: self.hours.iter().map(|hour| hour.calls).collect(), quota: self.quota }
    }
}

impl Engine {
    async fn day(&self, name: &ConnectionName) -> Result<Option<Day>, EngineError> {
        let kept = self.store.cursor(&cursor_name(name)).await?;
        // What cannot be read was written by another version, and is forgotten within a day anyway.
        Ok(kept.and_then(|kept| serde_json::from_value(kept).ok()))
    }

    /// Tells the HTTP port what processes before this one spent, once.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn recall_calls(&self, name: &ConnectionName) -> Result<(), EngineError> {
        if self.spent.lock().contains_key(name) {
            return Ok(());
        }
        let day = self.day(name).await?;
        let mut spent = self.spent.lock();
        if let Entry::Vacant(unread) = spent.entry(name.clone()) {
            unread.insert(day.as_ref().map(Day::counted).unwrap_or_default());
            let hours = day.map(|day| day.hours).unwrap_or_default();
            self.ports.http.recall(name, self.ports.clock.now(), &hours);
        }
        Ok(())
    }

    /// Stores what was spent, where that is not what is stored.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn keep_calls(&self) -> Result<(), EngineError> {
        let at = self.ports.clock.now();
        for name in self.connections.names() {
            let http = &self.ports.http;
            let day = Day { at, hours: http.calls_of_day(name, at), quota: http.quota(name) };
            let counted = day.counted();
            if self.spent.lock().get(name).is_none_or(|stored| stored.is_alike(&counted)) {
                continue;
            }
            let value = serde_json::to_value(&day).unwrap_or_default();
            let cursor = Some(Cursor { name: cursor_name(name), value });
            self.store.commit_page(at, &PageCommit { cursor, ..PageCommit::default() }).await?;
            self.spent.lock().insert(name.clone(), counted);
        }
        Ok(())
    }

    /// How much of its day's calls a connection has used: as this process knows, else as an engine that worked within the last day did.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn quota(&self, name: &ConnectionName) -> Result<Option<Quota>, EngineError> {
        let here = self.ports.http.quota(name);
        let now = self.ports.clock.now();
        let recent = self.day(name).await?.filter(|day| now - day.at < TimeDelta::days(1));
        // A process that has just begun has counted nothing: whoever knows of more is right.
        let kept = recent.and_then(|day| day.quota);
        Ok(here.into_iter().chain(kept).max_by_key(|quota| quota.used))
    }
}

/// The cursor that holds what a connection spent.
fn cursor_name(name: &ConnectionName) -> String {
    format!("calls/{name}")
}
