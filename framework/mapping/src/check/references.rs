//! M401: what a reference refers to by links is mapped on the same connection, once, and something of every circle may wait.

use crate::build::sub;
use crate::finding::{Code, Finding, Severity};
use crate::mapping::{Field, Mapping, Reference};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every reference of every mapping.
pub(crate) fn check_all(mappings: &[Arc<Mapping>], findings: &mut Vec<Finding>) {
    for mapping in mappings {
        for field in &mapping.fields {
            let Some(reference) = &field.reference else { continue };
            let target = match reference {
                Reference::Link(catalog) => catalog,
                Reference::Lookup(lookup) => &lookup.catalog,
            };
            if mapping.identity.matching.contains(&field.label) {
                let message =
                    format!("`{}` refers to `{target}`, and rows cannot be matched by it", field.label);
                push(findings, field, message, "match by fields whose values both sides hold");
            }
            if field.lookup().is_some() {
                continue;
            }
            let connection = &mapping.remote.connection;
            match targets(mappings, mapping, target).as_slice() {
                [_] => {}
                [] => push(
                    findings,
                    field,
                    format!(
                        "`{}` refers to `{target}`, which no mapping brings to connection `{connection}`",
                        field.label
                    ),
                    "map that catalog on the same connection, or leave the field out",
                ),
                [one, other, ..] => push(
                    findings,
                    field,
                    format!(
                        "`{}` refers to `{target}`, which both `{}` and `{}` bring to connection `{connection}`",
                        field.label, one.name, other.name
                    ),
                    "a reference needs one mapping of its catalog on the connection",
                ),
            }
        }
    }
    circles(mappings, findings);
}

/// The mappings of a catalog on the connection of `mapping`.
fn targets<'m>(mappings: &'m [Arc<Mapping>], mapping: &Mapping, catalog: &str) -> Vec<&'m Arc<Mapping>> {
    let same = |other: &&Arc<Mapping>| {
        other.catalog.name == catalog && other.remote.connection == mapping.remote.connection
    };
    mappings.iter().filter(same).collect()
}

/// A circle of needed references could never begin: each would wait for the next.
fn circles(mappings: &[Arc<Mapping>], findings: &mut Vec<Finding>) {
    for start in mappings {
        for field in start.fields.iter().filter(|field| start.needs(field)) {
            let Some(target) = field.linked() else { continue };
            let mut met = BTreeSet::new();
            let mut open = targets(mappings, start, target);
            while let Some(mapping) = open.pop() {
                if mapping.name == start.name {
                    let message = format!(
                        "`{}` needs `{target}`, which needs `{}` itself",
                        field.label, start.catalog.name
                    );
                    let help = "make one reference of the circle optional: it is written once both records are there";
                    push(findings, field, message, help);
                    break;
                }
                if met.insert(&mapping.name) {
                    let needed = mapping.fields.iter().filter(|field| mapping.needs(field));
                    open.extend(
                        needed.filter_map(|f| f.linked()).flat_map(|next| targets(mappings, mapping, next)),
                    );
                }
            }
        }
    }
}

fn push(findings: &mut Vec<Finding>, field: &Field, message: String, help: &str) {
    findings.push(Finding {
        code: Code::M401,
        severity: Severity::Error,
        file: Arc::clone(&field.source.file),
        span: field.source.span,
        pointer: sub("/fields", &field.label),
        message,
        help: Some(help.to_owned()),
        masked: false,
    });
}
