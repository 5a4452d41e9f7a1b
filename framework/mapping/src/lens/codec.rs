//! The closed list of codecs.

use super::kind::ChainError;
use super::texts::{
    base64_in, base64_out, date_in, iso8601_in, iso8601_out, json_in, refuse_form, split_in, split_out,
    string_in, string_out, utc_in,
};
use super::{Kind, Minor, Part, Refusal, RefusalKind};
use crate::connector::format_utc;
use bothways_model::{FieldType, Record, Value};
use chrono::{TimeZone, Utc};
use serde_json::Value as Json;

/// How a value is written one step further out.
#[derive(Clone, Debug, PartialEq)]
pub enum Codec {
    /// Int, decimal, bool or UUID as text.
    String,
    /// Decimal as a JSON number.
    Number,
    /// Timestamp as whole seconds.
    Unix,
    /// Timestamp as milliseconds.
    UnixMs,
    /// Timestamp as ISO 8601.
    Iso8601,
    /// A timestamp as text without an offset, which means UTC.
    Utc,
    /// Date as `YYYY-MM-DD`.
    Date,
    /// Decimal as minor units.
    Minor(Minor),
    /// A finite table.
    Values(Vec<Word>),
    /// Text that the outer side starts with.
    Prefix(String),
    /// Text that the outer side ends with.
    Suffix(String),
    /// List of texts as one text.
    Split(String),
    /// JSON as text.
    Json,
    /// Text as Base64.
    Base64,
    /// A boolean turned around.
    Not,
    /// One of two local texts that are one text outside.
    Part(Part),
    /// Each element of a list by this codec; the default for lists, it has no word.
    Each(Box<Codec>),
}

/// One line of a table of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The local side, as text.
    pub local: String,
    /// The remote side: text, a number or a boolean.
    pub remote: Json,
}

impl Codec {
    /// The word in documents.
    pub fn name(&self) -> &'static str {
        match self {
            Codec::String => "string",
            Codec::Number => "number",
            Codec::Unix => "unix",
            Codec::UnixMs => "unix_ms",
            Codec::Iso8601 => "iso8601",
            Codec::Utc => "utc",
            Codec::Date => "date",
            Codec::Minor(_) => "minor",
            Codec::Values(_) => "values",
            Codec::Prefix(_) => "prefix",
            Codec::Suffix(_) => "suffix",
            Codec::Split(_) => "split",
            Codec::Json => "json",
            Codec::Base64 => "base64",
            Codec::Not => "not",
            Codec::Part(_) => "words",
            Codec::Each(codec) => codec.name(),
        }
    }

    /// What comes out for something of kind `inner`; fails where the codec does not take that.
    pub(super) fn outer(&self, inner: &Kind) -> Result<Kind, ChainError> {
        let takes = |what: &str, help: &str| {
            ChainError::new(format!("`{}` takes {what}, and gets `{inner}` here", self.name()), help)
        };
        match (self, inner) {
            (Codec::String, Kind::Int | Kind::Decimal | Kind::Bool | Kind::Uuid) => Ok(Kind::Text),
            (Codec::String, _) => Err(takes("an int, decimal, bool or uuid", "text needs no codec")),
            (Codec::Number, Kind::Decimal) => Ok(Kind::Number),
            (Codec::Number, _) => Err(takes("a decimal", "an int travels as a number without a codec")),
            (Codec::Unix | Codec::UnixMs, Kind::Timestamp) => Ok(Kind::Int),
            (Codec::Iso8601 | Codec::Utc, Kind::Timestamp) => Ok(Kind::Text),
            (Codec::Unix | Codec::UnixMs | Codec::Iso8601 | Codec::Utc, _) => {
                Err(takes("a timestamp", "make the catalog field a `timestamp`"))
            }
            (Codec::Date, Kind::Date) => Ok(Kind::Text),
            (Codec::Date, _) => Err(takes("a date", "make the catalog field a `date`")),
            (Codec::Minor(_), Kind::Decimal) => Ok(Kind::Int),
            (Codec::Minor(_), _) => Err(takes("a decimal", "make the catalog field `{ decimal: 2 }`")),
            (Codec::Values(words), Kind::Text | Kind::Words(_) | Kind::Int | Kind::Bool) => {
                Ok(table_kind(words))
            }
            (Codec::Values(_), _) => {
                Err(takes("text, an enum, an int or a bool", "a table has finitely many words"))
            }
            (Codec::Prefix(_) | Codec::Suffix(_) | Codec::Base64, Kind::Text | Kind::Words(_)) => {
                Ok(Kind::Text)
            }
            (Codec::Prefix(_) | Codec::Suffix(_) | Codec::Base64, _) => {
                Err(takes("text", "put `string` before it in the list, if the value has a text"))
            }
            (Codec::Split(_), Kind::List(item)) if matches!(**item, Kind::Text | Kind::Words(_)) => {
                Ok(Kind::Text)
            }
            (Codec::Split(_), _) => Err(takes("a list of text", "make the catalog field `{ list: text }`")),
            (Codec::Json, Kind::Json) => Ok(Kind::Text),
            (Codec::Json, _) => Err(takes("json", "make the catalog field `json`")),
            (Codec::Not, Kind::Bool) => Ok(Kind::Bool),
            (Codec::Not, _) => Err(takes("a bool", "make the catalog field a `bool`")),
            (Codec::Part(_), Kind::Text) => Ok(Kind::Text),
            (Codec::Part(_), _) => Err(takes("text", "make both catalog fields `text`")),
            (Codec::Each(codec), Kind::List(item)) => Ok(Kind::List(Box::new(codec.outer(item)?))),
            (Codec::Each(_), _) => Err(takes("a list", "use the codec without a list")),
        }
    }

    /// One step out. `kind` is what `value` is.
    pub(super) fn out(&self, kind: &Kind, value: Value, row: &Record) -> Result<Value, Refusal> {
        Ok(match (self, value) {
            (_, Value::Null) => Value::Null,
            (Codec::String, value) => string_out(&value),
            (Codec::Number, Value::Decimal(d)) => Value::Decimal(d),
            (Codec::Unix, Value::Timestamp(t)) => {
                if t.timestamp_subsec_nanos() != 0 {
                    return Err(Refusal::new(
                        RefusalKind::Range,
                        "part of a second, and the remote keeps whole ones",
                    ));
                }
                Value::Int(t.timestamp())
            }
            (Codec::UnixMs, Value::Timestamp(t)) => {
                if t.timestamp_subsec_nanos() % 1_000_000 != 0 {
                    let why = "part of a millisecond, and the remote keeps whole ones";
                    return Err(Refusal::new(RefusalKind::Range, why));
                }
                Value::Int(t.timestamp_millis())
            }
            (Codec::Iso8601, Value::Timestamp(t)) => iso8601_out(&t),
            (Codec::Utc, Value::Timestamp(t)) => Value::Text(format_utc(&t)),
            (Codec::Date, Value::Date(d)) => Value::Text(d.to_string()),
            (Codec::Minor(minor), Value::Decimal(d)) => minor.out(&d, row)?,
            (Codec::Values(words), value) => {
                let text = value.to_text();
                let word = words.iter().find(|w| w.local == text).ok_or_else(not_in_table)?;
                remote_word(&table_kind(words), &word.remote)
            }
            (Codec::Prefix(prefix), Value::Text(text)) => Value::Text(format!("{prefix}{text}")),
            (Codec::Suffix(suffix), Value::Text(text)) => Value::Text(format!("{text}{suffix}")),
            (Codec::Split(separator), Value::List(items)) => split_out(separator, &items)?,
            (Codec::Json, Value::Json(json)) => Value::Text(json.to_string()),
            (Codec::Base64, Value::Text(text)) => base64_out(&text),
            (Codec::Not, Value::Bool(b)) => Value::Bool(!b),
            // Joined before the chain begins, out of the row.
            (Codec::Part(_), whole @ Value::Text(_)) => whole,
            (Codec::Each(codec), Value::List(items)) => {
                let Kind::List(item) = kind else { return Err(mistyped(kind)) };
                Value::List(items.into_iter().map(|i| codec.out(item, i, row)).collect::<Result<_, _>>()?)
            }
            _ => return Err(mistyped(kind)),
        })
    }

    /// One step in. `kind` is what shall come out.
    pub(super) fn inward(&self, kind: &Kind, value: Value, record: &Json) -> Result<Value, Refusal> {
        Ok(match (self, value) {
            (_, Value::Null) => Value::Null,
            (Codec::String, Value::Text(text)) => string_in(kind, &text)?,
            (Codec::Number, Value::Decimal(d)) => Value::Decimal(d),
            (Codec::Unix, Value::Int(n)) => {
                Value::Timestamp(Utc.timestamp_opt(n, 0).single().ok_or_else(not_a_time)?)
            }
            (Codec::UnixMs, Value::Int(n)) => {
                Value::Timestamp(Utc.timestamp_millis_opt(n).single().ok_or_else(not_a_time)?)
            }
            (Codec::Iso8601, Value::Text(text)) => iso8601_in(&text)?,
            (Codec::Utc, Value::Text(text)) => utc_in(&text)?,
            (Codec::Date, Value::Text(text)) => date_in(&text)?,
            (Codec::Minor(minor), Value::Int(units)) => minor.inward(units, record)?,
            (Codec::Values(words), value) => {
                let table = table_kind(words);
                let word = words
                    .iter()
                    .find(|w| remote_word(&table, &w.remote) == value)
                    .ok_or_else(not_in_table)?;
                local_word(kind, &word.local)?
            }
            (Codec::Prefix(prefix), Value::Text(text)) => match text.strip_prefix(prefix.as_str()) {
                Some(rest) => Value::Text(rest.to_owned()),
                None => return Err(refuse_form("does not start with the prefix")),
            },
            (Codec::Suffix(suffix), Value::Text(text)) => match text.strip_suffix(suffix.as_str()) {
                Some(rest) => Value::Text(rest.to_owned()),
                None => return Err(refuse_form("does not end with the suffix")),
            },
            (Codec::Split(separator), Value::Text(text)) => split_in(separator, &text),
            (Codec::Json, Value::Text(text)) => json_in(&text)?,
            (Codec::Base64, Value::Text(text)) => base64_in(&text)?,
            (Codec::Not, Value::Bool(b)) => Value::Bool(!b),
            (Codec::Part(part), Value::Text(text)) => part.of(&text)?,
            (Codec::Each(codec), Value::List(items)) => {
                let Kind::List(item) = kind else { return Err(mistyped(kind)) };
                Value::List(
                    items.into_iter().map(|i| codec.inward(item, i, record)).collect::<Result<_, _>>()?,
                )
            }
            _ => return Err(mistyped(kind)),
        })
    }
}

/// What a table's remote side is.
fn table_kind(words: &[Word]) -> Kind {
    let all = |is: fn(&Json) -> bool| words.iter().all(|w| is(&w.remote));
    if all(Json::is_string) {
        Kind::Text
    } else if all(Json::is_boolean) {
        Kind::Bool
    } else if all(Json::is_i64) {
        Kind::Int
    } else {
        Kind::Json
    }
}

fn remote_word(kind: &Kind, json: &Json) -> Value {
    match (kind, json) {
        (Kind::Text, Json::String(text)) => Value::Text(text.clone()),
        (Kind::Bool, Json::Bool(b)) => Value::Bool(*b),
        (Kind::Int, Json::Number(n)) => n.as_i64().map_or_else(|| Value::Json(json.clone()), Value::Int),
        _ => Value::Json(json.clone()),
    }
}

fn local_word(kind: &Kind, word: &str) -> Result<Value, Refusal> {
    let ty = match kind {
        Kind::Int => FieldType::Int,
        Kind::Bool => FieldType::Bool,
        _ => FieldType::Text,
    };
    Value::from_text(&ty, word).map_err(|_| mistyped(kind))
}

fn not_in_table() -> Refusal {
    Refusal::new(RefusalKind::Word, "a value that `values` does not list")
}

fn not_a_time() -> Refusal {
    Refusal::new(RefusalKind::Range, "not a time")
}

/// A codec was handed something else than its chain promises.
fn mistyped(kind: &Kind) -> Refusal {
    Refusal::new(RefusalKind::Type, format!("not a valid {kind}"))
}
