//! The catalog's own tables: reading rows by key or in pages, and a user's writes.

use crate::Sql;
use crate::connection::Connection;
use crate::error::{Row, ours, refused, theirs};
use crate::row_write::{delete, insert, update};
use crate::statement::{Arg, fetch, fetch_optional, list};
use crate::stored::get;
use crate::table::{Read, Table};
use crate::tuple::Tuple;
use async_trait::async_trait;
use bothways_model::{CatalogField, FieldType, LocalId, LocalRow, PairId, Record, Value};
use bothways_store::{Result, RowPage, RowUpdate, Rows, StoreError};
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};

/// Asks for rows by key, for [`found_rows`]; `None` if no row can have such a key. Ids are compared by bytes, whatever the column's
/// collation.
pub(crate) fn row_question(table: &Table, ids: &[LocalId]) -> Option<(String, Arg)> {
    let composite = table.catalog.key.is_composite();
    let json = |arg| match arg {
        Arg::Int(number) => number.into(),
        Arg::Text(text) => text.into(),
        Arg::Null => Json::Null,
    };
    let keys = ids.iter().filter_map(|id| Some(table.key_args(id)?.into_iter().map(json)));
    let keys: Vec<Json> =
        keys.map(|mut key| if composite { key.collect() } else { key.next().unwrap_or_default() }).collect();
    let sql = if composite {
        // Joined: of `(a, b) IN (…)` SQLite would look up the first column alone.
        let parts = table.catalog.key_fields().enumerate();
        let equal: Vec<String> = parts
            .map(|(n, field)| format!("{} = bothways_asked.value ->> {n}", table.column(&field.column)))
            .collect();
        format!(
            "SELECT {} FROM json_each(?) AS bothways_asked CROSS JOIN {} ON {}",
            table.columns(),
            table.name(),
            equal.join(" AND ")
        )
    } else {
        let key = table.catalog.key_fields().map(|field| table.column(&field.column)).collect::<String>();
        format!("{} WHERE {key} IN (SELECT value FROM json_each(?))", table.select())
    };
    (!keys.is_empty()).then(|| (sql, list(&keys)))
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
        // In order of bytes, as ids are compared.
        let ordered = table.catalog.key_fields().map(|field| match field.ty {
            FieldType::Int => table.column(&field.column),
            _ => format!("{} COLLATE BINARY", table.column(&field.column)),
        });
        let ordered: Vec<String> = ordered.collect();
        let order = ordered.join(", ");
        let mut conditions = Vec::new();
        let mut args: Vec<Arg> = Vec::new();
        if table.catalog.key.is_composite() {
            // SQLite lets a part of a key be null; such a row has no id.
            conditions.push(format!("{} IS NOT NULL", table.id()));
        }
        if let Some(after) = after {
            let Some(after) = table.key_args(after) else {
                return Err(crate::error::unknown(format!("`{catalog}` has no such key to go on after")));
            };
            conditions.push(match table.catalog.key.is_composite() {
                true => format!("({order}) > ({})", vec!["?"; after.len()].join(", ")),
                false => format!("{order} > ?"),
            });
            args.extend(after);
        }
        if let Some(needle) = search {
            let texts =
                table.catalog.fields.iter().filter(|f| matches!(f.ty, FieldType::Text | FieldType::Enum(_)));
            let mut any: Vec<String> =
                texts.map(|f| format!("{} LIKE ? ESCAPE '\\'", table.column(&f.column))).collect();
            any.push(format!("{} LIKE ? ESCAPE '\\'", table.id()));
            args.extend(vec![Arg::Text(pattern(needle)); any.len()]);
            conditions.push(format!("({})", any.join(" OR ")));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let sql = format!("{}{filter} ORDER BY {order} LIMIT ?", table.select());
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
        let known = known(&table, field)?;
        let Some((sql, asked)) = row_question(&table, keys) else { return Ok(vec![None; keys.len()]) };
        let at = table.catalog.fields.iter().position(|field| field.name == known.name).unwrap_or_default();
        let mut c = self.database.reader().await?;
        let mut held = HashMap::new();
        for row in fetch(&mut c, sql, [asked]).await.map_err(ours)? {
            let value = crate::cell::read(&row, at + 1, &known.ty).unwrap_or(Value::Null);
            held.insert(LocalId(get(&row, 0)?), value);
        }
        Ok(keys.iter().map(|key| held.get(key).cloned()).collect())
    }

    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>> {
        let table = self.database.table(catalog)?;
        let field = known(&table, field)?;
        let asked = values.iter().filter(|value| matches!(value, Value::Text(_) | Value::Int(_)));
        let asked: Vec<serde_json::Value> = asked.map(Value::to_plain_json).collect();
        let (column, key) = (table.column(&field.column), table.id());
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
        let row = one(&mut tx, &table, &table.catalog.id_after(id, fields)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::inspect;
    use crate::statement::script;
    use bothways_model::Ident;

    /// Rows are looked up, not searched for, whatever their key is.
    #[tokio::test]
    async fn rows_are_found_by_their_whole_key() {
        let mut c = Connection::Writing(rusqlite::Connection::open_in_memory().unwrap());
        let tables = "CREATE TABLE seats (tenant INTEGER, code TEXT, holder TEXT, badge TEXT, PRIMARY KEY (tenant, code));
                      CREATE TABLE tags (code TEXT PRIMARY KEY, label TEXT)";
        script(&mut c, tables).await.unwrap();
        let mut catalogs = bothways_store::contract::catalogs();
        catalogs.retain(|catalog| catalog.name == "tags");
        catalogs.push(bothways_store::contract::seats());
        for (catalog, lookup) in catalogs.into_iter().zip(["(code=?)", "(tenant=? AND code=?)"]) {
            let table = Ident::new(catalog.name.as_str()).unwrap();
            let facts = inspect(&mut c, &table).await.unwrap().unwrap();
            let table = Table::new(catalog, &facts);
            let (sql, keys) = row_question(&table, &["1/a".into(), "2/b".into()]).unwrap();
            let plan = fetch(&mut c, format!("EXPLAIN QUERY PLAN {sql}"), [keys]).await.unwrap();
            let plan: Vec<&str> = plan.iter().map(|row| row.get(3).unwrap()).collect();
            assert!(plan.iter().any(|step| step.contains(lookup)), "{plan:?}");
        }
    }
}
