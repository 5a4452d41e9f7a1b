//! The `events` part of connector documents.

use super::call::{Kind, Lists, Parts};
use super::connector::{header_name, text};
use super::{Cx, call};
use crate::check::vars::{Uses, Where};
use crate::connector::{
    Digest, Encoding, EventTime, Events, Fact, Feed, FeedOrder, SignatureFormat, TimeAt, VerifySpec,
    WebhookSpec,
};
use crate::doc::{
    EventTimeDoc, EventsDoc, FactDoc, FeedDoc, HmacDoc, KindDoc, Text, TimeAtDoc, VerifyDoc, WebhookDoc,
};
use crate::finding::Code;
use crate::path::Query;
use crate::template::{Slot, Template};
use std::time::Duration;

pub(super) fn events(cx: &mut Cx<'_>, doc: &EventsDoc, lists: &Lists, uses: &mut Uses) -> Events {
    if doc.object.is_some() == doc.id_of.is_some() {
        let message = if doc.object.is_some() {
            "`object` and `id_of` are both here"
        } else {
            "events need `object` or `id_of`"
        };
        cx.error(Code::Y107, "/events", message)
            .help("give `object` where an event carries the whole record, `id_of` where it only names it");
    }
    let events = Events {
        each: doc.each.as_ref().map_or_else(Query::root, |p| cx.query("/events/each", p.as_str())),
        id: doc.id.as_ref().map(|f| fact(cx, "/events/id", f)),
        kind: doc.kind.as_ref().map(|kind| kinds(cx, kind)).unwrap_or_default(),
        at: doc.at.as_ref().map(|at| event_time(cx, at)),
        object: doc.object.as_ref().map(|p| cx.query("/events/object", p.as_str())),
        id_of: doc.id_of.as_ref().map(|p| cx.query("/events/id_of", p.as_str())),
        webhook: doc.webhook.as_ref().map(|w| webhook(cx, w, uses)),
        feed: doc.feed.as_ref().map(|f| feed(cx, f, lists, uses)),
    };
    let at = events.at.as_ref().map(|at| &at.place);
    let kinds = events.kind.iter().map(|kind| ("type", Some(kind)));
    for (key, fact) in [("id", events.id.as_ref()), ("at", at)].into_iter().chain(kinds) {
        if let Some(name) = fact.and_then(Fact::header).filter(|_| doc.feed.is_some()) {
            let message = format!("events that are pulled have no header `{name}`");
            cx.error(Code::Y107, &format!("/events/{key}"), message)
                .help("give a path that delivered and pulled events both have, or take `feed` away");
        }
    }
    if let Some(feed) = doc.feed.as_ref().filter(|_| events.at.is_none()) {
        let asks =
            feed.query.iter().any(|(_, t)| t.0.contains("{since}")) || feed.call.as_str().contains("{since}");
        if asks {
            cx.error(
                Code::M304,
                "/events/feed",
                "`{since}` needs `events.at`, which says how a time is written",
            )
            .help("add `at: { path: …, as: unix }` to `events`");
        }
    }
    events
}

fn kinds(cx: &mut Cx<'_>, doc: &KindDoc) -> Vec<Fact> {
    let at = |index: usize| match doc.listed {
        true => super::sub("/events/type", &index.to_string()),
        false => "/events/type".to_owned(),
    };
    doc.facts.iter().enumerate().map(|(n, one)| fact(cx, &at(n), one)).collect()
}

fn event_time(cx: &mut Cx<'_>, doc: &EventTimeDoc) -> EventTime {
    let pointer = "/events/at";
    let place = match (&doc.path, &doc.header) {
        (None, Some(header)) => Fact::Header(in_header(cx, pointer, header)),
        (Some(path), None) => Fact::Body(cx.query(&super::sub(pointer, "path"), path.as_str())),
        _ => {
            cx.error(Code::Y107, pointer, "exactly one of `path` and `header` says when an event happened")
                .help("for example `at: { path: $.created, as: unix }`");
            Fact::Body(Query::root())
        }
    };
    EventTime { place, format: doc.format.into() }
}

/// Where something is said.
pub(super) fn fact(cx: &mut Cx<'_>, pointer: &str, doc: &FactDoc) -> Fact {
    match doc {
        FactDoc::Short(path) => Fact::Body(cx.query(pointer, path.as_str())),
        FactDoc::Long(long) => Fact::Header(in_header(cx, pointer, &long.header)),
    }
}

/// The name under `header` of `pointer`, in lower case.
pub(super) fn in_header(cx: &mut Cx<'_>, pointer: &str, name: &Text) -> String {
    header_name(cx, &super::sub(pointer, "header"), &name.0, false);
    name.0.to_ascii_lowercase()
}

pub(super) fn time_at(cx: &mut Cx<'_>, pointer: &str, doc: &TimeAtDoc) -> TimeAt {
    TimeAt { path: cx.query(&super::sub(pointer, "path"), doc.path.as_str()), format: doc.format.into() }
}

fn webhook(cx: &mut Cx<'_>, doc: &WebhookDoc, uses: &mut Uses) -> WebhookSpec {
    let path = doc.path.as_ref().map(|path| {
        let pointer = "/events/webhook/path";
        if !path.0.starts_with('/') {
            cx.error(Code::Y108, pointer, "a path starts with `/`").help("for example `/hooks/stripe`");
        }
        text(cx, pointer, path, Where::Plain, uses)
    });
    let verify = match &doc.verify {
        VerifyDoc::None => VerifySpec::None,
        VerifyDoc::Token(token) => {
            header_name(cx, "/events/webhook/verify/token/header", &token.header.0, false);
            let pointer = "/events/webhook/verify/token/value";
            VerifySpec::Token {
                header: token.header.0.clone(),
                value: text(cx, pointer, &token.value, Where::WebhookCredential, uses),
            }
        }
        VerifyDoc::Hmac(doc) => hmac(cx, doc, uses),
    };
    let challenge = doc.challenge.as_ref().map(|challenge| challenge.query.0.clone());
    if challenge.as_ref().is_some_and(String::is_empty) {
        cx.error(Code::Y108, "/events/webhook/challenge/query", "a query parameter has a name")
            .help("for example `query: validationToken`");
    }
    WebhookSpec { path, verify, challenge }
}

fn hmac(cx: &mut Cx<'_>, doc: &HmacDoc, uses: &mut Uses) -> VerifySpec {
    const AT: &str = "/events/webhook/verify/hmac";
    let at = |key: &str| format!("{AT}/{key}");
    header_name(cx, &at("header"), &doc.header.0, false);
    if let Some(timestamp) = &doc.timestamp {
        header_name(cx, &at("timestamp"), &timestamp.0, false);
    }
    let written = doc.format.as_ref().map_or("{signature}", |f| f.0.as_str());
    let format = SignatureFormat::parse(written);
    if format.is_none() {
        cx.error(Code::Y108, &at("format"), "this is not the form of a signature header")
            .help("write parts separated by commas, each a prefix and a placeholder: `t={timestamp},v1={signature}`");
    }
    let signs = Template::parse(doc.signs.as_ref().map_or("{body}", |s| s.0.as_str()));
    uses.note(&signs, &at("signs"), Where::Plain);
    for slot in signs.slots().filter(|s| !matches!(s, Slot::Timestamp | Slot::Body)) {
        cx.error(Code::M304, &at("signs"), format!("`{{{}}}` is not known in what is signed", slot.name()))
            .within(&format!("{{{}}}", slot.name()))
            .did_you_mean(slot.name(), ["timestamp", "body"]);
    }
    if !signs.slots().any(|s| *s == Slot::Body) {
        cx.error(Code::M304, &at("signs"), "what is signed must hold `{body}`")
            .help("without it any body would pass");
    }
    let has_time = doc.timestamp.is_some() || format.as_ref().is_some_and(SignatureFormat::has_timestamp);
    if signs.slots().any(|s| *s == Slot::Timestamp) && !has_time {
        cx.error(Code::M304, &at("signs"), "nothing says where `{timestamp}` comes from")
            .help("add it to `format`, or name its header with `timestamp`");
    }
    VerifySpec::Hmac {
        secret: text(cx, &at("secret"), &doc.secret, Where::WebhookCredential, uses),
        header: doc.header.0.clone(),
        hash: doc.hash.map_or(Digest::Sha256, Digest::from),
        encoding: doc.encoding.map_or(Encoding::Hex, Encoding::from),
        format: format.unwrap_or_default(),
        timestamp: doc.timestamp.as_ref().map(|t| t.0.clone()),
        signs,
        tolerance: cx.duration_or(&at("tolerance"), doc.tolerance.as_ref(), Duration::from_secs(300)),
    }
}

fn feed(cx: &mut Cx<'_>, doc: &FeedDoc, lists: &Lists, uses: &mut Uses) -> Feed {
    const AT: &str = "/events/feed";
    let parts = Parts { long: true, query: Some(&doc.query), ..Parts::line(&doc.call, AT) };
    Feed {
        call: call::build(cx, parts, Kind::Feed, &[], lists, uses),
        order: FeedOrder::from(doc.order),
        resolution: cx.duration_or("/events/feed/resolution", doc.resolution.as_ref(), Duration::ZERO),
        lag: cx.duration_or("/events/feed/lag", doc.lag.as_ref(), Duration::ZERO),
        retention: doc.retention.as_ref().map(|r| cx.duration("/events/feed/retention", r.as_str())),
    }
}
