//! One connection: a connector with its variables supplied. Credentials are [`Secret`] from here on, everything else is
//! plain text in the calls.

use super::events::{Digest, Encoding, SignatureFormat, VerifySpec};
use super::{
    AuthSpec, Call, ConnectorSpec, Login, LoginBody, LoginSpec, Oauth2, Rate, RateSpec, Setting, Var,
};
use crate::template::{Part, Slot, Template};
use crate::units::RateLimit;
use bothways_model::{ConnectionName, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A connector that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedConnector {
    /// The connector, with plain variables filled in every call. Secret ones are left in `http.auth`, `http.headers` and
    /// `events.webhook`; the fields below hold those parts filled.
    pub spec: Arc<ConnectorSpec>,
    /// Which connection this is.
    pub connection: ConnectionName,
    /// Where the API is, without a slash at the end.
    pub base_url: String,
    /// True if the operator supplied a variable of the base URL, instead of the document or its defaults (S14).
    pub base_url_from_operator: bool,
    /// How calls prove who is calling.
    pub auth: Auth,
    /// Headers of every call, names in lower case.
    pub headers: Vec<(String, HeaderValue)>,
    /// How fast to call.
    pub rate: Rate,
    /// The webhook; none if the document has none, or while a variable it needs is not supplied.
    pub webhook: Option<Webhook>,
    /// The variables whose absence keeps the webhook off.
    pub webhook_off: Vec<VarProblem>,
}

/// A header's value.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderValue {
    /// May be shown and stored.
    Plain(String),
    /// May not.
    Secret(Secret),
}

/// How calls prove who is calling.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer …` with this token.
    Bearer(Secret),
    /// HTTP Basic.
    Basic {
        /// The user, which some services make the credential.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// A header.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// OAuth 2.0.
    Oauth2(Box<Oauth2>),
    /// A session token, which a call of the service's own gives.
    Login(Box<Login>),
}

/// A webhook that can be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its path on the hooks port.
    pub path: String,
    /// How a delivery proves where it comes from.
    pub verify: Verify,
    /// The query parameter whose value is given back to a service that asks whether we want its deliveries.
    pub challenge: Option<String>,
}

/// How a delivery proves where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Verify {
    /// It does not.
    None,
    /// A keyed digest.
    Hmac {
        /// The keys, any of which may pass.
        secrets: Vec<Secret>,
        /// The header with the signature, in lower case.
        header: String,
        /// The digest.
        hash: Digest,
        /// How it is written.
        encoding: Encoding,
        /// What the header looks like.
        format: SignatureFormat,
        /// The header with the timestamp, in lower case, where `format` has none.
        timestamp: Option<String>,
        /// What is signed, with `{timestamp}` and `{body}`.
        signs: Template,
        /// How far the timestamp may be from now, both ways.
        tolerance: Duration,
    },
    /// A fixed secret.
    Token {
        /// The header, in lower case.
        header: String,
        /// What it may hold.
        values: Vec<Secret>,
    },
}

/// A variable that keeps a connection from working.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{env} {why}{}", .doc.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct VarProblem {
    /// The variable's name in the document.
    pub var: String,
    /// The environment variable to set.
    pub env: String,
    /// What is wrong: `is not set`, or what was expected. Never the value.
    pub why: String,
    /// The author's words about it.
    pub doc: Option<String>,
}

impl ConnectorSpec {
    /// Fills the variables for `connection`. `lookup` answers for an environment variable's name, and is expected to look at
    /// `<NAME>_FILE` as well; an empty value counts as not set. Fails with every variable that is missing or cannot be read.
    pub fn resolve(
        &self,
        connection: &ConnectionName,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ResolvedConnector, Vec<VarProblem>> {
        let mut values = BTreeMap::new();
        let mut supplied = Vec::new();
        let mut problems = Vec::new();
        let mut webhook_off = Vec::new();
        for var in &self.vars {
            let env = var.env(connection.as_str());
            let given = lookup(&env).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
            if given.is_some() {
                supplied.push(var.name.as_str());
            }
            match given.or_else(|| var.default.clone()) {
                Some(value) => {
                    values.insert(var.name.clone(), value);
                }
                None => {
                    let problem = var.problem(env, "is not set");
                    match (var.webhook_only, var.alternative) {
                        (true, _) => webhook_off.push(problem),
                        (_, true) => {}
                        _ => problems.push(problem),
                    }
                }
            }
        }
        let values = Values { vars: &self.vars, values, connection: connection.as_str() };
        if let AuthSpec::Oauth2(oauth2) = &self.http.auth {
            problems.extend(oauth2.problem(&values).filter(|p| !problems.iter().any(|q| q.var == p.var)));
        }
        let spec = self.filled(&values, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let header = |(name, value): &(String, Template)| {
            let filled = if values.is_secret(value) {
                HeaderValue::Secret(values.secret(value))
            } else {
                HeaderValue::Plain(values.text(value))
            };
            (name.to_ascii_lowercase(), filled)
        };
        let webhook =
            spec.events.as_ref().and_then(|e| e.webhook.as_ref()).filter(|_| webhook_off.is_empty());
        let webhook = webhook.map(|webhook| Webhook {
            path: webhook.path.as_ref().map_or_else(|| format!("/hooks/{connection}"), |p| values.text(p)),
            verify: values.verify(&webhook.verify),
            challenge: webhook.challenge.clone(),
        });
        Ok(ResolvedConnector {
            connection: connection.clone(),
            base_url: values.text(&spec.http.base_url).trim_end_matches('/').to_owned(),
            base_url_from_operator: self.host_is_from_operator(&values, &supplied),
            auth: values.auth(&spec.http.auth),
            headers: spec.http.headers.iter().map(header).collect(),
            rate: spec.http.rate.rate(),
            webhook,
            webhook_off,
            spec: Arc::new(spec),
        })
    }

    /// Whether the operator said which host is called: a variable that was supplied stands in the base URL's scheme or authority, and
    /// nothing there is a default of the document (S14).
    fn host_is_from_operator(&self, values: &Values<'_>, supplied: &[&str]) -> bool {
        let (mut before, mut said) = (String::new(), false);
        for part in &self.http.base_url.0 {
            let path_began =
                before.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '\\', '?', '#']));
            if path_began {
                break;
            }
            match part {
                Part::Text(text) => before.push_str(text),
                Part::Var(name) if supplied.contains(&name.as_str()) => {
                    said = true;
                    before.push_str(&values.plain(name).unwrap_or_default());
                }
                Part::Var(_) => return false,
                Part::Slot(_) => {}
            }
        }
        said
    }

    fn filled(&self, values: &Values<'_>, problems: &mut Vec<VarProblem>) -> ConnectorSpec {
        let mut spec = self.clone();
        let fill = |name: &str| values.plain(name);
        fill_rate(&mut spec.http.rate, values, problems);
        spec.http.base_url = spec.http.base_url.with_vars(&fill);
        let account = spec.account.iter_mut().map(|a| &mut a.call);
        let feed = spec.events.iter_mut().filter_map(|e| e.feed.as_mut()).map(|f| &mut f.call);
        let resources = spec.resources.values_mut().flat_map(|r| {
            let calls = [&mut r.list, &mut r.get, &mut r.create, &mut r.upsert];
            let calls = calls.into_iter().filter_map(Option::as_mut);
            calls
                .chain(r.update.iter_mut().map(|u| &mut u.call))
                .chain(r.delete.iter_mut().map(|d| &mut d.call))
                .chain(r.find.iter_mut().map(|f| &mut f.call))
                .chain(r.recover.iter_mut().map(|c| &mut c.call))
                .chain(r.since.iter_mut().map(|s| &mut s.call))
                .chain(r.delta.iter_mut().flat_map(|d| std::iter::once(&mut d.call).chain(&mut d.start)))
                .collect::<Vec<_>>()
        });
        for call in account.chain(feed).chain(resources) {
            fill_call(call, &fill);
            if let Some(rate) = &mut call.rate {
                values.set(rate, RateLimit::parse, problems);
            }
        }
        spec
    }
}

fn fill_call(call: &mut Call, fill: &dyn Fn(&str) -> Option<String>) {
    call.path = call.path.with_vars(fill);
    for (_, template) in call.query.iter_mut().chain(&mut call.headers) {
        *template = template.with_vars(fill);
    }
    call.json = call.json.as_ref().map(|json| json.with_vars(fill));
}

fn fill_rate(rate: &mut RateSpec, values: &Values<'_>, problems: &mut Vec<VarProblem>) {
    values.set(&mut rate.limit, RateLimit::parse, problems);
    let count = |text: &str| match text.parse::<u32>() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("a whole number above 0"),
    };
    values.set(&mut rate.concurrent, count, problems);
    for setting in rate.burst.iter_mut().chain(&mut rate.daily) {
        values.set(setting, count, problems);
    }
}

impl Var {
    pub(super) fn problem(&self, env: String, why: impl Into<String>) -> VarProblem {
        VarProblem { var: self.name.clone(), env, why: why.into(), doc: self.doc.clone() }
    }
}

/// What was supplied.
pub(super) struct Values<'a> {
    vars: &'a [Var],
    values: BTreeMap<String, String>,
    connection: &'a str,
}

impl Values<'_> {
    pub(super) fn var(&self, name: &str) -> Option<&Var> {
        self.vars.iter().find(|v| v.name == name)
    }

    /// The value of a variable that may be shown.
    fn plain(&self, name: &str) -> Option<String> {
        self.var(name).filter(|v| !v.secret)?;
        self.values.get(name).cloned()
    }

    fn is_secret(&self, template: &Template) -> bool {
        template.vars().any(|name| self.var(name).is_some_and(|v| v.secret))
    }

    /// Whether every variable of `template` has a value.
    pub(super) fn are_set(&self, template: &Template) -> bool {
        template.vars().all(|name| self.has(name))
    }

    /// Whether the variable has a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The environment variable of `var`.
    pub(super) fn env(&self, var: &Var) -> String {
        var.env(self.connection)
    }

    pub(super) fn text(&self, template: &Template) -> String {
        template.with_vars(&|name| self.plain(name)).to_string()
    }

    pub(super) fn secret(&self, template: &Template) -> Secret {
        Secret::new(template.with_vars(&|name| self.values.get(name).cloned()).to_string())
    }

    /// One secret for each value of a `list` variable in `template`.
    fn secrets(&self, template: &Template) -> Vec<Secret> {
        let Some(list) = template.vars().find(|name| self.var(name).is_some_and(|v| v.list)) else {
            return vec![self.secret(template)];
        };
        let all = self.values.get(list).map(String::as_str).unwrap_or_default();
        let one = |value: &str| {
            let parts = template.0.iter().map(|part| match part {
                Part::Var(name) if name == list => Part::Text(value.to_owned()),
                other => other.clone(),
            });
            self.secret(&Template(parts.collect()))
        };
        all.split(',').map(str::trim).filter(|v| !v.is_empty()).map(one).collect()
    }

    fn auth(&self, auth: &AuthSpec) -> Auth {
        match auth {
            AuthSpec::None => Auth::None,
            AuthSpec::Bearer(token) => Auth::Bearer(self.secret(token)),
            AuthSpec::Basic { user, password } => {
                Auth::Basic { user: self.secret(user), password: self.secret(password) }
            }
            AuthSpec::Header { name, value } => {
                Auth::Header { name: name.to_ascii_lowercase(), value: self.secret(value) }
            }
            AuthSpec::Query { name, value } => Auth::Query { name: name.clone(), value: self.secret(value) },
            AuthSpec::Oauth2(oauth2) => Auth::Oauth2(Box::new(oauth2.resolve(self))),
            AuthSpec::Login(login) => Auth::Login(Box::new(self.login(login))),
        }
    }

    fn login(&self, spec: &LoginSpec) -> Login {
        let all = |name: &str| self.values.get(name).cloned();
        Login {
            method: spec.method,
            path: self.text(&spec.path),
            query: spec.query.iter().map(|(name, value)| (name.clone(), self.text(value))).collect(),
            says: match &spec.says {
                LoginBody::Json(json) => {
                    let no_slots = &mut |slot: &Slot| Ok::<_, std::convert::Infallible>(slot.name().into());
                    let Ok(body) = json.with_vars(&all).render(no_slots);
                    LoginBody::Json(Secret::new(body.to_string()))
                }
                LoginBody::Form(fields) => LoginBody::Form(
                    fields.iter().map(|(name, value)| (name.clone(), self.secret(value))).collect(),
                ),
                LoginBody::Basic { user, password } => {
                    LoginBody::Basic { user: self.secret(user), password: self.secret(password) }
                }
            },
            token: spec.token.clone(),
            header: spec.header.clone(),
            value: spec.value.clone(),
        }
    }

    fn verify(&self, verify: &VerifySpec) -> Verify {
        match verify {
            VerifySpec::None => Verify::None,
            VerifySpec::Hmac { secret, header, hash, encoding, format, timestamp, signs, tolerance } => {
                Verify::Hmac {
                    secrets: self.secrets(secret),
                    header: header.to_ascii_lowercase(),
                    hash: *hash,
                    encoding: *encoding,
                    format: format.clone(),
                    timestamp: timestamp.as_ref().map(|t| t.to_ascii_lowercase()),
                    signs: signs.with_vars(&|name| self.plain(name)),
                    tolerance: *tolerance,
                }
            }
            VerifySpec::Token { header, value } => {
                Verify::Token { header: header.to_ascii_lowercase(), values: self.secrets(value) }
            }
        }
    }

    fn set<T>(
        &self,
        setting: &mut Setting<T>,
        parse: impl Fn(&str) -> Result<T, &'static str>,
        problems: &mut Vec<VarProblem>,
    ) {
        let Setting::Var(name) = setting else { return };
        let Some(var) = self.var(name) else { return };
        let Some(value) = self.values.get(name.as_str()) else { return };
        match parse(value) {
            Ok(value) => *setting = Setting::Fixed(value),
            Err(expected) => {
                let problem = var.problem(var.env(self.connection), format!("must be {expected}"));
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
}
