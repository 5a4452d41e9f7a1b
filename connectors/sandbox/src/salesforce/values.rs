//! What may be written into a field, and what becomes of it: texts are trimmed and the empty one is null.

use super::errors::ApiError;
use super::objects::{Field, Kind};
use super::record_id::to_18;
use super::time;
use serde_json::{Value, json};

/// The value as it is stored; null where the field is emptied.
pub(crate) fn read(field: &Field, given: &Value) -> Result<Value, ApiError> {
    if given.is_null() {
        // A checkbox has no third state.
        return Ok(if field.kind == Kind::Boolean { json!(false) } else { Value::Null });
    }
    match &field.kind {
        Kind::Text(max) | Kind::LongText(max) => text(field, given, *max),
        Kind::Email => email(field, given),
        Kind::Boolean => match given {
            Value::Bool(_) => Ok(given.clone()),
            _ => Err(mistyped("boolean", given)),
        },
        Kind::Integer => match given.as_i64().or_else(|| given.as_str()?.parse().ok()) {
            Some(number) => Ok(json!(number)),
            None => Err(mistyped("int", given)),
        },
        Kind::Number => match given.as_f64().or_else(|| given.as_str()?.parse().ok()) {
            Some(number) if number.is_finite() => {
                Ok(if given.is_number() { given.clone() } else { json!(number) })
            }
            _ => Err(mistyped("double", given)),
        },
        Kind::Date => match given.as_str().and_then(time::read_date) {
            Some(date) => Ok(json!(date.to_string())),
            None => Err(mistyped("date", given)),
        },
        Kind::DateTime => match given.as_str().and_then(time::read) {
            Some(at) => Ok(json!(time::stamp(time::to_second(at)))),
            None => Err(mistyped("datetime", given)),
        },
        Kind::Id | Kind::Reference(_) => match given.as_str() {
            Some("") => Ok(Value::Null),
            Some(id) => match to_18(id) {
                Some(id) => Ok(json!(id)),
                None => Err(ApiError::bad(
                    "MALFORMED_ID",
                    format!("{}: id value of incorrect type: {id}", field.name),
                )
                .of(&field.name)),
            },
            None => Err(mistyped("reference", given)),
        },
    }
}

fn text(field: &Field, given: &Value, max: usize) -> Result<Value, ApiError> {
    let text = match given {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(_) | Value::Bool(_) => given.to_string(),
        _ => return Err(mistyped("string", given)),
    };
    if text.chars().count() > max {
        let shown: String = text.chars().take(80).collect();
        let message = format!("{}: data value too large: {shown} (max length={max})", label(&field.name));
        return Err(ApiError::bad("STRING_TOO_LONG", message).of(&field.name));
    }
    Ok(if text.is_empty() { Value::Null } else { Value::String(text) })
}

fn email(field: &Field, given: &Value) -> Result<Value, ApiError> {
    let value = text(field, given, 80)?;
    let Some(text) = value.as_str() else { return Ok(value) };
    let is_email = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
    });
    if is_email && !text.contains(char::is_whitespace) && text.matches('@').count() == 1 {
        return Ok(value);
    }
    let message = format!("{}: invalid email address: {text}", label(&field.name));
    Err(ApiError::bad("INVALID_EMAIL_ADDRESS", message).of(&field.name))
}

fn mistyped(wanted: &str, given: &Value) -> ApiError {
    let (kind, shown) = match given {
        Value::String(text) => ("VALUE_STRING", text.chars().take(80).collect()),
        Value::Bool(_) => ("VALUE_BOOLEAN", given.to_string()),
        Value::Number(_) => ("VALUE_NUMBER", given.to_string()),
        Value::Array(_) => ("START_ARRAY", String::new()),
        Value::Object(_) => ("START_OBJECT", String::new()),
        Value::Null => ("VALUE_NULL", String::new()),
    };
    ApiError::unreadable(&format!(
        "Cannot deserialize instance of {wanted} from {kind} value {shown} or request may be missing a required field"
    ))
}

/// `LastName` as people read it.
pub(crate) fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 4);
    for c in name.trim_end_matches("__c").replace('_', " ").chars() {
        if c.is_ascii_uppercase() && label.ends_with(|last: char| last.is_ascii_lowercase()) {
            label.push(' ');
        }
        label.push(c);
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::objects;
    use std::borrow::Cow;

    fn put(field: &str, value: Value) -> Result<Value, Cow<'static, str>> {
        let objects = objects::all(&[]);
        let contact = objects.iter().find(|o| o.name == "Contact").unwrap();
        read(contact.field(field).unwrap(), &value).map_err(|error| error.code)
    }

    #[test]
    fn texts_are_trimmed_and_never_empty() {
        assert_eq!(put("LastName", json!("  Lee \n")), Ok(json!("Lee")));
        assert_eq!(put("FirstName", json!("   ")), Ok(Value::Null));
        assert_eq!(put("FirstName", json!("é".repeat(40))), Ok(json!("é".repeat(40))));
        assert_eq!(put("FirstName", json!("é".repeat(41))), Err("STRING_TOO_LONG".into()));
        assert_eq!(put("FirstName", json!(["a"])), Err("JSON_PARSER_ERROR".into()));
    }

    #[test]
    fn every_kind_refuses_what_it_cannot_hold() {
        for good in ["a@x.io", "a+b@sub.x.io"] {
            assert_eq!(put("Email", json!(good)), Ok(json!(good)));
        }
        for bad in ["a", "a@x", "@x.io", "a@.io", "a b@x.io", "a@b@x.io"] {
            assert_eq!(put("Email", json!(bad)), Err("INVALID_EMAIL_ADDRESS".into()), "{bad}");
        }
        assert_eq!(put("DoNotCall", Value::Null), Ok(json!(false)));
        assert_eq!(put("DoNotCall", json!("yes")), Err("JSON_PARSER_ERROR".into()));
        assert_eq!(put("Birthdate", json!("1980-02-29")), Ok(json!("1980-02-29")));
        assert_eq!(put("Birthdate", json!("1981-02-29")), Err("JSON_PARSER_ERROR".into()));
        assert_eq!(put("AccountId", json!("001D000000IqhSL")), Ok(json!("001D000000IqhSLIAZ")));
        assert_eq!(put("AccountId", json!("001")), Err("MALFORMED_ID".into()));
    }

    #[test]
    fn labels() {
        assert_eq!(label("LastName"), "Last Name");
        assert_eq!(label("HasOptedOutOfEmail"), "Has Opted Out Of Email");
        assert_eq!(label("Bothways_Id__c"), "Bothways Id");
    }
}
