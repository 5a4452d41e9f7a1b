//! The catalog document: what one local table holds.

use super::short::short_form;
use super::{Name, Ordered, Text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// What one local table holds.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Catalog")]
pub struct CatalogDoc {
    /// The catalog's name; mappings refer to it with `local`.
    pub catalog: Name,
    /// The table, optionally `schema.table`.
    pub table: Text,
    /// The primary key field, or a list of the fields that are the key together; long form to say who makes keys.
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

/// The primary key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyDoc {
    /// One field, whose values the database makes.
    Field(Name),
    /// Several fields together, whose values come with the row from whoever inserts it.
    Fields(Vec<Name>),
    /// One field, with more to say.
    Long(KeyLong),
}

impl<'de> Deserialize<'de> for KeyDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = KeyDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of the key field, a list of the key's fields, or a map with `field`")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<KeyDoc, E> {
                Ok(KeyDoc::Field(Name(name.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<KeyDoc, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(KeyDoc::Fields)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyDoc, A::Error> {
                KeyLong::deserialize(MapAccessDeserializer::new(map)).map(KeyDoc::Long)
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl JsonSchema for KeyDoc {
    fn schema_name() -> Cow<'static, str> {
        "KeyDoc".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, long) = (generator.subschema_for::<Name>(), generator.subschema_for::<KeyLong>());
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 2 }, long] })
    }
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
