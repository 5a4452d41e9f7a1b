//! Waves: units that have nothing to do with each other run together; everything else runs one after the other.

use super::Trouble;
use super::batch::{Batch, Identity, claimed_as_seen, identities};
use super::group::write_grouped;
use crate::connect::{release, savepoint, undo};
use crate::connection::Connection;
use crate::error::Row;
use crate::row_write::{delete, insert, update};
use crate::rows::read_rows;
use crate::table::{Read, Table};
use bothways_model::{LocalId, LocalRow, PairId};
use bothways_store::transition::{Effects, Run};
use bothways_store::{BrakeName, IntentWrite, Judged, KeyWrite, RowWrite, Side, Unit, UnitOutcome};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Why a wave has to run unit by unit after all.
pub(super) enum Together<T> {
    Done(T),
    OneByOne,
}

/// A row part to carry out.
pub(super) struct RowTask {
    pub(super) pair: PairId,
    pub(super) row: Option<LocalRow>,
    pub(super) write: RowWrite,
}

/// A row part carried out.
#[derive(Clone, Debug, Default)]
pub(super) struct RowDone {
    pub(super) row: Option<LocalRow>,
    pub(super) inserted: Option<LocalId>,
}

/// Where one unit of a wave stands.
enum Step<'u> {
    Over(UnitOutcome),
    Running { run: Box<Run<'u>>, judged: Vec<Judged>, task: Option<usize> },
}

impl<'u> Batch<'u> {
    /// Runs all units and says what became of each.
    pub(super) async fn run(&mut self, c: &mut Connection) -> Result<Vec<UnitOutcome>, Trouble> {
        let mut outcomes = Vec::with_capacity(self.units.len());
        for wave in self.waves() {
            if wave.len() > 1
                && let Together::Done(done) = self.run_together(c, wave.clone()).await?
            {
                outcomes.extend(done);
                continue;
            }
            for unit in self.units.get(wave).unwrap_or_default() {
                outcomes.push(self.run_one(c, unit).await?);
            }
        }
        Ok(outcomes)
    }

    /// Cuts the batch so that no wave has two units of one link or one row, and units on tables with triggers of other people, which
    /// may change rows that another unit decides on, are by themselves.
    fn waves(&self) -> Vec<Range<usize>> {
        let mut waves = Vec::new();
        let (mut start, mut links, mut rows) = (0, HashSet::new(), HashSet::new());
        for (index, unit) in self.units.iter().enumerate() {
            let link = Run::link_id(unit);
            let stored = link.and_then(|id| self.links.get(&id)).map(|l| &l.link);
            let stored = stored.or(match &unit.guard {
                bothways_store::Guard::Claim(link) => Some(link),
                _ => None,
            });
            let table = stored.and_then(|l| self.tables.get(&l.pair)).filter(|_| unit.settle.is_some());
            let row = table.and_then(|t| Some((t.catalog.name.as_str(), stored?.local_id.as_ref()?)));
            let alone = table.is_some_and(|t| t.has_triggers) || self.refusal.is_some();
            let clash =
                link.is_some_and(|id| links.contains(&id)) || row.is_some_and(|row| rows.contains(&row));
            if (clash || alone) && start < index {
                waves.push(start..index);
                start = index;
                links.clear();
                rows.clear();
            }
            links.extend(link);
            rows.extend(row);
            if alone {
                waves.push(index..index + 1);
                start = index + 1;
                links.clear();
                rows.clear();
            }
        }
        if start < self.units.len() {
            waves.push(start..self.units.len());
        }
        waves
    }

    fn table(&self, pair: PairId) -> Result<&Table, Trouble> {
        self.tables
            .get(&pair)
            .map(|table| &**table)
            .ok_or_else(|| Trouble::Error(crate::error::unknown(format!("there is no pair {pair}"))))
    }

    /// Starts a unit: `Err` is its outcome.
    fn start(&self, unit: &'u Unit) -> Result<Run<'u>, UnitOutcome> {
        let stored = Run::link_id(unit).and_then(|id| self.links.get(&id)).map(|l| &l.link);
        let carried_out = |write: &IntentWrite| self.is_carried_out(write);
        Run::start(unit, stored, self.now, carried_out, |scope| self.paused.contains(scope))
    }

    /// Tells a unit whose row may be another one by now: `Err` is its outcome.
    fn check_row(&self, run: &mut Run<'u>) -> Result<(), UnitOutcome> {
        let row = run.link().and_then(|link| Some((link.pair, link.local_id.clone()?)));
        match row.is_some_and(|row| self.moved.contains(&row)) {
            true => run.row_moved(),
            false => Ok(()),
        }
    }

    /// One unit, with a savepoint around its row write.
    async fn run_one(&mut self, c: &mut Connection, unit: &'u Unit) -> Result<UnitOutcome, Trouble> {
        let mut run = match self.start(unit) {
            Ok(run) => run,
            Err(outcome) => return Ok(outcome),
        };
        // Before brakes are asked, which remember by its row what they withhold.
        if let Err(outcome) = self.check_row(&mut run) {
            return Ok(outcome);
        }
        let judged = match self.check_brakes(c, unit, &HashMap::new()).await? {
            Some(Ok(judged)) => judged,
            Some(Err(outcome)) => return Ok(outcome),
            None => return Err(Trouble::Error(crate::error::unknown("a brake"))),
        };
        if let Some(link) = run.link() {
            let wanted = identities(link);
            self.load_holders(c, wanted).await?;
            let is_lost = self.was_linked(unit) || self.is_seen_anew(unit);
            if is_lost || run.link().is_some_and(|link| self.rival(link).is_some()) {
                return Ok(UnitOutcome::ClaimLost);
            }
        }
        let pair = run.link().map(|l| l.pair);
        let id = run.link().and_then(|l| l.local_id.clone()).filter(|_| run.has_row_part());
        let mut row = None;
        if let (Some(pair), Some(id)) = (pair, &id) {
            match read_rows(c, self.table(pair)?, std::slice::from_ref(id)).await?.remove(id) {
                None => {}
                Some(Ok(read)) => row = Some(read),
                Some(Err(bad)) => run.refuse(bad.message),
            }
        }
        let write = match run.is_refused() {
            true => None,
            false => match run.decide(row.as_ref())? {
                Ok(write) => write,
                Err(outcome) => return Ok(outcome),
            },
        };
        let mut done = RowDone { row: row.clone(), inserted: None };
        let mut marked = false;
        if let (Some(write), Some(pair)) = (write.filter(|w| *w != RowWrite::None), pair) {
            savepoint(c).await?;
            marked = true;
            let written = match self.refusal {
                Some(message) => Err(Row::Refused(message.to_owned())),
                None => write_row(c, self.table(pair)?, row, write).await,
            };
            match written {
                Ok(written) => done = written,
                Err(Row::Failed(error)) => return Err(Trouble::Error(error)),
                Err(Row::Refused(message)) => {
                    // If there is nothing to go back to, the table's own conflict clause has ended the transaction.
                    undo(c).await.map_err(|_| Trouble::Spoiled(message.clone()))?;
                    marked = false;
                    run.refuse(message);
                    done.row = None;
                }
            }
        }
        let effects = run.finish(done.row, done.inserted.as_ref());
        if let Some(link) = &effects.link {
            let wanted = identities(link);
            self.load_holders(c, wanted).await?;
        }
        if effects.link.as_ref().is_some_and(|link| self.rival(link).is_some()) {
            if marked {
                undo(c).await?;
            }
            return Ok(UnitOutcome::ClaimLost);
        }
        if marked {
            release(c).await?;
        }
        Ok(self.apply(unit, &judged, effects))
    }

    /// All units of a wave, with few statements. Whatever is not plain sailing runs one by one instead.
    async fn run_together(
        &mut self,
        c: &mut Connection,
        wave: Range<usize>,
    ) -> Result<Together<Vec<UnitOutcome>>, Trouble> {
        let units = self.units.get(wave).unwrap_or_default();
        let in_wave: HashSet<_> = units.iter().filter_map(Run::link_id).collect();
        let mut steps = Vec::with_capacity(units.len());
        let mut brought: HashSet<Identity> = HashSet::new();
        let mut charged: HashMap<&BrakeName, u64> = HashMap::new();
        let mut seen: HashSet<(PairId, &str)> = HashSet::new();
        for unit in units {
            let mut run = match self.start(unit) {
                Ok(run) => run,
                Err(outcome) => {
                    steps.push(Step::Over(outcome));
                    continue;
                }
            };
            if let Err(outcome) = self.check_row(&mut run) {
                steps.push(Step::Over(outcome));
                continue;
            }
            let judged = match self.check_brakes(c, unit, &charged).await? {
                Some(Ok(judged)) => judged,
                Some(Err(outcome)) => {
                    steps.push(Step::Over(outcome));
                    continue;
                }
                None => return Ok(Together::OneByOne),
            };
            for charge in unit.charges.iter().filter(|charge| self.brakes.is_new(charge)) {
                *charged.entry(&charge.brake).or_default() += 1;
            }
            // What the others of the wave have seen counts as well.
            if claimed_as_seen(unit).is_some_and(|(record, _)| seen.contains(&record)) {
                return Ok(Together::OneByOne);
            }
            seen.extend(unit.keys.iter().filter_map(seen_record));
            if self.was_linked(unit) || self.is_seen_anew(unit) {
                steps.push(Step::Over(UnitOutcome::ClaimLost));
                continue;
            }
            if let Some(link) = run.link() {
                match self.rival(link) {
                    // The outcome depends on what becomes of the other.
                    Some(other) if in_wave.contains(&other) => return Ok(Together::OneByOne),
                    Some(_) => {
                        steps.push(Step::Over(UnitOutcome::ClaimLost));
                        continue;
                    }
                    None => {}
                }
                if !identities(link).into_iter().all(|identity| brought.insert(identity)) {
                    return Ok(Together::OneByOne);
                }
            }
            steps.push(Step::Running { run: Box::new(run), judged, task: None });
        }
        let rows = self.read_wave(c, &steps).await?;
        let mut tasks = Vec::new();
        for step in &mut steps {
            let Step::Running { run, task, .. } = step else { continue };
            let Some((pair, id)) =
                run.link().filter(|_| run.has_row_part()).map(|l| (l.pair, l.local_id.clone()))
            else {
                continue;
            };
            let row = match id.and_then(|id| rows.get(&(pair, id))) {
                None => None,
                Some(Ok(row)) => Some(row.clone()),
                Some(Err(bad)) => {
                    run.refuse(bad.message.clone());
                    continue;
                }
            };
            match run.decide(row.as_ref())? {
                Ok(Some(write)) => {
                    *task = Some(tasks.len());
                    tasks.push(RowTask { pair, row, write });
                }
                Ok(None) => {}
                Err(outcome) => *step = Step::Over(outcome),
            }
        }
        let writes = tasks.iter().any(|task| task.write != RowWrite::None);
        if writes {
            savepoint(c).await?;
        }
        let back = async |c: &mut Connection, why: &str| {
            if writes {
                undo(c).await.map_err(|_| Trouble::Spoiled(why.to_owned()))?;
            }
            Ok(Together::OneByOne)
        };
        let mut done = match write_grouped(c, &self.tables, tasks).await {
            Ok(Together::Done(done)) => done,
            Ok(Together::OneByOne) => return back(c, "the rows came back in another order").await,
            Err(Row::Refused(message)) => return back(c, &message).await,
            Err(Row::Failed(error)) => return Err(Trouble::Error(error)),
        };
        let mut ends: Vec<Result<(Vec<Judged>, Effects<'u>), UnitOutcome>> = Vec::with_capacity(steps.len());
        for step in steps {
            ends.push(match step {
                Step::Over(outcome) => Err(outcome),
                Step::Running { run, judged, task } => {
                    let row = task.and_then(|n| done.get_mut(n)).map(std::mem::take).unwrap_or_default();
                    Ok((judged, run.finish(row.row, row.inserted.as_ref())))
                }
            });
        }
        let links = || ends.iter().flatten().filter_map(|(_, effects)| effects.link.as_ref());
        let after: Vec<Identity> = links().flat_map(identities).collect();
        let unique: HashSet<&Identity> = after.iter().collect();
        let doubled = unique.len() != after.len();
        self.load_holders(c, after.clone()).await?;
        if doubled || links().any(|link| self.rival(link).is_some()) {
            return back(c, "an id is taken").await;
        }
        if writes {
            release(c).await?;
        }
        let done = units.iter().zip(ends).map(|(unit, end)| match end {
            Ok((judged, effects)) => self.apply(unit, &judged, effects),
            Err(outcome) => outcome,
        });
        Ok(Together::Done(done.collect()))
    }

    /// The rows of all running units of a wave that have a row part.
    async fn read_wave(
        &self,
        c: &mut Connection,
        steps: &[Step<'u>],
    ) -> Result<HashMap<(PairId, LocalId), Read>, Trouble> {
        let mut wanted: HashMap<PairId, Vec<LocalId>> = HashMap::new();
        for step in steps {
            let Step::Running { run, .. } = step else { continue };
            if let Some(link) = run.link().filter(|_| run.has_row_part()) {
                wanted.entry(link.pair).or_default().extend(link.local_id.clone());
            }
        }
        let mut all = HashMap::new();
        for (pair, ids) in wanted {
            for (id, row) in read_rows(c, self.table(pair)?, &ids).await? {
                all.insert((pair, id), row);
            }
        }
        Ok(all)
    }
}

/// The record that a change of match keys tells something new of.
fn seen_record(write: &KeyWrite) -> Option<(PairId, &str)> {
    match write {
        KeyWrite::Put(key) => (key.side == Side::Remote).then_some((key.pair, key.id.as_str())),
        KeyWrite::Drop { pair, side, id } => (*side == Side::Remote).then_some((*pair, id.as_str())),
        KeyWrite::Linked { .. } => None,
    }
}

/// Carries one row write out and reads the row back.
async fn write_row(
    c: &mut Connection,
    table: &Table,
    row: Option<LocalRow>,
    write: RowWrite,
) -> Result<RowDone, Row> {
    let values = table.write_assignments(&write).map_err(Row::Refused)?;
    let (id, inserted) = match (&write, row) {
        (RowWrite::None, row) => return Ok(RowDone { row, inserted: None }),
        (RowWrite::Delete, None) => return Ok(RowDone::default()),
        (RowWrite::Delete, Some(row)) => {
            delete(c, table, &row.id).await?;
            return Ok(RowDone::default());
        }
        (RowWrite::Insert(_), _) => (insert(c, table, values).await?, true),
        (_, None) => return Err(Row::Refused(format!("{}: the row is gone", table.catalog.table))),
        (write, Some(row)) => {
            update(c, table, &row.id, values).await?;
            (table.key_after(&row, write), false)
        }
    };
    let read = read_rows(c, table, std::slice::from_ref(&id)).await.map_err(Row::Failed)?.remove(&id);
    match read {
        Some(Ok(row)) => Ok(RowDone { row: Some(row), inserted: inserted.then_some(id) }),
        Some(Err(bad)) => Err(Row::Refused(bad.message)),
        None => Err(Row::Refused(format!("{}: the row was gone at once", table.catalog.table))),
    }
}
