//! Rows as a test writes them.

use bothways_model::{Record, Value};

/// A record of text fields; an empty text is null, and `id` is a number.
pub fn record(fields: &[(&str, &str)]) -> Record {
    fields
        .iter()
        .map(|(name, text)| {
            let value = match (*name, *text) {
                ("id", number) => Value::Int(number.parse().unwrap()),
                (_, "") => Value::Null,
                (_, text) => Value::Text(text.into()),
            };
            (*name, value)
        })
        .collect()
}
