//! Bounded echo (invariant 4): engines write no more than users, and nothing once all is quiet.

use super::Snapshot;
use crate::ledger::Ledger;
use crate::sim::Sim;
use bothways_store::IntentState;

/// Writes beyond the budget.
pub(crate) fn budget(sim: &Sim, snapshot: &Snapshot, ledger: &Ledger) -> Vec<String> {
    let unresolved: usize = snapshot
        .links
        .iter()
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
    let budget = ledger.edits + unresolved as u64 + choices;
    if ledger.engine_writes > budget {
        return vec![format!(
            "{} effective remote writes for {} edits and {unresolved} uncertain intents",
            ledger.engine_writes, ledger.edits
        )];
    }
    Vec::new()
}
