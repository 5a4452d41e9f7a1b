//! Deliveries that are not genuine, told of once a minute: whoever sends them decides how many there are, and must not fill the log.

use bothways_model::{ConnectionName, Timestamp};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// When each connection's were told of, and how many there have been since.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<ConnectionName, (Timestamp, u64)>>);

impl Refusals {
    /// Notes one of a connection. How many are to be told of now; `None` for none.
    pub(crate) fn note(&self, connection: &ConnectionName, now: Timestamp) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get_mut(connection) {
            Some((at, since)) if now - *at < TimeDelta::minutes(1) => {
                *since += 1;
                None
            }
            Some(last) => {
                let (_, since) = std::mem::replace(last, (now, 0));
                Some(since + 1)
            }
            None => {
                told.insert(connection.clone(), (now, 0));
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_once_a_minute_with_its_size() {
        let (refusals, start) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        let (stripe, other) = (ConnectionName::from("stripe"), ConnectionName::from("other"));
        assert_eq!(refusals.note(&stripe, start), Some(1));
        for second in 0..60 {
            assert_eq!(refusals.note(&stripe, start + TimeDelta::seconds(second)), None);
        }
        assert_eq!(refusals.note(&other, start), Some(1));
        assert_eq!(refusals.note(&stripe, start + TimeDelta::seconds(60)), Some(61));
        assert_eq!(refusals.note(&stripe, start + TimeDelta::seconds(61)), None);
        assert_eq!(refusals.note(&stripe, start + TimeDelta::seconds(500)), Some(2));
    }
}
