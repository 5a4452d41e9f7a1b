//! The `lists` part of a connector document, which calls may say otherwise of themselves: records, page size, the way on.

use super::short::short_form;
use super::{FilterText, Ordered, PathText, Text};
use schemars::JsonSchema;
use serde::Deserialize;

/// How lists answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Lists")]
pub struct ListsDoc {
    /// Where the records of a list are. Default: `$`, the answer itself.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub items: Option<PathText>,
    /// The query parameter that asks for a page size, and the size: `{ limit: 100 }`. A call with a JSON body says its size there.
    /// Default: none.
    #[serde(default)]
    #[schemars(with = "Ordered<u32>", extend("minProperties" = 1, "maxProperties" = 1))]
    pub page_size: Option<Ordered<u32>>,
    /// How one page leads to the next. Default: `none`.
    #[serde(default)]
    #[schemars(with = "PagesDoc")]
    pub pages: Option<PagesDoc>,
}

/// How one page leads to the next.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Paging")]
pub enum PagesDoc {
    /// One page is all there is.
    None,
    /// A value of this page asks for the next.
    Cursor(CursorPageDoc),
    /// The answer holds the next page's URL, here.
    NextUrl(NextUrlDoc),
    /// The answer's `Link` header names the next page (`rel="next"`).
    LinkHeader,
    /// Pages are numbered.
    Page(PageDoc),
    /// The next page is asked for by the number of records read so far.
    Offset(OffsetDoc),
}

short_form! {
    /// Where the next page's URL is.
    NextUrlDoc, "a JSONPath such as `$.next`, or `{ path, while }`", PathText, NextUrlLong
}

/// Where the next page's URL is, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Next page's URL")]
pub struct NextUrlLong {
    /// Where it is in the answer; none there ends the list.
    pub path: PathText,
    /// There is a next page while this holds for the answer. Default: while there is a URL.
    #[serde(default, rename = "while")]
    #[schemars(with = "FilterText")]
    pub more: Option<FilterText>,
}

/// A value of one page asks for the next. Give exactly one of `query`, `json` and `header`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Cursor paging")]
pub struct CursorPageDoc {
    /// The query parameter that takes the value.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub query: Option<Text>,
    /// The place in the JSON body that takes it.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub json: Option<PathText>,
    /// The header that takes it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub header: Option<Text>,
    /// Where the value is in the answer; no value there ends the list.
    pub value: PathText,
    /// There is a next page while this holds for the answer. Default: while there is a value.
    #[serde(default, rename = "while")]
    #[schemars(with = "FilterText")]
    pub more: Option<FilterText>,
}

/// Numbered pages; a page without records ends the list. Give exactly one of `query`, `json` and `header`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Numbered pages")]
pub struct PageDoc {
    /// The query parameter that takes the number.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub query: Option<Text>,
    /// The place in the JSON body that takes it.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub json: Option<PathText>,
    /// The header that takes it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub header: Option<Text>,
    /// The number of the first page. Default: 1.
    #[serde(default)]
    #[schemars(with = "u32")]
    pub first: Option<u32>,
    /// There is a next page while this holds for the answer. Default: until a page has no records.
    #[serde(default, rename = "while")]
    #[schemars(with = "FilterText")]
    pub more: Option<FilterText>,
}

/// Offset paging; a page without records ends the list. Give one of `query`, `json` and `header`, or none of them where the number stands
/// in a longer text of the call, such as a query: that text says `{offset}`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Offset paging")]
pub struct OffsetDoc {
    /// The query parameter that takes the number of records read so far.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub query: Option<Text>,
    /// The place in the JSON body that takes it.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub json: Option<PathText>,
    /// The header that takes it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub header: Option<Text>,
    /// What the first record counts as. Default: 0.
    #[serde(default)]
    #[schemars(with = "u32")]
    pub first: Option<u32>,
    /// There is a next page while this holds for the answer. Default: until a page has no records.
    #[serde(default, rename = "while")]
    #[schemars(with = "FilterText")]
    pub more: Option<FilterText>,
}
