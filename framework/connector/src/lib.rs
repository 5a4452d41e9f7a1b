//! The shared trait of all connectors.
//!
//! A connector turns an [`Operation`] into HTTP requests and answers into an [`Outcome`]. It does no I/O, is not async, keeps no
//! clock, never waits and never retries: it classifies, and the engine decides. That is what lets `plan` run without a write
//! client and lets the simulator run the real connector crates.
//!
//! A [`Connector`] is bound to one *connection*: its variables are resolved, its credentials inside.

mod collections;
mod date;
mod exchange;
mod feed;
mod limits;
mod operation;
mod resource;
mod tokens;
mod webhook;

#[cfg(feature = "testkit")]
pub mod conformance;

pub use collections::{Collections, Part, Place};
pub use date::{answer_date, retry_after, retry_after_in};
pub use exchange::{Call, EventPage, Exchange, Outcome, Page, PageCursor, Step, SyncToken};
pub use feed::{Feed, FeedQuery};
pub use limits::{CallRate, Limits, PathSegment, Throttling, Usage, UsedHeader, UsedPart};
pub use operation::{FieldWrites, Operation, StoredRequest, WriteKind};
pub use resource::{Resource, ResourceQuery};
pub use tokens::{Grant, Login, Renewal, Tokens};
pub use webhook::{Rejected, Unverified, Verified, Webhook};

use std::collections::BTreeMap;
use std::sync::Arc;

/// One connection to one service.
pub trait Connector: Send + Sync {
    /// The connector's name, as mappings write it before the `/`.
    fn name(&self) -> &str;

    /// An exchange that ends in [`Outcome::Account`], or `None` where the service has no such call: then the account is unknown
    /// (rule 28).
    fn account(&self) -> Option<Box<dyn Exchange>>;

    /// The resource a mapping names, bound to its parameters and to the paths it uses.
    ///
    /// # Errors
    /// Names what is unknown: the resource, or a parameter it needs. Checked mappings never see this.
    fn resource(&self, query: &ResourceQuery) -> Result<Arc<dyn Resource>, UnknownResource>;

    /// Receives pushed events; `None` where the document has none or its secret is not set.
    fn webhook(&self) -> Option<&dyn Webhook>;

    /// Pulls events; `None` where the service has no such feed.
    fn feed(&self) -> Option<&dyn Feed>;

    /// Where access tokens come from; `None` where credentials never change.
    fn tokens(&self) -> Option<Arc<dyn Tokens>> {
        None
    }

    /// Calls that carry several records; `None` where each record has a call of its own.
    fn collections(&self) -> Option<Arc<dyn Collections>> {
        None
    }

    /// What the HTTP port holds this connection to.
    fn limits(&self) -> &Limits;
}

/// Parameters that a mapping gives a resource (`remote.with`).
pub type Params = BTreeMap<String, String>;

/// A resource cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connector `{connector}` has no {what}")]
pub struct UnknownResource {
    /// The connector.
    pub connector: String,
    /// What it lacks, for example "resource `custmers`".
    pub what: String,
}
