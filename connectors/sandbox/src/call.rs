//! One request, taken apart: what is asked, with which parameters, key and credentials.

use crate::errors::ApiError;
use crate::form::Params;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bothways_model::{Method, Request};

/// Stripe's limit on idempotency keys.
const MAX_KEY: usize = 255;

/// A request as the API sees it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) params: Result<Params, ApiError>,
    /// The idempotency key; only POST knows one.
    pub(crate) key: Option<String>,
    pub(crate) version: Option<String>,
    credential: Option<String>,
}

impl Call {
    pub(crate) fn read(request: &Request) -> Self {
        let (path, query) = split_url(&request.url);
        let body = match request.method {
            Method::Get | Method::Head => Ok(""),
            _ => std::str::from_utf8(&request.body)
                .map_err(|_| ApiError::invalid("Invalid UTF-8 in the body.")),
        };
        let params = Params::decode(query).and_then(|mut params| {
            params.add(body?)?;
            Ok(params)
        });
        let header = |name: &str| {
            let secret = request.secret_headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            request.header(name).or(secret.map(|(_, value)| value.expose())).map(str::to_owned)
        };
        Self {
            method: request.method,
            path: path.to_owned(),
            params,
            key: header("idempotency-key").filter(|_| request.method == Method::Post),
            version: header("stripe-version"),
            credential: header("authorization").and_then(|value| read_credential(&value)),
        }
    }

    /// The path's parts after `/v1`, percent-encoding undone; nothing for a path elsewhere.
    pub(crate) fn parts(&self) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix("/v1/")?;
        let part = |p: &str| percent_encoding::percent_decode_str(p).decode_utf8_lossy().into_owned();
        Some(rest.split('/').map(part).collect())
    }

    /// A key of the test mode, secret or restricted. A sandbox has no others.
    pub(crate) fn check_credential(&self) -> Result<(), ApiError> {
        let key = self.credential.as_deref().filter(|key| !key.is_empty()).ok_or_else(ApiError::no_key)?;
        let secret = key.strip_prefix("sk_test_").or_else(|| key.strip_prefix("rk_test_"));
        match secret {
            Some(secret) if !secret.is_empty() => Ok(()),
            _ => Err(ApiError::bad_key(&mask(key))),
        }
    }

    pub(crate) fn check_key(&self) -> Result<(), ApiError> {
        match &self.key {
            Some(key) if key.chars().count() > MAX_KEY => {
                Err(ApiError::invalid(format!("Idempotency keys can have up to {MAX_KEY} characters.")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn check_version(&self) -> Result<(), ApiError> {
        let Some(version) = &self.version else { return Ok(()) };
        let date = version.split('.').next().unwrap_or_default();
        if chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() {
            return Ok(());
        }
        Err(ApiError::invalid(format!("Invalid Stripe API version: {version}")))
    }
}

/// Path and query of an absolute or relative URL.
pub(crate) fn split_url(url: &str) -> (&str, &str) {
    let local = match url.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
        None => url,
    };
    let local = local.split('#').next().unwrap_or_default();
    local.split_once('?').unwrap_or((local, ""))
}

/// `Bearer KEY`, or Basic with the key as user.
fn read_credential(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    read_basic(header).map(|(user, _)| user)
}

/// User and password of a Basic `Authorization` header.
pub(crate) fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(LENIENT.decode(value.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    Some((user.to_owned(), password.to_owned()))
}

/// Standard base64 with optional padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A refused key as errors show it.
fn mask(key: &str) -> String {
    let tail: String = key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    let head: String = key.chars().take(8).collect();
    if key.chars().count() <= 12 { "*".repeat(key.chars().count()) } else { format!("{head}****{tail}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::Secret;

    fn call(name: &str, value: &str) -> Call {
        Call::read(&Request::new(Method::Get, "http://h/v1/customers").with_header(name, value))
    }

    #[test]
    fn keys_come_as_bearer_basic_or_secret_header() {
        assert!(call("Authorization", "Bearer sk_test_1").check_credential().is_ok());
        assert!(call("Authorization", "bearer rk_test_1").check_credential().is_ok());
        // sk_test_123: and sk_test_1234:x
        assert!(call("Authorization", "Basic c2tfdGVzdF8xMjM6").check_credential().is_ok());
        assert!(call("Authorization", "Basic c2tfdGVzdF8xMjM0Ong=").check_credential().is_ok());
        let mut request = Request::new(Method::Get, "http://h/v1/customers");
        request.secret_headers.push(("authorization".into(), Secret::new("Bearer sk_test_1")));
        assert!(Call::read(&request).check_credential().is_ok());
    }

    #[test]
    fn other_keys_are_refused() {
        for value in
            ["Bearer pk_test_1", "Bearer sk_live_1", "Bearer sk_test_", "Bearer ", "Digest x", "sk_test_1"]
        {
            let error = call("Authorization", value).check_credential().unwrap_err();
            assert_eq!(error.status, 401, "{value}");
        }
        assert!(!mask("sk_live_0123456789abcdef").contains("0123456789"));
    }

    #[test]
    fn urls_are_split() {
        assert_eq!(split_url("http://127.0.0.1:1/v1/a?b=c#d"), ("/v1/a", "b=c"));
        assert_eq!(split_url("https://h?b=c"), ("", "b=c"));
        assert_eq!(split_url("/v1/a"), ("/v1/a", ""));
        assert_eq!(split_url("http://h"), ("/", ""));
    }

    #[test]
    fn versions_are_dates() {
        assert!(call("stripe-version", "2025-09-30.clover").check_version().is_ok());
        assert!(call("stripe-version", "2020-08-27").check_version().is_ok());
        assert_eq!(call("stripe-version", "latest").check_version().unwrap_err().status, 400);
    }
}
