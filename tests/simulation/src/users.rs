//! People and programs who edit both sides all along, whether the engines run or not.

use crate::dice::Dice;
use crate::ledger::{FIELDS, Who};
use crate::network::inject_event_fault;
use crate::sim::Sim;
use bothways_model::{LocalId, Record, Value};
use serde_json::{Map, Value as Json, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the name of this number is written in a way that a service may have its own mind about.
pub(crate) fn is_a_proud_name(number: u64) -> bool {
    number.is_multiple_of(7)
}

/// Both groups of users, and what they have thought of so far.
pub(crate) struct Users {
    sim: Arc<Sim>,
    dice: Mutex<Dice>,
    /// Numbers values, so that each tells where it comes from.
    count: AtomicU64,
    last_remote_edit: AtomicU64,
}

impl Users {
    pub(crate) fn new(sim: Arc<Sim>, dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            sim,
            dice: Mutex::new(dice),
            count: AtomicU64::new(0),
            last_remote_edit: AtomicU64::new(u64::MAX),
        })
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
            0 => format!("u{number}@example.com"),
            1 if is_a_proud_name(number) => format!("N{number}"),
            field => format!("{}{number}", &FIELDS[field].0[..1]),
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
            let email = self.fresh(0);
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
        let Some(id) = self.some_row() else { return self.insert_row(None, None) };
        if plan.masses > 0 && self.draw(|dice| dice.chance(plan.masses)) {
            return self.edit_many_rows();
        }
        match what {
            _ if odd => self.do_something_odd(&id),
            _ if deletes => self.delete_row(&id),
            0..20 => self.insert_row(self.known_email(15), None),
            20..24 => {
                let email = self.known_email(10).unwrap_or_else(|| self.fresh(0));
                let email = self.spelt(&email);
                self.update_row(&id, &[(0, Some(email))]);
            }
            24..30 => {
                let note = self.number();
                let at = self.sim.machine_time();
                self.sim.table.update(
                    &id,
                    Record::from_iter([("note", Value::Text(format!("x{note}")))]),
                    at,
                );
                self.sim.count("unmapped_edit");
            }
            _ => {
                let changes = self.some_changes(id.as_str());
                self.update_row(&id, &changes);
            }
        }
    }

    pub(crate) fn edit_a_record(&self) {
        self.note_down();
        let plan = &self.sim.plan;
        let (deletes, what) = self.draw(|dice| (dice.chance(plan.deletes), dice.below(100)));
        let Some(id) = self.some_record() else { return self.create_record(None) };
        if plan.masses > 0 && self.draw(|dice| dice.chance(plan.masses)) {
            return self.edit_many_records();
        }
        match what {
            _ if deletes => self.delete_record(&id),
            0..20 => self.create_record(self.known_email(15)),
            20..23 => {
                let email = self.known_email(10).unwrap_or_else(|| self.fresh(0));
                let email = self.spelt(&email);
                self.update_record(&id, &[(0, Some(email))]);
            }
            23..27 => {
                let number = self.number();
                self.change_record(&id, &json!({ "metadata": { "note": format!("x{number}") } }));
                self.sim.count("unmapped_edit");
            }
            _ => {
                let changes = self.some_changes(&id);
                self.update_record(&id, &changes);
            }
        }
    }

    /// What a script does that somebody wrote in a hurry.
    fn edit_many_rows(&self) {
        self.sim.count("rows_in_bulk");
        let ids: Vec<LocalId> = self.sim.ledger().rows.keys().cloned().map(LocalId).collect();
        let what = self.draw(|dice| dice.below(4));
        if what == 0 {
            let many = self.draw(|dice| dice.between(6, 16));
            (0..many).for_each(|_| self.insert_row(None, None));
        }
        for id in ids.iter().filter(|_| self.draw(|dice| dice.below(5)) > 0) {
            match what {
                0 => {}
                1 => self.update_row(id, &[(1, None)]),
                2 => self.update_row(id, &[(3, Some(self.fresh(3)))]),
                _ => self.delete_row(id),
            }
        }
    }

    fn edit_many_records(&self) {
        self.sim.count("records_in_bulk");
        let ids: Vec<String> = self.sim.ledger().records.keys().cloned().collect();
        let what = self.draw(|dice| dice.below(4));
        if what == 0 {
            let many = self.draw(|dice| dice.between(6, 16));
            (0..many).for_each(|_| self.create_record(None));
        }
        for id in ids.iter().filter(|_| self.draw(|dice| dice.below(5)) > 0) {
            match what {
                0 => {}
                1 => self.update_record(id, &[(1, None)]),
                2 => self.update_record(id, &[(3, Some(self.fresh(3)))]),
                _ => self.delete_record(id),
            }
        }
    }

    fn note_down(&self) {
        if self.sim.live.load(Ordering::Relaxed) == 0 {
            self.sim.count("edited_while_down");
        }
    }

    fn some_row(&self) -> Option<LocalId> {
        let ids: Vec<String> = self.sim.ledger().rows.keys().cloned().collect();
        let index = usize::try_from(self.draw(|dice| dice.below(ids.len() as u64))).unwrap_or(0);
        ids.into_iter().nth(index).map(LocalId)
    }

    fn some_record(&self) -> Option<String> {
        let ids: Vec<String> = self.sim.ledger().records.keys().cloned().collect();
        let index = usize::try_from(self.draw(|dice| dice.below(ids.len() as u64))).unwrap_or(0);
        ids.into_iter().nth(index)
    }

    /// An email that somebody has already, so many times in a hundred.
    fn known_email(&self, percent: u64) -> Option<String> {
        if self.draw(|dice| dice.below(100)) >= percent {
            return None;
        }
        let ledger = self.sim.ledger();
        let all: Vec<String> =
            ledger.rows.values().chain(ledger.records.values()).filter_map(|t| t.cells[0].clone()).collect();
        drop(ledger);
        let index = usize::try_from(self.draw(|dice| dice.below(all.len() as u64))).unwrap_or(0);
        let email = all.into_iter().nth(index)?;
        self.sim.count("same_email");
        Some(email)
    }

    /// One or two fields: mostly new values, sometimes none, sometimes what somebody else has there.
    fn some_changes(&self, id: &str) -> Vec<(usize, Option<String>)> {
        let count = self.draw(|dice| if dice.below(5) == 0 { 2 } else { 1 });
        (0..count)
            .map(|_| {
                let (field, how) = self.draw(|dice| (dice.one_of([1usize, 1, 2, 3]), dice.below(100)));
                let value = match how {
                    0..7 => None,
                    7..12 => {
                        let ledger = self.sim.ledger();
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

    pub(crate) fn insert_row(&self, email: Option<String>, id: Option<&LocalId>) {
        let email = email.unwrap_or_else(|| self.fresh(0));
        let email = self.spelt(&email);
        let blank = self.draw(|dice| dice.below(30) == 0);
        let mut fields = Record::from_iter([
            ("email", if blank { Value::Null } else { Value::Text(email) }),
            ("name", Value::Text(self.fresh(1))),
        ]);
        if self.draw(|dice| dice.below(2)) == 0 {
            fields.set("phone", Value::Text(self.fresh(2)));
        }
        if let Some(number) = id.and_then(|id| id.as_str().parse().ok()) {
            fields.set("id", Value::Int(number));
        }
        let made = self.sim.table.insert(fields, self.sim.machine_time());
        self.sim.say(|| format!("user inserts row {}", made.map_or_else(|| "in vain".to_owned(), |id| id.0)));
        self.rows_changed();
    }

    pub(crate) fn update_row(&self, id: &LocalId, changes: &[(usize, Option<String>)]) {
        let fields = changes
            .iter()
            .map(|(field, value)| (FIELDS[*field].0, value.clone().map_or(Value::Null, Value::Text)))
            .collect();
        self.sim.table.update(id, fields, self.sim.machine_time());
        self.sim.say(|| format!("user updates row {id}: {}", shown(changes)));
        self.rows_changed();
    }

    pub(crate) fn delete_row(&self, id: &LocalId) {
        self.sim.table.delete(id, self.sim.machine_time());
        self.sim.say(|| format!("user deletes row {id}"));
        self.rows_changed();
    }

    fn rows_changed(&self) {
        let rows = self.sim.table.rows();
        let at = self.sim.executor.now();
        self.sim.ledger().observe_rows(&rows, Who::User, at);
        self.sim.note("user edits rows", at, 0);
    }

    /// Key changes, swaps, an id that becomes another row's, a row that comes back.
    fn do_something_odd(&self, id: &LocalId) {
        let sim = &self.sim;
        let at = sim.machine_time();
        match self.draw(|dice| dice.below(5)) {
            0 => {
                let new = LocalId((10_000 + self.number()).to_string());
                if sim.table.rekey(id, &new, at) {
                    sim.say(|| format!("user changes key {id} to {new}"));
                    sim.count("key_updated");
                    sim.ledger().rekey(&[(id.0.clone(), new.0)]);
                }
            }
            1 => {
                let Some(other) = self.some_row().filter(|other| other != id) else { return };
                let spare = LocalId((20_000 + self.number()).to_string());
                if sim.table.swap(id, &other, &spare, at) {
                    sim.say(|| format!("user swaps keys {id} and {other}"));
                    sim.count("keys_swapped");
                    sim.ledger().rekey(&[(id.0.clone(), other.0.clone()), (other.0, id.0.clone())]);
                }
            }
            2 | 3 => {
                // Another person under a used id.
                self.delete_row(id);
                sim.count("row_id_reused");
                self.insert_row(None, Some(id));
            }
            _ => {
                // The same person again, by the match value, under another id.
                let email = sim.ledger().rows.get(id.as_str()).and_then(|thing| thing.cells[0].clone());
                self.delete_row(id);
                self.insert_row(email, None);
            }
        }
        self.rows_changed();
    }

    pub(crate) fn create_record(&self, email: Option<String>) {
        let email = email.unwrap_or_else(|| self.fresh(0));
        let email = self.spelt(&email);
        let mut fields = json!({ "email": email, "name": self.fresh(1) });
        if self.draw(|dice| dice.below(2)) == 0 {
            fields["description"] = json!(self.fresh(3));
        }
        if self.draw(|dice| dice.below(30)) == 0 {
            fields["email"] = Json::Null;
        }
        let now = self.sim.true_time();
        let mut stripe = self.sim.stripe();
        inject_event_fault(&self.sim, &mut stripe);
        let made = stripe.dashboard_create(&fields, now);
        stripe.clear_faults();
        drop(stripe);
        self.sim.say(|| match &made {
            Ok(made) => format!("user creates record {}", made["id"].as_str().unwrap_or_default()),
            Err(error) => format!("user creates a record in vain: {error}"),
        });
        self.mid_walk("created_mid_walk");
        self.records_changed();
    }

    pub(crate) fn update_record(&self, id: &str, changes: &[(usize, Option<String>)]) {
        let fields: Map<String, Json> = changes
            .iter()
            .map(|(field, value)| {
                (FIELDS[*field].1.to_owned(), value.clone().map_or(Json::Null, Json::String))
            })
            .collect();
        self.sim.say(|| format!("user updates record {id}: {}", shown(changes)));
        self.change_record(id, &Json::Object(fields));
    }

    fn change_record(&self, id: &str, fields: &Json) {
        let now = self.sim.true_time();
        let second = self.sim.executor.now() / 1_000_000;
        if self.last_remote_edit.swap(second, Ordering::Relaxed) == second {
            self.sim.count("equal_stamps");
        }
        let mut stripe = self.sim.stripe();
        inject_event_fault(&self.sim, &mut stripe);
        let done = stripe.dashboard_update(id, fields, now);
        stripe.clear_faults();
        drop(stripe);
        if let Err(error) = done {
            self.sim.say(|| format!("in vain: {error}"));
        }
        self.records_changed();
    }

    pub(crate) fn delete_record(&self, id: &str) {
        let now = self.sim.true_time();
        let mut stripe = self.sim.stripe();
        inject_event_fault(&self.sim, &mut stripe);
        let done = stripe.dashboard_delete(id, now);
        stripe.clear_faults();
        drop(stripe);
        self.sim.say(|| format!("user deletes record {id}{}", if done.is_err() { " in vain" } else { "" }));
        self.mid_walk("removed_mid_walk");
        self.records_changed();
    }

    fn records_changed(&self) {
        let records = self.sim.stripe().customers();
        let at = self.sim.executor.now();
        self.sim.ledger().observe_records(&records, Who::User, at, u64::MAX);
        self.sim.note("user edits records", at, 0);
        self.sim.deliveries.notify_one();
    }

    fn mid_walk(&self, counter: &str) {
        if self.sim.open_walks.load(Ordering::Relaxed) > 0 {
            self.sim.count(counter);
        }
    }
}

fn shown(changes: &[(usize, Option<String>)]) -> String {
    let shown: Vec<String> = changes
        .iter()
        .map(|(field, value)| format!("{} = {}", FIELDS[*field].0, value.as_deref().unwrap_or("null")))
        .collect();
    shown.join(", ")
}
