//! HTTP: the records and operations API, webhooks, the web page.
//!
//! Two listeners: the main one is for people and programs of one's own and lets nobody in without a token; the hooks one is the only
//! port that is ever exposed and knows nothing but webhooks. Everything goes through the engine's handles; this crate reaches neither
//! database nor connectors. See `framework/ARCHITECTURE.md`.

mod access;
mod api;
mod app;
mod beside;
mod hooks;
mod live;
mod openapi;
mod page;
mod problem;
mod routes;
mod serve;
mod server;
mod settings;

pub use beside::{Beside, BesideColumn, BesideError, BesideKind, BesideRecord, Editable};
pub use server::{Metrics, Server};
pub use settings::Settings;
