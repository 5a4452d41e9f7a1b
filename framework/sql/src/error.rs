//! Which of the database's errors can be repeated, which a row caused, and which a person must see.

use bothways_store::{StoreError, StoreErrorKind};

/// SQLite's primary result codes that mean something here.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const SCHEMA: i32 = 17;
    pub(super) const NOTADB: i32 = 26;
}

/// SQLite's primary result code, if the error came from SQLite.
fn primary(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(database) = error else { return None };
    database.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// What the database itself says, without the statement and without values.
fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        other => other.to_string(),
    }
}

fn kind(error: &sqlx::Error) -> StoreErrorKind {
    match primary(error) {
        Some(
            code::BUSY
            | code::LOCKED
            | code::INTERRUPT
            | code::IOERR
            | code::FULL
            | code::PROTOCOL
            | code::SCHEMA,
        ) => StoreErrorKind::Retry,
        Some(_) => StoreErrorKind::Broken,
        None => match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => {
                StoreErrorKind::Retry
            }
            _ => StoreErrorKind::Broken,
        },
    }
}

/// An error of a statement about the engine's own tables, or of the connection.
pub(crate) fn ours(error: sqlx::Error) -> StoreError {
    let mut message = words(&error);
    if primary(&error) == Some(code::ERROR) && message.contains("no such table: bothways_") {
        message = "the database is not set up: run `bothways migrate`".to_owned();
    }
    StoreError { kind: kind(&error), message, source: Some(Box::new(error)) }
}

/// What a failed statement about one of the user's tables means.
pub(crate) enum Row {
    /// The table refuses the row, in these words.
    Refused(String),
    /// It has nothing to do with the row.
    Failed(StoreError),
}

/// An error of a statement that writes one of the user's tables: unless the database as a whole is in trouble, the table refuses.
pub(crate) fn theirs(error: sqlx::Error) -> Row {
    match primary(&error) {
        Some(
            code::BUSY
            | code::LOCKED
            | code::READONLY
            | code::INTERRUPT
            | code::IOERR
            | code::CORRUPT
            | code::FULL
            | code::CANTOPEN
            | code::PROTOCOL
            | code::SCHEMA
            | code::NOTADB,
        )
        | None => Row::Failed(ours(error)),
        Some(_) => Row::Refused(words(&error)),
    }
}

/// Something in one of our own tables cannot be read.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Broken, format!("damaged: {what}"))
}

/// The table refuses.
pub(crate) fn refused(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, message)
}

/// Something named does not exist.
pub(crate) fn unknown(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Unknown, message)
}
