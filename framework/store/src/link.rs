//! Links: which catalog row and which remote record are the same thing, and what was last known of each side.

use crate::{Result, Side, Taken};
use async_trait::async_trait;
use bothways_model::{AccountId, LinkId, LocalId, Mode, PairId, RemoteId, Seq, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a link stands. Conflicts and parked work are beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Both sides are bound, or the remote one is being created.
    Linked,
    /// Waits for a parent's link.
    Waiting,
    /// The remote record is gone and the row stays; edits do not flow (rule 34).
    Detached,
    /// The row is gone without a captured delete; a person decides (rule 32).
    Missing,
    /// A person, a policy or a scope took the link apart; nothing flows. Only what left the scope, or was archived, is linked again by
    /// itself when it is back.
    Unlinked,
    /// Both are over; kept so that late events revive nothing (rule 34).
    Tombstone,
}

impl LinkState {
    /// All states.
    pub const ALL: [LinkState; 6] = [
        LinkState::Linked,
        LinkState::Waiting,
        LinkState::Detached,
        LinkState::Missing,
        LinkState::Unlinked,
        LinkState::Tombstone,
    ];

    /// Whether (pair, local id) and (pair, remote id) must be unique against this link (rule 30).
    pub fn is_live(self) -> bool {
        !matches!(self, LinkState::Unlinked | LinkState::Tombstone)
    }

    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Linked => "linked",
            LinkState::Waiting => "waiting",
            LinkState::Detached => "detached",
            LinkState::Missing => "missing",
            LinkState::Unlinked => "unlinked",
            LinkState::Tombstone => "tombstone",
        }
    }

    /// Reads [`LinkState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// The last values of both sides that were confirmed to agree, for one mapping field (by label). `None` is *unknown*.
/// Both are in the catalog field's canonical form; the remote one is what the lens reads from the remote record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldBase {
    /// The local base.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "known")]
    pub local: Option<Value>,
    /// The remote base.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "known")]
    pub remote: Option<Value>,
}

/// `Option<Value>` where the value itself may be null: a present key is `Some`, whatever it holds.
pub(crate) mod known {
    use bothways_model::Value;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }
}

/// Which value a person wants for a field in conflict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The local one.
    Local,
    /// The remote one.
    Remote,
    /// Another one.
    Value(Value),
}

/// A person's choice, valid only for the two values it was made for (rule 11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// What to keep.
    pub keep: Keep,
    /// Who chose.
    pub by: String,
}

/// What a person wants done about a delete that was left to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeleteChoice {
    /// Carry it out on the other side.
    Carry,
    /// Leave the other side alone and close the link.
    Keep,
    /// Create the deleted remote record again from the row.
    Recreate,
}

/// One field that differs on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// The local value when last seen; `None` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "known")]
    pub local: Option<Value>,
    /// The remote value when last seen; `None` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "known")]
    pub remote: Option<Value>,
    /// Since when.
    pub since: Timestamp,
    /// True if the bases were unknown: a difference at first contact (rule 18).
    pub first_contact: bool,
    /// A person's choice that is not carried out yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// Whose choice was dropped, since a value moved after it was made; until there is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
}

/// A value that an uncertain write may still bring about on the remote side (rule 24).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LateEcho {
    /// The field's label.
    pub field: String,
    /// The value that was sent.
    pub value: Value,
    /// Until when its late arrival is our own echo.
    pub until: Timestamp,
}

/// One engine write, remembered shortly for the flap guard (rule 19).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentWrite {
    /// The field's label.
    pub field: String,
    /// The side that was written.
    pub side: Side,
    /// The value written.
    pub value: Value,
    /// When.
    pub at: Timestamp,
}

/// What only the lease holder changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkBody {
    /// Bases by field label; a label that is not here is unknown on both sides.
    pub base: BTreeMap<String, FieldBase>,
    /// Fields in conflict, by label.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conflicts: BTreeMap<String, Conflict>,
    /// The number of the last observation or confirmed write that counted; only a larger one counts (rule 51).
    pub observed: Seq,
    /// Values that may still arrive late.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<LateEcho>,
    /// Until when a delete of ours that was given up may still arrive: that the record is gone by then says nothing of what others want.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_delete: Option<Timestamp>,
    /// Recent engine writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<RecentWrite>,
    /// When the local row was last changed by a user since its base, as the log has it, by field label (rule 12).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub local_changed: BTreeMap<String, Timestamp>,
    /// A bare 404 seen at this time; it must repeat to be a proof (rule 31).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
    /// Labels absent from reads in a row, and how often (rule 17).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, u32>,
    /// The local id this link had before it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_local: Option<LocalId>,
    /// The side that left the mapping's scope, for which the link was closed: it is a link again when that side is back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_scope: Option<Side>,
    /// The row was archived when it was last looked at. A link that was closed for it is one again when the row is live again; one that
    /// stays (`from_local: ignore`) does not know what the record was changed to meanwhile.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// A digest of the row as a person was shown it when it had lost its record: later edits are shown again (rule 34).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The record that a merged record became part of (rule 26).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RemoteId>,
    /// The record this link was of, before that one became part of its present one (rule 26).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<RemoteId>,
    /// Another record that carries this link's stamp (rule 26).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin: Option<RemoteId>,
    /// A person's decision about a delete that is not carried out yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_choice: Option<DeleteChoice>,
    /// Why the link is in its state, in a few words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// True if the remote record was created by us, so that it carries our stamp.
    pub created_by_us: bool,
}

impl LinkBody {
    /// Whether nothing about it asks for a look at the record: no conflict, no write that may arrive late, and a row that was live when
    /// it was last looked at.
    pub fn is_calm(&self) -> bool {
        self.conflicts.is_empty() && self.late.is_empty() && !self.archived
    }

    /// Whether a person's choice waits to be carried out.
    pub fn has_choice(&self) -> bool {
        self.delete_choice.is_some() || self.conflicts.values().any(|c| c.choice.is_some())
    }
}

/// A lease on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The fencing token.
    pub token: Seq,
    /// When it ends.
    pub until: Timestamp,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its identity, and the stamp.
    pub id: LinkId,
    /// Its pair.
    pub pair: PairId,
    /// The row; `None` before an inbound create and after a close.
    pub local_id: Option<LocalId>,
    /// The record; `None` until an outbound create is confirmed.
    pub remote_id: Option<RemoteId>,
    /// The account the record is in.
    pub account: Option<AccountId>,
    /// That account's mode.
    pub mode: Mode,
    /// Where it stands.
    pub state: LinkState,
    /// Bases, conflicts and the rest.
    pub body: LinkBody,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When both sides were last known to agree.
    pub in_step_at: Option<Timestamp>,
    /// The present lease, if any.
    pub lease: Option<Lease>,
}

impl Link {
    /// Whether this token is the link's newest, even if the lease has run out and nobody took it since (rule 41).
    pub fn holds(&self, token: Seq) -> bool {
        self.lease.is_some_and(|lease| lease.token == token)
    }

    /// Whether `other` is this link with perhaps another lease.
    pub fn is_same_but_for_lease(&self, other: &Link) -> bool {
        let Self {
            id,
            pair,
            local_id,
            remote_id,
            account,
            mode,
            state,
            body,
            created_at,
            updated_at,
            in_step_at,
            lease: _,
        } = self;
        *id == other.id
            && *pair == other.pair
            && *local_id == other.local_id
            && *remote_id == other.remote_id
            && *account == other.account
            && *mode == other.mode
            && *state == other.state
            && *created_at == other.created_at
            && *updated_at == other.updated_at
            && *in_step_at == other.in_step_at
            && *body == other.body
    }
}

/// Which links to list.
#[derive(Clone, Debug, Default)]
pub struct LinkFilter {
    /// Only this pair.
    pub pair: Option<PairId>,
    /// Only this state.
    pub state: Option<LinkState>,
    /// Only links with conflicts.
    pub conflicts: bool,
    /// Only links of this row.
    pub local_id: Option<LocalId>,
    /// Only links of this record.
    pub remote_id: Option<RemoteId>,
}

/// Reading links, and committing decisions about them.
#[async_trait]
pub trait Links: Send + Sync {
    /// One link.
    async fn link(&self, id: LinkId) -> Result<Option<Link>>;

    /// Links in id order after `after`.
    async fn links(&self, filter: &LinkFilter, after: Option<LinkId>, limit: usize) -> Result<Vec<Link>>;

    /// For each remote id, the link that answers for it: the live one, else the newest closed one. Same order as asked.
    async fn links_of_remote(&self, pair: PairId, ids: &[RemoteId]) -> Result<Vec<Option<Link>>>;

    /// For each local id, the link that answers for it: the live one, else the newest closed one. Same order as asked.
    async fn links_of_local(&self, pair: PairId, ids: &[LocalId]) -> Result<Vec<Option<Link>>>;

    /// Takes the lease of one link directly, for operator actions: a new token, its signals folded as in
    /// [`crate::WorkQueue::take`]. `None` while somebody else holds it or if there is no such link.
    async fn lease(&self, id: LinkId, now: Timestamp, until: Timestamp) -> Result<Option<Taken>>;

    /// Ends every lease and makes the work behind it due now. Only for a caller who knows that no other engine runs on this
    /// database: after a crash the next start need not wait for leases to run out. Returns how many links were leased.
    async fn end_leases(&self, now: Timestamp) -> Result<u64>;

    /// Carries out units in order, all in one transaction, and says of each what became of it. A unit whose guard fails has no
    /// effect and does not disturb the others; a unit whose row write the table refuses keeps everything but that row part.
    ///
    /// # Errors
    /// Nothing at all was committed (or, for a commit whose outcome is unknown, perhaps everything; or, where a table's own conflict
    /// clause ends transactions and the units had to be committed one by one, perhaps some). The same call may be made again.
    async fn commit(&self, now: Timestamp, units: &[crate::Unit]) -> Result<Vec<crate::UnitOutcome>>;

    /// The intents of a link, newest first: for `explain`.
    async fn intents(&self, link: LinkId, limit: usize) -> Result<Vec<crate::Intent>>;

    /// Intents of creates of this pair that are open or uncertain (rule 25).
    async fn creates_in_flight(&self, pair: PairId, limit: usize) -> Result<Vec<crate::Intent>>;

    /// Draws `count` consecutive numbers and returns the first.
    async fn draw(&self, count: u32) -> Result<Seq>;
}
