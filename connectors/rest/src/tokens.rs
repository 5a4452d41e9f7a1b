//! Tokens, of OAuth 2.0 or of a login of the service's own: what is asked of the token endpoint, what its answer means, and the token in use.
//!
//! Expiry is found out by a refused call, which every service has to give anyway.

use crate::{credentials, form, jwt, login, percent};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bothways_connector::{Grant, Login as PersonLogin, Tokens};
use bothways_mapping::connector::{ClientAuth, GrantKind, Login, Oauth2};
use bothways_model::{ConnectionName, ErrorClass, Failure, Method, Request, Response, Secret, Timestamp};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};

/// Where tokens come from, and the one in use.
#[derive(Debug)]
pub(crate) struct TokenSource {
    way: Way,
    /// The value of the header that carries the token, and the number of its grant.
    current: Mutex<Option<(u64, Secret)>>,
}

/// How tokens are had.
#[derive(Debug)]
enum Way {
    /// For this connection.
    Oauth2(ConnectionName, Oauth2),
    /// A login call of the service's own, at this base URL.
    Login(String, Login),
}

impl TokenSource {
    pub(crate) fn oauth2(connection: &ConnectionName, oauth2: Oauth2) -> Self {
        Self { way: Way::Oauth2(connection.clone(), oauth2), current: Mutex::new(None) }
    }

    pub(crate) fn login(base_url: String, login: Login) -> Self {
        Self { way: Way::Login(base_url, login), current: Mutex::new(None) }
    }

    /// The header that carries the token, in lower case.
    pub(crate) fn header(&self) -> &str {
        match &self.way {
            Way::Oauth2(..) => "authorization",
            Way::Login(_, login) => &login.header,
        }
    }

    /// What that header holds; `None` if there is no token yet.
    pub(crate) fn header_value(&self) -> Option<Secret> {
        self.lock().as_ref().map(|(_, value)| value.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(u64, Secret)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says who the client is, where the document wants it.
fn identify(oauth2: &Oauth2, request: &mut Request, fields: &mut Fields) {
    let Some(secret) = &oauth2.client_secret else {
        // A client without a secret names itself all the same (RFC 6749 3.2.1).
        return fields.push("client_id", &oauth2.client_id);
    };
    match oauth2.client_auth {
        ClientAuth::Body => {
            fields.push("client_id", &oauth2.client_id);
            fields.push("client_secret", secret.expose());
        }
        ClientAuth::Basic => {
            // RFC 6749 2.3.1: both halves are form-encoded before they are joined.
            let encoded = |text: &str| {
                let mut out = String::new();
                percent::push_value(&mut out, text);
                out
            };
            let basic = credentials::basic(&encoded(&oauth2.client_id), &encoded(secret.expose()));
            request.secret_headers.push(("authorization".into(), basic));
        }
    }
}

/// Asks the token endpoint.
fn ask(
    connection: &ConnectionName,
    oauth2: &Oauth2,
    kept: Option<&Grant>,
    now: Timestamp,
) -> Result<Request, Failure> {
    let mut request = post(oauth2);
    let mut fields = Fields::default();
    match &oauth2.grant {
        GrantKind::ClientCredentials => {
            fields.push("grant_type", "client_credentials");
            if let Some(scope) = &oauth2.scope {
                fields.push("scope", scope);
            }
            identify(oauth2, &mut request, &mut fields);
        }
        GrantKind::RefreshToken { first, .. } => {
            let newest = kept.and_then(|grant| grant.refresh.as_ref()).unwrap_or(first);
            fields.push("grant_type", "refresh_token");
            fields.push("refresh_token", newest.expose());
            identify(oauth2, &mut request, &mut fields);
        }
        GrantKind::Login { .. } => {
            let newest = kept.and_then(|grant| grant.refresh.as_ref()).ok_or_else(|| {
                let why = match kept {
                    None => "nobody has logged in",
                    Some(_) => "the login left nothing to renew its access token with",
                };
                Failure::new(ErrorClass::Auth, format!("{why}: {}", log_in(connection)))
            })?;
            fields.push("grant_type", "refresh_token");
            fields.push("refresh_token", newest.expose());
            identify(oauth2, &mut request, &mut fields);
        }
        GrantKind::Jwt { key, subject, audience } => {
            let claims = jwt::Claims { issuer: &oauth2.client_id, subject, audience };
            let assertion = jwt::sign(key, &claims, now).map_err(|why| {
                Failure::new(ErrorClass::Auth, format!("the private key cannot be used: {why}"))
            })?;
            fields.push("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
            fields.push("assertion", &assertion);
            if let Some(scope) = &oauth2.scope {
                fields.push("scope", scope);
            }
            if oauth2.client_secret.is_some() {
                identify(oauth2, &mut request, &mut fields);
            }
        }
    }
    request.secret_body = Some(Secret::new(fields.0));
    Ok(request)
}

/// The grant of an OAuth answer (RFC 6749 5.1).
fn granted(oauth2: &Oauth2, body: &Json, kept: Option<&Grant>) -> Option<Grant> {
    let secret =
        |name: &str| body.get(name).and_then(Json::as_str).filter(|t| !t.is_empty()).map(Secret::new);
    let first = match &oauth2.grant {
        GrantKind::RefreshToken { first, .. } => Some(first.clone()),
        GrantKind::ClientCredentials | GrantKind::Login { .. } | GrantKind::Jwt { .. } => None,
    };
    let kept = kept.and_then(|grant| grant.refresh.clone());
    Some(Grant { access: secret("access_token")?, refresh: secret("refresh_token").or(kept).or(first) })
}

/// Form fields of a token request.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn push(&mut self, name: &str, value: &str) {
        percent::push_field(&mut self.0, name, value);
    }
}

impl Tokens for TokenSource {
    fn in_use(&self) -> Option<u64> {
        self.lock().as_ref().map(|(number, _)| *number)
    }

    fn first(&self) -> Option<Secret> {
        match &self.way {
            Way::Oauth2(_, oauth2) => match &oauth2.grant {
                GrantKind::RefreshToken { first, .. } => Some(first.clone()),
                // Nothing is supplied: what a login brought is kept from then on.
                GrantKind::Login { .. } => Some(Secret::new("")),
                GrantKind::ClientCredentials | GrantKind::Jwt { .. } => None,
            },
            Way::Login(..) => None,
        }
    }

    fn request(&self, kept: Option<&Grant>, now: Timestamp) -> Result<Request, Failure> {
        match &self.way {
            Way::Oauth2(connection, oauth2) => ask(connection, oauth2, kept, now),
            Way::Login(base_url, login) => Ok(login::request(base_url, login)),
        }
    }

    fn read(&self, answer: &Response, kept: Option<&Grant>) -> Result<Grant, Failure> {
        let body: Option<Json> = serde_json::from_slice(&answer.body).ok();
        if !answer.is_success() {
            let class = match answer.status {
                429 => ErrorClass::Throttle,
                408 | 500..=599 => ErrorClass::Retry,
                400..=499 => ErrorClass::Auth,
                _ => ErrorClass::Malformed,
            };
            return Err(refusal(class, answer, body.as_ref()));
        }
        let grant = match &self.way {
            Way::Oauth2(_, oauth2) => body.as_ref().and_then(|body| granted(oauth2, body, kept)),
            Way::Login(_, login) => login::token(login, answer).map(|access| Grant { access, refresh: None }),
        };
        grant.ok_or_else(|| match body.as_ref().and_then(|body| body.get("error")) {
            // Some services say with a success that there is none.
            Some(Json::String(_) | Json::Object(_)) => refusal(ErrorClass::Auth, answer, body.as_ref()),
            _ => Failure::new(ErrorClass::Malformed, "the token answer holds no access token"),
        })
    }

    fn install(&self, grant: &Grant, number: u64) {
        let value = match &self.way {
            Way::Oauth2(..) => credentials::bearer(&grant.access),
            Way::Login(..) => grant.access.clone(),
        };
        *self.lock() = Some((number, value));
    }

    fn remedy(&self) -> String {
        const START: &str = "set the right credentials and start again";
        match &self.way {
            Way::Oauth2(connection, oauth2) => match &oauth2.grant {
                GrantKind::RefreshToken { env, .. } => {
                    format!("get a new refresh token from the service, set {env} to it and start again")
                }
                GrantKind::Login { .. } => log_in(connection),
                GrantKind::ClientCredentials | GrantKind::Jwt { .. } => START.into(),
            },
            Way::Login(..) => START.into(),
        }
    }

    fn login_url(&self, login: &PersonLogin) -> Option<String> {
        let Way::Oauth2(_, oauth2) = &self.way else { return None };
        let GrantKind::Login { authorize_url } = &oauth2.grant else { return None };
        let mut fields = Fields::default();
        fields.push("response_type", "code");
        fields.push("client_id", &oauth2.client_id);
        fields.push("redirect_uri", &login.redirect);
        fields.push("state", &login.state);
        fields.push("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(login.verifier.expose())));
        fields.push("code_challenge_method", "S256");
        if let Some(scope) = &oauth2.scope {
            fields.push("scope", scope);
        }
        let separator = if authorize_url.contains('?') { '&' } else { '?' };
        Some(format!("{authorize_url}{separator}{}", fields.0))
    }

    fn redeem(&self, login: &PersonLogin, code: &Secret) -> Request {
        let Way::Oauth2(_, oauth2) = &self.way else { return Request::new(Method::Post, String::new()) };
        let mut fields = Fields::default();
        fields.push("grant_type", "authorization_code");
        fields.push("code", code.expose());
        fields.push("redirect_uri", &login.redirect);
        fields.push("code_verifier", login.verifier.expose());
        let mut request = post(oauth2);
        identify(oauth2, &mut request, &mut fields);
        request.secret_body = Some(Secret::new(fields.0));
        request
    }
}

fn log_in(connection: &ConnectionName) -> String {
    format!("`bothways login {connection}`, then start again")
}

/// An empty request to the token endpoint.
fn post(oauth2: &Oauth2) -> Request {
    Request::new(Method::Post, oauth2.token_url.clone())
        .with_header("accept", "application/json")
        .with_header("content-type", form::CONTENT_TYPE)
}

/// An answer without a token, and the service's own word for why.
fn refusal(class: ErrorClass, answer: &Response, body: Option<&Json>) -> Failure {
    let mut failure = Failure::new(class, "the service gave no access token");
    failure.status = Some(answer.status);
    // One of a few words of RFC 6749 5.2; the description beside it may quote what was sent.
    let code = body.and_then(|body| body.get("error")).and_then(Json::as_str);
    failure.code = code.filter(|code| is_word(code)).map(str::to_owned);
    failure
}

fn is_word(code: &str) -> bool {
    code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
