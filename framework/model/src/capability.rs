//! What a remote resource can do. Checks at load and the engine's choices read this; nothing probes.

use crate::SingularPath;
use serde::{Deserialize, Serialize};

/// How long a service keeps an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Milliseconds for which a key is sure to be remembered.
    pub keeps_ms: u64,
}

/// A lookup by natural key.
#[derive(Clone, Debug, PartialEq)]
pub struct FindCapability {
    /// The record path that is looked up.
    pub path: SingularPath,
    /// What the service folds when it compares: names of normalisers (`lower`, `trim`, …).
    pub folds: Vec<String>,
    /// Whether the lookup sees the service's own latest writes.
    pub consistent: bool,
}

/// What one resource can do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capabilities {
    /// All records can be listed.
    pub list: bool,
    /// One record can be read by id.
    pub get: bool,
    /// Lookups by natural key.
    pub find: Vec<FindCapability>,
    /// Records can be created.
    pub create: bool,
    /// Records can be updated.
    pub update: bool,
    /// Records can be deleted.
    pub delete: bool,
    /// A delete cannot be undone at the service.
    pub irreversible_delete: bool,
    /// Create-or-update by our own key.
    pub upsert: bool,
    /// A consistent list proves whether an uncertain create arrived.
    pub recover: bool,
    /// Changed records can be listed.
    pub since: bool,
    /// That list goes on by a token of the service's own, not by time.
    pub since_token: bool,
    /// The first such token stands for now: what there was before it is left to a full pass.
    pub since_starts_now: bool,
    /// Events can be pulled.
    pub feed: bool,
    /// Events can be pushed.
    pub webhook: bool,
    /// Records say when they were last modified.
    pub changed_at: bool,
    /// Updates answer with the record.
    pub update_returns_record: bool,
    /// An update carries the version of the record that it was decided on, and is refused once the record has changed.
    pub update_is_conditional: bool,
    /// An update carries more than what changed, as it was last read: what is changed between the read and the write would be lost.
    pub update_overwrites: bool,
    /// An update is taken only while the record is in some state.
    pub update_is_guarded: bool,
    /// Writes are idempotent under a key.
    pub idempotency: Option<Idempotency>,
    /// Overlap that a re-read of the incremental list needs, in milliseconds: resolution + declared lag (rule 52).
    pub since_overlap_ms: u64,
    /// Overlap that a re-read of the feed needs, in milliseconds.
    pub feed_overlap_ms: u64,
    /// How far back the feed reaches, in milliseconds.
    pub feed_retention_ms: Option<u64>,
    /// The per-call deadline, in milliseconds.
    pub timeout_ms: u64,
}

impl Capabilities {
    /// Whether an update must know the record as it is at the service, whatever the mapping trusts.
    pub fn update_needs_read(&self) -> bool {
        self.update_is_conditional || self.update_overwrites || self.update_is_guarded
    }

    /// Whether what changed since a moment can be listed.
    pub fn since_by_time(&self) -> bool {
        self.since && !self.since_token
    }

    /// Whether it can be proved that a create arrived whose answer was lost. `looked_up`: the paths that a mapping matches and stamps.
    pub fn proves_a_create<'p>(&self, looked_up: impl IntoIterator<Item = &'p SingularPath>) -> bool {
        let consistent = |path| self.find_on(path).is_some_and(|find| find.consistent);
        let by_our_key = self.upsert && !self.create;
        self.idempotency.is_some() || by_our_key || self.recover || looked_up.into_iter().any(consistent)
    }

    /// The lookup on `path`, if there is one.
    pub fn find_on(&self, path: &SingularPath) -> Option<&FindCapability> {
        self.find.iter().find(|f| f.path == *path)
    }
}
