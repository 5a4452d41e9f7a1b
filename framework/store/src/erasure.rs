//! Erasing a person (`RULES.md` S28): what is remembered of a record beyond its ids goes, in one transaction. Ids stay, so that late events
//! revive nothing and history still says that something happened.

use crate::LinkBody;
use serde::Serialize;

/// What was erased, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Closed links whose values are gone.
    pub links: u64,
    /// Finished writes that were dropped, with their requests.
    pub intents: u64,
    /// Lines of history that name no values any more.
    pub history: u64,
    /// Match keys that were dropped.
    pub keys: u64,
    /// Parked work that was dropped.
    pub parked: u64,
}

impl LinkBody {
    /// The same without any value of the record.
    #[must_use]
    pub fn erased(&self) -> Self {
        Self {
            observed: self.observed,
            former_local: self.former_local.clone(),
            merged_into: self.merged_into.clone(),
            created_by_us: self.created_by_us,
            ..Self::default()
        }
    }
}
