//! Why an engine call failed.

use bothways_connector::UnknownResource;
use bothways_model::Failure;
use bothways_store::StoreError;

/// A failed engine call. Messages hold no record values.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The connector lacks something a mapping names.
    #[error(transparent)]
    Resource(#[from] UnknownResource),
    /// The service answered with an error.
    #[error("the service answered: {0}")]
    Service(#[from] Failure),
    /// The service did not answer.
    #[error(transparent)]
    Silence(#[from] crate::SendError),
    /// Something that was named does not exist.
    #[error("there is no {0}")]
    NotFound(String),
    /// A brake stopped it; the text says which and what to do.
    #[error("{0}")]
    Braked(String),
    /// The record is not what it was when it was shown; the text says which fields.
    #[error("{0}")]
    Moved(String),
    /// The request makes no sense now; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
}
