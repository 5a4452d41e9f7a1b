//! Page sessions: a cookie that no script can read, and a token that every form must carry. Sessions live in memory only; after a
//! restart one logs in again with the address that is printed.

use crate::settings::Settings;
use axum::http::{HeaderMap, HeaderValue, header};
use bothways_engine::stored::TokenScope;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How long a session lasts without use.
const SESSION: TimeDelta = TimeDelta::hours(12);
/// How long a printed login address may be used, once.
const LOGIN: TimeDelta = TimeDelta::hours(24);
/// Sessions at once; beyond that the one unused longest ends.
const SESSIONS: usize = 1000;

/// One session.
#[derive(Clone)]
pub(crate) struct Session {
    /// What the audit log calls whoever it is.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) scope: TokenScope,
    /// The API token behind it, by hash: when that ends, this ends. `None` for the address printed at start.
    pub(crate) token: Option<String>,
    /// What their forms must carry.
    pub(crate) csrf: String,
    used_at: Timestamp,
}

/// All sessions and unused login addresses. Both are kept by hash, so that nothing that is compared is secret.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    sessions: BTreeMap<String, Session>,
    logins: BTreeMap<String, Timestamp>,
}

impl Sessions {
    /// Makes a login secret that works once.
    pub(crate) fn invite(&self, now: Timestamp) -> String {
        let secret = random();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.logins.retain(|_, made| now - *made < LOGIN);
        kept.logins.insert(hash(&secret), now);
        secret
    }

    /// Uses a login secret up. True if it was good.
    pub(crate) fn accept(&self, secret: &str, now: Timestamp) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.logins.remove(&hash(secret)).is_some_and(|made| now - made < LOGIN)
    }

    /// Starts a session and returns the cookie's value.
    pub(crate) fn start(
        &self,
        name: &str,
        scope: TokenScope,
        token: Option<String>,
        now: Timestamp,
    ) -> (String, Session) {
        let secret = random();
        let session = Session { name: name.to_owned(), scope, token, csrf: random(), used_at: now };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.sessions.retain(|_, session| now - session.used_at < SESSION);
        if kept.sessions.len() >= SESSIONS {
            let oldest = kept.sessions.iter().min_by_key(|(_, s)| s.used_at).map(|(key, _)| key.clone());
            oldest.and_then(|key| kept.sessions.remove(&key));
        }
        kept.sessions.insert(hash(&secret), session.clone());
        (secret, session)
    }

    /// The session of a cookie's value.
    pub(crate) fn find(&self, secret: &str, now: Timestamp) -> Option<Session> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = kept.sessions.get_mut(&hash(secret)).filter(|s| now - s.used_at < SESSION)?;
        session.used_at = now;
        Some(session.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.remove(&hash(secret));
    }
}

/// The cookie's name. It holds the port, because browsers share cookies between all ports of a host.
pub(crate) fn cookie_name(settings: &Settings) -> String {
    format!("bothways_{}", settings.listen.port())
}

/// The session cookie of a request.
pub(crate) fn cookie<'a>(settings: &Settings, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = cookie_name(settings);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// The header that sets the session cookie.
pub(crate) fn set_cookie(settings: &Settings, secret: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{}={secret}; {}", cookie_name(settings), attributes(settings))).ok()
}

/// The header that removes it.
pub(crate) fn clear_cookie(settings: &Settings) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{}=; Max-Age=0; {}", cookie_name(settings), attributes(settings))).ok()
}

/// `Secure` only where the page is reached by TLS: not every browser takes such a cookie from plain loopback.
fn attributes(settings: &Settings) -> &'static str {
    if settings.is_https() {
        "Path=/; HttpOnly; SameSite=Strict; Secure"
    } else {
        "Path=/; HttpOnly; SameSite=Strict"
    }
}

/// 256 random bits as hex, from the operating system.
fn random() -> String {
    let mut bytes = [0u8; 32];
    // Without randomness there is no safe session; the operating system has it from the first moment on.
    while OsRng.try_fill_bytes(&mut bytes).is_err() {
        std::thread::yield_now();
    }
    hex::encode(bytes)
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_works_once_and_for_a_day() {
        let (sessions, now) = (Sessions::default(), Timestamp::UNIX_EPOCH);
        let secret = sessions.invite(now);
        assert_eq!(secret.len(), 64);
        assert!(!sessions.accept("another", now));
        assert!(sessions.accept(&secret, now));
        assert!(!sessions.accept(&secret, now));
        let late = sessions.invite(now);
        assert!(!sessions.accept(&late, now + LOGIN));
    }

    #[test]
    fn a_session_ends_when_it_is_not_used() {
        let (sessions, now) = (Sessions::default(), Timestamp::UNIX_EPOCH);
        let (secret, _) = sessions.start("page", TokenScope::Read, None, now);
        let later = now + SESSION - TimeDelta::seconds(1);
        assert_eq!(sessions.find(&secret, later).map(|s| s.scope), Some(TokenScope::Read));
        assert!(sessions.find(&secret, later + SESSION).is_none());
        sessions.end(&secret);
        assert!(sessions.find(&secret, later).is_none());
    }

    #[test]
    fn cookies_are_told_apart_by_port() {
        let settings = Settings::new("127.0.0.1:7171".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("bothways_7272=b; other=1; bothways_7171=a"));
        assert_eq!(cookie(&settings, &headers), Some("a"));
        let set = set_cookie(&settings, "x").unwrap();
        assert_eq!(set, "bothways_7171=x; Path=/; HttpOnly; SameSite=Strict");
        let https = Settings { public_url: Some("https://x.example".into()), ..settings };
        assert!(set_cookie(&https, "x").unwrap().to_str().unwrap().ends_with("; Secure"));
    }
}
