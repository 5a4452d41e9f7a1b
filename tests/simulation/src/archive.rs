//! Which rows were archived when, and by whom: a row whose `deleted_at` is set counts as deleted, and is still there (rule 32).

use crate::ledger::Gone;
use std::collections::BTreeMap;

/// A row was archived, or taken back out.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    /// What it was by then, when, and who did it.
    pub(crate) gone: Gone,
    /// Whether it was archived.
    pub(crate) archived: bool,
}

/// All of them of one kind's rows, in order.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    of: BTreeMap<u64, Vec<Move>>,
}

impl Archive {
    /// Enters one.
    pub(crate) fn note(&mut self, made: Move) {
        self.of.entry(made.gone.thing.entity).or_default().push(made);
    }

    /// All of them.
    pub(crate) fn moves(&self) -> impl Iterator<Item = &Move> {
        self.of.values().flatten()
    }

    /// What rows were when they were archived.
    pub(crate) fn archived(&self) -> impl Iterator<Item = &Gone> {
        self.moves().filter(|made| made.archived).map(|made| &made.gone)
    }

    /// What was last done with a row before something happened.
    pub(crate) fn last(&self, entity: u64, before: u64) -> Option<&Move> {
        self.of.get(&entity)?.iter().rev().find(|made| made.gone.seq < before)
    }

    /// Whether a row was archived when something happened.
    pub(crate) fn holds(&self, entity: u64, before: u64) -> bool {
        self.last(entity, before).is_some_and(|made| made.archived)
    }
}
