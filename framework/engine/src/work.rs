//! The loops that keep work moving: relay, dispatchers, sweep.
//!
//! Nothing here decides. The relay turns captured changes into work; a dispatcher per connection takes due work, as much as the
//! connection may call at once, and looks at each record in a task of its own; the sweep finds what a crash or a lost nudge left.

use crate::pairs::lease_of;
use crate::{ConnectionState, Engine, EngineError};
use bothways_model::planted::{self, Bug};
use bothways_model::{ConnectionName, Timestamp};
use bothways_store::{PauseScope, Take};
use chrono::TimeDelta;
use futures::future::{Either, select};
use futures::pin_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

impl Engine {
    /// Starts all loops. Returns at once.
    pub fn start(self: &Arc<Self>) {
        let tasks = self.ports.tasks.clone();
        tasks.spawn("relay", Box::pin(self.clone().relay_loop()));
        tasks.spawn("watch", Box::pin(self.clone().watch_loop()));
        tasks.spawn("sweep", Box::pin(self.clone().sweep_loop()));
        tasks.spawn("nudges", Box::pin(self.clone().nudge_loop()));
        for connection in self.connections.names() {
            tasks.spawn("connection", Box::pin(self.clone().connection_loop(connection.clone())));
        }
    }

    /// Asks all loops to end. Looks under way finish their call; whatever does not is found again by the next start.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        // One that is kept, for a relay that is not waiting at this moment.
        self.relay_wake.notify_one();
        self.work_wake.send_modify(|n| *n += 1);
    }

    /// Waits, but not beyond the engine's end.
    pub(crate) async fn pause_for(&self, duration: Duration) {
        let sleep = self.ports.clock.sleep(duration);
        let mut stopping = self.stopping.subscribe();
        let stop = async move {
            let _ = stopping.wait_for(|s| *s).await;
        };
        pin_mut!(sleep, stop);
        select(sleep, stop).await;
    }

    /// Relays everything that is captured. Returns how many entries there were.
    ///
    /// # Errors
    /// The store fails; nothing is lost.
    pub async fn relay(&self) -> Result<u64, EngineError> {
        let mut entries = 0;
        loop {
            let relayed = self.store.relay(self.ports.clock.now(), self.settings.relay_batch).await?;
            entries += relayed.entries;
            if relayed.entries > 0 {
                self.nudge().await;
            }
            if !relayed.more {
                if entries > 0 {
                    self.tell();
                }
                return Ok(entries);
            }
        }
    }

    async fn relay_loop(self: Arc<Self>) {
        while !self.is_stopping() {
            if let Err(error) = self.relay().await {
                tracing::warn!(error = %error, "the relay failed; it tries again");
                self.pause_for(Duration::from_millis(200)).await;
                continue;
            }
            self.relay_wake.notified().await;
        }
    }

    /// Wakes somebody to relay whenever the database may have changed, through whomever: a dispatcher that has nothing to do, since it
    /// relays and takes in one transaction, else the relay. What may have changed are also the pauses, through another process.
    async fn watch_loop(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        while !self.is_stopping() {
            let stopped = stopping.wait_for(|s| *s);
            let changed = self.store.changed();
            pin_mut!(stopped);
            match select(changed, stopped).await {
                Either::Left(_) if self.idle.load(Ordering::Acquire) > 0 => {
                    self.work_wake.send_modify(|n| *n += 1);
                }
                Either::Left(_) => self.relay_wake.notify_one(),
                Either::Right(_) => return,
            }
            if let Err(error) = self.refresh_pauses().await {
                tracing::warn!(error = %error, "the pauses could not be read; the sweep tries again");
            }
        }
    }

    async fn nudge_loop(self: Arc<Self>) {
        let mut listener = loop {
            match self.queue.listen().await {
                Ok(listener) => break listener,
                Err(error) => {
                    tracing::warn!(error = %error, "cannot listen for nudges; the sweep finds the work");
                    self.pause_for(Duration::from_secs(5)).await;
                    if self.is_stopping() {
                        return;
                    }
                }
            }
        };
        let mut stopping = self.stopping.subscribe();
        while !self.is_stopping() {
            let stopped = stopping.wait_for(|s| *s);
            let nudge = listener.next();
            pin_mut!(stopped);
            match select(nudge, stopped).await {
                Either::Left(_) => self.work_wake.send_modify(|n| *n += 1),
                Either::Right(_) => return,
            }
        }
    }

    /// Looks for everything that a lost nudge or a crash could have hidden.
    async fn sweep_loop(self: Arc<Self>) {
        let mut pruned_at: Option<Timestamp> = None;
        while !self.is_stopping() {
            let now = self.ports.clock.now();
            if let Err(error) = self.sweep(now, &mut pruned_at).await {
                tracing::warn!(error = error.in_log(), "the sweep failed; it tries again");
            }
            self.pause_for(self.settings.sweep).await;
        }
        if let Err(error) = self.keep_calls().await {
            tracing::warn!(error = %error, "the last calls could not be counted for the day");
        }
    }

    async fn sweep(&self, now: Timestamp, pruned_at: &mut Option<Timestamp>) -> Result<(), EngineError> {
        self.refresh_pauses().await?;
        self.refresh_pairs().await?;
        self.keep_calls().await?;
        if planted::is(Bug::NudgeTrusted) {
            return Ok(());
        }
        self.relay_wake.notify_one();
        self.log_brakes(now).await?;
        self.store.sweep(now).await?;
        self.repair_triggers().await?;
        for (catalog, why) in self.store.unfit().await? {
            let pairs = self.pairs().filter(|pair| pair.mapping.catalog.name == catalog);
            for scope in pairs.map(|pair| PauseScope::Pair(pair.id)).filter(|scope| !self.pauses.has(scope)) {
                self.pause(scope, &why).await;
            }
        }
        if pruned_at.is_none_or(|at| now - at >= TimeDelta::hours(1)) {
            self.store.prune(now, self.settings.keep_days).await?;
            *pruned_at = Some(now);
        }
        self.work_wake.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Puts missing triggers back and has a full pass look for what they did not tell of (rule 36).
    pub(crate) async fn repair_triggers(&self) -> Result<(), EngineError> {
        for catalog in self.store.repair().await? {
            tracing::error!(
                catalog,
                "the triggers of this catalog were missing or changed; they are back, and a full pass follows"
            );
            self.request_pass(&catalog).await;
        }
        Ok(())
    }

    /// One connection: its account first, then its readers and its dispatcher.
    async fn connection_loop(self: Arc<Self>, connection: ConnectionName) {
        let mut wait = Duration::from_millis(200);
        // An earlier engine's, which this one has not.
        self.set_trouble(&format!("circuit/{connection}"), None);
        loop {
            match self.open_connection(&connection).await {
                Ok(ConnectionState::Blocked(_)) => {
                    tracing::error!(connection = %connection, "the connection must not be used: `bothways status` says why");
                    return;
                }
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(connection = %connection, error = error.in_log(), "the service cannot be asked for its account; trying again");
                }
            }
            self.pause_for(wait).await;
            wait = (wait * 2).min(Duration::from_secs(30));
            if self.is_stopping() {
                return;
            }
        }
        self.start_readers(&connection);
        self.dispatch(connection).await;
    }

    /// Takes due work and looks at it, never more at once than the connection may call.
    async fn dispatch(self: Arc<Self>, connection: ConnectionName) {
        let Some(connector) = self.connections.get(&connection).cloned() else { return };
        let limits = connector.limits();
        // No more looks than calls that get their turn in time, where that is few: the others would only wait under their leases.
        let calls = (limits.concurrent.max(1) * 2).min(limits.turns_within(limits.timeout).max(1));
        let slots = self.at_once(&*connector, calls);
        let busy = Arc::new(AtomicUsize::new(0));
        let freed = Arc::new(Notify::new());
        let mut wake = self.work_wake.subscribe();
        let lease = TimeDelta::from_std(lease_of(limits.timeout)).unwrap_or(TimeDelta::minutes(2));
        while !self.is_stopping() {
            wake.mark_unchanged();
            let free = slots.saturating_sub(busy.load(Ordering::Acquire));
            let taken = if free == 0 || self.commits.is_stuck() {
                Ok(0)
            } else {
                self.take_some(&connection, free, lease, &busy, &freed).await
            };
            match taken {
                // No room; or less than there was room for, so that was all.
                Ok(taken) if taken == 0 || taken < free => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(connection = %connection, error = %error, "work could not be taken; trying again");
                    self.pause_for(Duration::from_millis(200)).await;
                }
            }
            self.wait_for_work(&connection, &mut wake, &freed, free == 0).await;
        }
    }

    async fn take_some(
        self: &Arc<Self>,
        connection: &ConnectionName,
        free: usize,
        lease: TimeDelta,
        busy: &Arc<AtomicUsize>,
        freed: &Arc<Notify>,
    ) -> Result<usize, EngineError> {
        let pairs = self.workable(connection);
        if pairs.is_empty() {
            return Ok(0);
        }
        let now = self.ports.clock.now();
        let take = Take { now, until: now + lease, limit: free, pairs: &pairs };
        let (relayed, taken) = self.store.relay_and_take(self.settings.relay_batch, take).await?;
        let count = taken.len();
        if relayed.more {
            self.relay_wake.notify_one();
        }
        if relayed.entries > 0 {
            self.tell();
            // Some of it may be for somebody else.
            if relayed.entries > count as u64 || self.connections.names().nth(1).is_some() {
                self.nudge().await;
            }
        }
        for one in taken {
            let pair = one.link.as_ref().map(|l| l.pair).or(one.work.first().map(|w| w.pair));
            let Some(pair) = pair.and_then(|id| self.pairs.get(&id)) else { continue };
            busy.fetch_add(1, Ordering::AcqRel);
            let (engine, busy, freed) = (self.clone(), busy.clone(), freed.clone());
            self.ports.tasks.spawn(
                "look",
                Box::pin(async move {
                    // Counted down even if the look panics, so that one bad record never eats a slot.
                    let _slot = Slot { busy, freed };
                    engine.look(pair, one).await;
                }),
            );
        }
        Ok(count)
    }

    /// Waits for a nudge, a free slot, or the time the next work is due.
    async fn wait_for_work(
        &self,
        connection: &ConnectionName,
        wake: &mut tokio::sync::watch::Receiver<u64>,
        freed: &Notify,
        full: bool,
    ) {
        let mut finished = false;
        loop {
            let now = self.ports.clock.now();
            let pairs = self.workable(connection);
            let due = if full || pairs.is_empty() {
                None
            } else {
                self.store.next_due(&pairs).await.ok().flatten()
            };
            if finished && due.is_some_and(|due| due <= now) {
                return;
            }
            let wait = due.map_or(self.settings.sweep, |due| {
                (due - now).to_std().unwrap_or(Duration::ZERO).min(self.settings.sweep)
            });
            let wait = if planted::is(Bug::NudgeTrusted) { Duration::from_secs(86_400) } else { wait };
            let _idle = (!full && !pairs.is_empty()).then(|| Idle::new(&self.idle));
            let slot = freed.notified();
            let timer = self.ports.clock.sleep(wait.max(Duration::from_millis(1)));
            pin_mut!(slot, timer);
            if full {
                select(slot, timer).await;
                return;
            }
            let woken = wake.changed();
            pin_mut!(woken);
            match select(select(woken, slot), timer).await {
                // There was room before. What a finished look leaves to be done later is looked up, and nothing is taken for it now.
                Either::Left((Either::Right(_), _)) if !self.is_stopping() => finished = true,
                _ => return,
            }
        }
    }
}

/// A dispatcher that would take more.
struct Idle<'e>(&'e AtomicUsize);

impl<'e> Idle<'e> {
    fn new(count: &'e AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Slot {
    busy: Arc<AtomicUsize>,
    freed: Arc<Notify>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::AcqRel);
        self.freed.notify_one();
    }
}
