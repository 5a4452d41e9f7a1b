//! Records of either side, in canonical values.

use crate::{LocalId, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Field name to value. A missing key is *absent* (unknown), which is not [`Value::Null`] (known to be empty): rule 17.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub BTreeMap<String, Value>);

impl Record {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `field`, or `None` when it is absent.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// Sets `field`.
    pub fn set(&mut self, field: impl Into<String>, value: Value) {
        self.0.insert(field.into(), value);
    }

    /// Fields in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Record {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
}

/// A catalog row as read from its table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalRow {
    /// Its primary key.
    pub id: LocalId,
    /// All catalog fields. None is absent: a column always holds a value or null.
    pub fields: Record,
    /// The value of the catalog's `deleted_at` column, if it has one and it is not null.
    pub deleted_at: Option<Timestamp>,
}

impl LocalRow {
    /// Whether its fields have these values. A field that it does not have is empty.
    pub fn holds(&self, expected: &Record) -> bool {
        expected.iter().all(|(name, value)| self.fields.get(name).unwrap_or(&Value::Null) == value)
    }
}
