//! By what an incremental list goes on.

use super::{CallText, DurationText, PathText, Text, TimeWord};
use schemars::JsonSchema;
use serde::Deserialize;

/// The time of a record by which an incremental list goes on.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Time cursor")]
pub struct CursorDoc {
    /// Where a record says when it changed.
    pub path: PathText,
    /// How that is written.
    #[serde(rename = "as")]
    pub format: TimeWord,
    /// How `{since}` is written in the call, if otherwise.
    #[serde(default)]
    #[schemars(with = "TimeWord")]
    pub send: Option<TimeWord>,
    /// What orders records of one moment, if the service orders them.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub tie: Option<PathText>,
    /// How late a change may become visible; so much is read again each time. Default: `0s`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub lag: Option<DurationText>,
}

/// A token that the service gives at the end of a list, and with which the next one shows only what changed since. Give exactly one of
/// `query`, `json`, `header` and `url`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Sync token")]
pub struct SyncTokenDoc {
    /// The query parameter that takes the token.
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
    /// True if the token is the URL to ask next.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub url: Option<bool>,
    /// Where the token is in the last page.
    pub value: PathText,
    /// The call that gives the first token, for changes from now on; a full pass follows it. Default: the list without a token, which
    /// shows everything and ends with one.
    #[serde(default)]
    #[schemars(with = "CallText")]
    pub start: Option<CallText>,
}
