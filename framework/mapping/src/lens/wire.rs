//! The outer end of a chain: what JSON carries.

use super::numbers::{json_to_decimal, json_to_int};
use super::{Kind, Refusal, RefusalKind};
use crate::connector::unlisted;
use bothways_model::Value;
use serde_json::Value as Json;

impl Kind {
    /// Writes `value`, which is of this kind.
    pub(super) fn write(&self, value: &Value) -> Result<Json, Refusal> {
        match (self, value) {
            (_, Value::Null) => Ok(Json::Null),
            (Kind::Text | Kind::Words(_), Value::Text(text)) => Ok(Json::String(text.clone())),
            (Kind::Int, Value::Int(n)) => Ok(Json::from(*n)),
            (Kind::Number, Value::Decimal(d)) => super::numbers::decimal_to_json(d),
            (Kind::Bool, Value::Bool(b)) => Ok(Json::Bool(*b)),
            (Kind::Json, Value::Json(json)) => Ok(json.clone()),
            (Kind::Id { number: false }, Value::Text(id)) => Ok(Json::String(id.clone())),
            (Kind::Id { number: true }, Value::Text(id)) => {
                id.parse().map(|n: i64| Json::from(n)).map_err(|_| self.refuse())
            }
            (Kind::List(item), Value::List(items)) => {
                items.iter().map(|i| item.write(i)).collect::<Result<_, _>>().map(Json::Array)
            }
            _ => Err(self.refuse()),
        }
    }

    /// Reads a node as a value of this kind.
    pub(super) fn read(&self, json: &Json) -> Result<Value, Refusal> {
        if let Some(why) = unlisted(json) {
            return Err(Refusal::new(RefusalKind::Word, why));
        }
        match (self, json) {
            (Kind::Json, json) => Ok(Value::Json(json.clone())),
            (_, Json::Null) => Ok(Value::Null),
            (Kind::Text | Kind::Words(_), Json::String(text)) => Ok(Value::Text(text.clone())),
            (Kind::Id { .. }, Json::String(id)) => Ok(Value::Text(id.clone())),
            (Kind::Id { .. }, Json::Number(_)) => {
                json_to_int(json).map(|n| Value::Text(n.to_string())).ok_or_else(|| self.refuse())
            }
            (Kind::Int, Json::Number(_)) => json_to_int(json).map(Value::Int).ok_or_else(|| self.refuse()),
            (Kind::Number, Json::Number(_)) => json_to_decimal(json).map(Value::Decimal).ok_or_else(|| {
                Refusal::new(
                    RefusalKind::Range,
                    "more than 15 digits cannot be carried exactly by a JSON number",
                )
            }),
            (Kind::Bool, Json::Bool(b)) => Ok(Value::Bool(*b)),
            (Kind::List(item), Json::Array(items)) => {
                items.iter().map(|i| item.read(i)).collect::<Result<_, _>>().map(Value::List)
            }
            _ => Err(Refusal::new(RefusalKind::Type, format!("expected {self}, found {}", name_of(json)))),
        }
    }

    fn refuse(&self) -> Refusal {
        Refusal::new(RefusalKind::Type, format!("not a valid {self}"))
    }
}

/// The JSON type of a node, for messages.
pub(crate) fn name_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
