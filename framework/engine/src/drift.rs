//! Drift (rule 54): what a full pass finds different although nothing had told of it. Where events should have told, it is an alert.

use crate::pass::{Pass, PassReport, Stage};
use crate::{Engine, EngineError, PairRuntime};
use bothways_model::{PairId, RemoteId, Timestamp};
use bothways_store::{Cursor, Link, PageCommit};
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many differing links are looked up one by one; beyond that all of them count.
const LOOKED_UP: u64 = 1_000;

/// What the last full pass found different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// When the pass ended.
    pub at: Timestamp,
    /// Linked records of either side that were not what was last known of them.
    pub differing: u64,
    /// Of those, the ones that nothing had told of.
    pub drifted: u64,
    /// Linked rows that were gone without a captured delete.
    pub missing: u64,
    /// Events or triggers were healthy, as far as we know, and still did not tell: they are being lost.
    pub alert: bool,
}

impl fmt::Display for DriftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differing == 0 && self.missing == 0 {
            return f.write_str("nothing differed");
        }
        let Self { differing, drifted, missing, .. } = self;
        write!(
            f,
            "{differing} records differed, of {drifted} of them nothing had told; {missing} rows were gone untold"
        )
    }
}

impl Pass<'_> {
    /// Counts a link that differs. What has work already was told of; so was what changed while the pass ran.
    pub(crate) async fn note_differing(&mut self, link: &Link) -> Result<(), EngineError> {
        self.state.counts.differing += 1;
        if matches!(self.state.stage, Stage::CatchUp) || link.lease.is_some() {
            if let Some(id) = &link.remote_id {
                self.was_told(id);
            }
            return Ok(());
        }
        let told = self.state.counts.differing <= LOOKED_UP && {
            let work = self.engine.store.work_of(link.pair, link.local_id.as_ref(), link.remote_id.as_ref());
            !work.await?.is_empty()
        };
        if !told {
            self.state.counts.drifted += 1;
            let room = self.drifted.len() < LOOKED_UP as usize;
            self.drifted.extend(link.remote_id.clone().filter(|_| room));
        }
        Ok(())
    }

    /// Something tells of a record after all: what changed while the pass ran, or was on its way.
    pub(crate) fn was_told(&mut self, id: &RemoteId) {
        if self.drifted.remove(id) {
            self.state.counts.drifted = self.state.counts.drifted.saturating_sub(1);
        }
    }

    /// Keeps what a finished pass found, and says so where it should not have been.
    pub(crate) async fn note_drift(&self, report: &PassReport, now: Timestamp) -> Result<(), EngineError> {
        let counts = &report.counts;
        let lost = counts.drifted + counts.missing;
        // It may have become known only while the pass ran.
        let deaf = self.state.deaf || self.engine.was_deaf(self.pair.id).await?;
        let alert = !report.first && lost > 0 && !deaf && self.engine.tells(&self.pair);
        let drift = DriftReport {
            at: now,
            differing: counts.differing,
            drifted: counts.drifted,
            missing: counts.missing,
            alert,
        };
        let value = serde_json::to_value(&drift).unwrap_or_default();
        let page =
            PageCommit { cursor: Some(Cursor { name: name(self.pair.id), value }), ..PageCommit::default() };
        self.engine.store.commit_page(now, &page).await?;
        if alert {
            tracing::error!(
                pair = %self.pair.id, drifted = counts.drifted, missing = counts.missing,
                "a full pass found what no event and no trigger had told of, although nothing seems wrong with them"
            );
        }
        Ok(())
    }
}

impl Engine {
    /// Whether remote changes of a pair are told of by webhooks or a feed, and nothing is wrong with them.
    fn tells(&self, pair: &PairRuntime) -> bool {
        let connector = &pair.connector;
        (connector.webhook().is_some() || connector.feed().is_some() && pair.mapping.sync.feed.is_some())
            && !self.has_trouble(&pair.connection, pair.id)
    }

    /// What the last full pass of a pair found different.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn drift(&self, pair: PairId) -> Result<Option<DriftReport>, EngineError> {
        let value = self.store.cursor(&name(pair)).await?;
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }
}

fn name(pair: PairId) -> String {
    format!("drift/{pair}")
}
