//! The ports of a test's world: virtual time, counted randomness, tasks that can be killed, the sandbox as HTTP.

use super::World;
use async_trait::async_trait;
use bothways_connector_sandbox::{Answer, Stripe};
use bothways_engine::{Clock, Http, Purpose, Quota, Random, SendError, Tasks};
use bothways_model::{ConnectionName, Request, Response, Secret, Timestamp};
use chrono::{TimeDelta, TimeZone, Utc};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// Virtual time from a fixed start.
pub struct TestClock {
    pub start: Instant,
    /// How many seconds the engine's clock is ahead of the service's.
    pub ahead: AtomicI64,
}

impl TestClock {
    /// The service's time.
    pub fn truth(&self) -> Timestamp {
        let start = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).single().unwrap();
        start + TimeDelta::from_std(self.start.elapsed()).unwrap()
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.truth() + TimeDelta::seconds(self.ahead.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub(super) struct TestRandom {
    pub(super) count: AtomicU64,
}

impl Random for TestRandom {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(now.timestamp_millis()).unwrap();
        let mut bytes = [0u8; 10];
        bytes[2..].copy_from_slice(&count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15) % bound
        }
    }
}

/// Tasks of one incarnation, so that it can be killed.
#[derive(Default)]
pub(super) struct TestTasks {
    pub(super) running: Mutex<Vec<(&'static str, AbortHandle)>>,
}

impl Tasks for TestTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let handle = tokio::spawn(future).abort_handle();
        let mut running = self.running.lock().unwrap();
        running.retain(|(_, task)| !task.is_finished());
        running.push((name, handle));
    }
}

impl TestTasks {
    pub(super) fn kill(&self) {
        for (_, handle) in self.running.lock().unwrap().drain(..) {
            handle.abort();
        }
    }

    /// How many tasks of this name run.
    pub(super) fn running_as(&self, name: &str) -> usize {
        let running = self.running.lock().unwrap();
        running.iter().filter(|(known, task)| *known == name && !task.is_finished()).count()
    }
}

/// The sandbox behind the HTTP port.
pub(super) struct TestHttp {
    pub(super) stripe: Arc<Mutex<Stripe>>,
    /// Other accounts, by the connection that means them.
    pub(super) others: BTreeMap<ConnectionName, Arc<Mutex<Stripe>>>,
    pub(super) clock: Arc<TestClock>,
    pub(super) latency: Mutex<Duration>,
    pub(super) down: Mutex<bool>,
    /// What is used of the day's calls, where they are limited.
    pub(super) quota: Mutex<Option<Quota>>,
}

#[async_trait]
impl Http for TestHttp {
    async fn send(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        mut request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        if self.quota.lock().unwrap().is_some_and(|quota| !quota.has_room(purpose)) {
            return Err(SendError::Spent("the day's calls are nearly used up".into()));
        }
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency / 2).await;
        if *self.down.lock().unwrap() {
            return Err(SendError::NotSent("connection refused".into()));
        }
        // The sandbox takes no real key, whatever the connector makes of it.
        for (_, secret) in &mut request.secret_headers {
            *secret = Secret::new(secret.expose().replace("_live_", "_test_"));
        }
        let stripe = self.others.get(connection).unwrap_or(&self.stripe);
        let answer = stripe.lock().unwrap().handle(&request, self.clock.truth());
        tokio::time::sleep(latency / 2).await;
        arrives(answer, deadline).await
    }

    fn quota(&self, _: &ConnectionName) -> Option<Quota> {
        *self.quota.lock().unwrap()
    }
}

impl World {
    /// So much of the day's calls is used from here on.
    pub(crate) fn use_up(&self, quota: Option<Quota>) {
        *self.http.quota.lock().unwrap() = quota;
    }
}

/// What comes of an answer for somebody who waits until `deadline`.
pub(super) async fn arrives(answer: Answer, deadline: Duration) -> Result<Response, SendError> {
    match answer {
        Answer::Response(response) => Ok(response),
        Answer::Dropped => Err(SendError::Lost("connection reset".into())),
        Answer::Slow(response, wait) if wait < deadline => {
            tokio::time::sleep(wait).await;
            Ok(response)
        }
        Answer::Slow(..) => {
            tokio::time::sleep(deadline).await;
            Err(SendError::Lost("timeout".into()))
        }
    }
}
