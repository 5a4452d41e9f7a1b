//! What a sandbox is started with.

use crate::rate::RateLimit;
use chrono::TimeDelta;

/// The settings of one sandbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// All identifiers and secrets follow from it. Two sandboxes with one seed make the same ids, so a sandbox that a
    /// lasting database is linked to needs a seed of its own each time it starts empty.
    pub seed: u64,
    /// The account's id; none makes one from the seed.
    pub account: Option<String>,
    /// The API version of requests without `Stripe-Version`, and of events.
    pub api_version: String,
    /// Off where none.
    pub rate_limit: Option<RateLimit>,
    /// The waits between attempts to deliver an event; after the last one it is given up.
    pub webhook_backoff: Vec<TimeDelta>,
    /// How many requests the log keeps; the totals count all.
    pub log_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        let seconds = [1, 5, 30, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400];
        Self {
            seed: 0,
            account: None,
            api_version: "2025-09-30.clover".into(),
            rate_limit: None,
            webhook_backoff: seconds.into_iter().map(TimeDelta::seconds).collect(),
            log_limit: 100_000,
        }
    }
}
