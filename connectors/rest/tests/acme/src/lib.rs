//! Acme: its connector document, and what the document cannot say: a 409 with `X-Acme-Locked` is about a lock, and no conflict.

use bothways_connector_rest::{BadBaseUrl, RestConnector, Vendor};
use bothways_mapping::connector::ResolvedConnector;
use bothways_model::{ErrorClass, Failure, Response};

/// The connector document, compiled in.
pub const DOCUMENT: &str = include_str!("../connector.yaml");

/// Where [`DOCUMENT`] is in the repository, for findings about it.
pub const DOCUMENT_NAME: &str = "connectors/acme/connector.yaml";

/// The connector for one Acme account.
///
/// # Errors
/// If the base URL is none.
pub fn connector(resolved: ResolvedConnector) -> Result<RestConnector, BadBaseUrl> {
    RestConnector::new(resolved, Vendor { refine: Some(refine), ..Vendor::default() })
}

/// Corrects a failure by the answer's headers. To classify is all that a connector does about errors; it never waits.
fn refine(answer: &Response, failure: &mut Failure) {
    if answer.status == 409 && answer.header("x-acme-locked").is_some() {
        failure.class = ErrorClass::Retry;
    }
}
