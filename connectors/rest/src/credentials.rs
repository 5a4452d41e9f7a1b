//! Credentials: added to each request as it is sent, never stored with it.
//!
//! OAuth tokens and session tokens are fetched by a call of their own, kept in memory and dropped when the service refuses one. There is no clock here,
//! so expiry is found out by that refusal, which every service has to give anyway.

use crate::{form, login};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bothways_mapping::connector::{Auth, Login};
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

/// Where tokens come from, and the one in use.
#[derive(Debug)]
pub(crate) struct TokenSource {
    grant: Grant,
    /// The value of the header that carries it.
    token: Mutex<Option<Secret>>,
}

/// How tokens are had.
#[derive(Debug)]
enum Grant {
    /// OAuth 2.0 client credentials.
    Client { url: String, client_id: String, client_secret: Secret, scope: Option<String> },
    /// A login call of the service's own, at this base URL.
    Login { base_url: String, login: Box<Login> },
}

impl Credentials {
    pub(crate) fn new(auth: &Auth, base_url: &str) -> Self {
        match auth {
            Auth::None => Self::None,
            Auth::Bearer(token) => Self::Header("authorization".into(), bearer(token.expose())),
            Auth::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
                Self::Header("authorization".into(), Secret::new(format!("Basic {pair}")))
            }
            Auth::Header { name, value } => Self::Header(name.to_ascii_lowercase(), value.clone()),
            Auth::Query { name, value } => Self::Query(name.clone(), value.clone()),
            Auth::Oauth2 { token_url, client_id, client_secret, scope } => {
                Self::Token(TokenSource::new(Grant::Client {
                    url: token_url.clone(),
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                    scope: scope.clone(),
                }))
            }
            Auth::Login(login) => {
                let base_url = base_url.to_owned();
                Self::Token(TokenSource::new(Grant::Login { base_url, login: login.clone() }))
            }
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
                    request.secret_headers.push((source.header().to_owned(), token));
                }
            }
        }
    }
}

/// The token of an OAuth answer (RFC 6749 5.1).
fn access_token(answer: &Response) -> Option<Secret> {
    let body: Json = serde_json::from_slice(&answer.body).ok()?;
    body.get("access_token").and_then(Json::as_str).filter(|t| !t.is_empty()).map(bearer)
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

impl TokenSource {
    fn new(grant: Grant) -> Self {
        Self { grant, token: Mutex::new(None) }
    }

    /// The header that carries the token, in lower case.
    fn header(&self) -> &str {
        match &self.grant {
            Grant::Client { .. } => "authorization",
            Grant::Login { login, .. } => &login.header,
        }
    }

    /// The header value in use.
    pub(crate) fn current(&self) -> Option<Secret> {
        self.lock().clone()
    }

    /// A request for a token. The client's credentials travel in the `Authorization` header, so the body holds no secret.
    pub(crate) fn request(&self) -> Request {
        let (url, client_id, client_secret, scope) = match &self.grant {
            Grant::Client { url, client_id, client_secret, scope } => (url, client_id, client_secret, scope),
            Grant::Login { base_url, login } => return login::request(base_url, login),
        };
        let mut request = Request::new(Method::Post, url.clone())
            .with_header("accept", "application/json")
            .with_header("content-type", form::CONTENT_TYPE);
        let mut body = String::from("grant_type=client_credentials");
        if let Some(scope) = scope {
            body.push_str("&scope=");
            crate::percent::push_value(&mut body, scope);
        }
        request.body = body.into_bytes();
        // RFC 6749 2.3.1: both halves are form-encoded before they are joined.
        let mut pair = String::new();
        crate::percent::push_value(&mut pair, client_id);
        pair.push(':');
        crate::percent::push_value(&mut pair, client_secret.expose());
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
        let token = match &self.grant {
            Grant::Client { .. } => access_token(answer),
            Grant::Login { login, .. } => login::token(login, answer),
        };
        match token {
            Some(token) => {
                *self.lock() = Some(token);
                Ok(())
            }
            None => Err(Failure::new(ErrorClass::Malformed, "the token answer holds no access token")),
        }
    }

    /// Drops a token that was refused, unless another call has replaced it meanwhile. Whether it was the latest.
    pub(crate) fn refuse(&self, used: &Secret) -> bool {
        let mut token = self.lock();
        let replaced = token.as_ref().is_some_and(|latest| latest != used);
        if !replaced {
            *token = None;
        }
        !replaced
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
