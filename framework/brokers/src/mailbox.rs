//! Where nudges wait: a set of topics, so that a reader who falls behind finds each topic once and memory stays bounded.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Above this many different topics the largest is forgotten: a hint lost, which the trait allows.
const CAPACITY: usize = 4096;

/// Topics that one reader has not fetched yet. Any number of writers, one reader.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    topics: Mutex<BTreeSet<String>>,
    filled: Notify,
}

impl Mailbox {
    /// Adds a topic; a topic that waits already is not added twice. Never blocks.
    pub(crate) fn put(&self, topic: String) {
        let mut topics = self.lock();
        topics.insert(topic);
        if topics.len() > CAPACITY {
            topics.pop_last();
        }
        drop(topics);
        self.filled.notify_one();
    }

    /// Waits for a topic and takes it. Cancel-safe: a topic is taken only together with being returned.
    pub(crate) async fn take(&self) -> String {
        loop {
            let first = self.lock().pop_first();
            match first {
                Some(topic) => return topic,
                None => self.filled.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // A set of strings is whole after a panic elsewhere.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn repeats_are_folded_and_the_size_is_bounded() {
        let mailbox = Mailbox::default();
        for number in 0..3 * CAPACITY {
            mailbox.put(format!("{number:06}"));
            mailbox.put(format!("{number:06}"));
        }
        assert_eq!(mailbox.lock().len(), CAPACITY);
        assert_eq!(mailbox.take().await, "000000");
        assert_eq!(mailbox.take().await, "000001", "each topic once");
    }
}
