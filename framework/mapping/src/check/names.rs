//! M104: names are unique, and so are pairs.

use crate::finding::{Code, Finding, Severity, Source};
use crate::mapping::Mapping;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of one kind, with where each was first given; `None`: compiled in.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, Option<Source>>);

impl Names {
    /// Takes a name that is compiled in.
    pub(crate) fn compiled_in(&mut self, name: &str) {
        self.0.insert(name.to_owned(), None);
    }

    /// Takes a name; false, and a finding, if it is taken.
    pub(crate) fn take(&mut self, kind: &str, name: &str, at: Source, findings: &mut Vec<Finding>) -> bool {
        let (message, help) = match self.0.get(name) {
            None => {
                self.0.insert(name.to_owned(), Some(at));
                return true;
            }
            Some(None) => (
                format!("the {kind} `{name}` is compiled in"),
                "give yours another name; a mapping's `connection` chooses other credentials for the same connector".to_owned(),
            ),
            Some(Some(first)) => (format!("there are two {kind}s `{name}`"), format!("the first is at {first}")),
        };
        findings.push(finding(at, message, help));
        false
    }
}

fn finding(at: Source, message: String, help: String) -> Finding {
    Finding {
        code: Code::M104,
        severity: Severity::Error,
        file: at.file,
        span: at.span,
        pointer: String::new(),
        message,
        help: Some(help),
        masked: false,
    }
}

/// No two mappings share a catalog, a connection and a resource with its parameters: links belong to that.
pub(crate) fn check_pairs(mappings: &[Arc<Mapping>], findings: &mut Vec<Finding>) {
    for (index, mapping) in mappings.iter().enumerate() {
        let twin = mappings
            .iter()
            .take(index)
            .find(|m| m.catalog.name == mapping.catalog.name && m.remote == mapping.remote);
        if let Some(twin) = twin {
            let message = format!(
                "`{}` already maps `{}` to `{}/{}`",
                twin.name, mapping.catalog.name, mapping.remote.connection, mapping.remote.resource
            );
            findings.push(finding(
                mapping.source.clone(),
                message,
                format!("put its fields into that mapping, at {}", twin.source),
            ));
        }
    }
}
