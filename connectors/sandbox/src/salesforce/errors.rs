//! Error answers with Salesforce's statuses, codes and wording: a list with one error, `[{message, errorCode, fields}]`.

use crate::executed::Executed;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// An error answer on its way out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
    /// The records that a duplicate rule found, as the error shows them.
    pub(crate) duplicates: Option<Box<Value>>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), fields: Vec::new(), duplicates: None }
    }

    /// 400 for a request that cannot be accepted.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// The same error, naming a field.
    pub(crate) fn of(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    pub(crate) fn session() -> Self {
        Self::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    pub(crate) fn deleted() -> Self {
        Self::new(404, "ENTITY_IS_DELETED", "entity is deleted")
    }

    /// An id that names no record (any more), or one that the user may not see.
    pub(crate) fn no_such_id() -> Self {
        Self::new(404, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    }

    pub(crate) fn no_external_id(value: &str) -> Self {
        Self::new(
            404,
            "NOT_FOUND",
            format!("Provided external ID field does not exist or is not accessible: {value}"),
        )
    }

    pub(crate) fn method(method: &str, allowed: &str) -> Self {
        let text = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
        Self::new(405, "METHOD_NOT_ALLOWED", text)
    }

    pub(crate) fn no_field(field: &str, object: &str) -> Self {
        Self::bad("INVALID_FIELD", format!("No such column '{field}' on sobject of type {object}"))
    }

    pub(crate) fn unreadable(what: &str) -> Self {
        Self::bad("JSON_PARSER_ERROR", format!("{what} at [line:1, column:1]"))
    }

    pub(crate) fn locked(ids: &str) -> Self {
        Self::bad(
            "UNABLE_TO_LOCK_ROW",
            format!("unable to obtain exclusive access to this record or 1 records: {ids}"),
        )
    }

    /// What the organisation's own rules and triggers say of a row.
    pub(crate) fn refused(code: &str) -> Self {
        Self { code: code.to_owned().into(), ..Self::bad("", "this record is refused") }
    }

    pub(crate) fn over_the_limit() -> Self {
        Self::new(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, "INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id")
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(503, "SERVER_UNAVAILABLE", "The server is unavailable; try again later")
    }

    pub(crate) fn server_error() -> Self {
        Self::new(
            500,
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (0)",
        )
    }

    pub(crate) fn precondition() -> Self {
        Self::new(412, "PRECONDITION_FAILED", "The specified precondition failed")
    }

    /// The error as one item of the list that is answered.
    fn view(&self) -> Value {
        let mut view = Map::new();
        if let Some(duplicates) = &self.duplicates {
            // The name is misspelt at Salesforce too.
            view.insert("duplicateResut".into(), (**duplicates).clone());
        }
        view.insert("message".into(), self.message.clone().into());
        view.insert("errorCode".into(), self.code.clone().into());
        if !self.fields.is_empty() || self.status == 400 {
            view.insert("fields".into(), json!(self.fields));
        }
        Value::Object(view)
    }

    /// The error as a part of one record's result in a collection, where the code has another name.
    pub(crate) fn in_result(&self) -> Value {
        json!({ "statusCode": self.code, "message": self.message, "fields": self.fields })
    }

    /// The answer for a request that this error refuses.
    pub(crate) fn refuse(&self) -> Executed {
        let body = Value::Array(vec![self.view()]).to_string().into_bytes();
        let mut refused = Executed::unexecuted(self.status, body);
        refused.headers.push(("content-type".into(), "application/json;charset=UTF-8".into()));
        refused
    }
}
