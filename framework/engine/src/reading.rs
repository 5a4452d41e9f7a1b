//! Reads in bulk, with patience: what walks, polls and feeds share.

use crate::retry::{self, Next};
use crate::{ConnectionState, Engine, EngineError, PairRuntime, Purpose, SendError};
use bothways_connector::{Exchange, Outcome};
use bothways_model::{ConnectionName, ErrorClass, Failure};
use bothways_store::PauseScope;
use std::time::Duration;

/// Attempts after which whoever watches is told that there are more.
const SILENT_ATTEMPTS: u32 = 2;

/// Why a bulk read gave nothing.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The service answered with an error that waiting does not mend, or did so too often.
    Failed(Failure),
    /// The service did not answer, too often.
    Silent(SendError),
    /// Nothing may be read now: a pause, a blocked connection, the engine's end.
    Halted(String),
}

impl ReadError {
    /// The class of the error answer, if there was one.
    pub(crate) fn class(&self) -> Option<ErrorClass> {
        match self {
            ReadError::Failed(failure) => Some(failure.class),
            _ => None,
        }
    }

    /// Whether the service refuses this read whatever we do (rule 53).
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.class(), Some(ErrorClass::Invalid | ErrorClass::Missing | ErrorClass::Forbidden))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            ReadError::Failed(failure) => failure.to_string(),
            ReadError::Silent(error) => error.to_string(),
            ReadError::Halted(why) => why.clone(),
        }
    }
}

impl From<ReadError> for EngineError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Failed(failure) => EngineError::Service(failure),
            ReadError::Silent(error) => EngineError::Silence(error),
            ReadError::Halted(why) => EngineError::Refused(why),
        }
    }
}

/// A read that failed, and what to do about it.
pub(crate) struct Trouble {
    pub(crate) next: Next,
    /// How long the service asks us to wait.
    pub(crate) asked: Option<Duration>,
    pub(crate) error: ReadError,
}

/// Sorts the end of a bulk read.
pub(crate) fn sort(answer: Result<Outcome, SendError>) -> Result<Outcome, Trouble> {
    match answer {
        Ok(Outcome::Failed(failure)) => {
            let next = match failure.class {
                // A list that is not there does not appear by asking again.
                ErrorClass::Missing => Next::Park,
                _ => retry::after_failure(&failure),
            };
            let asked = failure.wait();
            Err(Trouble { next, asked, error: ReadError::Failed(failure) })
        }
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            let next = retry::after_silence(&error);
            Err(Trouble { next, asked: None, error: ReadError::Silent(error) })
        }
    }
}

/// Whether a failed bulk read is tried again.
pub(crate) fn may_repeat(next: &Next) -> bool {
    matches!(next, Next::Attempt | Next::Outage | Next::LookAgain)
}

impl Engine {
    /// Runs a read to its end; again, with backoff, while the service is away, busy or answers nonsense. `start` makes the
    /// exchange anew each time.
    pub(crate) async fn read_bulk(
        &self,
        connection: &ConnectionName,
        timeout: Duration,
        start: impl Fn() -> Result<Box<dyn Exchange>, Failure>,
    ) -> Result<Outcome, ReadError> {
        self.read_bulk_for(Purpose::Background, connection, timeout, start).await
    }

    /// The same out of another purpose's share of the budget.
    pub(crate) async fn read_bulk_for(
        &self,
        purpose: Purpose,
        connection: &ConnectionName,
        timeout: Duration,
        start: impl Fn() -> Result<Box<dyn Exchange>, Failure>,
    ) -> Result<Outcome, ReadError> {
        let policy = self.settings.retry;
        let mut attempts = 0;
        loop {
            self.check_readable(connection)?;
            let exchange = start().map_err(ReadError::Failed)?;
            let answer = self.run(connection, purpose, exchange, timeout).await;
            let Trouble { next, asked, error } = match sort(answer) {
                Ok(outcome) => return Ok(outcome),
                Err(trouble) => trouble,
            };
            if !may_repeat(&next) || attempts + 1 >= policy.attempts {
                return Err(error);
            }
            let wait = retry::backoff(&policy, attempts, asked, &*self.ports.random);
            attempts += 1;
            if attempts == SILENT_ATTEMPTS {
                let why = match &error {
                    ReadError::Failed(failure) => failure.class.to_string(),
                    other => other.text(),
                };
                tracing::warn!(connection = %connection, why, "a read failed; it is tried again for a while");
            }
            self.pause_for(wait).await;
        }
    }

    /// Whether bulk reads may go out on this connection now.
    pub(crate) fn check_readable(&self, connection: &ConnectionName) -> Result<(), ReadError> {
        if self.is_stopping() {
            return Err(ReadError::Halted("the engine is stopping".into()));
        }
        if let ConnectionState::Blocked(why) = self.connection_state(connection) {
            return Err(ReadError::Halted(why));
        }
        let scopes = [PauseScope::All, PauseScope::Connection(connection.clone())];
        if scopes.iter().any(|scope| self.pauses.has(scope)) {
            return Err(ReadError::Halted(format!(
                "connection `{connection}` is paused; `bothways status` says why, `bothways resume connection {connection}` goes on"
            )));
        }
        Ok(())
    }

    /// Stops what must not go on after this error: the connection or the mapping (rule 44).
    pub(crate) async fn after_read_error(&self, pair: &PairRuntime, error: &ReadError) {
        let next = match error {
            ReadError::Failed(failure) => retry::after_failure(failure),
            ReadError::Silent(error) => retry::after_silence(error),
            ReadError::Halted(_) => return,
        };
        match next {
            Next::PauseConnection => {
                self.pause(PauseScope::Connection(pair.connection.clone()), &error.text()).await;
            }
            Next::PauseMapping => self.pause(PauseScope::Pair(pair.id), &error.text()).await,
            _ => {}
        }
    }
}
