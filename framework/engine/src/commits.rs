//! Group commit: whatever units are waiting when the last commit ends are the next commit. No linger timer (design: batches, not
//! statements).

use crate::Ports;
use bothways_model::planted::{self, Bug};
use bothways_store::{Result, Store, StoreErrorKind, Unit, UnitOutcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// At most this many units share a commit.
const BATCH: usize = 512;

struct Job {
    units: Vec<Unit>,
    answer: oneshot::Sender<Result<Vec<UnitOutcome>>>,
}

/// Hands units to the store in shared transactions.
#[derive(Clone)]
pub(crate) struct Commits {
    jobs: mpsc::Sender<Job>,
    stuck: Arc<AtomicBool>,
}

impl Commits {
    /// Starts the committing task.
    pub(crate) fn start(store: Arc<dyn Store>, ports: &Ports) -> Self {
        let (jobs, inbox) = mpsc::channel(2 * BATCH);
        let stuck = Arc::new(AtomicBool::new(false));
        let task = Committer { store, ports: ports.clone(), inbox, stuck: stuck.clone() };
        ports.tasks.spawn("commits", Box::pin(task.run()));
        Self { jobs, stuck }
    }

    /// Commits one unit together with whatever else is waiting.
    ///
    /// # Errors
    /// The database is broken, or refuses this unit whatever it is batched with. While it is merely busy or away this waits: a
    /// confirmed remote result is never dropped (rule 43).
    pub(crate) async fn commit(&self, unit: Unit) -> Result<UnitOutcome> {
        let mut outcomes = self.commit_all(vec![unit]).await?;
        outcomes.pop().ok_or_else(closed)
    }

    /// Commits units that belong together in one transaction.
    ///
    /// # Errors
    /// As for [`Commits::commit`].
    pub(crate) async fn commit_all(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>> {
        let (answer, outcome) = oneshot::channel();
        self.jobs.send(Job { units, answer }).await.map_err(|_| closed())?;
        outcome.await.map_err(|_| closed())?
    }

    /// True while commits fail and are being repeated: no new remote call starts meanwhile (rule 43).
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

fn closed() -> bothways_store::StoreError {
    bothways_store::StoreError::new(StoreErrorKind::Retry, "the engine is stopping")
}

struct Committer {
    store: Arc<dyn Store>,
    ports: Ports,
    inbox: mpsc::Receiver<Job>,
    stuck: Arc<AtomicBool>,
}

impl Committer {
    async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            let mut jobs = vec![first];
            let mut size = jobs[0].units.len();
            while size < BATCH {
                let Ok(job) = self.inbox.try_recv() else { break };
                size += job.units.len();
                jobs.push(job);
            }
            self.carry_out(jobs).await;
        }
    }

    async fn carry_out(&self, jobs: Vec<Job>) {
        let result = match jobs.as_slice() {
            // A whole batch of one sender: a pass.
            [job] => self.commit(&job.units).await,
            jobs => {
                let units: Vec<Unit> = jobs.iter().flat_map(|job| job.units.iter().cloned()).collect();
                self.commit(&units).await
            }
        };
        match result {
            Ok(mut outcomes) => {
                for job in jobs {
                    let rest = outcomes.split_off(job.units.len().min(outcomes.len()));
                    let _ = job.answer.send(Ok(std::mem::replace(&mut outcomes, rest)));
                }
            }
            Err(error) if jobs.len() == 1 => {
                for job in jobs {
                    let _ = job
                        .answer
                        .send(Err(bothways_store::StoreError::new(error.kind, error.message.clone())));
                }
            }
            // One of them spoils the batch: each on its own finds out which (rule 45).
            Err(_) => {
                for job in jobs {
                    let _ = job.answer.send(self.commit(&job.units).await);
                }
            }
        }
    }

    async fn commit(&self, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
        let mut wait = Duration::from_millis(20);
        loop {
            match self.store.commit(self.ports.clock.now(), units).await {
                Err(error)
                    if error.kind == StoreErrorKind::Retry && !planted::is(Bug::BusyDropsConfirmation) =>
                {
                    self.stuck.store(true, Ordering::Relaxed);
                    tracing::warn!(error = %error, units = units.len(), "the database is busy; the commit is repeated");
                    self.ports.clock.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                other => {
                    self.stuck.store(false, Ordering::Relaxed);
                    return other;
                }
            }
        }
    }
}
