//! A connector from a connector document alone: a new REST integration needs no Rust.
//!
//! The document, checked and resolved for one connection, says which calls there are and how answers look; this crate turns
//! operations into requests and answers into outcomes. It does no I/O, has no clock, never waits and never retries. A vendor's crate embeds its document and adds, through [`Vendor`], only what data cannot say.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![warn(missing_docs)]

mod account;
mod answer;
mod caller;
mod conversation;
mod core;
mod credentials;
mod event;
mod feed;
mod form;
mod jwt;
mod limits;
mod list;
mod login;
mod lookup;
mod paging;
mod percent;
mod place;
mod request;
mod resource;
mod signature;
mod tokens;
mod webhook;
mod write;

pub use crate::caller::Caller;
pub use crate::core::{BadBaseUrl, Vendor};

use crate::core::Core;
use bothways_connector::{
    Connector, Exchange, Feed, Limits, Params, Resource, ResourceQuery, Tokens, UnknownResource, Webhook,
};
use bothways_mapping::connector::ResolvedConnector;
use feed::RestFeed;
use resource::RestResource;
use std::sync::Arc;
use webhook::RestWebhook;

/// One connection, as its document says.
pub struct RestConnector {
    core: Arc<Core>,
    webhook: Option<RestWebhook>,
    feed: Option<RestFeed>,
}

impl RestConnector {
    /// A connector for a resolved document.
    ///
    /// # Errors
    /// If the base URL is none.
    pub fn new(resolved: ResolvedConnector, vendor: Vendor) -> Result<Self, BadBaseUrl> {
        let core = Arc::new(Core::new(resolved, vendor)?);
        Ok(Self { webhook: RestWebhook::new(&core), feed: RestFeed::new(&core), core })
    }

    /// Makes reads that the document does not have, for a vendor's crate.
    pub fn caller(&self) -> Caller {
        Caller::new(&self.core)
    }

    fn unknown(&self, what: String) -> UnknownResource {
        UnknownResource { connector: self.core.spec().name.clone(), what }
    }

    fn check_params(&self, needed: &[String], given: &Params, resource: &str) -> Result<(), UnknownResource> {
        if let Some(missing) = needed.iter().find(|name| !given.contains_key(*name)) {
            return Err(self.unknown(format!("resource `{resource}` without its parameter `{missing}`")));
        }
        match given.keys().find(|name| !needed.contains(name)) {
            Some(unknown) => Err(self.unknown(format!("parameter `{unknown}` for resource `{resource}`"))),
            None => Ok(()),
        }
    }
}

impl Connector for RestConnector {
    fn name(&self) -> &str {
        &self.core.spec().name
    }

    fn account(&self) -> Option<Box<dyn Exchange>> {
        account::start(&self.core)
    }

    fn resource(&self, query: &ResourceQuery) -> Result<Arc<dyn Resource>, UnknownResource> {
        let resources = &self.core.spec().resources;
        let spec =
            resources.get(&query.name).ok_or_else(|| self.unknown(format!("resource `{}`", query.name)))?;
        self.check_params(&spec.params, &query.params, &query.name)?;
        Ok(Arc::new(RestResource::new(&self.core, spec, query)))
    }

    fn webhook(&self) -> Option<&dyn Webhook> {
        self.webhook.as_ref().map(|webhook| webhook as &dyn Webhook)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.feed.as_ref().map(|feed| feed as &dyn Feed)
    }

    fn tokens(&self) -> Option<Arc<dyn Tokens>> {
        self.core.credentials.tokens().map(|tokens| Arc::clone(tokens) as Arc<dyn Tokens>)
    }

    fn limits(&self) -> &Limits {
        &self.core.limits
    }
}
