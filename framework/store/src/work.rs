//! Work: durable signals that a record may have changed. A work row is never a lease; the lease is on the link (rule 39).

use crate::{Intent, Link, LinkState, Relayed, Result, Side};
use async_trait::async_trait;
use bothways_model::{LinkId, LocalId, LocalRow, PairId, RemoteId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// The number of a work row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkId(pub i64);

/// Whom a signal is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A catalog row.
    Local(LocalId),
    /// A remote record.
    Remote(RemoteId),
    /// A group of records with one normalised match value: only ever parked, as `ambiguous` (rule 27).
    Group(String),
}

/// "Look at this record."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// In this pair.
    pub pair: PairId,
    /// This record.
    pub subject: Subject,
    /// True if the remote side has to be looked at; false if only the local row may have changed (rule 38).
    pub look: bool,
    /// Not before this moment.
    pub not_before: Option<Timestamp>,
}

/// What work waits for: the link of a row or record of another pair (rule 35). It is due again in the transaction that brings that link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Awaited {
    /// In this pair.
    pub pair: PairId,
    /// Of a row or of a record.
    pub side: Side,
    /// The id of the row or record.
    pub id: String,
}

impl Awaited {
    /// What a link brings that is bound on both sides: whoever waits for its record's row, which is there though the record may be gone
    /// (`detached`); and whoever waits for its row's record, unless that was not found when it was last looked for.
    pub fn of(link: &Link) -> Vec<Awaited> {
        let (Some(local), Some(remote), LinkState::Linked | LinkState::Detached) =
            (&link.local_id, &link.remote_id, link.state)
        else {
            return Vec::new();
        };
        let on = |side, id: &str| Awaited { pair: link.pair, side, id: id.to_owned() };
        let is_found = link.state == LinkState::Linked && link.body.missing_since.is_none();
        let found = is_found.then(|| on(Side::Local, local.as_str()));
        found.into_iter().chain([on(Side::Remote, remote.as_str())]).collect()
    }

    /// As one text: what a store finds it by.
    pub fn text(&self) -> String {
        format!("{}/{}/{}", self.pair, self.side.as_str(), self.id)
    }

    /// Reads [`Awaited::text`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let pair = PairId(parts.next()?.parse().ok()?);
        let side = Side::parse(parts.next()?)?;
        Some(Self { pair, side, id: parts.next()?.to_owned() })
    }
}

/// Something that happened and must not be coalesced away (rule 40).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// The row was deleted.
    Deleted {
        /// The number of the change log entry, which names this fact.
        change: i64,
        /// When it was captured.
        at: Timestamp,
    },
}

impl Fact {
    /// The change log entry behind it.
    pub fn change(&self) -> i64 {
        match self {
            Fact::Deleted { change, .. } => *change,
        }
    }
}

/// Why work is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParkReason {
    /// The service or the table refused it, or it failed too often.
    Error,
    /// More than one candidate at first contact.
    Ambiguous,
    /// One stamp on two records, or the service knows such a record already.
    Duplicate,
    /// The record became part of another, linked one.
    Merged,
    /// A field goes back and forth without a user.
    Flapping,
    /// A value cannot be translated, a required one is missing, an immutable one changed.
    Refused,
    /// A delete that the policy leaves to a person.
    Delete,
    /// A create that the policy leaves to a person.
    Create,
    /// Whether a write arrived cannot be told.
    Uncertain,
}

impl ParkReason {
    /// All reasons.
    pub const ALL: [ParkReason; 9] = [
        ParkReason::Error,
        ParkReason::Ambiguous,
        ParkReason::Duplicate,
        ParkReason::Merged,
        ParkReason::Flapping,
        ParkReason::Refused,
        ParkReason::Delete,
        ParkReason::Create,
        ParkReason::Uncertain,
    ];

    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            ParkReason::Error => "error",
            ParkReason::Ambiguous => "ambiguous",
            ParkReason::Duplicate => "duplicate",
            ParkReason::Merged => "merged",
            ParkReason::Flapping => "flapping",
            ParkReason::Refused => "refused",
            ParkReason::Delete => "delete",
            ParkReason::Create => "create",
            ParkReason::Uncertain => "uncertain",
        }
    }

    /// Reads [`ParkReason::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Work that waits for a person (or for a signal that changes its plan).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// Why.
    pub reason: ParkReason,
    /// What happened and what to do, for people; no record values.
    pub message: String,
    /// The digest of the plan that was parked: a new signal with the same plan changes nothing (rule 42).
    pub digest: String,
    /// When.
    pub at: Timestamp,
}

/// The full pass behind a signal (rule 58).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassMark {
    /// When it began: names it among the passes of its pair.
    pub began: Timestamp,
    /// What a person has approved covers what it changes: it is the pair's first, or the first after an approval.
    pub approved: bool,
}

/// One work row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Its number.
    pub id: WorkId,
    /// Its pair.
    pub pair: PairId,
    /// The record.
    pub subject: Subject,
    /// Raised by every signal; whoever finishes work of an older generation leaves the row due (rule 40).
    pub generation: Seq,
    /// Whether the remote side has to be looked at.
    pub look: bool,
    /// When it is due; `None` for parked work without a new signal.
    pub due: Option<Timestamp>,
    /// When it was first signalled.
    pub since: Timestamp,
    /// When the row was last changed, by the log; `None` if nobody was told of a change.
    pub changed: Option<Timestamp>,
    /// Facts not yet dealt with, oldest first.
    pub facts: Vec<Fact>,
    /// Failed attempts (rule 42).
    pub attempts: u32,
    /// When the first attempt failed.
    pub tried_since: Option<Timestamp>,
    /// The last error, for people.
    pub last_error: Option<String>,
    /// Why a limit holds it back, if one does.
    pub held: Option<String>,
    /// Parked, if it is.
    pub parked: Option<Parked>,
    /// The full pass that signalled it, if nobody else did since.
    pub pass: Option<PassMark>,
    /// The link it waits for, if it does; not an attempt.
    pub awaits: Option<Awaited>,
}

/// What to take.
#[derive(Clone, Debug)]
pub struct Take<'a> {
    /// Now.
    pub now: Timestamp,
    /// When leases taken here end.
    pub until: Timestamp,
    /// At most this many records.
    pub limit: usize,
    /// Only these pairs (those that are loaded, approved or observing, and not paused).
    pub pairs: &'a [PairId],
}

/// A record to look at, with everything needed to decide, read in one transaction.
#[derive(Clone, Debug)]
pub struct Taken {
    /// All signals of this record, folded: never empty unless leased by [`crate::Links::lease`].
    pub work: Vec<Work>,
    /// Its link, leased under `token`; `None` if there is none yet.
    pub link: Option<Link>,
    /// The fencing token; it also numbers the first observation made under this lease (rule 51).
    pub token: Seq,
    /// When the lease ends.
    pub until: Timestamp,
    /// The link's open and uncertain intents, by number.
    pub intents: Vec<Intent>,
    /// The number the link's next intent gets.
    pub next_intent: u32,
    /// The catalog row, if it exists: of the link's local id, else of the subject.
    pub row: Option<LocalRow>,
    /// The row exists but holds something its catalog does not allow, in words without values; `row` is `None` then and says nothing.
    /// A person has to correct the row.
    pub row_error: Option<String>,
}

/// Which parked work to list.
#[derive(Clone, Debug, Default)]
pub struct ParkedFilter {
    /// Only this pair.
    pub pair: Option<PairId>,
    /// Only this reason.
    pub reason: Option<ParkReason>,
}

/// Signals and leases.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Adds signals, coalescing with those that are there: raises the generation, makes the row due at max(now, not before) unless
    /// it was due sooner, never touches attempts, parking or leases. A failed attempt's backoff counts as "not before".
    async fn signal(&self, now: Timestamp, signals: &[Signal]) -> Result<()>;

    /// Takes due work, oldest first: resolves each row to its link, leases the link with a new token, folds the other signals of
    /// that link in, reads the row. Work whose link somebody else has leased becomes due again a moment later, without
    /// counting an attempt. Taken rows are not due again before `until`, so that another worker takes others. Captured key changes,
    /// and captured deletes of the rows that are handed out, are relayed first, however much else waits: no row is ever taken for
    /// the one that had its id before (rules 29, 30).
    async fn take(&self, take: Take<'_>) -> Result<Vec<Taken>>;

    /// [`crate::Capture::relay`] of up to `limit` entries and then [`WorkQueue::take`], in one transaction: the way of a change that
    /// somebody waits for.
    async fn relay_and_take(&self, limit: usize, take: Take<'_>) -> Result<(Relayed, Vec<Taken>)>;

    /// When the next work of these pairs is due; `None` if there is none.
    async fn next_due(&self, pairs: &[PairId]) -> Result<Option<Timestamp>>;

    /// Parked work after `after`, in order of number.
    async fn parked(&self, filter: &ParkedFilter, after: Option<WorkId>, limit: usize) -> Result<Vec<Work>>;

    /// One work row.
    async fn work(&self, id: WorkId) -> Result<Option<Work>>;

    /// The work of a link, or of a record that has none.
    async fn work_of(
        &self,
        pair: PairId,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<Vec<Work>>;

    /// Rows of a pair whose captured delete is not dealt with yet, after `after` in order of id (by bytes).
    async fn rows_to_delete(
        &self,
        pair: PairId,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<Vec<LocalId>>;

    /// Takes parked work up again: due now, attempts zero, parking removed. False if it is not parked.
    async fn replay(&self, id: WorkId, now: Timestamp) -> Result<bool>;

    /// Drops parked work. Its facts are dropped with it. False if it is not parked.
    async fn dismiss(&self, id: WorkId) -> Result<bool>;

    /// Parks a group at first contact, or refreshes its message; it stays parked since when it first was (rule 27).
    async fn park_group(&self, pair: PairId, value: &str, parked: &Parked) -> Result<()>;

    /// Removes the ambiguous entry of a group that is no longer ambiguous. False if there was none.
    async fn clear_group(&self, pair: PairId, value: &str) -> Result<bool>;

    /// Signals every link whose lease ended with an intent still pending, every link with a conflict choice, and every row of which a
    /// brake withholds something, so that a crash is repaired without anybody's help, and what nobody wants any more is found out.
    /// What has work, whatever its state, is left to it. Returns how many.
    async fn sweep(&self, now: Timestamp) -> Result<u64>;

    /// Releases a lease without any other effect, if `token` still holds it.
    async fn release(&self, link: LinkId, token: Seq) -> Result<()>;
}
