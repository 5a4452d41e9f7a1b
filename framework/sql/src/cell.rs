//! Cells: a catalog value as a bound value, and back. SQLite types values, not columns, so reading goes by what is really there.
//!
//! Written: text, enum words and UUIDs as text · whole numbers and booleans (0, 1) as integers · decimals as text, exactly (a column of
//! numeric affinity makes a number of it) · dates as `YYYY-MM-DD` · moments as `YYYY-MM-DD HH:MM:SS[.fraction]` in UTC, or as whole
//! seconds since 1970 where the column is declared as an integer · JSON and lists as JSON text.
//!
//! Read: the same, and decimals also from numbers, moments also with `T`, an offset or as integer seconds, booleans also as words.

use crate::statement::Arg;
use crate::tuple::{Cell, Tuple};
use bothways_model::{FieldType, Timestamp, Value};
use chrono::DateTime;
use rust_decimal::Decimal;
use uuid::Uuid;

/// Reads the cell at `index` as a value of type `ty`. The error says what is wrong, never the value.
pub(crate) fn read(row: &Tuple, index: usize, ty: &FieldType) -> Result<Value, String> {
    let holds = |what: &str| Err(format!("holds {what} where the catalog says {ty}"));
    match row.cell(index) {
        Cell::Null => Ok(Value::Null),
        Cell::Text(text) => Value::from_text(ty, text).map_err(|error| format!("is {error}")),
        Cell::Broken => holds("broken text"),
        &Cell::Integer(number) => match ty {
            FieldType::Int => Ok(Value::Int(number)),
            FieldType::Decimal { .. } => Ok(Value::Decimal(Decimal::from(number))),
            FieldType::Bool if number == 0 || number == 1 => Ok(Value::Bool(number == 1)),
            FieldType::Timestamp => match DateTime::from_timestamp(number, 0) {
                Some(at) => Ok(Value::Timestamp(at)),
                None => holds("an integer out of range"),
            },
            _ => holds("an integer"),
        },
        // The shortest text that means the same number, as SQLite prints it.
        Cell::Real(number) => match ty {
            FieldType::Decimal { .. } => {
                Value::from_text(ty, &number.to_string()).map_err(|error| format!("is {error}"))
            }
            _ => holds("a floating-point number"),
        },
        Cell::Blob(bytes) => match ty {
            FieldType::Uuid => match Uuid::from_slice(bytes) {
                Ok(uuid) => Ok(Value::Uuid(uuid)),
                Err(_) => holds("bytes"),
            },
            _ => holds("bytes"),
        },
    }
}

/// A value for a column. `integer` says that the column is declared as an integer.
pub(crate) fn write(value: &Value, ty: &FieldType, integer: bool) -> Result<Arg, String> {
    let text = |value: &Value| Arg::Text(value.to_text());
    Ok(match (ty, value) {
        (_, Value::Null) => Arg::Null,
        (FieldType::Text, Value::Text(t)) => Arg::Text(t.clone()),
        (FieldType::Enum(words), Value::Text(word)) if words.contains(word) => Arg::Text(word.clone()),
        (FieldType::Int, Value::Int(number)) => Arg::Int(*number),
        (FieldType::Bool, Value::Bool(flag)) => Arg::from(*flag),
        (FieldType::Timestamp, Value::Timestamp(at)) if integer => Arg::Int(at.timestamp()),
        (FieldType::Timestamp, Value::Timestamp(at)) => Arg::Text(moment(at)),
        (FieldType::Decimal { .. }, Value::Decimal(_))
        | (FieldType::Date, Value::Date(_))
        | (FieldType::Uuid, Value::Uuid(_)) => text(value),
        (FieldType::Json, Value::Json(json)) => Arg::Text(json.to_string()),
        (FieldType::List(item), Value::List(items)) => {
            for one in items {
                write(one, item, false)?;
            }
            Arg::Text(value.to_plain_json().to_string())
        }
        _ => return Err(format!("does not hold a {ty}")),
    })
}

/// A moment as text: UTC, a space, as many fractional digits as it has.
pub(crate) fn moment(at: &Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_for_people_and_read_back() {
        for text in ["2026-11-22 02:14:22", "2026-11-22 02:14:22.500", "2026-11-22 02:14:22.000001"] {
            let value = Value::from_text(&FieldType::Timestamp, text).unwrap();
            let Value::Timestamp(at) = &value else { panic!("{value:?}") };
            assert_eq!(moment(at), text);
            let seconds = write(&value, &FieldType::Timestamp, true).unwrap();
            assert_eq!(seconds, Arg::Int(1_795_313_662));
        }
    }

    #[test]
    fn a_value_of_another_type_is_not_written() {
        assert!(write(&Value::Text("1".into()), &FieldType::Int, false).is_err());
        assert!(write(&Value::Text("x".into()), &FieldType::Enum(vec!["a".into()]), false).is_err());
        let list = FieldType::List(Box::new(FieldType::Int));
        assert!(write(&Value::List(vec![Value::Text("a".into())]), &list, false).is_err());
        assert_eq!(write(&Value::List(vec![Value::Int(1)]), &list, false), Ok(Arg::Text("[1]".into())));
    }
}
