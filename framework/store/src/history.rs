//! History: every write with its before and after, enough to explain and to undo.

use crate::ChargeKey;
use bothways_model::{LinkId, LocalId, PairId, RemoteId, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The catalog.
    Local,
    /// The service.
    Remote,
}

impl Side {
    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Local => "local",
            Side::Remote => "remote",
        }
    }

    /// Reads [`Side::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Side::Local, Side::Remote].into_iter().find(|side| side.as_str() == text)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryOp {
    /// A record was created on `side`.
    Create,
    /// Fields were changed on `side`.
    Update,
    /// The record was deleted (or archived) on `side`.
    Delete,
    /// Row and record were linked.
    Link,
    /// The link was closed or moved.
    Unlink,
    /// A conflict arose.
    Conflict,
    /// A conflict ended.
    Resolved,
    /// A late echo of our own write was recognised (rule 24).
    Echo,
    /// A difference beyond `normalize` between what was written and what came back (rule 15).
    Altered,
}

impl HistoryOp {
    /// All operations.
    pub const ALL: [HistoryOp; 9] = [
        HistoryOp::Create,
        HistoryOp::Update,
        HistoryOp::Delete,
        HistoryOp::Link,
        HistoryOp::Unlink,
        HistoryOp::Conflict,
        HistoryOp::Resolved,
        HistoryOp::Echo,
        HistoryOp::Altered,
    ];

    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            HistoryOp::Create => "create",
            HistoryOp::Update => "update",
            HistoryOp::Delete => "delete",
            HistoryOp::Link => "link",
            HistoryOp::Unlink => "unlink",
            HistoryOp::Conflict => "conflict",
            HistoryOp::Resolved => "resolved",
            HistoryOp::Echo => "echo",
            HistoryOp::Altered => "altered",
        }
    }

    /// Reads [`HistoryOp::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_str() == text)
    }
}

/// A field before and after; `None` is absent or unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::link::known")]
    pub before: Option<Value>,
    /// After.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::link::known")]
    pub after: Option<Value>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The pair.
    pub pair: PairId,
    /// The link, if there is one.
    pub link: Option<LinkId>,
    /// The row. Filled in by the store when this unit inserts it.
    pub local_id: Option<LocalId>,
    /// The record.
    pub remote_id: Option<RemoteId>,
    /// The side that was written.
    pub side: Side,
    /// What happened.
    pub op: HistoryOp,
    /// Field by field, by label.
    pub fields: BTreeMap<String, FieldChange>,
    /// The numbers of the rules that decided.
    pub rules: Vec<u16>,
    /// Why, in a few words for people.
    pub cause: String,
    /// The full pass, or the carrying out of a plan, that it belongs to.
    pub pass: Option<String>,
    /// Who approved it, if a brake had withheld it. Filled in by the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

impl History {
    /// Why, and who approved it, in words.
    pub fn why(&self) -> String {
        match &self.approved_by {
            Some(by) => format!("{}; approved by {by}", self.cause),
            None => self.cause.clone(),
        }
    }

    /// What brakes know its link and its row by.
    pub fn charge_keys(&self) -> impl Iterator<Item = ChargeKey> + use<> {
        let row = self.local_id.clone().map(ChargeKey::Row);
        self.link.map(ChargeKey::Link).into_iter().chain(row)
    }
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Its number, in order of commit.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// The entry.
    pub entry: History,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Only this pair.
    pub pair: Option<PairId>,
    /// Only this link.
    pub link: Option<LinkId>,
    /// Only this row.
    pub local_id: Option<LocalId>,
    /// Only this record.
    pub remote_id: Option<RemoteId>,
    /// Only this operation.
    pub op: Option<HistoryOp>,
    /// Only this full pass, or this carrying out of a plan.
    pub pass: Option<String>,
}
