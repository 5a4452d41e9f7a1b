//! The file of a mapping's recorded exchanges: `recorded/<mapping>.json`. It holds no secret by construction: requests are written as
//! the connector builds them with placeholders for secrets, answers are scrubbed.

use anyhow::Context;
use bothways_connector::Operation;
use bothways_mapping::path::parse_singular;
use bothways_model::{RemoteId, Request, Response, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A mapping's recorded exchanges.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recording {
    /// When they were recorded.
    pub(crate) at: Timestamp,
    /// Whether texts of records were replaced.
    pub(crate) anonymised: bool,
    /// The variables that were set, by name, without secrets.
    pub(crate) variables: BTreeMap<String, String>,
    /// The exchanges, in the order in which they were made.
    pub(crate) exchanges: Vec<Exchange>,
}

/// One operation, what was sent for it, what came back, and how that reads.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// What was asked.
    pub(crate) operation: Asked,
    /// Requests and answers, in order.
    pub(crate) calls: Vec<Call>,
    /// The records that were read.
    pub(crate) records: Vec<Read>,
}

/// A read that can be asked for again. Lists go on for as many pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Asked {
    /// All records.
    List {
        /// So many pages at most.
        pages: usize,
    },
    /// One record.
    Get {
        /// Which.
        id: String,
    },
    /// A lookup.
    Find {
        /// The path that is looked up.
        path: String,
        /// For this value.
        value: String,
    },
    /// What changed since a moment.
    Since {
        /// The moment.
        since: Timestamp,
        /// So many pages at most.
        pages: usize,
    },
}

/// A request and its answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// What is sent, without credentials.
    pub(crate) request: Request,
    /// What came back.
    pub(crate) answer: Answer,
}

/// An answer, readable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Its headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body: JSON, or text that is none.
    pub(crate) body: Json,
    /// The body is text and no JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) text: bool,
}

/// A record as the mapping reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    /// Its id.
    pub(crate) id: String,
    /// It says that it is deleted; its fields are not read then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
    /// What each field is, by label. A field that is absent is not here.
    pub(crate) fields: BTreeMap<String, Json>,
    /// Why a field cannot be read, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) refused: BTreeMap<String, String>,
}

impl Asked {
    /// How many pages it may go on for.
    pub(crate) fn pages(&self) -> usize {
        match self {
            Asked::List { pages } | Asked::Since { pages, .. } => *pages,
            Asked::Get { .. } | Asked::Find { .. } => 1,
        }
    }

    /// The operation, from this page on.
    ///
    /// # Errors
    /// The path of a lookup is none.
    pub(crate) fn operation(
        &self,
        page: Option<bothways_connector::PageCursor>,
    ) -> anyhow::Result<Operation> {
        Ok(match self {
            Asked::List { .. } => Operation::List { page },
            Asked::Get { id } => Operation::Get { id: RemoteId(id.clone()) },
            Asked::Find { path, value } => {
                let path =
                    parse_singular(path).map_err(|_| anyhow::anyhow!("`{path}` is no path to one place"))?;
                Operation::Find { path, value: value.clone() }
            }
            Asked::Since { since, .. } => Operation::Since { since: *since, page },
        })
    }

    /// A name for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Asked::List { .. } => "list".into(),
            Asked::Get { id } => format!("get {id}"),
            Asked::Find { path, .. } => format!("find {path}"),
            Asked::Since { since, .. } => format!("since {}", since.to_rfc3339()),
        }
    }
}

impl Answer {
    /// What a file can hold of an answer.
    pub(crate) fn of(response: &Response) -> Self {
        let (body, text) = match serde_json::from_slice(&response.body) {
            Ok(json) => (json, false),
            Err(_) => (String::from_utf8_lossy(&response.body).into(), !response.body.is_empty()),
        };
        Self { status: response.status, headers: response.headers.clone(), body, text }
    }

    /// The answer as a connector reads it.
    pub(crate) fn response(&self) -> Response {
        let body = match &self.body {
            Json::String(text) if self.text || text.is_empty() => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        };
        Response { status: self.status, headers: self.headers.clone(), body }
    }
}

/// Where a mapping's recording is, in a folder of documents.
pub(crate) fn path(folder: &Path, mapping: &str) -> PathBuf {
    folder.join("recorded").join(format!("{mapping}.json"))
}

/// Reads a recording.
///
/// # Errors
/// The file cannot be read, or is none.
pub(crate) fn read(path: &Path) -> anyhow::Result<Recording> {
    let show = path.display();
    let text = std::fs::read_to_string(path).with_context(|| show.to_string())?;
    serde_json::from_str(&text)
        .with_context(|| format!("{show} is no recording; `bothways record` makes it anew"))
}
