//! The sandbox Salesforce: one organisation with accounts and contacts behind the REST API and its OAuth endpoints.
//!
//! [`Salesforce`] is the service as a pure value, as [`crate::Stripe`] is: [`Salesforce::handle`] answers a request, and
//! time is what the caller says it is. What can go wrong is in [`Action`]; what a person does in the browser, from edits
//! to merges and an emptied recycle bin, is in the `dashboard_` methods.

mod access;
mod auth;
mod call;
mod collections;
mod conditional;
mod config;
mod custom_field;
mod dashboard;
mod duplicates;
mod errors;
mod faults;
mod jwt;
mod limits;
mod objects;
mod org;
mod query;
mod record_id;
mod records;
mod recycling;
mod replication;
mod reply;
mod routes;
mod rows;
mod soql;
mod store;
mod time;
mod values;
mod write;

pub use config::Config;
pub use custom_field::{CustomField, CustomKind};
pub use duplicates::DuplicateRule;
pub use faults::Action;
pub use org::Salesforce;
pub use record_id::{to_15, to_18};

/// Something that can go wrong at the sandbox Salesforce, and when.
pub type Fault = crate::fault_queue::Fault<Action>;
