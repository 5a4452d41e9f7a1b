//! What can be typed for making an integration: say what a connector can do, write new documents, test them, record a service.

use clap::Args;

/// `describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The connector; one that is compiled in needs no documents
    pub(crate) connector: String,
    /// Only this resource
    pub(crate) resource: Option<String>,
}
