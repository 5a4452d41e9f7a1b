//! What readers and connections have trouble with, for `status` in this process and in others (rules 46, 53).
//!
//! A working engine keeps what it knows in the database as well, and only what changed: `bothways status` is another process.

use crate::{Engine, EngineError};
use bothways_model::{ConnectionName, PairId};
use bothways_store::{Cursor, PageCommit, StoreErrorKind};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often what could not be kept is tried again.
const TRIES: usize = 5;

/// What this process knows.
#[derive(Default)]
pub(crate) struct Troubles {
    /// By reader; `None` where this process has seen it do well.
    known: Mutex<BTreeMap<String, Option<String>>>,
    /// Whoever keeps something has the turn, so that the last word stands.
    keeping: tokio::sync::Mutex<()>,
}

impl Troubles {
    fn get(&self, reader: &str) -> Option<Option<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(reader).cloned()
    }
}

/// Those whose trouble concerns a pair.
fn readers(connection: &ConnectionName, pair: PairId) -> [String; 5] {
    [
        format!("account/{connection}"),
        format!("circuit/{connection}"),
        format!("feed/{connection}"),
        format!("pass/{pair}"),
        format!("poll/{pair}"),
    ]
}

/// The cursor that holds it.
fn name(reader: &str) -> String {
    format!("trouble/{reader}")
}

impl Engine {
    /// Notes trouble of a reader (`feed/stripe`, `poll/3`), or that it is over.
    pub(crate) fn set_trouble(&self, reader: &str, trouble: Option<String>) {
        let before = {
            let mut known = self.troubles.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(reader.to_owned(), trouble.clone())
        };
        if before == Some(trouble) {
            return;
        }
        let Some(engine) = self.this.upgrade() else { return };
        let reader = reader.to_owned();
        self.ports.tasks.spawn("trouble", Box::pin(async move { engine.keep_trouble(&reader).await }));
    }

    /// Keeps what is known of a reader by now where other processes see it.
    async fn keep_trouble(&self, reader: &str) {
        let _turn = self.troubles.keeping.lock().await;
        for _ in 0..TRIES {
            match self.store_trouble(reader).await {
                Ok(()) => return,
                Err(EngineError::Store(error)) if error.kind == StoreErrorKind::Retry => {
                    self.pause_for(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    tracing::debug!(reader, error = %error, "trouble is not kept: only this process shows it");
                    return;
                }
            }
        }
    }

    async fn store_trouble(&self, reader: &str) -> Result<(), EngineError> {
        let cursor = name(reader);
        match self.troubles.get(reader).flatten() {
            Some(trouble) => {
                let cursor = Cursor { name: cursor, value: serde_json::Value::String(trouble) };
                let page = PageCommit { cursor: Some(cursor), ..PageCommit::default() };
                self.store.commit_page(self.ports.clock.now(), &page).await?;
            }
            None if self.store.cursor(&cursor).await?.is_some() => self.store.drop_cursor(&cursor).await?,
            None => {}
        }
        Ok(())
    }

    /// Whether this process knows of trouble of the readers of a connection and a pair.
    pub(crate) fn has_trouble(&self, connection: &ConnectionName, pair: PairId) -> bool {
        readers(connection, pair).iter().any(|reader| self.troubles.get(reader).flatten().is_some())
    }

    /// Trouble of the readers of a connection and a pair: as this process knows, else as the last engine that worked found.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn troubles(
        &self,
        connection: &ConnectionName,
        pair: PairId,
    ) -> Result<Vec<String>, EngineError> {
        let mut all = Vec::new();
        for reader in readers(connection, pair) {
            let trouble = match self.troubles.get(&reader) {
                Some(known) => known,
                None => {
                    let stored = self.store.cursor(&name(&reader)).await?;
                    stored.and_then(|trouble| trouble.as_str().map(str::to_owned))
                }
            };
            all.extend(trouble.map(|trouble| format!("{reader}: {trouble}")));
        }
        Ok(all)
    }
}
