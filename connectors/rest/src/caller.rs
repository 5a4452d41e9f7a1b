//! Reads of a vendor's crate, for what its document cannot say: with the connection's credentials, headers and errors.

use crate::answer;
use crate::conversation::Conversation;
use crate::core::Core;
use crate::percent;
use bothways_connector::{Exchange, Outcome};
use bothways_model::{Failure, Method, Request, Response};
use serde_json::Value as Json;
use std::sync::Arc;

/// Makes reads that the document of a connection does not have.
#[derive(Clone)]
pub struct Caller {
    core: Arc<Core>,
}

impl Caller {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core) }
    }

    /// A GET below the base URL. `path` goes there as it is; the values of `query` are encoded.
    pub fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        reader: impl FnOnce(Response) -> Outcome + Send + 'static,
    ) -> Box<dyn Exchange> {
        let mut url = format!("{}{path}", self.core.resolved.base_url);
        for (name, value) in query {
            percent::push_query(&mut url, name, value);
        }
        let mut request = Request::new(Method::Get, url);
        request.headers = self.core.plain_headers().to_vec();
        Conversation::start(&self.core, request, false, Box::new(reader))
    }

    /// The body of an answer.
    ///
    /// # Errors
    /// What the service answered instead, as its document classifies it; class `malformed` if it is no JSON.
    pub fn json(&self, response: &Response) -> Result<Json, Failure> {
        match response.is_success() {
            true => answer::some_json(response),
            false => Err(answer::failure(&self.core, response)),
        }
    }
}
