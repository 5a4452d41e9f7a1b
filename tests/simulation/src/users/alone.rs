//! Records that people change once more and then leave alone: what an engine misses of that, nothing else tells it of.

use super::Users;
use crate::kinds::MATCH;
use crate::ledger::Thing;

impl Users {
    /// Half of the records whose last change queries show late are not touched any more, nor are the rows that hold the same match value.
    pub(super) fn leave_alone(&self, id: &str) {
        if self.draw(|dice| dice.below(2)) > 0 {
            return;
        }
        self.sim.count("left_alone");
        let mut ledger = self.sim.ledger(self.kind());
        let value = ledger.records.get(id).and_then(match_value);
        ledger.left_alone.extend(value.into_iter().chain([id.to_owned()]));
    }

    pub(super) fn row_ids(&self) -> Vec<String> {
        let ledger = self.sim.ledger(self.kind());
        let is_free =
            |thing: &Thing| match_value(thing).is_none_or(|value| !ledger.left_alone.contains(&value));
        ledger.rows.iter().filter(|(_, row)| is_free(row)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn record_ids(&self) -> Vec<String> {
        let ledger = self.sim.ledger(self.kind());
        let is_free = |id: &&String| self.place.owns(id) && !ledger.left_alone.contains(*id);
        ledger.records.keys().filter(is_free).cloned().collect()
    }
}

fn match_value(thing: &Thing) -> Option<String> {
    thing.cells[MATCH].as_ref().map(|value| value.trim().to_lowercase())
}
