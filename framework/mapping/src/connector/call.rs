//! One call, and how lists go on.

use super::Escape;
use super::Setting;
use crate::filter::Filter;
use crate::finding::Source;
use crate::path::Query;
use crate::template::{JsonTemplate, Template};
use crate::units::RateLimit;
use bothways_model::{Method, SingularPath};

/// One call, with everything a default could say already said.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, appended to the base URL. Slots are percent-encoded; text is not.
    pub path: Template,
    /// Query parameters in order: those in the call line, then those of `query`. Nothing is percent-encoded yet.
    pub query: Vec<(String, Template)>,
    /// The JSON body.
    pub json: Option<JsonTemplate>,
    /// Headers of this call.
    pub headers: Vec<(String, Template)>,
    /// Where the records of a list answer are; read it with [`Query::items`].
    pub items: Query,
    /// How one page leads to the next.
    pub pages: Pages,
    /// The query parameter that asks for a page size, and the size.
    pub page_size: Option<(String, u32)>,
    /// How often it may be made, if less often than others.
    pub rate: Option<Setting<RateLimit>>,
    /// What the answer holds.
    pub returns: Returns,
    /// The call is made only if this holds for the record as last seen.
    pub when: Option<Filter>,
    /// The query language that `{value}` stands in.
    pub escape: Option<Escape>,
    /// Where the call is written.
    pub source: Source,
}

impl Call {
    /// Every text of the call that may have holes.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.path)
            .chain(self.query.iter().map(|(_, t)| t))
            .chain(self.headers.iter().map(|(_, t)| t))
            .chain(self.json.iter().flat_map(JsonTemplate::templates))
    }
}

/// How one page leads to the next.
#[derive(Clone, Debug, PartialEq)]
pub enum Pages {
    /// One page is all there is.
    None,
    /// A value of this page asks for the next.
    Cursor {
        /// Where the value goes.
        send: CursorPlace,
        /// Where it is in the answer; no value (or null) ends the list.
        value: Query,
        /// There is a next page only while this holds for the answer.
        more: Option<Filter>,
    },
    /// The answer holds the next page's URL; none (or null) ends the list.
    NextUrl {
        /// Where it is.
        path: Query,
        /// There is a next page only while this holds for the answer.
        more: Option<Filter>,
    },
    /// The answer's `Link` header names the next page (`rel="next"`).
    LinkHeader,
    /// Numbered pages; a page without records ends the list.
    Page {
        /// Where the number goes.
        send: CursorPlace,
        /// The first number.
        first: u32,
        /// There is a next page only while this holds for the answer.
        more: Option<Filter>,
    },
    /// The number of records read so far; a page without records ends the list.
    Offset {
        /// Where the number goes.
        send: CursorPlace,
        /// What the first record counts as.
        first: u32,
        /// There is a next page only while this holds for the answer.
        more: Option<Filter>,
    },
}

/// Where a cursor or a number goes in the next request.
#[derive(Clone, Debug, PartialEq)]
pub enum CursorPlace {
    /// A query parameter.
    Query(String),
    /// A place in the JSON body.
    Json(SingularPath),
    /// A header.
    Header(String),
    /// The call says itself where, as `{offset}`.
    Text,
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Returns {
    /// The record.
    Record,
    /// Nothing of use.
    Nothing,
    /// The record's id, here.
    Id(Query),
}
