//! Starts whatever reads a connection in bulk: feeds, polls and full passes.

use crate::Engine;
use bothways_model::ConnectionName;
use std::sync::Arc;

impl Engine {
    pub(crate) fn start_readers(self: &Arc<Self>, _connection: &ConnectionName) {}

    pub(crate) fn request_pass(&self, _catalog: &str) {}
}
