//! Assertions of the JWT bearer flow: RS256 by the app's registered key, for this service, good for minutes.

use super::auth::OauthError;
use super::config::Config;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bothways_model::Timestamp;
use serde_json::Value;

/// How long an assertion may still be good, with some room for clocks. Salesforce says minutes; that it is these is not
/// checked against its documentation.
const LONGEST: i64 = 5 * 60;

/// Refuses an assertion that is not the app's, not for this service, or not of now.
pub(crate) fn check(
    assertion: &str,
    config: &Config,
    instance: &str,
    now: Timestamp,
) -> Result<(), OauthError> {
    let invalid = OauthError("invalid_grant", "invalid assertion");
    let (signed, signature) = assertion.rsplit_once('.').ok_or(invalid)?;
    let (header, claims) = signed.split_once('.').ok_or(invalid)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let read = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).ok();
    let (header, claims) = (read(header).ok_or(invalid)?, read(claims).ok_or(invalid)?);
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if claim("iss") != config.client_id {
        return Err(OauthError("invalid_client_id", "client identifier invalid"));
    }
    let key = config.jwt_public_key.as_deref().and_then(read_pem);
    let key = key.ok_or(OauthError("invalid_app_access", "the app has no certificate"))?;
    let signature = decode(signature).ok_or(invalid)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256")
        || !verify(&key, signed.as_bytes(), &signature)
    {
        return Err(invalid);
    }
    if !["https://login.salesforce.com", "https://test.salesforce.com", instance].contains(&claim("aud")) {
        return Err(OauthError("invalid_grant", "audience is invalid"));
    }
    let expires = match claims.get("exp") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_i64(),
        None => None,
    };
    let left = expires.ok_or(invalid)? - now.timestamp();
    if left <= 0 {
        return Err(OauthError("invalid_grant", "expired authorization code"));
    }
    if left > LONGEST {
        return Err(OauthError("invalid_grant", "assertion is good for too long"));
    }
    if claim("sub") != config.username {
        return Err(OauthError("invalid_grant", "user hasn't approved this consumer"));
    }
    Ok(())
}

/// The DER within a PEM block.
fn read_pem(pem: &str) -> Option<Vec<u8>> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(text).ok()
}

fn verify(key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed, signature).is_ok()
}
