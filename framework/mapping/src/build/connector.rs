//! Connector documents.

use super::call::{Kind, Lists};
use super::{Cx, sub, words};
use crate::check::vars::{Uses, Where};
use crate::connector::{
    Account, AuthSpec, BodyFormat, ClientAuth, ConnectorSpec, Errors, Http, IdempotencyKey, JwtSpec,
    KeyPlace, NullAs, Oauth2Spec, Retry, Var,
};
use crate::doc::{
    AuthDoc, ClientAuthDoc, ConnectorDoc, ErrorsDoc, HttpDoc, IdempotencyDoc, Oauth2Doc, Ordered, RetryDoc,
    Text,
};
use crate::finding::Code;
use crate::template::Template;
use std::time::Duration;

/// A connector, and what is wrong with its document.
pub(crate) fn connector(cx: &mut Cx<'_>, doc: &ConnectorDoc) -> ConnectorSpec {
    cx.name("/connector", doc.connector.as_str());
    let mut uses = Uses::default();
    let http = http(cx, &doc.http, &mut uses);
    let lists = Lists::new(cx, doc.lists.as_ref());
    let account = doc.account.as_ref().map(|account| Account {
        call: super::call::line(cx, "/account/call", &account.call, Kind::Account, &[], &lists, &mut uses),
        id: cx.query("/account/id", account.id.as_str()),
    });
    let events = doc.events.as_ref().map(|events| super::events::events(cx, events, &lists, &mut uses));
    let mut resources = std::collections::BTreeMap::new();
    for (name, resource) in doc.resources.iter() {
        let pointer = sub("/resources", name);
        let event_time = events.as_ref().and_then(|e| e.at.as_ref()).map(|at| at.format);
        let spec = super::resource::resource(cx, &pointer, name, resource, &lists, event_time, &mut uses);
        resources.insert(name.to_owned(), spec);
    }
    check_event_types(cx, doc);
    let vars = vars(doc, &uses);
    crate::check::vars::check(cx, doc, &uses);
    let spec = ConnectorSpec {
        name: doc.connector.0.clone(),
        vars,
        http,
        account,
        events,
        resources,
        source: cx.source("/connector"),
    };
    crate::check::resources::among(cx, &spec);
    crate::check::rates::check(cx, &spec);
    spec
}

/// One event type that means something for two resources is told apart by nothing.
fn check_event_types(cx: &mut Cx<'_>, doc: &ConnectorDoc) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (name, resource) in doc.resources.iter() {
        for kind in resource.events.keys() {
            let pointer = sub(&sub(&sub("/resources", name), "events"), kind);
            match seen.iter().find(|(k, _)| *k == kind) {
                Some((_, other)) => {
                    let message =
                        format!("the event type `{kind}` already belongs to the resource `{other}`");
                    cx.key_error(Code::M104, &pointer, message)
                        .help("one type means one resource; remove it from the other one");
                }
                None => seen.push((kind, name)),
            }
            if doc.events.is_none() {
                cx.key_error(
                    Code::M101,
                    &pointer,
                    "there is no `events` in this connector that would bring this event",
                )
                .help("add `events:` with `webhook` or `feed`");
                return;
            }
        }
    }
}

fn vars(doc: &ConnectorDoc, uses: &Uses) -> Vec<Var> {
    let has_ways = matches!(&doc.http.auth, Some(AuthDoc::Oauth2(oauth2)) if oauth2.jwt.is_some() || oauth2.refresh_token.is_some() || oauth2.authorize_url.is_some());
    let var = |(name, var): (&str, &crate::doc::VarDoc)| Var {
        name: name.to_owned(),
        default: var.default.as_ref().map(|d| d.0.clone()),
        secret: var.secret.unwrap_or(false),
        list: var.list.unwrap_or(false),
        doc: var.doc.as_ref().map(|d| d.0.clone()),
        webhook_only: uses.only_in_webhook(name),
        alternative: has_ways && uses.only_for_tokens(name),
    };
    doc.vars.iter().map(var).collect()
}

/// A text with variables and nothing else.
pub(super) fn text(cx: &mut Cx<'_>, pointer: &str, text: &Text, place: Where, uses: &mut Uses) -> Template {
    let template = Template::parse(text.0.as_str());
    uses.note(&template, pointer, place);
    for slot in template.slots() {
        cx.error(
            Code::M304,
            pointer,
            format!("`{{{}}}` is filled at a call, and this is not one", slot.name()),
        )
        .within(&format!("{{{}}}", slot.name()))
        .help("a variable is written `${name}`");
    }
    template
}

/// Headers with variables.
pub(super) fn headers(
    cx: &mut Cx<'_>,
    pointer: &str,
    headers: &Ordered<Text>,
    place: Where,
    uses: &mut Uses,
) -> Vec<(String, Template)> {
    let mut all = Vec::new();
    for (name, value) in headers.iter() {
        let pointer = sub(pointer, name);
        header_name(cx, &pointer, name, true);
        all.push((name.to_owned(), text(cx, &pointer, value, place, uses)));
    }
    all
}

/// Reports a name that no header can have.
pub(super) fn header_name(cx: &mut Cx<'_>, pointer: &str, name: &str, is_key: bool) {
    let fits = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !fits {
        let message = format!("`{name}` is not the name of a header");
        let mut report = if is_key {
            cx.key_error(Code::Y108, pointer, message)
        } else {
            cx.error(Code::Y108, pointer, message)
        };
        report.help("header names are letters, digits and `-`");
    }
}

fn http(cx: &mut Cx<'_>, doc: &HttpDoc, uses: &mut Uses) -> Http {
    let base_url = text(cx, "/http/base_url", &doc.base_url, Where::Plain, uses);
    let starts = doc.base_url.0.as_str();
    if !["https://", "http://", "${"].iter().any(|s| starts.starts_with(s)) {
        cx.error(Code::Y108, "/http/base_url", "a base URL starts with `https://`").help(
            "give scheme, host and the path that all calls share, for example `https://api.example.com/v1`",
        );
    }
    let auth = auth(cx, doc.auth.as_ref(), uses);
    let headers = headers(cx, "/http/headers", &doc.headers, Where::Header, uses);
    let body = doc.body.map_or(BodyFormat::Json, BodyFormat::from);
    let null_as = match (&doc.null_as, body) {
        (Some(text), _) => NullAs::Text(text.0.clone()),
        (None, BodyFormat::Json) => NullAs::Null,
        (None, BodyFormat::Form) => NullAs::Refused,
    };
    let idempotency = doc.idempotency.as_ref().map(|idempotency| IdempotencyKey {
        place: key_place(cx, idempotency),
        keeps: cx.duration("/http/idempotency/keeps", idempotency.keeps.as_str()),
    });
    Http {
        base_url,
        auth,
        headers,
        body,
        null_as,
        idempotency,
        rate: super::rate::rate(cx, doc.rate.as_ref(), uses),
        timeout: timeout(cx, doc),
        retry: retry(cx, doc.retry.as_ref()),
        errors: errors(cx, doc.errors.as_ref()),
    }
}

fn key_place(cx: &mut Cx<'_>, doc: &IdempotencyDoc) -> KeyPlace {
    match (&doc.header, &doc.query) {
        (Some(header), None) => {
            header_name(cx, "/http/idempotency/header", &header.0, false);
            KeyPlace::Header(header.0.clone())
        }
        (None, Some(query)) => KeyPlace::Query(query.0.clone()),
        _ => {
            cx.error(Code::Y107, "/http/idempotency", "exactly one of `header` and `query` carries the key")
                .help("for example `header: Idempotency-Key`");
            KeyPlace::Query(String::new())
        }
    }
}

fn timeout(cx: &mut Cx<'_>, doc: &HttpDoc) -> Duration {
    let before = cx.count();
    let timeout = cx.duration_or("/http/timeout", doc.timeout.as_ref(), Duration::from_secs(30));
    let longest = Duration::from_secs(600);
    if cx.count() == before && (timeout.is_zero() || timeout > longest) {
        cx.error(Code::Y108, "/http/timeout", "a call may take between 1ms and 10m");
    }
    timeout
}

fn auth(cx: &mut Cx<'_>, doc: Option<&AuthDoc>, uses: &mut Uses) -> AuthSpec {
    let mut secret = |cx: &mut Cx<'_>, key: &str, value: &Text| {
        text(cx, &format!("/http/auth/{key}"), value, Where::Credential, uses)
    };
    match doc {
        None | Some(AuthDoc::None) => AuthSpec::None,
        Some(AuthDoc::Bearer(token)) => AuthSpec::Bearer(secret(cx, "bearer", token)),
        Some(AuthDoc::Basic(basic)) => AuthSpec::Basic {
            user: text(cx, "/http/auth/basic/user", &basic.user, Where::Auth, uses),
            password: text(cx, "/http/auth/basic/password", &basic.password, Where::Password, uses),
        },
        Some(AuthDoc::Header(header)) => {
            header_name(cx, "/http/auth/header/name", &header.name.0, false);
            AuthSpec::Header { name: header.name.0.clone(), value: secret(cx, "header/value", &header.value) }
        }
        Some(AuthDoc::Query(query)) => {
            AuthSpec::Query { name: query.name.0.clone(), value: secret(cx, "query/value", &query.value) }
        }
        Some(AuthDoc::Oauth2(doc)) => AuthSpec::Oauth2(Box::new(oauth2(cx, doc, uses))),
        Some(AuthDoc::Login(login)) => AuthSpec::Login(Box::new(super::login::login(cx, login, uses))),
    }
}

fn oauth2(cx: &mut Cx<'_>, doc: &Oauth2Doc, uses: &mut Uses) -> Oauth2Spec {
    let mut part = |cx: &mut Cx<'_>, key: &str, value: &Text, place: Where| {
        text(cx, &format!("/http/auth/oauth2/{key}"), value, place, uses)
    };
    let jwt = doc.jwt.as_ref().map(|jwt| JwtSpec {
        key: part(cx, "jwt/key", &jwt.key, Where::Credential),
        subject: part(cx, "jwt/subject", &jwt.subject, Where::Plain),
        audience: jwt.audience.as_ref().map(|audience| part(cx, "jwt/audience", audience, Where::Plain)),
    });
    let spec = Oauth2Spec {
        token_url: part(cx, "token_url", &doc.token_url, Where::Plain),
        client_id: part(cx, "client_id", &doc.client_id, Where::Plain),
        client_secret: doc.client_secret.as_ref().map(|s| part(cx, "client_secret", s, Where::Credential)),
        client_auth: match doc.client_auth {
            None | Some(ClientAuthDoc::Basic) => ClientAuth::Basic,
            Some(ClientAuthDoc::Body) => ClientAuth::Body,
        },
        scope: doc.scope.as_ref().map(|scope| part(cx, "scope", scope, Where::Plain)),
        authorize_url: doc.authorize_url.as_ref().map(|url| part(cx, "authorize_url", url, Where::Plain)),
        refresh_token: doc.refresh_token.as_ref().map(|s| part(cx, "refresh_token", s, Where::Credential)),
        jwt,
    };
    let secret = spec.client_secret.is_some() || spec.refresh_token.is_some() || spec.jwt.is_some();
    if !secret && spec.authorize_url.is_none() {
        cx.error(Code::Y108, "/http/auth/oauth2", "nothing here says how to get a token")
            .help("give `client_secret`, `refresh_token`, `authorize_url` or `jwt`");
    }
    spec
}

fn retry(cx: &mut Cx<'_>, doc: Option<&RetryDoc>) -> Retry {
    let attempts = doc.and_then(|d| d.attempts).unwrap_or(10);
    if attempts == 0 {
        cx.error(Code::Y108, "/http/retry/attempts", "at least one attempt is made");
    }
    let first = doc.and_then(|d| d.first.as_ref());
    let max = doc.and_then(|d| d.max.as_ref());
    Retry {
        attempts,
        first: cx.duration_or("/http/retry/first", first, Duration::from_millis(500)),
        max: cx.duration_or("/http/retry/max", max, Duration::from_secs(300)),
    }
}

fn errors(cx: &mut Cx<'_>, doc: Option<&ErrorsDoc>) -> Errors {
    let Some(doc) = doc else { return Errors::default() };
    let mut statuses = std::collections::BTreeMap::new();
    for (status, class) in doc.statuses.iter() {
        match status.parse::<u16>() {
            Ok(number @ 100..=599) => {
                statuses.insert(number, words::class(*class));
            }
            _ => {
                let pointer = sub("/http/errors/statuses", status);
                cx.key_error(Code::Y108, &pointer, format!("`{status}` is not an HTTP status"))
                    .help("write a number such as `404`");
            }
        }
    }
    if let Some(header) = &doc.retry_header {
        header_name(cx, "/http/errors/retry_header", &header.0, false);
    }
    Errors {
        retry_header: doc.retry_header.as_ref().map(|header| header.0.to_ascii_lowercase()),
        message: doc.message.as_ref().map(|p| cx.query("/http/errors/message", p.as_str())),
        code: doc.code.as_ref().map(|p| cx.query("/http/errors/code", p.as_str())),
        codes: doc.codes.iter().map(|(code, class)| (code.to_owned(), words::class(*class))).collect(),
        statuses,
    }
}
