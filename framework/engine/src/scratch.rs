//! Where plans keep what they have to remember while they are made.

use crate::EngineError;
use async_trait::async_trait;
use bothways_store::{Keys, MemoryStore};
use std::sync::Arc;

/// An empty table of match keys, of one plan alone.
pub struct Scratch {
    /// The table.
    pub keys: Arc<dyn Keys>,
    /// Throws it away when it is dropped.
    pub guard: Box<dyn Send + Sync>,
}

/// Makes such tables.
#[async_trait]
pub trait Scratches: Send + Sync {
    /// A new one.
    async fn scratch(&self) -> Result<Scratch, EngineError>;
}

/// In memory, which grows with the plan: for tests and small catalogs. The program puts them into files.
pub(crate) struct InMemory;

#[async_trait]
impl Scratches for InMemory {
    async fn scratch(&self) -> Result<Scratch, EngineError> {
        Ok(Scratch { keys: Arc::new(MemoryStore::new([])), guard: Box::new(()) })
    }
}
