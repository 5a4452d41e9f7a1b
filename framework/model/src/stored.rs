//! The stored form of a [`Value`]: what the engine keeps for bases and history. It is read and written for every field of every link, so
//! it goes straight from and to the serializer.

use crate::Value;
use crate::value::{format_timestamp, parse_decimal, parse_timestamp};
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Decimal(decimal) => typed(serializer, Kind::Decimal, &decimal.to_string()),
            Value::Timestamp(at) => typed(serializer, Kind::Timestamp, &format_timestamp(at)),
            Value::Date(date) => typed(serializer, Kind::Date, date),
            Value::Uuid(uuid) => typed(serializer, Kind::Uuid, uuid),
            Value::Json(json) => typed(serializer, Kind::Json, json),
            Value::List(items) => typed(serializer, Kind::List, items),
        }
    }
}

fn typed<S: Serializer, T: Serialize>(serializer: S, kind: Kind, value: &T) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(&kind, value)?;
    map.end()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Stored)
    }
}

/// The one key of a value that does not stand for itself.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Decimal,
    Timestamp,
    Date,
    Uuid,
    Json,
    List,
}

struct Stored;

impl<'de> Visitor<'de> for Stored {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a whole number, text, or an object with one key that names the type")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        let in_range = i64::try_from(number);
        in_range.map(Value::Int).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(kind) = map.next_key::<Kind>()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let bad = |what: &str| A::Error::custom(format_args!("not a valid {what}"));
        let value = match kind {
            Kind::Decimal => {
                Value::Decimal(parse_decimal(&map.next_value::<String>()?).ok_or_else(|| bad("decimal"))?)
            }
            Kind::Timestamp => Value::Timestamp(
                parse_timestamp(&map.next_value::<String>()?).ok_or_else(|| bad("timestamp"))?,
            ),
            Kind::Date => Value::Date(map.next_value()?),
            Kind::Uuid => Value::Uuid(map.next_value()?),
            Kind::Json => Value::Json(map.next_value()?),
            Kind::List => Value::List(map.next_value()?),
        };
        match map.next_key::<Kind>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::invalid_length(2, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_pinned() {
        let cases = [
            (Value::Null, "null"),
            (Value::Int(i64::MIN), "-9223372036854775808"),
            (Value::Text("x".into()), "\"x\""),
            (Value::Decimal("1.20".parse().unwrap()), "{\"decimal\":\"1.20\"}"),
            (Value::Date("2026-11-22".parse().unwrap()), "{\"date\":\"2026-11-22\"}"),
            (Value::Uuid(uuid::Uuid::nil()), "{\"uuid\":\"00000000-0000-0000-0000-000000000000\"}"),
            (Value::Json(serde_json::json!(1.5)), "{\"json\":1.5}"),
            (Value::List(vec![Value::Bool(true)]), "{\"list\":[true]}"),
        ];
        for (value, text) in cases {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), value);
            let tree: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_value::<Value>(tree).unwrap(), value);
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "1.5",
            "18446744073709551615",
            "{}",
            "[]",
            "{\"decimal\":\"x\"}",
            "{\"other\":1}",
            "{\"json\":1,\"list\":[]}",
        ] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }
}
