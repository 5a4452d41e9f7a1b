//! M301 to M307: what a mapping asks of its resource's calls.

use crate::build::{Cx, sub};
use crate::connector::NullAs;
use crate::doc::MappingDoc;
use crate::finding::{Code, Severity};
use crate::mapping::{Check, CreatePolicy, FromLocalDelete, FromRemoteDelete, Mapping, Winner};
use bothways_model::Capabilities;

/// All of them.
pub(crate) fn check(cx: &mut Cx<'_>, doc: &MappingDoc, mapping: &Mapping) {
    let can = mapping.capabilities();
    reads(cx, mapping, &can);
    updates(cx, doc, mapping, &can);
    creates(cx, doc, mapping, &can);
    deletes(cx, mapping, &can);
    arrivals(cx, mapping, &can);
    matching(cx, mapping, &can);
    newest(cx, doc, mapping, &can);
    blind(cx, mapping, &can);
}

fn resource_name(mapping: &Mapping) -> String {
    format!("{}/{}", mapping.remote.connector, mapping.remote.resource)
}

/// The pointer of a policy where it was said, else the mapping's name.
fn said<'p>(cx: &Cx<'_>, pointer: &'p str) -> &'p str {
    if cx.place.node.at(pointer).is_some() { pointer } else { "/mapping" }
}

fn reads(cx: &mut Cx<'_>, mapping: &Mapping, can: &Capabilities) {
    if !can.get {
        cx.error(Code::M301, "/remote", format!("`{}` has no `get`", resource_name(mapping)))
            .help("nothing is decided about a record without reading it: give the resource a `get` call");
    }
}

fn updates(cx: &mut Cx<'_>, doc: &MappingDoc, mapping: &Mapping, can: &Capabilities) {
    let out = mapping.fields.iter().filter(|f| f.direction.goes_out() && !f.immutable);
    if !can.update
        && let Some(field) = out.clone().next()
    {
        let message = format!("`{}` goes out, and `{}` has no `update`", field.label, resource_name(mapping));
        cx.key_error(Code::M301, &sub("/fields", super::label_of(doc, field)), message).help(
            "add `direction: in` to such fields, or `immutable: true`, or give the resource an `update` call",
        );
    }
    if mapping.connector.http.null_as == NullAs::Refused
        && let Some(field) = out.clone().find(|f| !f.required)
    {
        let message =
            format!("`{}` may become empty, and the connector does not say how to send that", field.label);
        let pointer = sub("/fields", super::label_of(doc, field));
        let span = cx.place.node.key_place(&pointer);
        cx.report_span(Code::M301, Severity::Warning, &pointer, span, message)
            .help("a change to null will park; give the connector `http.null_as`");
    }
}

fn creates(cx: &mut Cx<'_>, doc: &MappingDoc, mapping: &Mapping, can: &Capabilities) {
    let recreates = mapping.deletes.from_remote == FromRemoteDelete::Recreate;
    if mapping.creates.from_local != CreatePolicy::Create && !recreates {
        return;
    }
    let pointer = if mapping.creates.from_local == CreatePolicy::Create {
        "/creates/from_local"
    } else {
        "/deletes/from_remote"
    };
    let pointer = said(cx, pointer);
    let resource = resource_name(mapping);
    const OFF: &str = "say `creates: { from_local: ignore }` (or `manual`)";
    let all_built = mapping.fields.len() == doc.fields.0.len();
    if all_built && !mapping.fields.iter().any(|f| f.direction.goes_out()) {
        cx.error(Code::M301, pointer, "no field goes out, so records created for local rows would be empty")
            .help(OFF);
        return;
    }
    if !can.create && !can.upsert {
        cx.error(
            Code::M301,
            pointer,
            format!("local rows are to be created at `{resource}`, which has neither `create` nor `upsert`"),
        )
        .help(OFF);
        return;
    }
    if !can.create && mapping.identity.stamp.is_none() {
        cx.error(
            Code::M301,
            pointer,
            format!("`{resource}` creates by our own key (`upsert`), which needs `identity.stamp`"),
        )
        .help("add `identity: { stamp: $.… }` with the unique external id field");
    }
    let matched = mapping.identity.matching.iter().filter_map(|label| mapping.field(label)?.read.singular());
    if !can.proves_a_create(matched.chain(&mapping.identity.stamp)) {
        cx.error(Code::M301, pointer, format!("nothing can prove whether an uncertain create arrived at `{resource}`"))
            .help(
                "the connector needs one of `http.idempotency`, `upsert`, `recover`, or a `find` with `consistent: true` on a matched or stamped path; else say `creates: { from_local: manual }`",
            );
    }
}

fn deletes(cx: &mut Cx<'_>, mapping: &Mapping, can: &Capabilities) {
    let resource = resource_name(mapping);
    let deletes = &mapping.deletes;
    if deletes.from_local == FromLocalDelete::Delete {
        if !can.delete {
            cx.error(Code::M301, "/deletes/from_local", format!("`{resource}` has no `delete`"))
                .help("say `unlink`, `ignore` or `manual`");
        } else if can.irreversible_delete && !deletes.confirmed_irreversible {
            cx.error(Code::M301, "/deletes/from_local", format!("`{resource}` cannot undo a delete"))
                .help("add `confirm: irreversible` beside it, if that is meant");
        }
    }
    if deletes.from_remote == FromRemoteDelete::Archive && mapping.catalog.deleted_at.is_none() {
        let message =
            format!("the catalog `{}` has no `deleted_at` column to archive with", mapping.catalog.name);
        cx.error(Code::M301, "/deletes/from_remote", message)
            .help("give the catalog `deleted_at`, or say `delete` or `unlink`");
    }
}

fn arrivals(cx: &mut Cx<'_>, mapping: &Mapping, can: &Capabilities) {
    let comes = can.webhook
        || (can.feed && mapping.sync.feed.is_some())
        || (can.since && mapping.sync.poll.is_some());
    if !comes {
        let pointer = said(cx, "/sync");
        let (message, help) = if mapping.sync.reconcile.is_some() {
            (
                "remote changes are seen by full passes only",
                "give the connector `since`, `events.feed` or `events.webhook`, or shorten `sync.reconcile`",
            )
        } else {
            ("nothing brings remote changes", "give the connector `since`, `events` or `list`")
        };
        cx.report(Code::M302, Severity::Warning, pointer, message).help(help);
    }
    let asks = (can.feed && mapping.sync.feed.is_some()) || (can.since && mapping.sync.poll.is_some());
    if comes && !asks && mapping.sync.reconcile.is_none() {
        let message = "remote changes are seen by deliveries only, and one that is lost is never made up for";
        cx.report(Code::M302, Severity::Warning, said(cx, "/sync"), message).help(
            "a record is looked at again when its row changes or the next event about it comes; where the service has one, give the connector `list`, `since` or `events.feed`",
        );
    }
    if let (Some(feed), Some(retention)) = (mapping.sync.feed, can.feed_retention_ms)
        && feed.as_millis() > u128::from(retention)
    {
        cx.error(
            Code::M305,
            "/sync/feed",
            "the feed is read less often than it reaches back, so events would be lost",
        )
        .help("read it more often than `events.feed.retention`");
    }
}

/// M303: adoption by lookup needs a `find` that folds as the field normalises.
fn matching(cx: &mut Cx<'_>, mapping: &Mapping, can: &Capabilities) {
    for (index, label) in mapping.identity.matching.iter().enumerate() {
        let Some(field) = mapping.field(label) else { continue };
        let pointer = sub("/identity/match", &index.to_string());
        let find = field.read.singular().and_then(|path| can.find_on(path));
        let folds_alike = find.is_some_and(|find| {
            field.normalize.0.iter().all(|n| find.folds.iter().any(|fold| fold == n.as_str()))
        });
        if !folds_alike {
            let why = if find.is_none() {
                format!("`{}` cannot look `{label}` up", resource_name(mapping))
            } else {
                format!("`{}` compares `{label}` exactly, and the mapping does not", resource_name(mapping))
            };
            cx.report(
                Code::M303,
                Severity::Note,
                &pointer,
                format!("{why}, so nothing is created before the first complete walk"),
            )
            .help("the first walk lists every remote record once, one call a page; nothing needs doing");
        }
    }
}

/// M306: `newest` needs a time of change on everything that shows a record.
fn newest(cx: &mut Cx<'_>, doc: &MappingDoc, mapping: &Mapping, can: &Capabilities) {
    if can.changed_at {
        return;
    }
    let mut places = Vec::new();
    if mapping.conflicts.winner == Winner::Newest {
        places.push("/conflicts/winner".to_owned());
    }
    for (label, field) in doc.fields.iter() {
        if let crate::doc::MappingFieldDoc::Long(long) = field
            && long.winner == Some(crate::doc::WinnerDoc::Newest)
        {
            places.push(sub(&sub("/fields", label), "winner"));
        }
    }
    for pointer in places {
        cx.error(
            Code::M306,
            &pointer,
            format!("records of `{}` do not say when they changed", resource_name(mapping)),
        )
        .help("choose `manual`, `local` or `remote`, or give the resource `changed_at`");
    }
}

fn blind(cx: &mut Cx<'_>, mapping: &Mapping, can: &Capabilities) {
    if mapping.conflicts.check != Check::Blind {
        return;
    }
    if can.update_needs_read() {
        let message = format!(
            "updates of `{}` need the record as it is, so it is read all the same",
            resource_name(mapping)
        );
        cx.report(Code::M307, Severity::Warning, "/conflicts/check", message).help("say `read`");
    } else {
        cx.report(
            Code::M307,
            Severity::Warning,
            "/conflicts/check",
            "a remote change that was not seen yet may be overwritten",
        )
        .help("say `read` unless the saved call is worth that");
    }
}
