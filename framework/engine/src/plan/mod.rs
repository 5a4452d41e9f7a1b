//! The plan: what would happen on both sides, field by field, who wins and why (rules 9, 61, 64).
//!
//! Read-only by construction: a plan holds no store and no HTTP port, only [`PlanReads`] and a [`ReadOnly`] gate that refuses every
//! call a connector marks as a write. It works on an installed database and on one where nothing is installed yet. The same pure
//! functions decide as in a run. Items are streamed; what has to be remembered goes into a scratch table of match keys that the
//! caller supplies and throws away.

mod gate;
mod reads;
mod survey;

pub use gate::ReadOnly;
pub use reads::{Installed, NotInstalled, PlanReads};

use crate::decide::Verdict;
use crate::pairs::PairRuntime;
use crate::{Clock, EngineError};
use bothways_store::Keys;
use serde::Serialize;
use std::sync::Arc;

/// What a plan is made from.
#[derive(Clone)]
pub struct PlanSource {
    /// The pair; one that is not stored yet is bound with [`PairRuntime::bind`].
    pub pair: Arc<PairRuntime>,
    /// The database.
    pub reads: Arc<dyn PlanReads>,
    /// The service.
    pub remote: ReadOnly,
    /// An empty table for match keys, of this plan alone.
    pub scratch: Arc<dyn Keys>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

/// What would happen to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    /// Row and record are linked; fields that differ are listed.
    Link,
    /// A row is made of the record.
    CreateLocal,
    /// A record is made of the row.
    CreateRemote,
    /// Fields of linked records travel, or conflict.
    Update,
    /// A person has to say which of several candidates belong together.
    Ambiguous,
    /// The row is deleted.
    DeleteLocal,
    /// The row is marked as deleted.
    ArchiveLocal,
    /// The record is deleted.
    DeleteRemote,
    /// The link is closed; both sides stay as they are.
    Close,
    /// It waits for a person; nothing is written.
    Ask,
}

/// One thing that would happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanItem {
    /// What.
    pub action: PlanAction,
    /// The row, if there is one.
    pub local: Option<String>,
    /// The record, if there is one.
    pub remote: Option<String>,
    /// Fields that travel, conflict or are refused: with both values, the rule and the reason.
    pub fields: Vec<Verdict>,
    /// Why, for people.
    pub why: String,
}

/// Sums over all items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanTotals {
    /// Remote records read.
    pub remote: u64,
    /// Rows read.
    pub local: u64,
    /// Linked records that are in step.
    pub in_step: u64,
    /// Rows and records that would be linked.
    pub link: u64,
    /// Of those, the ones with fields that differ.
    pub link_differing: u64,
    /// Rows that would be created.
    pub create_local: u64,
    /// Records that would be created.
    pub create_remote: u64,
    /// Linked records whose rows would change.
    pub update_local: u64,
    /// Linked records whose remote side would change.
    pub update_remote: u64,
    /// Records with at least one field that a person has to decide.
    pub conflicts: u64,
    /// Groups of which a person has to choose.
    pub ambiguous: u64,
    /// Rows that would be deleted or archived.
    pub delete_local: u64,
    /// Records that would be deleted.
    pub delete_remote: u64,
    /// Links that would be closed.
    pub close: u64,
    /// Other things that would wait for a person.
    pub ask: u64,
    /// Records and rows outside the mapping's scope.
    pub out_of_scope: u64,
    /// Rows that hold something their catalog does not allow.
    pub unreadable: u64,
    /// Remote reads that carrying it out needs, beside the walk.
    pub reads: u64,
    /// Remote writes that carrying it out needs.
    pub writes: u64,
    /// Requests that this plan itself made.
    pub asked: u64,
    /// A digest of all items: another one means that something else would happen (rule 62).
    pub digest: String,
}

/// Makes a plan: hands every item that is not "nothing" to `sink` as it is found, and returns the totals.
///
/// # Errors
/// The service or a store failed; items handed over until then are not a whole plan.
pub async fn plan(
    source: &PlanSource,
    sink: &mut (dyn FnMut(PlanItem) + Send),
) -> Result<PlanTotals, EngineError> {
    survey::Survey::new(source, sink).run().await
}
