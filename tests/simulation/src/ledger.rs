//! What really happened to every field of every record on both sides, and by whom: the truth that the engine's work is held against.

mod ties;

use self::ties::Claim;
use crate::archive::{Archive, Move};
use crate::executor::{Pid, WORLD};
use crate::kinds::{Kind, MATCH, NAME, Place, WAY};
use bothways_model::LinkId;
use bothways_store::Side;
use std::collections::{BTreeMap, BTreeSet};

/// The values of a kind's four fields. A reference of a row is the number of the row that it meant when it was written, see
/// [`Ledger::meant`].
pub(crate) type Cells = [Option<String>; 4];

/// One side at a moment: values and stamp by id.
pub(crate) type Cut = BTreeMap<String, (Cells, Option<String>)>;

/// The number of the last change that a writer can have seen, of each record.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    of: BTreeMap<String, u64>,
    others: u64,
}

impl Seen {
    /// The same of all records.
    pub(crate) fn of_all(seq: u64) -> Self {
        Self { of: BTreeMap::new(), others: seq }
    }

    /// Of these records as it says, and whatever happened to the others.
    pub(crate) fn of_each(of: BTreeMap<String, u64>) -> Self {
        Self { of, others: u64::MAX }
    }

    fn of(&self, id: &str) -> u64 {
        self.of.get(id).copied().unwrap_or(self.others)
    }
}

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A person or another program.
    User,
    /// The service itself.
    Service,
    /// An engine.
    Engine(Pid),
}

impl Who {
    pub(crate) fn is_engine(self) -> bool {
        matches!(self, Who::Engine(_))
    }
}

/// One field of one record became something else.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Its number among all changes.
    pub(crate) seq: u64,
    /// When, in microseconds of the run.
    pub(crate) at: u64,
    pub(crate) side: Side,
    pub(crate) id: String,
    /// The record, whatever id it has: a deleted row's id may be another row's later.
    pub(crate) entity: u64,
    /// Which of the four.
    pub(crate) field: usize,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) who: Who,
    /// Who wrote the value before, and with which change.
    pub(crate) before_by: Who,
    pub(crate) before_seq: u64,
    /// A write of an engine over what was written after its last look: the race that no service without conditional writes can rule
    /// out.
    pub(crate) unseen: bool,
}

/// One record's life.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) entity: u64,
    pub(crate) cells: Cells,
    /// By whom each value was written, and with which change.
    pub(crate) written: [(Who, u64); 4],
    pub(crate) born_by: Who,
    pub(crate) born_seq: u64,
    /// The link that an engine made it for.
    pub(crate) stamp: Option<String>,
}

/// Something was done to one record at one time.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    pub(crate) side: Side,
    pub(crate) id: String,
    pub(crate) entity: u64,
    /// How many of its fields became something else.
    pub(crate) fields: u64,
    /// Whether that was one that refers to another record.
    pub(crate) refers: bool,
}

/// What an engine did to rows at once.
#[derive(Debug)]
pub(crate) struct RowWrite {
    /// The values that it changed: rows and which of the four.
    pub(crate) values: BTreeSet<(String, usize)>,
    /// Whether that was all: no row was made, deleted, archived or taken out of the archive.
    pub(crate) only_values: bool,
}

/// A record's end.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) seq: u64,
    pub(crate) at: u64,
    pub(crate) side: Side,
    pub(crate) id: String,
    pub(crate) thing: Thing,
    pub(crate) who: Who,
    /// When the process that did it was last frozen, its end: what it had decided before may go out after (rule 41).
    pub(crate) woke: u64,
}

/// Everything that happened to the records of one kind.
#[derive(Debug)]
pub(crate) struct Ledger {
    kind: &'static Kind,
    seq: u64,
    entities: u64,
    /// Rows in which a person takes something back.
    undone: BTreeSet<String>,
    /// When people wrote to a row, be it what it held already or what no mapping has.
    row_touched: BTreeMap<u64, Vec<u64>>,
    pub(crate) rows: BTreeMap<String, Thing>,
    pub(crate) records: BTreeMap<String, Thing>,
    pub(crate) changes: Vec<Change>,
    pub(crate) gone: Vec<Gone>,
    /// Rows that were archived, or taken back out.
    pub(crate) archive: Archive,
    /// Which rows were born with a local id, in order, and with which change.
    births: BTreeMap<String, Vec<(u64, u64)>>,
    /// Which row a local id meant last.
    latest: BTreeMap<String, u64>,
    /// Which rows engines tied to a link: the row that was there when the link was claimed, or that was made for it. Where links and
    /// rows say later that they belong together is the engine's opinion; this is what it was told.
    ties: BTreeMap<LinkId, BTreeSet<u64>>,
    /// The same with the links' pairs, and after which change. A pair has one live link of a row.
    claims: Vec<Claim>,
    /// The record that the link of a row was of when an engine made the row. The link may move on to another (rule 26).
    made_of: BTreeMap<u64, String>,
    /// Change number and moment of the last read of a record by a task.
    seen: BTreeMap<(u64, String), (u64, u64)>,
    /// Records of which the last read showed only a part.
    half_seen: BTreeSet<String>,
    /// Values that arrived in a record and were replaced at once by the service itself: record, field, value.
    delivered: Vec<(String, usize, String)>,
    /// Names that the service stored in its own spelling: after which change, record, name sent, name stored. Where the record held that
    /// already, no change tells of it.
    respelt: Vec<(u64, String, String, String)>,
    /// Deletes that are held up on their way: after which change, the record, and the last change of it that their sender can have seen.
    held_up: Vec<(u64, String, u64)>,
    /// Records that people made part of another: they are not deleted, whatever it looks like.
    pub(crate) merged: BTreeMap<String, String>,
    /// Ids of records, and match values of rows, that people do not touch any more.
    pub(crate) left_alone: BTreeSet<String>,
    /// Records that people took back out of the recycle bin.
    pub(crate) restored: BTreeSet<String>,
    /// Writes of engines to records that the service carried out, whether they changed anything or not.
    pub(crate) engine_writes: Vec<Touch>,
    /// Effective commits of engines to rows.
    pub(crate) engine_row_writes: Vec<RowWrite>,
    /// Edits by users and the service that touched mapped fields, creates and deletes included.
    pub(crate) edits: Vec<Touch>,
}

/// Whether a value is a name that users write otherwise: see [`crate::users`].
fn is_lowered(value: &str) -> bool {
    value.strip_prefix('n').and_then(|rest| rest.parse().ok()).is_some_and(crate::users::is_a_proud_name)
}

impl Ledger {
    pub(crate) fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            seq: 0,
            entities: 0,
            undone: BTreeSet::new(),
            row_touched: BTreeMap::new(),
            rows: BTreeMap::new(),
            records: BTreeMap::new(),
            changes: Vec::new(),
            gone: Vec::new(),
            archive: Archive::default(),
            births: BTreeMap::new(),
            latest: BTreeMap::new(),
            ties: BTreeMap::new(),
            claims: Vec::new(),
            made_of: BTreeMap::new(),
            seen: BTreeMap::new(),
            half_seen: BTreeSet::new(),
            delivered: Vec::new(),
            respelt: Vec::new(),
            held_up: Vec::new(),
            merged: BTreeMap::new(),
            left_alone: BTreeSet::new(),
            restored: BTreeSet::new(),
            engine_writes: Vec::new(),
            engine_row_writes: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// The row that has this id, or had it last.
    pub(crate) fn entity(&self, id: &str) -> Option<u64> {
        self.latest.get(id).copied()
    }

    /// What a reference to the row with this id means now.
    pub(crate) fn meant(&self, id: &str) -> String {
        self.entity(id).map_or_else(|| format!("row {id}"), |entity| format!("#{entity}"))
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Another record that has had this one's match value since before that moment, in the same spelling: a service finds no other.
    pub(crate) fn older_namesake(&self, place: &Place, id: &str, before: u64) -> Option<&str> {
        let email = self.records.get(id)?.cells[MATCH].as_ref().filter(|_| self.kind.is_matched)?;
        let since = |thing: &Thing| {
            let seq = thing.written[MATCH].1;
            let at = self.changes.binary_search_by_key(&seq, |change| change.seq).ok();
            at.map_or(u64::MAX, |at| self.changes[at].at)
        };
        let mut others = self.records.iter().filter(|(other, _)| *other != id && place.owns(other));
        others
            .find(|(_, thing)| thing.cells[MATCH].as_ref() == Some(email) && since(thing) < before)
            .map(|(other, _)| other.as_str())
    }

    /// A task reads a record now, though perhaps not all of it.
    pub(crate) fn note_seen(&mut self, task: u64, id: &str, at: u64, all: bool) {
        let seq = self.seq;
        let seen = self.seen.entry((task, id.to_owned())).or_default();
        *seen = (if all { seq } else { seen.0 }, at);
        match all {
            true => self.half_seen.remove(id),
            false => self.half_seen.insert(id.to_owned()),
        };
    }

    /// Whether the last read of a record showed only a part of it.
    pub(crate) fn is_half_seen(&self, id: &str) -> bool {
        self.half_seen.contains(id)
    }

    /// The number of the last change that a task which writes to a record now can have seen of it. Whoever has not read it since
    /// `since` ought to have, and is taken for somebody who has seen everything.
    pub(crate) fn seen_by(&self, task: u64, id: &str, since: u64) -> u64 {
        match self.seen.get(&(task, id.to_owned())) {
            Some((seq, at)) if *at >= since => *seq,
            _ => u64::MAX,
        }
    }

    /// A row's key was changed.
    pub(crate) fn rekey(&mut self, moves: &[(String, String)]) {
        let taken: Vec<(String, Option<Thing>)> =
            moves.iter().map(|(old, new)| (new.clone(), self.rows.remove(old))).collect();
        for (id, thing) in taken {
            if let Some(thing) = thing {
                self.latest.insert(id.clone(), thing.entity);
                self.rows.insert(id, thing);
            }
        }
    }

    /// The number of the last thing that happened.
    pub(crate) fn last(&self) -> u64 {
        self.seq
    }

    /// The process that made records go since `last` was frozen until then.
    pub(crate) fn note_woken(&mut self, last: u64, woke: u64) {
        self.gone.iter_mut().rev().take_while(|gone| gone.seq > last).for_each(|gone| gone.woke = woke);
    }

    /// A delete of this record is held up on its way, by somebody who can have seen what happened until `seen`.
    pub(crate) fn note_held_up(&mut self, id: &str, seen: u64) {
        self.held_up.push((self.seq, id.to_owned(), seen));
    }

    /// Whether a record went by a delete that had been sent before this change could be seen: however late it lands, no look keeps it
    /// from the record.
    pub(crate) fn was_sent_before(&self, gone: &Gone, change: u64) -> bool {
        let mut sent = self.held_up.iter().rev();
        let last = sent.find(|(after, id, _)| *after < gone.seq && *id == gone.id);
        gone.who == Who::Engine(WORLD) && last.is_some_and(|(_, _, seen)| change > *seen)
    }

    /// What the service took for this record.
    pub(crate) fn note_delivered(&mut self, id: &str, sent: Vec<(usize, String)>) {
        self.delivered.extend(sent.into_iter().map(|(field, value)| (id.to_owned(), field, value)));
    }

    /// Whether a value arrived in one of these records although nobody has seen it there.
    pub(crate) fn was_delivered(&self, field: usize, value: &str, to: impl Fn(&str) -> bool) -> bool {
        self.delivered.iter().any(|(id, of, what)| *of == field && what == value && to(id))
    }

    /// The service carried out a write of this record: what it made of a name, be it what the record held already.
    pub(crate) fn note_respelt(&mut self, id: &str, sent: Vec<(usize, String)>) {
        let Some(stored) = self.records.get(id).and_then(|thing| thing.cells[NAME].as_deref()) else {
            return;
        };
        let names = sent.into_iter().filter(|(field, _)| *field == NAME).map(|(_, name)| name);
        let names = names.filter(|name| name != stored && name.to_lowercase() == stored);
        self.respelt.extend(names.map(|name| (self.seq, id.to_owned(), name, stored.to_owned())));
    }

    /// Whether, between two changes, one of these records was sent the name of the first, and the service made that of the second of it.
    pub(crate) fn was_respelt(&self, lost: &Change, change: &Change, of: impl Fn(&str) -> bool) -> bool {
        self.respelt.iter().any(|(seq, id, sent, stored)| {
            (lost.seq..change.seq).contains(seq)
                && lost.after.as_ref() == Some(sent)
                && change.after.as_ref() == Some(stored)
                && of(id)
        })
    }

    /// A living row by its number.
    pub(crate) fn row(&self, entity: u64) -> Option<&Thing> {
        self.rows.values().find(|thing| thing.entity == entity)
    }

    /// Somebody writes to a row, whatever it is.
    pub(crate) fn touch_row(&mut self, id: &str, at: u64) {
        if let Some(entity) = self.rows.get(id).map(|row| row.entity) {
            self.row_touched.entry(entity).or_default().push(at);
        }
    }

    /// When somebody last did, before a moment.
    pub(crate) fn row_touched(&self, entity: u64, before: u64) -> u64 {
        let touched = self.row_touched.get(&entity).into_iter().flatten().copied();
        touched.filter(|at| *at <= before).max().unwrap_or(0)
    }

    /// A person takes back what was written to this row: what happens to it next is theirs.
    pub(crate) fn is_undone(&mut self, id: &str) {
        self.undone.insert(id.to_owned());
    }

    /// The rows as they are now, and which of them are archived; whatever changed, `who` did it, but for what a person takes back.
    pub(crate) fn observe_rows(&mut self, now: Cut, archived: &BTreeSet<String>, who: Who, at: u64) -> bool {
        let undone = std::mem::take(&mut self.undone);
        let taken_back = !undone.is_empty() && {
            let mut first: Cut =
                self.rows.iter().map(|(id, thing)| (id.clone(), (thing.cells.clone(), None))).collect();
            for id in undone {
                match now.get(&id) {
                    Some(row) => first.insert(id, row.clone()),
                    None => first.remove(&id),
                };
            }
            self.observe(Side::Local, first, Who::User, at, &Seen::of_all(u64::MAX))
        };
        let before = self.seq;
        let changed = self.observe(Side::Local, now, who, at, &Seen::of_all(u64::MAX));
        let changed = self.observe_archive(archived, who, at) || changed;
        if changed && who.is_engine() {
            let values: Vec<_> = self.changes.iter().rev().take_while(|change| change.seq > before).collect();
            let only_values = values.len() as u64 == self.seq - before;
            let values = values.into_iter().map(|change| (change.id.clone(), change.field)).collect();
            self.engine_row_writes.push(RowWrite { values, only_values });
        }
        changed || taken_back
    }

    /// These rows are archived now, and no others. Nobody takes that back: what a person undoes are values (rule 65).
    fn observe_archive(&mut self, archived: &BTreeSet<String>, who: Who, at: u64) -> bool {
        let is_moved = |(id, row): &(&String, &Thing)| {
            self.archive.holds(row.entity, u64::MAX) != archived.contains(*id)
        };
        let moved: Vec<(String, Thing)> =
            self.rows.iter().filter(is_moved).map(|(id, row)| (id.clone(), row.clone())).collect();
        for (id, thing) in &moved {
            let (seq, entity, side) = (self.next(), thing.entity, Side::Local);
            let gone = Gone { seq, at, side, id: id.clone(), thing: thing.clone(), who, woke: 0 };
            self.archive.note(Move { gone, archived: archived.contains(id) });
            if !who.is_engine() {
                self.edits.push(Touch { side, id: id.clone(), entity, fields: 0, refers: false });
            }
        }
        !moved.is_empty()
    }

    /// The records as they are now. Several that one call wrote are as many writes.
    pub(crate) fn observe_records(&mut self, now: Cut, who: Who, at: u64, seen: &Seen) -> bool {
        self.observe(Side::Remote, now, who, at, seen)
    }

    /// A write of an engine to a record that the service carried out, after `last` happened. It counts though it changed nothing.
    pub(crate) fn note_carried_out(&mut self, id: &str, last: u64) {
        let Some(entity) = self.records.get(id).map(|thing| thing.entity) else { return };
        let changes = self.changes.iter().rev().take_while(|change| change.seq > last);
        if !changes.into_iter().any(|change| change.entity == entity) {
            let (side, id) = (Side::Remote, id.to_owned());
            self.engine_writes.push(Touch { side, id, entity, fields: 0, refers: false });
        }
    }

    /// Enters what was done to a row or record since `before`: that it was born, changed, or deleted.
    fn note_touch(&mut self, side: Side, id: &str, entity: u64, who: Who, before: u64) {
        if self.seq == before {
            return;
        }
        let changes = self.changes.iter().rev().take_while(|change| change.seq > before);
        let fields: Vec<usize> = changes.map(|change| change.field).collect();
        let refers = fields.iter().any(|field| self.kind.refers(*field));
        let touch = Touch { side, id: id.to_owned(), entity, fields: fields.len() as u64, refers };
        match (who.is_engine(), side) {
            // Several at once are as many edits.
            (false, _) => self.edits.push(touch),
            (true, Side::Remote) => self.engine_writes.push(touch),
            (true, Side::Local) => {}
        }
    }

    fn observe(&mut self, side: Side, now: Cut, who: Who, at: u64, seen: &Seen) -> bool {
        let before = self.seq;
        let mut things = std::mem::take(self.things(side));
        let lost: Vec<String> = things.keys().filter(|id| !now.contains_key(*id)).cloned().collect();
        for id in lost {
            if let Some(thing) = things.remove(&id) {
                let (seq, entity) = (self.next(), thing.entity);
                self.gone.push(Gone { seq, at, side, id: id.clone(), thing, who, woke: 0 });
                self.note_touch(side, &id, entity, who, seq - 1);
            }
        }
        for (id, (cells, stamp)) in now {
            let last = self.seq;
            match things.get_mut(&id) {
                Some(thing) => self.compare(side, &id, thing, cells, who, at, seen.of(&id)),
                None => {
                    self.entities += 1;
                    let seq = self.next();
                    let entity = self.entities;
                    if side == Side::Local {
                        self.latest.insert(id.clone(), entity);
                        self.births.entry(id.clone()).or_default().push((entity, seq));
                    }
                    let mut thing = Thing {
                        entity,
                        cells: Cells::default(),
                        written: [(who, seq); 4],
                        born_by: who,
                        born_seq: seq,
                        stamp,
                    };
                    self.compare(side, &id, &mut thing, cells, who, at, u64::MAX);
                    things.insert(id.clone(), thing);
                }
            }
            if let Some(entity) = things.get(&id).map(|thing| thing.entity) {
                self.note_touch(side, &id, entity, who, last);
            }
        }
        *self.things(side) = things;
        self.seq != before
    }

    #[allow(clippy::too_many_arguments)]
    fn compare(
        &mut self,
        side: Side,
        id: &str,
        thing: &mut Thing,
        cells: Cells,
        who: Who,
        at: u64,
        seen: u64,
    ) {
        for (field, after) in cells.into_iter().enumerate() {
            if thing.cells[field] == after {
                continue;
            }
            let seq = self.next();
            // What an automation sets or the service makes of what it is sent, in answer to an engine, is its own doing.
            let lowered = |value: &str| field == NAME && side == Side::Remote && is_lowered(value);
            let nothing_yet =
                |value: &str| self.kind.has_amount && field == WAY && side == Side::Remote && value == "0";
            let who = match &after {
                Some(value) if value.starts_with("auto") => Who::Service,
                Some(value) if who.is_engine() && (lowered(value) || nothing_yet(value)) => Who::Service,
                _ => who,
            };
            if who == Who::Service {
                let (id, entity, refers) = (id.to_owned(), thing.entity, self.kind.refers(field));
                self.edits.push(Touch { side, id, entity, fields: 1, refers });
            }
            let (before_by, before_seq) = thing.written[field];
            self.changes.push(Change {
                seq,
                at,
                side,
                id: id.to_owned(),
                entity: thing.entity,
                field,
                before: thing.cells[field].clone(),
                after: after.clone(),
                who,
                before_by,
                before_seq,
                unseen: who.is_engine() && before_seq > seen,
            });
            thing.written[field] = (who, seq);
            thing.cells[field] = after;
        }
    }

    fn things(&mut self, side: Side) -> &mut BTreeMap<String, Thing> {
        match side {
            Side::Local => &mut self.rows,
            Side::Remote => &mut self.records,
        }
    }
}
