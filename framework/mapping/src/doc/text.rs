//! Texts with a form of their own. They are kept as written here; the pattern in the schema helps the editor, the phase
//! after reading parses them and reports where in the text the trouble is.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value as Json;
use std::borrow::Cow;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $title:literal $extra:tt)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($extra);
                schema.insert("title".into(), Json::from($title));
                schema
            }
        }
    )*};
}

texts! {
    /// A JSONPath (RFC 9535).
    PathText "JSONPath" {
        "type": "string", "pattern": "^\\$",
        "description": "A JSONPath (RFC 9535), such as `$.address.city`. Quote it if it holds `[`, `]`, `{` or `}` inside a flow map."
    }
    /// A filter on `@`.
    FilterText "Filter" {
        "type": "string",
        "description": "A filter on `@` (RFC 9535), such as `\"@.deleted == true\"`. Quote it: `@` cannot start a plain YAML value."
    }
    /// A duration.
    DurationText "Duration" {
        "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$",
        "description": "A duration: `500ms`, `30s`, `5m`, `24h` or `30d`."
    }
    /// A duration or `never`.
    IntervalText "Interval" {
        "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d)|never)$",
        "description": "How often: a duration such as `10s` or `24h`, or `never`."
    }
    /// A rate.
    RateText "Rate" {
        "type": "string", "pattern": "^([0-9]+/[0-9]*(ms|s|m|h|d)|\\$\\{[a-z][a-z0-9_]*\\})$",
        "description": "So many in so much time: `25/s`, `100/10s`, `5000/h`, or `\"${var}\"`."
    }
    /// A call in one line.
    CallText "Call" {
        "type": "string", "pattern": "^(GET|POST|PUT|PATCH|DELETE|HEAD) /",
        "description": "Method and path, for example `GET /v1/customers/{id}`. The path is appended to `http.base_url`."
    }
    /// A name that an author gives or refers to.
    Name "Name" {
        "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$",
        "description": "A name: letters, digits, `_` and `-`, not starting with a digit."
    }
    /// Any text; a number or boolean is taken as it is written.
    Text "Text" {
        "type": ["string", "number", "boolean"],
        "description": "Text; `${var}` stands for a declared variable."
    }
    /// A number of records: a count, or a share of all links.
    AmountText "Amount" {
        "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[0-9]+%?$" }],
        "description": "A count such as `50`, or a share of all links such as `5%`."
    }
    /// A count, or a variable that holds one.
    CountText "Count" {
        "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": "^([0-9]+|\\$\\{[a-z][a-z0-9_]*\\})$" }],
        "description": "A whole number, or `\"${var}\"`."
    }
}

/// A word, number or boolean on the wire, as in a table of values. Its type comes from its looks: quote what shall be text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(pub Json);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match super::Free::deserialize(deserializer)?.0 {
            json @ (Json::String(_) | Json::Number(_) | Json::Bool(_)) => Ok(Scalar(json)),
            Json::Null => Err(serde::de::Error::invalid_type(
                serde::de::Unexpected::Unit,
                &"text, a number or a boolean",
            )),
            Json::Array(_) => Err(serde::de::Error::invalid_type(
                serde::de::Unexpected::Seq,
                &"text, a number or a boolean",
            )),
            Json::Object(_) => Err(serde::de::Error::invalid_type(
                serde::de::Unexpected::Map,
                &"text, a number or a boolean",
            )),
        }
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "Scalar", "type": ["string", "number", "boolean"], "description": "A word, a number, `true` or `false`. Quote what shall be text but looks like a number." })
    }
}
