//! What a read of a remote system showed.

use crate::{RemoteId, Timestamp};
use std::sync::Arc;

/// One remote record, as some answer showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The record's id.
    pub id: RemoteId,
    /// The whole record, already unwrapped from its envelope. Mappings read their fields from it.
    pub body: Arc<serde_json::Value>,
    /// True if the record says that it is deleted (`gone`). Tested before any field is read (rule 17).
    pub gone: bool,
    /// When the record was last modified, by the service's clock, where it says so.
    pub changed_at: Option<Timestamp>,
    /// The record's version, where it shows one: another one after each change. Opaque.
    pub version: Option<String>,
}

/// What an event says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventEffect {
    /// The record was created or updated.
    Upsert,
    /// The record was deleted. Proof only together with a GET (rule 31).
    Delete,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSubject {
    /// The resource, a name in the connector's document.
    pub resource: String,
    /// The record's id.
    pub id: RemoteId,
    /// What happened.
    pub effect: EventEffect,
    /// The record as the event carries it, if it does.
    pub object: Option<Observed>,
}

/// One event, pushed or pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The service's id, or a digest of the event: what deliveries are deduplicated by.
    pub id: String,
    /// Whether the service gave it: two events of equal content are two, so a digest tells them apart no further than that.
    pub has_id: bool,
    /// The service's word for what happened.
    pub kind: String,
    /// When, by the service's clock.
    pub at: Option<Timestamp>,
    /// What it is about; `None` for types that the document ignores or does not know.
    pub subject: Option<EventSubject>,
    /// It does not say what it is about as the document says it would: something may have changed, and nobody can tell what.
    pub unreadable: bool,
}
