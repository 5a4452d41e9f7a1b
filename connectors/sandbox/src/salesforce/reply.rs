//! What an endpoint says, before the headers that every answer has.

use crate::executed::Executed;
use serde_json::{Value, json};

/// What an endpoint says.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    pub(crate) headers: Vec<(String, String)>,
    /// How many records were changed, created ones included.
    pub(crate) changed: u64,
    pub(crate) created: u64,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body), ..Self::default() }
    }

    /// 204, which has no body.
    pub(crate) fn nothing(changed: u64) -> Self {
        Self { status: 204, changed, ..Self::default() }
    }

    /// 201 for a new record.
    pub(crate) fn created(id: &str, location: String) -> Self {
        let body = json!({ "id": id, "success": true, "errors": [] });
        let headers = vec![("location".into(), location)];
        Self { status: 201, body: Some(body), headers, changed: 1, created: 1 }
    }

    pub(crate) fn with_header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.into(), value));
        self
    }

    pub(crate) fn into_executed(self) -> Executed {
        let body = self.body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let mut executed = Executed::unexecuted(self.status, body);
        if !executed.body.is_empty() {
            executed.headers.push(("content-type".into(), "application/json;charset=UTF-8".into()));
        }
        executed.headers.extend(self.headers);
        executed.executed = true;
        executed.changed = self.changed;
        executed.created = self.created;
        executed
    }
}
