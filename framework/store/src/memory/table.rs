//! One table of the user's: keys, constraints, defaults, a trigger.

use bothways_model::{Catalog, FieldType, KeyMaker, KeyPart, LocalId, LocalRow, Record, Timestamp, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key in the table's order.
pub(super) type RowKey = Vec<KeyPart>;

/// See [`super::MemoryStore::trigger`].
pub(super) type Alter = Arc<dyn Fn(&mut Record) -> Result<(), String> + Send + Sync>;

pub(super) struct Table {
    pub(super) catalog: Catalog,
    pub(super) rows: BTreeMap<RowKey, LocalRow>,
    pub(super) unique: Vec<Vec<String>>,
    pub(super) defaults: Record,
    pub(super) trigger: Option<Alter>,
    /// Rows that cannot be read, with the reason.
    pub(super) spoiled: BTreeMap<RowKey, String>,
    /// The highest key that an insert made; like AUTOINCREMENT, a later change of a key does not count.
    sequence: i64,
}

impl Table {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            rows: BTreeMap::new(),
            unique: Vec::new(),
            defaults: Record::new(),
            trigger: None,
            spoiled: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// The key of this id; `None` if no row can have it.
    pub(super) fn key(&self, id: &LocalId) -> Option<RowKey> {
        self.catalog.key_of(id)
    }

    /// A row, or why it cannot be read.
    pub(super) fn read(&self, id: &LocalId) -> Result<Option<&LocalRow>, String> {
        let Some(key) = self.key(id) else { return Ok(None) };
        if let Some(why) = self.spoiled.get(&key) {
            return Err(why.clone());
        }
        Ok(self.rows.get(&key))
    }

    /// The row that an insert of `fields` makes, or why the table refuses it. Stores nothing.
    pub(super) fn prepare_insert(&self, fields: &Record) -> Result<LocalRow, String> {
        let mut full: Record = self.catalog.fields.iter().map(|f| (f.name.clone(), Value::Null)).collect();
        for (field, value) in self.defaults.iter().chain(fields.iter()) {
            full.set(field.clone(), value.clone());
        }
        if self.catalog.made_by == KeyMaker::Database
            && let Some(missing) = self.catalog.id_of(&full).err().map(str::to_owned)
        {
            full.set(missing, Value::Int(self.next_key()));
        }
        self.alter(&mut full)?;
        let id = self.id_of(&full)?;
        let row = LocalRow { id, fields: full, deleted_at: None };
        self.check(&row, None)?;
        let name = self.catalog.key.to_string();
        let key = self.key(&row.id).ok_or_else(|| self.named(&name, "is not a valid key"))?;
        if self.rows.contains_key(&key) || self.spoiled.contains_key(&key) {
            return Err(format!("UNIQUE constraint failed: {}.{name}", self.catalog.table));
        }
        Ok(row)
    }

    /// The row after an update, or why the table refuses it. Changes no key.
    pub(super) fn prepare_update(
        &self,
        row: &LocalRow,
        fields: &Record,
        deleted_at: Option<Option<Timestamp>>,
    ) -> Result<LocalRow, String> {
        let mut next = row.clone();
        for (field, value) in fields.iter() {
            next.fields.set(field.clone(), value.clone());
        }
        if let Some(at) = deleted_at {
            next.deleted_at = at;
        }
        self.alter(&mut next.fields)?;
        next.id = self.id_of(&next.fields)?;
        self.check(&next, Some(&row.id))?;
        Ok(next)
    }

    fn next_key(&self) -> i64 {
        let last = self.rows.last_key_value();
        let highest = last.and_then(|(key, _)| number(key)).unwrap_or(0);
        self.sequence.max(highest).saturating_add(1)
    }

    /// Stores a new row.
    pub(super) fn insert(&mut self, row: LocalRow) {
        if let Some(number) = self.key(&row.id).as_ref().and_then(number) {
            self.sequence = self.sequence.max(number);
        }
        self.put(row);
    }

    pub(super) fn put(&mut self, row: LocalRow) {
        if let Some(key) = self.key(&row.id) {
            self.rows.insert(key, row);
        }
    }

    pub(super) fn remove(&mut self, id: &LocalId) -> Option<LocalRow> {
        let key = self.key(id)?;
        self.spoiled.remove(&key);
        self.rows.remove(&key)
    }

    /// Rows that stand in the way of `row` by a unique list of fields: what REPLACE displaces.
    pub(super) fn rivals(&self, row: &LocalRow) -> Vec<LocalId> {
        let clash = |other: &&LocalRow| {
            other.id != row.id
                && self.unique.iter().any(|fields| {
                    fields.iter().all(|f| {
                        let (a, b) = (row.fields.get(f), other.fields.get(f));
                        a == b && a.is_some_and(|v| !v.is_null())
                    })
                })
        };
        self.rows.values().filter(clash).map(|r| r.id.clone()).collect()
    }

    /// The id that these fields make.
    pub(super) fn id_of(&self, fields: &Record) -> Result<LocalId, String> {
        self.catalog.id_of(fields).map_err(|missing| self.named(missing, "must not be null"))
    }

    fn alter(&self, fields: &mut Record) -> Result<(), String> {
        self.trigger.as_ref().map_or(Ok(()), |alter| alter(fields))
    }

    fn check(&self, row: &LocalRow, present: Option<&LocalId>) -> Result<(), String> {
        for (name, value) in row.fields.iter() {
            let Some(field) = self.catalog.field(name) else {
                return Err(self.named(name, "does not exist"));
            };
            if value.is_null() && !field.optional {
                return Err(format!("NOT NULL constraint failed: {}.{name}", self.catalog.table));
            }
            if !fits(&field.ty, value) {
                return Err(self.named(name, &format!("does not hold a {}", field.ty)));
            }
        }
        let rivals = self.rivals(row);
        if rivals.iter().any(|id| Some(id) != present) {
            return Err(format!("UNIQUE constraint failed: {}", self.catalog.table));
        }
        Ok(())
    }

    fn named(&self, field: &str, what: &str) -> String {
        format!("{}.{field} {what}", self.catalog.table)
    }
}

/// The number that a key is, if it is one.
fn number(key: &RowKey) -> Option<i64> {
    match key[..] {
        [KeyPart::Int(number)] => Some(number),
        _ => None,
    }
}

fn fits(ty: &FieldType, value: &Value) -> bool {
    match (ty, value) {
        (_, Value::Null) | (FieldType::Json, Value::Json(_)) => true,
        (FieldType::Enum(words), Value::Text(word)) => words.contains(word),
        (FieldType::List(item), Value::List(items)) => items.iter().all(|i| fits(item, i)),
        (FieldType::Text, Value::Text(_))
        | (FieldType::Int, Value::Int(_))
        | (FieldType::Decimal { .. }, Value::Decimal(_))
        | (FieldType::Bool, Value::Bool(_))
        | (FieldType::Timestamp, Value::Timestamp(_))
        | (FieldType::Date, Value::Date(_))
        | (FieldType::Uuid, Value::Uuid(_)) => true,
        _ => false,
    }
}
