//! Bearer tokens: looked up by SHA-256, compared in constant time, refused in one way whatever is wrong with them (S8, S12).

use crate::app::App;
use crate::problem::Problem;
use axum::http::{HeaderMap, header};
use bothways_engine::stored::{ApiToken, TokenScope};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whoever makes a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What the audit log calls them: the token's name.
    pub(crate) name: String,
    /// What they may do.
    pub(crate) scope: TokenScope,
    /// The token their forms must carry; only those have one who come with a cookie.
    pub(crate) csrf: Option<String>,
}

/// Whether a token counts now.
fn is_good(token: &ApiToken, now: bothways_model::Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|end| end > now)
}

/// The token whose hash this is, if it counts now. Every stored hash is compared, whichever matches.
pub(crate) async fn grant_of(app: &App, hash: &str) -> Result<Option<ApiToken>, Problem> {
    let now = app.operations.now();
    let mut found = None;
    for token in app.operations.tokens().await? {
        let same: bool = token.hash.as_bytes().ct_eq(hash.as_bytes()).into();
        if same && is_good(&token, now) {
            found = Some(token);
        }
    }
    Ok(found)
}

/// The token with this secret, if it counts now; notes its use, to the minute.
pub(crate) async fn authenticate(app: &App, secret: &str) -> Result<Option<ApiToken>, Problem> {
    let hash = hex::encode(Sha256::digest(secret.as_bytes()));
    let Some(token) = grant_of(app, &hash).await? else { return Ok(None) };
    let now = app.operations.now();
    if token.used_at.is_none_or(|used| now - used >= TimeDelta::minutes(1)) {
        app.operations.touch_token(&hash).await?;
    }
    Ok(Some(token))
}

/// The secret of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}
