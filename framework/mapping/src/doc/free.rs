//! JSON that the author writes as it shall travel: request bodies, constants. Only here do plain YAML scalars take their
//! types from their looks (YAML 1.2 core: `true`, `null`, numbers; `NO`, `on` and dates are text).

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::fmt;

/// Any JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Free(pub Json);

impl Free {
    /// The name by which [`crate::typed`] knows that scalars take their types from their looks.
    pub(crate) const MARK: &str = "$bothways::Free";
}

impl<'de> Deserialize<'de> for Free {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Marked;
        impl<'de> Visitor<'de> for Marked {
            type Value = Free;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Free, D::Error> {
                Json::deserialize(d).map(Free)
            }
        }
        deserializer.deserialize_newtype_struct(Free::MARK, Marked)
    }
}

impl JsonSchema for Free {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Free".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}
