//! Units: what one look at one record changes, carried out by the store in one piece.

use crate::{
    Awaited, Charge, History, Intent, IntentState, Judged, KeyWrite, Link, Parked, PauseScope, Settlement,
    Signal, WorkId,
};
use bothways_model::{LinkId, LocalId, LocalRow, Record, Seq, Timestamp};
use std::sync::Arc;

/// What must hold for a unit to have any effect.
#[derive(Clone, Debug)]
pub enum Guard {
    /// This token still holds this link's lease *as fencing token*: the number is the link's newest, even if the lease has run out
    /// meanwhile and nobody took it (rule 41).
    Token {
        /// The link.
        link: LinkId,
        /// The token.
        token: Seq,
    },
    /// This new link can be inserted, already leased: neither its local nor its remote id is in a live link of the pair
    /// (rule 30). Its `lease` is set.
    Claim(Box<Link>),
    /// Nothing: for work without a link.
    Free,
}

/// What happens to the row's identity in the link.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LocalBinding {
    /// Stays what the database says, so that a rekey by the relay is never undone.
    #[default]
    Keep,
    /// Becomes the key of the row that this unit inserts.
    Inserted,
    /// Becomes this.
    Set(Option<LocalId>),
}

/// A link after the unit. `local_id` and `lease` in it are ignored in favour of `local` and the unit's lease action.
#[derive(Clone, Debug)]
pub struct LinkWrite {
    /// All else.
    pub link: Link,
    /// The local id.
    pub local: LocalBinding,
}

/// A write to the catalog row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RowWrite {
    /// None.
    #[default]
    None,
    /// Insert these fields (the key too, where the engine makes keys).
    Insert(Record),
    /// Set these fields.
    Update(Record),
    /// Set the catalog's `deleted_at` column.
    Archive(Timestamp),
    /// Clear the catalog's `deleted_at` column and set these fields.
    Restore(Record),
    /// Delete the row.
    Delete,
}

/// What [`Settle`] wants done.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// The row write.
    pub row: RowWrite,
    /// The link afterwards; `None` leaves it.
    pub link: Option<LinkWrite>,
    /// Labels whose local base becomes what the row holds after the write, by local field: databases pad, round and trigger
    /// (rule 15). Applied to `link`.
    pub base_from_row: Vec<(String, String)>,
    /// More history.
    pub history: Vec<History>,
    /// More signals.
    pub signals: Vec<Signal>,
    /// True if the whole unit must not happen after all: nothing of it is committed (rule 27: the claim re-checks).
    pub abort: bool,
}

/// Decides the row part on the row as it is now, locked, inside the transaction: there is no compare-and-set that could miss
/// (rules 21, 69). Gets the row (by the link's present local id) and the link as the unit has left it so far. Pure and quick.
/// May be called more than once (a batch that is bisected, a commit that is repeated).
pub type Settle = Arc<dyn Fn(Option<&LocalRow>, &Link) -> Settled + Send + Sync>;

/// What happens to a work row.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkWrite {
    /// Done as of `generation`: the row goes, unless a newer signal came, which leaves it due at once with zero attempts. Facts
    /// named here are dealt with in either case.
    Done {
        /// The row.
        id: WorkId,
        /// The generation that was taken.
        generation: Seq,
        /// Change numbers of facts dealt with.
        facts: Vec<i64>,
    },
    /// To be tried again. Whoever is late, since somebody else has taken more signals meanwhile, only makes it due at once: what the other
    /// has found stands.
    Again {
        /// The row.
        id: WorkId,
        /// The generation that was taken.
        generation: Seq,
        /// When; a newer signal makes it due at once all the same, unless `attempt` is set.
        due: Timestamp,
        /// Counts as a failed attempt, with this error.
        attempt: Option<String>,
        /// Held back by a limit, in these words.
        held: Option<String>,
        /// The remote side has to be looked at next time.
        look: bool,
    },
    /// Waits for a link of another pair, which makes it due at once; if that link is there by now, at once too (rule 35). Not an
    /// attempt, and nothing else any more: whatever it was parked for or had failed of is forgotten. Whoever is late only makes it due
    /// at once, as with [`WorkWrite::Again`].
    Wait {
        /// The row.
        id: WorkId,
        /// The generation that was taken.
        generation: Seq,
        /// Looked at again by then at the latest.
        due: Timestamp,
        /// In words, without record values.
        held: String,
        /// The link; `None` if no link can tell when it is over.
        on: Option<Awaited>,
    },
    /// Waits for a person. A newer signal leaves it parked but due.
    Park {
        /// The row.
        id: WorkId,
        /// The generation that was taken.
        generation: Seq,
        /// Why.
        parked: Parked,
    },
    /// Facts are dealt with; the work itself goes on as it is.
    Dealt {
        /// The row.
        id: WorkId,
        /// Their change numbers.
        facts: Vec<i64>,
    },
}

/// What happens to the lease at the end of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseAction {
    /// It ends now.
    Release,
    /// It is renewed until then.
    Renew(Timestamp),
}

/// A change of an intent.
#[derive(Clone, Debug)]
pub enum IntentWrite {
    /// A new one, committed before its call (rule 20).
    Open(Box<Intent>),
    /// Its outcome.
    Close {
        /// The link.
        link: LinkId,
        /// Its number.
        number: u32,
        /// The outcome.
        state: IntentState,
        /// In words without record values.
        outcome: String,
    },
    /// Sent again at this time: still pending.
    Sent {
        /// The link.
        link: LinkId,
        /// Its number.
        number: u32,
        /// When.
        at: Timestamp,
    },
}

/// One look's changes. Carried out in the order of the fields. Repeating a unit whose commit has an unknown outcome is safe. If it
/// ends its lease, its guard fails the second time. If it keeps its lease it must change intents, or be a claim; then the
/// repetition is recognised by them, has no effect, and answers [`UnitOutcome::Done`] with the link as it is.
#[derive(Clone)]
pub struct Unit {
    /// What must hold.
    pub guard: Guard,
    /// A claim is lost as well if a closed link has one of its ids: whoever saw a record before its link was closed does not bring it
    /// back (rule 34).
    pub only_new: bool,
    /// A claim is lost as well if the match key of its record is gone, or newer than this: it was decided on what was seen then, and
    /// somebody has looked since (rule 51).
    pub as_seen: Option<Seq>,
    /// If one of these is paused, nothing of the unit has any effect (rule 64).
    pub unless_paused: Vec<PauseScope>,
    /// What brakes are about in it. If one of them withholds its charge, nothing else of the unit has any effect.
    pub charges: Vec<Charge>,
    /// Intents opened and closed.
    pub intents: Vec<IntentWrite>,
    /// The link after the *confirmation*, which always stands once the guard holds (rule 21).
    pub confirm: Option<LinkWrite>,
    /// History of the confirmation.
    pub history: Vec<History>,
    /// The row part. If the table refuses its row write, everything of this part is undone and the rest of the unit stands. It is
    /// left out, and the link signalled, if a captured delete or key change that names the row's id is not relayed yet or came in
    /// since the row was taken: the row may be another one by now.
    pub settle: Option<Settle>,
    /// Work rows.
    pub work: Vec<WorkWrite>,
    /// Work rows in place of `work` if the table refuses the row write, unless empty. What is parked here gets the table's words
    /// after its message.
    pub work_if_refused: Vec<WorkWrite>,
    /// Signals.
    pub signals: Vec<Signal>,
    /// Match keys.
    pub keys: Vec<KeyWrite>,
    /// What becomes of what was withheld before, after the charges.
    pub settlement: Option<Settlement>,
    /// The lease.
    pub lease: LeaseAction,
}

impl Unit {
    /// A unit that only checks `guard` and releases the lease.
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            only_new: false,
            as_seen: None,
            unless_paused: Vec::new(),
            charges: Vec::new(),
            intents: Vec::new(),
            confirm: None,
            history: Vec::new(),
            settle: None,
            work: Vec::new(),
            work_if_refused: Vec::new(),
            signals: Vec::new(),
            keys: Vec::new(),
            settlement: None,
            lease: LeaseAction::Release,
        }
    }
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitOutcome {
    /// All of it is committed.
    Done {
        /// The link as it is now, if the unit has one.
        link: Option<Box<Link>>,
        /// The row after the row part, if there was one.
        row: Option<LocalRow>,
    },
    /// The token is stale: no effect.
    Stale,
    /// Another live link has the local or the remote id, or a closed one where the claim is only for what is new, or its record was
    /// seen anew: no effect.
    ClaimLost,
    /// Something of [`Unit::unless_paused`] is paused: no effect.
    Paused,
    /// [`Settled::abort`], or a claim or a new intent for a row whose id a captured delete or key change names that is not relayed
    /// yet or came in since the row was taken: no effect.
    Aborted,
    /// A brake withholds one of its charges, or it comes too early. That is remembered; nothing else has any effect.
    Withheld {
        /// What was said to each charge, in their order.
        charges: Vec<Judged>,
    },
    /// The table refused the row write; the rest is committed.
    RowRefused {
        /// The database's words, without values where it allows.
        message: String,
    },
}
