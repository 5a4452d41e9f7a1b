//! Credentials: added to each request as it is sent, never stored with it.

use crate::tokens::TokenSource;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bothways_connector::Tokens as _;
use bothways_mapping::connector::{Auth, ResolvedConnector};
use bothways_model::{Request, Secret};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) enum Credentials {
    None,
    Header(String, Secret),
    Query(String, Secret),
    Token(Arc<TokenSource>),
}

impl Credentials {
    pub(crate) fn new(resolved: &ResolvedConnector) -> Self {
        match &resolved.auth {
            Auth::None => Self::None,
            Auth::Bearer(token) => Self::Header("authorization".into(), bearer(token)),
            Auth::Basic { user, password } => {
                Self::Header("authorization".into(), basic(user.expose(), password.expose()))
            }
            Auth::Header { name, value } => Self::Header(name.to_ascii_lowercase(), value.clone()),
            Auth::Query { name, value } => Self::Query(name.clone(), value.clone()),
            Auth::Oauth2(oauth2) => {
                Self::Token(Arc::new(TokenSource::oauth2(&resolved.connection, (**oauth2).clone())))
            }
            Auth::Login(login) => {
                Self::Token(Arc::new(TokenSource::login(resolved.base_url.clone(), (**login).clone())))
            }
        }
    }

    /// The source of tokens, where credentials are tokens.
    pub(crate) fn tokens(&self) -> Option<&Arc<TokenSource>> {
        if let Self::Token(source) = self { Some(source) } else { None }
    }

    /// The query parameter that holds them, where one does.
    pub(crate) fn parameter(&self) -> Option<&str> {
        if let Self::Query(name, _) = self { Some(name) } else { None }
    }

    /// The number of the grant that a request sent now carries; `None` where there is none, or where credentials are no tokens.
    pub(crate) fn in_use(&self) -> Option<u64> {
        self.tokens().and_then(|tokens| tokens.in_use())
    }

    pub(crate) fn authorise(&self, request: &mut Request) {
        match self {
            Self::None => {}
            Self::Header(name, value) => request.secret_headers.push((name.clone(), value.clone())),
            Self::Query(name, value) => request.secret_query.push((name.clone(), value.clone())),
            Self::Token(source) => {
                if let Some(token) = source.header_value() {
                    request.secret_headers.push((source.header().to_owned(), token));
                }
            }
        }
    }
}

/// The value of an `Authorization` header with a token.
pub(crate) fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

/// The value of an `Authorization` header of HTTP Basic.
pub(crate) fn basic(user: &str, password: &str) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}
