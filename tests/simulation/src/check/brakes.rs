//! Brakes (rules 56, 57, 60, 63): nothing goes out in bulk that nobody approved, and what is withheld is what its brake is about.

use super::Snapshot;
use super::converged::Judge;
use crate::sim::{Sim, timestamp};
use bothways_model::{LinkId, Timestamp};
use bothways_store::{BrakeKind, ChargeKey, HistoryOp, HistoryRow, Withheld};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// What one brake counts together, less what clocks that jump may be apart.
const WINDOW: TimeDelta = TimeDelta::minutes(25);

/// By how much clocks that jump may be apart.
const CLOCKS: TimeDelta = TimeDelta::minutes(4);

/// Deletes and emptied fields of which more went out within one window than a brake lets pass, and nobody approved them.
pub(crate) fn brakes(snapshot: &Snapshot, sim: &Sim) -> Vec<String> {
    let plan = &sim.plan;
    // What a person takes back is their word already (rule 65).
    let alone = || {
        let rows = snapshot.history.iter().filter(|row| row.entry.approved_by.is_none());
        rows.filter(|row| !row.entry.rules.contains(&65))
    };
    // Of each link a brake remembers one delete, the last. Where its user took the row back out of the archive, the first is undone:
    // once a second takes its place, it counts no more, and need not.
    let ledger = sim.ledger(snapshot.place.kind);
    let is_undone = |row: &&HistoryRow| {
        let rows = row.entry.link.map(|link| ledger.rows_of(link)).unwrap_or_default();
        let outs = ledger.archive.moves().filter(|made| !made.archived);
        let mut of_link = outs.filter(|made| rows.contains(&made.gone.thing.entity));
        // By clocks that may be apart.
        of_link.any(|made| timestamp(made.gone.at) + CLOCKS >= row.at)
    };
    let deletes = alone().filter(|row| row.entry.op == HistoryOp::Delete);
    let deletes = deletes.filter(|row| !is_undone(row)).map(of_link).collect();
    let mut findings = Vec::new();
    findings
        .extend(too_many(deletes, plan.most_deletes()).map(|n| format!("{n} deletes went out unapproved")));
    if plan.operators {
        // What a person chose for a field is not counted.
        return findings;
    }
    let mut emptied: BTreeMap<(&str, &str), Vec<Moment>> = BTreeMap::new();
    for row in alone().filter(|row| row.entry.op == HistoryOp::Update) {
        for label in emptied_by(row) {
            emptied.entry((row.entry.side.as_str(), label)).or_default().push(of_link(row));
        }
    }
    for ((side, label), times) in emptied {
        let most = plan.most_blankings();
        findings.extend(
            too_many(times, most).map(|n| format!("`{label}` of {n} {side} records was emptied unapproved")),
        );
    }
    findings
}

fn emptied_by(row: &HistoryRow) -> impl Iterator<Item = &str> {
    let fields = row.entry.fields.iter();
    let emptied = fields.filter(|(_, change)| {
        let blank =
            |value: &Option<bothways_model::Value>| value.as_ref().map(bothways_model::Value::is_blank);
        blank(&change.after) == Some(true) && blank(&change.before) == Some(false)
    });
    emptied.map(|(label, _)| label.as_str())
}

/// When something happened to which link.
type Moment = (Timestamp, Option<LinkId>);

fn of_link(row: &HistoryRow) -> Moment {
    (row.at, row.entry.link)
}

/// To how many links this happened within one window, if that is more than may be. The same link twice counts once.
fn too_many(moments: Vec<Moment>, most: usize) -> Option<usize> {
    let within = |at: Timestamp| {
        let near = moments.iter().filter(|(other, _)| *other >= at && *other <= at + WINDOW);
        near.map(|(_, link)| link).collect::<BTreeSet<_>>().len()
    };
    moments.iter().map(|(at, _)| within(*at)).max().filter(|worst| *worst > most)
}

impl Judge<'_> {
    /// Things that a brake withholds although nobody wants them any more.
    pub(super) fn idle_holds(&self) -> Vec<String> {
        let idle = self.snapshot.withheld.iter().filter(|(brake, one)| !self.is_wanted(brake.kind, one));
        idle.map(|(brake, one)| {
            format!(
                "the brake on {} withholds `{}` of {:?}, which nobody wants",
                brake.kind.as_str(),
                one.what,
                one.key
            )
        })
        .collect()
    }

    fn is_wanted(&self, kind: BrakeKind, one: &Withheld) -> bool {
        let link = match &one.key {
            ChargeKey::Link(id) => self.snapshot.live_links().find(|link| link.id == *id),
            ChargeKey::Row(id) => {
                let linked = |link: &bothways_store::Link| link.local_id.as_ref() == Some(id);
                return self.snapshot.rows.contains_key(id.as_str())
                    && !self.snapshot.live_links().any(|link| linked(link) && link.remote_id.is_some());
            }
            ChargeKey::Pass => return true,
        };
        let Some(link) = link else { return false };
        match kind {
            BrakeKind::Deletes => {
                let row = link.local_id.as_ref().and_then(|id| self.snapshot.rows.get(id.as_str()));
                self.is_half(link) || row.is_some_and(|row| self.is_anothers(link, row))
            }
            BrakeKind::Blanking | BrakeKind::Updates => self.is_half(link) || self.differs(link),
            BrakeKind::Creates | BrakeKind::Empty => true,
        }
    }
}
