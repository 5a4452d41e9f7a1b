//! People and programs who edit both sides all along, whether the engines run or not.

mod alone;
mod archive;
mod haste;

use crate::dice::Dice;
use crate::kinds::{Kind, LAST, MATCH, NAME, Place, Service, WAY};
use crate::ledger::{Seen, Who};
use crate::sim::Sim;
use bothways_model::{LocalId, Record, Value};
use bothways_store::Side;
use serde_json::Value as Json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the name of this number is written in a way that a service may have its own mind about.
pub(crate) fn is_a_proud_name(number: u64) -> bool {
    number.is_multiple_of(7)
}

/// Both groups of users of one mapping, and what they have thought of so far.
pub(crate) struct Users {
    sim: Arc<Sim>,
    pub(crate) place: &'static Place,
    /// The users of what their records refer to.
    parents: Option<Arc<Users>>,
    dice: Mutex<Dice>,
    /// Numbers values of all users, so that each tells where it comes from.
    count: Arc<AtomicU64>,
    last_remote_edit: AtomicU64,
}

/// New values for some fields. That of a reference is the id of a row or record.
type Changes = Vec<(usize, Option<String>)>;

impl Users {
    /// The users of every mapping, parents first.
    pub(crate) fn all(sim: &Arc<Sim>, dice: &Dice) -> Vec<Arc<Self>> {
        let count = Arc::new(AtomicU64::new(0));
        let mut all: Vec<Arc<Self>> = Vec::new();
        for (number, place) in (1..).zip(&sim.plan.places) {
            let of_parents = |users: &&Arc<Users>| {
                users.place.service == place.service
                    && place.kind.parent.is_some_and(|parent| parent.is(users.place.kind))
            };
            let parents = all.iter().find(of_parents).cloned();
            all.push(Arc::new(Self {
                sim: sim.clone(),
                place,
                parents,
                dice: Mutex::new(dice.fork(number)),
                count: count.clone(),
                last_remote_edit: AtomicU64::new(u64::MAX),
            }));
        }
        all
    }

    fn kind(&self) -> &'static Kind {
        self.place.kind
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.dice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A value that nobody has written before.
    fn fresh(&self, field: usize) -> String {
        let number = self.number();
        match field {
            MATCH => format!("u{number}@example.com"),
            NAME if is_a_proud_name(number) => format!("N{number}"),
            NAME => format!("n{number}"),
            WAY if self.kind().has_amount => (1000 + number).to_string(),
            WAY => format!("p{number}"),
            _ => format!("a{number}"),
        }
    }

    /// An email as people write it.
    fn spelt(&self, email: &str) -> String {
        match self.draw(|dice| dice.below(10)) {
            0 => email.to_uppercase(),
            _ => email.to_owned(),
        }
    }

    /// What is there before anything runs: rows, records, some of them the same person.
    pub(crate) fn settle_in(&self) {
        for _ in 0..self.sim.plan.before {
            let email = self.fresh(MATCH);
            let (row, record) = self.draw(|dice| (dice.below(4) > 0, dice.below(4) > 0));
            if row {
                self.insert_row(Some(email.clone()), None);
            }
            if record {
                self.create_record(Some(email));
            }
        }
    }

    /// Edits rows until it is over.
    pub(crate) async fn edit_rows(self: Arc<Self>) {
        while self.pause().await {
            self.edit_a_row();
        }
    }

    /// Edits records until it is over.
    pub(crate) async fn edit_records(self: Arc<Self>) {
        while self.pause().await {
            self.edit_a_record();
        }
    }

    /// Edits come in bursts. False when it is over.
    async fn pause(&self) -> bool {
        let mean = u64::try_from(self.sim.plan.pause.as_millis()).unwrap_or(1000);
        let wait = self.draw(|dice| match dice.below(4) {
            0 => dice.millis(1, 50),
            _ => dice.millis(mean / 4 + 1, mean * 3),
        });
        self.sim.executor.sleep(wait).await;
        !self.sim.is_calm()
    }

    pub(crate) fn edit_a_row(&self) {
        self.note_down();
        let plan = &self.sim.plan;
        let (odd, deletes, what) =
            self.draw(|dice| (dice.chance(plan.oddities), dice.chance(plan.deletes), dice.below(100)));
        let Some(id) = self.some_row() else { return drop(self.insert_row(None, None)) };
        if plan.masses > 0 && self.draw(|dice| dice.chance(plan.masses)) {
            return self.edit_many_rows();
        }
        if plan.archives > 0 && self.draw(|dice| dice.chance(plan.archives)) {
            return self.use_archive(&id);
        }
        match what {
            _ if odd => self.do_something_odd(&id),
            _ if deletes => self.delete_row(&id),
            0..20 => drop(self.insert_row(self.known_email(15), None)),
            20..24 => {
                let email = self.known_email(10).unwrap_or_else(|| self.fresh(MATCH));
                let email = self.spelt(&email);
                self.update_row(&id, &[(MATCH, Some(email))]);
            }
            24..30 => {
                let note = self.number();
                let at = self.sim.machine_time();
                self.sim.table.update(
                    self.kind().catalog,
                    &id,
                    Record::from_iter([("note", Value::Text(format!("x{note}")))]),
                    at,
                );
                self.sim.ledger(self.kind()).touch_row(id.as_str(), self.sim.executor.now());
                self.sim.count("unmapped_edit");
            }
            _ => {
                let changes = self.some_changes(Side::Local, id.as_str());
                self.update_row(&id, &changes);
            }
        }
    }

    pub(crate) fn edit_a_record(&self) {
        self.note_down();
        let plan = &self.sim.plan;
        let (deletes, what) = self.draw(|dice| (dice.chance(plan.deletes), dice.below(100)));
        let Some(id) = self.some_record() else { return drop(self.create_record(None)) };
        if plan.masses > 0 && self.draw(|dice| dice.chance(plan.masses)) {
            return self.edit_many_records();
        }
        if plan.merges > 0
            && self.place.service == Service::Salesforce
            && self.draw(|dice| dice.chance(plan.merges))
        {
            return self.merge_into(&id);
        }
        if plan.restores > 0 && self.draw(|dice| dice.chance(plan.restores)) && self.restore() {
            return;
        }
        if plan.steps > 0 && self.kind().has_amount && self.draw(|dice| dice.chance(plan.steps)) {
            return self.take_a_step(&id);
        }
        match what {
            _ if deletes => self.delete_record(&id),
            0..20 => drop(self.create_record(self.known_email(15))),
            20..23 => {
                let email = self.known_email(10).unwrap_or_else(|| self.fresh(MATCH));
                let email = self.spelt(&email);
                self.update_record(&id, &[(MATCH, Some(email))]);
            }
            23..27 => {
                let number = self.number();
                self.change_record(&id, &self.place.unmapped(&format!("x{number}")));
                self.sim.count("unmapped_edit");
            }
            _ => {
                let changes = self.some_changes(Side::Remote, &id);
                let lagging = self.sim.lagging_records();
                self.update_record(&id, &changes);
                if self.sim.lagging_records() > lagging {
                    self.leave_alone(&id);
                }
            }
        }
    }

    /// What a script does that somebody wrote in a hurry.
    fn edit_many_rows(&self) {
        self.sim.count("rows_in_bulk");
        let ids: Vec<LocalId> = self.row_ids().into_iter().map(LocalId).collect();
        let what = self.draw(|dice| dice.below(4));
        if what == 0 {
            let many = self.draw(|dice| dice.between(6, 16));
            (0..many).for_each(|_| drop(self.insert_row(None, None)));
        }
        for id in ids.iter().filter(|_| self.draw(|dice| dice.below(5)) > 0) {
            match what {
                0 => {}
                1 => self.update_row(id, &[(NAME, None)]),
                2 => self.update_row(id, &[(NAME, Some(self.fresh(LAST)))]),
                _ => self.delete_row(id),
            }
        }
    }

    /// Somebody sees that two records are one.
    fn merge_into(&self, master: &str) {
        let Some(loser) = self.some_record().filter(|loser| loser != master) else { return };
        if self.place.merge(&self.sim, master, &loser).is_ok() {
            self.sim.count("records_merged");
            self.sim.say(|| format!("user merges record {loser} into {master}"));
            self.sim.ledger(self.kind()).merged.insert(loser, master.to_owned());
        }
        self.records_changed();
    }

    /// Somebody wants a record back. False if there is none in the recycle bin that was not made part of another.
    fn restore(&self) -> bool {
        let Some(id) = self.one_of(self.place.deleted(&self.sim)) else { return false };
        if self.place.restore(&self.sim, &id).is_ok() {
            self.sim.count("records_restored");
            self.sim.say(|| format!("user takes record {id} back out of the recycle bin"));
            self.sim.ledger(self.kind()).restored.insert(id);
        }
        self.records_changed();
        true
    }

    /// An invoice goes on: it is finalized, then paid, voided or given up.
    fn take_a_step(&self, id: &str) {
        let drawn = self.draw(|dice| dice.one_of(["pay", "void", "mark_uncollectible"]));
        let done =
            ["finalize", drawn].into_iter().find(|step| self.place.advance(&self.sim, id, step).is_ok());
        match done {
            Some("finalize") => self.sim.count("invoice_finalized"),
            Some(_) => self.sim.count("invoice_advanced"),
            None => {}
        }
        self.sim.say(|| format!("user takes a step with {id}: {done:?}"));
        self.records_changed();
    }

    fn edit_many_records(&self) {
        self.sim.count("records_in_bulk");
        let ids = self.record_ids();
        if self.place.service == Service::Salesforce && self.draw(|dice| dice.below(2)) == 0 {
            let fields = self.place.fields(&[(NAME, Some(self.fresh(NAME)))]);
            let all: Vec<&str> = ids.iter().map(String::as_str).collect();
            if self.place.update_together(&self.sim, &all, &fields).is_ok() {
                self.sim.count("stamps_made_equal");
                self.sim
                    .say(|| format!("user changes {} records of {} at once", all.len(), self.place.resource));
            }
            return self.records_changed();
        }
        let what = self.draw(|dice| dice.below(4));
        if what == 0 {
            let many = self.draw(|dice| dice.between(6, 16));
            (0..many).for_each(|_| drop(self.create_record(None)));
        }
        for id in ids.iter().filter(|_| self.draw(|dice| dice.below(5)) > 0) {
            match what {
                0 => {}
                1 => self.update_record(id, &[(NAME, None)]),
                2 => self.update_record(id, &[(NAME, Some(self.fresh(LAST)))]),
                _ => self.delete_record(id),
            }
        }
    }

    fn note_down(&self) {
        if self.sim.live.load(Ordering::Relaxed) == 0 {
            self.sim.count("edited_while_down");
        }
    }

    fn one_of(&self, ids: Vec<String>) -> Option<String> {
        let index = usize::try_from(self.draw(|dice| dice.below(ids.len() as u64))).unwrap_or(0);
        ids.into_iter().nth(index)
    }

    fn some_row(&self) -> Option<LocalId> {
        self.one_of(self.row_ids()).map(LocalId)
    }

    fn some_record(&self) -> Option<String> {
        self.one_of(self.record_ids())
    }

    /// Something to refer to: what is there, or what comes with it.
    fn some_parent(&self, side: Side) -> Option<String> {
        let parents = self.parents.as_ref()?;
        let there = if side == Side::Local { parents.row_ids() } else { parents.record_ids() };
        match (self.one_of(there), side) {
            (Some(id), _) if self.draw(|dice| dice.below(4)) > 0 => Some(id),
            (_, Side::Local) => parents.insert_row(None, None).map(|id| id.0),
            (_, Side::Remote) => parents.create_record(None),
        }
    }

    /// An email that somebody has already, so many times in a hundred.
    fn known_email(&self, percent: u64) -> Option<String> {
        if self.draw(|dice| dice.below(100)) >= percent || !self.kind().is_matched {
            return None;
        }
        let ledger = self.sim.ledger(self.kind());
        let things = ledger.rows.values().chain(ledger.records.values());
        let all: Vec<String> = things.filter_map(|t| t.cells[MATCH].clone()).collect();
        drop(ledger);
        let email = self.one_of(all)?;
        self.sim.count("same_email");
        Some(email)
    }

    /// One or two fields: mostly new values, sometimes none, sometimes what somebody else has there.
    fn some_changes(&self, side: Side, id: &str) -> Changes {
        let count = self.draw(|dice| if dice.below(5) == 0 { 2 } else { 1 });
        (0..count)
            .map(|_| {
                let (field, how) = self.draw(|dice| (dice.one_of([NAME, NAME, WAY, LAST]), dice.below(100)));
                if self.kind().refers(field) {
                    return self.another_parent(side, how);
                }
                let value = match how {
                    0..7 => None,
                    7..12 => {
                        let ledger = self.sim.ledger(self.kind());
                        let things = ledger.rows.get(id).or_else(|| ledger.records.get(id));
                        // The value it has already: a touch.
                        things.and_then(|thing| thing.cells[field].clone())
                    }
                    _ => Some(self.fresh(field)),
                };
                (field, value)
            })
            .collect()
    }

    /// What a record may refer to from now on; another field where it may not refer to anything else.
    fn another_parent(&self, side: Side, how: u64) -> (usize, Option<String>) {
        let moves = match side {
            // Nobody keeps people from writing what they like into a table.
            Side::Local => !self.kind().stays || how < 20,
            Side::Remote => !self.kind().stays,
        };
        match moves.then(|| self.some_parent(side)).flatten() {
            Some(parent) => {
                self.sim.count("moved_to_another");
                (LAST, Some(parent))
            }
            None => (NAME, Some(self.fresh(NAME))),
        }
    }

    /// Inserts a row, with what it refers to if that is not there; its id unless it was refused.
    pub(crate) fn insert_row(&self, email: Option<String>, id: Option<&LocalId>) -> Option<LocalId> {
        let labels = self.kind().labels;
        let email = email.unwrap_or_else(|| self.fresh(MATCH));
        let email = self.spelt(&email);
        let blank = self.draw(|dice| dice.below(30) == 0) && self.place.may_be_blank();
        let mut fields = Record::from_iter([
            (labels[MATCH], if blank { Value::Null } else { Value::Text(email) }),
            (labels[NAME], Value::Text(self.fresh(NAME))),
        ]);
        if self.draw(|dice| dice.below(2)) == 0 {
            fields.set(labels[WAY], self.value(WAY, Some(self.fresh(WAY))));
        }
        if let Some(number) = id.and_then(|id| id.as_str().parse().ok()) {
            fields.set("id", Value::Int(number));
        }
        if self.kind().parent.is_some() && self.is_to_refer() {
            let parent = self.some_parent(Side::Local)?;
            fields.set(labels[LAST], self.value(LAST, Some(parent)));
        }
        let made = self.sim.table.insert(self.kind().catalog, fields, self.sim.machine_time());
        self.sim.say(|| {
            let shown = made.as_ref().map_or("in vain", |id| id.as_str());
            format!("user inserts row {shown} of {}", self.kind().catalog)
        });
        self.rows_changed();
        made
    }

    /// Whether a new record refers to another; it must where it may not later.
    fn is_to_refer(&self) -> bool {
        self.kind().stays || self.draw(|dice| dice.below(5)) > 0
    }

    /// A value as the table takes it.
    fn value(&self, field: usize, value: Option<String>) -> Value {
        match value {
            None => Value::Null,
            Some(key) if self.kind().refers(field) => Value::Int(key.parse().unwrap_or_default()),
            Some(amount) if self.kind().has_amount && field == WAY => {
                Value::Int(amount.parse().unwrap_or_default())
            }
            Some(text) => Value::Text(text),
        }
    }

    pub(crate) fn update_row(&self, id: &LocalId, changes: &[(usize, Option<String>)]) {
        let labels = self.kind().labels;
        let fields = changes
            .iter()
            .map(|(field, value)| (labels[*field], self.value(*field, value.clone())))
            .collect();
        self.sim.table.update(self.kind().catalog, id, fields, self.sim.machine_time());
        self.sim.ledger(self.kind()).touch_row(id.as_str(), self.sim.executor.now());
        self.sim.say(|| format!("user updates row {id} of {}: {}", self.kind().catalog, self.shown(changes)));
        self.rows_changed();
    }

    /// Deletes a row after those that refer to it, as a table does that knows its references.
    pub(crate) fn delete_row(&self, id: &LocalId) {
        let at = self.sim.machine_time();
        let mut deleted = Vec::new();
        for child in self.sim.plan.children(self.kind()) {
            let rows = self.sim.table.rows(child.kind.catalog).into_iter();
            let refers = |cell: Option<String>| cell.as_deref() == Some(id.as_str());
            for row in rows.filter(|row| refers(child.kind.cells(row)[LAST].clone())) {
                self.sim.table.delete(child.kind.catalog, &row.id, at);
                deleted.push(format!("{} of {}", row.id, child.kind.catalog));
            }
        }
        self.sim.table.delete(self.kind().catalog, id, at);
        deleted.push(format!("{id} of {}", self.kind().catalog));
        self.sim.say(|| format!("user deletes row {}", deleted.join(", ")));
        self.rows_changed();
    }

    fn rows_changed(&self) {
        self.sim.observe_rows(Who::User);
        self.sim.note("user edits rows", self.sim.executor.now(), 0);
    }

    /// Key changes, swaps, an id that becomes another row's, a row that comes back.
    fn do_something_odd(&self, id: &LocalId) {
        let sim = &self.sim;
        let (at, of) = (sim.machine_time(), self.kind().catalog);
        // The keys of what is referred to stay, or every reference would mean something else.
        let is_parent = sim.plan.children(self.kind()).next().is_some();
        match self.draw(|dice| dice.below(5)) {
            0 if !is_parent => {
                let new = LocalId((10_000 + self.number()).to_string());
                if sim.table.rekey(of, id, &new, at) {
                    sim.say(|| format!("user changes key {id} of {of} to {new}"));
                    sim.count("key_updated");
                    sim.ledger(self.kind()).rekey(&[(id.0.clone(), new.0)]);
                }
            }
            1 if !is_parent => {
                let Some(other) = self.some_row().filter(|other| other != id) else { return };
                let spare = LocalId((20_000 + self.number()).to_string());
                if sim.table.swap(of, id, &other, &spare, at) {
                    sim.say(|| format!("user swaps keys {id} and {other} of {of}"));
                    sim.count("keys_swapped");
                    sim.ledger(self.kind())
                        .rekey(&[(id.0.clone(), other.0.clone()), (other.0, id.0.clone())]);
                }
            }
            2 | 3 if !is_parent => {
                // Another person under a used id.
                self.delete_row(id);
                sim.count("row_id_reused");
                self.insert_row(None, Some(id));
            }
            _ => {
                // The same person again, by the match value, under another id.
                let email =
                    sim.ledger(self.kind()).rows.get(id.as_str()).and_then(|t| t.cells[MATCH].clone());
                self.delete_row(id);
                self.insert_row(email, None);
            }
        }
        self.rows_changed();
    }

    /// Creates a record, with what it refers to if that is not there; its id unless it was refused.
    pub(crate) fn create_record(&self, email: Option<String>) -> Option<String> {
        let email = email.unwrap_or_else(|| self.fresh(MATCH));
        let email = self.spelt(&email);
        let mut changes = vec![(MATCH, Some(email)), (NAME, Some(self.fresh(NAME)))];
        if self.draw(|dice| dice.below(2)) == 0 {
            let field = if self.kind().parent.is_some() { WAY } else { LAST };
            changes.push((field, Some(self.fresh(field))));
        }
        if self.draw(|dice| dice.below(30)) == 0 && self.place.may_be_blank() {
            changes[0].1 = None;
        }
        if self.kind().parent.is_some() && self.is_to_refer() {
            changes.push((LAST, Some(self.some_parent(Side::Remote)?)));
        }
        let made = self.place.create(&self.sim, &changes);
        self.sim.say(|| match &made {
            Ok(made) => format!("user creates record {made}: {}", self.shown(&changes)),
            Err(error) => format!("user creates a record in vain: {error}"),
        });
        self.mid_walk("created_mid_walk");
        self.records_changed();
        made.ok()
    }

    pub(crate) fn update_record(&self, id: &str, changes: &[(usize, Option<String>)]) {
        self.sim.say(|| format!("user updates record {id}: {}", self.shown(changes)));
        self.change_record(id, &self.place.fields(changes));
    }

    fn change_record(&self, id: &str, fields: &Json) {
        let second = self.sim.executor.now() / 1_000_000;
        if self.last_remote_edit.swap(second, Ordering::Relaxed) == second {
            self.sim.count("equal_stamps");
        }
        match self.place.update(&self.sim, id, fields) {
            Err(error) => self.sim.say(|| format!("in vain: {error}")),
            Ok(()) if self.kind().has_amount && fields.get("total").is_some() => {
                self.sim.count("amount_changed");
            }
            Ok(()) => {}
        }
        self.records_changed();
    }

    /// Deletes a record, mostly after those that refer to it.
    pub(crate) fn delete_record(&self, id: &str) {
        let children: Vec<&Place> = self.sim.plan.children(self.kind()).collect();
        if !children.is_empty() && self.draw(|dice| dice.below(4)) > 0 {
            for child in children.into_iter().filter(|child| child.service == self.place.service) {
                for record in self.sim.records(child) {
                    if child.cells(&record)[LAST].as_deref() == Some(id) {
                        self.remove_record(child, child.id(&record));
                    }
                }
            }
        }
        self.remove_record(self.place, id);
        self.mid_walk("removed_mid_walk");
        self.records_changed();
    }

    fn remove_record(&self, place: &Place, id: &str) {
        let done = place.delete(&self.sim, id);
        self.sim.say(|| format!("user deletes record {id}{}", if done.is_err() { " in vain" } else { "" }));
    }

    fn records_changed(&self) {
        self.sim.observe_records(self.place.service, None, Who::User, &Seen::of_all(u64::MAX));
        self.sim.note("user edits records", self.sim.executor.now(), 0);
        self.sim.deliveries.notify_one();
    }

    fn mid_walk(&self, counter: &str) {
        if self.sim.open_walks.load(Ordering::Relaxed) > 0 {
            self.sim.count(counter);
        }
    }

    fn shown(&self, changes: &[(usize, Option<String>)]) -> String {
        let labels = self.kind().labels;
        let shown = changes
            .iter()
            .map(|(field, value)| format!("{} = {}", labels[*field], value.as_deref().unwrap_or("null")));
        shown.collect::<Vec<_>>().join(", ")
    }
}
