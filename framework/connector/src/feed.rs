//! Events pulled.

use crate::{Exchange, PageCursor};
use bothways_model::Timestamp;

/// Which events.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedQuery {
    /// At or after this moment of the service's clock; the overlap of rule 52 is already taken off.
    pub since: Timestamp,
    /// Only these types; never empty.
    pub types: Vec<String>,
    /// Where to go on.
    pub page: Option<PageCursor>,
}

/// A feed of events.
pub trait Feed: Send + Sync {
    /// One page. Ends in [`crate::Outcome::Events`] or `Failed`; class `expired` means a full pass is needed (rule 53).
    fn start(&self, query: &FeedQuery) -> Box<dyn Exchange>;

    /// The event types that tell of changes to `resource`.
    fn types(&self, resource: &str) -> Vec<String>;
}
