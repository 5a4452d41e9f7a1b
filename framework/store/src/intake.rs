//! Intake: durable acceptance of what the outside tells us, and how far each feed, poll and walk has come.

use crate::{KeyWrite, PassMark, Result, Signal};
use async_trait::async_trait;
use bothways_model::{ConnectionName, EventEffect, RemoteId, Timestamp};
use serde::{Deserialize, Serialize};

/// One event of a verified delivery, with what it signals.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The connection.
    pub connection: ConnectionName,
    /// The event's id, or its digest.
    pub event: String,
    /// What it tells of, if that could be read.
    pub about: Option<About>,
    /// What it signals; empty for types nobody maps, and where it shows nothing new.
    pub signals: Vec<Signal>,
}

/// What an event tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The resource, a name in the connector's document.
    pub resource: String,
    /// The record.
    pub record: RemoteId,
    /// What happened to it.
    pub effect: EventEffect,
}

/// An event that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenEvent {
    /// Its id, or its digest.
    pub event: String,
    /// When it was taken in.
    pub at: Timestamp,
    /// What it told.
    pub effect: EventEffect,
    /// Whether it had a record looked at. One that shows what is known already does not: most often the echo of our own write.
    pub signalled: bool,
}

/// Where a feed, a poll or a walk stands: the name says which, the value is the caller's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// For example `feed/stripe`, `poll/3`, `pass/3`.
    pub name: String,
    /// Its value.
    pub value: serde_json::Value,
}

/// A page of a feed, a poll or a walk: its effects and its cursor commit together (rule 52).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageCommit {
    /// Signals.
    pub signals: Vec<Signal>,
    /// The full pass that they come from, if it is one.
    pub pass: Option<PassMark>,
    /// Match keys.
    pub keys: Vec<KeyWrite>,
    /// Event ids of a feed's page, for skipping what a webhook brought already.
    pub events: Vec<(ConnectionName, String)>,
    /// The cursor.
    pub cursor: Option<Cursor>,
}

/// Durable intake.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Takes deliveries in, all in one transaction: inserts (connection, event id) if absent and, for new ones, their signals.
    /// Says of each whether it was new (rules 43, 48, 49).
    async fn intake(&self, now: Timestamp, deliveries: &[Delivery]) -> Result<Vec<bool>>;

    /// The last `limit` events about a record that are still remembered, newest first (rule 66).
    async fn events_of(
        &self,
        connection: &ConnectionName,
        resource: &str,
        record: &RemoteId,
        limit: usize,
    ) -> Result<Vec<TakenEvent>>;

    /// Commits a page.
    async fn commit_page(&self, now: Timestamp, page: &PageCommit) -> Result<()>;

    /// A cursor's value.
    async fn cursor(&self, name: &str) -> Result<Option<serde_json::Value>>;

    /// Removes a cursor.
    async fn drop_cursor(&self, name: &str) -> Result<()>;
}
