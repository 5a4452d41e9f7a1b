//! OAuth 2.0: the ways of a document to get a token, and the one that a connection takes.

use super::resolve::Values;
use super::{Var, VarProblem};
use crate::template::Template;
use bothways_model::Secret;

/// The ways that a document knows; texts may hold variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Oauth2Spec {
    /// Where tokens come from.
    pub token_url: Template,
    /// The client's id.
    pub client_id: Template,
    /// The client's secret.
    pub client_secret: Option<Template>,
    /// Where the client's id and secret go.
    pub client_auth: ClientAuth,
    /// The scopes to ask for.
    pub scope: Option<Template>,
    /// The first refresh token.
    pub refresh_token: Option<Template>,
    /// Where a person lets the client in.
    pub authorize_url: Option<Template>,
    /// A signed statement.
    pub jwt: Option<JwtSpec>,
}

/// A statement signed with the client's key.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtSpec {
    /// The RSA private key, in PEM.
    pub key: Template,
    /// For whom the client acts.
    pub subject: Template,
    /// Who is to believe it; none: whoever is at `token_url`.
    pub audience: Option<Template>,
}

/// Where a client's id and secret go when a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the request's body.
    Body,
}

/// How one connection gets its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Oauth2 {
    /// Where tokens come from.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret, where it has one.
    pub client_secret: Option<Secret>,
    /// Where the client's id and secret go.
    pub client_auth: ClientAuth,
    /// The scopes to ask for.
    pub scope: Option<String>,
    /// The way it takes.
    pub grant: GrantKind,
}

/// The way a connection takes.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantKind {
    /// The client's own credentials.
    ClientCredentials,
    /// A refresh token, which the service may replace each time.
    RefreshToken {
        /// The first one.
        first: Secret,
        /// The environment variable that it came from.
        env: String,
    },
    /// A person lets the client in; the refresh token that comes of it is kept.
    Login {
        /// Where.
        authorize_url: String,
    },
    /// A signed statement.
    Jwt {
        /// The RSA private key, in PEM.
        key: Secret,
        /// For whom the client acts.
        subject: String,
        /// Who is to believe it.
        audience: String,
    },
}

impl Oauth2Spec {
    /// The texts of which only some need their variables.
    fn alternatives(&self) -> impl Iterator<Item = &Template> {
        let jwt = self.jwt.iter().map(|jwt| &jwt.key);
        jwt.chain(&self.refresh_token).chain(&self.client_secret)
    }

    /// Why there is no way to get a token, if there is none.
    pub(super) fn problem(&self, values: &Values<'_>) -> Option<VarProblem> {
        let unset = |template: &Template| {
            let name = template.vars().find(|name| !values.has(name))?;
            values.var(name).map(|var| var.problem(values.env(var), "is not set"))
        };
        if let Some(jwt) = self.jwt.as_ref().filter(|jwt| values.are_set(&jwt.key)) {
            return unset(&jwt.subject).or_else(|| jwt.audience.as_ref().and_then(unset));
        }
        if self.authorize_url.is_some() || self.alternatives().any(|template| values.are_set(template)) {
            return None;
        }
        let vars: Vec<&Var> =
            self.alternatives().filter_map(|t| t.vars().find_map(|name| values.var(name))).collect();
        let (last, others) = vars.split_last()?;
        let others: Vec<String> = others.iter().map(|var| values.env(var)).collect();
        let why = match others.as_slice() {
            [] => "is not set".to_owned(),
            others => format!("is not set, nor is {}", others.join(" or ")),
        };
        Some(last.problem(values.env(last), why))
    }

    /// The way that the variables of a connection allow.
    pub(super) fn resolve(&self, values: &Values<'_>) -> Oauth2 {
        let set = |template: &Option<Template>| template.clone().filter(|t| values.are_set(t));
        let token_url = values.text(&self.token_url);
        let grant = match (&self.jwt, set(&self.refresh_token)) {
            (Some(jwt), _) if values.are_set(&jwt.key) => GrantKind::Jwt {
                key: values.secret(&jwt.key),
                subject: values.text(&jwt.subject),
                audience: jwt.audience.as_ref().map_or_else(|| token_url.clone(), |a| values.text(a)),
            },
            (_, Some(first)) => {
                let env = first.vars().find_map(|name| values.var(name)).map(|var| values.env(var));
                GrantKind::RefreshToken { first: values.secret(&first), env: env.unwrap_or_default() }
            }
            _ => match &self.authorize_url {
                Some(url) => GrantKind::Login { authorize_url: values.text(url) },
                None => GrantKind::ClientCredentials,
            },
        };
        Oauth2 {
            token_url,
            client_id: values.text(&self.client_id),
            client_secret: set(&self.client_secret).map(|secret| values.secret(&secret)),
            client_auth: self.client_auth,
            scope: self.scope.as_ref().map(|scope| values.text(scope)),
            grant,
        }
    }
}
