//! What all stand-ins share: how one is driven, and how it reads a request.

use crate::support::connect;
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{FieldWrites, ResourceQuery};
use bothways_model::{Method, Request, Response, Timestamp};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

/// What the suite writes into a stand-in.
pub(crate) struct Script<'a> {
    /// How many records: more than a page of them.
    pub(crate) records: usize,
    /// The fields of record number n.
    pub(crate) record: &'a dyn Fn(usize) -> FieldWrites,
    /// A change of a record.
    pub(crate) change: FieldWrites,
}

/// The moment at which everything happens.
pub(crate) fn now() -> Timestamp {
    chrono::DateTime::from_timestamp(1_795_000_000, 0).expect("a moment")
}

/// Drives the resource `name` of a document through the shared suite, against `answer`.
pub(crate) fn conforms(
    document: &str,
    vars: &[(&str, &str)],
    name: &str,
    script: Script<'_>,
    answer: &mut dyn FnMut(&Request) -> Response,
) {
    let connector = connect(document, vars);
    let fields = (script.record)(0).into_iter().chain(script.change.iter().cloned());
    let paths: Vec<_> = fields.map(|(path, _)| path).collect();
    check(Bench {
        connector: &connector,
        resource: ResourceQuery {
            name: name.into(),
            paths: paths.clone(),
            written: paths,
            ..ResourceQuery::default()
        },
        send: &mut |request| Some(answer(request)),
        deliveries: None,
        now: now(),
        records: script.records,
        record: script.record,
        change: script.change,
    });
}

/// A request as a service reads it.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The segments of the path, decoded.
    pub(crate) path: Vec<String>,
    /// The query, decoded; of a repeated name the last.
    pub(crate) query: BTreeMap<String, String>,
    /// The body: JSON as it is, a form as an object of texts by their full names, nothing as null.
    pub(crate) body: Json,
}

impl Asked {
    pub(crate) fn read(request: &Request) -> Self {
        let url = Url::parse(&request.url).expect("URLs are absolute");
        let decode = |s: &str| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned();
        let body = match request.header("content-type") {
            Some("application/json") => serde_json::from_slice(&request.body).expect("bodies are JSON"),
            Some("application/x-www-form-urlencoded") => {
                let pairs = url::form_urlencoded::parse(&request.body).into_owned();
                Json::Object(pairs.map(|(name, value)| (name, Json::from(value))).collect())
            }
            other => {
                assert!(other.is_none() && request.body.is_empty(), "a body of the unknown kind {other:?}");
                Json::Null
            }
        };
        Self {
            method: request.method,
            path: url.path_segments().into_iter().flatten().map(decode).collect(),
            query: url.query_pairs().into_owned().collect(),
            body,
        }
    }

    /// Method and path, to match on.
    pub(crate) fn call(&self) -> (Method, Vec<&str>) {
        (self.method, self.path.iter().map(String::as_str).collect())
    }
}

/// The fields of an object; nothing for anything else.
pub(crate) fn members(body: &Json) -> Map<String, Json> {
    body.as_object().cloned().unwrap_or_default()
}

/// The answer for what is not there.
pub(crate) fn missing() -> Response {
    Response::json(404, &json!({"error": "no such thing"}))
}

/// An answer that is nothing but its status.
pub(crate) fn wordless(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: Vec::new() }
}
