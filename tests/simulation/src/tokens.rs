//! Refresh tokens that the service replaces each time they are used: one process at a time asks for another, and what it gets is stored
//! before it is used (rule 44).

use bothways_model::{Request, Response};
use serde_json::Value as Json;

/// What a process has been granted and has not stored.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    unstored: Option<String>,
}

impl Tokens {
    /// An answer of the token endpoint has arrived. Whether it replaced the refresh token.
    pub(crate) fn note(&mut self, answer: &Response) -> bool {
        let body: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let replaced = body["refresh_token"].is_string();
        if replaced {
            self.unstored = body["access_token"].as_str().map(str::to_owned);
        }
        replaced
    }

    /// What was granted is stored.
    pub(crate) fn are_stored(&mut self) {
        self.unstored = None;
    }

    /// Whether a death now would lose a refresh token.
    pub(crate) fn is_one_unstored(&self) -> bool {
        self.unstored.is_some()
    }

    /// Why this request must not go out, if it must not.
    pub(crate) fn broken_by(&self, request: &Request) -> Option<&'static str> {
        let new = self.unstored.as_ref()?;
        let uses = request.secret_headers.iter().any(|(_, secret)| secret.expose().contains(new.as_str()));
        uses.then_some("a new access token was used before it was stored")
    }
}

/// Whether a request asks for a token.
pub(crate) fn is_renewal(request: &Request) -> bool {
    request.url.ends_with("/services/oauth2/token")
}
