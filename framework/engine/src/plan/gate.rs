//! The gate between a plan and the service: reads pass, writes do not exist. The one exception is a token that has to be renewed to read
//! at all, which the service may replace (rule 64).

use crate::calls::{MOST_STEPS, unending};
use crate::reading::{ReadError, Trouble, may_repeat, sort};
use crate::renewal::{NotRenewed, Renewer};
use crate::{Clock, Http, Ports, Purpose, Random, RetryPolicy, SendError, retry};
use bothways_connector::{Exchange, Outcome, Step};
use bothways_model::{ConnectionName, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sends reads, and refuses whatever a connector marks as a write (rule 64).
#[derive(Clone)]
pub struct ReadOnly {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    retry: RetryPolicy,
    renewer: Renewer,
    sent: Arc<AtomicU64>,
}

impl ReadOnly {
    /// A gate in front of the HTTP port. `renewer` renews tokens where that is needed to read.
    pub fn new(ports: &Ports, retry: RetryPolicy, renewer: Renewer) -> Self {
        Self {
            http: ports.http.clone(),
            clock: ports.clock.clone(),
            random: ports.random.clone(),
            retry,
            renewer,
            sent: Arc::default(),
        }
    }

    /// Requests sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Runs a read to its end; again, with backoff, while the service is away, busy or answers nonsense.
    pub(crate) async fn read(
        &self,
        connection: &ConnectionName,
        timeout: Duration,
        start: impl Fn() -> Result<Box<dyn Exchange>, Failure>,
    ) -> Result<Outcome, ReadError> {
        let mut attempts = 0;
        loop {
            let exchange = start().map_err(ReadError::Failed)?;
            let Trouble { next, asked, error } = match sort(self.run(connection, timeout, exchange).await) {
                Ok(outcome) => return Ok(outcome),
                Err(trouble) => trouble,
            };
            if !may_repeat(&next) || attempts + 1 >= self.retry.attempts {
                return Err(error);
            }
            let wait = retry::backoff(&self.retry, attempts, asked, &*self.random);
            attempts += 1;
            self.clock.sleep(wait).await;
        }
    }

    async fn run(
        &self,
        connection: &ConnectionName,
        timeout: Duration,
        mut exchange: Box<dyn Exchange>,
    ) -> Result<Outcome, SendError> {
        let mut answer = None;
        for _ in 0..MOST_STEPS {
            match exchange.next(answer.take()) {
                Step::Done(outcome) => return Ok(outcome),
                Step::Call(call) if call.write => {
                    return Err(SendError::Forbidden("a plan writes nothing".into()));
                }
                Step::Call(call) => {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                    answer =
                        Some(self.http.send(connection, Purpose::Background, call.request, timeout).await?);
                }
                Step::Renew(renewal) => match self.renewer.renew(connection, &renewal, timeout).await {
                    Ok(()) => {}
                    Err(NotRenewed::Later(error)) => return Err(error),
                    Err(NotRenewed::Refused(failure)) => return Ok(Outcome::Failed(failure)),
                },
            }
        }
        Ok(unending())
    }
}
