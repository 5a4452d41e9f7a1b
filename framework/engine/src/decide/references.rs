//! References in a decision: which row and which record stand for each other.
//!
//! Each side of a reference is compared with its own base, in its own form: the row's key here, there the record's id, or what the row
//! is looked up by. Only where one of them changed is the other side's form needed, and then the database has been asked before: the
//! decision stays pure.

use super::field::Four;
use super::verdict::{Action, Verdict};
use bothways_mapping::{Field, Reference};
use bothways_model::{Record, RemoteId, Value};
use bothways_store::FieldBase;
use serde_json::json;
use std::collections::BTreeMap;

/// What the database said, as far as it was asked.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// By label and the row's key as text: what stands for it there.
    outward: BTreeMap<(String, String), Translated<Value>>,
    /// By label and what stands for the row there, as text: its key.
    inward: BTreeMap<(String, String), Translated<Value>>,
}

/// What a reference stands for on the other side.
#[derive(Clone, Debug, PartialEq)]
pub enum Translated<T> {
    /// This.
    Known(T),
    /// Nothing yet: it has no link, or none that is bound on both sides.
    Unlinked,
    /// Nothing, or it cannot be told what: why and what to do, for people, without values.
    Untold(String),
    /// Nobody asked.
    NotAsked,
}

impl References {
    /// Notes which record a row is linked with.
    pub fn note_record(&mut self, label: &str, key: &str, record: Option<RemoteId>) {
        let record = record.map_or(Translated::Unlinked, |id| Translated::Known(Value::Text(id.0)));
        self.note_outward(label, key, record);
    }

    /// Notes which row a record is linked with.
    pub fn note_row(&mut self, label: &str, id: &str, row: Option<Value>) {
        self.note_inward(label, id, row.map_or(Translated::Unlinked, Translated::Known));
    }

    /// Notes what stands for the row with this key.
    pub fn note_outward(&mut self, label: &str, key: &str, there: Translated<Value>) {
        self.outward.insert((label.to_owned(), key.to_owned()), there);
    }

    /// Notes which row this stands for.
    pub fn note_inward(&mut self, label: &str, there: &str, key: Translated<Value>) {
        self.inward.insert((label.to_owned(), there.to_owned()), key);
    }

    /// What a local value travels as; null as null.
    pub fn outward(&self, label: &str, value: &Value) -> Translated<Value> {
        translated(&self.outward, label, value)
    }

    /// What a remote value arrives as; null as null.
    pub fn inward(&self, label: &str, value: &Value) -> Translated<Value> {
        translated(&self.inward, label, value)
    }
}

fn translated(
    known: &BTreeMap<(String, String), Translated<Value>>,
    label: &str,
    value: &Value,
) -> Translated<Value> {
    if value.is_null() {
        return Translated::Known(Value::Null);
    }
    known.get(&(label.to_owned(), value.to_text())).cloned().unwrap_or(Translated::NotAsked)
}

/// The remote side of a reference, as the local side would write it.
pub(super) struct Here {
    remote: Option<Value>,
    base_remote: Option<Value>,
    base_local: Option<Value>,
    /// What the record says, where no row is known for it.
    stranger: Option<String>,
    /// As the record says it.
    raw: Option<Value>,
}

impl Here {
    pub(super) fn of(
        field: &Field,
        references: &References,
        local: Option<&Value>,
        remote: Option<&Value>,
        base: &FieldBase,
    ) -> Option<Self> {
        let reference = field.reference.as_ref()?;
        // What a row is looked up by stands for that row still when it is archived, and for no other is it asked.
        let own = |id: &Value| {
            let rows =
                [local, base.local.as_ref()].into_iter().flatten().filter(|_| field.lookup().is_some());
            let mut rows =
                rows.filter(|row| references.outward(&field.label, row) == Translated::Known(id.clone()));
            rows.next().cloned()
        };
        let told = |id: &Value| match (references.inward(&field.label, id), &base.local) {
            (Translated::Known(key), _) => Some(key),
            // Both sides are as they were, so nobody had to ask what it stands for.
            (Translated::NotAsked, Some(local)) if base.remote.as_ref() == Some(id) => Some(local.clone()),
            _ => None,
        };
        let key = |id: &Value| own(id).or_else(|| told(id));
        // Equal to no key of any row.
        let what = match reference {
            Reference::Link(_) => "record",
            Reference::Lookup(lookup) => &lookup.by,
        };
        let shown = |id: &Value| key(id).unwrap_or_else(|| Value::Json(json!({ what: id.to_text() })));
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

    /// Why what this verdict would do cannot be done, where what stands for a row is looked up: no row or several are known for what the
    /// record says, or nothing for the row.
    pub(super) fn untold(&self, references: &References, verdict: &Verdict) -> Option<String> {
        let stranger = self.raw.as_ref().filter(|_| self.stranger.is_some());
        let outward = |row: &Value| references.outward(&verdict.label, row);
        let translated = match &verdict.action {
            Action::Push => verdict.local.as_ref().map(outward),
            Action::Set(value) => Some(outward(value)),
            Action::Pull => stranger.map(|there| references.inward(&verdict.label, there)),
            // Perhaps the record says what stands for the row: nobody asked yet.
            Action::Conflict { .. } if stranger.is_some() => {
                verdict.local.as_ref().map(outward).filter(|told| *told == Translated::NotAsked)
            }
            _ => None,
        };
        match translated? {
            Translated::Untold(why) => Some(why),
            Translated::NotAsked if !verdict.goes_out() => {
                Some("the next look asks what it stands for".into())
            }
            _ => None,
        }
    }

    /// A value that an uncertain write sent, as the local side would write it, if the record shows it.
    pub(super) fn late<'a>(&'a self, sent: &Value) -> Option<&'a Value> {
        self.raw.as_ref().filter(|raw| *raw == sent).and(self.remote.as_ref())
    }
}

/// The value of a mapped field as the remote side reads it: a reference is what stands for the row there.
pub fn remote_form<'a>(field: &Field, seen: &'a Record, shown: Option<&'a Value>) -> Option<&'a Value> {
    if field.reference.is_some() { seen.get(&field.label) } else { shown }
}
