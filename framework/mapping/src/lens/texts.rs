//! Codecs whose outer side is text.

use super::{Kind, Refusal, RefusalKind};
use crate::connector::{format_iso8601, parse_iso8601, parse_utc};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bothways_model::{FieldType, Value};
use chrono::NaiveDate;
use serde_json::Value as Json;

pub(super) fn refuse_form(what: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Form, what)
}

/// The text of an int, decimal, bool or UUID.
pub(super) fn string_out(value: &Value) -> Value {
    Value::Text(match value {
        Value::Decimal(d) => d.normalize().to_string(),
        other => other.to_text(),
    })
}

/// The int, decimal, bool or UUID of a text.
pub(super) fn string_in(kind: &Kind, text: &str) -> Result<Value, Refusal> {
    let refuse = || refuse_form(format!("not a text that holds a {kind}"));
    let ty = match kind {
        Kind::Int => FieldType::Int,
        Kind::Uuid => FieldType::Uuid,
        // Only the words that are written are read: `1` for true would come back as `true`.
        Kind::Bool if matches!(text, "true" | "false") => FieldType::Bool,
        Kind::Decimal if !text.is_empty() => FieldType::Decimal { scale: 28 },
        _ => return Err(refuse()),
    };
    match Value::from_text(&ty, text).map_err(|_| refuse())? {
        Value::Decimal(d) => Ok(Value::Decimal(d.normalize())),
        other => Ok(other),
    }
}

pub(super) fn iso8601_in(text: &str) -> Result<Value, Refusal> {
    parse_iso8601(text)
        .map(Value::Timestamp)
        .ok_or_else(|| refuse_form("not an ISO 8601 time with an offset"))
}

pub(super) fn utc_in(text: &str) -> Result<Value, Refusal> {
    parse_utc(text).map(Value::Timestamp).ok_or_else(|| refuse_form("not an ISO 8601 time"))
}

pub(super) fn iso8601_out(time: &bothways_model::Timestamp) -> Value {
    Value::Text(format_iso8601(time))
}

pub(super) fn date_in(text: &str) -> Result<Value, Refusal> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|d| d.to_string() == text)
        .map(Value::Date)
        .ok_or_else(|| refuse_form("not a date as YYYY-MM-DD"))
}

pub(super) fn split_out(separator: &str, items: &[Value]) -> Result<Value, Refusal> {
    let mut texts = Vec::new();
    for item in items {
        match item {
            Value::Text(text) if text.is_empty() && items.len() == 1 => {
                return Err(refuse_form("a list of one empty text would come back as an empty list"));
            }
            Value::Text(text) if !text.contains(separator) => texts.push(text.as_str()),
            Value::Text(_) => return Err(refuse_form("an element holds the separator")),
            _ => return Err(Refusal::new(RefusalKind::Type, "an element is not text")),
        }
    }
    let joined = texts.join(separator);
    // A separator such as `aa` between texts that end in `a` would be found one letter early.
    if split(separator, &joined) == texts {
        Ok(Value::Text(joined))
    } else {
        Err(refuse_form("an element runs into the separator"))
    }
}

pub(super) fn split_in(separator: &str, text: &str) -> Value {
    Value::List(split(separator, text).into_iter().map(|t| Value::Text(t.to_owned())).collect())
}

fn split<'a>(separator: &str, text: &'a str) -> Vec<&'a str> {
    if text.is_empty() { Vec::new() } else { text.split(separator).collect() }
}

pub(super) fn json_in(text: &str) -> Result<Value, Refusal> {
    match serde_json::from_str::<Json>(text) {
        // Null in a text is a value of its own; locally there is only one null, and it would travel as one.
        Ok(Json::Null) => Ok(Value::Null),
        Ok(json) => Ok(Value::Json(json)),
        Err(_) => Err(refuse_form("not JSON")),
    }
}

/// Reads with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn base64_out(text: &str) -> Value {
    Value::Text(BASE64.encode(text))
}

/// Line breaks, missing padding and the URL alphabet are read; they are formatting.
pub(super) fn base64_in(text: &str) -> Result<Value, Refusal> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let bytes = BASE64.decode(plain).map_err(|_| refuse_form("not Base64"))?;
    String::from_utf8(bytes).map(Value::Text).map_err(|_| refuse_form("Base64 of something that is not text"))
}
