//! Capture: how changes to the catalog's own tables are noticed and handed to the pairs.

use crate::Result;
use async_trait::async_trait;
use bothways_model::Timestamp;

/// What one round of the relay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Entries claimed and deleted.
    pub entries: u64,
    /// True if more were there.
    pub more: bool,
}

/// The change log and its relay.
#[async_trait]
pub trait Capture: Send + Sync {
    /// Claims up to `limit` entries, oldest first, deletes them, and in the same transaction marks work for every pair of their
    /// catalogs that is not retired: inserts and updates as local signals, deletes as facts, key changes by moving the links'
    /// local ids (a swap as a set, rule 29), REPLACE victims as hints (rules 36, 37). Never "id greater than last seen".
    async fn relay(&self, now: Timestamp, limit: usize) -> Result<Relayed>;

    /// Whether everything captured up to change number `change` has been relayed (rule 56).
    async fn drained(&self, change: i64) -> Result<bool>;

    /// Waits until something may have been captured since this call began, through anybody: another program, another process, this
    /// one. May wake for nothing. Never misses a change that is committed after the call, and returns promptly after one that was
    /// committed between two calls, unless somebody has relayed it by then.
    async fn changed(&self);

    /// Checks that the triggers of all catalogs are present and unchanged, puts back those that are not, and names the catalogs it
    /// had to repair; a full pass without deletes must follow for them (rule 36). Cheap when the schema has not changed.
    async fn repair(&self) -> Result<Vec<String>>;

    /// Catalogs whose table can no longer be used as the last [`Capture::repair`] found it, and why: a column was renamed or dropped.
    async fn unfit(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    /// Removes what has served its time: event ids after 3 days, closed intents and history after `keep_days`, tombstones of
    /// deleted records after max(30 days, ...), as far as they have no row any more (rule 34).
    async fn prune(&self, now: Timestamp, keep_days: u32) -> Result<()>;
}
