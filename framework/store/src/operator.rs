//! What people do: pauses, tokens, the audit log, history.

use crate::{HistoryFilter, HistoryRow, Result};
use async_trait::async_trait;
use bothways_model::{ConnectionName, LinkId, LocalId, PairId, RemoteId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// What is paused (rule 64).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseScope {
    /// Everything.
    All,
    /// One connection.
    Connection(ConnectionName),
    /// One pair.
    Pair(PairId),
    /// One link.
    Link(LinkId),
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// What.
    pub scope: PauseScope,
    /// Why.
    pub reason: String,
    /// Who; `engine` for what the engine paused itself.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
}

/// What an API token may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenScope {
    /// Look.
    Read,
    /// Edit records, resolve, replay, pause.
    Operate,
    /// Approve plans.
    Approve,
    /// Make and revoke tokens.
    Admin,
}

impl TokenScope {
    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenScope::Read => "read",
            TokenScope::Operate => "operate",
            TokenScope::Approve => "approve",
            TokenScope::Admin => "admin",
        }
    }

    /// Reads [`TokenScope::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Operate, Self::Approve, Self::Admin].into_iter().find(|s| s.as_str() == text)
    }
}

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiToken {
    /// SHA-256 of the secret, in hex.
    pub hash: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// One operator action (rule 68): append-only, no secrets, no record values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What, in a word: `approve`, `resolve`, `pause`, …
    pub action: String,
    /// On what, with digests before and after where there are any.
    pub detail: serde_json::Value,
}

/// What people do, and what they read.
#[async_trait]
pub trait Operator: Send + Sync {
    /// Adds an audit entry.
    async fn audit(&self, entry: &AuditEntry) -> Result<()>;
    /// Audit entries, newest first.
    async fn audits(&self, limit: usize) -> Result<Vec<AuditEntry>>;
    /// History, newest first, before number `before`.
    async fn history(
        &self,
        filter: &HistoryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>>;
    /// Stores a token.
    async fn add_token(&self, token: &ApiToken) -> Result<()>;
    /// All tokens.
    async fn tokens(&self) -> Result<Vec<ApiToken>>;
    /// Revokes a token by name. False if there is none that is not revoked.
    async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<bool>;
    /// The installation's own secret: what tells whether a value is still the one somebody saw, without keeping the value. Made once,
    /// when the database is set up.
    async fn secret(&self) -> Result<Secret>;
    /// Notes that a token was used.
    async fn touch_token(&self, hash: &str, at: Timestamp) -> Result<()>;
    /// Erases what is remembered of a row, a remote record, or both, beyond their ids (S28): values in history and in closed links,
    /// finished writes, match keys, parked work. `Refused`, and nothing is changed, while a live link has one of the ids: what is still
    /// in step is deleted on both sides first. A write whose outcome is not known stays until it is.
    async fn erase(
        &self,
        pair: PairId,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<crate::Erased>;
}
