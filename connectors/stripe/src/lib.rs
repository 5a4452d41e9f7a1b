//! Stripe: its connector document, and what the document cannot say.
//!
//! That is three things: the key's prefix tells live from test, `Stripe-Should-Retry` overrides what an error means, and
//! `Idempotent-Replayed` tells a saved answer from a new one.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![warn(missing_docs)]

mod advice;
mod mode;

use bothways_connector_rest::{BadBaseUrl, RestConnector, Vendor};
use bothways_mapping::connector::ResolvedConnector;

/// Whether a key means real customers.
pub use mode::of as mode;

/// The connector document, compiled in.
pub const DOCUMENT: &str = include_str!("../connector.yaml");

/// Where [`DOCUMENT`] is in the repository, for findings about it.
pub const DOCUMENT_NAME: &str = "connectors/stripe/connector.yaml";

/// The connector for one Stripe account.
///
/// # Errors
/// If the base URL is none.
pub fn connector(resolved: ResolvedConnector) -> Result<RestConnector, BadBaseUrl> {
    let vendor = Vendor { mode: mode::of(&resolved.auth), refine: Some(advice::refine) };
    RestConnector::new(resolved, vendor)
}
