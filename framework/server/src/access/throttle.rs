//! Slows down whoever tries tokens: a number of failures a minute for each source, then 429 (`RULES.md` S12). Whoever has a good token is
//! never slowed down.

use bothways_model::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Failures that are answered in full, a minute and source.
const FAILURES: u32 = 20;
/// Sources remembered at once; beyond that the oldest window is forgotten first.
const SOURCES: usize = 1000;

/// Counts failures by source.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<BTreeMap<Option<IpAddr>, (Timestamp, u32)>>);

impl Throttle {
    /// Notes a failure. False if there were too many of this source.
    pub(crate) fn failed(&self, source: Option<IpAddr>, now: Timestamp) -> bool {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, (since, _)| now - *since < TimeDelta::minutes(1));
        if failures.len() >= SOURCES && !failures.contains_key(&source) {
            let oldest = failures.iter().min_by_key(|(_, (since, _))| *since).map(|(source, _)| *source);
            oldest.and_then(|source| failures.remove(&source));
        }
        let (_, count) = failures.entry(source).or_insert((now, 0));
        *count += 1;
        *count <= FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_own_budget_a_minute() {
        let (throttle, start) = (Throttle::default(), Timestamp::UNIX_EPOCH);
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..FAILURES {
            assert!(throttle.failed(one, start));
        }
        assert!(!throttle.failed(one, start));
        assert!(throttle.failed(Some(IpAddr::from([127, 0, 0, 2])), start));
        assert!(throttle.failed(one, start + TimeDelta::minutes(1)));
    }
}
