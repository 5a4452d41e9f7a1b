//! The rate limiter: a token bucket on the caller's clock.

use bothways_model::Timestamp;
use serde::{Deserialize, Serialize};

/// How many requests are let through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests at once.
    pub burst: f64,
}

/// The state of one limiter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket {
    filled: Option<(Timestamp, f64)>,
}

impl Bucket {
    /// Lets one request through, or says in how many whole seconds to come again.
    pub(crate) fn take(&mut self, limit: RateLimit, now: Timestamp) -> Result<(), u64> {
        let (since, level) = self.filled.unwrap_or((now, limit.burst));
        let elapsed = (now - since).num_milliseconds().max(0) as f64 / 1000.0;
        let level = (level + elapsed * limit.per_second).min(limit.burst);
        if level >= 1.0 {
            self.filled = Some((now, level - 1.0));
            return Ok(());
        }
        self.filled = Some((now, level));
        let wait = (1.0 - level) / limit.per_second.max(0.001);
        Err((wait.ceil() as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn burst_then_rate() {
        let limit = RateLimit { per_second: 2.0, burst: 3.0 };
        let start = Timestamp::from_timestamp(0, 0).unwrap();
        let mut bucket = Bucket::default();
        let passed = (0..5).filter(|_| bucket.take(limit, start).is_ok()).count();
        assert_eq!(passed, 3);
        assert_eq!(bucket.take(limit, start), Err(1));
        let later = start + TimeDelta::milliseconds(1000);
        assert_eq!((0..5).filter(|_| bucket.take(limit, later).is_ok()).count(), 2);
    }
}
