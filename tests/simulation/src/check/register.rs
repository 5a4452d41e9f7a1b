//! No silent loss, no invention, authority (invariants 2, 3, 7): the history of every field as a register, and which of its writers may
//! have won.

use super::Snapshot;
use crate::kinds::{Kind, MATCH, NAME, WAY};
use crate::ledger::{Change, Gone, Ledger, Thing, Who};
use crate::plan::{Plan, RequestFault, Way};
use crate::sim::Sim;
use bothways_store::{HistoryOp, HistoryRow, Link, Side};
use std::collections::BTreeMap;

/// Values that were lost, invented, brought back, or written in a direction the mapping forbids.
pub(crate) fn register(sim: &Sim, snapshots: &[Snapshot]) -> Vec<String> {
    let mut findings = Vec::new();
    for kind in sim.plan.kinds() {
        let ledger = sim.ledger(kind);
        let parents = kind.parent.map(|parent| sim.ledger(parent));
        let judge = Judge::new(&sim.plan, kind, snapshots, &ledger, parents.as_deref());
        let by_engines = ledger.changes.iter().filter(|change| change.who.is_engine());
        findings.extend(by_engines.flat_map(|change| judge.change(change)));
        let deletes = ledger.gone.iter().filter(|gone| gone.who.is_engine());
        findings.extend(deletes.flat_map(|gone| judge.delete(gone)));
        let archived = ledger.archive.archived().filter(|gone| gone.who.is_engine());
        findings.extend(archived.flat_map(|gone| judge.delete(gone)));
    }
    findings
}

/// A record of either side: rows by their entity, records by their id.
pub(super) type Node = (Side, String);

struct Judge<'j> {
    plan: &'j Plan,
    kind: &'static Kind,
    snapshots: Vec<&'j Snapshot>,
    ledger: &'j Ledger,
    ties: Ties,
    /// Of what its records refer to.
    parents: Option<(&'j Ledger, Ties)>,
    by_seq: BTreeMap<u64, &'j Change>,
}

/// Which records were ever tied to each other, directly or not.
#[derive(Default)]
pub(super) struct Ties {
    pub(super) component: BTreeMap<Node, usize>,
    /// Components of links.
    pub(super) of_link: BTreeMap<String, usize>,
}

impl Ties {
    fn new<'l>(links: impl Iterator<Item = &'l Link>, ledger: &Ledger) -> Self {
        let mut groups = Groups::default();
        let mut of_link = BTreeMap::new();
        for link in links {
            let remote = link.remote_id.as_ref().map(|id| (Side::Remote, id.0.clone()));
            let rows = ledger.rows_of(link.id).into_iter().map(|row| (Side::Local, row.to_string()));
            // What was created for it, although nobody could tell it so.
            let stamp = link.id.to_string();
            let made = ledger.records.iter();
            let lost = ledger
                .gone
                .iter()
                .filter(|gone| gone.side == Side::Remote)
                .map(|gone| (&gone.id, &gone.thing));
            let made = made.chain(lost).filter(|(_, thing)| thing.stamp.as_ref() == Some(&stamp));
            let made = made.map(|(id, _)| (Side::Remote, id.clone()));
            let nodes: Vec<Node> = rows.chain(remote).chain(made).collect();
            for pair in nodes.windows(2) {
                groups.join(&pair[0], &pair[1]);
            }
            if let Some(first) = nodes.first() {
                of_link.insert(link.id.to_string(), first.clone());
            }
        }
        for (loser, master) in &ledger.merged {
            groups.join(&(Side::Remote, loser.clone()), &(Side::Remote, master.clone()));
        }
        let component = groups.components();
        let of_link =
            of_link.into_iter().filter_map(|(id, node)| Some((id, *component.get(&node)?))).collect();
        Self { component, of_link }
    }

    pub(super) fn of_kind(kind: &Kind, snapshots: &[Snapshot], ledger: &Ledger) -> Self {
        let snapshots = snapshots.iter().filter(|snapshot| snapshot.place.kind.is(kind));
        Self::new(snapshots.flat_map(|snapshot| &snapshot.links), ledger)
    }
}

impl<'j> Judge<'j> {
    fn new(
        plan: &'j Plan,
        kind: &'static Kind,
        snapshots: &'j [Snapshot],
        ledger: &'j Ledger,
        parents: Option<&'j Ledger>,
    ) -> Self {
        let ties = Ties::of_kind(kind, snapshots, ledger);
        let parents = parents.zip(kind.parent);
        let parents = parents.map(|(ledger, kind)| (ledger, Ties::of_kind(kind, snapshots, ledger)));
        let by_seq = ledger.changes.iter().map(|change| (change.seq, change)).collect();
        let snapshots = snapshots.iter().filter(|snapshot| snapshot.place.kind.is(kind)).collect();
        Self { plan, kind, snapshots, ledger, ties, parents, by_seq }
    }

    /// Whether two values of a field are the same: references, if what they mean belongs together.
    fn alike(&self, field: usize, a: Option<&str>, b: Option<&str>) -> bool {
        if field == MATCH && self.kind.is_matched {
            return a.map(|a| a.trim().to_lowercase()) == b.map(|b| b.trim().to_lowercase());
        }
        if let (true, Some((_, ties)), Some(a), Some(b)) = (self.kind.refers(field), &self.parents, a, b) {
            let node = |cell: &str| match cell.strip_prefix('#') {
                Some(row) => (Side::Local, row.to_owned()),
                None => (Side::Remote, cell.to_owned()),
            };
            let component = |cell: &str| ties.component.get(&node(cell)).copied();
            return a == b || component(a).is_some_and(|of_a| component(b) == Some(of_a));
        }
        a == b
    }

    /// Whether a value is another, as a service stores it that has its own mind about spelling.
    fn arrived(&self, field: usize, sent: Option<&str>, stored: Option<&str>) -> bool {
        self.alike(field, sent, stored)
            || (field == NAME && sent.map(str::to_lowercase) == stored.map(str::to_lowercase))
    }

    fn component_of(&self, change: &Change) -> Option<usize> {
        let node = match change.side {
            Side::Local => (Side::Local, change.entity.to_string()),
            Side::Remote => (Side::Remote, change.id.clone()),
        };
        self.ties.component.get(&node).copied()
    }

    /// Changes of one field of all records tied to each other.
    fn family(&self, component: Option<usize>, field: usize) -> impl Iterator<Item = &Change> {
        self.ledger.changes.iter().filter(move |other| {
            other.field == field && component.is_some() && self.component_of(other) == component
        })
    }

    fn change(&self, change: &Change) -> Vec<String> {
        let mut findings = Vec::new();
        let label = self.kind.labels[change.field];
        let side = change.side.as_str();
        let what = format!(
            "{label} of {side} {} became {:?} (was {:?}) by an engine at {:.3}",
            change.id,
            change.after,
            change.before,
            change.at as f64 / 1e6
        );
        let forbidden = match (self.plan.way_of(self.kind), change.side) {
            (Way::In, Side::Remote) | (Way::Out, Side::Local) => change.field == WAY,
            _ => false,
        };
        if forbidden {
            findings.push(format!("authority: {what}"));
        }
        // It counts as deleted, and the row that an engine decides on is locked (rules 32, 69).
        if change.side == Side::Local && self.ledger.archive.holds(change.entity, change.seq) {
            findings.push(format!("archived: {what}, and the row is archived"));
        }
        let component = self.component_of(change);
        let after = change.after.as_deref();
        let origin = self
            .family(component, change.field)
            .filter(|o| {
                o.seq < change.seq && !o.who.is_engine() && self.alike(o.field, o.after.as_deref(), after)
            })
            .max_by_key(|o| o.seq);
        if after.is_some() && origin.is_none() {
            findings.push(format!("invention: {what}, a value that nobody wrote into this record"));
            return findings;
        }
        // A mapping that writes blindly takes what it last knew for what is there (rule 50).
        if after.is_none() && !self.plan.blind && !self.was_null(component, change) {
            findings.push(format!("blanked: {what}, and nobody emptied it"));
            return findings;
        }
        if change.before_by.is_engine() || self.alike(change.field, change.before.as_deref(), after) {
            return findings;
        }
        let Some(lost) = self.by_seq.get(&change.before_seq) else { return findings };
        // A one-way field is the other side's, whatever its users write into it (invariant 7).
        let is_theirs = change.field == WAY
            && matches!(
                (self.plan.way_of(self.kind), change.side),
                (Way::In, Side::Local) | (Way::Out, Side::Remote)
            );
        if is_theirs || (change.unseen && !self.is_guarded(change)) {
            return findings;
        }
        if self.is_earlier(change, lost, component) {
            findings.push(format!("newest: the earlier change won: {what}"));
        }
        findings.extend(self.overwritten(change, lost, component).map(|why| format!("{why}: {what}")));
        findings
    }

    /// Whether what is written after the last look cannot be written over: each update has the condition that there is no such thing.
    /// Who is shown a part of a record is shown its version all the same.
    fn is_guarded(&self, change: &Change) -> bool {
        let hides = self.plan.weather.requests.iter().any(|(fault, _)| *fault == RequestFault::HiddenField);
        let mut places = self.plan.places.iter().filter(|place| place.owns(&change.id));
        change.side == Side::Remote && !hides && places.any(|place| place.is_guarded)
    }

    /// Whether `newest` let a value of a row replace a record's that was written after anybody wrote to the row (rule 12).
    fn is_earlier(&self, change: &Change, lost: &Change, component: Option<usize>) -> bool {
        /// What two times that are the same may differ by.
        const ALIKE: u64 = 1_000_000;
        let weather = &self.plan.weather;
        let is_told = weather.clock_ahead == 0 && weather.clock_jump == 0;
        // A person may choose, and a row that gets another key, or is another's by now, has other times.
        let decides = self.plan.winner == "newest" && !self.plan.operators && self.plan.oddities == 0;
        if !decides || !is_told || change.side != Side::Remote || lost.after.is_none() || component.is_none()
        {
            return false;
        }
        // What is taken back out of the recycle bin holds what it held.
        if self.ledger.restored.contains(&change.id) {
            return false;
        }
        let here = |other: &&Change| other.side == Side::Local && other.seq < change.seq;
        let came_in = |other: &Change| {
            other.seq > lost.seq && self.alike(change.field, other.after.as_deref(), lost.after.as_deref())
        };
        if self.family(component, change.field).filter(here).any(came_in) {
            return false;
        }
        let rows = self.ledger.changes.iter().filter(here).filter(|c| self.component_of(c) == component);
        let written = |row: &Change| if row.who.is_engine() { 0 } else { row.at };
        let last = rows.map(|row| written(row).max(self.ledger.row_touched(row.entity, change.at)));
        last.max().is_some_and(|last| last + ALIKE < lost.at)
    }

    /// Whether some record tied to this one had no value there, by its users' doing.
    fn was_null(&self, component: Option<usize>, change: &Change) -> bool {
        let cleared = self
            .family(component, change.field)
            .any(|o| o.seq < change.seq && !o.who.is_engine() && o.after.is_none());
        let born_empty = || {
            let things = self.ledger.rows.values().map(|t| (Side::Local, t.entity.to_string(), t));
            let records = self.ledger.records.iter().map(|(id, t)| (Side::Remote, id.clone(), t));
            let gone = self.ledger.gone.iter().map(|gone| {
                let id = match gone.side {
                    Side::Local => gone.thing.entity.to_string(),
                    Side::Remote => gone.id.clone(),
                };
                (gone.side, id, &gone.thing)
            });
            things.chain(records).chain(gone).any(|(side, id, thing)| {
                side != change.side
                    && self.ties.component.get(&(side, id)).copied() == component
                    && !self.was_born_with(side, thing, change.field)
            })
        };
        cleared || born_empty()
    }

    /// What it was born with follows its birth at once.
    fn was_born_with(&self, side: Side, thing: &Thing, field: usize) -> bool {
        let its = |change: &&Change| change.side == side && change.entity == thing.entity;
        let first = || self.by_seq.range(thing.born_seq..=thing.born_seq + 4).map(|(_, c)| *c).filter(its);
        let birth = first().next().map(|change| change.at);
        first().any(|change| change.field == field && Some(change.at) == birth)
    }

    /// Why a user's value that an engine overwrote must not have been.
    fn overwritten(&self, change: &Change, lost: &Change, component: Option<usize>) -> Option<&'static str> {
        let field = change.field;
        let (value, after) = (lost.after.as_deref(), change.after.as_deref());
        let there: Vec<&Change> =
            self.family(component, field).filter(|o| o.side != change.side && o.seq < change.seq).collect();
        let written_there = there
            .iter()
            .filter(|o| !o.who.is_engine() && self.alike(field, o.after.as_deref(), after))
            .max_by_key(|o| o.seq);
        let here_before = self.family(component, field).any(|o| {
            o.entity == change.entity && o.seq < lost.seq && self.alike(field, o.after.as_deref(), after)
        });
        // A link that moves to the record that its own became part of meets what that one held before, and a winner decides (rules 18, 26).
        // Others may have been given the same value at once.
        let lost_while_held = |loser: &str, held: &Change| {
            let mut gone =
                self.ledger.gone.iter().filter(|gone| gone.side == Side::Remote && gone.id == loser);
            gone.any(|gone| {
                let moved = |o: &&Change| o.id == held.id && held.seq < o.seq && o.seq < gone.seq;
                (held.seq..change.seq).contains(&gone.seq) && !there.iter().any(moved)
            })
        };
        let mut by_users =
            there.iter().filter(|o| !o.who.is_engine() && self.alike(field, o.after.as_deref(), after));
        let of_master = by_users.any(|o| {
            let mut merged = self.ledger.merged.iter();
            merged.any(|(loser, master)| *master == o.id && lost_while_held(loser, o))
        });
        if change.side == Side::Local
            && after.is_some()
            && here_before
            && !of_master
            && !self.was_respelt(change, lost, component)
            // A reference that the other side still holds is no older value for having been here before: there are few to choose from.
            && written_there.is_none_or(|o| o.seq < lost.seq && !self.kind.refers(field))
        {
            return Some("an older value came back");
        }
        let delivered = self.was_delivered(component, field, value);
        let reached = delivered
            || there.iter().any(|o| {
                self.arrived(field, value, o.after.as_deref()) && written_there.is_none_or(|w| o.seq < w.seq)
            });
        // Superseded by a later write of its own side (invariant 2).
        let superseded = self
            .family(component, field)
            .any(|o| o.entity == change.entity && o.seq > change.seq && !o.who.is_engine());
        if reached
            || superseded
            || self.is_named(component, field, value)
            || self.is_undone(change, component)
        {
            return None;
        }
        Some("a user's value was lost and history does not name it")
    }

    /// Whether the service was sent what is lost, and what came back is its spelling of that: BR is what the service says (rule 15).
    fn was_respelt(&self, change: &Change, lost: &Change, component: Option<usize>) -> bool {
        let tied = |id: &str| self.ties.component.get(&(Side::Remote, id.to_owned())).copied() == component;
        component.is_some() && change.field == NAME && self.ledger.was_respelt(lost, change, tied)
    }

    /// Whether a value arrived in a record of this component, though it was replaced before anybody saw it.
    fn was_delivered(&self, component: Option<usize>, field: usize, value: Option<&str>) -> bool {
        let tied = |id: &str| self.ties.component.get(&(Side::Remote, id.to_owned())).copied() == component;
        component.is_some() && value.is_some_and(|value| self.ledger.was_delivered(field, value, tied))
    }

    /// What history says of the links of this component.
    fn history(&self, component: Option<usize>) -> impl Iterator<Item = &HistoryRow> {
        let tied = move |row: &&HistoryRow| {
            let link = row.entry.link.map(|link| link.to_string());
            link.is_some_and(|link| self.ties.of_link.get(&link).copied() == component)
        };
        self.snapshots.iter().flat_map(|snapshot| &snapshot.history).filter(tied)
    }

    /// Whether a record was given back at once what a late write of ours had taken from it, and history says just that (rules 24, 41):
    /// nothing came in between, and nothing else is named.
    fn is_undone(&self, change: &Change, component: Option<usize>) -> bool {
        let field = change.field;
        let (value, late) = (change.before.as_deref(), change.after.as_deref());
        let back = |o: &Change| {
            o.id == change.id && o.before_seq == change.seq && self.alike(field, o.after.as_deref(), value)
        };
        let remote = |o: &&Change| o.side == Side::Remote && o.who.is_engine();
        let is_back = self.family(component, field).filter(remote).any(back);
        let says =
            |row: &HistoryRow| {
                let is = |told: Option<&bothways_model::Value>, what: Option<&str>| {
                    told.is_some_and(|told| self.alike(field, self.named(field, told).as_deref(), what))
                };
                row.entry.op == HistoryOp::Echo
                    && row.entry.remote_id.as_ref().is_some_and(|id| id.as_str() == change.id)
                    && row.entry.fields.get(self.kind.labels[field]).is_some_and(|named| {
                        is(named.before.as_ref(), late) && is(named.after.as_ref(), value)
                    })
            };
        is_back && self.history(component).any(says)
    }

    /// Whether history names this value as one that was there before.
    fn is_named(&self, component: Option<usize>, field: usize, value: Option<&str>) -> bool {
        self.history(component).any(|row| {
            row.entry.fields.get(self.kind.labels[field]).is_some_and(|named| {
                let is = |v: &Option<bothways_model::Value>| match v.as_ref().map(|v| self.named(field, v)) {
                    Some(known) => self.alike(field, known.as_deref(), value),
                    // What was created had nothing before, which names no user's doing.
                    None => value.is_none() && row.entry.op != HistoryOp::Create,
                };
                is(&named.before) || (row.entry.op == HistoryOp::Conflict && is(&named.after))
            })
        })
    }

    /// A value of history as the ledger says it.
    fn named(&self, field: usize, value: &bothways_model::Value) -> Option<String> {
        let text = Some(value.to_text()).filter(|_| !value.is_null())?;
        match &self.parents {
            Some((parents, _)) if self.kind.refers(field) && text.parse::<i64>().is_ok() => {
                Some(parents.meant(&text))
            }
            _ => Some(text),
        }
    }

    /// Values of users that went with a record an engine deleted.
    fn delete(&self, gone: &Gone) -> Vec<String> {
        if !self.plan.update_wins || self.plan.operators {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for (field, (who, seq)) in gone.thing.written.iter().enumerate() {
            if *who != Who::User || (field == WAY && self.plan.way_of(self.kind) != Way::Both) {
                continue;
            }
            let Some(written) = self.by_seq.get(seq) else { continue };
            // The race between the look and the delete: a service without conditional deletes cannot rule it out.
            let raced = written.at + 120_000_000 > gone.at || gone.woke > written.at;
            let sent_before = self.ledger.was_sent_before(gone, *seq);
            if gone.side == Side::Remote && (self.plan.blind || raced || sent_before) {
                continue;
            }
            let component = self.component_of(written);
            let delivered = self.was_delivered(component, field, written.after.as_deref());
            let reached = self.family(component, field).any(|o| {
                o.side != gone.side && self.arrived(field, written.after.as_deref(), o.after.as_deref())
            });
            let was_null = written.after.is_none();
            if !reached && !delivered && !was_null {
                findings.push(format!(
                    "update_wins: {} {} was deleted at {:.3} with {} = {:?}, which the other side never had",
                    gone.side.as_str(),
                    gone.id,
                    gone.at as f64 / 1e6,
                    self.kind.labels[field],
                    written.after
                ));
            }
        }
        findings
    }
}

/// Sets of nodes that are tied to each other.
#[derive(Default)]
struct Groups {
    parents: BTreeMap<Node, Node>,
}

impl Groups {
    fn root(&mut self, node: &Node) -> Node {
        let mut at = node.clone();
        while let Some(parent) = self.parents.get(&at).filter(|parent| **parent != at) {
            at = parent.clone();
        }
        self.parents.insert(node.clone(), at.clone());
        at
    }

    fn join(&mut self, a: &Node, b: &Node) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents.entry(a.clone()).or_insert_with(|| a.clone());
        self.parents.insert(b, a);
    }

    fn components(mut self) -> BTreeMap<Node, usize> {
        let nodes: Vec<Node> = self.parents.keys().cloned().collect();
        let mut numbers = BTreeMap::new();
        let mut all = BTreeMap::new();
        for node in nodes {
            let root = self.root(&node);
            let next = numbers.len();
            let number = *numbers.entry(root).or_insert(next);
            all.insert(node, number);
        }
        all
    }
}
