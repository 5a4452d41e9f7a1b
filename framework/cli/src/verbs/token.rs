//! `token`: makes, lists and revokes the tokens of the API and the page (`RULES.md` S8).

use crate::cli::{ScopeWord, Token, TokenNew};
use crate::opened::{Stored, person};
use crate::output::{Ended, Output, moment, talk};
use crate::settings::Settings;
use crate::tokens::{NewToken, make};
use anyhow::Context;
use bothways_store::{ApiToken, AuditEntry, TokenScope};
use chrono::{TimeDelta, Utc};
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Token, out: Output) -> anyhow::Result<Ended> {
    let stored = Stored::open(settings).await?;
    match args {
        Token::New(args) => new(&stored, args, out).await,
        Token::List => list(&stored, out).await,
        Token::Revoke { name } => revoke(&stored, name, out).await,
    }
}

async fn new(stored: &Stored, args: &TokenNew, out: Output) -> anyhow::Result<Ended> {
    let now = Utc::now();
    let expires_at = match &args.expires {
        Some(text) => {
            let time = bothways_mapping::units::parse_duration(text)
                .map_err(|expected| anyhow::anyhow!("--expires {text}: expected {expected}"))?;
            Some(now + TimeDelta::from_std(time).context("--expires is too far away")?)
        }
        None => None,
    };
    if stored.store.tokens().await?.iter().any(|t| t.name == args.name && t.revoked_at.is_none()) {
        talk(format!("there is a token `{}` already: revoke it, or choose another name", args.name));
        return Ok(Ended::Waiting);
    }
    let scope = match args.scope {
        ScopeWord::Read => TokenScope::Read,
        ScopeWord::Operate => TokenScope::Operate,
        ScopeWord::Approve => TokenScope::Approve,
        ScopeWord::Admin => TokenScope::Admin,
    };
    let NewToken { secret, token } = make(&args.name, scope, now, expires_at);
    stored.store.add_token(&token).await?;
    audit(stored, "token new", &args.name).await?;
    if out.is_json() {
        out.json(&json!({ "name": token.name, "scope": scope.as_str(), "secret": secret.expose() }))?;
    } else {
        talk(format!("token `{}`, which may {}. It is shown this once:", args.name, may(scope)));
        out.line(secret.expose())?;
    }
    Ok(Ended::Well)
}

fn may(scope: TokenScope) -> &'static str {
    match scope {
        TokenScope::Read => "look",
        TokenScope::Operate => "look and operate",
        TokenScope::Approve => "look, operate and approve plans",
        TokenScope::Admin => "do everything",
    }
}

async fn list(stored: &Stored, out: Output) -> anyhow::Result<Ended> {
    let tokens = stored.store.tokens().await?;
    if out.is_json() {
        let shown = tokens.iter().map(|t| {
            json!({
                "name": t.name, "scope": t.scope.as_str(), "state": state(t), "created_at": t.created_at,
                "expires_at": t.expires_at, "used_at": t.used_at, "revoked_at": t.revoked_at,
            })
        });
        out.json(&shown.collect::<Vec<_>>())?;
    } else {
        let rows = tokens.iter().map(|t| {
            let used = t.used_at.map_or_else(|| "never".to_owned(), moment);
            [t.name.clone(), t.scope.as_str().to_owned(), state(t).to_owned(), moment(t.created_at), used]
        });
        out.table(["name", "may", "state", "made (UTC)", "last used (UTC)"], rows.collect())?;
    }
    Ok(Ended::Well)
}

fn state(token: &ApiToken) -> &'static str {
    match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= Utc::now() => "expired",
        _ => "good",
    }
}

async fn revoke(stored: &Stored, name: &str, out: Output) -> anyhow::Result<Ended> {
    let was_good = stored.store.revoke_token(name, Utc::now()).await?;
    if was_good {
        audit(stored, "token revoke", name).await?;
    }
    if out.is_json() {
        out.json(&json!({ "name": name, "revoked": was_good }))?;
    } else if was_good {
        talk(format!("revoked: {name}"));
    } else {
        talk(format!("there is no token `{name}` that is not revoked"));
    }
    Ok(Ended::waiting_if(!was_good))
}

async fn audit(stored: &Stored, action: &str, name: &str) -> anyhow::Result<()> {
    let detail = json!({ "token": name });
    let entry = AuditEntry { at: Utc::now(), by: person(), action: action.to_owned(), detail };
    Ok(stored.store.audit(&entry).await?)
}
