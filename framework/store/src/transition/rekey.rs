//! What happens to whoever held a local id that a moved row takes over (rule 29).

use bothways_model::LocalId;

/// A key change moves a link to a local id that another link still names. As keys are unique, that other row had gone before: it was
/// deleted (its fact may still wait) or displaced. Its link, its work and its facts move together to an id that no row has, so that
/// its delete is never taken for a delete of the row that has the id now. `change` is the number of the key change and makes the id unique.
pub fn displaced(id: &LocalId, change: i64) -> LocalId {
    LocalId(format!("{id} (gone, change {change})"))
}
