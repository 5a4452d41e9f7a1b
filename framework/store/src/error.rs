//! Why a store call failed.

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Locked, serialization failure, deadlock, connection lost: nothing was committed, the same call may succeed later. A commit
    /// whose outcome is unknown is this kind too; units are safe to repeat, because a stale token or a taken claim changes nothing.
    Retry,
    /// A row the *user's* table refuses (NOT NULL, UNIQUE, CHECK, a trigger that raises, a type).
    Refused,
    /// The request names something that does not exist (catalog, row, link).
    Unknown,
    /// The database is not set up, not ours, or damaged. A person must act.
    Broken,
}

/// A failed store call. The message names tables and columns, never values.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What can be done about it.
    pub kind: StoreErrorKind,
    /// What happened, and where.
    pub message: String,
    /// The database's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error without a cause of its own.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}
