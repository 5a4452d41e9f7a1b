//! People who edit both sides all along, whatever runs, and what they remember of it. No value is ever written twice, so that each can
//! be told from every other one wherever it turns up.

use crate::real::canaries::CANARY;
use crate::real::draw::Draw;
use crate::real::peer::Peer;
use crate::real::table::Table;
use bothways_store::Side;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

/// The fields that people edit.
pub(crate) const FIELDS: [&str; 3] = ["name", "email", "phone"];

/// One value that one person wrote on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) side: Side,
    /// The record's id on that side.
    pub(crate) id: String,
    pub(crate) field: &'static str,
    pub(crate) value: String,
    /// Which update of this record it was, from 0, of those that people made on this side; none for what it was created with.
    pub(crate) update: Option<usize>,
}

/// They.
pub(crate) struct Users<'a> {
    table: &'a Table,
    peer: &'a Peer,
    draw: Draw,
    edits: Vec<Edit>,
    /// How many people there may be.
    most: usize,
    people: usize,
    /// Calls that changed the service.
    calls: u64,
    remote: Vec<String>,
    updates: BTreeMap<(Side, String), usize>,
}

impl<'a> Users<'a> {
    /// Nobody yet; there will be `most` people at most.
    pub(crate) fn new(table: &'a Table, peer: &'a Peer, most: usize, draw: Draw) -> Self {
        Self {
            table,
            peer,
            draw,
            edits: Vec::new(),
            most,
            people: 0,
            calls: 0,
            remote: Vec::new(),
            updates: BTreeMap::new(),
        }
    }

    /// How many people there are.
    pub(crate) fn people(&self) -> usize {
        self.people
    }

    /// Everything that was written, in order.
    pub(crate) fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// How many calls changed the service.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Edits, one after the other, with pauses of a drawn length up to `pause`, until `stop`.
    pub(crate) async fn edit_until(&mut self, stop: &Cell<bool>, pause: Duration) {
        while !stop.get() {
            self.edit().await;
            let millis = self.draw.below(pause.as_millis() as u64 * 2 + 1);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    /// One new person, or one edit of somebody who is there, on one side.
    pub(crate) async fn edit(&mut self) {
        let at_home = self.draw.below(2) == 0;
        let new = self.people < self.most && self.draw.below(4) == 0;
        match (at_home, new) {
            (true, true) => self.insert().await,
            (false, true) => self.create().await,
            (true, false) => self.update_row().await,
            (false, false) => self.update_record().await,
        }
    }

    /// A new row.
    pub(crate) async fn insert(&mut self) {
        let (name, email) = (self.value("name"), self.value("email"));
        let id = self.table.insert(&name, &email).await.to_string();
        self.people += 1;
        self.note(Side::Local, &id, vec![("name", name), ("email", email)], None);
    }

    /// A new record.
    pub(crate) async fn create(&mut self) {
        let (name, email) = (self.value("name"), self.value("email"));
        let id = self.peer.create(&[("name", &name), ("email", &email)]).await;
        self.people += 1;
        self.calls += 1;
        self.remote.push(id.clone());
        self.note(Side::Remote, &id, vec![("name", name), ("email", email)], None);
    }

    async fn update_row(&mut self) {
        let ids = self.table.ids().await;
        if ids.is_empty() {
            return self.insert().await;
        }
        let id = *self.draw.one_of(&ids);
        let fields = self.some_fields();
        self.table.set(id, &fields).await;
        let update = self.count(Side::Local, &id.to_string());
        self.note(Side::Local, &id.to_string(), fields, Some(update));
    }

    async fn update_record(&mut self) {
        // What the engine has made meanwhile is seen now and then.
        if self.remote.is_empty() || self.draw.below(20) == 0 {
            self.remote = self.peer.customers().await.into_iter().map(|customer| customer.id).collect();
        }
        if self.remote.is_empty() {
            return self.create().await;
        }
        let id = self.draw.one_of(&self.remote).clone();
        let fields = self.some_fields();
        let given: Vec<(&str, &str)> = fields.iter().map(|(field, value)| (*field, value.as_str())).collect();
        self.peer.update(&id, &given).await;
        self.calls += 1;
        let update = self.count(Side::Remote, &id);
        self.note(Side::Remote, &id, fields, Some(update));
    }

    /// One field, or two at once.
    fn some_fields(&mut self) -> Vec<(&'static str, String)> {
        let first = self.draw.below(FIELDS.len() as u64) as usize;
        let mut fields = vec![(FIELDS[first], self.value(FIELDS[first]))];
        if self.draw.below(4) == 0 {
            let other = FIELDS[(first + 1) % FIELDS.len()];
            fields.push((other, self.value(other)));
        }
        fields
    }

    fn value(&mut self, field: &str) -> String {
        let number = self.edits.len() as u64 * 1_000 + self.draw.below(1_000);
        match field {
            "email" => format!("{CANARY}{number}@Example.com"),
            "phone" => format!("+1 {CANARY} {number}"),
            _ => format!("{CANARY} the {number}th"),
        }
    }

    /// How many updates of this record came before this one.
    fn count(&mut self, side: Side, id: &str) -> usize {
        let count = self.updates.entry((side, id.to_owned())).or_default();
        *count += 1;
        *count - 1
    }

    fn note(&mut self, side: Side, id: &str, fields: Vec<(&'static str, String)>, update: Option<usize>) {
        let edit = |(field, value)| Edit { side, id: id.to_owned(), field, value, update };
        self.edits.extend(fields.into_iter().map(edit));
    }
}
