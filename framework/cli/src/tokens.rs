//! Tokens of the API and the page: 256 random bits, stored only as a hash, shown once (`RULES.md` S8).

use crate::environment::Variables;
use bothways_model::{Secret, Timestamp};
use bothways_store::{ApiToken, Store, TokenScope};
use rand::RngCore;
use sha2::{Digest, Sha256};

/// The variable that may give the token, and the name it is stored under.
const VARIABLE: &str = "BOTHWAYS_TOKEN";
const FROM_VARIABLE: &str = "from BOTHWAYS_TOKEN";
const FIRST: &str = "first start";

/// A token that was just made.
pub(crate) struct NewToken {
    /// What its holder says.
    pub(crate) secret: Secret,
    /// What is stored.
    pub(crate) token: ApiToken,
}

/// Makes a token.
pub(crate) fn make(name: &str, scope: TokenScope, now: Timestamp, expires_at: Option<Timestamp>) -> NewToken {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let secret = Secret::new(format!("bw_{}", hex::encode(bytes)));
    let token = stored(&secret, name, scope, now, expires_at);
    NewToken { secret, token }
}

fn stored(
    secret: &Secret,
    name: &str,
    scope: TokenScope,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> ApiToken {
    ApiToken {
        hash: hex::encode(Sha256::digest(secret.expose().as_bytes())),
        name: name.to_owned(),
        scope,
        created_at: now,
        expires_at,
        used_at: None,
        revoked_at: None,
    }
}

/// Sees to it that there is a token: the one of the environment, else, where there is none at all and somebody to show it to, a new one,
/// which is returned to be shown.
///
/// # Errors
/// The store fails, or the environment's token is too short to be one.
pub(crate) async fn ensure(
    store: &dyn Store,
    variables: &Variables,
    now: Timestamp,
    watched: bool,
) -> anyhow::Result<Option<Secret>> {
    let known = store.tokens().await?;
    if let Some(secret) = variables.secret(VARIABLE) {
        anyhow::ensure!(
            secret.expose().len() >= 24,
            "{VARIABLE} is too short to be safe: give it at least 24 characters"
        );
        let token = stored(&secret, FROM_VARIABLE, TokenScope::Admin, now, None);
        if known.iter().any(|t| t.hash == token.hash && t.revoked_at.is_none()) {
            return Ok(None);
        }
        anyhow::ensure!(
            !known.iter().any(|t| t.hash == token.hash),
            "the token in {VARIABLE} was revoked: set another one"
        );
        store.revoke_token(FROM_VARIABLE, now).await?;
        store.add_token(&token).await?;
        return Ok(None);
    }
    if !known.is_empty() || !watched {
        return Ok(None);
    }
    let NewToken { secret, token } = make(FIRST, TokenScope::Admin, now, None);
    store.add_token(&token).await?;
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_stored_as_their_hash() {
        let now = chrono::Utc::now();
        let (a, b) = (make("a", TokenScope::Read, now, None), make("b", TokenScope::Read, now, None));
        assert_ne!(a.secret.expose(), b.secret.expose());
        assert_eq!(a.secret.expose().len(), 3 + 64);
        assert_eq!(a.token.hash, hex::encode(Sha256::digest(a.secret.expose())));
    }
}
