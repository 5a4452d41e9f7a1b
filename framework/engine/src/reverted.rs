//! What is to be undone, and what became of it (rule 65).

use bothways_model::Value;
use serde::Serialize;

/// What to undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevertTarget {
    /// Everything that a full pass, or the carrying out of a plan, wrote.
    Pass(String),
    /// The last thing that sync wrote to a row, by the row's or the record's id; or one entry of its history.
    Record {
        /// Only in this mapping.
        mapping: Option<String>,
        /// The row's or the record's id.
        id: String,
        /// The number of the entry, on whichever side it wrote.
        entry: Option<i64>,
    },
}

/// What became of one value or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevertOutcome {
    /// It is as it was before (or would be, in a dry run).
    Reverted,
    /// It was as before already.
    Already,
    /// Somebody changed it since: it stays.
    Differs,
    /// It cannot be undone; the reason says why.
    Refused,
}

/// One field of a write that is undone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RevertField {
    /// The field's label.
    pub label: String,
    /// What became of it.
    pub outcome: RevertOutcome,
    /// What the row held; `None` where nobody looked.
    pub now: Option<Value>,
    /// What it held before the write.
    pub to: Option<Value>,
    /// Why, where it is not undone.
    pub why: String,
}

/// One write that is undone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RevertItem {
    /// The number of the history entry.
    pub entry: i64,
    /// The mapping.
    pub mapping: String,
    /// The row.
    pub local_id: Option<String>,
    /// The record.
    pub remote_id: Option<String>,
    /// What became of the write as a whole: the best of its fields.
    pub outcome: RevertOutcome,
    /// Why, where no field can say so.
    pub why: String,
    /// Field by field; empty for a row that is taken out again.
    pub fields: Vec<RevertField>,
}

/// Sums over all items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RevertTotals {
    /// Writes with something that was put back.
    pub reverted: u64,
    /// Writes that were as before already.
    pub already: u64,
    /// Writes with something that somebody changed since.
    pub differing: u64,
    /// Writes with something that cannot be undone.
    pub refused: u64,
    /// Links made: they stay; `unlink` takes one apart.
    pub links: u64,
}
