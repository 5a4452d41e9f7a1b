//! The work rows that one transaction touches: read as a set, changed in memory, written as a set.

use crate::connection::Connection;
use crate::error::ours;
use crate::statement::{Arg, Bulk, Writes, columns_of, fetch, list};
use crate::stored::{WORK, WORK_UPSERT, read_work, subject_columns, work_args};
use crate::tuple::Tuple;
use bothways_model::{PairId, Seq, Timestamp};
use bothways_store::transition::WorkRow;
use bothways_store::{Fact, PassMark, Result, Signal, Subject, WorkId, WorkWrite};
use serde_json::json;
use std::collections::{HashMap, HashSet};

struct Slot {
    row: WorkRow,
    /// It has a number in the database.
    stored: bool,
    /// Its subject in the database is another one.
    moved: bool,
    dirty: bool,
    gone: bool,
}

/// Work rows under way.
#[derive(Default)]
pub(crate) struct WorkBook {
    slots: Vec<Slot>,
    by_subject: HashMap<(PairId, Subject), usize>,
    by_id: HashMap<WorkId, usize>,
    asked: HashSet<(PairId, Subject)>,
}

impl WorkBook {
    /// Reads the rows of these subjects, as far as they are not here already. Must be called before they are written.
    pub(crate) async fn load_subjects(
        &mut self,
        c: &mut Connection,
        subjects: impl IntoIterator<Item = (PairId, Subject)>,
    ) -> Result<()> {
        let asked = self.asked.len();
        let (sql, subjects) = self.want(subjects);
        if self.asked.len() == asked {
            return Ok(());
        }
        self.take_rows(&fetch(c, sql, [subjects]).await.map_err(ours)?)
    }

    /// The statement that reads the rows of these subjects, as far as they are not here already, and its value; for
    /// [`WorkBook::take_rows`].
    pub(crate) fn want(&mut self, subjects: impl IntoIterator<Item = (PairId, Subject)>) -> (String, Arg) {
        let mut wanted = Vec::new();
        for (pair, subject) in subjects {
            if !self.asked.contains(&(pair, subject.clone())) {
                let (kind, text) = subject_columns(&subject);
                wanted.push(json!([pair, kind, text]));
                self.asked.insert((pair, subject));
            }
        }
        let sql = format!(
            "SELECT {} FROM json_each(?) AS j CROSS JOIN bothways_work AS w ON w.pair = j.value ->> 0 \
             AND w.kind = j.value ->> 1 AND w.subject = j.value ->> 2",
            columns_of("w", WORK)
        );
        (sql, list(&wanted))
    }

    /// Takes in what the statement of [`WorkBook::want`] found.
    pub(crate) fn take_rows(&mut self, rows: &[Tuple]) -> Result<()> {
        for row in rows {
            self.take_in(read_work(row)?);
        }
        Ok(())
    }

    /// The statement that reads the rows of these numbers, and its value; for [`WorkBook::take_rows`].
    pub(crate) fn want_ids(&self, ids: impl Iterator<Item = WorkId>) -> (String, Arg) {
        let sql = format!("SELECT {WORK} FROM bothways_work WHERE id IN (SELECT value FROM json_each(?))");
        (sql, list(&ids.collect::<Vec<_>>()))
    }

    /// Reads the rows of these numbers.
    pub(crate) async fn load_ids(&mut self, c: &mut Connection, ids: &[WorkId]) -> Result<()> {
        let (sql, ids) = self.want_ids(ids.iter().copied());
        self.take_rows(&fetch(c, sql, [ids]).await.map_err(ours)?)
    }

    fn take_in(&mut self, row: WorkRow) {
        let at = (row.work.pair, row.work.subject.clone());
        if self.by_id.contains_key(&row.work.id) {
            return;
        }
        self.asked.insert(at.clone());
        self.by_id.insert(row.work.id, self.slots.len());
        self.by_subject.insert(at, self.slots.len());
        self.slots.push(Slot { row, stored: true, moved: false, dirty: false, gone: false });
    }

    /// The row of a subject, if there is one.
    pub(crate) fn get(&self, pair: PairId, subject: &Subject) -> Option<&WorkRow> {
        let slot = self.slots.get(*self.by_subject.get(&(pair, subject.clone()))?)?;
        (!slot.gone).then_some(&slot.row)
    }

    /// Changes the row of a subject, made if it is not there.
    pub(crate) fn change(
        &mut self,
        pair: PairId,
        subject: &Subject,
        now: Timestamp,
        change: impl FnOnce(&mut WorkRow),
    ) {
        let at = (pair, subject.clone());
        let present =
            self.by_subject.get(&at).copied().filter(|i| self.slots.get(*i).is_some_and(|s| !s.gone));
        let index = present.unwrap_or_else(|| {
            let row = WorkRow::new(WorkId(0), pair, subject.clone(), Seq(0), now);
            self.slots.push(Slot { row, stored: false, moved: false, dirty: true, gone: false });
            self.by_subject.insert(at, self.slots.len() - 1);
            self.slots.len() - 1
        });
        if let Some(slot) = self.slots.get_mut(index) {
            slot.dirty = true;
            change(&mut slot.row);
        }
    }

    /// A signal of a full pass.
    pub(crate) fn signal_of_pass(
        &mut self,
        signal: &Signal,
        pass: PassMark,
        generation: Seq,
        now: Timestamp,
    ) {
        self.change(signal.pair, &signal.subject, now, |row| {
            row.signal_of_pass(signal, generation, now, pass)
        });
    }

    /// A signal that what was withheld is approved.
    pub(crate) fn signal_approved(&mut self, signal: &Signal, generation: Seq, now: Timestamp) {
        self.change(signal.pair, &signal.subject, now, |row| row.signal_approved(signal, generation, now));
    }

    /// A signal, with a fact perhaps.
    pub(crate) fn signal(&mut self, signal: &Signal, fact: Option<Fact>, generation: Seq, now: Timestamp) {
        self.change(signal.pair, &signal.subject, now, |row| {
            row.signal(signal, generation, now);
            if let Some(fact) = fact {
                row.fact(fact);
            }
        });
    }

    /// Carries a work write out. A row that is not there is left so.
    pub(crate) fn write(&mut self, write: &WorkWrite, now: Timestamp) {
        let slot = self.by_id.get(&write.id()).and_then(|i| self.slots.get_mut(*i)).filter(|s| !s.gone);
        if let Some(slot) = slot {
            slot.dirty = true;
            slot.gone = !slot.row.write(write, now);
        }
    }

    /// Work of one subject becomes work of another (rule 29).
    pub(crate) fn rename(&mut self, pair: PairId, from: &Subject, to: &Subject) {
        let Some(index) = self.by_subject.remove(&(pair, from.clone())) else { return };
        let Some(moving) = self.slots.get(index).filter(|s| !s.gone).map(|s| s.row.clone()) else { return };
        if self.get(pair, to).is_some() {
            let now = moving.work.since;
            self.change(pair, to, now, |row| row.merge(moving));
            if let Some(slot) = self.slots.get_mut(index) {
                (slot.dirty, slot.gone) = (true, true);
            }
            return;
        }
        self.by_subject.insert((pair, to.clone()), index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.row.work.subject = to.clone();
            (slot.dirty, slot.moved) = (true, true);
        }
    }

    /// Writes what has changed.
    pub(crate) async fn flush(self, writes: &mut Writes<'_>) -> Result<()> {
        let ids = |wanted: &dyn Fn(&Slot) -> bool| -> Vec<WorkId> {
            self.slots.iter().filter(|s| s.stored && wanted(s)).map(|s| s.row.work.id).collect()
        };
        let gone = ids(&|slot| slot.gone);
        if !gone.is_empty() {
            let sql = "DELETE FROM bothways_work WHERE id IN (SELECT value FROM json_each(?))";
            writes.put(sql, [list(&gone)]);
        }
        let moved = ids(&|slot| slot.moved && !slot.gone);
        if !moved.is_empty() {
            // Out of each other's way first: subjects may have been swapped.
            let sql = "UPDATE bothways_work SET kind = 'moving', subject = id WHERE id IN (SELECT value FROM json_each(?))";
            writes.put(sql, [list(&moved)]);
        }
        let rows = self.slots.iter().filter(|s| s.dirty && !s.gone).map(|s| work_args(&s.row)).collect();
        let head = format!("INSERT INTO bothways_work ({WORK}) VALUES");
        writes.bulk(&Bulk { head: &head, width: 20, tail: WORK_UPSERT }, rows).await.map_err(ours)
    }

    /// Writes what has changed, at once.
    pub(crate) async fn finish(self, c: &mut Connection) -> Result<()> {
        let mut writes = Writes::new(c);
        self.flush(&mut writes).await?;
        writes.connection().await.map(drop).map_err(ours)
    }
}
