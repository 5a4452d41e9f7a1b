//! Logging in for a session token.

use super::call::split;
use super::connector::{header_name, text};
use super::events::fact;
use super::{Cx, sub};
use crate::check::vars::{Uses, Where};
use crate::connector::{LoginBody, LoginSpec};
use crate::doc::{LoginDoc, Text};
use crate::finding::Code;
use crate::template::{JsonTemplate, Slot, Template};

const AT: &str = "/http/auth/login";

pub(super) fn login(cx: &mut Cx<'_>, doc: &LoginDoc, uses: &mut Uses) -> LoginSpec {
    let at = |key: &str| format!("{AT}/{key}");
    let (method, path, query) = split(cx, &at("call"), doc.call.as_str());
    for template in std::iter::once(&path).chain(query.iter().map(|(_, t)| t)) {
        uses.note(template, &at("call"), Where::Plain);
        no_slots(cx, &at("call"), template);
    }
    let says = says(cx, doc, uses);
    let (header, value) = match &doc.header {
        None => ("authorization".to_owned(), Template::parse("Bearer {token}")),
        Some(header) => {
            header_name(cx, &at("header/name"), &header.name.0, false);
            let value = Template::parse(&header.value.0);
            uses.note(&value, &at("header/value"), Where::Plain);
            carries_token(cx, &at("header/value"), &value);
            (header.name.0.to_ascii_lowercase(), value)
        }
    };
    LoginSpec { method, path, query, says, token: fact(cx, &at("token"), &doc.token), header, value }
}

/// What the call says, in the one form that the document gives.
fn says(cx: &mut Cx<'_>, doc: &LoginDoc, uses: &mut Uses) -> LoginBody<JsonTemplate, Template> {
    let at = |key: &str| format!("{AT}/{key}");
    let given = [doc.json.is_some(), !doc.form.0.is_empty(), doc.basic.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        cx.error(Code::Y107, AT, "exactly one of `json`, `form` and `basic` holds the credentials")
            .help("for example `json: { user: \"${user}\", password: \"${password}\" }`");
    }
    if let Some(basic) = &doc.basic {
        let part = |cx: &mut Cx<'_>, key: &str, value: &Text, place: Where, uses: &mut Uses| {
            text(cx, &at(key), value, place, uses)
        };
        return LoginBody::Basic {
            user: part(cx, "basic/user", &basic.user, Where::Auth, uses),
            password: part(cx, "basic/password", &basic.password, Where::Password, uses),
        };
    }
    let mut fields = Vec::new();
    for (name, value) in doc.form.iter() {
        fields.push((name.to_owned(), text(cx, &sub(&at("form"), name), value, Where::Login, uses)));
    }
    match &doc.json {
        None => LoginBody::Form(fields),
        Some(json) => {
            let json = JsonTemplate::parse(&json.0);
            for template in json.templates() {
                uses.note(template, &at("json"), Where::Login);
                no_slots(cx, &at("json"), template);
            }
            LoginBody::Json(json)
        }
    }
}

fn no_slots(cx: &mut Cx<'_>, pointer: &str, template: &Template) {
    for slot in template.slots() {
        cx.error(Code::M304, pointer, format!("logging in does not know `{{{}}}`", slot.name()))
            .within(&format!("{{{}}}", slot.name()))
            .help("a variable is written `${name}`");
    }
}

fn carries_token(cx: &mut Cx<'_>, pointer: &str, value: &Template) {
    for slot in value.slots().filter(|slot| **slot != Slot::Token) {
        cx.error(Code::M304, pointer, format!("this header does not know `{{{}}}`", slot.name()))
            .within(&format!("{{{}}}", slot.name()))
            .did_you_mean(slot.name(), ["token"]);
    }
    if !value.slots().any(|slot| *slot == Slot::Token) {
        cx.error(Code::M304, pointer, "this header needs `{token}` somewhere")
            .help("for example `value: \"{token}\"`");
    }
}
