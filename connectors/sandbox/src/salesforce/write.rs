//! Creating, changing and deleting records, for programs and for people.

use super::access::{Access, By};
use super::errors::ApiError;
use super::faults::Action;
use super::objects::{Field, Kind, Object};
use super::records::{Lag, Record, Unseen};
use super::store::{Store, blank};
use super::time::to_second;
use super::values;
use crate::fault_queue::Faults;
use chrono::TimeDelta;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A write under way: who writes, and the faults that single rows can meet.
pub(crate) struct Writing<'a, 'f> {
    pub(crate) access: &'a Access<'f>,
    pub(crate) faults: &'a mut Faults<Action>,
}

impl Writing<'_, '_> {
    /// Draws what happens to the write of one row: how queries see it late.
    fn draw(&mut self, object: &str, verb: &str, id: &str) -> Result<Option<Lag>, ApiError> {
        let mut late = None;
        for action in self.faults.draw_for_event(&format!("{object}.{verb}")) {
            match action {
                Action::RowLocked if self.access.by != By::Person => return Err(ApiError::locked(id)),
                Action::RowRefused { code } if self.access.by != By::Person => {
                    return Err(ApiError::refused(&code));
                }
                Action::LateVisible { seconds, untold } => {
                    late = Some(Lag { until: self.access.now + TimeDelta::seconds(seconds.into()), untold });
                }
                _ => {}
            }
        }
        Ok(late)
    }
}

impl Store {
    /// Creates a record and returns its id.
    pub(crate) fn create(
        &mut self,
        object: &str,
        body: &Map<String, Value>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<String, ApiError> {
        let object = self.writable(object)?;
        let given = self.read_fields(&object, body, writing.access)?;
        let late = writing.draw(object.name, "create", "")?;
        let mut fields = Map::new();
        for field in object.fields.iter().filter(|field| field.kind == Kind::Boolean && field.is_writable) {
            fields.insert(field.name.clone(), false.into());
        }
        fields.insert("OwnerId".into(), self.user.clone().into());
        set(&mut fields, given);
        let now = writing.access.now;
        let mut record = blank(String::new(), fields, now);
        self.settle(&object, &mut record, writing.access)?;
        record.id = self.ids.make(object.prefix);
        let id = record.id.clone();
        self.put(&object, record, None, late, writing)?;
        Ok(id)
    }

    /// Changes a record; whether any value of it changed. The stamps move in any case.
    pub(crate) fn update(
        &mut self,
        object: &str,
        id: &str,
        body: &Map<String, Value>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<bool, ApiError> {
        let object = self.writable(object)?;
        let old = self.find(&object, id, writing.access)?.clone();
        let given = self.read_fields(&object, body, writing.access)?;
        let late = writing.draw(object.name, "update", &old.id)?;
        let mut record = old.clone();
        set(&mut record.fields, given);
        self.settle(&object, &mut record, writing.access)?;
        let changed = record.fields != old.fields;
        self.put(&object, record, Some(old), late, writing)?;
        Ok(changed)
    }

    /// Moves a record into the recycle bin, and an account's contacts with it. How many records that were.
    pub(crate) fn delete(
        &mut self,
        object: &str,
        id: &str,
        writing: &mut Writing<'_, '_>,
    ) -> Result<u64, ApiError> {
        let object = self.writable(object)?;
        let old = self.find(&object, id, writing.access)?.clone();
        let late = writing.draw(object.name, "delete", &old.id)?;
        let mut count = 1;
        for contact in self.contacts_of(&old.id) {
            let contact_object = self.writable("Contact")?;
            self.bury(&contact_object, contact, None, late, writing)?;
            count += 1;
        }
        self.bury(&object, old, None, late, writing)?;
        Ok(count)
    }

    /// The live contacts of an account.
    pub(crate) fn contacts_of(&self, account: &str) -> Vec<Record> {
        let Ok(table) = self.table("Contact") else { return Vec::new() };
        let of = |record: &&Record| record.deleted.is_none() && record.text("AccountId") == Some(account);
        table.all().filter(of).cloned().collect()
    }

    /// Puts a live record into the recycle bin; `master` is what it was merged into.
    pub(crate) fn bury(
        &mut self,
        object: &Object,
        old: Record,
        master: Option<String>,
        late: Option<Lag>,
        writing: &mut Writing<'_, '_>,
    ) -> Result<(), ApiError> {
        let at = to_second(writing.access.now);
        let mut record = old.clone();
        record.deleted = Some(at);
        record.master = master;
        let id = record.id.clone();
        self.put(object, record, Some(old), late, writing)?;
        self.table_mut(object.name)?.deletes.push((at, id));
        Ok(())
    }

    /// Stores a record with new stamps.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        mut record: Record,
        before: Option<Record>,
        late: Option<Lag>,
        writing: &Writing<'_, '_>,
    ) -> Result<(), ApiError> {
        let now = writing.access.now;
        if before.is_some() {
            record.version += 1;
            record.modified = to_second(now);
            record.system_modstamp = to_second(now);
        }
        // What queries saw is what they go on seeing, also when a second write comes while they lag.
        let seen = before.as_ref().and_then(|before| before.seen(now)).cloned();
        let lag = record.unseen.take().map(|unseen| unseen.lag).filter(|lag| now < lag.until);
        let lag = match (late, lag) {
            (Some(a), Some(b)) => Some(Lag { until: a.until.max(b.until), untold: a.untold && b.untold }),
            (a, b) => a.or(b),
        };
        record.unseen = lag.map(|lag| {
            let before = seen.map(|record| Arc::new(Record { unseen: None, ..record }));
            Unseen { lag, before }
        });
        self.table_mut(object.name)?.put(record);
        self.revision += 1;
        Ok(())
    }

    /// The object, if its records can be written.
    pub(crate) fn writable(&self, object: &str) -> Result<Arc<Object>, ApiError> {
        let object = &self.table(object)?.object;
        if object.is_writable {
            return Ok(object.clone());
        }
        Err(ApiError::bad(
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            format!("entity type {} does not support create, update or delete", object.name),
        ))
    }

    /// A live record that the user may see.
    pub(crate) fn find(&self, object: &Object, id: &str, access: &Access<'_>) -> Result<&Record, ApiError> {
        let id = super::record_id::to_18(id)
            .ok_or_else(|| ApiError::bad("MALFORMED_ID", format!("malformed id {id}")))?;
        let shown = access.shows_records(object);
        let record = self.table(object.name)?.get(&id).filter(|_| shown);
        match record.ok_or_else(ApiError::no_such_id)? {
            record if record.deleted.is_some() => Err(ApiError::deleted()),
            record => Ok(record),
        }
    }

    /// Reads a body: which fields are set to what.
    fn read_fields(
        &self,
        object: &Object,
        body: &Map<String, Value>,
        access: &Access<'_>,
    ) -> Result<Vec<(String, Value)>, ApiError> {
        let mut given = Vec::new();
        for (name, value) in body {
            if name == "attributes" {
                continue;
            }
            if name.eq_ignore_ascii_case("Id") {
                let text = "The Id field should not be specified in the sobject data.";
                return Err(ApiError::bad("INVALID_FIELD", text).of("Id"));
            }
            if let Value::Object(by) = value {
                given.push(self.by_foreign_key(object, name, by)?);
                continue;
            }
            let field = access.field(object, name).ok_or_else(|| ApiError::no_field(name, object.name))?;
            if !field.is_writable {
                return Err(read_only(field));
            }
            let value = values::read(field, value)?;
            given.push((field.name.clone(), self.shaped(field, value, access)?));
        }
        Ok(given)
    }

    /// A reference given by the other record's external id: `"Account": {"Bothways_Id__c": "7"}`.
    fn by_foreign_key(
        &self,
        object: &Object,
        name: &str,
        by: &Map<String, Value>,
    ) -> Result<(String, Value), ApiError> {
        let relation = object.fields.iter().find(|field| {
            field.is_writable && field.relationship().is_some_and(|r| r.eq_ignore_ascii_case(name))
        });
        let no_field = || ApiError::no_field(name, object.name);
        let field = relation.ok_or_else(no_field)?;
        let Kind::Reference(target) = field.kind else { return Err(no_field()) };
        let table = self.table(target)?;
        let (key, value) = by.iter().find(|(key, _)| *key != "attributes").ok_or_else(no_field)?;
        let key_field = table.object.field(key).filter(|key| key.is_external_id);
        let key_field = key_field.ok_or_else(|| ApiError::no_field(key, target))?;
        let value = value.as_str().unwrap_or_default();
        match table.by_external_id(&key_field.name, value) {
            [one] => Ok((field.name.clone(), one.clone().into())),
            found => {
                let what = if found.is_empty() { "not found" } else { "found more than once" };
                let text = format!(
                    "Foreign key external ID: {value} {what} for field {key} in entity {}",
                    table.object.name
                );
                Err(ApiError::bad("INVALID_FIELD", text))
            }
        }
    }

    /// What triggers and validation rules make of a value.
    fn shaped(&self, field: &Field, value: Value, access: &Access<'_>) -> Result<Value, ApiError> {
        let lowered = value.as_str().map(str::to_lowercase).filter(|lower| value != **lower);
        let lowers = |action: &Action| matches!(action, Action::LowerCases { field: f } if *f == field.name);
        let value = match lowered.and_then(|lower| access.take(|a| lowers(a).then(|| lower.clone()))) {
            Some(lower) => lower.into(),
            None => value,
        };
        let refuses =
            |action: &Action| matches!(action, Action::ValidationRule { field: f } if *f == field.name);
        if !value.is_null() && access.take(|action| refuses(action).then_some(())).is_some() {
            let text = format!("{} cannot be set", values::label(&field.name));
            return Err(ApiError::bad("FIELD_CUSTOM_VALIDATION_EXCEPTION", text).of(&field.name));
        }
        Ok(value)
    }

    /// Runs flows over a record that is about to be stored and checks it as a whole.
    fn settle(&self, object: &Object, record: &mut Record, access: &Access<'_>) -> Result<(), ApiError> {
        let flows = access.take_all(|action| match action {
            Action::Automation { field, value } => object.field(field).map(|field| (field, value)),
            _ => None,
        });
        for (field, value) in flows {
            let value = values::read(field, value)?;
            set(&mut record.fields, vec![(field.name.clone(), value)]);
        }
        if object.name == "Contact" {
            let parts = ["Salutation", "FirstName", "LastName"].map(|name| record.text(name));
            let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            set(&mut record.fields, vec![("Name".into(), name.into())]);
        }
        let missing: Vec<&str> = object
            .fields
            .iter()
            .filter(|field| field.is_required && !record.fields.contains_key(&field.name))
            .map(|field| field.name.as_str())
            .collect();
        if !missing.is_empty() {
            let text = format!("Required fields are missing: [{}]", missing.join(", "));
            let error = ApiError::bad("REQUIRED_FIELD_MISSING", text);
            return Err(missing.into_iter().fold(error, |error, field| error.of(field)));
        }
        self.check_references(object, record)?;
        self.check_unique(object, record)?;
        self.duplicate_rule.check(self.table(object.name)?, record, access.by)
    }

    /// Every reference names a live record of the right object. What was there before stays, whatever became of it.
    fn check_references(&self, object: &Object, record: &Record) -> Result<(), ApiError> {
        let before = self.table(object.name)?.get(&record.id);
        for field in object.fields.iter().filter(|field| field.is_writable) {
            let (Kind::Reference(target), Some(id)) = (&field.kind, record.text(&field.name)) else {
                continue;
            };
            if before.is_some_and(|before| before.text(&field.name) == Some(id)) {
                continue;
            }
            let table = self.table(target)?;
            if !id.starts_with(table.object.prefix) {
                let text = format!("{}: id value of incorrect type: {id}", values::label(&field.name));
                return Err(ApiError::bad("FIELD_INTEGRITY_EXCEPTION", text).of(&field.name));
            }
            if table.live(id).is_none() {
                return Err(ApiError::bad("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
                    .of(&field.name));
            }
        }
        Ok(())
    }

    fn check_unique(&self, object: &Object, record: &Record) -> Result<(), ApiError> {
        let table = self.table(object.name)?;
        for field in object.fields.iter().filter(|field| field.is_unique) {
            let Some(value) = record.text(&field.name) else { continue };
            let found = table.by_external_id(&field.name, value).iter().find(|id| **id != record.id);
            if let Some(id) = found {
                let name = &field.name;
                let text = format!("duplicate value found: {name} duplicates value on record with id: {id}");
                return Err(ApiError::bad("DUPLICATE_VALUE", text).of(name));
            }
        }
        Ok(())
    }
}

/// Sets fields; null takes them away.
fn set(fields: &mut Map<String, Value>, given: Vec<(String, Value)>) {
    for (name, value) in given {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
}

fn read_only(field: &Field) -> ApiError {
    let text = format!(
        "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is \
         read/write for your profile or permission set.",
        field.name
    );
    ApiError::bad("INVALID_FIELD_FOR_INSERT_UPDATE", text).of(&field.name)
}
