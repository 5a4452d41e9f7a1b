//! Bounded echo (invariant 4): engines write to a record no more often than it was edited, on either side, and nothing once all is quiet.

use super::Snapshot;
use super::register::{Node, Ties};
use crate::kinds::Kind;
use crate::ledger::Touch;
use crate::plan::RequestFault;
use crate::sim::Sim;
use bothways_store::Side;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// What was done to rows and records that were ever tied to each other.
#[derive(Default)]
struct Family {
    /// Writes of engines that a service carried out.
    writes: u64,
    /// What may have led to them.
    edits: u64,
    /// Intents that were resolved as uncertain.
    doubts: u64,
    /// References that may have come in a second pass.
    second: u64,
    /// One of its records.
    record: String,
}

/// Writes beyond the budget.
pub(crate) fn budget(sim: &Sim, snapshots: &[Snapshot]) -> Vec<String> {
    let choices = sim.trace().counters.of("operator_resolved");
    let kinds = sim.plan.kinds().into_iter();
    let families = kinds.flat_map(|kind| families(sim, kind, snapshots));
    // An operator's choice may write a value that no user wrote last.
    let budget = |family: &Family| family.edits + family.doubts + family.second + choices;
    let beyond = families.filter(|family| family.writes > budget(family));
    beyond
        .map(|family| {
            let Family { writes, edits, doubts, second, record } = family;
            format!(
                "{writes} remote writes to {record} and what is tied to it, for {edits} edits, {doubts} uncertain intents, \
                 {second} references and {choices} choices"
            )
        })
        .collect()
}

/// All records of a kind, by what they are tied to.
fn families(sim: &Sim, kind: &'static Kind, snapshots: &[Snapshot]) -> Vec<Family> {
    let ledger = sim.ledger(kind);
    let ties = Ties::of_kind(kind, snapshots, &ledger);
    // What is kept at several services is written at each.
    let ends = sim.plan.places.iter().filter(|place| place.kind.is(kind)).count() as u64;
    let waits = kind.parent.is_some() && !kind.stays;
    let parts = comes_in_parts(sim);
    let of = |touch: &Touch| {
        let node: Node = match touch.side {
            Side::Local => (Side::Local, touch.entity.to_string()),
            Side::Remote => (Side::Remote, touch.id.clone()),
        };
        ties.component.get(&node).copied()
    };
    let mut families: BTreeMap<Option<usize>, Family> = BTreeMap::new();
    for edit in &ledger.edits {
        let family = families.entry(of(edit)).or_default();
        family.edits += ends * if parts { edit.fields.max(1) } else { 1 };
        family.second += u64::from(waits && edit.refers);
    }
    for write in &ledger.engine_writes {
        let family = families.entry(of(write)).or_default();
        family.writes += 1;
        family.record.clone_from(&write.id);
    }
    let doubts = sim.doubts.lock().unwrap_or_else(PoisonError::into_inner);
    for link in
        snapshots.iter().filter(|snapshot| snapshot.place.kind.is(kind)).flat_map(|snapshot| &snapshot.links)
    {
        let component = ties.of_link.get(&link.id.to_string()).copied();
        families.entry(component).or_default().doubts += doubts.of(link.id);
    }
    families.into_values().collect()
}

/// Whether what was edited at once may go out one field after the other: brakes withhold some, and a permission hides what others
/// would replace (rules 17, 57).
fn comes_in_parts(sim: &Sim) -> bool {
    let hides = [RequestFault::HiddenField, RequestFault::HiddenRecords];
    let hidden = sim.plan.weather.requests.iter().any(|(fault, _)| hides.contains(fault));
    let brakes = ["brake_withheld", "brake_approved"];
    hidden || brakes.iter().any(|brake| sim.trace().counters.of(brake) > 0)
}
