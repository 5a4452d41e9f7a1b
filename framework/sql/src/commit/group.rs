//! Row writes of many units at once: inserts and updates that set the same columns are one statement each.

use super::wave::{RowDone, RowTask, Together};
use crate::connection::Connection;
use crate::error::Row;
use crate::row_write::{delete, insert_many, update_many};
use crate::statement::Arg;
use crate::table::Table;
use bothways_model::{LocalId, LocalRow, PairId, Record};
use bothways_store::RowWrite;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Rows of one table that set the same columns.
#[derive(Default)]
struct Shape {
    tasks: Vec<usize>,
    rows: Vec<Vec<Arg>>,
}

/// Shapes by pair and columns.
type Shapes = BTreeMap<(PairId, Vec<String>), Shape>;

/// Carries all row writes out and reads the rows back, in the order of the tasks. The caller's savepoint undoes them if that fails or has
/// to be done one by one.
pub(super) async fn write_grouped(
    c: &mut Connection,
    tables: &HashMap<PairId, Arc<Table>>,
    tasks: Vec<RowTask>,
) -> Result<Together<Vec<RowDone>>, Row> {
    let (mut inserts, mut updates, mut deletes) = (Shapes::new(), Shapes::new(), Vec::new());
    let mut done: Vec<RowDone> = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        done.push(RowDone { row: task.row.clone(), inserted: None });
        let Some(table) = tables.get(&task.pair) else { return Ok(Together::OneByOne) };
        let values = table.write_assignments(&task.write).map_err(Row::Refused)?;
        let (columns, mut args): (Vec<String>, Vec<Arg>) = values.into_iter().unzip();
        match (&task.write, &task.row) {
            (RowWrite::None, _) => {}
            (RowWrite::Delete, Some(row)) => deletes.push((index, task.pair, row.id.clone())),
            (RowWrite::Delete, None) => {}
            (RowWrite::Insert(_), _) if columns.is_empty() => return Ok(Together::OneByOne),
            (RowWrite::Insert(_), _) => {
                let shape = inserts.entry((task.pair, columns)).or_default();
                shape.tasks.push(index);
                shape.rows.push(args);
            }
            (_, Some(row)) => {
                let Some(key) = table.key_args(&row.id) else { return Ok(Together::OneByOne) };
                if columns.is_empty() {
                    continue;
                }
                args.splice(0..0, key);
                let shape = updates.entry((task.pair, columns)).or_default();
                shape.tasks.push(index);
                shape.rows.push(args);
            }
            (_, None) => return Ok(Together::OneByOne),
        }
    }
    for ((pair, columns), shape) in updates {
        let Some(table) = tables.get(&pair) else { return Ok(Together::OneByOne) };
        let mut rows: HashMap<LocalId, LocalRow> = HashMap::new();
        for read in update_many(c, table, &columns, shape.rows).await? {
            let Ok(row) = read else { return Ok(Together::OneByOne) };
            rows.insert(row.id.clone(), row);
        }
        for index in shape.tasks {
            let id = tasks.get(index).and_then(|t| Some(table.key_after(t.row.as_ref()?, &t.write)));
            let Some(row) = id.and_then(|id| rows.remove(&id)) else { return Ok(Together::OneByOne) };
            if let Some(slot) = done.get_mut(index) {
                slot.row = Some(row);
            }
        }
    }
    for ((pair, columns), shape) in inserts {
        let Some(table) = tables.get(&pair) else { return Ok(Together::OneByOne) };
        let rows = insert_many(c, table, &columns, shape.rows).await?;
        if rows.len() != shape.tasks.len() {
            return Ok(Together::OneByOne);
        }
        for (index, read) in shape.tasks.into_iter().zip(rows) {
            // SQLite promises no order of what it returns: a row counts for a task only if it holds what the task set.
            let sent = tasks.get(index).map(|t| &t.write);
            let (Ok(row), Some(RowWrite::Insert(sent))) = (read, sent) else { return Ok(Together::OneByOne) };
            if !holds(&row, sent) {
                return Ok(Together::OneByOne);
            }
            if let Some(slot) = done.get_mut(index) {
                *slot = RowDone { inserted: Some(row.id.clone()), row: Some(row) };
            }
        }
    }
    for (index, pair, id) in deletes {
        let Some(table) = tables.get(&pair) else { return Ok(Together::OneByOne) };
        delete(c, table, &id).await?;
        if let Some(slot) = done.get_mut(index) {
            slot.row = None;
        }
    }
    Ok(Together::Done(done))
}

fn holds(row: &LocalRow, sent: &Record) -> bool {
    sent.iter().all(|(field, value)| row.fields.get(field) == Some(value))
}
