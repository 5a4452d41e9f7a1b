//! A catalog's table: how its rows are selected, read, and written.

use crate::cell;
use crate::dialect::{key_columns, key_text};
use crate::inspect::TableFacts;
use crate::statement::Arg;
use crate::tuple::Tuple;
use bothways_model::{Catalog, FieldType, Ident, KeyPart, LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{RowWrite, UnreadableRow};
use std::collections::BTreeMap;

/// A row as read, or why it cannot be.
pub(crate) type Read = std::result::Result<LocalRow, UnreadableRow>;

/// A catalog with what its table turned out to be.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) catalog: Catalog,
    /// Whether other people's triggers are on it, so that a write may change more than it says.
    pub(crate) has_triggers: bool,
    /// The columns of every select: the id, all fields, `deleted_at`.
    columns: String,
    integer_columns: Vec<String>,
}

impl Table {
    pub(crate) fn new(catalog: Catalog, facts: &TableFacts) -> Self {
        // With the table's name before it: alone, SQLite takes a name in double quotes that is no column's for a text.
        let qualified = |column: &Ident| format!("{}.{}", catalog.table.quoted(), column.quoted());
        let mut columns = vec![key_text(&catalog.table.quoted(), &key_columns(&catalog))];
        columns.extend(catalog.columns().map(qualified));
        let integer_columns =
            facts.columns.iter().filter(|c| c.is_integer()).map(|c| c.name.to_ascii_lowercase()).collect();
        Self {
            has_triggers: !facts.triggers.is_empty(),
            columns: columns.join(", "),
            integer_columns,
            catalog,
        }
    }

    /// A row's id, as [`Table::select`] has it first.
    pub(crate) fn id(&self) -> String {
        key_text(&self.name(), &key_columns(&self.catalog))
    }

    /// A column as it is read: with the table's name before it, so that it is never taken for a text.
    pub(crate) fn column(&self, column: &Ident) -> String {
        format!("{}.{}", self.name(), column.quoted())
    }

    /// The table's quoted name.
    pub(crate) fn name(&self) -> String {
        self.catalog.table.quoted()
    }

    /// `SELECT … FROM table`.
    pub(crate) fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.columns, self.name())
    }

    /// The columns of [`Table::select`], for `RETURNING`.
    pub(crate) fn columns(&self) -> &str {
        &self.columns
    }

    /// A row selected by [`Table::select`].
    pub(crate) fn read(&self, row: &Tuple) -> Read {
        let id = LocalId(row.get::<String>(0).unwrap_or_default());
        let bad = |column: &str, why: String| UnreadableRow {
            id: id.clone(),
            message: format!("{}.{column} {why}", self.catalog.table),
        };
        let mut fields = BTreeMap::new();
        for (index, field) in self.catalog.fields.iter().enumerate() {
            let value =
                cell::read(row, index + 1, &field.ty).map_err(|why| bad(field.column.as_str(), why))?;
            fields.insert(field.name.clone(), value);
        }
        let mut deleted_at = None;
        if let Some(column) = &self.catalog.deleted_at {
            let index = self.catalog.fields.len() + 1;
            let value =
                cell::read(row, index, &FieldType::Timestamp).map_err(|why| bad(column.as_str(), why))?;
            if let Value::Timestamp(at) = value {
                deleted_at = Some(at);
            }
        }
        Ok(LocalRow { id, fields: Record(fields), deleted_at })
    }

    /// The key columns' values of an id, in order; `None` if no row can have this id.
    pub(crate) fn key_args(&self, id: &LocalId) -> Option<Vec<Arg>> {
        let arg = |part| match part {
            KeyPart::Int(number) => Arg::Int(number),
            KeyPart::Text(text) => Arg::Text(text),
        };
        Some(self.catalog.key_of(id)?.into_iter().map(arg).collect())
    }

    /// Columns and values of fields, or why the table cannot hold them.
    pub(crate) fn assignments(&self, fields: &Record) -> Result<Vec<(String, Arg)>, String> {
        fields.iter().map(|(name, value)| self.assignment(name, value)).collect()
    }

    /// Columns and values that a write sets.
    pub(crate) fn write_assignments(&self, write: &RowWrite) -> Result<Vec<(String, Arg)>, String> {
        match write {
            RowWrite::None | RowWrite::Delete => Ok(Vec::new()),
            RowWrite::Insert(fields) | RowWrite::Update(fields) => self.assignments(fields),
            RowWrite::Archive(at) => Ok(vec![self.deleted_at(Some(*at))?]),
            RowWrite::Restore(fields) => {
                let mut all = self.assignments(fields)?;
                all.push(self.deleted_at(None)?);
                Ok(all)
            }
        }
    }

    /// The id of a row after a write that may set its key.
    pub(crate) fn key_after(&self, row: &LocalRow, write: &RowWrite) -> LocalId {
        match write {
            RowWrite::Update(fields) | RowWrite::Restore(fields) => self.catalog.id_after(&row.id, fields),
            _ => row.id.clone(),
        }
    }

    fn assignment(&self, name: &str, value: &Value) -> Result<(String, Arg), String> {
        let table = &self.catalog.table;
        let Some(field) = self.catalog.field(name) else {
            return Err(format!("{table}.{name} does not exist"));
        };
        let column = &field.column;
        let arg = cell::write(value, &field.ty, self.is_integer(column.as_str()))
            .map_err(|why| format!("{table}.{column} {why}"))?;
        Ok((column.quoted(), arg))
    }

    fn deleted_at(&self, at: Option<Timestamp>) -> Result<(String, Arg), String> {
        let Some(column) = &self.catalog.deleted_at else {
            return Err(format!("catalog `{}` has no `deleted_at` column", self.catalog.name));
        };
        let value = at.map_or(Value::Null, Value::Timestamp);
        let arg = cell::write(&value, &FieldType::Timestamp, self.is_integer(column.as_str()))?;
        Ok((column.quoted(), arg))
    }

    fn is_integer(&self, column: &str) -> bool {
        self.integer_columns.contains(&column.to_ascii_lowercase())
    }
}
