//! An answer on its way through the pipeline, with what the log wants to know of how it came about.

use crate::errors::ApiError;
use bothways_model::Response;
use serde_json::Value;

/// An answer on its way through the pipeline.
pub(crate) struct Executed {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) executed: bool,
    /// How many records it changed.
    pub(crate) changed: u64,
    /// Of these, how many it created.
    pub(crate) created: u64,
    pub(crate) replayed: bool,
}

impl Executed {
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { executed: true, ..Self::unexecuted(200, body) }
    }

    /// An answer for which the endpoint was not executed.
    pub(crate) fn unexecuted(status: u16, body: Vec<u8>) -> Self {
        Self { status, body, headers: Vec::new(), executed: false, changed: 0, created: 0, replayed: false }
    }

    pub(crate) fn refused(error: &ApiError) -> Self {
        let headers = error.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { headers, ..Self::unexecuted(error.status, error.body()) }
    }

    /// Takes a field out of every customer in the body; whether there was one.
    pub(crate) fn hide(&mut self, field: &str) -> bool {
        let Ok(mut body) = serde_json::from_slice::<Value>(&self.body) else { return false };
        let hidden = hide_in(&mut body, field);
        if hidden {
            self.body = body.to_string().into_bytes();
        }
        hidden
    }

    pub(crate) fn into_response(self) -> Response {
        Response { status: self.status, headers: self.headers, body: self.body }
    }
}

fn hide_in(value: &mut Value, field: &str) -> bool {
    let mut hidden = false;
    match value {
        Value::Array(items) => {
            for item in items {
                hidden |= hide_in(item, field);
            }
        }
        Value::Object(map) => {
            if map.get("object").is_some_and(|object| object == "customer") {
                hidden |= map.shift_remove(field).is_some();
            }
            for inner in map.values_mut() {
                hidden |= hide_in(inner, field);
            }
        }
        _ => {}
    }
    hidden
}
