//! The organisation's allowance of requests in any 24 hours, counted by the minute.

use bothways_model::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;

/// Requests of the last 24 hours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Minutes since 1970 and the requests of each.
    minutes: VecDeque<(i64, u64)>,
    total: u64,
}

impl Usage {
    /// Counts one request, or refuses it where `limit` is reached.
    pub(crate) fn take(&mut self, limit: u64, now: Timestamp) -> bool {
        if self.count(now) >= limit {
            return false;
        }
        let minute = now.timestamp().div_euclid(60);
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += 1,
            _ => self.minutes.push_back((minute, 1)),
        }
        self.total += 1;
        true
    }

    /// How many requests there were.
    pub(crate) fn count(&mut self, now: Timestamp) -> u64 {
        let oldest = (now - TimeDelta::hours(24)).timestamp().div_euclid(60);
        while let Some((minute, count)) =
            self.minutes.front().copied().filter(|(minute, _)| *minute <= oldest)
        {
            debug_assert!(minute <= oldest);
            self.total -= count;
            self.minutes.pop_front();
        }
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_rolls() {
        let start = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let mut usage = Usage::default();
        assert_eq!((0..5).filter(|_| usage.take(3, start)).count(), 3);
        assert!(!usage.take(3, start + TimeDelta::hours(23)));
        assert!(usage.take(3, start + TimeDelta::hours(24)));
        assert_eq!(usage.count(start + TimeDelta::hours(24)), 1);
    }
}
