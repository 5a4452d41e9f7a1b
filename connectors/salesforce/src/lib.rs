//! Salesforce: its connector document, and what the document cannot say.
//!
//! That is: names are checked before they stand in a query; ids of 15 characters are those of 18; a record that is not there has perhaps
//! been deleted or merged, which a query of the recycle bin tells; deletes that the bin no longer shows are in a log with rules of its
//! own; some errors mean more than their code; many records, and many lookups, fit into one call; and the organisation says whether it is for tests.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![warn(missing_docs)]

mod collections;
mod deletes;
mod errors;
mod finds;
mod ids;
mod names;
mod organization;
mod sobject;

use bothways_connector::{
    Collections, Connector, Exchange, Feed, Limits, Resource, ResourceQuery, Tokens, UnknownResource, Webhook,
};
use bothways_connector_rest::{BadBaseUrl, Caller, RestConnector, Vendor};
use bothways_mapping::connector::ResolvedConnector;
use bothways_model::Mode;
use collections::Together;
use std::sync::Arc;

/// Whether an address means real customers.
pub use organization::mode;

/// The connector document, compiled in.
pub const DOCUMENT: &str = include_str!("../connector.yaml");

/// Where [`DOCUMENT`] is in the repository, for findings about it.
pub const DOCUMENT_NAME: &str = "connectors/salesforce/connector.yaml";

/// The object of the resource that has no parameter.
const ACCOUNT: &str = "Account";

/// One organisation.
pub struct Salesforce {
    rest: RestConnector,
    caller: Caller,
    together: Arc<Together>,
    /// What the address tells.
    mode: Mode,
}

/// The connector for one organisation.
///
/// # Errors
/// If the address is none.
pub fn connector(resolved: ResolvedConnector) -> Result<Salesforce, BadBaseUrl> {
    let mode = mode(&resolved.base_url);
    let together = Arc::new(Together::new(&resolved.base_url));
    let rest = RestConnector::new(resolved, Vendor { mode, refine: Some(errors::refine) })?;
    Ok(Salesforce { caller: rest.caller(), rest, together, mode })
}

impl Connector for Salesforce {
    fn name(&self) -> &str {
        self.rest.name()
    }

    fn account(&self) -> Option<Box<dyn Exchange>> {
        Some(organization::ask(&self.caller, self.mode))
    }

    fn resource(&self, query: &ResourceQuery) -> Result<Arc<dyn Resource>, UnknownResource> {
        let refuse = |what| UnknownResource { connector: self.name().to_owned(), what };
        names::check(query).map_err(refuse)?;
        let inner = self.rest.resource(query)?;
        let object = query.params.get("object").map_or(ACCOUNT, String::as_str).to_owned();
        Ok(Arc::new(sobject::SObject::new(inner, self.caller.clone(), object)))
    }

    fn webhook(&self) -> Option<&dyn Webhook> {
        self.rest.webhook()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.rest.feed()
    }

    fn tokens(&self) -> Option<Arc<dyn Tokens>> {
        self.rest.tokens()
    }

    fn collections(&self) -> Option<Arc<dyn Collections>> {
        Some(self.together.clone())
    }

    fn limits(&self) -> &Limits {
        self.rest.limits()
    }
}
