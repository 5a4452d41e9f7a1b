//! What a person in the browser sees and does: records as JSON, and edits that are no API requests.

use super::errors::ApiError;
use super::org::Salesforce;
use super::record_id::to_18;
use super::records::Record;
use crate::dashboard::Refused;
use bothways_model::Timestamp;
use serde_json::{Map, Value};

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let message = format!("{}: {}", error.code, error.message);
        Self { status: error.status, param: error.fields.into_iter().next(), message }
    }
}

impl Salesforce {
    /// The organisation's id.
    pub fn organization_id(&self) -> &str {
        &self.store.organization
    }

    /// How many access tokens were handed out.
    pub fn tokens_issued(&self) -> u64 {
        self.auth.issued
    }

    /// All live records of an object in the order of their creation, with all their fields.
    pub fn records(&self, object: &str) -> Vec<Value> {
        self.all_records(object).into_iter().filter(|record| record["IsDeleted"] == false).collect()
    }

    /// All records of an object, those in the recycle bin included.
    pub fn all_records(&self, object: &str) -> Vec<Value> {
        let Ok(table) = self.store.table(object) else { return Vec::new() };
        table.all().map(|record| self.whole(&table.object, record)).collect()
    }

    /// One record by its id of 15 or 18 characters, also one in the recycle bin.
    pub fn record(&self, id: &str) -> Option<Value> {
        let id = to_18(id)?;
        let object = self.store.object_of(&id)?;
        let record = self.store.table(object.name).ok()?.get(&id)?;
        Some(self.whole(&object, record))
    }

    /// How many records of an object are live.
    pub fn record_count(&self, object: &str) -> usize {
        let table = self.store.table(object);
        table.map_or(0, |table| table.all().filter(|record| record.deleted.is_none()).count())
    }

    /// Creates a record as a person would and returns it.
    pub fn dashboard_create(
        &mut self,
        object: &str,
        fields: &Value,
        now: Timestamp,
    ) -> Result<Value, Refused> {
        let fields = object_of(fields)?;
        let id = self.by_hand(now, |store, writing| store.create(object, &fields, writing))?;
        Ok(self.record(&id).unwrap_or_default())
    }

    /// Changes a record as a person would and returns it.
    pub fn dashboard_update(&mut self, id: &str, fields: &Value, now: Timestamp) -> Result<Value, Refused> {
        let fields = object_of(fields)?;
        self.by_hand(now, |store, writing| {
            let object = store.object_of(id).ok_or_else(ApiError::no_such_id)?;
            store.update(object.name, id, &fields, writing)
        })?;
        Ok(self.record(id).unwrap_or_default())
    }

    /// Changes several records in one transaction: their stamps are equal, and nothing is kept where one is refused.
    pub fn dashboard_bulk_update(
        &mut self,
        ids: &[&str],
        fields: &Value,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let fields = object_of(fields)?;
        let before = self.store.clone();
        let done = self.by_hand(now, |store, writing| {
            for id in ids {
                let object = store.object_of(id).ok_or_else(ApiError::no_such_id)?;
                store.update(object.name, id, &fields, writing)?;
            }
            Ok(())
        });
        if done.is_err() {
            self.store = before;
        }
        done
    }

    /// Moves a record into the recycle bin as a person would.
    pub fn dashboard_delete(&mut self, id: &str, now: Timestamp) -> Result<(), Refused> {
        self.by_hand(now, |store, writing| {
            let object = store.object_of(id).ok_or_else(ApiError::no_such_id)?;
            store.delete(object.name, id, writing).map(drop)
        })
    }

    /// Consents to the app and returns its refresh token.
    pub fn dashboard_consent(&mut self) -> String {
        self.auth.consent(&mut self.ids)
    }

    /// Takes back every consent: refresh tokens stop working.
    pub fn dashboard_revoke(&mut self) {
        self.auth.revoke_all();
    }

    /// Ends all sessions: access tokens stop working.
    pub fn dashboard_end_sessions(&mut self) {
        self.auth.end_sessions();
    }

    fn whole(&self, object: &super::objects::Object, record: &Record) -> Value {
        let values = object.fields.iter().map(|f| (f.name.clone(), record.value(&f.name, &self.store.user)));
        Value::Object(values.collect())
    }
}

fn object_of(fields: &Value) -> Result<Map<String, Value>, ApiError> {
    fields.as_object().cloned().ok_or_else(|| ApiError::unreadable("an object is expected"))
}
