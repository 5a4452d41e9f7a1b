//! M402: one place has one writer.

use crate::build::{Cx, sub};
use crate::doc::{MappingDoc, MappingFieldDoc};
use crate::finding::{Code, Finding, Severity};
use crate::mapping::{CreatePolicy, Field, Mapping};
use bothways_model::{Ident, KeyMaker};
use std::sync::Arc;

/// Within one mapping: no two fields write one local column, nor a constant. The key is written only where it comes with the row.
pub(crate) fn check_mapping(cx: &mut Cx<'_>, doc: &MappingDoc, mapping: &Mapping) {
    let mut writers: Vec<(&str, String)> = Vec::new();
    if let Some(remote_id) = &mapping.identity.remote_id {
        writers.push((remote_id, "`identity.remote_id`".to_owned()));
    }
    for field in mapping.fields.iter().filter(|f| f.direction.comes_in()) {
        let label = super::label_of(doc, field);
        let base = sub("/fields", label);
        let pointer = match doc.fields.get(label) {
            Some(MappingFieldDoc::Long(long)) if long.local.is_some() => sub(&base, "local"),
            _ => base,
        };
        let is_key = !pointer.ends_with("/local");
        if mapping.catalog.key.contains(field.local_name()) {
            check_key(cx, &pointer, is_key, mapping, field);
        }
        if let Some((_, other)) = writers.iter().find(|(name, _)| *name == field.local_name()) {
            let message = format!("{other} already writes the local field `{}`", field.local_name());
            report(cx, &pointer, is_key, message)
                .help("make one of them `direction: out`, or give it a column of its own");
        }
        writers.push((field.local_name(), format!("`{}`", field.label)));
    }
    for (name, _) in &mapping.on_create.local {
        if let Some((_, other)) = writers.iter().find(|(written, _)| written == name) {
            let message = format!("{other} already writes the local field `{name}`");
            cx.key_error(Code::M402, &sub("/on_create/local", name), message)
                .help("a constant is for fields that nothing else fills");
        }
    }
    check_inserted_key(cx, mapping);
}

/// A field that comes in for the key, or for a part of it.
fn check_key(cx: &mut Cx<'_>, pointer: &str, is_key: bool, mapping: &Mapping, field: &Field) {
    if mapping.catalog.made_by != KeyMaker::Inserter {
        let message = "the key is made by the database or the engine, and never written".to_owned();
        report(cx, pointer, is_key, message)
            .help("add `direction: out` to send it, or give the remote's key a column of its own");
    } else if !field.immutable {
        let message = format!(
            "`{}` is part of the key `{}`, and what comes in never gives a row another key",
            field.local_name(),
            mapping.catalog.key
        );
        report(cx, pointer, is_key, message)
            .help("add `immutable: true`: it is set when the row is created, and a later change parks. Or `direction: out`");
    }
}

/// Rows that are created have a whole key.
fn check_inserted_key(cx: &mut Cx<'_>, mapping: &Mapping) {
    let creates = mapping.creates.from_remote == CreatePolicy::Create;
    if !creates || mapping.catalog.made_by != KeyMaker::Inserter {
        return;
    }
    for name in mapping.catalog.key.names() {
        let comes_in = mapping.fields.iter().any(|f| f.direction.comes_in() && f.local_name() == name);
        if comes_in || mapping.on_create.local.iter().any(|(set, _)| set == name) {
            continue;
        }
        let message = format!(
            "rows are created, and nothing gives them `{name}`, which is part of the key `{}`",
            mapping.catalog.key
        );
        cx.error(Code::M402, "/creates/from_remote", message).help(format!(
            "map it with `immutable: true`, set it with `on_create: {{ local: {{ {name}: … }} }}`, or say `creates: {{ from_remote: manual }}`"
        ));
    }
}

fn report<'r>(cx: &'r mut Cx<'_>, pointer: &str, is_key: bool, message: String) -> crate::build::Report<'r> {
    if is_key { cx.key_error(Code::M402, pointer, message) } else { cx.error(Code::M402, pointer, message) }
}

/// Across mappings: two catalogs over one table do not write one column, two catalogs do not write one path of one remote record, and
/// one column does not hold the ids of two records.
pub(crate) fn check_all(mappings: &[Arc<Mapping>], findings: &mut Vec<Finding>) {
    check_remote_ids(mappings, findings);
    for (index, mapping) in mappings.iter().enumerate() {
        for earlier in mappings.iter().take(index).filter(|m| m.catalog.name != mapping.catalog.name) {
            if same_table(mapping, earlier) {
                for field in mapping.fields.iter().filter(|f| f.direction.comes_in()) {
                    let column = column(mapping, field);
                    let twin = earlier
                        .fields
                        .iter()
                        .find(|f| f.direction.comes_in() && self::column(earlier, f) == column);
                    if let (Some(column), Some(_)) = (column, twin) {
                        let message = format!(
                            "`{}` writes the column `{column}` of the same table through the catalog `{}`",
                            earlier.name, earlier.catalog.name
                        );
                        push(
                            findings,
                            field,
                            message,
                            "use one catalog for the table, or make one of them `direction: out`",
                        );
                    }
                }
            }
            if same_remote(mapping, earlier) {
                for field in mapping.fields.iter() {
                    let Some(path) = &field.write else { continue };
                    let twin =
                        earlier.fields.iter().find(|f| f.write.as_ref().is_some_and(|p| p.overlaps(path)));
                    if twin.is_some() {
                        let message = format!(
                            "`{}` writes `{path}` of the same remote records from the catalog `{}`",
                            earlier.name, earlier.catalog.name
                        );
                        push(findings, field, message, "make one of them `direction: in`");
                    }
                }
            }
        }
    }
}

/// A column holds the id of one record, unless no row takes part in both mappings.
fn check_remote_ids(mappings: &[Arc<Mapping>], findings: &mut Vec<Finding>) {
    const POINTER: &str = "/identity/remote_id";
    let mut said: Vec<&str> = Vec::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let Some(column) = remote_id_column(mapping) else { continue };
        let twin = mappings.iter().take(index).find(|earlier| {
            same_table(mapping, earlier)
                && remote_id_column(earlier) == Some(column)
                && !are_apart(mapping, earlier)
        });
        let Some(twin) = twin.filter(|_| !said.contains(&mapping.document.as_str())) else { continue };
        said.push(&mapping.document);
        let at = mapping.said_at(POINTER);
        findings.push(Finding {
            code: Code::M402,
            severity: Severity::Error,
            file: Arc::clone(&at.file),
            span: at.span,
            pointer: POINTER.to_owned(),
            message: format!("`{}` keeps the ids of its records in the column `{column}` as well", twin.name),
            help: Some(
                "a row has one record with each of them: give each its own column, and its own mapping where one has several connections"
                    .to_owned(),
            ),
            masked: false,
        });
    }
}

fn remote_id_column(mapping: &Mapping) -> Option<&Ident> {
    mapping.catalog.field(mapping.identity.remote_id.as_ref()?).map(|f| &f.column)
}

/// Whether no row takes part in both: a field would have to have two values.
fn are_apart(a: &Mapping, b: &Mapping) -> bool {
    a.only.local.iter().any(|(field, value)| {
        let column = |mapping: &Mapping, name: &str| mapping.catalog.field(name).map(|f| f.column.clone());
        b.only.local.iter().any(|(other, is)| column(a, field) == column(b, other) && value != is)
    })
}

fn column<'m>(mapping: &'m Mapping, field: &Field) -> Option<&'m Ident> {
    mapping.catalog.field(field.local_name()).map(|f| &f.column)
}

fn same_table(a: &Mapping, b: &Mapping) -> bool {
    a.catalog.table == b.catalog.table && a.catalog.schema == b.catalog.schema
}

fn same_remote(a: &Mapping, b: &Mapping) -> bool {
    a.remote.connection == b.remote.connection
        && a.remote.resource == b.remote.resource
        && a.remote.params == b.remote.params
}

fn push(findings: &mut Vec<Finding>, field: &Field, message: String, help: &str) {
    findings.push(Finding {
        code: Code::M402,
        severity: Severity::Error,
        file: Arc::clone(&field.source.file),
        span: field.source.span,
        pointer: sub("/fields", &field.label),
        message,
        help: Some(help.to_owned()),
        masked: false,
    });
}
