//! The engine: notices, decides, carries out.
//!
//! Reconciles state instead of replaying events: every signal says only "look at this record"; a look sees both sides as they are
//! now, compares each with what was last known of it and writes the difference. See `framework/ARCHITECTURE.md`.
//!
//! Time, tasks, randomness and HTTP are reached through [`Ports`] only; store and queue through their own traits.

mod apply;
mod calls;
mod commits;
mod connections;
mod create;
pub mod decide;
mod delete;
mod engine;
mod error;
mod explain;
mod flap;
mod look;
mod operations;
mod pairs;
mod pauses;
mod ports;
mod push;
mod read;
mod readers;
mod records;
mod retry;
mod settings;
mod uncertain;
mod work;

pub use connections::ConnectionState;
pub use engine::Engine;
pub use error::EngineError;
pub use explain::{ExplainedField, ExplainedIntent, Explanation, show_value};
pub use operations::{ConflictView, Item, KeepText, Operations, PairStatus, Resolution};
pub use pairs::{Loaded, PairRuntime, spec_of};
pub use ports::{Clock, Http, Ports, Purpose, Random, SendError, Tasks};
pub use records::{RecordLink, Records};
pub use retry::RetryPolicy;
pub use settings::Settings;
