//! Webhook intake: verify, decode, remember durably, only then say yes (rules 43, 48, 49).
//!
//! No remote call and no decision is made here. Deliveries that come in together share one commit: whatever waits when the last one
//! ends is the next one; there is no linger timer.

use crate::events::{Batch, count};
use crate::refusals::Refusals;
use crate::{ConnectionState, Engine};
use bothways_connector::Unverified;
use bothways_model::ConnectionName;
use bothways_model::planted::{self, Bug};
use bothways_store::StoreErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// At most this many deliveries share a commit.
const BATCH: usize = 256;
/// A busy database is asked again this often before the sender is told to come back, with doubling waits from 20 ms.
const TRIES: u32 = 6;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Durably taken in: answer 2xx.
    Accepted {
        /// Events in it.
        events: usize,
        /// Those that were not known yet.
        new: usize,
    },
    /// Not genuine: answer 401 without detail. Nothing was stored.
    Rejected,
    /// No such connection, or it takes no webhooks.
    UnknownConnection,
    /// Genuine, but not what the connector's document describes.
    Unreadable,
    /// Not stored, or the connection must not be used now: answer 503, the sender comes again.
    StoreFailed,
}

/// Takes webhook deliveries in. Cheap to clone; clones share one committing task.
#[derive(Clone)]
pub struct Intake {
    engine: Arc<Engine>,
    jobs: mpsc::Sender<Job>,
    refusals: Arc<Refusals>,
}

struct Job {
    batch: Batch,
    /// How many events were new; `None` if they could not be stored.
    answer: oneshot::Sender<Option<usize>>,
}

impl Intake {
    /// A handle on an engine. Make one and clone it: each has a committing task of its own.
    pub fn new(engine: Arc<Engine>) -> Self {
        let (jobs, inbox) = mpsc::channel(2 * BATCH);
        let task = Committer { engine: engine.clone(), inbox };
        engine.ports.tasks.spawn("intake", Box::pin(task.run()));
        Self { engine, jobs, refusals: Arc::default() }
    }

    /// The connection whose webhooks come to this path of the hooks port.
    pub fn connection_at(&self, path: &str) -> Option<ConnectionName> {
        let connections = &self.engine.connections;
        let webhook = |name| connections.get(name)?.webhook();
        connections.names().find(|name| webhook(name).is_some_and(|hook| hook.path() == path)).cloned()
    }

    /// The query parameter with which the service of a connection asks whether we want its deliveries.
    pub fn challenge(&self, connection: &ConnectionName) -> Option<String> {
        let webhook = self.engine.connections.get(connection)?.webhook()?;
        webhook.challenge().map(str::to_owned)
    }

    /// Takes one delivery in. Returns after the durable commit.
    pub async fn receive(&self, connection: &ConnectionName, delivery: Unverified) -> Received {
        let connector = self.engine.connections.get(connection);
        let Some(webhook) = connector.and_then(|connector| connector.webhook()) else {
            return Received::UnknownConnection;
        };
        let genuine = match webhook.verify(delivery, self.engine.ports.clock.now()) {
            Ok(genuine) => genuine,
            Err(why) => {
                count(connection, "rejected");
                if let Some(count) = self.refusals.note(connection, self.engine.ports.clock.now()) {
                    tracing::warn!(connection = %connection, count, reason = %why, "webhooks rejected");
                }
                return Received::Rejected;
            }
        };
        if let ConnectionState::Blocked(_) = self.engine.connection_state(connection) {
            return Received::StoreFailed;
        }
        let mut events = match webhook.decode(&genuine) {
            Ok(events) => events,
            Err(failure) => {
                count(connection, "unreadable");
                tracing::warn!(connection = %connection, class = %failure.class, "webhook cannot be read");
                return Received::Unreadable;
            }
        };
        // Two changes may look alike, and what nobody can recognise is new: a repeat costs a look, no more.
        let ports = &self.engine.ports;
        for event in events.iter_mut().filter(|event| !event.has_id) {
            event.id = format!("{} {}", ports.random.uuid(ports.clock.now()), event.id);
        }
        let total = events.len();
        let (answer, outcome) = oneshot::channel();
        if self.jobs.send(Job { batch: (connection.clone(), events), answer }).await.is_err() {
            return Received::StoreFailed;
        }
        if planted::is(Bug::WebhookAnsweredEarly) {
            return Received::Accepted { events: total, new: total };
        }
        match outcome.await {
            Ok(Some(new)) => Received::Accepted { events: total, new },
            Ok(None) | Err(_) => Received::StoreFailed,
        }
    }
}

struct Committer {
    engine: Arc<Engine>,
    inbox: mpsc::Receiver<Job>,
}

impl Committer {
    async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let mut jobs = vec![first];
            while jobs.len() < BATCH {
                let Ok(job) = self.inbox.try_recv() else { break };
                jobs.push(job);
            }
            self.carry_out(jobs).await;
        }
    }

    async fn carry_out(&self, jobs: Vec<Job>) {
        let (batches, answers): (Vec<Batch>, Vec<_>) =
            jobs.into_iter().map(|job| (job.batch, job.answer)).unzip();
        if let Some(new) = self.commit(&batches).await {
            for (answer, new) in answers.into_iter().zip(new) {
                let _ = answer.send(Some(new));
            }
            return;
        }
        // One of them may spoil the commit: each on its own finds out which (rule 45).
        let alone = batches.len() == 1;
        for (batch, answer) in batches.into_iter().zip(answers) {
            let new = match alone {
                true => None,
                false => self.commit(&[batch]).await.and_then(|new| new.first().copied()),
            };
            let _ = answer.send(new);
        }
    }

    /// Commits batches together; for each, how many of its events were new.
    async fn commit(&self, batches: &[Batch]) -> Option<Vec<usize>> {
        let deliveries = self.engine.deliveries(batches).await;
        let mut wait = Duration::from_millis(20);
        let mut tries = 0;
        let new = loop {
            match self.engine.take_in(&deliveries).await {
                Ok(new) => break new,
                Err(error) if error.kind == StoreErrorKind::Retry && tries < TRIES => {
                    tries += 1;
                    self.engine.ports.clock.sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => {
                    tracing::error!(error = %error, deliveries = deliveries.len(), "webhooks could not be stored");
                    return None;
                }
            }
        };
        self.engine.make_up_for_unreadable(batches, &new).await;
        let signalled =
            deliveries.iter().zip(&new).any(|(delivery, new)| *new && !delivery.signals.is_empty());
        if signalled {
            self.engine.nudge().await;
        }
        let mut flags = new.into_iter();
        let counts = batches
            .iter()
            .map(|(connection, events)| {
                let fresh = flags.by_ref().take(events.len()).filter(|new| *new).count();
                metrics::counter!("bothways_events_total", "connection" => connection.0.clone(), "outcome" => "accepted")
                    .increment(fresh as u64);
                metrics::counter!("bothways_events_total", "connection" => connection.0.clone(), "outcome" => "duplicate")
                    .increment((events.len() - fresh) as u64);
                fresh
            })
            .collect();
        Some(counts)
    }
}
