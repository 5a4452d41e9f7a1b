//! How much of their day's calls the connections have used, for people (rule 47).
//!
//! The HTTP port counts; a working engine keeps what it says in the database, because `bothways status` is another process.

use crate::{Engine, EngineError, Quota};
use bothways_model::{ConnectionName, Timestamp};
use bothways_store::{Cursor, PageCommit};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A quota as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    at: Timestamp,
    #[serde(flatten)]
    quota: Quota,
}

/// The cursor that holds it.
fn name(connection: &ConnectionName) -> String {
    format!("quota/{connection}")
}

impl Engine {
    /// Keeps what changed by a hundredth of a day's calls since it was last kept.
    pub(crate) async fn keep_quotas(
        &self,
        kept: &mut BTreeMap<ConnectionName, Quota>,
    ) -> Result<(), EngineError> {
        for connection in self.connections.names() {
            let Some(quota) = self.ports.http.quota(connection) else { continue };
            let known = kept.get(connection);
            let same = |known: &&Quota| {
                known.limit == quota.limit && known.used.abs_diff(quota.used) * 100 < quota.limit
            };
            if known.filter(same).is_some() {
                continue;
            }
            let at = self.ports.clock.now();
            let value = serde_json::to_value(Kept { at, quota }).unwrap_or_default();
            let cursor = Some(Cursor { name: name(connection), value });
            self.store.commit_page(at, &PageCommit { cursor, ..PageCommit::default() }).await?;
            kept.insert(connection.clone(), quota);
        }
        Ok(())
    }

    /// How much of its day's calls a connection has used: as this process knows, else as an engine that worked within the last day did.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn quota(&self, connection: &ConnectionName) -> Result<Option<Quota>, EngineError> {
        let here = self.ports.http.quota(connection);
        let stored = self.store.cursor(&name(connection)).await?;
        let kept = stored.and_then(|value| serde_json::from_value::<Kept>(value).ok());
        let recent = kept.filter(|kept| self.ports.clock.now() - kept.at < TimeDelta::days(1));
        // A process that has just begun has counted nothing: whoever knows of more is right.
        Ok(here.into_iter().chain(recent.map(|kept| kept.quota)).max_by_key(|quota| quota.used))
    }
}
