//! Credentials that change while a connection runs: access tokens, and the refresh tokens behind them.
//!
//! A connector knows what to ask the token endpoint and what its answer means. Whoever runs exchanges sees to the rest: that one caller
//! at a time renews, over all processes, and that a token which replaces another one is stored before it is used (rule 44).

use bothways_model::{Failure, Request, Response, Secret, Timestamp};
use serde_json::{Value as Json, json};
use std::fmt;
use std::sync::Arc;

/// What a service gives a connection to prove itself with.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The token that calls carry.
    pub access: Secret,
    /// The token that the next grant is asked for with, where there is one.
    pub refresh: Option<Secret>,
}

impl Grant {
    /// As it is stored, once it is encrypted.
    pub fn to_text(&self) -> Secret {
        let refresh = self.refresh.as_ref().map(Secret::expose);
        Secret::new(json!({ "access": self.access.expose(), "refresh": refresh }).to_string())
    }

    /// Reads [`Grant::to_text`]; `None` if it is something else.
    pub fn from_text(text: &str) -> Option<Self> {
        let stored: Json = serde_json::from_str(text).ok()?;
        let secret = |name: &str| stored.get(name).and_then(Json::as_str).map(Secret::new);
        Some(Self { access: secret("access")?, refresh: secret("refresh") })
    }
}

/// The tokens of one connection.
pub trait Tokens: Send + Sync {
    /// The number of the grant in use; `None` if there is none.
    fn in_use(&self) -> Option<u64>;

    /// The first refresh token, which the operator supplied, where a renewal may take back the token it was asked for with: then each
    /// grant is stored before it is used. `None` where credentials that never change give every grant; those are not stored.
    fn first(&self) -> Option<Secret>;

    /// Asks for a grant. `kept` is the last stored one; `now` goes into what is signed.
    ///
    /// # Errors
    /// Class `auth` if the credentials cannot be used, such as a key that is none.
    fn request(&self, kept: Option<&Grant>, now: Timestamp) -> Result<Request, Failure>;

    /// Reads the answer. A refresh token that is not replaced stays.
    ///
    /// # Errors
    /// Class `auth` if the service refuses, with its code: `invalid_grant` (RFC 6749 5.2) says that a refresh token is of no use any
    /// more. `retry` or `throttle` if it has trouble, `malformed` if there is no token.
    fn read(&self, answer: &Response, kept: Option<&Grant>) -> Result<Grant, Failure>;

    /// Uses a grant from here on.
    fn install(&self, grant: &Grant, number: u64);

    /// What a person can do once the service takes none of the tokens any more: "set … anew".
    fn remedy(&self) -> String;

    /// Where a person lets this client in; `None` where nobody has to.
    fn login_url(&self, login: &Login) -> Option<String>;

    /// Asks for the first grant with the code that the person's browser brought.
    fn redeem(&self, login: &Login, code: &Secret) -> Request;
}

/// One attempt of a person to let this client in (RFC 6749 4.1, RFC 7636).
#[derive(Clone, Debug)]
pub struct Login {
    /// Where the service sends the person's browser to.
    pub redirect: String,
    /// What the browser must bring along, so that nobody else's answer is taken.
    pub state: String,
    /// What proves that whoever redeems the code is who asked for it.
    pub verifier: Secret,
}

/// What an exchange asks for: credentials newer than those that were refused.
#[derive(Clone)]
pub struct Renewal {
    /// The tokens.
    pub tokens: Arc<dyn Tokens>,
    /// The number of the grant that was refused; `None` if there was none.
    pub used: Option<u64>,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("used", &self.used).finish_non_exhaustive()
    }
}

impl PartialEq for Renewal {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tokens, &other.tokens) && self.used == other.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_grant_comes_back_and_is_never_printed() {
        for refresh in [None, Some(Secret::new("r\"1"))] {
            let grant = Grant { access: Secret::new("a-1"), refresh };
            assert_eq!(Grant::from_text(grant.to_text().expose()), Some(grant.clone()));
            assert!(!format!("{grant:?}").contains("a-1"), "{grant:?}");
        }
        for text in ["", "{}", "{\"access\": 1}", "null"] {
            assert_eq!(Grant::from_text(text), None, "{text}");
        }
    }
}
