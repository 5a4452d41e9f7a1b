//! Clock, randomness and tasks of one simulated process.

use crate::askers::SENDER;
use crate::process::{Kind, Process};
use async_trait::async_trait;
use bothways_engine::{Clock, Random, Tasks};
use bothways_model::Timestamp;
use futures::future::BoxFuture;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// The machine's clock, which may be wrong and may jump; waits are true.
pub(crate) struct SimClock(pub(crate) Arc<Process>);

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.0.sim.machine_time()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.at("sleep", Kind::Wait).await;
        self.0.sim.executor.sleep(duration).await;
        self.0.alive().await;
    }
}

/// Randomness of one process, from the seed.
pub(crate) struct SimRandom(pub(crate) Arc<Process>);

impl Random for SimRandom {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let (a, b) = self.0.with_random(|dice| (dice.next(), dice.next()));
        let mut bytes = [0u8; 10];
        bytes[..8].copy_from_slice(&a.to_be_bytes());
        bytes[8..].copy_from_slice(&b.to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn below(&self, bound: u64) -> u64 {
        self.0.with_random(|dice| dice.below(bound))
    }
}

/// Tasks of one process.
pub(crate) struct SimTasks(pub(crate) Arc<Process>);

impl Tasks for SimTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        if self.0.is_dead() {
            return;
        }
        let process = self.0.clone();
        let executor = process.sim.executor.clone();
        if name != SENDER {
            return executor.spawn_boxed(process.pid, name, future);
        }
        executor.clone().spawn(process.pid, name, async move {
            let task = executor.this_task();
            process.asked.lock().unwrap_or_else(PoisonError::into_inner).note_sender(task);
            future.await;
        });
    }
}
