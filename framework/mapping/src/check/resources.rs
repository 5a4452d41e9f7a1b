//! M310: what a resource says of its records and of its writes must fit together.

use crate::build::{Cx, sub};
use crate::connector::{BodyFormat, ConnectorSpec, ResourceSpec, Returns, Sends, VersionAt};
use crate::finding::Code;
use crate::template::Slot;

pub(crate) fn check(cx: &mut Cx<'_>, pointer: &str, spec: &ResourceSpec) {
    let at = |key: &str| sub(pointer, key);
    if let Some(update) = &spec.update {
        if update.if_match.is_some() && spec.version.is_none() {
            cx.error(
                Code::M310,
                &sub(&at("update"), "if_match"),
                "nothing says where the record's version is",
            )
            .help("add `version: $.…`, or `version: { header: ETag }`");
        }
        let lists_fields = spec.get.as_ref().is_some_and(|get| {
            get.templates().any(|template| template.slots().any(|slot| *slot == Slot::Fields))
        });
        if update.sends == Sends::Whole && lists_fields {
            cx.error(
                Code::M310,
                &sub(&at("update"), "sends"),
                "`get` asks for `{fields}` only, and a whole record made of those would lose the others",
            )
            .help("read the whole record in `get`, or say `sends: changed`");
        }
        if update.sends != Sends::Changed && spec.get.is_none() {
            cx.error(
                Code::M310,
                &sub(&at("update"), "sends"),
                "what did not change is sent as it was read, and there is no `get`",
            )
            .help("give the resource a `get` call");
        }
    }
    let conditional = spec.delete.as_ref().is_some_and(|delete| delete.if_match.is_some());
    if conditional && !matches!(spec.version, Some(VersionAt::Record(_))) {
        cx.error(Code::M310, &sub(&at("delete"), "if_match"), "nothing in the record says its version")
            .help("add `version: $.…`: a header's is not kept for a delete");
    }
    let several = spec.id.parts() > 1;
    for (key, call) in [("create", &spec.create), ("upsert", &spec.upsert)] {
        if several && call.as_ref().is_some_and(|call| matches!(call.returns, Returns::Id(_))) {
            cx.error(
                Code::M310,
                &sub(&at(key), "returns"),
                "the id is made of several values, and this is one",
            )
            .help("leave `returns` away if the answer is the record");
        }
    }
}

/// The same, with what the connector says for all of them.
pub(crate) fn among(cx: &mut Cx<'_>, spec: &ConnectorSpec) {
    for (name, resource) in &spec.resources {
        let pointer = sub("/resources", name);
        let whole = resource.update.as_ref().is_some_and(|update| update.sends == Sends::Whole);
        if whole && spec.http.body == BodyFormat::Form {
            let message = "a form cannot hold a whole record as it was read: it knows texts only";
            cx.error(Code::M310, &sub(&sub(&pointer, "update"), "sends"), message)
                .help("say `sends: changed`, or `mapped`");
        }
        let by_id = spec.events.as_ref().is_some_and(|events| events.id_of.is_some());
        if resource.id.parts() > 1 && by_id && !resource.events.is_empty() {
            let message = "events name the record by one value, and the id is made of several";
            cx.error(Code::M310, &sub(&pointer, "id"), message)
                .help("let the events carry the record: `events.object`");
        }
    }
}
