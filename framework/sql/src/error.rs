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

/// Why a statement failed, or what it returned could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// On a connection that reads.
    #[error(transparent)]
    Reading(#[from] sqlx::Error),
    /// On the connection that writes.
    #[error(transparent)]
    Writing(#[from] rusqlite::Error),
    /// A column holds something else than it should.
    #[error("{0}")]
    Column(String),
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Failure::Column(what)
    }
}

impl Failure {
    /// SQLite's primary result code, if the error came from SQLite.
    fn primary(&self) -> Option<i32> {
        match self {
            Failure::Reading(sqlx::Error::Database(database)) => {
                database.code()?.parse::<i32>().ok().map(|code| code & 0xff)
            }
            Failure::Writing(error) => error.sqlite_error().map(|error| error.extended_code & 0xff),
            _ => None,
        }
    }

    /// Whether another program's transaction is in the way.
    pub(crate) fn is_busy(&self) -> bool {
        self.primary() == Some(code::BUSY)
    }

    /// What the database itself says, without the statement and without values.
    pub(crate) fn words(&self) -> String {
        match self {
            Failure::Reading(sqlx::Error::Database(database)) => database.message().to_owned(),
            Failure::Writing(rusqlite::Error::SqliteFailure(error, message)) => {
                message.clone().unwrap_or_else(|| error.to_string())
            }
            Failure::Writing(rusqlite::Error::SqlInputError { msg, .. }) => msg.clone(),
            other => other.to_string(),
        }
    }

    fn kind(&self) -> StoreErrorKind {
        match self.primary() {
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
            None => match self {
                Failure::Reading(
                    sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_),
                ) => StoreErrorKind::Retry,
                _ => StoreErrorKind::Broken,
            },
        }
    }
}

/// An error of a statement about the engine's own tables, or of the connection.
pub(crate) fn ours(error: impl Into<Failure>) -> StoreError {
    let error = error.into();
    let mut message = error.words();
    if error.primary() == Some(code::ERROR) && message.contains("no such table: bothways_") {
        message = "the database is not set up: run `bothways migrate`".to_owned();
    }
    StoreError { kind: error.kind(), message, source: Some(Box::new(error)) }
}

/// What a failed statement about one of the user's tables means.
pub(crate) enum Row {
    /// The table refuses the row, in these words.
    Refused(String),
    /// It has nothing to do with the row.
    Failed(StoreError),
}

/// An error of a statement that writes one of the user's tables: unless the database as a whole is in trouble, the table refuses.
pub(crate) fn theirs(error: Failure) -> Row {
    match error.primary() {
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
        Some(_) => Row::Refused(error.words()),
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
