//! Pairs: catalog x connection x resource. Durable until retired, whatever mappings a process happens to have loaded (rule 37).

use crate::{PauseScope, Result};
use async_trait::async_trait;
use bothways_model::{AccountId, ConnectionName, Mode, PairId, Timestamp};
use serde::{Deserialize, Serialize};

/// What identifies a pair, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairSpec {
    /// The catalog.
    pub catalog: String,
    /// The connection.
    pub connection: ConnectionName,
    /// The resource with its parameters in name order: `customers`, `sobject?object=Contact`.
    pub resource: String,
    /// The mapping's present name; free to change.
    pub mapping: String,
}

/// A person's or `--approve`'s consent to a plan (rule 61).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The digest of the mapping's key, match, scope, directions and deletes that was approved (rule 62).
    pub digest: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What the digest is of, in the engine's own form: the mapping goes on by it while a change waits (rule 62).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<serde_json::Value>,
}

/// A stored pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Its number.
    pub id: PairId,
    /// Its identity and mapping name.
    pub spec: PairSpec,
    /// The account its links belong to, once known (rule 28).
    pub account: Option<AccountId>,
    /// That account's mode.
    pub mode: Mode,
    /// The approved plan; until then the pair observes.
    pub approval: Option<Approval>,
    /// When its first complete walk was matched; until then no create goes out (rule 27).
    pub walked_at: Option<Timestamp>,
    /// When its last full pass ended.
    pub passed_at: Option<Timestamp>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

/// What `status` shows of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Links by state, in the words of [`crate::LinkState::as_str`].
    pub links: std::collections::BTreeMap<String, u64>,
    /// Links with at least one conflict.
    pub conflicts: u64,
    /// Open or uncertain intents.
    pub intents: u64,
    /// Parked work, by reason.
    pub parked: std::collections::BTreeMap<String, u64>,
    /// Work that is not parked.
    pub pending: u64,
    /// Pending work that a limit holds back.
    pub held: u64,
    /// When the oldest pending work was first signalled.
    pub oldest: Option<Timestamp>,
}

/// Pairs and pauses.
#[async_trait]
pub trait Pairs: Send + Sync {
    /// Finds or makes the pair of `spec` (by catalog, connection and resource) and stores its mapping name.
    async fn ensure_pair(&self, spec: &PairSpec) -> Result<Pair>;
    /// All pairs that are not retired, by number.
    async fn pairs(&self) -> Result<Vec<Pair>>;
    /// Stores the account of a pair. Never changes one that is set to another account: `Refused` (rule 28).
    async fn set_account(&self, pair: PairId, account: &AccountId, mode: Mode) -> Result<()>;
    /// Approves a pair's plan.
    async fn approve(&self, pair: PairId, approval: &Approval) -> Result<()>;
    /// Notes that the first complete walk was matched.
    async fn set_walked(&self, pair: PairId, at: Timestamp) -> Result<()>;
    /// Notes that a full pass ended.
    async fn set_passed(&self, pair: PairId, at: Timestamp) -> Result<()>;
    /// What `status` shows.
    async fn counts(&self, pair: PairId) -> Result<PairCounts>;
    /// Everything that is paused, and why.
    async fn pauses(&self) -> Result<Vec<crate::Pause>>;
    /// Pauses a scope, replacing the reason if it is paused already.
    async fn pause(&self, pause: &crate::Pause) -> Result<()>;
    /// Resumes a scope. False if it was not paused.
    async fn resume(&self, scope: &PauseScope) -> Result<bool>;
}
