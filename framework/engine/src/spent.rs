//! What each connection has spent of its day, kept over restarts (rule 47).
//!
//! The HTTP port counts. The sweep stores what it counted, so a process that dies forgets the calls since then at most. One engine works on
//! a database at a time; where several did, each would know its own calls and those of whoever stored last before it began.

use crate::{Engine, EngineError, HourOfCalls};
use bothways_model::ConnectionName;
use bothways_store::{Cursor, PageCommit};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The numbers that are stored of each connection's hours, once they have been read.
#[derive(Default)]
pub(crate) struct Spent(Mutex<BTreeMap<ConnectionName, Vec<u64>>>);

impl Spent {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionName, Vec<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Tells the HTTP port what processes before this one spent, once.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn recall_calls(&self, name: &ConnectionName) -> Result<(), EngineError> {
        if self.spent.lock().contains_key(name) {
            return Ok(());
        }
        let kept = self.store.cursor(&cursor_name(name)).await?;
        // What cannot be read was written by another version, and is forgotten within a day anyway.
        let calls: Vec<HourOfCalls> =
            kept.and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or_default();
        let mut spent = self.spent.lock();
        if let Entry::Vacant(unread) = spent.entry(name.clone()) {
            unread.insert(numbers(&calls));
            self.ports.http.recall(name, self.ports.clock.now(), &calls);
        }
        Ok(())
    }

    /// Stores what was spent, where that is not what is stored.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn keep_calls(&self) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        for name in self.connections.names() {
            let calls = self.ports.http.calls_of_day(name, now);
            let counted = numbers(&calls);
            if self.spent.lock().get(name).is_none_or(|stored| *stored == counted) {
                continue;
            }
            let value = serde_json::to_value(&calls).unwrap_or_default();
            let cursor = Some(Cursor { name: cursor_name(name), value });
            self.store.commit_page(now, &PageCommit { cursor, ..PageCommit::default() }).await?;
            self.spent.lock().insert(name.clone(), counted);
        }
        Ok(())
    }
}

fn numbers(calls: &[HourOfCalls]) -> Vec<u64> {
    calls.iter().map(|hour| hour.calls).collect()
}

/// The cursor that holds what a connection spent.
fn cursor_name(name: &ConnectionName) -> String {
    format!("calls/{name}")
}
