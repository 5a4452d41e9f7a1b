//! The HTTP port on reqwest: the one place that sends requests.
//!
//! Each connection has one client with its own pool, budget (rate, burst, calls at once), deadline, size limits and address rules
//! (S14 to S16). Redirects are not followed, nothing is retried, and neither queries nor bodies nor credentials reach a log: whether to
//! try again, and what an answer means, is decided elsewhere.

mod address;
mod budget;
mod connection;
mod failure;
mod pace;
mod recorder;
mod resolve;

pub use address::Forbidden;
pub use recorder::{RECORDED_TOKEN, Recorded, Recorder, Scrubber};

use async_trait::async_trait;
use bothways_connector::Limits;
use bothways_engine::{HourOfCalls, Http, Purpose, Quota, SendError};
use bothways_model::{ConnectionName, Request, Response, Timestamp};
use connection::Connection;
use std::collections::HashMap;
use std::time::Duration;

/// What holds for all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The largest answer that is read, in bytes after decompression.
    pub largest_answer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { largest_answer: 8 * 1024 * 1024 }
    }
}

/// A connection cannot be opened as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection `{connection}`: {reason}")]
pub struct Refused {
    /// Which.
    pub connection: ConnectionName,
    /// Why.
    pub reason: Forbidden,
}

/// The port. Dropping a call's future abandons the call; whether the request arrived is then unknown.
#[derive(Debug)]
pub struct HttpPort {
    connections: HashMap<ConnectionName, Connection>,
}

impl HttpPort {
    /// A port for these connections. No request is made.
    ///
    /// # Errors
    /// Names the first connection whose base URL S14 does not allow.
    pub fn new<'a>(
        connections: impl IntoIterator<Item = (ConnectionName, &'a Limits)>,
        settings: Settings,
    ) -> Result<Self, Refused> {
        let connections = connections
            .into_iter()
            .map(|(name, limits)| match Connection::new(limits, &settings) {
                Ok(connection) => Ok((name, connection)),
                Err(reason) => Err(Refused { connection: name, reason }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { connections })
    }
}

#[async_trait]
impl Http for HttpPort {
    async fn send(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        let Some(open) = self.connections.get(connection) else {
            return Err(SendError::Forbidden(format!("there is no connection `{connection}`")));
        };
        let answer = open.call(purpose, request, deadline).await;
        if let Err(error) = &answer {
            tracing::debug!(%connection, %error, "call without an answer");
        }
        answer
    }

    fn calls_of_day(&self, connection: &ConnectionName, now: Timestamp) -> Vec<HourOfCalls> {
        self.connections.get(connection).map(|open| open.calls_of_day(now)).unwrap_or_default()
    }

    fn recall(&self, connection: &ConnectionName, now: Timestamp, calls: &[HourOfCalls]) {
        if let Some(open) = self.connections.get(connection) {
            open.recall(now, calls);
        }
    }

    fn quota(&self, connection: &ConnectionName) -> Option<Quota> {
        self.connections.get(connection)?.quota()
    }
}
