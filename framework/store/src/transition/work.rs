//! Work rows: signals that coalesce, facts that do not, attempts and parking (rules 39, 40, 42).

use crate::{Fact, ParkReason, Parked, PassMark, Signal, Subject, Work, WorkId, WorkWrite};
use bothways_model::planted::{self, Bug};
use bothways_model::{PairId, Seq, Timestamp};
use chrono::TimeDelta;

/// A work row with what only its store sees.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkRow {
    /// What everybody sees.
    pub work: Work,
    /// A failed attempt's backoff: signals do not make the row due before this moment.
    pub not_before: Option<Timestamp>,
    /// The generation when it was last taken; a larger one means that a signal came since.
    pub taken: Seq,
}

impl WorkRow {
    /// A row for a subject nobody has signalled yet; not due.
    pub fn new(id: WorkId, pair: PairId, subject: Subject, generation: Seq, now: Timestamp) -> Self {
        let work = Work {
            id,
            pair,
            subject,
            generation,
            look: false,
            due: None,
            since: now,
            changed: None,
            facts: Vec::new(),
            attempts: 0,
            tried_since: None,
            last_error: None,
            held: None,
            parked: None,
            pass: None,
            awaits: None,
        };
        Self { work, not_before: None, taken: Seq(0) }
    }

    /// A signal: raises the generation and makes the row due at max(now, not before), or when it was due already if that is sooner.
    /// Never touches attempts, parking or leases.
    pub fn signal(&mut self, signal: &Signal, generation: Seq, now: Timestamp) {
        let wanted = [signal.not_before, self.not_before].into_iter().flatten().fold(now, Timestamp::max);
        self.work.generation = generation;
        self.work.look |= signal.look;
        self.work.pass = None;
        if planted::is(Bug::ParkedForEver) && self.work.parked.is_some() {
            return;
        }
        self.work.due = Some(self.work.due.map_or(wanted, |due| due.min(wanted)));
    }

    /// A signal of a full pass: remembered unless somebody else has signalled the row too. What an earlier pass found first stays that
    /// pass's, as long as it is not done.
    pub fn signal_of_pass(&mut self, signal: &Signal, generation: Seq, now: Timestamp, pass: PassMark) {
        let alone = self.work.generation == Seq(0) || self.work.pass.is_some();
        let pass = self.work.pass.or(Some(pass)).filter(|_| alone);
        self.signal(signal, generation, now);
        self.work.pass = pass;
    }

    /// A signal that what was withheld is approved: whoever signalled it before, it stays theirs.
    pub fn signal_approved(&mut self, signal: &Signal, generation: Seq, now: Timestamp) {
        let pass = self.work.pass;
        self.signal(signal, generation, now);
        self.work.pass = pass;
    }

    /// The row was changed at that time.
    pub fn changed(&mut self, at: Timestamp) {
        self.work.changed = self.work.changed.max(Some(at));
    }

    /// Adds a fact; the same one twice counts once.
    pub fn fact(&mut self, fact: Fact) {
        let facts = &mut self.work.facts;
        if !facts.iter().any(|f| f.change() == fact.change()) {
            facts.push(fact);
            facts.sort_by_key(Fact::change);
        }
    }

    /// Somebody takes the row: not due again before `until`. Parked work without a new signal stays as it is.
    pub fn take(&mut self, until: Timestamp) {
        self.taken = self.work.generation;
        self.work.due = self.work.due.map(|due| due.max(until));
    }

    /// Its link is leased by somebody else until `until`.
    pub fn defer(&mut self, now: Timestamp, until: Timestamp) {
        if planted::is(Bug::WakeupLostAfterConflict) {
            self.work.due = None;
        }
        let moment = deferred(now, until);
        self.work.due = self.work.due.map(|due| due.max(moment));
    }

    /// Whether it may be in somebody's hands: taken, no signal since, and nothing else that it would wait for. Work that waits for no
    /// reason of its own looks the same; a look too early costs only the look.
    pub fn is_in_hand(&self, now: Timestamp) -> bool {
        self.work.due.is_some_and(|due| due > now)
            && self.taken == self.work.generation
            && self.not_before.is_none_or(|moment| moment <= now)
            && self.work.held.is_none()
    }

    /// Carries out a write to this row. False if the row is gone afterwards.
    pub fn write(&mut self, write: &WorkWrite, now: Timestamp) -> bool {
        match write {
            WorkWrite::Done { generation, facts, .. } => {
                if self.work.generation <= *generation || planted::is(Bug::SignalLostDuringLook) {
                    return false;
                }
                self.work.facts.retain(|f| !facts.contains(&f.change()));
                self.start_over(now);
                self.work.since = now;
            }
            // What somebody else has found of more signals is not undone by what was found of fewer, nor put off.
            WorkWrite::Again { generation, .. } | WorkWrite::Wait { generation, .. }
                if self.taken > *generation =>
            {
                self.work.look = true;
                self.release(now);
            }
            WorkWrite::Again { generation, due, attempt, held, look, .. } => {
                let newer = self.work.generation > *generation;
                self.work.look |= look;
                self.work.held.clone_from(held);
                self.work.awaits = None;
                if let Some(error) = attempt {
                    self.work.attempts = self.work.attempts.saturating_add(1);
                    self.work.tried_since.get_or_insert(now);
                    self.work.last_error = Some(error.clone());
                    self.not_before = Some(*due);
                    self.work.due = Some(*due);
                } else {
                    self.not_before = None;
                    self.work.due = Some(if newer { now.min(*due) } else { *due });
                }
            }
            WorkWrite::Wait { generation, due, held, on, .. } => {
                let newer = self.work.generation > *generation;
                self.work.look = true;
                self.work.held = Some(held.clone());
                self.work.awaits.clone_from(on);
                // What it was parked for, or failed of, is not what keeps it now.
                self.work.parked = None;
                (self.work.attempts, self.work.tried_since) = (0, None);
                self.not_before = None;
                self.work.due = Some(if newer { now.min(*due) } else { *due });
            }
            WorkWrite::Park { generation, parked, .. } => {
                let newer = self.work.generation > *generation;
                self.park(parked.clone());
                self.work.due = newer.then_some(now);
            }
            WorkWrite::Dealt { facts, .. } => self.work.facts.retain(|f| !facts.contains(&f.change())),
        }
        true
    }

    /// Parks it, not due. What failed before a look came to a decision does not count against the next one (rule 42).
    pub fn park(&mut self, parked: Parked) {
        if parked.reason != ParkReason::Error {
            self.work.attempts = 0;
            self.work.tried_since = None;
            self.work.last_error = None;
        }
        self.work.parked = Some(parked);
        self.work.held = None;
        self.work.awaits = None;
        self.work.due = None;
        self.not_before = None;
    }

    /// The link it waits for is there, or what it waits for may be another by now. No generation: whoever has it in hand meanwhile finds
    /// the link, or waits for it again and is told then.
    pub fn release(&mut self, now: Timestamp) {
        self.work.awaits = None;
        self.work.held = None;
        self.work.due = Some(self.work.due.map_or(now, |due| due.min(now)));
    }

    /// Parks a group, or tells anew what it looks like: it has been parked since it first was (rule 27).
    pub fn park_group(&mut self, generation: Seq, parked: &Parked) {
        let at = self.work.parked.as_ref().map_or(parked.at, |before| before.at);
        self.work.generation = generation;
        self.park(Parked { at, ..parked.clone() });
    }

    /// A person takes it up again: as new, due now.
    pub fn replay(&mut self, generation: Seq, now: Timestamp) {
        self.work.generation = generation;
        self.start_over(now);
    }

    /// Takes in another row that turns out to be about the same record.
    pub fn merge(&mut self, other: WorkRow) {
        let (mine, theirs) = (&mut self.work, other.work);
        mine.generation = mine.generation.max(theirs.generation);
        mine.look |= theirs.look;
        mine.due = match (mine.due, theirs.due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        mine.since = mine.since.min(theirs.since);
        mine.changed = mine.changed.max(theirs.changed);
        mine.attempts = mine.attempts.max(theirs.attempts);
        mine.tried_since = mine.tried_since.or(theirs.tried_since);
        mine.last_error = mine.last_error.take().or(theirs.last_error);
        mine.parked = mine.parked.take().or(theirs.parked);
        self.not_before = self.not_before.max(other.not_before);
        for fact in theirs.facts {
            self.fact(fact);
        }
    }

    fn start_over(&mut self, now: Timestamp) {
        self.work.due = Some(now);
        self.work.attempts = 0;
        self.work.tried_since = None;
        self.work.last_error = None;
        self.work.held = None;
        self.work.awaits = None;
        self.work.parked = None;
        self.not_before = None;
    }
}

/// When work is looked at again whose link somebody else has leased until `until`: soon, since leases are long and looks are short,
/// but not at once.
pub fn deferred(now: Timestamp, until: Timestamp) -> Timestamp {
    until.min(now + TimeDelta::milliseconds(200))
}

impl WorkWrite {
    /// The row it is about.
    pub fn id(&self) -> WorkId {
        match self {
            WorkWrite::Done { id, .. }
            | WorkWrite::Again { id, .. }
            | WorkWrite::Wait { id, .. }
            | WorkWrite::Park { id, .. }
            | WorkWrite::Dealt { id, .. } => *id,
        }
    }
}
