//! Row writes, each captured, whoever makes it; and the catalog's own tables for the records API.

use super::MemoryStore;
use super::state::{Change, Op, State};
use super::table::Table;
use crate::{Result, RowPage, RowUpdate, Rows, StoreError, StoreErrorKind, UnreadableRow};
use async_trait::async_trait;
use bothways_model::{Catalog, CatalogField, KeyPart, LocalId, LocalRow, Record, Timestamp, Track, Value};

/// Why a row write did not happen: the table's words.
pub(super) type Refusal = String;

impl State {
    pub(super) fn insert_row(
        &mut self,
        catalog: &str,
        fields: &Record,
        at: Timestamp,
    ) -> Result<std::result::Result<LocalRow, Refusal>> {
        let table = self.table_mut(catalog)?;
        let row = match table.prepare_insert(fields) {
            Ok(row) => row,
            Err(why) => return Ok(Err(why)),
        };
        table.insert(row.clone());
        self.capture(catalog, row.id.clone(), Op::Insert, at);
        Ok(Ok(row))
    }

    /// Updates a row that can be read. `deleted_at` is set if it is given.
    pub(super) fn update_row(
        &mut self,
        catalog: &str,
        row: &LocalRow,
        fields: &Record,
        deleted_at: Option<Option<Timestamp>>,
        at: Timestamp,
    ) -> Result<std::result::Result<LocalRow, Refusal>> {
        let table = self.table_mut(catalog)?;
        let next = match table.prepare_update(row, fields, deleted_at) {
            Ok(next) => next,
            Err(why) => return Ok(Err(why)),
        };
        if next.id != row.id && matches!(table.read(&next.id), Ok(Some(_)) | Err(_)) {
            let (name, key) = (&table.catalog.table, &table.catalog.key);
            return Ok(Err(format!("UNIQUE constraint failed: {name}.{key}")));
        }
        table.remove(&row.id);
        table.put(next.clone());
        let op = if next.id == row.id { Op::Update } else { Op::Rekey(row.id.clone()) };
        self.capture(catalog, next.id.clone(), op, at);
        Ok(Ok(next))
    }

    pub(super) fn delete_row(&mut self, catalog: &str, id: &LocalId, at: Timestamp) -> Result<bool> {
        let gone = self.table_mut(catalog)?.remove(id);
        if let Some(row) = &gone {
            self.capture(catalog, row.id.clone(), Op::Delete, at);
        }
        Ok(gone.is_some())
    }

    pub(super) fn capture(&mut self, catalog: &str, key: LocalId, op: Op, at: Timestamp) {
        self.touch();
        if self.tables.get(catalog).is_some_and(|t| t.catalog.track == Track::Trigger) {
            self.log(Change { catalog: catalog.to_owned(), key, op, at });
        }
    }

    pub(super) fn read_row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>> {
        self.table(catalog)?
            .read(id)
            .map(|row| row.cloned())
            .map_err(|why| StoreError::new(StoreErrorKind::Refused, why))
    }
}

fn no_key(catalog: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unknown, format!("`{catalog}` has no such key to go on after"))
}

/// A refusal as an error.
pub(super) fn refused(why: Refusal) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, why)
}

fn known(table: &Table, field: &str) -> Result<()> {
    let unknown = || {
        StoreError::new(StoreErrorKind::Unknown, format!("`{}` has no field `{field}`", table.catalog.name))
    };
    table.catalog.field(field).map(|_| ()).ok_or_else(unknown)
}

fn contains(row: &LocalRow, needle: &str) -> bool {
    let hit = |text: &str| text.to_lowercase().contains(needle);
    hit(row.id.as_str()) || row.fields.iter().any(|(_, v)| matches!(v, Value::Text(text) if hit(text)))
}

#[async_trait]
impl Rows for MemoryStore {
    async fn row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>> {
        self.lock().read_row(catalog, id)
    }

    async fn rows(
        &self,
        catalog: &str,
        search: Option<&str>,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<RowPage> {
        let state = self.lock();
        let table = state.table(catalog)?;
        let after = match after {
            Some(id) => Some(table.key(id).ok_or_else(|| no_key(catalog))?),
            None => None,
        };
        let needle = search.map(str::to_lowercase);
        let mut page = RowPage::default();
        let hits = table
            .rows
            .iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .filter(|(_, row)| needle.as_deref().is_none_or(|needle| contains(row, needle)));
        for (taken, (key, row)) in hits.enumerate() {
            if taken == limit {
                let last_row = page.rows.last().map(|r| &r.id);
                let last_bad = page.unreadable.last().map(|r| &r.id);
                page.next =
                    [last_row, last_bad].into_iter().flatten().max_by_key(|id| table.key(id)).cloned();
                break;
            }
            match table.spoiled.get(key) {
                Some(why) => {
                    page.unreadable.push(UnreadableRow { id: row.id.clone(), message: why.clone() });
                }
                None => page.rows.push(row.clone()),
            }
        }
        Ok(page)
    }

    async fn held_by(&self, catalog: &str, field: &str, keys: &[LocalId]) -> Result<Vec<Option<Value>>> {
        let state = self.lock();
        let table = state.table(catalog)?;
        known(table, field)?;
        let row = |id: &LocalId| table.rows.get(&table.key(id)?);
        let held = |row: &LocalRow| row.fields.get(field).cloned().unwrap_or(Value::Null);
        Ok(keys.iter().map(|id| row(id).map(held)).collect())
    }

    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>> {
        let state = self.lock();
        let table = state.table(catalog)?;
        known(table, field)?;
        let holds = |row: &&LocalRow, value: &Value| {
            row.deleted_at.is_none() && !value.is_null() && row.fields.get(field) == Some(value)
        };
        let of = |value: &Value| {
            let holders = table.rows.values().filter(|row| holds(row, value)).take(2);
            holders.map(|row| row.id.clone()).collect()
        };
        Ok(values.iter().map(of).collect())
    }

    async fn count_rows(&self, catalog: &str) -> Result<u64> {
        Ok(self.lock().table(catalog)?.rows.len() as u64)
    }

    async fn insert_row(&self, catalog: &str, fields: &Record) -> Result<LocalRow> {
        self.write(|s| s.insert_row(catalog, fields, s.clock)?.map_err(refused))
    }

    async fn update_row(
        &self,
        catalog: &str,
        id: &LocalId,
        expected: &Record,
        fields: &Record,
    ) -> Result<RowUpdate> {
        self.write(|s| {
            let Some(row) = s.read_row(catalog, id)? else { return Ok(RowUpdate::Gone) };
            if !row.holds(expected) {
                return Ok(RowUpdate::Moved(row));
            }
            s.update_row(catalog, &row, fields, None, s.clock)?.map(RowUpdate::Done).map_err(refused)
        })
    }

    async fn delete_row(&self, catalog: &str, id: &LocalId) -> Result<bool> {
        self.write(|s| s.delete_row(catalog, id, s.clock))
    }
}

/// The key fields of a row with this id.
pub(super) fn key_fields(catalog: &Catalog, id: &LocalId) -> std::result::Result<Record, Refusal> {
    let parts = catalog.key_of(id).ok_or_else(|| format!("{} is not a valid key", catalog.key))?;
    let value = |(field, part): (&CatalogField, KeyPart)| {
        let value = match part {
            KeyPart::Int(number) => Value::Int(number),
            KeyPart::Text(text) => Value::from_text(&field.ty, &text).map_err(|error| error.to_string())?,
        };
        Ok((field.name.clone(), value))
    };
    catalog.key_fields().zip(parts).map(value).collect()
}
