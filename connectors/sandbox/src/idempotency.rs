//! Idempotency keys: the first answer of each is kept for 24 hours and given again.

use crate::errors::ApiError;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};

/// How long Stripe surely keeps a key. After it, the key is new.
const KEEPS: TimeDelta = TimeDelta::hours(24);

/// The answer that was given first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saved {
    fingerprint: [u8; 32],
    path: String,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) request_id: String,
    at: Timestamp,
}

/// All keys of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdempotencyKeys {
    saved: BTreeMap<String, Saved>,
    order: VecDeque<(Timestamp, String)>,
}

/// What makes two requests the same: their path and their parameters in whatever order.
pub(crate) fn fingerprint(path: &str, canonical_params: &str) -> [u8; 32] {
    Sha256::digest(format!("{path}\n{canonical_params}").as_bytes()).into()
}

impl IdempotencyKeys {
    /// The saved answer for `key`, an error if the key was used for something else, nothing if it is new.
    pub(crate) fn find(
        &mut self,
        key: &str,
        path: &str,
        fingerprint: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<&Saved>, ApiError> {
        self.prune(now);
        let Some(saved) = self.saved.get(key).filter(|saved| now < saved.at + KEEPS) else { return Ok(None) };
        if saved.path != path {
            let first = &saved.path;
            return Err(ApiError::key_mismatch(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                 ('{path}' vs '{first}'). Try using a key other than '{key}' if you meant to execute a different \
                 request."
            )));
        }
        if saved.fingerprint != *fingerprint {
            return Err(ApiError::key_mismatch(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            )));
        }
        Ok(Some(saved))
    }

    /// Keeps the first answer for `key`.
    pub(crate) fn save(
        &mut self,
        key: &str,
        path: &str,
        fingerprint: [u8; 32],
        (status, body): (u16, Vec<u8>),
        request_id: &str,
        now: Timestamp,
    ) {
        let saved = Saved {
            fingerprint,
            path: path.to_owned(),
            status,
            body,
            request_id: request_id.to_owned(),
            at: now,
        };
        self.saved.insert(key.to_owned(), saved);
        self.order.push_back((now, key.to_owned()));
    }

    fn prune(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.order.front()
            && *at + KEEPS <= now
        {
            // The key may have been used anew since, after the clock was set back and forth.
            if self.saved.get(key).is_some_and(|saved| saved.at == *at) {
                self.saved.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn old_keys_are_new_again_and_take_no_room() {
        let mut keys = IdempotencyKeys::default();
        let print = fingerprint("/p", "");
        // The second is saved after the clock was set back, so that it is older than the one in front of it.
        keys.save("late", "/p", print, (200, Vec::new()), "req_1", at(1_000));
        keys.save("early", "/p", print, (200, Vec::new()), "req_2", at(0));
        let day = 86_400;
        assert!(keys.find("early", "/p", &print, at(day - 1)).unwrap().is_some());
        assert!(keys.find("early", "/p", &print, at(day)).unwrap().is_none());
        assert!(keys.find("late", "/p", &print, at(day)).unwrap().is_some());
        assert!(keys.find("late", "/p", &print, at(day + 1_000)).unwrap().is_none());
        assert_eq!((keys.saved.len(), keys.order.len()), (0, 0));
    }
}
