//! Runs exchanges over the HTTP port.

use crate::renewal::NotRenewed;
use crate::{Engine, Purpose, SendError};
use bothways_connector::{Call, Exchange, Outcome, Step, answer_date};
use bothways_model::{ConnectionName, ErrorClass, Failure, Request, Response};
use std::time::Duration;

/// A connector that never ends would hold a lease for ever; no honest operation needs this many steps.
pub(crate) const MOST_STEPS: usize = 16;

/// An exchange that wants its first request sent.
pub(crate) struct Prepared {
    exchange: Box<dyn Exchange>,
    /// The first request.
    pub(crate) call: Call,
}

/// Asks a write's exchange for its first request without sending it, so that an intent can hold it (rule 20).
///
/// # Errors
/// The outcome, if the exchange ends without sending anything.
pub(crate) fn prepare(mut exchange: Box<dyn Exchange>) -> Result<Prepared, Outcome> {
    match exchange.next(None) {
        Step::Call(call) => Ok(Prepared { exchange, call }),
        Step::Done(outcome) => Err(outcome),
        Step::Renew(_) => {
            let why = "a write asked for credentials before its request";
            Err(Outcome::Failed(Failure::new(ErrorClass::Malformed, why)))
        }
    }
}

/// Why an exchange has no end of its own.
pub(crate) enum Unended {
    /// A request got no answer. For a write, whether it was carried out is then unknown unless the error says otherwise.
    Silent(SendError),
    /// It needs a token, and whoever gives tokens refuses one.
    NoToken(Failure),
}

impl Engine {
    /// Runs an exchange to its end.
    ///
    /// # Errors
    /// A request got no answer, as for [`Unended::Silent`].
    pub(crate) async fn run(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        exchange: Box<dyn Exchange>,
        timeout: Duration,
    ) -> Result<Outcome, SendError> {
        outcome(self.run_by_itself(connection, purpose, exchange, timeout).await)
    }

    /// The same for whoever has to tell what the service itself answered from the refusal of a token.
    pub(crate) async fn run_by_itself(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        mut exchange: Box<dyn Exchange>,
        timeout: Duration,
    ) -> Result<Outcome, Unended> {
        let first = exchange.next(None);
        self.go_on(connection, purpose, exchange, first, timeout).await
    }

    /// Runs a prepared exchange to its end.
    ///
    /// # Errors
    /// As for [`Engine::run`].
    pub(crate) async fn run_prepared(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        prepared: Prepared,
        timeout: Duration,
    ) -> Result<Outcome, SendError> {
        let Prepared { exchange, call } = prepared;
        outcome(self.go_on(connection, purpose, exchange, Step::Call(call), timeout).await)
    }

    /// Sends one request by a call of its own.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn send_alone(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        request: Request,
        timeout: Duration,
    ) -> Result<Response, SendError> {
        self.admit(connection)?;
        let answer = self.ports.http.send(connection, purpose, request, timeout).await;
        self.note_call(connection, &answer);
        let answer = answer?;
        if let Some(date) = answer_date(&answer) {
            self.connections.note_date(connection, date);
        }
        if answer.status < 500 && answer.status != 429 {
            self.connections.note_answer(connection);
        }
        Ok(answer)
    }

    async fn go_on(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        mut exchange: Box<dyn Exchange>,
        mut step: Step,
        timeout: Duration,
    ) -> Result<Outcome, Unended> {
        for _ in 0..MOST_STEPS {
            let answer = match step {
                Step::Done(outcome) => return Ok(outcome),
                Step::Renew(renewal) => {
                    match self.renewer.renew(connection, &renewal, timeout).await {
                        Ok(()) => {}
                        Err(NotRenewed::Later(error)) => return Err(Unended::Silent(error)),
                        Err(NotRenewed::Refused(failure)) => return Err(Unended::NoToken(failure)),
                    }
                    None
                }
                Step::Call(call) => {
                    let answer = self.send(connection, purpose, call.request, timeout).await;
                    Some(answer.map_err(Unended::Silent)?)
                }
            };
            step = exchange.next(answer);
        }
        match step {
            Step::Done(outcome) => Ok(outcome),
            _ => Ok(unending()),
        }
    }
}

fn outcome(ended: Result<Outcome, Unended>) -> Result<Outcome, SendError> {
    match ended {
        Err(Unended::NoToken(failure)) => Ok(Outcome::Failed(failure)),
        Err(Unended::Silent(error)) => Err(error),
        Ok(outcome) => Ok(outcome),
    }
}

/// What an exchange without an end amounts to.
pub(crate) fn unending() -> Outcome {
    let why = format!("the operation did not end after {MOST_STEPS} requests");
    Outcome::Failed(Failure::new(ErrorClass::Malformed, why))
}
