//! What an error means for the engine. Connectors classify; one table in the engine decides what follows (rule 44).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The longest wait that a service is granted. One that asks for more has made a mistake, or means to stop us for good.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The class of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// The service had trouble (408, 5xx): try again later. A write with this class is *uncertain* (rule 23).
    Retry,
    /// Too many requests: try again later and slow down. The request was not carried out.
    Throttle,
    /// The credentials were refused: refresh once, then pause the connection.
    Auth,
    /// Forbidden for this resource: pause the mapping.
    Forbidden,
    /// The record is not there.
    Missing,
    /// A record like this exists already.
    Duplicate,
    /// The record changed meanwhile, or a precondition failed, or it is locked: it was not written; look again.
    Conflict,
    /// A cursor or token is too old: a full pass follows.
    Expired,
    /// The service will never accept this request: park it.
    Invalid,
    /// The answer was not what the connector's document says (HTML with 200, truncated JSON, another id): proves nothing.
    Malformed,
}

impl ErrorClass {
    /// The word used in documents, output and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Retry => "retry",
            ErrorClass::Throttle => "throttle",
            ErrorClass::Auth => "auth",
            ErrorClass::Forbidden => "forbidden",
            ErrorClass::Missing => "missing",
            ErrorClass::Duplicate => "duplicate",
            ErrorClass::Conflict => "conflict",
            ErrorClass::Expired => "expired",
            ErrorClass::Invalid => "invalid",
            ErrorClass::Malformed => "malformed",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that the service answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{class}{}{}: {message}", .status.map(|s| format!(" {s}")).unwrap_or_default(), .code.as_deref().map(|c| format!(" {c}")).unwrap_or_default())]
pub struct Failure {
    /// What kind of failure.
    pub class: ErrorClass,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The service's own code.
    pub code: Option<String>,
    /// The service's own words, shortened; shown to operators, kept out of logs.
    pub message: String,
    /// How long the service asks us to wait, in milliseconds, whatever it says; see [`Failure::wait`].
    pub retry_after_ms: Option<u64>,
    /// True if the service saved this answer under our idempotency key, so that replaying the key can only repeat it
    /// (rule 23: look the record up instead).
    pub replayed: bool,
}

impl Failure {
    /// A failure of `class` with a message and nothing else known.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            code: None,
            message: message.into(),
            retry_after_ms: None,
            replayed: false,
        }
    }

    /// What a log may say of it: class, status and code, and none of the service's own words.
    pub fn in_log(&self) -> String {
        let status = self.status.map(|status| format!(" {status}")).unwrap_or_default();
        let code = self.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{}{status}{code}", self.class)
    }

    /// How long the service asks us to wait: a day at most.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after_ms.map(|ms| Duration::from_millis(ms).min(LONGEST_WAIT))
    }

    /// Whether a write that got this answer may all the same have been carried out.
    pub fn is_uncertain(&self) -> bool {
        matches!(self.class, ErrorClass::Retry | ErrorClass::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_longer_than_a_day() {
        let wait = |retry_after_ms| {
            Failure { retry_after_ms, ..Failure::new(ErrorClass::Throttle, "too many requests") }.wait()
        };
        assert_eq!(wait(None), None);
        assert_eq!(wait(Some(1500)), Some(Duration::from_millis(1500)));
        for long in [86_400_001, u64::MAX] {
            assert_eq!(wait(Some(long)), Some(LONGEST_WAIT), "{long}");
        }
    }
}
