//! M103: no two variables read one environment variable, nor one that means something else.

use crate::build::sub;
use crate::finding::{Code, Finding, Severity};
use crate::mapping::Mapping;
use crate::tree::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Environment variables that other programs, or Bothways itself, read.
const RESERVED: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "SHELL",
    "PWD",
    "LANG",
    "TERM",
    "TMPDIR",
    "HOSTNAME",
    "LOGNAME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "DATABASE_URL",
];

/// Checks all connections that mappings use. `trees` gives the document of a connector that is not compiled in.
pub(crate) fn check(
    mappings: &[Arc<Mapping>],
    trees: &BTreeMap<String, (Arc<str>, &Node)>,
    findings: &mut Vec<Finding>,
) {
    let mut readers: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for mapping in mappings {
        let connection = mapping.remote.connection.as_str();
        if !seen.insert((connection.to_owned(), mapping.connector.name.clone())) {
            continue;
        }
        for var in &mapping.connector.vars {
            let env = var.env(connection);
            let me = (connection.to_owned(), var.name.clone());
            let message = if env.starts_with("BOTHWAYS_") || RESERVED.contains(&env.as_str()) {
                Some(format!(
                    "`{}` of the connection `{connection}` would read `{env}`, which means something else",
                    var.name
                ))
            } else {
                [env.clone(), format!("{env}_FILE")].iter().find_map(|name| readers.get(name)).filter(|other| **other != me).map(
                    |(other, name)| {
                        format!("`{}` of the connection `{connection}` and `{name}` of `{other}` would both read `{env}`", var.name)
                    },
                )
            };
            for name in [env.clone(), format!("{env}_FILE")] {
                readers.entry(name).or_insert_with(|| me.clone());
            }
            if let Some(message) = message {
                findings.push(finding(mapping, trees, &var.name, message));
            }
        }
    }
}

/// The finding, at the variable if its document is the user's own, else at the mapping that uses the connection.
fn finding(
    mapping: &Mapping,
    trees: &BTreeMap<String, (Arc<str>, &Node)>,
    var: &str,
    message: String,
) -> Finding {
    let pointer = sub("/vars", var);
    let (file, span, pointer) = match trees.get(&mapping.connector.name) {
        Some((file, node)) => (Arc::clone(file), node.key_place(&pointer), pointer),
        None => {
            let at = mapping.said_at("/remote");
            (Arc::clone(&at.file), at.span, "/remote".to_owned())
        }
    };
    Finding {
        code: Code::M103,
        severity: Severity::Error,
        file,
        span,
        pointer,
        message,
        help: Some("rename the variable, or the connection".to_owned()),
        masked: false,
    }
}
