//! Writing one row of a user's table, or many of one shape.

use crate::connection::Connection;
use crate::error::{Row, theirs};
use crate::statement::{Arg, Bulk, execute, fetch_optional};
use crate::table::{Read, Table};
use bothways_model::{CatalogField, FieldType, LocalId};

/// Columns and their values.
pub(crate) type Assignments = Vec<(String, Arg)>;

/// Inserts a row and returns its key.
pub(crate) async fn insert(c: &mut Connection, table: &Table, values: Assignments) -> Result<LocalId, Row> {
    let (columns, args): (Vec<String>, Vec<Arg>) = values.into_iter().unzip();
    let rows = match columns.len() {
        0 => "DEFAULT VALUES".to_owned(),
        n => format!("({}) VALUES ({})", columns.join(", "), vec!["?"; n].join(", ")),
    };
    let sql = format!("INSERT INTO {} {rows} RETURNING {}", table.name(), table.id());
    let row = fetch_optional(c, sql, args).await.map_err(theirs)?;
    let id = row.and_then(|row| row.get::<String>(0).ok());
    id.map(LocalId).ok_or_else(|| ignored(table))
}

/// Updates a row. The caller has seen that it exists.
pub(crate) async fn update(
    c: &mut Connection,
    table: &Table,
    id: &LocalId,
    values: Assignments,
) -> Result<(), Row> {
    let Some(key) = table.key_args(id) else { return Err(ignored(table)) };
    if values.is_empty() {
        return Ok(());
    }
    let (columns, mut args): (Vec<String>, Vec<Arg>) = values.into_iter().unzip();
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = ?")).collect();
    let sql =
        format!("UPDATE {} SET {} WHERE {}", table.name(), set.join(", "), same_key(table, |_| "?".into()));
    args.extend(places(table, key));
    let done = execute(c, sql, args).await.map_err(theirs)?;
    if done == 0 { Err(ignored(table)) } else { Ok(()) }
}

/// Deletes a row.
pub(crate) async fn delete(c: &mut Connection, table: &Table, id: &LocalId) -> Result<(), Row> {
    let Some(key) = table.key_args(id) else { return Ok(()) };
    let sql = format!("DELETE FROM {} WHERE {}", table.name(), same_key(table, |_| "?".into()));
    let done = execute(c, sql, places(table, key)).await.map_err(theirs)?;
    if done == 0 { Err(ignored(table)) } else { Ok(()) }
}

/// Inserts rows that set the same columns and returns them as the table holds them, in the order of `rows`.
pub(crate) async fn insert_many(
    c: &mut Connection,
    table: &Table,
    columns: &[String],
    rows: Vec<Vec<Arg>>,
) -> Result<Vec<Read>, Row> {
    let head = format!("INSERT INTO {} ({}) VALUES", table.name(), columns.join(", "));
    let tail = format!("RETURNING {}", table.columns());
    let bulk = Bulk { head: &head, width: columns.len(), tail: &tail };
    let rows = bulk.returning(c, rows).await.map_err(theirs)?;
    Ok(rows.iter().map(|row| table.read(row)).collect())
}

/// Updates rows that set the same columns; each of `rows` is the key's values and then theirs. Returns the rows as the table holds
/// them, in any order.
pub(crate) async fn update_many(
    c: &mut Connection,
    table: &Table,
    columns: &[String],
    rows: Vec<Vec<Arg>>,
) -> Result<Vec<Read>, Row> {
    let key = table.catalog.key.names().len();
    let set = columns.iter().enumerate().map(|(n, column)| format!("{column} = v.column{}", key + n + 1));
    let set: Vec<String> = set.collect();
    let head = format!("UPDATE {} SET {} FROM (VALUES", table.name(), set.join(", "));
    let same = same_key(table, |n| format!("v.column{}", n + 1));
    let tail = format!(") AS v WHERE {same} RETURNING {}", table.columns());
    let bulk = Bulk { head: &head, width: key + columns.len(), tail: &tail };
    let rows = bulk.returning(c, rows).await.map_err(theirs)?;
    Ok(rows.iter().map(|row| table.read(row)).collect())
}

/// Whether the collation of a key column may differ from bytes.
fn by_bytes(field: &CatalogField) -> bool {
    field.ty != FieldType::Int
}

/// Whether a row has a key; `value` is the key's value of that number.
fn same_key(table: &Table, value: impl Fn(usize) -> String) -> String {
    let same = |(n, field): (usize, &CatalogField)| {
        let (column, value) = (table.column(&field.column), value(n));
        match by_bytes(field) {
            true => format!("{column} = {value} AND {column} = {value} COLLATE BINARY"),
            false => format!("{column} = {value}"),
        }
    };
    table.catalog.key_fields().enumerate().map(same).collect::<Vec<_>>().join(" AND ")
}

/// A key's values, as often as [`same_key`] names each.
fn places(table: &Table, key: Vec<Arg>) -> Vec<Arg> {
    let times = |field| if by_bytes(field) { 2 } else { 1 };
    table.catalog.key_fields().zip(key).flat_map(|(field, arg)| vec![arg; times(field)]).collect()
}

fn ignored(table: &Table) -> Row {
    Row::Refused(format!(
        "{}: a trigger or conflict clause of the table ignored the write",
        table.catalog.table
    ))
}
