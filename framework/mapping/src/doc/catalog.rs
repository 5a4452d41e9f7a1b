//! The catalog document: what one local table holds.

use super::short::short_form;
use super::{Name, Ordered, Text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;

/// What one local table holds.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Catalog")]
pub struct CatalogDoc {
    /// The catalog's name; mappings refer to it with `local`.
    pub catalog: Name,
    /// The table, optionally `schema.table`.
    pub table: Text,
    /// The primary key field; long form to say who makes keys.
    pub key: KeyDoc,
    /// A timestamp column: a row with a value there counts as deleted, in both directions. Clearing it links the row as before where
    /// its remote record lives; where it does not, a person decides. Default: none.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub deleted_at: Option<Text>,
    /// How local changes are seen. Default: `trigger`.
    #[serde(default)]
    #[schemars(with = "TrackDoc")]
    pub track: Option<TrackDoc>,
    /// The fields by name, the key included.
    pub fields: Ordered<FieldDoc>,
}

short_form! {
    /// The primary key.
    KeyDoc, "the name of the key field, or a map with `field`", Name, KeyLong
}

/// The primary key, with who makes it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Key")]
pub struct KeyLong {
    /// The key field.
    pub field: Name,
    /// Who makes the key of a new row. Default: `database`.
    #[serde(default)]
    #[schemars(with = "KeyMakerDoc")]
    pub made_by: Option<KeyMakerDoc>,
}

/// Who makes keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Key maker")]
pub enum KeyMakerDoc {
    /// The database: an identity or auto-increment column.
    Database,
    /// The engine: a UUIDv7.
    Engine,
}

/// How local changes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Tracking")]
pub enum TrackDoc {
    /// By triggers, in the writer's own transaction: plain SQL from any program is seen.
    Trigger,
    /// Only by full passes.
    None,
}

short_form! {
    /// A field.
    FieldDoc, "a type such as `text` or `int?`, or a map with `type`, `ref`, `enum`, `decimal` or `list`", ShortType, FieldLong
}

/// A field's type in one word; a trailing `?` makes it optional.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ShortType(pub String);

impl JsonSchema for ShortType {
    fn schema_name() -> Cow<'static, str> {
        "ShortType".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<String> =
            TypeWord::ALL.iter().flat_map(|w| [w.as_str().to_owned(), format!("{}?", w.as_str())]).collect();
        json_schema!({
            "title": "Type",
            "description": "The type of the field; a trailing `?` makes it optional.",
            "type": "string",
            "enum": words
        })
    }
}

/// A field with more to say. Give exactly one of `type`, `ref`, `enum`, `decimal` and `list`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Field")]
pub struct FieldLong {
    /// The type in one word.
    #[serde(default, rename = "type")]
    #[schemars(with = "TypeWord")]
    pub ty: Option<TypeWord>,
    /// The key of a row of this catalog. It travels as the id of the record that row is linked with, on the same connection.
    #[serde(default, rename = "ref")]
    #[schemars(with = "Name")]
    pub reference: Option<Name>,
    /// One of these words.
    #[serde(default, rename = "enum")]
    #[schemars(with = "Vec<Text>", length(min = 1))]
    pub words: Option<Vec<Text>>,
    /// An exact decimal with at most so many digits after the point.
    #[serde(default)]
    #[schemars(with = "u32", range(max = 28))]
    pub decimal: Option<u32>,
    /// A list of this type, stored as a JSON array.
    #[serde(default)]
    #[schemars(with = "TypeWord")]
    pub list: Option<TypeWord>,
    /// True if null is allowed. Default: false.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub optional: Option<bool>,
    /// The column. Default: the field's name.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub column: Option<Text>,
    /// A note for people.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub doc: Option<Text>,
}

/// A type in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Type")]
pub enum TypeWord {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// An exact decimal; `decimal: 2` in the long form limits the digits after the point.
    Decimal,
    /// True or false.
    Bool,
    /// A moment, kept in UTC.
    Timestamp,
    /// A calendar date.
    Date,
    /// A UUID.
    Uuid,
    /// Any JSON.
    Json,
}

impl TypeWord {
    /// All words.
    pub const ALL: [TypeWord; 8] = [
        TypeWord::Text,
        TypeWord::Int,
        TypeWord::Decimal,
        TypeWord::Bool,
        TypeWord::Timestamp,
        TypeWord::Date,
        TypeWord::Uuid,
        TypeWord::Json,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            TypeWord::Text => "text",
            TypeWord::Int => "int",
            TypeWord::Decimal => "decimal",
            TypeWord::Bool => "bool",
            TypeWord::Timestamp => "timestamp",
            TypeWord::Date => "date",
            TypeWord::Uuid => "uuid",
            TypeWord::Json => "json",
        }
    }
}
