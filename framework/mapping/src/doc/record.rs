//! How a connector document describes one record: its id, its version, and what an update sends.

use super::{Name, PathText};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Where a record's id is: one path, or several whose values make it together.
#[derive(Clone, Debug, PartialEq)]
pub struct IdDoc {
    /// The paths.
    pub paths: Vec<PathText>,
    /// True if they were written as a list; pointers into the document differ.
    pub listed: bool,
}

impl<'de> Deserialize<'de> for IdDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = IdDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSONPath such as `$.id`, or a list of them")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<IdDoc, E> {
                Ok(IdDoc { paths: vec![PathText(text.to_owned())], listed: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<IdDoc, A::Error> {
                Ok(IdDoc { paths: Vec::deserialize(SeqAccessDeserializer::new(seq))?, listed: true })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl JsonSchema for IdDoc {
    fn schema_name() -> Cow<'static, str> {
        "IdDoc".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<PathText>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 2, "maxItems": 9 }] })
    }
}

/// A name in the place of an id: the record holds the id of an entry of another list, and mappings read and write the entry's name.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Lookup of a name")]
pub struct LookupDoc {
    /// Where the record holds the entry's id.
    pub from: PathText,
    /// The resource of this connector whose `list` shows the entries, with their ids at its `id`. It is read whole, again and again:
    /// good for stages and owners, not for customers.
    pub resource: Name,
    /// Where an entry has its name.
    pub name: PathText,
}

/// What an update sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Sent by updates")]
pub enum SendsDoc {
    /// The mapped fields that changed.
    Changed,
    /// All mapped fields: those that did not change as they were last read. For a service that wants its required fields in each
    /// update, and keeps what is not sent.
    Mapped,
    /// The whole record as it was last read, with the changes in it. For a service that forgets what is not sent.
    Whole,
}
