//! One field's value in canonical form. Values are compared here, by the catalog field's type, never as raw JSON or text
//! of one side (rule 13).

use crate::{FieldType, Timestamp};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A canonical value. *Absent* is not a value: it is a key missing from a [`crate::Record`].
///
/// The serde form is what the engine stores for bases and history, and it describes itself: JSON null, booleans, integers
/// and strings stand for themselves, everything else is a one-key object (`{"decimal":"1.20"}`).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Known to be empty.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// An exact decimal; equal whatever its trailing zeros.
    Decimal(Decimal),
    /// Text, or a word of an `enum`.
    Text(String),
    /// A moment in UTC.
    Timestamp(Timestamp),
    /// A calendar date.
    Date(NaiveDate),
    /// A UUID.
    Uuid(Uuid),
    /// Any JSON; object key order does not matter.
    Json(serde_json::Value),
    /// An ordered list.
    List(Vec<Value>),
}

/// A text or number could not be read as the type the catalog declares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {expected}{detail}")]
pub struct ValueError {
    /// The type that was expected, in the catalog's words.
    pub expected: String,
    /// More, when it helps; never the value itself, since errors are logged.
    pub detail: String,
}

impl ValueError {
    /// An error without further detail.
    pub fn expected(what: impl Into<String>) -> Self {
        Self { expected: what.into(), detail: String::new() }
    }

    /// The same error with a reason, shown after a colon.
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.detail = format!(": {why}");
        self
    }
}

impl Value {
    /// True for [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Text that is empty after trimming, or null. Such values never match at first contact (rule 27).
    pub fn is_blank(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// The value as plain JSON, as the records API shows it. Decimals, dates and moments become strings.
    pub fn to_plain_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match self {
            Value::Null => J::Null,
            Value::Bool(b) => J::Bool(*b),
            Value::Int(n) => J::from(*n),
            Value::Decimal(d) => J::String(d.to_string()),
            Value::Text(s) => J::String(s.clone()),
            Value::Timestamp(t) => J::String(format_timestamp(t)),
            Value::Date(d) => J::String(d.to_string()),
            Value::Uuid(u) => J::String(u.to_string()),
            Value::Json(j) => j.clone(),
            Value::List(items) => J::Array(items.iter().map(Value::to_plain_json).collect()),
        }
    }

    /// Reads plain JSON (the form of [`Value::to_plain_json`]) as a value of type `ty`. Null is always accepted.
    pub fn from_plain_json(ty: &FieldType, json: &serde_json::Value) -> Result<Self, ValueError> {
        use serde_json::Value as J;
        let bad = || ValueError::expected(ty.to_string());
        Ok(match (ty, json) {
            (_, J::Null) => Value::Null,
            (FieldType::Json, other) => Value::Json(other.clone()),
            (FieldType::Bool, J::Bool(b)) => Value::Bool(*b),
            (FieldType::Int, J::Number(n)) => Value::Int(n.as_i64().ok_or_else(bad)?),
            (FieldType::Decimal { .. }, J::Number(n)) => return Self::from_text(ty, &n.to_string()),
            (FieldType::List(item), J::Array(items)) => {
                Value::List(items.iter().map(|i| Self::from_plain_json(item, i)).collect::<Result<_, _>>()?)
            }
            (_, J::String(text)) => return Self::from_text(ty, text),
            _ => return Err(bad()),
        })
    }

    /// Reads text as a value of type `ty`: form fields, key columns, SQLite text columns. Never yields null.
    pub fn from_text(ty: &FieldType, text: &str) -> Result<Self, ValueError> {
        let bad = || ValueError::expected(ty.to_string());
        Ok(match ty {
            FieldType::Text => Value::Text(text.to_owned()),
            FieldType::Enum(words) if words.iter().any(|w| w == text) => Value::Text(text.to_owned()),
            FieldType::Enum(words) => return Err(bad().because(format_args!("one of {}", words.join(", ")))),
            FieldType::Int => Value::Int(text.trim().parse().map_err(|_| bad())?),
            FieldType::Bool => match text.trim() {
                "true" | "1" | "t" => Value::Bool(true),
                "false" | "0" | "f" => Value::Bool(false),
                _ => return Err(bad()),
            },
            FieldType::Decimal { .. } => Value::Decimal(parse_decimal(text.trim()).ok_or_else(bad)?),
            FieldType::Timestamp => Value::Timestamp(parse_timestamp(text).ok_or_else(bad)?),
            FieldType::Date => Value::Date(NaiveDate::from_str(text.trim()).map_err(|_| bad())?),
            FieldType::Uuid => Value::Uuid(Uuid::parse_str(text.trim()).map_err(|_| bad())?),
            FieldType::Json => Value::Json(serde_json::from_str(text).map_err(|_| bad())?),
            FieldType::List(item) => {
                let json: serde_json::Value = serde_json::from_str(text).map_err(|_| bad())?;
                return Self::from_plain_json(&FieldType::List(item.clone()), &json);
            }
        })
    }

    /// The value as one line of text, for keys, cells and comparison of match values. Null is the empty string.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            other => match other.to_plain_json() {
                serde_json::Value::String(text) => text,
                json => json.to_string(),
            },
        }
    }
}

/// UTC, RFC 3339, with as many fractional digits as are needed.
pub(crate) fn format_timestamp(t: &Timestamp) -> String {
    t.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).ok().or_else(|| Decimal::from_scientific(text).ok())
}

/// Accepts RFC 3339 with any offset, and the zoneless forms databases write (taken as UTC), with `T` or a space.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(t) = DateTime::parse_from_rfc3339(text) {
        return Some(t.with_timezone(&Utc));
    }
    for offset in ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
        if let Ok(t) = DateTime::parse_from_str(text, offset) {
            return Some(t.with_timezone(&Utc));
        }
    }
    for zoneless in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(t) = NaiveDateTime::parse_from_str(text, zoneless) {
            return Some(t.and_utc());
        }
    }
    NaiveDate::from_str(text).ok().and_then(|d| d.and_hms_opt(0, 0, 0)).map(|t| t.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_describes_itself() {
        let values = vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(-7),
            Value::Text("{\"decimal\":\"1\"}".into()),
            Value::Decimal("12345678901234567890.12".parse().unwrap()),
            Value::Timestamp(parse_timestamp("2026-11-22 02:14:22.5").unwrap()),
            Value::Date("2026-11-22".parse().unwrap()),
            Value::Json(serde_json::json!({"decimal": "not one"})),
            Value::List(vec![Value::Text("a".into()), Value::Null]),
        ];
        let text = serde_json::to_string(&values).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap(), values);
    }

    #[test]
    fn equality_is_canonical() {
        let d = |t: &str| Value::from_text(&FieldType::Decimal { scale: 2 }, t).unwrap();
        assert_eq!(d("1.0"), d("1.00"));
        let t = |t: &str| Value::from_text(&FieldType::Timestamp, t).unwrap();
        assert_eq!(t("2026-01-01T01:00:00+01:00"), t("2026-01-01 00:00:00"));
    }
}
