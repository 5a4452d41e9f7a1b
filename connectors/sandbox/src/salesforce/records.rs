//! The records: what each holds, what of it a query can already see, and the log of deletes.

use super::objects::{Kind, Object};
use super::time::stamp;
use bothways_model::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One record, deleted or not.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// The fields that can be written and are not null, and those that an object without writes has.
    pub(crate) fields: Map<String, Value>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) system_modstamp: Timestamp,
    /// In the recycle bin since then.
    pub(crate) deleted: Option<Timestamp>,
    /// The record that this one was merged into.
    pub(crate) master: Option<String>,
    /// Grows with every write.
    pub(crate) version: u64,
    /// What queries still see of it.
    pub(crate) unseen: Option<Unseen>,
}

/// How long queries do not see a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lag {
    pub(crate) until: Timestamp,
    /// The replication calls know nothing of it.
    pub(crate) untold: bool,
}

/// A write that queries cannot see yet, although its stamps are older than what they can see.
#[derive(Clone, Debug)]
pub(crate) struct Unseen {
    pub(crate) lag: Lag,
    /// What they see meanwhile: the record before, or nothing.
    pub(crate) before: Option<Arc<Record>>,
}

impl Record {
    /// The record as queries see it.
    pub(crate) fn seen(&self, now: Timestamp) -> Option<&Record> {
        match &self.unseen {
            Some(unseen) if now < unseen.lag.until => unseen.before.as_deref(),
            _ => Some(self),
        }
    }

    /// One field's value as it is answered; null where it has none.
    pub(crate) fn value(&self, name: &str, user: &str) -> Value {
        match name {
            "Id" => json!(self.id),
            "IsDeleted" => json!(self.deleted.is_some()),
            "MasterRecordId" => json!(self.master),
            "CreatedDate" => json!(stamp(self.created)),
            "LastModifiedDate" => json!(stamp(self.modified)),
            "SystemModstamp" => json!(stamp(self.system_modstamp)),
            "CreatedById" | "LastModifiedById" => json!(user),
            _ => self.fields.get(name).cloned().unwrap_or(Value::Null),
        }
    }

    /// A system field's moment, without the detour over its text.
    pub(crate) fn moment(&self, name: &str) -> Option<Timestamp> {
        match name {
            "CreatedDate" => Some(self.created),
            "LastModifiedDate" => Some(self.modified),
            "SystemModstamp" => Some(self.system_modstamp),
            _ => None,
        }
    }

    /// The field's text, if it has one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }
}

/// All records of one object.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) object: Arc<Object>,
    rows: BTreeMap<String, Record>,
    /// Ids by external-id field and lower-cased value, of live records.
    external: BTreeMap<(String, String), Vec<String>>,
    /// Who was deleted when; purging the recycle bin shortens it.
    pub(crate) deletes: Vec<(Timestamp, String)>,
    /// Deletes before this may be missing from the log.
    pub(crate) deletes_since: Option<Timestamp>,
}

impl Table {
    pub(crate) fn new(object: Object) -> Self {
        let (rows, external) = (BTreeMap::new(), BTreeMap::new());
        Self { object: Arc::new(object), rows, external, deletes: Vec::new(), deletes_since: None }
    }

    /// A record by its 18-character id.
    pub(crate) fn get(&self, id: &str) -> Option<&Record> {
        self.rows.get(id)
    }

    /// A record that is not in the recycle bin.
    pub(crate) fn live(&self, id: &str) -> Option<&Record> {
        self.get(id).filter(|record| record.deleted.is_none())
    }

    /// All records by id, which is the order of their creation.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.rows.values()
    }

    /// Puts a record in place of what has its id.
    pub(crate) fn put(&mut self, record: Record) {
        self.forget_external(&record.id);
        if record.deleted.is_none() {
            for key in self.external_keys(&record) {
                self.external.entry(key).or_default().push(record.id.clone());
            }
        }
        self.rows.insert(record.id.clone(), record);
    }

    /// Removes a record for good.
    pub(crate) fn remove(&mut self, id: &str) {
        self.forget_external(id);
        self.rows.remove(id);
    }

    /// The live records with this value in an external-id field, whatever its case.
    pub(crate) fn by_external_id(&self, field: &str, value: &str) -> &[String] {
        let key = (field.to_owned(), value.to_lowercase());
        self.external.get(&key).map_or(&[], Vec::as_slice)
    }

    fn forget_external(&mut self, id: &str) {
        let Some(old) = self.rows.get(id) else { return };
        for key in self.external_keys(old) {
            if let Some(ids) = self.external.get_mut(&key) {
                ids.retain(|other| other != id);
                if ids.is_empty() {
                    self.external.remove(&key);
                }
            }
        }
    }

    fn external_keys(&self, record: &Record) -> Vec<(String, String)> {
        let fields = self.object.fields.iter().filter(|f| f.is_external_id || f.kind == Kind::Email);
        let key = |name: &str| Some((name.to_owned(), record.text(name)?.to_lowercase()));
        fields.filter_map(|field| key(&field.name)).collect()
    }
}
