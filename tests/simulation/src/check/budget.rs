//! Bounded echo (invariant 4): engines write no more than users, and nothing once all is quiet.

use super::Snapshot;
use crate::kinds::Kind;
use crate::sim::Sim;
use bothways_store::IntentState;

/// Writes beyond the budget.
pub(crate) fn budget(sim: &Sim, snapshots: &[Snapshot]) -> Vec<String> {
    let unresolved: usize = snapshots
        .iter()
        .flat_map(|snapshot| &snapshot.links)
        .map(|link| {
            let intents = Snapshot::intents(sim, link);
            let certain = |state| matches!(state, IntentState::Confirmed | IntentState::Refused);
            let words = ["found", "again", "proven", "not"];
            intents
                .iter()
                .filter(|i| {
                    !certain(i.state)
                        || i.outcome.as_ref().is_some_and(|o| words.iter().any(|w| o.contains(w)))
                })
                .count()
        })
        .sum();
    // An operator's choice may write a value that no user wrote last.
    let choices = {
        let trace = sim.trace();
        trace.counters.of("operator_resolved") + trace.counters.of("operator_replayed")
    };
    // What is kept at several services is written at each.
    let ends = |kind: &Kind| sim.plan.places.iter().filter(|place| place.kind.is(kind)).count() as u64;
    let (mut edits, mut writes) = (0, 0);
    for kind in sim.plan.kinds() {
        let ledger = sim.ledger(kind);
        edits += ledger.edits * ends(kind);
        if kind.parent.is_some() && !kind.stays {
            // What is not linked yet when a record is created comes in a second pass.
            edits += ledger.entities();
        }
        writes += ledger.engine_writes;
    }
    if writes > edits + unresolved as u64 + choices {
        return vec![format!(
            "{writes} effective remote writes for {edits} edits and {unresolved} uncertain intents"
        )];
    }
    Vec::new()
}
