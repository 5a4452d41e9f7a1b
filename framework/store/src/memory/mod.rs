//! The whole store in memory: for tests and the simulator. Deterministic: time comes only from arguments, order only from `BTreeMap`s.
//!
//! It behaves like a store on SQL: tables refuse rows, the database makes keys, and every row write is captured in a change log, whoever
//! makes it. Another program's writes come through [`MemoryStore::foreign`].

mod brakes;
mod commit;
mod credentials;
mod erasure;
mod foreign;
mod intake;
mod keys;
mod links;
mod operator;
mod pairs;
mod queue;
mod relay;
mod rows;
mod state;
mod table;

pub use foreign::{Foreign, Held};

use crate::Result;
use bothways_model::{Catalog, Record};
use state::State;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use table::Table;

/// A store in memory. Clones share everything, but each notices changes for itself ([`crate::Capture::changed`]).
pub struct MemoryStore {
    inner: Arc<Inner>,
    seen: AtomicU64,
}

struct Inner {
    state: Mutex<State>,
    /// See [`MemoryStore::slow`].
    slow: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), seen: AtomicU64::new(0) }
    }
}

impl MemoryStore {
    /// A store with an empty table for each catalog.
    pub fn new(catalogs: impl IntoIterator<Item = Catalog>) -> Self {
        let tables = catalogs.into_iter().map(|c| (c.name.clone(), Table::new(c))).collect();
        let inner = Inner {
            state: Mutex::new(State::new(tables)),
            slow: AtomicBool::new(false),
            waiting: Mutex::default(),
        };
        Self { inner: Arc::new(inner), seen: AtomicU64::new(0) }
    }

    /// Makes these fields of a catalog unique together; null is never equal to null. Call it before there are rows.
    #[must_use]
    pub fn unique(self, catalog: &str, fields: &[&str]) -> Self {
        self.with_table(catalog, |table| {
            table.unique.push(fields.iter().map(|f| (*f).to_owned()).collect());
        })
    }

    /// What a column default does: fields that an insert leaves out get these values.
    #[must_use]
    pub fn defaults(self, catalog: &str, values: Record) -> Self {
        self.with_table(catalog, |table| table.defaults = values)
    }

    /// What a trigger of the user's table does: alters every row that is written, or refuses it with a message.
    #[must_use]
    pub fn trigger(
        self,
        catalog: &str,
        alter: impl Fn(&mut Record) -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.with_table(catalog, |table| table.trigger = Some(Arc::new(alter)))
    }

    /// Takes a moment for setting an account, as a database does: others run meanwhile.
    #[must_use]
    pub fn slow(self) -> Self {
        self.inner.slow.store(true, Ordering::Relaxed);
        self
    }

    /// Lets others run, if it is slow.
    async fn take_a_moment(&self) {
        let mut moment = self.inner.slow.load(Ordering::Relaxed);
        std::future::poll_fn(|context| {
            if !std::mem::take(&mut moment) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Writes rows like another program.
    pub fn foreign(&self) -> Foreign<'_> {
        Foreign { store: self }
    }

    fn with_table(self, catalog: &str, change: impl FnOnce(&mut Table)) -> Self {
        if let Some(table) = self.lock().tables.get_mut(catalog) {
            change(table);
        }
        self
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction that may write; wakes whoever waits for changes if it did.
    fn write<T>(&self, body: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        let before = state.version;
        let result = body(&mut state);
        let changed = state.version != before;
        drop(state);
        if changed {
            let waiting =
                std::mem::take(&mut *self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
        result
    }

    async fn wait_for_change(&self) {
        std::future::poll_fn(|context| {
            let state = self.lock();
            if self.seen.swap(state.version, Ordering::Relaxed) != state.version {
                return Poll::Ready(());
            }
            let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|w| !w.will_wake(context.waker()));
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
