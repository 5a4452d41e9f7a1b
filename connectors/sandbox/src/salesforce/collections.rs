//! Up to 200 records in one request: each succeeds or fails on its own, and the answer is 200 either way.

use super::access::Access;
use super::call::Call;
use super::errors::ApiError;
use super::faults::Action;
use super::org::Salesforce;
use super::record_id::to_18;
use super::reply::Reply;
use super::rows::chosen;
use super::store::Store;
use super::write::Writing;
use bothways_model::Method;
use serde_json::{Map, Value, json};

/// The platform's limits.
const MAX_RECORDS: usize = 200;
const MAX_CHUNKS: usize = 10;

/// What became of one record.
struct Outcome {
    id: String,
    /// For upserts alone: whether it was created.
    created: Option<bool>,
    changed: u64,
    creates: u64,
}

type Outcomes = Vec<(Option<String>, Result<Outcome, ApiError>)>;

impl Salesforce {
    /// Answers below `/composite/sobjects`.
    pub(crate) fn collection(
        &mut self,
        call: &Call,
        base: &str,
        parts: &[&str],
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        match (parts, call.method) {
            ([], Method::Post) => {
                self.each_record(call, access, |org, record| org.create_one(record, access))
            }
            ([], Method::Patch) => {
                self.each_record(call, access, |org, record| org.update_one(record, access))
            }
            ([], Method::Delete) => self.delete_each(call, access),
            ([object, field], Method::Patch) => {
                self.each_record(call, access, |org, record| org.upsert_one(object, field, record, access))
            }
            ([object], Method::Get) => {
                let (ids, fields) =
                    (call.param("ids").unwrap_or_default(), call.param("fields").unwrap_or_default());
                self.get_each(base, object, &split(&ids), &fields, access)
            }
            ([object], Method::Post) => {
                let body = call.object()?;
                let list = |name: &str| {
                    let items = body.get(name).and_then(Value::as_array).into_iter().flatten();
                    items.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
                };
                self.get_each(base, object, &list("ids"), &list("fields").join(","), access)
            }
            _ => Err(ApiError::method(call.method.as_str(), "DELETE,GET,HEAD,PATCH,POST")),
        }
    }

    fn each_record(
        &mut self,
        call: &Call,
        access: &Access<'_>,
        act: impl Fn(&mut Self, &mut Map<String, Value>) -> Result<Outcome, ApiError>,
    ) -> Result<Reply, ApiError> {
        let mut body = call.object()?;
        let Some(Value::Array(records)) = body.remove("records") else {
            return Err(ApiError::bad("REQUIRED_FIELD_MISSING", "records is required").of("records"));
        };
        check_count(records.len())?;
        let kind = |record: &Value| {
            record.pointer("/attributes/type").and_then(Value::as_str).map(str::to_lowercase)
        };
        let changes = records.windows(2).filter(|pair| kind(&pair[0]) != kind(&pair[1])).count();
        if changes >= MAX_CHUNKS {
            let text = "Cannot have more than 10 chunks in a single operation. Please rearrange the data to reduce chunking.";
            return Err(ApiError::bad("LIMIT_EXCEEDED", text));
        }
        let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
        let before = all_or_none.then(|| self.store.clone());
        let mut outcomes = Vec::new();
        for record in records {
            let Value::Object(mut record) = record else {
                return Err(ApiError::unreadable("Cannot deserialize records: an object is expected"));
            };
            let id = record.iter().find(|(name, _)| name.eq_ignore_ascii_case("id"));
            let id = id.and_then(|(_, id)| id.as_str()).map(str::to_owned);
            outcomes.push((id, act(self, &mut record)));
        }
        let mut reply = self.results(outcomes, before);
        let is_missing = |action: &Action| (*action == Action::ResultMissing).then_some(());
        if access.take(is_missing).is_some()
            && let Some(Value::Array(results)) = &mut reply.body
            && !results.is_empty()
        {
            results.remove(0);
        }
        Ok(reply)
    }

    fn create_one(
        &mut self,
        record: &mut Map<String, Value>,
        access: &Access<'_>,
    ) -> Result<Outcome, ApiError> {
        let object = type_of(record)?;
        let mut writing = Writing { access, faults: &mut self.faults };
        let id = self.store.create(&object, record, &mut writing)?;
        Ok(Outcome { id, created: None, changed: 1, creates: 1 })
    }

    fn update_one(
        &mut self,
        record: &mut Map<String, Value>,
        access: &Access<'_>,
    ) -> Result<Outcome, ApiError> {
        let object = type_of(record)?;
        let name = record.keys().find(|name| name.eq_ignore_ascii_case("id")).cloned();
        let id = name.and_then(|name| record.remove(&name));
        let Some(Value::String(id)) = id else {
            return Err(ApiError::bad("MISSING_ARGUMENT", "Id not specified in an update call"));
        };
        let mut writing = Writing { access, faults: &mut self.faults };
        let changed = self.store.update(&object, &id, record, &mut writing)?;
        Ok(Outcome { id: to_18(&id).unwrap_or(id), created: None, changed: changed.into(), creates: 0 })
    }

    fn upsert_one(
        &mut self,
        object: &str,
        field: &str,
        record: &mut Map<String, Value>,
        access: &Access<'_>,
    ) -> Result<Outcome, ApiError> {
        let name = record.keys().find(|name| name.eq_ignore_ascii_case(field)).cloned();
        let value = name.and_then(|name| record.remove(&name));
        let Some(Value::String(value)) = value else {
            let text = format!("{field} not specified");
            return Err(ApiError::bad("MISSING_ARGUMENT", text).of(field));
        };
        let key = (object, field, value.as_str());
        let found = self.find_external(key, access)?;
        if found.len() > 1 {
            let ids = found.join(", ");
            let text = format!("{field}: more than one record found for external id field: [{ids}]");
            return Err(ApiError::bad("DUPLICATE_EXTERNAL_ID", text).of(field));
        }
        let (id, created, changed) = self.put_external(key, found.first(), std::mem::take(record), access)?;
        Ok(Outcome { id, created: Some(created), changed: changed.into(), creates: created.into() })
    }

    fn delete_each(&mut self, call: &Call, access: &Access<'_>) -> Result<Reply, ApiError> {
        let ids = split(&call.param("ids").unwrap_or_default());
        check_count(ids.len())?;
        let all_or_none = call.param("allOrNone").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let before = all_or_none.then(|| self.store.clone());
        let mut outcomes = Vec::new();
        for id in ids {
            let outcome = match self.store.object_of(&id) {
                None => Err(ApiError::bad("MALFORMED_ID", format!("malformed id {id}"))),
                Some(object) => {
                    let mut writing = Writing { access, faults: &mut self.faults };
                    let deleted = self.store.delete(object.name, &id, &mut writing);
                    let id = to_18(&id).unwrap_or_else(|| id.clone());
                    deleted.map(|changed| Outcome { id, created: None, changed, creates: 0 })
                }
            };
            outcomes.push((Some(id), outcome));
        }
        Ok(self.results(outcomes, before))
    }

    /// The records with these ids in their order, null for one that is not there.
    fn get_each(
        &self,
        base: &str,
        object: &str,
        ids: &[String],
        fields: &str,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let object = self.store.table(object)?.object.clone();
        // The platform takes 800 ids in an address and 2,000 in a body.
        if ids.is_empty() || ids.len() > 2_000 {
            return Err(ApiError::bad("MALFORMED_ID", "ids: 1 to 2,000 are needed"));
        }
        let names = chosen(&object, fields, access)?;
        let view = |id: &String| match self.store.find(&object, id, access) {
            Ok(record) => self.view(base, &object, record, &names),
            Err(_) => Value::Null,
        };
        Ok(Reply::ok(ids.iter().map(view).collect()))
    }

    /// The results in the order of the records; where one failed and all were wanted, all goes back to what was `before`.
    fn results(&mut self, outcomes: Outcomes, before: Option<Store>) -> Reply {
        let fails = outcomes.iter().any(|(_, outcome)| outcome.is_err());
        let rolls_back = match before.filter(|_| fails) {
            Some(before) => {
                self.store = before;
                true
            }
            None => false,
        };
        let (mut changed, mut created) = (0, 0);
        let mut result = |(id, outcome): (Option<String>, Result<Outcome, ApiError>)| match outcome {
            Ok(outcome) if !rolls_back => {
                changed += outcome.changed;
                created += outcome.creates;
                let mut result = json!({ "id": outcome.id, "success": true, "errors": [] });
                if let (Some(created), Value::Object(result)) = (outcome.created, &mut result) {
                    result.insert("created".into(), created.into());
                }
                result
            }
            failed => {
                let error = failed.err().unwrap_or_else(rolled_back).in_result();
                let mut result = json!({ "success": false, "errors": [error] });
                if let (Some(id), Value::Object(result)) = (id, &mut result) {
                    result.insert("id".into(), id.into());
                }
                result
            }
        };
        let body: Value = outcomes.into_iter().map(&mut result).collect();
        Reply { changed, created, ..Reply::ok(body) }
    }
}

fn rolled_back() -> ApiError {
    ApiError::bad(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "Record rolled back because not all records were valid and the request was using AllOrNone header",
    )
}

fn check_count(count: usize) -> Result<(), ApiError> {
    if count <= MAX_RECORDS {
        return Ok(());
    }
    Err(ApiError::bad(
        "EXCEEDED_ID_LIMIT",
        "record limit reached. cannot submit more than 200 records into this call",
    ))
}

fn type_of(record: &Map<String, Value>) -> Result<String, ApiError> {
    let kind = record.get("attributes").and_then(|a| a.get("type")).and_then(Value::as_str);
    kind.map(str::to_owned).ok_or_else(|| ApiError::bad("INVALID_TYPE", "attributes.type is required"))
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}
