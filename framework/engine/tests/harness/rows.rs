//! Rows as a test writes them.

use super::World;
use bothways_model::{LocalId, Record, RemoteId, Value};

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

impl World {
    /// Ann, who is on both sides.
    pub async fn linked(&self) -> (LocalId, RemoteId) {
        let row = self.insert(&[("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")]);
        self.settle().await;
        let link = self.link_of(&row).await;
        (row, link.remote_id.expect("created"))
    }

    /// Archives a row: its `deleted_at` is set.
    pub fn archive(&self, id: &LocalId) {
        let now = self.now();
        assert!(self.store.foreign().archive("customers", id, Some(now), now).unwrap());
    }

    /// Clears the `deleted_at` of a row.
    pub fn restore(&self, id: &LocalId) {
        assert!(self.store.foreign().archive("customers", id, None, self.now()).unwrap());
    }
}
