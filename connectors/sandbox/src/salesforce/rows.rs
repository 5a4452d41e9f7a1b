//! Single records: by id, and by external id.

use super::access::Access;
use super::call::Call;
use super::conditional;
use super::errors::ApiError;
use super::objects::{Field, Kind, Object};
use super::org::Salesforce;
use super::record_id::to_18;
use super::records::Record;
use super::reply::Reply;
use super::values::label;
use super::write::Writing;
use serde_json::{Map, Value, json};

/// An object, one of its external-id fields, and a value of it.
pub(crate) type ExternalKey<'a> = (&'a str, &'a str, &'a str);

impl Salesforce {
    pub(crate) fn post_row(
        &mut self,
        call: &Call,
        base: &str,
        object: &str,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let body = call.object()?;
        let mut writing = Writing { access, faults: &mut self.faults };
        let id = self.store.create(object, &body, &mut writing)?;
        let name = self.store.table(object)?.object.name;
        Ok(Reply::created(&id, format!("{base}/sobjects/{name}/{id}")))
    }

    pub(crate) fn get_row(
        &mut self,
        call: &Call,
        base: &str,
        object: &str,
        id: &str,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let object = self.store.table(object)?.object.clone();
        let id = to_18(id).ok_or_else(|| ApiError::no_external_id(id))?;
        let record = self.store.find(&object, &id, access).map_err(|error| match error.code.as_ref() {
            "INVALID_CROSS_REFERENCE_KEY" => ApiError::not_found(),
            _ => error,
        })?;
        if conditional::check(call, &object, record)?.is_some() {
            return Ok(Reply { status: 304, ..Reply::default() });
        }
        let names = match call.param("fields") {
            None => {
                object.fields.iter().filter(|field| access.shows(field)).map(|f| f.name.clone()).collect()
            }
            Some(list) => chosen(&object, &list, access)?,
        };
        let view = self.view(base, &object, record, &names);
        let reply = Reply::ok(view);
        Ok(match conditional::etag(&object, record) {
            Some(tag) => reply.with_header("etag", tag),
            None => reply,
        })
    }

    pub(crate) fn patch_row(
        &mut self,
        call: &Call,
        object: &str,
        id: &str,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let body = call.object()?;
        let object = self.store.writable(object)?;
        conditional::check(call, &object, self.store.find(&object, id, access)?)?;
        let mut writing = Writing { access, faults: &mut self.faults };
        let changed = self.store.update(object.name, id, &body, &mut writing)?;
        Ok(Reply::nothing(changed.into()))
    }

    pub(crate) fn delete_row(
        &mut self,
        object: &str,
        id: &str,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let mut writing = Writing { access, faults: &mut self.faults };
        self.store.delete(object, id, &mut writing).map(Reply::nothing)
    }

    /// The record with this external id.
    pub(crate) fn get_by_external_id(
        &mut self,
        call: &Call,
        base: &str,
        key: ExternalKey<'_>,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        match self.find_external(key, access)?.as_slice() {
            [] => Err(ApiError::not_found()),
            [one] => self.get_row(call, base, key.0, one, access),
            many => Ok(self.several(base, key.0, many)),
        }
    }

    pub(crate) fn delete_by_external_id(
        &mut self,
        base: &str,
        key: ExternalKey<'_>,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        match self.find_external(key, access)?.as_slice() {
            [] => Err(ApiError::not_found()),
            [one] => self.delete_row(key.0, one, access),
            many => Ok(self.several(base, key.0, many)),
        }
    }

    /// Creates the record with this external id, or changes it. Several records with it: 300, and nothing is written.
    pub(crate) fn upsert(
        &mut self,
        call: &Call,
        base: &str,
        version: u32,
        key: ExternalKey<'_>,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let body = call.object()?;
        let found = self.find_external(key, access)?;
        if found.len() > 1 {
            return Ok(self.several(base, key.0, &found));
        }
        let update_only = call.param("updateOnly").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if found.is_empty() && update_only {
            return Err(ApiError::not_found());
        }
        let (id, created, changed) = self.put_external(key, found.first(), body, access)?;
        let object = self.store.table(key.0)?.object.name;
        // Older versions answer an update with 204, and say nothing of what they did otherwise.
        let mut reply = match (created, version >= 46) {
            (true, _) => Reply::created(&id, format!("{base}/sobjects/{object}/{id}")),
            (false, true) => Reply::ok(json!({ "id": id, "success": true, "errors": [] })),
            (false, false) => Reply::nothing(0),
        };
        if let Some(Value::Object(body)) = reply.body.as_mut().filter(|_| version >= 46) {
            body.insert("created".into(), created.into());
        }
        reply.changed = u64::from(changed);
        Ok(reply)
    }

    /// Creates or changes the record of an external id: its id, whether it was created, and whether a value changed.
    pub(crate) fn put_external(
        &mut self,
        (object, field, value): ExternalKey<'_>,
        found: Option<&String>,
        mut body: Map<String, Value>,
        access: &Access<'_>,
    ) -> Result<(String, bool, bool), ApiError> {
        if let Some(name) = body.keys().find(|name| name.eq_ignore_ascii_case(field)) {
            let text = format!("The {name} field should not be specified in the sobject data.");
            return Err(ApiError::bad("INVALID_FIELD", text).of(name));
        }
        let mut writing = Writing { access, faults: &mut self.faults };
        match found {
            Some(id) => {
                let changed = self.store.update(object, id, &body, &mut writing)?;
                Ok((id.clone(), false, changed))
            }
            None => {
                body.insert(field.to_owned(), value.into());
                self.store.create(object, &body, &mut writing).map(|id| (id, true, true))
            }
        }
    }

    /// The live records with this external id that the user may see.
    pub(crate) fn find_external(
        &self,
        (object, field, value): ExternalKey<'_>,
        access: &Access<'_>,
    ) -> Result<Vec<String>, ApiError> {
        let table = self.store.table(object)?;
        let field = access.field(&table.object, field).filter(|field| field.is_external_id);
        let field = field.ok_or_else(|| ApiError::no_external_id(value))?;
        Ok(table.by_external_id(&field.name, value).to_vec())
    }

    /// 300, with the addresses of the records.
    fn several(&self, base: &str, object: &str, ids: &[String]) -> Reply {
        let name = self.store.table(object).map(|table| table.object.name).unwrap_or_default();
        let addresses = ids.iter().map(|id| format!("{base}/sobjects/{name}/{id}")).collect();
        Reply { status: 300, ..Reply::ok(addresses) }
    }

    /// A record as answers show it: what it is, and the fields asked for.
    pub(crate) fn view(&self, base: &str, object: &Object, record: &Record, names: &[String]) -> Value {
        let url = format!("{base}/sobjects/{}/{}", object.name, record.id);
        let mut view = Map::new();
        view.insert("attributes".into(), json!({ "type": object.name, "url": url }));
        for name in names {
            view.insert(name.clone(), record.value(name, &self.store.user));
        }
        Value::Object(view)
    }
}

/// The fields of `?fields=A,B`, and the id, which comes with any choice.
pub(crate) fn chosen(object: &Object, list: &str, access: &Access<'_>) -> Result<Vec<String>, ApiError> {
    let mut names = Vec::new();
    for name in list.split(',').map(str::trim) {
        let field = access.field(object, name).ok_or_else(|| ApiError::no_field(name, object.name))?;
        if !names.contains(&field.name) {
            names.push(field.name.clone());
        }
    }
    if !names.iter().any(|name| name == "Id") {
        names.push("Id".into());
    }
    Ok(names)
}

/// A field as describe calls show it.
pub(crate) fn describe_field(field: &Field) -> Value {
    let (kind, length) = match &field.kind {
        Kind::Id => ("id", 18),
        Kind::Text(max) => ("string", *max),
        Kind::LongText(max) => ("textarea", *max),
        Kind::Email => ("email", 80),
        Kind::Boolean => ("boolean", 0),
        Kind::Integer => ("int", 0),
        Kind::Number => ("double", 0),
        Kind::Date => ("date", 0),
        Kind::DateTime => ("datetime", 0),
        Kind::Reference(_) => ("reference", 18),
    };
    let target: Vec<&str> = if let Kind::Reference(target) = field.kind { vec![target] } else { Vec::new() };
    json!({
        "name": field.name,
        "label": label(&field.name),
        "type": kind,
        "length": length,
        "createable": field.is_writable,
        "updateable": field.is_writable,
        "nillable": !field.is_required,
        "filterable": field.is_filterable(),
        "externalId": field.is_external_id,
        "unique": field.is_unique,
        "custom": field.name.ends_with("__c"),
        "referenceTo": target,
        "relationshipName": field.relationship(),
    })
}
