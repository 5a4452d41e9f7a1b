//! What the plan of a pair's first import names (rule 60).

use crate::{Engine, EngineError, PairRuntime};
use bothways_model::PairId;
use bothways_store::{Cursor, PageCommit, StoreError};
use serde::{Deserialize, Serialize};

/// What an observing pass has counted, brought up to the moment of the approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// So many records are to be created at the service.
    pub creates: u64,
    /// So many rows there were.
    pub rows: u64,
}

impl Engine {
    pub(crate) async fn keep_named(&self, pair: PairId, named: &Named) -> Result<(), EngineError> {
        let value = serde_json::to_value(named).unwrap_or_default();
        let cursor = Cursor { name: name(pair), value };
        let page = PageCommit { cursor: Some(cursor), ..PageCommit::default() };
        Ok(self.store.commit_page(self.ports.clock.now(), &page).await?)
    }

    /// How many creates the plan named that was approved; `None` if it was approved unseen.
    pub(crate) async fn named(&self, pair: PairId) -> Result<Option<Named>, StoreError> {
        let value = self.store.cursor(&name(pair)).await?;
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }

    /// The first import is approved: rows that have come since the pass observed are in the plan of this moment, as `plan` shows it.
    pub(crate) async fn name_present_rows(&self, pair: &PairRuntime) -> Result<(), EngineError> {
        if pair.is_walked() {
            return Ok(());
        }
        let Some(seen) = self.named(pair.id).await? else { return Ok(()) };
        let rows = self.store.count_rows(&pair.mapping.catalog.name).await?;
        let come = rows.saturating_sub(seen.rows);
        self.keep_named(pair.id, &Named { creates: seen.creates.saturating_add(come), rows }).await
    }

    /// The same where the very plan was seen.
    pub(crate) async fn name_creates(&self, pair: &PairRuntime, creates: u64) -> Result<(), EngineError> {
        if pair.is_walked() {
            return Ok(());
        }
        let rows = self.store.count_rows(&pair.mapping.catalog.name).await?;
        self.keep_named(pair.id, &Named { creates, rows }).await
    }
}

fn name(pair: PairId) -> String {
    format!("named/{pair}")
}
