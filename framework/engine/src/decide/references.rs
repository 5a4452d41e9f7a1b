//! References in a decision: which row and which record stand for each other.
//!
//! Each side of a reference is compared with its own base, in its own form: the row's key here, the record's id there. Only where one
//! of them changed is the other side's form needed, and then the links have been asked before: the decision stays pure.

use super::field::Four;
use bothways_mapping::Field;
use bothways_model::{Record, RemoteId, Value};
use bothways_store::FieldBase;
use serde_json::json;
use std::collections::BTreeMap;

/// What the links said, as far as they were asked.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// By label and the row's key as text: the record it is linked with, if it is.
    records: BTreeMap<(String, String), Option<RemoteId>>,
    /// By label and the record's id: the key of the row it is linked with, if it is.
    rows: BTreeMap<(String, String), Option<Value>>,
}

/// What a reference stands for on the other side.
#[derive(Clone, Debug, PartialEq)]
pub enum Translated<T> {
    /// This.
    Known(T),
    /// Nothing yet: it has no link, or none that is bound on both sides.
    Unlinked,
    /// Nobody asked.
    NotAsked,
}

impl References {
    /// Notes which record a row is linked with.
    pub fn note_record(&mut self, label: &str, key: &str, record: Option<RemoteId>) {
        self.records.insert((label.to_owned(), key.to_owned()), record);
    }

    /// Notes which row a record is linked with.
    pub fn note_row(&mut self, label: &str, id: &str, row: Option<Value>) {
        self.rows.insert((label.to_owned(), id.to_owned()), row);
    }

    /// What a local value travels as; null as null.
    pub fn outward(&self, label: &str, value: &Value) -> Translated<Value> {
        if value.is_null() {
            return Translated::Known(Value::Null);
        }
        match self.records.get(&(label.to_owned(), value.to_text())) {
            Some(Some(id)) => Translated::Known(Value::Text(id.0.clone())),
            Some(None) => Translated::Unlinked,
            None => Translated::NotAsked,
        }
    }

    /// What a remote value arrives as; null as null.
    pub fn inward(&self, label: &str, value: &Value) -> Translated<Value> {
        if value.is_null() {
            return Translated::Known(Value::Null);
        }
        match self.rows.get(&(label.to_owned(), value.to_text())) {
            Some(Some(key)) => Translated::Known(key.clone()),
            Some(None) => Translated::Unlinked,
            None => Translated::NotAsked,
        }
    }
}

/// The remote side of a reference, as the local side would write it.
pub(super) struct Here {
    remote: Option<Value>,
    base_remote: Option<Value>,
    base_local: Option<Value>,
    /// The record's id, where no row is known for it.
    stranger: Option<String>,
    /// As the record says it.
    raw: Option<Value>,
}

impl Here {
    pub(super) fn of(
        field: &Field,
        references: &References,
        remote: Option<&Value>,
        base: &FieldBase,
    ) -> Option<Self> {
        field.reference.as_ref()?;
        let key = |id: &Value| match (references.inward(&field.label, id), &base.local) {
            (Translated::Known(key), _) => Some(key),
            // Both sides are as they were, so nobody had to ask what it stands for.
            (Translated::NotAsked, Some(local)) if base.remote.as_ref() == Some(id) => Some(local.clone()),
            _ => None,
        };
        // Equal to no key of any row.
        let shown = |id: &Value| key(id).unwrap_or_else(|| Value::Json(json!({ "record": id.to_text() })));
        Some(Self {
            remote: remote.map(shown),
            base_remote: base.remote.as_ref().map(shown),
            base_local: base.local.clone(),
            stranger: remote.filter(|id| key(id).is_none()).map(Value::to_text),
            raw: remote.cloned(),
        })
    }

    pub(super) fn four<'a>(&'a self, local: Option<&'a Value>) -> Four<'a> {
        Four {
            local,
            remote: self.remote.as_ref(),
            base_local: self.base_local.as_ref(),
            base_remote: self.base_remote.as_ref(),
        }
    }

    /// What the record must be linked with before it can come in.
    pub(super) fn stranger(&self) -> Option<&str> {
        self.stranger.as_deref()
    }

    /// Whether no row is known for the record that it refers to, or referred to.
    pub(super) fn is_strange(&self) -> bool {
        [&self.remote, &self.base_remote].into_iter().flatten().any(|shown| matches!(shown, Value::Json(_)))
    }

    /// Whether what the row held when it was last known is known as that stranger alone: nobody can tell whether it changed.
    pub(super) fn is_unknown_here(&self) -> bool {
        self.base_local.is_none() && self.is_strange()
    }

    /// The stranger, where only its row would tell whether the record changed: what it held is known as the row's key alone.
    pub(super) fn unsure(&self) -> Option<&str> {
        let alone = self.base_remote.is_none() && self.base_local.as_ref().is_some_and(|key| !key.is_null());
        self.stranger().filter(|_| alone)
    }

    /// A value that an uncertain write sent, as the local side would write it, if the record shows it.
    pub(super) fn late<'a>(&'a self, sent: &Value) -> Option<&'a Value> {
        self.raw.as_ref().filter(|raw| *raw == sent).and(self.remote.as_ref())
    }
}

/// The value of a mapped field as the remote side reads it: a reference is the id of the record there.
pub fn remote_form<'a>(field: &Field, seen: &'a Record, shown: Option<&'a Value>) -> Option<&'a Value> {
    if field.reference.is_some() { seen.get(&field.label) } else { shown }
}
