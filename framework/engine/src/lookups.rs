//! Rows of another catalog that the remote side knows by a value of theirs: asking the table what stands for what.
//!
//! The other catalog is only a table here, it needs no mapping and no links. Both directions are asked before a decision, which then
//! stays pure. What no row holds, or more than one, parks and is looked at again by itself, as what waits for a link is: nobody tells
//! when such a row comes.

use crate::decide::{References, Translated};
use crate::look::Look;
use crate::plan::PlanReads;
use crate::references::{PATIENCE, Wanted};
use bothways_mapping::{Field, Mapping, RowLookup};
use bothways_model::{LocalId, Value};
use bothways_store::{Result, Signal};
use chrono::TimeDelta;

/// Asks the other catalog's table about one field.
pub(crate) async fn ask(
    reads: &dyn PlanReads,
    mapping: &Mapping,
    field: &Field,
    lookup: &RowLookup,
    wanted: Wanted,
    references: &mut References,
) -> Result<()> {
    let RowLookup { catalog, by } = lookup;
    let keys: Vec<LocalId> = wanted.keys.into_keys().map(LocalId).collect();
    if !keys.is_empty() {
        let held = reads.held_by(catalog, by, &keys).await?;
        for (key, held) in keys.iter().zip(held) {
            let there = match held {
                Some(Value::Null) => Translated::Untold(format!(
                    "the row of `{catalog}` that it names has no `{by}`: fill that in, or name another row"
                )),
                Some(value) => Translated::Known(value),
                None => Translated::Untold(format!(
                    "`{catalog}` has no row with the key that it names: add that row, or name another"
                )),
            };
            references.note_outward(&field.label, key.as_str(), there);
        }
    }
    let values: Vec<Value> = wanted.there.into_values().collect();
    if !values.is_empty() {
        let holders = reads.holders(catalog, by, &values).await?;
        for (value, holders) in values.iter().zip(holders) {
            let key = match holders.as_slice() {
                [one] => Value::from_text(mapping.type_of(field), one.as_str()).map_or_else(
                    |error| Translated::Untold(format!("the key of its row in `{catalog}`: {error}")),
                    Translated::Known,
                ),
                [] => Translated::Untold(format!(
                    "no row of `{catalog}` has the `{by}` that the record says (archived ones do not count): add such a row, or correct \
                     the record"
                )),
                _ => Translated::Untold(format!(
                    "more than one row of `{catalog}` has the `{by}` that the record says: leave it to one of them"
                )),
            };
            references.note_inward(&field.label, &value.to_text(), key);
        }
    }
    Ok(())
}

impl Look {
    pub(crate) fn is_looked_up(&self, label: &str) -> bool {
        self.pair.mapping.field(label).is_some_and(|field| field.lookup().is_some())
    }

    /// Has what is parked now looked at again later, without a person: soon at first, then the longer it has been there the later.
    pub(crate) fn look_for_row(&self) -> Option<Signal> {
        let subject = self.taken.work.get(self.bearer())?.subject.clone();
        let later = self.later(PATIENCE, TimeDelta::days(1));
        Some(Signal { pair: self.pair.id, subject, look: true, not_before: Some(later) })
    }
}
