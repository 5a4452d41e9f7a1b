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
    Service(Failure),
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

// Its words are the failure's: a cause that says them again would be printed twice.
impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        Self::Service(failure)
    }
}

impl EngineError {
    /// What a log may say of it: none of the service's own words, which may hold anything.
    pub(crate) fn in_log(&self) -> String {
        match self {
            EngineError::Service(failure) => format!("the service answered: {}", failure.in_log()),
            EngineError::Refused(_) | EngineError::Braked(_) => {
                "it must not go on; `bothways status` says why".into()
            }
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::ErrorClass;

    #[test]
    fn a_log_gets_none_of_the_services_words() {
        let said = Failure {
            status: Some(403),
            code: Some("no_access".into()),
            ..Failure::new(ErrorClass::Forbidden, "kanari@example.com may not")
        };
        let error = EngineError::from(said.clone());
        assert_eq!(error.in_log(), "the service answered: forbidden 403 no_access");
        assert!(error.to_string().contains("kanari"), "a person is told");
        // Refusals tell a person what the service said.
        let refused = EngineError::Refused(format!("the service refuses the credentials ({said})"));
        assert!(!refused.in_log().contains("kanari"));
    }
}
