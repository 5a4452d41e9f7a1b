//! The account in the end: what people wrote, against both sides and the history, value by value.

use crate::real::peer::Peer;
use crate::real::races::Races;
use crate::real::sides::{Sides, fold};
use crate::real::table::{Entry, Table};
use crate::real::users::{Edit, FIELDS};
use bothways_store::{HistoryOp, Side};
use std::collections::{BTreeMap, BTreeSet};

/// A link's id, and those of its row and record.
type Ids = (String, String, String);

/// Edits by record and field, in order.
type Written<'e> = BTreeMap<Ids, BTreeMap<&'static str, Vec<&'e Edit>>>;

/// Everything that is not as it must be; empty if all is well.
///
/// 1. the last value that people wrote to a field on either side is on both sides, or history names it (nothing is lost), but for what
///    [`Races`] excuses;
/// 2. no value holds that nobody wrote to this very field of this very record (nothing is invented);
/// 3. the engine wrote over a person's value only after it had carried that value to the other side, or where history says that both
///    had changed it, rule 11 (nothing is overwritten unseen).
pub(crate) async fn account(table: &Table, peer: &Peer, sides: &Sides, edits: &[Edit]) -> Vec<String> {
    let history = table.history().await;
    let mut entries: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &history {
        entries.entry(entry.link.as_deref().unwrap_or_default()).or_default().push(entry);
    }
    let races = Races::read(peer).await;
    let mut wrong = Vec::new();
    let mut accounted = 0;
    for (ids, fields) in by_record(sides, edits, &mut wrong) {
        let about = entries.get(ids.0.as_str()).map_or(&[][..], Vec::as_slice);
        for (field, edits) in fields {
            accounted += edits.len();
            let Some(value) = sides.value(&ids.1, field) else {
                wrong.push(format!("{ids:?} {field}: no row"));
                continue;
            };
            let known = wrong.len();
            let of_field =
                Field { ids: &ids, field, value: fold(&value), edits: &edits, entries: about, races: &races };
            of_field.lost(&mut wrong);
            of_field.invented(&mut wrong);
            of_field.overwritten(&mut wrong);
            if wrong.len() > known {
                wrong.push(format!("  intents: {:#?}", table.intents(&ids.0).await));
            }
        }
    }
    if accounted != edits.len() {
        wrong.push(format!("{accounted} of {} edits belong to a record that is there", edits.len()));
    }
    wrong
}

/// What was written to each field of each record that is linked.
fn by_record<'e>(sides: &Sides, edits: &'e [Edit], wrong: &mut Vec<String>) -> Written<'e> {
    let (mut of_local, mut of_remote) = (BTreeMap::new(), BTreeMap::new());
    for link in sides.links() {
        let (local, remote) = (link.local_id.clone(), link.remote_id.clone());
        let ids = (link.id.clone(), local.unwrap_or_default(), remote.unwrap_or_default());
        of_local.insert(ids.1.clone(), ids.clone());
        of_remote.insert(ids.2.clone(), ids);
    }
    let mut all = Written::new();
    for edit in edits {
        let known = if edit.side == Side::Local { &of_local } else { &of_remote };
        match known.get(&edit.id) {
            Some(ids) => all.entry(ids.clone()).or_default().entry(edit.field).or_default().push(edit),
            None => wrong.push(format!("nothing is linked to what was edited: {edit:?}")),
        }
    }
    debug_assert!(all.values().flat_map(BTreeMap::keys).all(|field| FIELDS.contains(field)));
    all
}

/// One field of one record. Values are compared as the mapping compares them.
struct Field<'a> {
    ids: &'a Ids,
    field: &'static str,
    /// What both sides hold in the end.
    value: String,
    edits: &'a [&'a Edit],
    /// The history of the record.
    entries: &'a [&'a Entry],
    races: &'a Races,
}

impl Field<'_> {
    fn lost(&self, wrong: &mut Vec<String>) {
        for side in [Side::Local, Side::Remote] {
            let Some(last) = self.edits.iter().rev().find(|edit| edit.side == side) else { continue };
            let value = fold(&last.value);
            let named = || {
                self.changes().any(|(_, before, after)| {
                    before.as_deref() == Some(&value) || after.as_deref() == Some(&value)
                })
            };
            // What nobody could have seen; see there.
            let unseen =
                || side == Side::Remote && last.update.is_some_and(|n| self.races.fell_between(&last.id, n));
            if value != self.value && !named() && !unseen() {
                wrong.push(self.say(&format!("the last {} edit {:?} is lost", side.as_str(), last.value)));
            }
        }
    }

    fn invented(&self, wrong: &mut Vec<String>) {
        let written: BTreeSet<String> = self.edits.iter().map(|edit| fold(&edit.value)).collect();
        if !written.contains(&self.value) {
            wrong.push(self.say("nobody wrote the value that is there"));
        }
        for (entry, _, after) in self.changes() {
            if after.is_some_and(|after| !written.contains(&after)) {
                wrong.push(self.say(&format!("nobody wrote what was carried: {entry:?}")));
            }
        }
    }

    fn overwritten(&self, wrong: &mut Vec<String>) {
        let of_people: BTreeSet<(Side, String)> =
            self.edits.iter().map(|edit| (edit.side, fold(&edit.value))).collect();
        // What has been carried, by the side it was carried to.
        let mut carried: BTreeSet<(Side, String)> = BTreeSet::new();
        for (entry, before, after) in self.changes() {
            if !matches!(entry.op, HistoryOp::Create | HistoryOp::Update) {
                continue;
            }
            let other = if entry.side == Side::Local { Side::Remote } else { Side::Local };
            if let Some(before) = before
                && of_people.contains(&(entry.side, before.clone()))
                && !carried.contains(&(other, before))
                && !entry.rules.contains(&11)
            {
                wrong.push(self.say(&format!("a person's value was overwritten unseen: {entry:?}")));
            }
            if let Some(after) = after {
                carried.insert((entry.side, after));
            }
        }
    }

    /// What history says of this field: the entry, before and after.
    fn changes(&self) -> impl Iterator<Item = (&Entry, Option<String>, Option<String>)> {
        self.entries.iter().filter_map(|entry| {
            let change = entry.fields.get(self.field)?;
            let text = |name: &str| change[name].as_str().map(fold);
            Some((*entry, text("before"), text("after")))
        })
    }

    fn say(&self, what: &str) -> String {
        let history: Vec<String> = self.changes().map(|(entry, _, _)| format!("\n    {entry:?}")).collect();
        let edits: Vec<String> =
            self.edits.iter().map(|edit| format!("\n    {} {:?}", edit.side.as_str(), edit.value)).collect();
        format!(
            "{:?} {}: {what}; in the end {:?}; edits:{} history:{}",
            self.ids,
            self.field,
            self.value,
            edits.concat(),
            history.concat()
        )
    }
}
