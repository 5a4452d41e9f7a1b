//! M201 and M202: where outgoing fields are written. M204: tables of values.

use crate::build::{Cx, sub};
use crate::connector::{BodyFormat, IfMatch};
use crate::doc::{MappingDoc, MappingFieldLong};
use crate::finding::Code;
use crate::lens::Word;
use crate::mapping::{Direction, Mapping};
use crate::path::Query;
use bothways_model::{FieldType, Segment, SingularPath, Value};

const ONE_PLACE: &str = "use names, non-negative indexes, and for an element of a list a member's text such as `[?@.type == 'work']`";

/// M201: the place a field is written at.
pub(crate) fn writable(
    cx: &mut Cx<'_>,
    pointer: &str,
    remote_at: &str,
    read: &Query,
    direction: Direction,
    long: Option<&MappingFieldLong>,
) -> Option<SingularPath> {
    let write = long.and_then(|l| l.write.as_ref());
    let write_at = sub(pointer, "write");
    if !direction.goes_out() {
        if write.is_some() {
            cx.error(Code::M201, &write_at, "this field only comes in, and is never written there")
                .help("remove `write`, or change `direction`");
        }
        return None;
    }
    if read.singular().is_none() {
        cx.error(Code::M201, remote_at, "a field that goes out needs a path to exactly one place")
            .help(format!("{ONE_PLACE}, or add `direction: in`"));
        return None;
    }
    let path = match write {
        Some(write) => {
            let path = cx.field_path(&write_at, write.as_str(), false);
            let Some(path) = path.singular().cloned() else {
                cx.error(Code::M201, &write_at, "a field is written at exactly one place").help(ONE_PLACE);
                return None;
            };
            path
        }
        None => read.singular()?.clone(),
    };
    let at = if write.is_some() { write_at.as_str() } else { remote_at };
    for (step, next) in path.0.iter().zip(path.0.iter().skip(1).map(Some).chain([None])) {
        let Segment::Element { name, .. } = step else { continue };
        if !matches!(next, Some(Segment::Name(member)) if member != name) {
            cx.error(Code::M201, at, format!("`{name}` chooses the element, and would be written over"))
                .help("name another member of the element, for example `.number`");
            return None;
        }
    }
    if path.0.is_empty() {
        cx.error(Code::M201, at, "a field is one place in the record, not the record")
            .help("for example `$.name`");
        return None;
    }
    Some(path)
}

/// M202: no two outgoing paths overlap, nor the stamp, nor a constant.
pub(crate) fn check(cx: &mut Cx<'_>, doc: &MappingDoc, mapping: &Mapping) {
    let mut written: Vec<(&SingularPath, String)> = Vec::new();
    if let Some(stamp) = &mapping.identity.stamp {
        written.push((stamp, "the stamp".to_owned()));
    }
    if let Some(IfMatch::Record(path)) = mapping.resource().and_then(|r| r.update.as_ref()?.if_match.as_ref())
    {
        written.push((path, "the record's version".to_owned()));
    }
    for field in &mapping.fields {
        let Some(path) = &field.write else { continue };
        let label = super::label_of(doc, field);
        let long = matches!(doc.fields.get(label), Some(crate::doc::MappingFieldDoc::Long(_)));
        let base = sub("/fields", label);
        let own = field.read.singular() != Some(path);
        let pointer = if own {
            sub(&base, "write")
        } else if long {
            sub(&base, "remote")
        } else {
            base
        };
        if path.keyed_list().is_some() && mapping.connector.http.body == BodyFormat::Form {
            cx.error(Code::M201, &pointer, "a form has no way to choose an element of a list")
                .help("add `direction: in`");
        }
        // The other half of one text is written with it.
        if field.lens.part().is_some_and(|part| part.is_last) {
            continue;
        }
        // A name that is looked up is written as its id.
        let path = mapping.resource().map_or(path, |resource| resource.held_at(path));
        overlap(cx, &pointer, false, path, &written);
        written.push((path, format!("`{}`", field.label)));
    }
    for (path, _) in &mapping.on_create.remote {
        let key = doc
            .on_create
            .iter()
            .flat_map(|o| o.remote.keys())
            .find(|k| crate::path::parse_singular(k).is_ok_and(|p| p == *path));
        let pointer = sub("/on_create/remote", key.unwrap_or_default());
        overlap(cx, &pointer, true, path, &written);
        written.push((path, format!("the constant at `{path}`")));
    }
}

fn overlap(
    cx: &mut Cx<'_>,
    pointer: &str,
    is_key: bool,
    path: &SingularPath,
    written: &[(&SingularPath, String)],
) {
    if let Some((_, other)) = written.iter().find(|(p, _)| p.overlaps(path)) {
        let message = format!("{other} already writes at `{path}`, or at a part of it");
        let mut report = if is_key {
            cx.key_error(Code::M202, pointer, message)
        } else {
            cx.error(Code::M202, pointer, message)
        };
        report.help("one place in a record has one writer");
    }
}

/// M204: a table that is first in its chain is one-to-one, and covers what the local side can hold.
pub(crate) fn values(cx: &mut Cx<'_>, pointer: &str, words: &[Word], ty: &FieldType, direction: Direction) {
    if words.is_empty() {
        cx.error(Code::M204, pointer, "the table is empty")
            .help("list each local word and what the remote writes for it");
        return;
    }
    for (index, word) in words.iter().enumerate() {
        let pointer = sub(pointer, &word.local);
        let twin = words.iter().take(index).find(|w| w.remote == word.remote);
        if let Some(twin) = twin.filter(|_| direction.comes_in()) {
            let message = format!(
                "`{}` and `{}` have the same remote value, so coming in it could be either",
                twin.local, word.local
            );
            cx.error(Code::M204, &pointer, message)
                .help("give each a value of its own, or add `direction: out`");
        }
        if Value::from_text(ty, &word.local).is_err() {
            let message = format!("the local field cannot hold `{}`: its type is `{ty}`", word.local);
            let mut report = cx.key_error(Code::M204, &pointer, message);
            if let FieldType::Enum(words) = ty {
                report.did_you_mean(&word.local, words.iter().map(String::as_str));
            }
        }
    }
    let all: Vec<String> = match ty {
        FieldType::Enum(words) => words.clone(),
        FieldType::Bool => vec!["true".into(), "false".into()],
        _ => return,
    };
    let missing: Vec<String> = all
        .iter()
        .filter(|w| !words.iter().any(|word| word.local == **w))
        .map(|w| format!("`{w}`"))
        .collect();
    if direction.goes_out() && !missing.is_empty() {
        cx.error(Code::M204, pointer, format!("the table says nothing about {}", missing.join(", ")))
            .help("a row with such a value could not be sent: add it");
    }
}
