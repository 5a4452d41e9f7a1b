//! Styles of API that are met in the wild, each as a small stand-in that is driven by a document alone through the shared suite.
//!
//! One file a style. A key of the document language is here because one of these needs it.

mod auth;
mod documents;
mod events;
mod examples;
#[path = "../standins/hubspot.rs"]
mod hubspot;
mod limits;
mod lists;
#[path = "../standins/quickbooks.rs"]
mod quickbooks;
mod records;
mod shelf;
#[path = "../standins/shopify.rs"]
mod shopify;
mod stage;
#[path = "../support/mod.rs"]
mod support;
#[path = "../standins/zendesk.rs"]
mod zendesk;
