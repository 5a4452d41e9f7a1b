//! The catalog's own tables: reading rows by key or in pages, and a user's writes.

use crate::Sql;
use crate::connection::Connection;
use crate::dialect::key_text;
use crate::error::{Row, ours, refused, theirs};
use crate::row_write::{delete, insert, update};
use crate::statement::{Arg, fetch, fetch_optional, list};
use crate::stored::get;
use crate::table::{Read, Table};
use crate::tuple::Tuple;
use async_trait::async_trait;
use bothways_model::{CatalogField, FieldType, LocalId, LocalRow, PairId, Record, Value};
use bothways_store::{Result, RowPage, RowUpdate, Rows, StoreError};
use std::collections::{HashMap, HashSet};

/// Asks for rows by key, for [`found_rows`]; `None` if no row can have such a key. Ids are compared by bytes, whatever the column's
/// collation.
pub(crate) fn row_question(table: &Table, ids: &[LocalId]) -> Option<(String, Arg)> {
    let key = table.column(&table.key().column);
    let sql = format!("{} WHERE {key} IN (SELECT value FROM json_each(?))", table.select());
    key_list(table, ids).map(|keys| (sql, keys))
}

/// The ids that a row can have, as a list of keys; `None` if there are none.
fn key_list(table: &Table, ids: &[LocalId]) -> Option<Arg> {
    let keys: Vec<serde_json::Value> = ids
        .iter()
        .filter_map(|id| match table.key_arg(id)? {
            Arg::Int(number) => Some(number.into()),
            Arg::Text(text) => Some(text.into()),
            Arg::Null => None,
        })
        .collect();
    (!keys.is_empty()).then(|| list(&keys))
}

fn known<'t>(table: &'t Table, field: &str) -> Result<&'t CatalogField> {
    let unknown = || crate::error::unknown(format!("`{}` has no field `{field}`", table.catalog.name));
    table.catalog.field(field).ok_or_else(unknown)
}

/// The rows that were found.
pub(crate) fn found_rows(table: &Table, ids: &[LocalId], rows: &[Tuple]) -> Result<HashMap<LocalId, Read>> {
    let ids: HashSet<&LocalId> = ids.iter().collect();
    let named = rows.iter().map(|row| Ok((LocalId(get(row, 0)?), table.read(row))));
    named.filter(|one| one.as_ref().map_or(true, |(id, _)| ids.contains(id))).collect()
}

/// Reads rows by key.
pub(crate) async fn read_rows(
    c: &mut Connection,
    table: &Table,
    ids: &[LocalId],
) -> Result<HashMap<LocalId, Read>> {
    let Some((sql, keys)) = row_question(table, ids) else { return Ok(HashMap::new()) };
    found_rows(table, ids, &fetch(c, sql, [keys]).await.map_err(ours)?)
}

/// A row found by [`crate::connect::Database::rows_of_pairs`], or why it cannot be read.
pub(crate) fn row_of(
    rows: &HashMap<(PairId, LocalId), Read>,
    pair: PairId,
    id: &LocalId,
) -> (Option<LocalRow>, Option<String>) {
    match rows.get(&(pair, id.clone())) {
        None => (None, None),
        Some(Ok(row)) => (Some(row.clone()), None),
        Some(Err(bad)) => (None, Some(bad.message.clone())),
    }
}

/// A refusal as an error.
pub(crate) fn failure(row: Row) -> StoreError {
    match row {
        Row::Refused(message) => refused(message),
        Row::Failed(error) => error,
    }
}

/// One row by key, as an error if it cannot be read.
async fn one(c: &mut Connection, table: &Table, id: &LocalId) -> Result<Option<LocalRow>> {
    match read_rows(c, table, std::slice::from_ref(id)).await?.remove(id) {
        None => Ok(None),
        Some(Ok(row)) => Ok(Some(row)),
        Some(Err(bad)) => Err(refused(bad.message)),
    }
}

/// Text for `LIKE … ESCAPE '\'` that finds `needle` anywhere.
fn pattern(needle: &str) -> String {
    let mut pattern = String::from("%");
    for c in needle.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[async_trait]
impl Rows for Sql {
    async fn row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>> {
        let table = self.database.table(catalog)?;
        let mut c = self.database.reader().await?;
        one(&mut c, &table, id).await
    }

    async fn rows(
        &self,
        catalog: &str,
        search: Option<&str>,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<RowPage> {
        let table = self.database.table(catalog)?;
        let key = table.key();
        let (column, binary) = match key.ty {
            FieldType::Int => (table.column(&key.column), ""),
            // In order of bytes, as ids are compared.
            _ => (table.column(&key.column), " COLLATE BINARY"),
        };
        let mut conditions = Vec::new();
        let mut args: Vec<Arg> = Vec::new();
        if let Some(after) = after {
            let Some(after) = table.key_arg(after) else {
                return Err(crate::error::unknown(format!("`{catalog}` has no such key to go on after")));
            };
            conditions.push(format!("{column}{binary} > ?"));
            args.push(after);
        }
        if let Some(needle) = search {
            let texts =
                table.catalog.fields.iter().filter(|f| matches!(f.ty, FieldType::Text | FieldType::Enum(_)));
            let mut any: Vec<String> =
                texts.map(|f| format!("{} LIKE ? ESCAPE '\\'", table.column(&f.column))).collect();
            any.push(format!("CAST({column} AS TEXT) LIKE ? ESCAPE '\\'"));
            args.extend(vec![Arg::Text(pattern(needle)); any.len()]);
            conditions.push(format!("({})", any.join(" OR ")));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let sql = format!("{}{filter} ORDER BY {column}{binary} LIMIT ?", table.select());
        args.push(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1).into());
        let mut c = self.database.reader().await?;
        let mut found = fetch(&mut c, sql, args).await.map_err(ours)?;
        let mut page = RowPage::default();
        let more = found.len() > limit;
        found.truncate(limit);
        if let Some(last) = found.last().filter(|_| more) {
            page.next = Some(LocalId(get(last, 0)?));
        }
        for row in found {
            match table.read(&row) {
                Ok(row) => page.rows.push(row),
                Err(bad) => page.unreadable.push(bad),
            }
        }
        Ok(page)
    }

    async fn held_by(&self, catalog: &str, field: &str, keys: &[LocalId]) -> Result<Vec<Option<Value>>> {
        let table = self.database.table(catalog)?;
        let field = known(&table, field)?;
        let Some(args) = key_list(&table, keys) else { return Ok(vec![None; keys.len()]) };
        let sql = format!(
            "SELECT {}, {} FROM {} WHERE {} IN (SELECT value FROM json_each(?))",
            key_text(&table.name(), &table.key().column),
            table.column(&field.column),
            table.name(),
            table.column(&table.key().column)
        );
        let mut c = self.database.reader().await?;
        let mut held = HashMap::new();
        for row in fetch(&mut c, sql, [args]).await.map_err(ours)? {
            let value = crate::cell::read(&row, 1, &field.ty).unwrap_or(Value::Null);
            held.insert(LocalId(get(&row, 0)?), value);
        }
        Ok(keys.iter().map(|key| held.get(key).cloned()).collect())
    }

    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>> {
        let table = self.database.table(catalog)?;
        let field = known(&table, field)?;
        let asked = values.iter().filter(|value| matches!(value, Value::Text(_) | Value::Int(_)));
        let asked: Vec<serde_json::Value> = asked.map(Value::to_plain_json).collect();
        let (column, key) = (table.column(&field.column), key_text(&table.name(), &table.key().column));
        let live = table.catalog.deleted_at.as_ref().map(|at| format!(" AND {} IS NULL", table.column(at)));
        // The first and the last are one where there is one, and need no more room where there are many.
        let sql = format!(
            "SELECT {column}, min({key} COLLATE BINARY), max({key} COLLATE BINARY) FROM {} \
             WHERE {column} IN (SELECT value FROM json_each(?)){} GROUP BY {column} COLLATE BINARY",
            table.name(),
            live.unwrap_or_default()
        );
        let mut c = self.database.reader().await?;
        let mut found = Vec::new();
        for row in fetch(&mut c, sql, [list(&asked)]).await.map_err(ours)? {
            if let Ok(value) = crate::cell::read(&row, 0, &field.ty) {
                let mut keys = vec![LocalId(get(&row, 1)?), LocalId(get(&row, 2)?)];
                keys.dedup();
                found.push((value, keys));
            }
        }
        let of = |value| found.iter().find(|(held, _)| held == value).map(|(_, keys)| keys.clone());
        Ok(values.iter().map(|value| of(value).unwrap_or_default()).collect())
    }

    async fn count_rows(&self, catalog: &str) -> Result<u64> {
        let table = self.database.table(catalog)?;
        let mut c = self.database.reader().await?;
        let sql = format!("SELECT count(*) FROM {}", table.name());
        let row = fetch_optional(&mut c, sql, []).await.map_err(ours)?;
        let count: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn insert_row(&self, catalog: &str, fields: &Record) -> Result<LocalRow> {
        let table = self.database.table(catalog)?;
        let values = table.assignments(fields).map_err(refused)?;
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let id = insert(&mut tx, &table, values).await.map_err(failure)?;
        let row = one(&mut tx, &table, &id).await?;
        tx.commit().await.map_err(|error| failure(theirs(error)))?;
        row.ok_or_else(|| refused(format!("{}: the row was gone at once", table.catalog.table)))
    }

    async fn update_row(
        &self,
        catalog: &str,
        id: &LocalId,
        expected: &Record,
        fields: &Record,
    ) -> Result<RowUpdate> {
        let table = self.database.table(catalog)?;
        let values = table.assignments(fields).map_err(refused)?;
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let row = read_rows(&mut tx, &table, std::slice::from_ref(id)).await?.remove(id);
        match row {
            None => return Ok(RowUpdate::Gone),
            Some(Ok(row)) if !row.holds(expected) => return Ok(RowUpdate::Moved(row)),
            // Nobody was shown the values of a row that cannot be read.
            Some(Err(bad)) if !expected.0.is_empty() => return Err(refused(bad.message)),
            Some(_) => {}
        }
        update(&mut tx, &table, id, values).await.map_err(failure)?;
        let key = fields.get(&table.catalog.key).filter(|v| !v.is_null()).map(|v| LocalId(v.to_text()));
        let row = one(&mut tx, &table, key.as_ref().unwrap_or(id)).await?;
        tx.commit().await.map_err(|error| failure(theirs(error)))?;
        Ok(row.map_or(RowUpdate::Gone, RowUpdate::Done))
    }

    async fn delete_row(&self, catalog: &str, id: &LocalId) -> Result<bool> {
        let table = self.database.table(catalog)?;
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        if read_rows(&mut tx, &table, std::slice::from_ref(id)).await?.is_empty() {
            return Ok(false);
        }
        delete(&mut tx, &table, id).await.map_err(failure)?;
        tx.commit().await.map_err(|error| failure(theirs(error)))?;
        Ok(true)
    }
}
