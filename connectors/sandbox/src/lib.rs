//! Stand-ins of the services, for the demo, the tests and the simulator: Stripe's customers, events and webhooks, and in
//! [`salesforce`] an organisation's accounts and contacts.
//!
//! [`Stripe`] is the service as a pure value: [`Stripe::handle`] answers a request, [`Stripe::due_deliveries`] hands out
//! the webhooks, and time is what the caller says it is. [`serve`] puts it on a loopback port and [`Sandbox`] is the
//! handle that a demo or a test keeps. Faults, the clock and what a person does in the dashboard can be steered from
//! Rust or, from another process, below `/_sandbox/`.
//!
//! The official client libraries drive it in `tests/sandbox`, so that it stays true to the real service.

mod account;
mod call;
mod config;
mod customer_fields;
#[cfg(feature = "serve")]
mod cut;
mod dashboard;
mod deliveries;
mod endpoints;
mod errors;
mod events;
mod executed;
mod fault_queue;
mod faults;
mod form;
mod idempotency;
mod ids;
mod invoice_fields;
mod list;
mod objects;
mod params;
mod rate;
mod request_log;
mod routes;
pub mod salesforce;
#[cfg(feature = "serve")]
mod salesforce_steering;
#[cfg(feature = "serve")]
mod sender;
#[cfg(feature = "serve")]
mod server;
#[cfg(feature = "serve")]
mod steering;
mod stripe;
mod transit;

pub use config::Config;
pub use dashboard::Refused;
pub use deliveries::Delivery;
pub use fault_queue::Fault;
pub use faults::Action;
pub use rate::RateLimit;
pub use request_log::{LoggedRequest, RequestCounts};
#[cfg(feature = "serve")]
pub use server::{Running, Sandbox, serve};
pub use stripe::Stripe;
pub use transit::Answer;
