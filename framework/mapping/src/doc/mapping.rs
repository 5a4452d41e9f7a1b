//! The mapping document: which field is which.

use super::short::short_form;
use super::{
    AmountText, DurationText, FilterText, Free, IntervalText, Name, Ordered, PathText, Scalar, Text,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Which local field is which remote field, and what happens when they differ.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Mapping")]
pub struct MappingDoc {
    /// The mapping's name. It is free to change: links belong to the catalog, connection and resource.
    pub mapping: Name,
    /// The catalog.
    pub local: Name,
    /// The remote records: `connector/resource`, or a map with more to say.
    pub remote: RemoteDoc,
    /// Which records take part. A record that leaves the scope is unlinked, never deleted, and linked
    /// again when it is back. Default: all.
    #[serde(default)]
    #[schemars(with = "OnlyDoc")]
    pub only: Option<OnlyDoc>,
    /// How records of both sides are recognised as one.
    #[serde(default)]
    #[schemars(with = "IdentityDoc")]
    pub identity: Option<IdentityDoc>,
    /// The fields, by label. Short form: the label is the local field, the value a JSONPath.
    pub fields: Ordered<MappingFieldDoc>,
    /// Tables that fields name with `as: { table: NAME }`: local word to remote value, as in `values`.
    #[serde(default)]
    pub tables: Ordered<Ordered<Scalar>>,
    /// Constants that are set on a record when it is created.
    #[serde(default)]
    #[schemars(with = "OnCreateDoc")]
    pub on_create: Option<OnCreateDoc>,
    /// What happens with a record that has no counterpart.
    #[serde(default)]
    #[schemars(with = "CreatesDoc")]
    pub creates: Option<CreatesDoc>,
    /// What happens when one field was changed on both sides.
    #[serde(default)]
    #[schemars(with = "ConflictsDoc")]
    pub conflicts: Option<ConflictsDoc>,
    /// What happens when a record was deleted on one side.
    #[serde(default)]
    #[schemars(with = "DeletesDoc")]
    pub deletes: Option<DeletesDoc>,
    /// How often remote changes are looked for. A default applies only where the resource has the call.
    #[serde(default)]
    #[schemars(with = "SyncDoc")]
    pub sync: Option<SyncDoc>,
    /// Tighter limits than the engine's own brakes. It can never loosen one.
    #[serde(default)]
    #[schemars(with = "SafetyDoc")]
    pub safety: Option<SafetyDoc>,
}

short_form! {
    /// The remote side.
    RemoteDoc, "`connector/resource`, or a map with `resource`", Text, RemoteLong
}

/// The remote side, with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Remote")]
pub struct RemoteLong {
    /// `connector/resource`.
    pub resource: Text,
    /// Values of the resource's `params`.
    #[serde(default, rename = "with")]
    pub params: Ordered<Text>,
    /// Which set of credentials: variables are read from `<CONNECTION>_…`. Default: the connector's name.
    #[serde(default)]
    #[schemars(with = "Name")]
    pub connection: Option<Name>,
    /// Several sets of credentials of one connector: the mapping runs once for each, as `MAPPING@CONNECTION`, with links, budget,
    /// cursors and pauses of its own. Instead of `connection`.
    #[serde(default)]
    #[schemars(with = "Vec<Name>", length(min = 1))]
    pub connections: Option<Vec<Name>>,
}

/// Which records take part.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Scope")]
pub struct OnlyDoc {
    /// A filter on the remote record.
    #[serde(default)]
    #[schemars(with = "FilterText")]
    pub remote: Option<FilterText>,
    /// Local fields and the value each must have.
    #[serde(default)]
    pub local: Ordered<Free>,
}

/// How records of both sides are recognised as one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Identity")]
pub struct IdentityDoc {
    /// Fields that make an unlinked pair one at first contact: exactly one candidate on each side, linked ones included; else
    /// one `ambiguous` entry waits for a person. Default: none.
    #[serde(default, rename = "match")]
    #[schemars(with = "Vec<Name>")]
    pub matching: Option<Vec<Name>>,
    /// Where our link's id is written on remote records that we create. Default: nowhere.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub stamp: Option<PathText>,
    /// A local field that already holds, and from then on receives, the remote id. Default: none.
    #[serde(default)]
    #[schemars(with = "Name")]
    pub remote_id: Option<Name>,
}

short_form! {
    /// A field.
    MappingFieldDoc, "a JSONPath such as `$.name`, or a map with `remote`", PathText, MappingFieldLong
}

/// A field with more to say.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Field")]
pub struct MappingFieldLong {
    /// The local field, or two of them with `as: { words: last }`. Default: the label.
    #[serde(default)]
    #[schemars(with = "LocalDoc")]
    pub local: Option<LocalDoc>,
    /// Where the remote value is: a path to one node, unless the direction is `in`.
    pub remote: PathText,
    /// Where it is written, if elsewhere than `remote`.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub write: Option<PathText>,
    /// Which way it travels. Default: `both`.
    #[serde(default)]
    #[schemars(with = "DirectionDoc")]
    pub direction: Option<DirectionDoc>,
    /// How the remote writes it: a codec, or a list of them from the local side outward. Default: by type.
    #[serde(default, rename = "as")]
    #[schemars(with = "AsDoc")]
    pub codec: Option<AsDoc>,
    /// What is made alike on both sides before comparing and storing. Default: nothing.
    #[serde(default)]
    #[schemars(with = "Vec<NormalizeWord>")]
    pub normalize: Option<Vec<NormalizeWord>>,
    /// Used when the remote value is null; only with `direction: in`.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub default: Option<Free>,
    /// True if a change without it parks. Default: true unless the catalog says optional.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub required: Option<bool>,
    /// True if it travels only at creation, whichever side creates; a later change parks. Default: false.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub immutable: Option<bool>,
    /// Who wins a conflict on this field. Default: `conflicts.winner`.
    #[serde(default)]
    #[schemars(with = "WinnerDoc")]
    pub winner: Option<WinnerDoc>,
}

/// Which way a field travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Direction")]
pub enum DirectionDoc {
    /// Both ways.
    Both,
    /// From the remote to the table. What the table alone holds at first contact stays there.
    In,
    /// From the table to the remote. What the remote alone holds at first contact stays there.
    Out,
}

/// A codec: how the remote writes a value. Each works both ways.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Codec")]
pub enum CodecDoc {
    /// A whole number, decimal, boolean or UUID as text.
    String,
    /// A decimal as a JSON number; exact within 15 digits.
    Number,
    /// A timestamp as whole seconds since 1970.
    Unix,
    /// A timestamp as milliseconds since 1970.
    UnixMs,
    /// A timestamp as text; any offset is read, UTC is written.
    Iso8601,
    /// A timestamp as text without an offset that means UTC, such as `2026-11-22 10:00:00`; written with a `T`.
    Utc,
    /// A date as `YYYY-MM-DD`.
    Date,
    /// A decimal as a whole number of minor units: by a fixed scale (`minor: 2`), or by the ISO 4217 currency in another
    /// field of this mapping (`minor: currency`), which then merges together with this one.
    Minor(MinorDoc),
    /// A finite table, local word to remote value.
    Values(Ordered<Scalar>),
    /// A finite table that several fields use: one of `tables`.
    Table(Name),
    /// Text that the remote side starts with; a remote value without it parks.
    Prefix(Text),
    /// Text that the remote side ends with; a remote value without it parks.
    Suffix(Text),
    /// A list as one text, with this between the elements.
    Split(Text),
    /// JSON as text.
    Json,
    /// Text in Base64.
    Base64,
    /// A boolean turned around.
    Not,
    /// Two local fields as one text, `local: [first_name, last_name]`, split before its `last` space. A text of one word is the last.
    /// Two fields that would not come back as they are park. Each field goes by its own name from here on: in `identity.match`, in
    /// history, in conflicts.
    Words(WordsDoc),
    /// The local field holds the key of a row of another catalog, and the remote side says what that row holds in one of its fields.
    /// Comes first in a list. A value that no row holds, or more than one, parks until exactly one does.
    Lookup(RowLookupDoc),
}

/// A field of another catalog that stands for its rows. That catalog needs no mapping.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Row lookup")]
pub struct RowLookupDoc {
    /// The catalog whose keys the local field holds.
    pub catalog: Name,
    /// Its field that the remote side knows: a text or a whole number, no two rows with the same. Compared exactly. Archived rows keep
    /// theirs, but what the remote side says never means them.
    pub by: Name,
}

/// Where a text is split into two local fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Split")]
pub enum WordsDoc {
    /// Before the last space.
    Last,
}

/// A local field, or two that are one remote text.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalDoc {
    /// Their names.
    pub names: Vec<Name>,
    /// True if they were written as a list; pointers into the document differ.
    pub listed: bool,
}

impl<'de> Deserialize<'de> for LocalDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = LocalDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a local field, or a list of two")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<LocalDoc, E> {
                Ok(LocalDoc { names: vec![Name(name.to_owned())], listed: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<LocalDoc, A::Error> {
                Ok(LocalDoc { names: Vec::deserialize(SeqAccessDeserializer::new(seq))?, listed: true })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl JsonSchema for LocalDoc {
    fn schema_name() -> Cow<'static, str> {
        "LocalDoc".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Name>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 2, "maxItems": 2 }] })
    }
}

/// A scale, or the field that holds the currency.
#[derive(Clone, Debug, PartialEq)]
pub enum MinorDoc {
    /// So many digits after the point.
    Scale(u32),
    /// The field of this mapping that holds an ISO 4217 currency.
    Field(String),
}

impl<'de> Deserialize<'de> for MinorDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().map_or(MinorDoc::Field(text), MinorDoc::Scale))
    }
}

impl JsonSchema for MinorDoc {
    fn schema_name() -> Cow<'static, str> {
        "MinorDoc".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Scale or currency field",
            "description": "Digits after the point, or the name of the field that holds an ISO 4217 currency.",
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 28 }, { "type": "string" }]
        })
    }
}

/// One codec, or a chain from the local side outward.
#[derive(Clone, Debug, PartialEq)]
pub struct AsDoc {
    /// The codecs.
    pub chain: Vec<CodecDoc>,
    /// True if they were written as a list; pointers into the document differ.
    pub listed: bool,
}

impl<'de> Deserialize<'de> for AsDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = AsDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a codec such as `unix` or `{ minor: 2 }`, or a list of them")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<AsDoc, E> {
                let codec = CodecDoc::deserialize(word.into_deserializer())?;
                Ok(AsDoc { chain: vec![codec], listed: false })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AsDoc, A::Error> {
                let codec = CodecDoc::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AsDoc { chain: vec![codec], listed: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<AsDoc, A::Error> {
                let chain = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(AsDoc { chain, listed: true })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl JsonSchema for AsDoc {
    fn schema_name() -> Cow<'static, str> {
        "AsDoc".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<CodecDoc>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// Something that is made alike on both sides before comparing and storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Normalisation")]
pub enum NormalizeWord {
    /// No white space at either end.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Unicode normal form C: an accent and its letter are one character.
    Nfc,
    /// Each run of white space is one space.
    CollapseSpaces,
    /// Only the digits 0 to 9.
    Digits,
    /// A list in order: its order means nothing.
    Sort,
    /// Each element of a list once.
    Unique,
}

/// Constants set at creation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Constants")]
pub struct OnCreateDoc {
    /// Local fields and their values, on rows that we create.
    #[serde(default)]
    pub local: Ordered<Free>,
    /// Remote paths and their values, on records that we create.
    #[serde(default)]
    pub remote: Ordered<Free>,
}

/// Records without a counterpart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Creates")]
pub struct CreatesDoc {
    /// A remote record without a row. Default: `create`.
    #[serde(default)]
    #[schemars(with = "CreatePolicyDoc")]
    pub from_remote: Option<CreatePolicyDoc>,
    /// A row without a remote record. Default: `create`.
    #[serde(default)]
    #[schemars(with = "CreatePolicyDoc")]
    pub from_local: Option<CreatePolicyDoc>,
}

/// What happens with a record that has no counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Create policy")]
pub enum CreatePolicyDoc {
    /// Its counterpart is created.
    Create,
    /// Nothing.
    Ignore,
    /// A person decides.
    Manual,
}

/// What happens when one field was changed on both sides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Conflicts")]
pub struct ConflictsDoc {
    /// Who wins. Default: `manual`.
    #[serde(default)]
    #[schemars(with = "WinnerDoc")]
    pub winner: Option<WinnerDoc>,
    /// Whether the remote record is read before it is written. Default: `read`.
    #[serde(default)]
    #[schemars(with = "CheckDoc")]
    pub check: Option<CheckDoc>,
    /// With `newest`: times nearer than this are a tie, which the remote side wins. Default: `2s`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub skew: Option<DurationText>,
}

/// Who wins a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Winner")]
pub enum WinnerDoc {
    /// A person decides; other fields flow meanwhile.
    Manual,
    /// The table.
    Local,
    /// The remote.
    Remote,
    /// The later change, by the clocks of both sides. Only where everything that observes a record carries `changed_at`.
    Newest,
}

/// Whether the remote record is read before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Check")]
pub enum CheckDoc {
    /// Read first, so that a change made there meanwhile is seen.
    Read,
    /// Trust what was last known and save the call: an unseen remote change may be overwritten.
    Blind,
}

/// What happens when a record was deleted on one side.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deletes")]
pub struct DeletesDoc {
    /// The remote record was deleted. Default: `manual`.
    #[serde(default)]
    #[schemars(with = "FromRemoteDoc")]
    pub from_remote: Option<FromRemoteDoc>,
    /// The row was deleted. Default: `manual`.
    #[serde(default)]
    #[schemars(with = "FromLocalDoc")]
    pub from_local: Option<FromLocalDoc>,
    /// Said where `from_local: delete` meets a service that cannot undo a delete.
    #[serde(default)]
    #[schemars(with = "ConfirmDoc")]
    pub confirm: Option<ConfirmDoc>,
    /// One side deleted what the other changed. Default: `update_wins`.
    #[serde(default)]
    #[schemars(with = "AgainstUpdateDoc")]
    pub against_update: Option<AgainstUpdateDoc>,
}

/// The remote record was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Remote deleted")]
pub enum FromRemoteDoc {
    /// A person decides.
    Manual,
    /// Nothing: the row stays. A person decides once it is edited.
    Ignore,
    /// The row stays, without its link.
    Unlink,
    /// The catalog's `deleted_at` column is set.
    Archive,
    /// The row is deleted.
    Delete,
    /// The remote record is created again.
    Recreate,
}

/// The row was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Row deleted")]
pub enum FromLocalDoc {
    /// A person decides.
    Manual,
    /// Nothing: the remote record stays, and a row that is archived stays linked to it.
    Ignore,
    /// The remote record stays, without its link, until a row that was archived is live again.
    Unlink,
    /// The remote record is deleted.
    Delete,
}

/// What the author confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Confirmation")]
pub enum ConfirmDoc {
    /// Deletes cannot be undone at the service.
    Irreversible,
}

/// One side deleted what the other changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Delete against update")]
pub enum AgainstUpdateDoc {
    /// Nothing is deleted and nothing recreated; the conflict is shown.
    UpdateWins,
    /// The delete is carried out under its policy.
    DeleteWins,
}

/// How often remote changes are looked for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rhythm")]
pub struct SyncDoc {
    /// The incremental list (`since`). Default: `60s`.
    #[serde(default)]
    #[schemars(with = "IntervalText")]
    pub poll: Option<IntervalText>,
    /// The event feed. Default: `60s`.
    #[serde(default)]
    #[schemars(with = "IntervalText")]
    pub feed: Option<IntervalText>,
    /// The full pass over both sides. Default: `24h`.
    #[serde(default)]
    #[schemars(with = "IntervalText")]
    pub reconcile: Option<IntervalText>,
}

/// How much may happen in bulk before a person has to approve it, where that shall be less than usual.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Safety")]
pub struct SafetyDoc {
    /// Deletes within half an hour. Usual: 20 % of the links, at most 500; 10 where there are fewer than 100 links.
    #[serde(default)]
    #[schemars(with = "AmountText")]
    pub deletes: Option<AmountText>,
    /// One field emptied within half an hour. Usual: 5 % of the links, at most 50; 5 where there are fewer than 100 links.
    #[serde(default)]
    #[schemars(with = "AmountText")]
    pub blanking: Option<AmountText>,
    /// Records changed by one full pass. Usual: 30 % of the links, from 100 links on.
    #[serde(default)]
    #[schemars(with = "AmountText")]
    pub updates: Option<AmountText>,
    /// Records created on the remote side within half an hour, beyond an approved first import. Usual: 1000.
    #[serde(default)]
    #[schemars(with = "AmountText")]
    pub creates: Option<AmountText>,
}
