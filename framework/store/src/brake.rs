//! Brakes: what is withheld until a person says that it may happen (rules 56 to 60, 63).
//!
//! Whatever a brake is about is *charged* by the unit that would do it, and the store judges the charge inside the unit's own
//! transaction, so that two workers can never pass a brake together. What is withheld stays known by name, link by link, until it is
//! approved and done, or until a look finds that nobody wants it any more. A brake is on exactly as long as it withholds something.

use crate::{AuditEntry, Result};
use async_trait::async_trait;
use bothways_model::{LinkId, LocalId, PairId, RemoteId, Timestamp};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a brake is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrakeKind {
    /// Deletes, in either direction (rule 56).
    Deletes,
    /// One field emptied on one side (rule 57).
    Blanking,
    /// Links changed by one full pass (rule 58).
    Updates,
    /// A side that lists nothing although there are links (rule 59).
    Empty,
    /// Records created on the remote side (rule 60).
    Creates,
}

impl BrakeKind {
    /// All kinds.
    pub const ALL: [BrakeKind; 5] =
        [BrakeKind::Deletes, BrakeKind::Blanking, BrakeKind::Updates, BrakeKind::Empty, BrakeKind::Creates];

    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            BrakeKind::Deletes => "deletes",
            BrakeKind::Blanking => "blanking",
            BrakeKind::Updates => "updates",
            BrakeKind::Empty => "empty",
            BrakeKind::Creates => "creates",
        }
    }

    /// Reads [`BrakeKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which brake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BrakeName {
    /// Its pair.
    pub pair: PairId,
    /// What it is about.
    pub kind: BrakeKind,
    /// Which part of it: side and field of a blanking (`remote/phone`), the side that is empty; else nothing.
    pub part: String,
}

/// The number of a brake that is on. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrakeId(pub i64);

/// What is charged: once each, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChargeKey {
    /// A link.
    Link(LinkId),
    /// A row that has no link yet.
    Row(LocalId),
    /// A full pass.
    Pass,
}

impl fmt::Display for ChargeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChargeKey::Link(link) => link.fmt(f),
            ChargeKey::Row(id) => write!(f, "row {id}"),
            ChargeKey::Pass => f.write_str("pass"),
        }
    }
}

impl ChargeKey {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match (text, text.strip_prefix("row ")) {
            ("pass", _) => Some(ChargeKey::Pass),
            (_, Some(id)) => Some(ChargeKey::Row(LocalId(id.to_owned()))),
            _ => text.parse().ok().map(ChargeKey::Link),
        }
    }
}

/// How many are too many: what is counted may reach the limit, not exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many while there are fewer than `from` live links.
    pub few: u64,
    /// From so many live links on `percent` and `most` count.
    pub from: u64,
    /// So many in a hundred live links.
    pub percent: u64,
    /// Never more than so many.
    pub most: u64,
    /// A tighter count that a person asked for.
    pub tighter: Option<u64>,
    /// A tighter share of live links, in percent, that a person asked for.
    pub tighter_percent: Option<u64>,
}

impl Limit {
    /// The same number whatever the links.
    pub const fn flat(most: u64) -> Self {
        Self { few: most, from: 0, percent: u64::MAX, most, tighter: None, tighter_percent: None }
    }

    /// The limit with so many live links.
    pub fn at(&self, live: u64) -> u64 {
        let share = |percent: u64| live.saturating_mul(percent) / 100;
        let own = if live < self.from { self.few } else { share(self.percent).min(self.most) };
        let own = if self.percent == u64::MAX { self.most } else { own };
        own.min(self.tighter.unwrap_or(u64::MAX)).min(self.tighter_percent.map_or(u64::MAX, share))
    }

    /// A number that the limit never is below, so that few need no count of the links.
    pub fn at_least(&self) -> u64 {
        if self.tighter_percent.is_some() {
            return 0;
        }
        let many = if self.percent == u64::MAX {
            self.most
        } else {
            self.from.saturating_mul(self.percent).saturating_div(100).min(self.most)
        };
        self.few.min(many).min(self.tighter.unwrap_or(u64::MAX))
    }
}

/// Something that must be known for a while before it is done: others of its kind may be on their way (rule 56).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ripening {
    /// Since when it is known.
    pub since: Timestamp,
    /// How long it must be known.
    pub wait: TimeDelta,
    /// Captured local deletes of the pair that nobody looked at yet count too, relayed or not.
    pub captured: bool,
}

/// One thing that a unit would do and that a brake is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The brake.
    pub brake: BrakeName,
    /// What it is done to.
    pub key: ChargeKey,
    /// What would be done, in words without record values.
    pub what: String,
    /// The limit.
    pub limit: Limit,
    /// What was done before this moment does not count.
    pub since: Timestamp,
    /// For deletes. They also count what is `missing`.
    pub ripening: Option<Ripening>,
}

/// What the store says to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It may be done, and is counted.
    Free,
    /// A person has approved it: it may be done, and is not counted.
    Approved,
    /// Not before this moment.
    Early(Timestamp),
    /// Withheld: so many were counted, more than `most`.
    Withheld {
        /// How many.
        counted: u64,
        /// The limit.
        most: u64,
    },
}

impl Judged {
    /// Whether it may be done now.
    pub fn is_free(self) -> bool {
        matches!(self, Judged::Free | Judged::Approved)
    }
}

/// What the end of a look says about what was withheld of a link (or of a row without one): whatever it does not keep, nobody wants
/// any more, so a row that is back is not deleted (rule 63).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The pair of the look: rows of other tables may have the same keys.
    pub pair: PairId,
    /// Of what: a link, and its row as long as that was without one.
    pub keys: Vec<ChargeKey>,
    /// The brakes that still withhold something of it, or that it passed in this look.
    pub keeps: Vec<BrakeName>,
    /// The look is finished: approvals that were used are spent.
    pub finished: bool,
}

/// A brake that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brake {
    /// Its number.
    pub id: BrakeId,
    /// Which one.
    pub name: BrakeName,
    /// Since when.
    pub since: Timestamp,
    /// How many were counted when it went on.
    pub counted: u64,
    /// The limit at that moment.
    pub most: u64,
    /// How many it withholds now, approved ones included.
    pub withheld: u64,
    /// Of those, how many are approved and not done yet.
    pub approved: u64,
}

/// One thing that a brake withholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What it would be done to.
    pub key: ChargeKey,
    /// What would be done.
    pub what: String,
    /// Since when it is known.
    pub since: Timestamp,
    /// The link's row.
    pub local_id: Option<LocalId>,
    /// The link's record.
    pub remote_id: Option<RemoteId>,
    /// Approved until then.
    pub approved_until: Option<Timestamp>,
    /// By whom.
    pub approved_by: Option<String>,
}

/// All that a brake withholds and that is not approved, in one word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WithheldSet {
    /// How many.
    pub count: u64,
    /// The digest of what is withheld of whom.
    pub digest: String,
}

/// A person's word that exactly this set may happen, for a while (rule 63).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrakeApproval {
    /// The brake.
    pub brake: BrakeId,
    /// The set as it was shown.
    pub set: WithheldSet,
    /// Who.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
}

/// What became of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrakeApproved {
    /// It holds.
    Yes,
    /// The set is another one by now: nothing was approved.
    Moved(WithheldSet),
    /// This brake is not on.
    Off,
}

/// Brakes, outside of units.
#[async_trait]
pub trait Brakes: Send + Sync {
    /// The brakes that are on, by number.
    async fn brakes(&self, now: Timestamp) -> Result<Vec<Brake>>;

    /// What a brake withholds, after `after`, in order of its key's text.
    async fn withheld(
        &self,
        brake: BrakeId,
        after: Option<&ChargeKey>,
        limit: usize,
    ) -> Result<Vec<Withheld>>;

    /// What a brake withholds and nobody has approved (or approved too long ago); `None` if it is not on.
    async fn withheld_set(&self, brake: BrakeId, now: Timestamp) -> Result<Option<WithheldSet>>;

    /// Approves a set, if it still is what the brake withholds, signals everything in it, and notes it in the audit log, in one
    /// transaction. The only way to lift a brake.
    async fn approve_withheld(
        &self,
        now: Timestamp,
        approval: &BrakeApproval,
        audit: &AuditEntry,
    ) -> Result<BrakeApproved>;

    /// Judges a charge that belongs to no unit: a full pass.
    async fn charge(&self, now: Timestamp, charge: &Charge) -> Result<Judged>;

    /// Forgets what is withheld of this key under this brake: nobody wants it any more. The brake goes off if that was all.
    async fn forget_withheld(&self, brake: &BrakeName, key: &ChargeKey) -> Result<()>;
}
