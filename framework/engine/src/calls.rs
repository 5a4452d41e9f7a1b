//! Runs exchanges over the HTTP port.

use crate::renewal::NotRenewed;
use crate::{Engine, Purpose, SendError};
use bothways_connector::{Call, Exchange, Outcome, Step, answer_date};
use bothways_model::{ConnectionName, ErrorClass, Failure, Request, Response, Timestamp};
use futures::future::{Either, select};
use futures::pin_mut;
use std::time::Duration;

/// A connector that never ends would hold a lease for ever; no honest operation needs this many steps.
pub(crate) const MOST_STEPS: usize = 16;

/// How late the HTTP port may be with telling that a call's time is over.
const PORT_IS_LATE: Duration = Duration::from_secs(1);

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
        mut exchange: Box<dyn Exchange>,
        timeout: Duration,
    ) -> Result<Outcome, SendError> {
        let first = exchange.next(None);
        let terms = Terms { timeout, until: None, asks_account: false };
        outcome(self.go_on(connection, purpose, exchange, first, terms).await)
    }

    /// Runs the exchange that asks whose account a connection's credentials mean: before that is known, no other goes out.
    ///
    /// # Errors
    /// It needs a token that is refused, or a request got no answer.
    pub(crate) async fn ask_account(
        &self,
        connection: &ConnectionName,
        mut exchange: Box<dyn Exchange>,
        timeout: Duration,
    ) -> Result<Outcome, Unended> {
        let first = exchange.next(None);
        let terms = Terms { timeout, until: None, asks_account: true };
        self.go_on(connection, Purpose::Live, exchange, first, terms).await
    }

    /// Runs a prepared exchange to its end, which comes before `until`: a call that could not be over by then is not sent.
    ///
    /// # Errors
    /// As for [`Engine::run`].
    pub(crate) async fn run_prepared(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        prepared: Prepared,
        timeout: Duration,
        until: Timestamp,
    ) -> Result<Outcome, SendError> {
        let Prepared { exchange, call } = prepared;
        let terms = Terms { timeout, until: Some(until), asks_account: false };
        outcome(self.go_on(connection, purpose, exchange, Step::Call(call), terms).await)
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
        let sent = self.ports.http.send(connection, purpose, request, timeout);
        // The port's own promise, and here the last word: what is still under way by then is dropped (rule 24).
        let end = self.ports.clock.sleep(timeout * 2 + PORT_IS_LATE);
        pin_mut!(end);
        let answer = match select(sent, end).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(SendError::Lost("the call took too long".into())),
        };
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
        terms: Terms,
    ) -> Result<Outcome, Unended> {
        for _ in 0..MOST_STEPS {
            let answer = match step {
                Step::Done(outcome) => return Ok(outcome),
                Step::Renew(renewal) => {
                    match self.renewer.renew(connection, &renewal, terms.timeout).await {
                        Ok(()) => {}
                        Err(NotRenewed::Later(error)) => return Err(Unended::Silent(error)),
                        Err(NotRenewed::Refused(failure)) => return Err(Unended::NoToken(failure)),
                    }
                    None
                }
                Step::Call(call) => {
                    if !terms.asks_account {
                        self.know_account(connection).await.map_err(Unended::Silent)?;
                    }
                    let timeout = terms.left(self.ports.clock.now()).map_err(Unended::Silent)?;
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

/// What holds for the calls of an exchange.
#[derive(Clone, Copy)]
struct Terms {
    /// How long each may take.
    timeout: Duration,
    /// When all of them are over.
    until: Option<Timestamp>,
    /// Whether they ask whose account it is.
    asks_account: bool,
}

impl Terms {
    /// The deadline of a call that begins now: it may wait for its turn as long, and is over then.
    ///
    /// # Errors
    /// There is too little time left for a call.
    fn left(self, now: Timestamp) -> Result<Duration, SendError> {
        let Some(until) = self.until else { return Ok(self.timeout) };
        let left = (until - now).to_std().unwrap_or_default() / 2;
        if left < self.timeout / 2 {
            return Err(SendError::Spent("the lease of the record would end before the call".into()));
        }
        Ok(left.min(self.timeout))
    }
}

/// What an exchange without an end amounts to.
pub(crate) fn unending() -> Outcome {
    let why = format!("the operation did not end after {MOST_STEPS} requests");
    Outcome::Failed(Failure::new(ErrorClass::Malformed, why))
}
