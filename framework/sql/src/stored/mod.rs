//! How the engine's things are laid out in its tables: one file per table that has more to it than its columns.

mod history;
mod intent;
mod key;
mod link;
mod pair;
mod work;

pub(crate) use history::{HISTORY, history_args, read_history};
pub(crate) use intent::{INTENT, intent_args, read_intent};
pub(crate) use key::{KEY, key_args, read_key};
pub(crate) use link::{LINK, LINK_UPSERT, StoredLink, link_args, read_link};
pub(crate) use pair::{PAIR, read_pair, scope_of_text, scope_text};
pub(crate) use work::{WORK, WORK_UPSERT, read_work, subject_columns, work_args};

use crate::error::damaged;
use crate::tuple::{FromCell, Tuple};
use bothways_model::{Mode, Timestamp};
use bothways_store::StoreError;
use chrono::DateTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Nanoseconds since 1970. Times beyond the year 2262 are that year.
pub(crate) fn nanos(at: Timestamp) -> i64 {
    at.timestamp_nanos_opt().unwrap_or(if at.timestamp() < 0 { i64::MIN } else { i64::MAX })
}

/// Reads [`nanos`].
pub(crate) fn time(nanos: i64) -> Timestamp {
    DateTime::from_timestamp_nanos(nanos)
}

/// A column of one of our own rows.
pub(crate) fn get<'r, T: FromCell<'r>>(row: &'r Tuple, index: usize) -> Result<T, StoreError> {
    row.get(index).map_err(|what| damaged(&what))
}

/// JSON for a text column. Our own types always serialise.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Reads [`json`].
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| damaged(what))
}

pub(crate) fn mode(text: &str) -> Mode {
    [Mode::Live, Mode::Test].into_iter().find(|m| m.as_str() == text).unwrap_or(Mode::Unknown)
}
