//! Carrying out one unit. Everything that can fail is found out before anything is changed.

use super::state::State;
use crate::transition::{Effects, Run, WorkRow};
use crate::{
    Awaited, Guard, IntentWrite, KeyWrite, Link, PauseScope, Result, RowWrite, Side, Unit, UnitOutcome,
    WorkWrite,
};
use bothways_model::planted::{self, Bug};
use bothways_model::{LinkId, LocalId, LocalRow, PairId, Record, Timestamp};
use std::collections::BTreeSet;

/// The row part, carried out.
struct Written {
    row: Option<LocalRow>,
    inserted: bool,
}

/// A row of a pair.
type RowName = (PairId, LocalId);

fn row_of(link: &Link) -> Option<RowName> {
    Some((link.pair, link.local_id.clone()?))
}

impl State {
    /// Carries out a batch. Which rows may be others by now is found out before: what a unit deals with is news to the others.
    pub(super) fn commit(&mut self, now: Timestamp, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
        let link = |unit: &Unit| match &unit.guard {
            Guard::Claim(link) => row_of(link),
            Guard::Token { link, .. } => self.links.get(link).and_then(row_of),
            Guard::Free => None,
        };
        let rows = units.iter().filter_map(link);
        let moved: BTreeSet<_> = rows.filter(|(pair, id)| self.has_moved(*pair, id)).collect();
        units.iter().map(|unit| self.commit_one(now, unit, &moved)).collect()
    }

    fn commit_one(&mut self, now: Timestamp, unit: &Unit, moved: &BTreeSet<RowName>) -> Result<UnitOutcome> {
        let stored = Run::link_id(unit).and_then(|id| self.links.get(&id));
        let carried_out = |write: &IntentWrite| self.is_carried_out(write);
        let mut run = match Run::start(unit, stored, now, carried_out, |scope| self.is_paused(scope)) {
            Ok(run) => run,
            Err(outcome) => return Ok(outcome),
        };
        // Before brakes are asked, which remember by its row what they withhold.
        if run.link().and_then(row_of).is_some_and(|row| moved.contains(&row))
            && let Err(outcome) = run.row_moved()
        {
            return Ok(outcome);
        }
        let judged = self.judge(now, &unit.charges);
        if !judged.iter().all(|judged| judged.is_free()) {
            return Ok(UnitOutcome::Withheld { charges: judged });
        }
        let only_new = unit.only_new && matches!(unit.guard, Guard::Claim(_));
        if run.link().is_some_and(|link| self.is_taken(link) || (only_new && self.was_linked(link))) {
            return Ok(UnitOutcome::ClaimLost);
        }
        if self.is_seen_anew(unit) {
            return Ok(UnitOutcome::ClaimLost);
        }
        let (row, unreadable) = match run.link() {
            Some(link) if run.has_row_part() => self.row_for(link.pair, link.local_id.as_ref())?,
            _ => (None, None),
        };
        let mut written = Written { row: None, inserted: false };
        let mark = self.last_change;
        let mut undo = None;
        if let Some(why) = unreadable {
            run.refuse(why);
        } else {
            let write = match run.decide(row.as_ref())? {
                Ok(write) => write,
                Err(outcome) => return Ok(outcome),
            };
            if let (Some(write), Some(pair)) = (write, run.link().map(|l| l.pair)) {
                match self.write_row(now, pair, row.clone(), &write)? {
                    Ok(done) => {
                        undo = Some((pair, row, done.row.clone()));
                        written = done;
                    }
                    Err(why) => run.refuse(why),
                }
            }
        }
        let inserted = written.row.as_ref().filter(|_| written.inserted).map(|r| r.id.clone());
        let effects = run.finish(written.row, inserted.as_ref());
        if effects.link.as_ref().is_some_and(|link| self.is_taken(link)) {
            if let Some((pair, before, after)) = undo {
                self.undo_row(pair, before, after, mark)?;
            }
            return Ok(UnitOutcome::ClaimLost);
        }
        for (charge, judged) in unit.charges.iter().zip(judged) {
            self.record_charge(now, charge, judged);
        }
        self.apply(now, effects)
    }

    fn write_row(
        &mut self,
        now: Timestamp,
        pair: PairId,
        row: Option<LocalRow>,
        write: &RowWrite,
    ) -> Result<std::result::Result<Written, String>> {
        let catalog = self.pair(pair)?.spec.catalog.clone();
        let table = self.table(&catalog)?;
        let archives = matches!(write, RowWrite::Archive(_) | RowWrite::Restore(_));
        if archives && table.catalog.deleted_at.is_none() {
            return Ok(Err(format!("catalog `{catalog}` has no `deleted_at` column")));
        }
        let missing = || Ok(Err(format!("{}: the row is gone", table.catalog.table)));
        let none = Record::new();
        let (fields, deleted_at) = match write {
            RowWrite::None => return Ok(Ok(Written { row, inserted: false })),
            RowWrite::Delete => {
                if let Some(row) = &row {
                    self.delete_row(&catalog, &row.id, now)?;
                }
                return Ok(Ok(Written { row: None, inserted: false }));
            }
            RowWrite::Insert(fields) => {
                return Ok(self
                    .insert_row(&catalog, fields, now)?
                    .map(|row| Written { row: Some(row), inserted: true }));
            }
            RowWrite::Update(fields) => (fields, None),
            RowWrite::Archive(at) => (&none, Some(Some(*at))),
            RowWrite::Restore(fields) => (fields, Some(None)),
        };
        let Some(row) = row else { return missing() };
        Ok(self
            .update_row(&catalog, &row, fields, deleted_at, now)?
            .map(|row| Written { row: Some(row), inserted: false }))
    }

    /// Takes a row write back, with what was captured of it: everything after change number `mark`.
    fn undo_row(
        &mut self,
        pair: PairId,
        before: Option<LocalRow>,
        after: Option<LocalRow>,
        mark: i64,
    ) -> Result<()> {
        if before == after {
            return Ok(());
        }
        let catalog = self.pair(pair)?.spec.catalog.clone();
        let table = self.table_mut(&catalog)?;
        if let Some(after) = after {
            table.remove(&after.id);
        }
        if let Some(before) = before {
            table.put(before);
        }
        self.changes.retain(|number, _| *number <= mark);
        Ok(())
    }

    fn apply(&mut self, now: Timestamp, effects: Effects<'_>) -> Result<UnitOutcome> {
        let mut brought = Vec::new();
        if let Some(link) = effects.link {
            let before = self.links.get(&link.id).map(Awaited::of).unwrap_or_default();
            brought = Awaited::of(&link);
            brought.retain(|brought| !before.contains(brought));
            self.put_link(link);
        }
        effects.intents.iter().for_each(|write| self.write_intent(write));
        for mut entry in effects.history {
            self.name_approver(&mut entry);
            self.add_history(now, entry);
        }
        for write in effects.work.iter() {
            if let Some(mut row) = self.work.get(&write.id()).cloned() {
                if row.write(write, now) {
                    self.put_work(row);
                } else {
                    self.remove_work(write.id());
                }
            }
        }
        self.release(now, brought.iter());
        let waits = effects.work.iter().filter_map(|write| match write {
            WorkWrite::Wait { on: Some(on), .. } if self.is_there(on) => Some(on),
            _ => None,
        });
        let there: Vec<&Awaited> = waits.collect();
        self.release(now, there.into_iter());
        effects.signals.iter().for_each(|signal| self.signal(signal, None, now));
        effects.keys.iter().for_each(|write| self.write_key(write));
        if let Some(settlement) = effects.settlement {
            self.settle_charges(settlement);
        }
        Ok(effects.outcome)
    }

    /// Makes due whoever waits for one of these (rule 35).
    fn release<'a>(&mut self, now: Timestamp, brought: impl Iterator<Item = &'a Awaited>) {
        for on in brought {
            let waiting: Vec<WorkRow> =
                self.work.values().filter(|row| row.work.awaits.as_ref() == Some(on)).cloned().collect();
            for mut row in waiting {
                row.release(now);
                self.put_work(row);
            }
        }
    }

    fn is_there(&self, on: &Awaited) -> bool {
        self.links.values().any(|link| Awaited::of(link).contains(on))
    }

    /// Whether the record of a claim was seen anew since that was decided, or is gone.
    fn is_seen_anew(&self, unit: &Unit) -> bool {
        let (Guard::Claim(link), Some(as_seen)) = (&unit.guard, unit.as_seen) else { return false };
        link.remote_id.as_ref().is_some_and(|id| {
            let key = self.keys.get(&(link.pair, Side::Remote, id.0.clone()));
            key.is_none_or(|key| key.seen > as_seen)
        })
    }

    fn is_paused(&self, scope: &PauseScope) -> bool {
        self.pauses.contains_key(scope)
    }

    fn is_carried_out(&self, write: &IntentWrite) -> bool {
        match write {
            IntentWrite::Open(intent) => {
                self.last_intent.get(&intent.link).is_some_and(|last| *last >= intent.number)
            }
            IntentWrite::Close { link, number, state, .. } => {
                self.intents.get(&(*link, *number)).is_some_and(|i| i.state == *state)
            }
            // Twice is as good as once.
            IntentWrite::Sent { .. } => false,
        }
    }

    fn write_intent(&mut self, write: &IntentWrite) {
        self.touch();
        let mut change = |link: &LinkId, number: &u32, f: &mut dyn FnMut(&mut crate::Intent)| {
            if let Some(intent) = self.intents.get_mut(&(*link, *number)) {
                f(intent);
            }
        };
        match write {
            IntentWrite::Open(intent) => {
                let last = self.last_intent.entry(intent.link).or_insert(0);
                *last = (*last).max(intent.number);
                self.intents.entry((intent.link, intent.number)).or_insert_with(|| (**intent).clone());
            }
            IntentWrite::Close { link, number, state, outcome } => change(link, number, &mut |intent| {
                intent.state = *state;
                intent.outcome = Some(outcome.clone());
            }),
            IntentWrite::Sent { link, number, at } => change(link, number, &mut |i| i.sent_at = *at),
        }
    }

    pub(super) fn write_key(&mut self, write: &KeyWrite) {
        self.touch();
        match write {
            KeyWrite::Put(key) => {
                let at = (key.pair, key.side, key.id.clone());
                let newer = self.keys.get(&at).is_none_or(|present| present.seen <= key.seen);
                if newer || planted::is(Bug::OlderKeyWins) {
                    self.keys.insert(at, key.clone());
                }
            }
            KeyWrite::Linked { pair, side, id } => {
                if let Some(key) = self.keys.get_mut(&(*pair, *side, id.clone())) {
                    key.content = None;
                }
            }
            KeyWrite::Drop { pair, side, id } => {
                self.keys.remove(&(*pair, *side, id.clone()));
            }
        }
    }
}
