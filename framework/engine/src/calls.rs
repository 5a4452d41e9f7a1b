//! Runs exchanges over the HTTP port.

use crate::{Engine, Purpose, SendError};
use bothways_connector::{Call, Exchange, Outcome, Step, answer_date};
use bothways_model::{ConnectionName, ErrorClass, Failure};
use std::time::Duration;

/// An exchange that wants its first request sent.
pub(crate) struct Prepared {
    exchange: Box<dyn Exchange>,
    /// The first request.
    pub(crate) call: Call,
}

/// Asks an exchange for its first request without sending it, so that an intent can hold it (rule 20).
///
/// # Errors
/// The outcome, if the exchange ends without sending anything.
pub(crate) fn prepare(mut exchange: Box<dyn Exchange>) -> Result<Prepared, Outcome> {
    match exchange.next(None) {
        Step::Call(call) => Ok(Prepared { exchange, call }),
        Step::Done(outcome) => Err(outcome),
    }
}

impl Engine {
    /// Runs an exchange to its end.
    ///
    /// # Errors
    /// A request got no answer. For a write, whether it was carried out is then unknown unless the error says otherwise.
    pub(crate) async fn run(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        exchange: Box<dyn Exchange>,
        timeout: Duration,
    ) -> Result<Outcome, SendError> {
        match prepare(exchange) {
            Ok(prepared) => self.run_prepared(connection, purpose, prepared, timeout).await,
            Err(outcome) => Ok(outcome),
        }
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
        let Prepared { mut exchange, mut call } = prepared;
        // A connector that never ends would hold a lease for ever; no honest operation needs this many steps.
        for _ in 0..16 {
            self.admit(connection)?;
            let answer = self.ports.http.send(connection, purpose, call.request, timeout).await;
            self.note_call(connection, &answer);
            let answer = answer?;
            if let Some(date) = answer_date(&answer) {
                self.connections.note_date(connection, date);
            }
            if answer.status < 500 && answer.status != 429 {
                self.connections.note_answer(connection);
            }
            match exchange.next(Some(answer)) {
                Step::Call(next) => call = next,
                Step::Done(outcome) => return Ok(outcome),
            }
        }
        Ok(Outcome::Failed(Failure::new(
            ErrorClass::Malformed,
            "the operation did not end after 16 requests",
        )))
    }
}
