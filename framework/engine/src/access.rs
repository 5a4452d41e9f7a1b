//! What a server needs beside records and operations: API tokens, readiness, the time.

use crate::{EngineError, Operations};
use bothways_model::Timestamp;
use bothways_store::{ApiToken, AuditEntry, LinkFilter, LinkState};

impl Operations {
    /// Now, by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.engine.ports.clock.now()
    }

    /// All API tokens, without their secrets.
    ///
    /// # Errors
    /// The store fails.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, EngineError> {
        Ok(self.engine.store.tokens().await?)
    }

    /// Stores an API token and says so in the audit log.
    ///
    /// # Errors
    /// The store fails.
    pub async fn add_token(&self, token: &ApiToken, by: &str) -> Result<(), EngineError> {
        self.engine.store.add_token(token).await?;
        self.audit(by, "token new", serde_json::json!({ "name": token.name, "scope": token.scope })).await
    }

    /// Revokes a token by name. False if there is none that is not revoked.
    ///
    /// # Errors
    /// The store fails.
    pub async fn revoke_token(&self, name: &str, by: &str) -> Result<bool, EngineError> {
        let was = self.engine.store.revoke_token(name, self.now()).await?;
        if was {
            self.audit(by, "token revoke", serde_json::json!({ "name": name })).await?;
        }
        Ok(was)
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// The store fails.
    pub async fn touch_token(&self, hash: &str) -> Result<(), EngineError> {
        Ok(self.engine.store.touch_token(hash, self.now()).await?)
    }

    /// What people did, newest first (rule 68).
    ///
    /// # Errors
    /// The store fails.
    pub async fn audits(&self, limit: usize) -> Result<Vec<AuditEntry>, EngineError> {
        Ok(self.engine.store.audits(limit.clamp(1, 1000)).await?)
    }

    /// Why this process cannot do all of its work, one sentence each; empty if it can. A connection that links need is missing or must
    /// not be used. The store failing is an error.
    ///
    /// # Errors
    /// The store fails.
    pub async fn unready(&self) -> Result<Vec<String>, EngineError> {
        let mut reasons = Vec::new();
        for stored in self.engine.store.pairs().await? {
            let name = &stored.spec.connection;
            let trouble = if self.engine.pairs.get(&stored.id).is_none() {
                format!(
                    "mapping `{}` is not loaded: its document or the variables of connection `{name}` are missing",
                    stored.spec.mapping
                )
            } else if let Some(why) = self.engine.blocked(name).await? {
                why
            } else {
                continue;
            };
            for state in LinkState::ALL.into_iter().filter(|s| s.is_live()) {
                let live = LinkFilter { pair: Some(stored.id), state: Some(state), ..LinkFilter::default() };
                if !self.engine.store.links(&live, None, 1).await?.is_empty() {
                    reasons.push(trouble);
                    break;
                }
            }
        }
        Ok(reasons)
    }
}
