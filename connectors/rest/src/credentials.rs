//! Credentials: added to each request as it is sent, never stored with it.
//!
//! OAuth tokens are fetched by a call of their own, kept in memory and dropped when the service refuses one. There is no clock here,
//! so expiry is found out by that refusal, which every service has to give anyway.

use crate::form;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bothways_mapping::connector::Auth;
use bothways_model::{ErrorClass, Failure, Method, Request, Response, Secret};
use serde_json::Value as Json;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(crate) enum Credentials {
    None,
    Header(String, Secret),
    Query(String, Secret),
    Token(TokenSource),
}

/// Where bearer tokens come from, and the one in use.
#[derive(Debug)]
pub(crate) struct TokenSource {
    url: String,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    token: Mutex<Option<Secret>>,
}

impl Credentials {
    pub(crate) fn new(auth: &Auth) -> Self {
        match auth {
            Auth::None => Self::None,
            Auth::Bearer(token) => Self::Header("authorization".into(), bearer(token.expose())),
            Auth::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
                Self::Header("authorization".into(), Secret::new(format!("Basic {pair}")))
            }
            Auth::Header { name, value } => Self::Header(name.to_ascii_lowercase(), value.clone()),
            Auth::Query { name, value } => Self::Query(name.clone(), value.clone()),
            Auth::Oauth2 { token_url, client_id, client_secret, scope } => Self::Token(TokenSource {
                url: token_url.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
                scope: scope.clone(),
                token: Mutex::new(None),
            }),
        }
    }

    /// The source of tokens, where credentials are tokens.
    pub(crate) fn tokens(&self) -> Option<&TokenSource> {
        if let Self::Token(source) = self { Some(source) } else { None }
    }

    pub(crate) fn authorise(&self, request: &mut Request) {
        match self {
            Self::None => {}
            Self::Header(name, value) => request.secret_headers.push((name.clone(), value.clone())),
            Self::Query(name, value) => request.secret_query.push((name.clone(), value.clone())),
            Self::Token(source) => {
                if let Some(token) = source.current() {
                    request.secret_headers.push(("authorization".into(), token));
                }
            }
        }
    }
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

impl TokenSource {
    /// The header value in use.
    pub(crate) fn current(&self) -> Option<Secret> {
        self.lock().clone()
    }

    /// A request for a token. The client's credentials travel in the `Authorization` header, so the body holds no secret.
    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(Method::Post, self.url.clone())
            .with_header("accept", "application/json")
            .with_header("content-type", form::CONTENT_TYPE);
        let mut body = String::from("grant_type=client_credentials");
        if let Some(scope) = &self.scope {
            body.push_str("&scope=");
            crate::percent::push_value(&mut body, scope);
        }
        request.body = body.into_bytes();
        // RFC 6749 2.3.1: both halves are form-encoded before they are joined.
        let mut pair = String::new();
        crate::percent::push_value(&mut pair, &self.client_id);
        pair.push(':');
        crate::percent::push_value(&mut pair, self.client_secret.expose());
        let basic = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
        request.secret_headers.push(("authorization".into(), basic));
        request
    }

    /// Keeps the token of an answer to [`TokenSource::request`].
    ///
    /// # Errors
    /// Class `auth` if the service refuses the client, `retry` or `throttle` if it has trouble, `malformed` if there is no token.
    pub(crate) fn accept(&self, answer: &Response) -> Result<(), Failure> {
        if !answer.is_success() {
            let class = match answer.status {
                429 => ErrorClass::Throttle,
                408 | 500..=599 => ErrorClass::Retry,
                400..=499 => ErrorClass::Auth,
                _ => ErrorClass::Malformed,
            };
            let mut failure = Failure::new(class, "the service gave no access token");
            failure.status = Some(answer.status);
            return Err(failure);
        }
        let body: Option<Json> = serde_json::from_slice(&answer.body).ok();
        let token = body.as_ref().and_then(|b| b.get("access_token")).and_then(Json::as_str);
        match token.filter(|t| !t.is_empty()) {
            Some(token) => {
                *self.lock() = Some(bearer(token));
                Ok(())
            }
            None => Err(Failure::new(ErrorClass::Malformed, "the token answer holds no access token")),
        }
    }

    /// Drops a token that was refused, unless another call has replaced it meanwhile.
    pub(crate) fn refuse(&self, used: &Secret) {
        let mut token = self.lock();
        if token.as_ref() == Some(used) {
            *token = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
