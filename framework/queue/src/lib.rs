//! The transport trait, the in-memory queue and the contract suite.
//!
//! The database is the record, the queue is the nudge: a message says "there is work", it never *is* the work. So a queue may lose,
//! repeat and reorder messages, and the engine's sweep makes every loss harmless (rule 37). What a transport must do is be quick,
//! recover by itself, never block a sender, and never grow without bound.

use async_trait::async_trait;

#[cfg(feature = "testkit")]
pub mod contract;
mod memory;

pub use memory::MemoryQueue;

/// "There is work for this topic."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// What about: the number of a pair, or another short word without spaces.
    pub topic: String,
}

/// A transport failed. The caller logs it and goes on: the sweep finds the work.
#[derive(Debug, thiserror::Error)]
#[error("queue: {0}")]
pub struct QueueError(pub String);

/// Sends nudges to whoever listens now.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends a nudge. Returns promptly whether anybody listens or not; after an error the transport repairs itself, later calls
    /// may succeed.
    async fn nudge(&self, nudge: Nudge) -> Result<(), QueueError>;

    /// Starts listening. Nudges sent before are not seen.
    async fn listen(&self) -> Result<Box<dyn Listener>, QueueError>;

    /// The address others reach this queue at, for the start banner.
    fn address(&self) -> String;
}

/// Receives nudges.
#[async_trait]
pub trait Listener: Send {
    /// The next nudge. Waits for ever if none comes; survives the loss and return of its peer by itself. Cancel-safe.
    async fn next(&mut self) -> Nudge;
}
