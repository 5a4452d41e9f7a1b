//! The only doors to the outside: clock, randomness, tasks and HTTP. Store and queue are traits of crates of their own.
//!
//! The binary binds these to tokio; the simulator binds them to virtual time, a seed and its own executor.

use async_trait::async_trait;
use bothways_model::{ConnectionName, Request, Response, Timestamp};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Randomness: identities and jitter.
pub trait Random: Send + Sync {
    /// A fresh UUIDv7 for `now`.
    fn uuid(&self, now: Timestamp) -> Uuid;
    /// A number in `0..bound`; 0 if `bound` is 0.
    fn below(&self, bound: u64) -> u64;
}

/// Tasks.
pub trait Tasks: Send + Sync {
    /// Runs a future beside the caller. A panic in it must not take the process down silently: it is logged, and what it leased
    /// becomes free when the lease ends.
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>);
}

/// Why a call is made: each purpose has its share of the connection's budget (rule 47).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Carries a user's change of one record.
    Live,
    /// Looks at one record because the service told of it, or a pass saw it differ.
    Told,
    /// Brings in what is not known yet: feeds, polls, first contact.
    Background,
    /// Compares what is known already: the full passes after first contact. The smallest share.
    Reconcile,
}

/// A call got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The request provably never left: refused connection, no such host. Counts as an outage, not as an attempt.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// Whether the request arrived is unknown: timeout, reset, cut answer.
    #[error("no answer: {0}")]
    Lost(String),
    /// Our own limits say not now: the day's calls, how often calls may be made, or how long a lease lasts. Counts as an outage, and says
    /// nothing about the service.
    #[error("not sent: {0}")]
    Spent(String),
    /// The service's certificate is not trusted: the connection is paused (rule 44).
    #[error("certificate not trusted: {0}")]
    Untrusted(String),
    /// Our own rules forbid the request: another origin, a private address (`RULES.md` S14).
    #[error("not allowed: {0}")]
    Forbidden(String),
}

/// How many calls went out in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourOfCalls {
    /// When the hour began.
    pub began: Timestamp,
    /// How many.
    pub calls: u64,
}

/// How much of a day's calls is used (rule 47).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Calls of the last 24 hours: our own, or all that the service counts, whichever is nearer to its limit.
    pub used: u64,
    /// Of how many.
    pub limit: u64,
}

impl Quota {
    /// Up to how many percent of a day's calls a purpose may go.
    pub fn share(purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Live => 95,
            Purpose::Told => 90,
            Purpose::Background | Purpose::Reconcile => 80,
        }
    }

    /// Whether a call for this purpose may go out.
    pub fn has_room(self, purpose: Purpose) -> bool {
        u128::from(self.used) * 100 < u128::from(self.limit) * u128::from(Self::share(purpose))
    }

    /// What its use keeps from going out, in words; `None` while nothing.
    pub fn stops(self) -> Option<&'static str> {
        match (self.has_room(Purpose::Live), self.has_room(Purpose::Told), self.has_room(Purpose::Background))
        {
            (false, _, _) => Some("no calls go out until some of them are a day old"),
            (_, false, _) => Some("only changes made here go out"),
            (_, _, false) => Some("reading in bulk has stopped"),
            _ => None,
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the day's {} calls are used", self.used, self.limit)?;
        self.stops().map_or(Ok(()), |what| write!(f, ": {what}"))
    }
}

/// The one HTTP port. It holds calls to the connection's budget, deadline, size limits and address rules, and never retries.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request and waits for the whole answer.
    ///
    /// Waiting for the connection's budget is part of the call: it takes `deadline` at most, else the request is not sent at all
    /// ([`SendError::Spent`]). From when it is sent the answer may take `deadline` as well, so that a call is over after twice that.
    async fn send(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError>;

    /// The calls of a connection that count towards its daily budget at `now`, oldest first; none where it has no such budget.
    fn calls_of_day(&self, _connection: &ConnectionName, _now: Timestamp) -> Vec<HourOfCalls> {
        Vec::new()
    }

    /// Counts calls that processes before this one made, too.
    fn recall(&self, _connection: &ConnectionName, _now: Timestamp, _calls: &[HourOfCalls]) {}

    /// How much of its day's calls a connection has used; `None` where nothing limits them, or nothing is known yet.
    fn quota(&self, _connection: &ConnectionName) -> Option<Quota> {
        None
    }
}

/// All ports together.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// HTTP.
    pub http: Arc<dyn Http>,
}
