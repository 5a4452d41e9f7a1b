//! M310: what a resource says of its records and of its writes must fit together.

use crate::build::{Cx, sub};
use crate::connector::{BodyFormat, ConnectorSpec, Fact, ResourceSpec, Returns, Sends};
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
    if conditional && !matches!(spec.version, Some(Fact::Body(_))) {
        cx.error(Code::M310, &sub(&at("delete"), "if_match"), "nothing in the record says its version")
            .help("add `version: $.…`: a header's is not kept for a delete");
    }
    for lookup in &spec.lookups {
        if let Some(find) = spec.find_on(&lookup.path) {
            let pointer = sub(&at("find"), &find.path.to_string());
            cx.key_error(
                Code::M310,
                &pointer,
                "the service holds an id here, and this would look for its name",
            )
            .help(format!("look up by {}, or by another field", lookup.from));
        }
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
        lookups(cx, &pointer, spec, resource);
        let by_id = spec.events.as_ref().is_some_and(|events| events.id_of.is_some());
        if resource.id.parts() > 1 && by_id && !resource.events.is_empty() {
            let message = "events name the record by one value, and the id is made of several";
            cx.error(Code::M310, &sub(&pointer, "id"), message)
                .help("let the events carry the record: `events.object`");
        }
    }
}

/// The lists that names come from.
fn lookups(cx: &mut Cx<'_>, pointer: &str, spec: &ConnectorSpec, resource: &ResourceSpec) {
    for lookup in &resource.lookups {
        let at = sub(&sub(&sub(pointer, "lookups"), &lookup.path.to_string()), "resource");
        let Some(list) = spec.resources.get(&lookup.resource) else {
            let message = format!("there is no resource `{}` in this connector", lookup.resource);
            cx.error(Code::M101, &at, message)
                .did_you_mean(&lookup.resource, spec.resources.keys().map(String::as_str));
            continue;
        };
        if list.list.is_none() {
            cx.error(Code::M310, &at, format!("`{}` has no `list` to read names from", list.name))
                .help("give that resource a `list` call");
        }
        if list.id.parts() > 1 {
            cx.error(Code::M310, &at, format!("an id of `{}` is made of several values", list.name))
                .help("a record holds one value for it: look names up in a list whose `id` is one");
        }
        if let Some(param) = list.params.iter().find(|param| !resource.params.contains(param)) {
            cx.error(Code::M310, &at, format!("`{}` needs the parameter `{param}`", list.name)).help(
                format!("add `params: [{param}]` to `{}`: the list gets the same value", resource.name),
            );
        }
    }
}
