//! The `resources` part of a connector document: kinds of remote records and the calls they have.

use super::short::short_form;
use super::{
    CallText, CursorDoc, FactDoc, FilterText, Free, IdDoc, LookupDoc, Name, NormalizeWord, Ordered, PagesDoc,
    PathText, RateText, SendsDoc, SyncTokenDoc, Text, TimeAtDoc,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A kind of remote record. A call that is not here means that the API cannot do it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Resource")]
pub struct ResourceDoc {
    /// Names that a mapping fills with `remote.with`; calls use them as `{name}`.
    #[serde(default)]
    #[schemars(with = "Vec<Name>")]
    pub params: Option<Vec<Name>>,
    /// Where a record's id is. Several paths make one id together; calls then use its parts as `{id_1}`, `{id_2}`.
    pub id: IdDoc,
    /// Where one record sits in an answer that is no list. Default: `$`, the answer is the record.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub item: Option<PathText>,
    /// Where a record goes in a request, such as `$.customer` or `$.customers[0]`. Default: `$`, the body is the record.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub wrap: Option<PathText>,
    /// Where a record's fields live; `{fields}` lists names below it. Default: `$`.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub fields_under: Option<PathText>,
    /// Names that `{fields}` always holds.
    #[serde(default)]
    #[schemars(with = "Vec<Text>")]
    pub extra_fields: Option<Vec<Text>>,
    /// Paths below which an absent key means null. Everywhere else absent means unknown. Default: none.
    #[serde(default)]
    #[schemars(with = "Vec<PathText>")]
    pub sparse: Option<Vec<PathText>>,
    /// When the record was last modified, by the service's clock.
    #[serde(default)]
    #[schemars(with = "TimeAtDoc")]
    pub changed_at: Option<TimeAtDoc>,
    /// A version that is another one after each change: a place in the record, or `{ header: ETag }` of the answer to `get`. Default: none.
    #[serde(default)]
    #[schemars(with = "FactDoc")]
    pub version: Option<FactDoc>,
    /// Names for ids, out of other lists of the service: the path at which mappings read and write the name, to where it comes from.
    /// The record needs to hold nothing at that path. An id that the list does not show parks what needs its name, and so does a name
    /// that no entry has, or several.
    #[serde(default)]
    pub lookups: Ordered<LookupDoc>,
    /// Lists all records.
    #[serde(default)]
    #[schemars(with = "ListDoc")]
    pub list: Option<ListDoc>,
    /// Reads one record by `{id}`.
    #[serde(default)]
    #[schemars(with = "ReadDoc")]
    pub get: Option<ReadDoc>,
    /// Creates a record.
    #[serde(default)]
    #[schemars(with = "CreateDoc")]
    pub create: Option<CreateDoc>,
    /// Changes the record `{id}`; only changed mapped fields are sent, unless `sends` says otherwise.
    #[serde(default)]
    #[schemars(with = "UpdateDoc")]
    pub update: Option<UpdateDoc>,
    /// Deletes the record `{id}`.
    #[serde(default)]
    #[schemars(with = "DeleteDoc")]
    pub delete: Option<DeleteDoc>,
    /// Creates or updates by our own key: `{key}` is the link's UUID, `{stamp}` the name of the stamp's field.
    #[serde(default)]
    #[schemars(with = "CreateDoc")]
    pub upsert: Option<CreateDoc>,
    /// Lookups by natural key: the record's path to the call that looks `{value}` up.
    #[serde(default)]
    pub find: Ordered<FindDoc>,
    /// A consistent list, from `{since}` on, that proves whether an uncertain create arrived.
    #[serde(default)]
    #[schemars(with = "ListDoc")]
    pub recover: Option<ListDoc>,
    /// Lists the records changed since `{since}`.
    #[serde(default)]
    #[schemars(with = "SinceDoc")]
    pub since: Option<SinceDoc>,
    /// True for a record that the service calls deleted.
    #[serde(default)]
    #[schemars(with = "FilterText")]
    pub gone: Option<FilterText>,
    /// What each event type means for this resource.
    #[serde(default)]
    pub events: Ordered<EventEffectDoc>,
}

/// What an event type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Event effect")]
pub enum EventEffectDoc {
    /// The record was created or changed.
    Upsert,
    /// The record was deleted.
    Delete,
    /// Nothing.
    Ignore,
}

short_form! {
    /// A call that reads one record.
    ReadDoc, "a call such as `GET /v1/customers/{id}`, or a map with `call`", CallText, ReadLong
}

/// A call that reads one record, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Read call")]
pub struct ReadLong {
    /// Method and path.
    pub call: CallText,
    /// Query parameters. A list is joined by commas, or repeated for a name ending in `[]`.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call. A text that is exactly one placeholder takes its typed value.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
}

short_form! {
    /// A call that lists records.
    ListDoc, "a call such as `GET /v1/customers`, or a map with `call`", CallText, ListLong
}

/// A call that lists records, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "List call")]
pub struct ListLong {
    /// Method and path.
    pub call: CallText,
    /// Query parameters. A list is joined by commas, or repeated for a name ending in `[]`.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call. A text that is exactly one placeholder takes its typed value.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
    /// Where the records of the answer are, if otherwise than `lists.items`.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub items: Option<PathText>,
    /// How one page leads to the next, if otherwise than `lists.pages`.
    #[serde(default)]
    #[schemars(with = "PagesDoc")]
    pub pages: Option<PagesDoc>,
    /// Page size, if otherwise than `lists.page_size`.
    #[serde(default)]
    #[schemars(with = "Ordered<u32>", extend("minProperties" = 1, "maxProperties" = 1))]
    pub page_size: Option<Ordered<u32>>,
}

short_form! {
    /// A call that creates a record.
    CreateDoc, "a call such as `POST /v1/customers`, or a map with `call`", CallText, CreateLong
}

/// A call that creates a record, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Create call")]
pub struct CreateLong {
    /// Method and path.
    pub call: CallText,
    /// Query parameters. A list is joined by commas, or repeated for a name ending in `[]`.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call; the fields are added to it. A text that is exactly one placeholder takes its typed value.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
    /// What the answer holds. Default: `record`.
    #[serde(default)]
    #[schemars(with = "ReturnsDoc")]
    pub returns: Option<ReturnsDoc>,
}

short_form! {
    /// A call that changes a record.
    UpdateDoc, "a call such as `POST /v1/customers/{id}`, or a map with `call`", CallText, UpdateLong
}

/// A call that changes a record, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Update call")]
pub struct UpdateLong {
    /// Method and path.
    pub call: CallText,
    /// Query parameters. A list is joined by commas, or repeated for a name ending in `[]`.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call; the fields are added to it. A text that is exactly one placeholder takes its typed value.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
    /// What the answer holds. Default: `record`.
    #[serde(default)]
    #[schemars(with = "ReturnsDoc")]
    pub returns: Option<ReturnsDoc>,
    /// What the body holds. Default: `changed`.
    #[serde(default)]
    #[schemars(with = "SendsDoc")]
    pub sends: Option<SendsDoc>,
    /// Where the record's `version`, as it was read, goes along, so that the service refuses the write (409 or 412) once the record has
    /// changed: a place in the record that is sent, or `{ header: If-Match }`. Default: nowhere.
    #[serde(default)]
    #[schemars(with = "FactDoc")]
    pub if_match: Option<FactDoc>,
    /// The call is made only if this holds for the record as last seen; else the change parks with that reason.
    #[serde(default)]
    #[schemars(with = "FilterText")]
    pub when: Option<FilterText>,
}

short_form! {
    /// A call that deletes a record.
    DeleteDoc, "a call such as `DELETE /v1/customers/{id}`, or a map with `call`", CallText, DeleteLong
}

/// A call that deletes a record, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Delete call")]
pub struct DeleteLong {
    /// Method and path.
    pub call: CallText,
    /// Query parameters. A list is joined by commas, or repeated for a name ending in `[]`.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call. A text that is exactly one placeholder takes its typed value.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
    /// Where the record's `version`, as it was read, goes along, as in `update`. Default: nowhere.
    #[serde(default)]
    #[schemars(with = "FactDoc")]
    pub if_match: Option<FactDoc>,
    /// True if the service cannot undo it: a mapping that deletes must then say `confirm: irreversible`. Default: false.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub irreversible: Option<bool>,
    /// What the answer holds. Default: `record`.
    #[serde(default)]
    #[schemars(with = "ReturnsDoc")]
    pub returns: Option<ReturnsDoc>,
    /// The call is made only if this holds for the record as last seen; else the change parks with that reason.
    #[serde(default)]
    #[schemars(with = "FilterText")]
    pub when: Option<FilterText>,
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Answer")]
pub enum ReturnsDoc {
    /// The whole record.
    Record,
    /// Nothing of use: the record is read again where it is needed.
    Nothing,
    /// Only the record's id, here.
    Id(PathText),
}

/// A lookup by natural key.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Lookup")]
pub struct FindDoc {
    /// Method and path; `{value}` is what is looked up.
    pub call: CallText,
    /// Query parameters.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
    /// Where the records found are, if otherwise than `lists.items`. `$`: the answer is one record, and `missing` means none.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub items: Option<PathText>,
    /// The query language that `{value}` stands in: it is written as a text literal of that language, quotes included. Default: none,
    /// the value stands alone.
    #[serde(default)]
    #[schemars(with = "EscapeDoc")]
    pub escape: Option<EscapeDoc>,
    /// What the service folds when it compares. Default: nothing, it compares exactly.
    #[serde(default)]
    #[schemars(with = "Vec<NormalizeWord>")]
    pub folds: Option<Vec<NormalizeWord>>,
    /// True if the lookup sees the service's own latest writes, so that finding nothing proves absence. Default: false.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub consistent: Option<bool>,
}

/// A query language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Query language")]
pub enum EscapeDoc {
    /// Salesforce's: `'…'`, with backslashes before quotes and backslashes.
    Soql,
    /// SQL: `'…'`, with each `'` written twice. A value with a backslash is refused: dialects do not agree about it.
    Sql,
    /// Lucene and the many search languages like it: `"…"`, with backslashes before quotes and backslashes.
    Lucene,
}

/// An incremental list.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Incremental list")]
pub struct SinceDoc {
    /// Method and path.
    pub call: CallText,
    /// Query parameters.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// The JSON body of the call.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// Headers of this call.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How often this call may be made, if less often than others. Default: as often as `http.rate` says.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub rate: Option<RateText>,
    /// Where the records of the answer are, if otherwise than `lists.items`.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub items: Option<PathText>,
    /// How one page leads to the next, if otherwise than `lists.pages`.
    #[serde(default)]
    #[schemars(with = "PagesDoc")]
    pub pages: Option<PagesDoc>,
    /// Page size, if otherwise than `lists.page_size`.
    #[serde(default)]
    #[schemars(with = "Ordered<u32>", extend("minProperties" = 1, "maxProperties" = 1))]
    pub page_size: Option<Ordered<u32>>,
    /// The list goes on by the times of its records. Give this or `token`.
    #[serde(default)]
    #[schemars(with = "CursorDoc")]
    pub cursor: Option<CursorDoc>,
    /// The list goes on by a token that the service gives at its end. Give this or `cursor`.
    #[serde(default)]
    #[schemars(with = "SyncTokenDoc")]
    pub token: Option<SyncTokenDoc>,
    /// The most results one search gives: after so many it is started again from the last record's time. With numbered pages or offsets it
    /// is the size of a page: a record that changes between two pages then moves no other out of sight. Default: no limit.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1))]
    pub cap: Option<u32>,
}
