//! Signed statements for OAuth 2.0 (RFC 7523): RS256 alone, which every service with this grant takes.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bothways_model::{Secret, Timestamp};
use chrono::TimeDelta;
use serde_json::json;

/// How long a statement holds: services refuse more than a few minutes, and clocks differ.
const HOLDS: TimeDelta = TimeDelta::minutes(3);

/// What is stated.
pub(crate) struct Claims<'a> {
    /// The client.
    pub(crate) issuer: &'a str,
    /// For whom it acts.
    pub(crate) subject: &'a str,
    /// Who is to believe it.
    pub(crate) audience: &'a str,
}

/// The statement, signed with a PEM private key (PKCS #8 or PKCS #1).
///
/// # Errors
/// Says what is wrong with the key; never its content.
pub(crate) fn sign(key: &Secret, claims: &Claims<'_>, now: Timestamp) -> Result<String, &'static str> {
    let pair = key_pair(key.expose())?;
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({
        "iss": claims.issuer,
        "sub": claims.subject,
        "aud": claims.audience,
        "exp": (now + HOLDS).timestamp(),
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "it does not sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn key_pair(pem: &str) -> Result<RsaKeyPair, &'static str> {
    // A variable of one line has its line ends spelt out.
    let pem = pem.replace("\\n", "\n");
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or("it is not in PEM")?;
    let (label, rest) = rest.split_once("-----").ok_or("it is not in PEM")?;
    let (body, _) = rest.split_once("-----END").ok_or("it is cut off")?;
    let base64: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(base64).map_err(|_| "it is not in PEM")?;
    match label {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
        _ => return Err("it is no RSA private key without a password"),
    }
    .map_err(|_| "it is no RSA private key of 2048 bits or more")
}
