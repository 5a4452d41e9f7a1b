//! The interleaving driver: two calls, or a call and another program's transaction, on two connections to one database, with their
//! statements in every order the database allows.
//!
//! Every order is run on a fresh copy of one prepared database. What the two calls answer and what is in the database afterwards must be
//! what one of the two serial orders gives, and the serial orders themselves must give what the in-memory store gives. A call that
//! finds the database busy must say so, must have had a reason, must have changed nothing, and is made again when the
//! other is over. With a patient store it waits instead, and must not go on before the other is over.

mod calls;
mod driver;
mod gate;
mod scene;
mod shown;

pub use calls::{Call, reading, writing};
pub use driver::{Orders, Rival, explore, explore_with_deaths};
pub use gate::{Gate, Point};
pub use scene::{Scene, prepare};
pub use shown::everything;

use crate::{Result, Store};
use async_trait::async_trait;
use futures::future::BoxFuture;
use std::sync::Arc;

/// A fresh copy of the prepared database, with two who write it through a store each, and another program.
#[async_trait]
pub trait Stage: Send + Sync {
    /// The store of one of the two.
    fn store(&self, actor: usize) -> &dyn Store;
    /// What was prepared.
    fn scene(&self) -> &Scene;
    /// Whether the two are in one process and take turns there.
    fn is_shared(&self) -> bool {
        false
    }
    /// Runs a call so that it passes `gate` before each of its steps.
    fn gated<'a>(
        &'a self,
        gate: Arc<Gate>,
        call: BoxFuture<'a, Result<String>>,
    ) -> BoxFuture<'a, Result<String>>;
    /// Runs a transaction of the other program, which passes `gate` before each of its statements.
    fn foreign<'a>(&'a self, gate: Arc<Gate>, name: &'a str) -> BoxFuture<'a, Result<String>>;
    /// All that is stored, as this store keeps it; times of the other program's clock left out.
    async fn stored(&self) -> String;
    /// Lets a moment pass.
    async fn pause(&self);
}

/// Makes stages.
#[async_trait]
pub trait Theatre: Send + Sync {
    /// One as it was prepared. The one before is not used any more.
    async fn stage(&self) -> Box<dyn Stage>;
}
