//! What one connection may do to its service.

use crate::{retry_after, retry_after_in};
use bothways_model::{Response, SingularPath};
use std::time::Duration;

/// The budget and borders of one connection, enforced by the HTTP port.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The only origin that requests may go to, and answers may point to: scheme, host and port of the base URL.
    pub origin: String,
    /// True if the operator set the base URL by a variable: then a loopback or literal private address is allowed (S14).
    pub origin_from_operator: bool,
    /// A second origin that requests may go to: where access tokens come from, if that is elsewhere.
    pub token_origin: Option<String>,
    /// Requests per period.
    pub requests: u32,
    /// The period of `requests`.
    pub per: Duration,
    /// Requests that may go out at once after a pause.
    pub burst: u32,
    /// Requests under way at the same time.
    pub concurrent: usize,
    /// The deadline of one call.
    pub timeout: Duration,
    /// Refusals (429) that are not about the rate, such as a lock on one record: they slow nothing down.
    pub unrated: Unrated,
    /// The header that says how long to wait after a refusal, in lower case; none: `retry-after`.
    pub retry_header: Option<String>,
}

impl Limits {
    /// How long an answer asks us to wait; `None` if it does not say so readably.
    pub fn retry_after(&self, answer: &Response) -> Option<Duration> {
        match &self.retry_header {
            Some(header) => retry_after_in(answer, header),
            None => retry_after(answer),
        }
    }
}

/// How to tell a 429 that is not about the rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unrated {
    /// Where the service's code is in an error's JSON body.
    pub code: SingularPath,
    /// The codes; none if every 429 is about the rate.
    pub codes: Vec<String>,
}
