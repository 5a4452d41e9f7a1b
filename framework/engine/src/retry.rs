//! The one table that turns an error class into what happens next (rules 42, 44). Connectors classify; only this file decides.

use crate::{Random, SendError};
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, Timestamp};
use chrono::TimeDelta;
use std::time::Duration;

/// How often and how fast things are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts before work is parked.
    pub attempts: u32,
    /// The bound of the first wait.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 10, first: Duration::from_millis(500), max: Duration::from_secs(300) }
    }
}

/// Work is parked after being tried this long, however few the attempts.
const TRIED_LONG: TimeDelta = TimeDelta::hours(24);

/// What follows a failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again later, counting an attempt.
    Attempt,
    /// Try again later; an outage is nobody's fault and counts nothing.
    Outage,
    /// Look at the record again at once.
    LookAgain,
    /// Park it: no retry will help.
    Park,
    /// Stop the connection until a person has seen to the credentials or the certificate.
    PauseConnection,
    /// Stop the mapping: this resource is forbidden.
    PauseMapping,
}

/// What follows an error answer. `missing` is handled by whoever asked.
pub(crate) fn after_failure(failure: &Failure) -> Next {
    match failure.class {
        ErrorClass::Throttle if planted::is(Bug::ThrottleParks) => Next::Park,
        ErrorClass::Throttle => Next::Outage,
        // 500 may be one poisonous record; the others are the service being away.
        ErrorClass::Retry if matches!(failure.status, Some(502..=504)) => Next::Outage,
        ErrorClass::Retry | ErrorClass::Malformed | ErrorClass::Missing => Next::Attempt,
        ErrorClass::Conflict => Next::LookAgain,
        ErrorClass::Auth => Next::PauseConnection,
        ErrorClass::Forbidden => Next::PauseMapping,
        ErrorClass::Duplicate | ErrorClass::Invalid | ErrorClass::Expired => Next::Park,
    }
}

/// What follows a call without an answer.
pub(crate) fn after_silence(error: &SendError) -> Next {
    match error {
        SendError::NotSent(_) | SendError::Lost(_) | SendError::Spent(_) => Next::Outage,
        SendError::Untrusted(_) => Next::PauseConnection,
        SendError::Forbidden(_) => Next::Park,
    }
}

/// Whether work that has failed this often, since then, is parked.
pub(crate) fn is_exhausted(
    policy: &RetryPolicy,
    attempts: u32,
    since: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    attempts >= policy.attempts || since.is_some_and(|since| now - since >= TRIED_LONG)
}

/// How long to wait before attempt `attempts + 1`: full jitter under a doubling bound, never less than the service asks.
pub(crate) fn backoff(
    policy: &RetryPolicy,
    attempts: u32,
    asked: Option<Duration>,
    random: &dyn Random,
) -> Duration {
    let bound = policy.first.saturating_mul(1 << attempts.min(16)).min(policy.max);
    let jitter = Duration::from_millis(random.below(bound.as_millis() as u64 + 1));
    jitter.max(asked.unwrap_or_default()).max(Duration::from_millis(20))
}

/// How long to wait during an outage that has lasted since `since`: a quarter of its length so far, between half a second and half
/// a minute, with jitter. Outages are nobody's fault, so they are not counted; but nobody is hammered either.
pub(crate) fn outage_wait(
    since: Timestamp,
    now: Timestamp,
    asked: Option<Duration>,
    random: &dyn Random,
) -> Duration {
    let lasted = (now - since).to_std().unwrap_or_default();
    let bound = (lasted / 4).clamp(Duration::from_millis(500), Duration::from_secs(30));
    let jitter = Duration::from_millis(random.below(bound.as_millis() as u64 / 2 + 1));
    (bound / 2 + jitter).max(asked.unwrap_or_default())
}
