//! OAuth: tokens by client credentials, by a signed assertion, by a person's consent, and by refresh tokens that are used once.

use super::call::Call;
use super::config::Config;
use super::jwt;
use super::reply::Reply;
use crate::ids::Ids;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What an access token stands for.
#[derive(Clone, Debug)]
struct Session {
    /// Ends so long after it was last used.
    expires: Timestamp,
    /// The consent it came from, if from one.
    grant: Option<u64>,
}

/// A consent on its way to the app.
#[derive(Clone, Debug)]
struct Code {
    redirect: String,
    /// What the verifier must hash to (PKCE).
    challenge: Option<String>,
    expires: Timestamp,
}

/// How long a code is good for.
const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Auth {
    sessions: BTreeMap<String, Session>,
    /// Refresh tokens that work, and the consent each came from.
    refresh: BTreeMap<String, u64>,
    /// Refresh tokens that were exchanged for another.
    used: BTreeMap<String, u64>,
    /// Codes of consents that were not exchanged for tokens yet.
    codes: BTreeMap<String, Code>,
    next_grant: u64,
    /// How many access tokens were handed out.
    pub(crate) issued: u64,
}

/// The organisation and the user that tokens name.
pub(crate) struct Identity<'a> {
    pub(crate) organization: &'a str,
    pub(crate) user: &'a str,
}

impl Auth {
    /// Whether the token is good; using it keeps it so.
    pub(crate) fn admits(&mut self, token: &str, config: &Config, now: Timestamp) -> bool {
        match self.sessions.get_mut(token) {
            Some(session) if now < session.expires => {
                session.expires = now + config.session_lifetime;
                true
            }
            _ => false,
        }
    }

    /// Ends all sessions, as a person can in the setup.
    pub(crate) fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    /// A person consents: a refresh token for the app.
    pub(crate) fn consent(&mut self, ids: &mut Ids) -> String {
        self.next_grant += 1;
        let token = ids.make("5Aep861", 60);
        self.refresh.insert(token.clone(), self.next_grant);
        token
    }

    /// Takes back every consent, and the sessions that came from one.
    pub(crate) fn revoke_all(&mut self) {
        self.refresh.clear();
        self.sessions.retain(|_, session| session.grant.is_none());
    }

    /// `POST /services/oauth2/token`.
    pub(crate) fn token(
        &mut self,
        call: &Call,
        config: &Config,
        identity: &Identity<'_>,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Reply {
        let form = |name: &str| call.form(name).unwrap_or_default();
        let granted = match form("grant_type").as_str() {
            "client_credentials" => self.client(call, config).map(|()| (None, None)),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                jwt::check(&form("assertion"), config, &call.instance, now).map(|()| (None, None))
            }
            "authorization_code" => self.client(call, config).and_then(|()| {
                let refresh = self.exchange(call, ids, now)?;
                Ok((Some(self.next_grant), Some(refresh)))
            }),
            "refresh_token" => self.client(call, config).and_then(|()| {
                let (grant, token) = self.refresh(&form("refresh_token"), config, ids)?;
                Ok((Some(grant), token))
            }),
            _ => Err(OauthError("unsupported_grant_type", "grant type not supported")),
        };
        match granted {
            Ok((grant, refresh)) => self.issue(call, config, identity, (grant, refresh), ids, now),
            Err(error) => error.reply(),
        }
    }

    /// `GET /services/oauth2/authorize`: the person consents at once, and is sent back to the app with a code.
    pub(crate) fn authorize(&mut self, call: &Call, config: &Config, ids: &mut Ids, now: Timestamp) -> Reply {
        let param = |name: &str| call.param(name).unwrap_or_default();
        if param("client_id") != config.client_id {
            return OauthError("invalid_client_id", "client identifier invalid").reply();
        }
        let redirect = param("redirect_uri");
        if param("response_type") != "code" || redirect.is_empty() {
            return OauthError("unsupported_response_type", "response type not supported").reply();
        }
        let code = ids.make("aPrx", 40);
        let challenge = call.param("code_challenge");
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (joint, state) = (if redirect.contains('?') { '&' } else { '?' }, escape(&param("state")));
        let location = format!("{redirect}{joint}code={}&state={state}", escape(&code));
        self.codes.insert(code, Code { redirect, challenge, expires: now + CODE_LIFETIME });
        Reply { status: 302, ..Reply::default() }.with_header("location", location)
    }

    /// The refresh token for a code, which is good once.
    fn exchange(&mut self, call: &Call, ids: &mut Ids, now: Timestamp) -> Result<String, OauthError> {
        let form = |name: &str| call.form(name).unwrap_or_default();
        let code = self.codes.remove(&form("code")).filter(|code| now < code.expires);
        let code = code.ok_or(OauthError("invalid_grant", "expired authorization code"))?;
        if code.redirect != form("redirect_uri") {
            return Err(OauthError("redirect_uri_mismatch", "redirect_uri must match configuration"));
        }
        let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(form("code_verifier")));
        if code.challenge.is_some_and(|challenge| challenge != verifier) {
            return Err(OauthError("invalid_grant", "invalid code verifier"));
        }
        Ok(self.consent(ids))
    }

    /// `POST /services/oauth2/revoke`.
    pub(crate) fn revoke(&mut self, token: &str) -> Reply {
        let grant = self.refresh.remove(token);
        if let Some(grant) = grant {
            self.sessions.retain(|_, session| session.grant != Some(grant));
        }
        if grant.is_none() && self.sessions.remove(token).is_none() {
            return OauthError("unsupported_token_type", "this token type is not supported").reply();
        }
        Reply { status: 200, ..Reply::default() }
    }

    fn issue(
        &mut self,
        call: &Call,
        config: &Config,
        identity: &Identity<'_>,
        (grant, refresh): (Option<u64>, Option<String>),
        ids: &mut Ids,
        now: Timestamp,
    ) -> Reply {
        let token =
            format!("{}!{}", &identity.organization.get(..15).unwrap_or_default(), ids.make("AQ", 80));
        self.sessions.insert(token.clone(), Session { expires: now + config.session_lifetime, grant });
        self.issued += 1;
        let instance = config.instance_url.as_deref().unwrap_or(&call.instance);
        let mut body = json!({
            "access_token": token,
            "signature": ids.make("", 43) + "=",
            "scope": "api refresh_token",
            "instance_url": instance,
            "id": format!("{instance}/id/{}/{}", identity.organization, identity.user),
            "token_type": "Bearer",
            "issued_at": now.timestamp_millis().to_string(),
        });
        if let (Some(refresh), Value::Object(body)) = (refresh, &mut body) {
            body.insert("refresh_token".into(), refresh.into());
        }
        Reply::ok(body)
    }

    /// The app's own key and secret, in the form or as Basic.
    fn client(&self, call: &Call, config: &Config) -> Result<(), OauthError> {
        let basic = call.header("authorization").and_then(crate::call::read_basic);
        let (id, secret) = basic.unwrap_or_else(|| {
            (call.form("client_id").unwrap_or_default(), call.form("client_secret").unwrap_or_default())
        });
        if id != config.client_id {
            return Err(OauthError("invalid_client_id", "client identifier invalid"));
        }
        if secret != config.client_secret {
            return Err(OauthError("invalid_client", "invalid client credentials"));
        }
        Ok(())
    }

    /// The consent of a refresh token and, where tokens rotate, the token that takes its place. One that was used before is
    /// a sign of theft: everything of its consent ends.
    fn refresh(
        &mut self,
        token: &str,
        config: &Config,
        ids: &mut Ids,
    ) -> Result<(u64, Option<String>), OauthError> {
        const EXPIRED: OauthError = OauthError("invalid_grant", "expired access/refresh token");
        if let Some(stolen) = self.used.get(token).copied() {
            self.refresh.retain(|_, grant| *grant != stolen);
            self.sessions.retain(|_, session| session.grant != Some(stolen));
            return Err(EXPIRED);
        }
        if !config.rotates_refresh_tokens {
            return self.refresh.get(token).map(|grant| (*grant, None)).ok_or(EXPIRED);
        }
        let grant = self.refresh.remove(token).ok_or(EXPIRED)?;
        self.used.insert(token.to_owned(), grant);
        let next = ids.make("5Aep861", 60);
        self.refresh.insert(next.clone(), grant);
        Ok((grant, Some(next)))
    }
}

/// A refusal of the token endpoint: its code and its description.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OauthError(pub(crate) &'static str, pub(crate) &'static str);

impl OauthError {
    fn reply(self) -> Reply {
        let body = json!({ "error": self.0, "error_description": self.1 });
        Reply { status: 400, ..Reply::ok(body) }
    }
}
