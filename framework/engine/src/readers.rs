//! Starts whatever reads a connection in bulk and says when: feeds, polls, and the schedule of full passes (rules 27, 53, 54, 61).

use crate::pairs::PairRuntime;
use crate::pass::{PassOptions, PassReport};
use crate::{Engine, EngineError};
use bothways_model::{ConnectionName, PairId};
use bothways_store::{Cursor, PageCommit};
use chrono::TimeDelta;
use futures::future::{Either, select};
use futures::pin_mut;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// What the readers of this process share.
#[derive(Default)]
pub(crate) struct Readers {
    pairs: BTreeMap<PairId, PairReader>,
}

/// What concerns one pair.
#[derive(Default)]
struct PairReader {
    /// Wakes its schedule.
    wake: Notify,
    /// Held during a pass: one at a time in this process. Nothing depends on it.
    passing: Arc<tokio::sync::Mutex<()>>,
}

impl Readers {
    pub(crate) fn new(pairs: impl Iterator<Item = PairId>) -> Self {
        Self { pairs: pairs.map(|pair| (pair, PairReader::default())).collect() }
    }

    /// The lock of a pair's passes.
    pub(crate) fn passing(&self, pair: PairId) -> Arc<tokio::sync::Mutex<()>> {
        self.pairs.get(&pair).map(|reader| reader.passing.clone()).unwrap_or_default()
    }

    fn wake(&self, pair: PairId) {
        if let Some(reader) = self.pairs.get(&pair) {
            reader.wake.notify_one();
        }
    }
}

/// Why a pass is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// An unapproved pair says once what it would do.
    Observe,
    /// The pair has never been walked.
    First,
    /// An earlier pass was interrupted, or something asked for one.
    Wanted,
    /// The mapping's `sync.reconcile` has gone by.
    Reconcile,
}

impl Engine {
    /// Starts the readers of a connection whose account has been checked. Returns at once.
    pub(crate) fn start_readers(self: &Arc<Self>, connection: &ConnectionName) {
        if !self.settings.readers {
            return;
        }
        let tasks = self.ports.tasks.clone();
        let has_feed = self.connections.get(connection).is_some_and(|connector| connector.feed().is_some());
        if has_feed {
            tasks.spawn("feed", Box::pin(self.clone().feed_loop(connection.clone())));
        }
        for pair in self.pairs().filter(|pair| pair.connection == *connection) {
            tasks.spawn("poll", Box::pin(self.clone().poll_loop(pair.clone())));
            tasks.spawn("passes", Box::pin(self.clone().schedule_loop(pair.clone())));
        }
    }

    /// Asks for a full pass of every pair of a catalog: its triggers were repaired (rule 36). Insists, since nothing else would ask
    /// again.
    pub(crate) async fn request_pass(&self, catalog: &str) {
        for pair in self.pairs().filter(|pair| pair.mapping.catalog.name == catalog) {
            while let Err(error) = self.want_pass_because(pair.id, true).await {
                tracing::warn!(pair = %pair.id, error = %error, "a full pass could not be asked for; trying again");
                self.pause_for(Duration::from_secs(1)).await;
                if self.is_stopping() {
                    return;
                }
            }
        }
    }

    /// Asks for a full pass, durably.
    ///
    /// # Errors
    /// The store fails.
    pub async fn want_pass(&self, pair: PairId) -> Result<(), EngineError> {
        self.want_pass_because(pair, false).await
    }

    /// `deaf`: changes may have gone unnoticed for a reason that is known.
    async fn want_pass_because(&self, pair: PairId, deaf: bool) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let deaf = deaf || self.store.cursor(&wanted_name(pair)).await?.is_some_and(|w| w["deaf"] == true);
        let value = serde_json::json!({ "since": now, "deaf": deaf });
        let cursor = Cursor { name: wanted_name(pair), value };
        let page = PageCommit { cursor: Some(cursor), ..PageCommit::default() };
        self.store.commit_page(now, &page).await?;
        self.readers.wake(pair);
        Ok(())
    }

    /// Whether the pass that was asked for follows a time in which changes may have gone unnoticed.
    pub(crate) async fn was_deaf(&self, pair: PairId) -> Result<bool, EngineError> {
        Ok(self.store.cursor(&wanted_name(pair)).await?.is_some_and(|wanted| wanted["deaf"] == true))
    }

    pub(crate) async fn forget_wanted(&self, pair: PairId) -> Result<(), EngineError> {
        let name = wanted_name(pair);
        if self.store.cursor(&name).await?.is_some() {
            self.store.drop_cursor(&name).await?;
        }
        Ok(())
    }

    /// Runs a pair's passes when they are due, until the engine stops.
    async fn schedule_loop(self: Arc<Self>, mut pair: Arc<PairRuntime>) {
        let mut observed = false;
        let mut failures = 0;
        let passing = self.readers.passing(pair.id);
        while !self.is_stopping() {
            pair = self.current(&pair);
            // What another pass serves is not due any more when that ends.
            let one_at_a_time = passing.lock().await;
            let wait = match self.next_pass(&pair, observed).await {
                Ok((None, wait)) => wait,
                Ok((Some(due), _)) => {
                    let options = PassOptions { observe: due == Due::Observe, restart: false };
                    let result = self.pass_alone(&pair, options, &|_| {}).await;
                    observed |= due == Due::Observe && result.is_ok();
                    match result {
                        Ok(report) => {
                            failures = 0;
                            say(&pair, due, &report);
                            if due == Due::First {
                                // Those that refer to its records waited for it.
                                self.wake_schedules();
                            }
                            Duration::from_millis(1)
                        }
                        Err(_) if self.is_stopping() => return,
                        Err(error) => {
                            failures += 1;
                            tracing::warn!(pair = %pair.id, error = error.in_log(), "the full pass stopped; it goes on later");
                            crate::retry::backoff(&self.settings.retry, failures, None, &*self.ports.random)
                                .max(self.settings.sweep)
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(pair = %pair.id, error = error.in_log(), "the schedule cannot be read; trying again");
                    self.settings.sweep
                }
            };
            drop(one_at_a_time);
            self.wait_for_schedule(pair.id, wait).await;
        }
    }

    /// What is due for a pair now, and how long there is nothing to do.
    async fn next_pass(
        &self,
        pair: &PairRuntime,
        observed: bool,
    ) -> Result<(Option<Due>, Duration), EngineError> {
        let look_again = self.settings.sweep;
        if self.check_readable(&pair.connection).is_err() || self.is_paused(pair, None) {
            return Ok((None, look_again));
        }
        self.refresh_pairs().await?;
        let stored = pair.stored();
        if stored.approval.is_none() {
            return Ok(((!observed).then_some(Due::Observe), look_again));
        }
        if stored.walked_at.is_none() && self.waits_for_parents(pair) {
            return Ok((None, look_again));
        }
        if stored.walked_at.is_none() {
            return Ok((Some(Due::First), Duration::ZERO));
        }
        for name in [crate::pass::cursor_name(pair.id), wanted_name(pair.id)] {
            if self.store.cursor(&name).await?.is_some() {
                return Ok((Some(Due::Wanted), Duration::ZERO));
            }
        }
        let Some(every) = pair.mapping.sync.reconcile else { return Ok((None, look_again)) };
        let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::days(1));
        let now = self.ports.clock.now();
        // One that lies ahead is of a clock that was wrong.
        let passed = stored.passed_at.filter(|at| *at <= now);
        let left = passed.map_or(TimeDelta::zero(), |at| at + every - now);
        match left.to_std() {
            Ok(left) if left > Duration::ZERO => Ok((None, left.min(look_again))),
            _ => Ok((Some(Due::Reconcile), Duration::ZERO)),
        }
    }

    async fn wait_for_schedule(&self, pair: PairId, wait: Duration) {
        let timer = self.pause_for(wait);
        pin_mut!(timer);
        let Some(reader) = self.readers.pairs.get(&pair) else {
            timer.await;
            return;
        };
        let woken = reader.wake.notified();
        pin_mut!(woken);
        match select(woken, timer).await {
            Either::Left(_) | Either::Right(_) => {}
        }
    }

    /// A pair was approved: its first pass need not wait for the sweep.
    pub(crate) fn wake_schedules(&self) {
        self.pairs().for_each(|pair| self.readers.wake(pair.id));
    }
}

/// Says what a pass found, in the log.
fn say(pair: &PairRuntime, due: Due, report: &PassReport) {
    let counts = &report.counts;
    let name = &pair.mapping.name;
    match due {
        Due::Observe => tracing::warn!(
            "mapping `{name}` is not approved and only observes. It would link {} records ({} of them differ), create {} rows and {} \
             remote records, and ask about {} ambiguous groups. See it with `bothways plan {name}`, approve it with `bothways approve \
             {name}` or `bothways run --approve`",
            counts.linked,
            counts.linked_differing,
            counts.created,
            counts.handed_out,
            counts.ambiguous
        ),
        _ if !report.first && counts.differing + counts.missing > 0 => tracing::warn!(
            pair = %pair.id, differing = counts.differing, missing = counts.missing,
            "the full pass found changes that nothing else had told of"
        ),
        _ => {}
    }
}

fn wanted_name(pair: PairId) -> String {
    format!("pass-wanted/{pair}")
}
