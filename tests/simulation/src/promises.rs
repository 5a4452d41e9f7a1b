//! What one process owes: a write that the service confirmed and the database did not take yet. Until it is stored, no further write is
//! begun (rule 43).

use crate::sim::key_of;
use bothways_model::{LinkId, Request};
use bothways_store::{IntentState, IntentWrite, Unit};
use std::collections::BTreeMap;

/// One process's commits, as far as they matter to what it may send.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    commits: u64,
    /// Confirmed intents whose commit was refused, and when that was.
    owed: BTreeMap<(LinkId, u32), u64>,
    /// When the intent of an idempotency key was committed.
    opened: BTreeMap<String, u64>,
}

impl Promises {
    /// Takes in a commit that was carried out, or refused by a database that is busy.
    pub(crate) fn note(&mut self, units: &[Unit], done: bool) {
        self.commits += 1;
        for write in units.iter().flat_map(|unit| &unit.intents) {
            match write {
                IntentWrite::Open(intent) if done => {
                    self.opened.insert(intent.key.clone(), self.commits);
                }
                IntentWrite::Close { link, number, .. } if done => {
                    self.owed.remove(&(*link, *number));
                }
                IntentWrite::Close { link, number, state: IntentState::Confirmed, .. } => {
                    self.owed.entry((*link, *number)).or_insert(self.commits);
                }
                _ => {}
            }
        }
    }

    /// Why this request must not go out, if it must not: its intent was committed after a confirmation had been refused.
    pub(crate) fn broken_by(&self, request: &Request) -> Option<String> {
        let opened = self.opened.get(key_of(request)?)?;
        let ((link, number), _) = self.owed.iter().find(|(_, refused)| opened > *refused)?;
        Some(format!("a write began while intent {number} of {link}, which is confirmed, was not stored"))
    }
}
