//! Which endpoint a path means.

use super::access::Access;
use super::call::Call;
use super::errors::ApiError;
use super::org::Salesforce;
use super::reply::Reply;
use bothways_model::Method;
use serde_json::{Map, Value, json};

impl Salesforce {
    /// Answers a request for data, whose path has `parts` behind `/services/data/`.
    pub(crate) fn route(
        &mut self,
        call: &Call,
        parts: &[String],
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (version, parts) = parts.split_first().ok_or_else(ApiError::not_found)?;
        let number = read_version(version).ok_or_else(ApiError::not_found)?;
        let base = format!("/services/data/{version}");
        match (parts, call.method) {
            ([], Method::Get) => Ok(Reply::ok(self.directory(call, &base))),
            (["limits"], Method::Get) => {
                let (used, limit) = self.allowance(access.now);
                let left = limit.saturating_sub(used);
                Ok(Reply::ok(json!({ "DailyApiRequests": { "Max": limit, "Remaining": left } })))
            }
            (["query"], Method::Get) => self.query(call, &base, false, access),
            (["queryAll"], Method::Get) => self.query(call, &base, true, access),
            (["query" | "queryAll", locator], Method::Get) => self.query_more(locator, &base, access),
            (["sobjects"], Method::Get) => Ok(Reply::ok(self.describe_global(&base))),
            (["sobjects", object, "describe"], Method::Get) => self.describe(object, access),
            (["composite", "sobjects", parts @ ..], _) => self.collection(call, &base, parts, access),
            (["sobjects", object, "updated"], Method::Get) => self.updated(call, object, access),
            (["sobjects", object, "deleted"], Method::Get) => self.deleted(call, object, access),
            (["sobjects", object], Method::Post) => self.post_row(call, &base, object, access),
            (["sobjects", object, id], Method::Get) => self.get_row(call, &base, object, id, access),
            (["sobjects", object, id], Method::Patch) => self.patch_row(call, object, id, access),
            (["sobjects", object, id], Method::Delete) => self.delete_row(object, id, access),
            (["sobjects", object, field, value], method) => {
                let key = (*object, *field, *value);
                match method {
                    Method::Get => self.get_by_external_id(call, &base, key, access),
                    Method::Patch => self.upsert(call, &base, number, key, access),
                    Method::Delete => self.delete_by_external_id(&base, key, access),
                    _ => Err(ApiError::method(call.method.as_str(), "GET,PATCH,DELETE,HEAD")),
                }
            }
            (["sobjects", _, _], _) => Err(ApiError::method(call.method.as_str(), "DELETE,GET,HEAD,PATCH")),
            (["sobjects", _], _) => Err(ApiError::method(call.method.as_str(), "GET,HEAD,POST")),
            (["query" | "queryAll", ..], _) => Err(ApiError::method(call.method.as_str(), "GET,HEAD")),
            _ => Err(ApiError::not_found()),
        }
    }

    fn directory(&self, call: &Call, base: &str) -> Value {
        let names = ["sobjects", "query", "queryAll", "limits", "composite"];
        let mut all: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), format!("{base}/{name}").into())).collect();
        let identity = format!("{}/id/{}/{}", call.instance, self.store.organization, self.store.user);
        all.insert("identity".into(), identity.into());
        Value::Object(all)
    }

    fn describe_global(&self, base: &str) -> Value {
        let view = |object: &super::objects::Object| {
            let url = format!("{base}/sobjects/{}", object.name);
            json!({
                "name": object.name,
                "keyPrefix": object.prefix,
                "createable": object.is_writable,
                "updateable": object.is_writable,
                "deletable": object.is_writable,
                "urls": { "sobject": url, "describe": format!("{url}/describe"), "rowTemplate": format!("{url}/{{ID}}") },
            })
        };
        let all: Vec<Value> = self.store.objects().map(|object| view(object)).collect();
        json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": all })
    }

    fn describe(&self, object: &str, access: &Access<'_>) -> Result<Reply, ApiError> {
        let object = &self.store.table(object)?.object;
        let shown = object.fields.iter().filter(|field| access.shows(field));
        let fields: Vec<Value> = shown.map(super::rows::describe_field).collect();
        Ok(Reply::ok(json!({
            "name": object.name,
            "keyPrefix": object.prefix,
            "createable": object.is_writable,
            "updateable": object.is_writable,
            "deletable": object.is_writable,
            "replicateable": true,
            "fields": fields,
        })))
    }
}

/// The number in `v62.0`, for the versions that are still served.
fn read_version(part: &str) -> Option<u32> {
    let number = part.strip_prefix('v')?.strip_suffix(".0")?.parse().ok()?;
    (31..=65).contains(&number).then_some(number)
}
