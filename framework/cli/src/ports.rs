//! The engine's ports, bound to tokio: real time, real tasks, real randomness.

use async_trait::async_trait;
use bothways_engine::{Clock, Http, Ports, Random, Tasks};
use bothways_model::Timestamp;
use chrono::Utc;
use futures::FutureExt;
use futures::future::BoxFuture;
use rand::Rng;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::{NoContext, Uuid};

/// All ports; HTTP and tasks as given.
pub(crate) fn tokio_ports(http: Arc<dyn Http>, tasks: &TokioTasks) -> Ports {
    Ports {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        tasks: Arc::new(tasks.clone()),
        http,
    }
}

struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn uuid(&self, now: Timestamp) -> Uuid {
        // A clock before 1970 is no reason to have no identity.
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
    }

    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { rand::rng().random_range(0..bound) }
    }
}

/// Tasks, counted by name so that an end can wait for them.
#[derive(Clone)]
pub(crate) struct TokioTasks {
    running: watch::Sender<BTreeMap<&'static str, usize>>,
}

impl Default for TokioTasks {
    fn default() -> Self {
        Self { running: watch::channel(BTreeMap::new()).0 }
    }
}

impl TokioTasks {
    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.running.borrow().values().sum()
    }

    /// How many of this name run now.
    pub(crate) fn running_as(&self, name: &str) -> usize {
        self.running.borrow().get(name).copied().unwrap_or(0)
    }

    /// Waits until at most `left` run, but no longer than `patience`.
    pub(crate) async fn wind_down(&self, left: usize, patience: Duration) {
        let mut running = self.running.subscribe();
        let quiet = running.wait_for(|running| running.values().sum::<usize>() <= left);
        if tokio::time::timeout(patience, quiet).await.is_err() {
            tracing::warn!("not everything ended in time; the next start goes on with it");
        }
    }

    fn count(&self, name: &'static str, more: bool) {
        self.running.send_modify(|running| {
            let count = running.entry(name).or_default();
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
        });
    }
}

impl Tasks for TokioTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let tasks = self.clone();
        tasks.count(name, true);
        tokio::spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(
                    task = name,
                    "a task panicked; what it leased becomes free when the lease ends"
                );
            }
            tasks.count(name, false);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn identities_are_of_the_time_given_and_differ() {
        let now = Utc.timestamp_millis_opt(1_700_000_000_123).single().expect("a moment");
        let (a, b) = (SystemRandom.uuid(now), SystemRandom.uuid(now));
        assert_ne!(a, b);
        for uuid in [a, b] {
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_timestamp().map(|t| t.to_unix()), Some((1_700_000_000, 123_000_000)));
        }
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        assert_eq!(SystemRandom.below(0), 0);
        assert!((0..1000).all(|_| SystemRandom.below(3) < 3));
    }

    #[tokio::test]
    async fn a_panic_in_a_task_is_contained_and_counted() {
        let tasks = TokioTasks::default();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("fails", Box::pin(async { panic!("on purpose") }));
        tasks.spawn("works", Box::pin(async { sender.send(()).expect("somebody waits") }));
        tasks.spawn("stays", Box::pin(std::future::pending()));
        receiver.await.expect("the other task ran");
        tasks.wind_down(1, Duration::from_secs(60)).await;
        assert_eq!((tasks.running(), tasks.running_as("stays"), tasks.running_as("fails")), (1, 1, 0));
    }
}
