//! One unit, step by step: guard and confirmation, then the row part, then everything else.
//!
//! The store checks uniqueness after [`Run::start`] and again after [`Run::finish`] ([`Run::start`] and the row part are the two
//! places where a link's ids change), carries the row write out between [`Run::decide`] and [`Run::finish`], and applies the
//! [`Effects`].

use crate::{
    Guard, History, IntentWrite, KeyWrite, LeaseAction, Link, LinkWrite, LocalBinding, PauseScope, RowWrite,
    Settled, Settlement, Signal, StoreError, StoreErrorKind, Subject, Unit, UnitOutcome, WorkWrite,
};
use bothways_model::planted::{self, Bug};
use bothways_model::{LinkId, LocalId, LocalRow, Timestamp};
use std::borrow::Cow;

/// A unit under way. Nothing is stored yet.
pub struct Run<'u> {
    unit: &'u Unit,
    now: Timestamp,
    link: Option<Link>,
    settled: Option<Settled>,
    refused: Option<String>,
    moved: bool,
}

/// What a unit does to the store, besides its row write.
#[derive(Debug)]
pub struct Effects<'u> {
    /// The link to store, if the unit has one.
    pub link: Option<Link>,
    /// Intents opened and closed.
    pub intents: &'u [IntentWrite],
    /// History, complete.
    pub history: Vec<History>,
    /// Work rows.
    pub work: Cow<'u, [WorkWrite]>,
    /// Signals, after the work rows.
    pub signals: Vec<Signal>,
    /// Match keys.
    pub keys: &'u [KeyWrite],
    /// What becomes of what was withheld.
    pub settlement: Option<&'u Settlement>,
    /// What to answer.
    pub outcome: UnitOutcome,
}

impl<'u> Run<'u> {
    /// Checks the guard's token against the link as it is stored and carries out the confirmation. `Err` is the unit's outcome.
    /// `carried_out` says whether a change of an intent is in the store already, `paused` whether a scope is paused.
    pub fn start(
        unit: &'u Unit,
        stored: Option<&Link>,
        now: Timestamp,
        carried_out: impl Fn(&IntentWrite) -> bool,
        paused: impl Fn(&PauseScope) -> bool,
    ) -> Result<Self, UnitOutcome> {
        if let Some(link) = stored.filter(|link| Self::is_repeated(unit, link, carried_out)) {
            return Err(UnitOutcome::Done { link: Some(Box::new(link.clone())), row: None });
        }
        if unit.unless_paused.iter().any(paused) {
            return Err(UnitOutcome::Paused);
        }
        let link = match &unit.guard {
            Guard::Token { token, .. } => match stored {
                Some(link) if link.holds(*token) => Some(link.clone()),
                Some(link) if planted::is(Bug::StaleTokenAccepted) || planted::is(Bug::LeaseOnWorkRow) => {
                    Some(link.clone())
                }
                _ => return Err(UnitOutcome::Stale),
            },
            Guard::Claim(_) if stored.is_some() => return Err(UnitOutcome::ClaimLost),
            Guard::Claim(link) => Some((**link).clone()),
            Guard::Free => None,
        };
        let mut run = Self { unit, now, link, settled: None, refused: None, moved: false };
        if let (Some(write), Some(link)) = (&unit.confirm, &run.link) {
            run.link = Some(written(link, write, now));
        }
        Ok(run)
    }

    /// Whether this unit has been committed before, by a commit whose outcome its caller does not know: its lease is still held, so the
    /// guard alone would let it happen twice. A claim is known by its link's token, another unit by its intents, whose numbers
    /// are never used twice. Units that end their lease are stale by then.
    fn is_repeated(unit: &Unit, stored: &Link, carried_out: impl Fn(&IntentWrite) -> bool) -> bool {
        match &unit.guard {
            Guard::Claim(claim) => claim.lease.is_some_and(|lease| stored.holds(lease.token)),
            Guard::Token { token, .. } => {
                stored.holds(*token)
                    && matches!(unit.lease, LeaseAction::Renew(_))
                    && !unit.intents.is_empty()
                    && unit.intents.iter().all(carried_out)
            }
            Guard::Free => false,
        }
    }

    /// The link that the guard names.
    pub fn link_id(unit: &Unit) -> Option<LinkId> {
        match &unit.guard {
            Guard::Token { link, .. } => Some(*link),
            Guard::Claim(link) => Some(link.id),
            Guard::Free => None,
        }
    }

    /// The link as the unit has left it so far.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Whether the row part was refused already.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether the unit has a row part to carry out.
    pub fn has_row_part(&self) -> bool {
        self.unit.settle.is_some() && !self.moved
    }

    /// A captured delete or key change that names the link's local id is not relayed yet, or came in since the row was taken: the row
    /// with that id may be another one than the link's (rules 29, 30). So the row part waits for the next look, which the link is
    /// signalled for.
    ///
    /// # Errors
    /// [`UnitOutcome::Aborted`]: nothing is claimed and nothing is sent on what such a row was thought to be.
    pub fn row_moved(&mut self) -> Result<(), UnitOutcome> {
        let claims = matches!(self.unit.guard, Guard::Claim(_));
        if claims || self.unit.intents.iter().any(|write| matches!(write, IntentWrite::Open(_))) {
            return Err(UnitOutcome::Aborted);
        }
        self.moved = self.unit.settle.is_some();
        Ok(())
    }

    /// Decides the row part on the row as it is now and returns the row write to carry out.
    ///
    /// # Errors
    /// The outer one if the unit has a row part but no link; the inner one is [`UnitOutcome::Aborted`].
    pub fn decide(
        &mut self,
        row: Option<&LocalRow>,
    ) -> Result<Result<Option<RowWrite>, UnitOutcome>, StoreError> {
        let Some(settle) = self.unit.settle.as_ref().filter(|_| !self.moved) else { return Ok(Ok(None)) };
        let Some(link) = &self.link else {
            return Err(StoreError::new(StoreErrorKind::Unknown, "a unit without a link has a row part"));
        };
        let mut settled = settle(row, link);
        if settled.abort {
            return Ok(Err(UnitOutcome::Aborted));
        }
        let write = std::mem::take(&mut settled.row);
        self.settled = Some(settled);
        Ok(Ok(Some(write)))
    }

    /// The row write was refused, or the row cannot be read: the row part never was.
    pub fn refuse(&mut self, message: String) {
        self.settled = None;
        self.refused = Some(message);
    }

    /// Ends the unit. `row` is the row after the row part, `inserted` its key if the row part inserted it.
    pub fn finish(self, row: Option<LocalRow>, inserted: Option<&LocalId>) -> Effects<'u> {
        let Self { unit, now, mut link, settled, refused, moved } = self;
        let mut history = unit.history.clone();
        let mut signals = Vec::new();
        if let Some((pair, id)) =
            link.as_ref().filter(|_| moved).and_then(|l| Some((l.pair, l.local_id.clone()?)))
        {
            signals.push(Signal { pair, subject: Subject::Local(id), look: true, not_before: None });
        }
        let mut bind = unit.confirm.as_ref().is_some_and(|w| w.local == LocalBinding::Inserted);
        if let Some(settled) = settled {
            if let (Some(write), Some(now_is)) = (&settled.link, &link) {
                bind = write.local == LocalBinding::Inserted || (bind && write.local == LocalBinding::Keep);
                link = Some(written(now_is, write, now));
            }
            if let (Some(link), Some(row)) = (&mut link, &row)
                && !planted::is(Bug::RowNotReadBack)
            {
                for (label, field) in &settled.base_from_row {
                    if let Some(value) = row.fields.get(field) {
                        link.body.base.entry(label.clone()).or_default().local = Some(value.clone());
                    }
                }
            }
            history.extend(settled.history);
            signals.extend(settled.signals);
        }
        if let (Some(link), Some(key), true) = (&mut link, inserted, bind) {
            link.local_id = Some(key.clone());
        }
        for entry in &mut history {
            if entry.local_id.is_none() {
                entry.local_id = inserted.cloned();
            }
        }
        if let Some(link) = &mut link {
            match (unit.lease, &mut link.lease) {
                (LeaseAction::Release, lease) => *lease = None,
                (LeaseAction::Renew(until), Some(lease)) => lease.until = until,
                (LeaseAction::Renew(_), None) => {}
            }
        }
        signals.extend(unit.signals.iter().cloned());
        let work = match &refused {
            Some(message) if !unit.work_if_refused.is_empty() => {
                Cow::Owned(unit.work_if_refused.iter().map(|write| told(write, message)).collect())
            }
            _ => Cow::Borrowed(unit.work.as_slice()),
        };
        let outcome = match refused {
            Some(message) => UnitOutcome::RowRefused { message },
            None => UnitOutcome::Done {
                link: link.clone().map(Box::new),
                row: row.filter(|_| unit.settle.is_some()),
            },
        };
        Effects {
            link,
            intents: &unit.intents,
            history,
            work,
            signals,
            keys: &unit.keys,
            settlement: unit.settlement.as_ref(),
            outcome,
        }
    }
}

/// A work write with the table's words after what is parked.
fn told(write: &WorkWrite, words: &str) -> WorkWrite {
    let mut write = write.clone();
    if let WorkWrite::Park { parked, .. } = &mut write {
        parked.message = format!("{}: {words}", parked.message);
    }
    write
}

/// The link after a write. What only the store decides (identity, pair, lease, local id unless it is set) stays.
fn written(current: &Link, write: &LinkWrite, now: Timestamp) -> Link {
    let mut link = write.link.clone();
    link.id = current.id;
    link.pair = current.pair;
    link.lease = current.lease;
    link.created_at = current.created_at;
    link.updated_at = now;
    link.local_id = match &write.local {
        LocalBinding::Keep | LocalBinding::Inserted => current.local_id.clone(),
        LocalBinding::Set(id) => id.clone(),
    };
    link
}
