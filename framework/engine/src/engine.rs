//! The engine as a whole: what it holds, how it starts and stops.

use crate::collections::Collections;
use crate::commits::Commits;
use crate::connections::Connections;
use crate::pairs::{Loaded, PairRuntime, PairSet};
use crate::pauses::Pauses;
use crate::readers::Readers;
use crate::scratch::{InMemory, Scratches};
use crate::spent::Spent;
use crate::troubles::Troubles;
use crate::{ConnectionState, EngineError, Ports, Renewer, Settings, Vault};
use bothways_model::planted::{self, Bug};
use bothways_model::{Catalog, ConnectionName, PairId, Timestamp};
use bothways_queue::Queue;
use bothways_store::{BrakeId, Pair, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use tokio::sync::{Notify, watch};

/// The engine. Cheap to clone behind its `Arc`; handles ([`crate::Records`], [`crate::Intake`], [`crate::Operations`]) share it.
pub struct Engine {
    /// Itself, for tasks that outlive whoever starts them.
    pub(crate) this: Weak<Self>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) renewer: Renewer,
    pub(crate) pairs: PairSet,
    /// What the pairs were made of.
    loaded: BTreeMap<PairId, Loaded>,
    scratches: OnceLock<Arc<dyn Scratches>>,
    pub(crate) catalogs: BTreeMap<String, Arc<Catalog>>,
    pub(crate) connections: Connections,
    /// Trouble of readers and connections, for `status`.
    pub(crate) troubles: Troubles,
    /// When full passes were last asked for, since events could not be read.
    pub(crate) unreadable: Mutex<BTreeMap<ConnectionName, Timestamp>>,
    /// Brakes that were on when they were last looked at.
    pub(crate) brakes_known: Mutex<BTreeSet<BrakeId>>,
    pub(crate) commits: Commits,
    pub(crate) collections: Collections,
    pub(crate) pauses: Pauses,
    pub(crate) spent: Spent,
    pub(crate) readers: Readers,
    /// Dispatchers that wait for work.
    pub(crate) idle: AtomicUsize,
    /// Wakes the relay.
    pub(crate) relay_wake: Notify,
    /// Wakes the dispatchers.
    pub(crate) work_wake: watch::Sender<u64>,
    /// Ticks after anything that a page may want to show again.
    pub(crate) news: watch::Sender<u64>,
    /// Becomes true when the engine stops.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Engine {
    /// Opens the engine on a store whose tables and triggers are installed: finds or makes the pair of every mapping. `catalogs`
    /// may hold catalogs that no mapping uses; their rows can be read and edited all the same. Nothing
    /// runs before [`Engine::start`]; only the committing task does, so that operator actions work.
    ///
    /// # Errors
    /// The store fails, or a mapping names a resource its connector does not have.
    pub async fn open(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        ports: Ports,
        loaded: &[Loaded],
        catalogs: &[Arc<Catalog>],
        settings: Settings,
    ) -> Result<Arc<Self>, EngineError> {
        let mut pairs = BTreeMap::new();
        let mut documents = BTreeMap::new();
        for one in loaded {
            let pair = PairRuntime::open(&*store, one).await?;
            documents.insert(pair.id, one.clone());
            pairs.insert(pair.id, Arc::new(pair));
        }
        let mapped = pairs.values().map(|p: &Arc<PairRuntime>| p.mapping.catalog.clone());
        let catalogs = mapped.chain(catalogs.iter().cloned()).map(|c| (c.name.clone(), c)).collect();
        let commits = Commits::start(store.clone(), &ports);
        let readers = Readers::new(pairs.keys().copied());
        let renewer = Renewer::new(&ports, Some(store.clone()));
        Ok(Arc::new_cyclic(|this| Self {
            this: this.clone(),
            collections: Collections::default(),
            connections: Connections::new(loaded),
            store,
            queue,
            ports,
            settings,
            renewer,
            pairs: PairSet::new(pairs),
            loaded: documents,
            scratches: OnceLock::new(),
            commits,
            catalogs,
            troubles: Troubles::default(),
            unreadable: Mutex::default(),
            brakes_known: Mutex::default(),
            pauses: Pauses::default(),
            spent: Spent::default(),
            readers,
            idle: AtomicUsize::new(0),
            relay_wake: Notify::new(),
            work_wake: watch::channel(0).0,
            news: watch::channel(0).0,
            stopping: watch::channel(false).0,
        }))
    }

    /// The loaded pairs, by number.
    pub fn pairs(&self) -> impl Iterator<Item = Arc<PairRuntime>> {
        self.pairs.now().values().cloned().collect::<Vec<_>>().into_iter()
    }

    /// The pair as it is by now: it is another one once a change of its mapping was approved.
    pub(crate) fn current(&self, pair: &Arc<PairRuntime>) -> Arc<PairRuntime> {
        self.pairs.get(&pair.id).unwrap_or_else(|| pair.clone())
    }

    /// What a pair was made of: its mapping as it is written, approved or not.
    pub(crate) fn written(&self, pair: PairId) -> Result<&Loaded, EngineError> {
        self.loaded.get(&pair).ok_or_else(|| EngineError::NotFound(format!("pair {pair}")))
    }

    /// The keys that rotating tokens are encrypted with, told once. Without any, connections that have such tokens are not used.
    pub fn set_vault(&self, vault: Vault) {
        self.renewer.set_vault(vault);
    }

    /// Where plans keep what they have to remember; in memory unless told, once.
    pub fn set_scratches(&self, scratches: Arc<dyn Scratches>) {
        // A second one changes nothing.
        let _ = self.scratches.set(scratches);
    }

    pub(crate) fn scratches(&self) -> Arc<dyn Scratches> {
        self.scratches.get().cloned().unwrap_or_else(|| Arc::new(InMemory))
    }

    /// Reads the stored pairs again: approvals, accounts and walks may have been written by another process. A change of a mapping that
    /// was approved meanwhile holds from here on.
    ///
    /// # Errors
    /// The store fails.
    pub async fn refresh_pairs(&self) -> Result<(), EngineError> {
        for stored in self.store.pairs().await? {
            let Some(pair) = self.pairs.get(&stored.id) else { continue };
            let digest = |stored: &Pair| stored.approval.as_ref().map(|approval| approval.digest.clone());
            if digest(&stored) != digest(&pair.stored()) {
                let renewed = PairRuntime::approved(stored.clone(), self.written(stored.id)?)?;
                if renewed.held() != pair.held() {
                    self.pairs.put(Arc::new(renewed));
                    if let Err(error) = self.reconsider(stored.id).await {
                        // Not for good before all of it is looked at again.
                        self.pairs.put(pair);
                        return Err(error);
                    }
                    continue;
                }
            }
            pair.refresh(stored);
        }
        Ok(())
    }

    /// Frees everything that an earlier, dead engine held. Only when it is known that no other engine runs on this database: its
    /// caller holds the database's engine lock.
    ///
    /// # Errors
    /// The store fails.
    pub async fn take_over(&self) -> Result<u64, EngineError> {
        let freed = self.store.end_leases(self.ports.clock.now()).await?;
        if freed > 0 {
            tracing::info!(links = freed, "took over from an engine that did not stop cleanly");
        }
        Ok(freed)
    }

    /// Signals that work was added, to this process and to others.
    pub(crate) async fn nudge(&self) {
        self.work_wake.send_modify(|n| *n += 1);
        if let Err(error) = self.queue.nudge(bothways_queue::Nudge { topic: "work".into() }).await {
            tracing::debug!(error = %error, "nudge not sent; the sweep will find the work");
        }
    }

    /// Ticks for pages.
    pub(crate) fn tell(&self) {
        self.news.send_modify(|n| *n += 1);
    }

    /// The address others reach this engine's queue at.
    pub fn queue_address(&self) -> String {
        self.queue.address()
    }

    /// A receiver that changes whenever something was written.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// True once the engine is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// The pairs of `connection` whose work may be taken now: loaded, approved, walked, not paused (rules 27, 61, 64).
    pub(crate) fn workable(&self, connection: &ConnectionName) -> Vec<PairId> {
        // It was not at the start: a person has logged in to another account since (rule 28).
        let blocked = matches!(self.connection_state(connection), ConnectionState::Blocked(_));
        self.pairs
            .now()
            .values()
            .filter(|pair| pair.connection == *connection && pair.is_approved())
            .filter(|pair| pair.is_walked() || planted::is(Bug::CreateBeforeWalk))
            .filter(|pair| !self.is_paused(pair, None))
            .filter(|_| !blocked)
            .map(|pair| pair.id)
            .collect()
    }
}
