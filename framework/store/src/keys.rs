//! Match keys: normalised match values of the records of both sides, indexed, so that first contact never looks records up one
//! by one and counts linked candidates too (rule 27).

use crate::{LinkState, Result, Side};
use async_trait::async_trait;
use bothways_model::{PairId, Seq};
use serde::{Deserialize, Serialize};

/// One record's match value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The pair.
    pub pair: PairId,
    /// The side the record is on.
    pub side: Side,
    /// The record's id on that side.
    pub id: String,
    /// Its normalised match value; `None` if null or blank (never matches).
    pub value: Option<String>,
    /// The number of the observation; an older one never replaces a newer.
    pub seen: Seq,
    /// An unlinked remote record as it was observed, so that a walk needs no second read. Dropped when it is linked.
    pub content: Option<serde_json::Value>,
}

/// A change of match keys.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyWrite {
    /// Sets a key.
    Put(Key),
    /// Drops the content of a key that is linked now, keeping its value.
    Linked {
        /// The pair.
        pair: PairId,
        /// The side.
        side: Side,
        /// The record.
        id: String,
    },
    /// The record is gone.
    Drop {
        /// The pair.
        pair: PairId,
        /// The side.
        side: Side,
        /// The record.
        id: String,
    },
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMember {
    /// Its key.
    pub key: Key,
    /// The state of the link that answers for the record: of the live one, else of the newest closed one, which forbids linking it
    /// by itself as well.
    pub link: Option<LinkState>,
}

impl GroupMember {
    /// Whether a link answers for the record, live or closed.
    pub fn is_linked(&self) -> bool {
        self.link.is_some()
    }
}

/// All records of a pair with one match value. A record without a match value is a group of its own, with `value: None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The value.
    pub value: Option<String>,
    /// Remote records, at most `GROUP_LIMIT`.
    pub remote: Vec<GroupMember>,
    /// Catalog rows, at most `GROUP_LIMIT`.
    pub local: Vec<GroupMember>,
}

impl Group {
    /// More members than this on a side are not listed; the group is ambiguous long before.
    pub const LIMIT: usize = 20;
}

/// Match keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The group of each value, in the order asked; a value nobody has gives an empty group.
    async fn groups_of(&self, pair: PairId, values: &[String]) -> Result<Vec<Group>>;

    /// Groups with at least one unlinked member, after `after` in an order that is stable while nothing is added, together with
    /// the position to go on from. `None` as position: the end.
    async fn unlinked_groups(
        &self,
        pair: PairId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Group>, Option<String>)>;

    /// Applies changes.
    async fn write_keys(&self, writes: &[KeyWrite]) -> Result<()>;
}
