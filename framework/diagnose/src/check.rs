//! Everything that can be said about a set of files: syntax, shape and meaning, each finding once.

use crate::shape;
use bothways_mapping::{
    Code, DocumentKind, Finding, Parsed, Project, Severity, SourceFile, load_parsed, sort,
};
use std::collections::BTreeMap;

/// What a check gave.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The documents, unless a finding is an error.
    pub project: Option<Project>,
    /// All findings, by file and place.
    pub findings: Vec<Finding>,
    /// The texts, for [`crate::render`].
    pub sources: BTreeMap<String, String>,
}

impl Checked {
    /// The text of a file.
    pub fn source(&self, file: &str) -> Option<&str> {
        self.sources.get(file).map(String::as_str)
    }

    /// True if any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

/// Checks `files` with the documents of compiled-in connectors. Like [`bothways_mapping::load`], but with every mistake of shape
/// instead of the first of each document.
pub fn check(files: &[SourceFile], builtin: &[SourceFile]) -> Checked {
    let parsed: Vec<Parsed> = files.iter().map(Parsed::new).collect();
    let loaded = load_parsed(&parsed, builtin);
    let mut findings = loaded.findings;
    for file in &parsed {
        for node in &file.documents {
            let Some(kind) = DocumentKind::of(node) else { continue };
            let inside = |f: &Finding| {
                f.file == file.file && (node.span.start..=node.span.end).contains(&f.span.start)
            };
            let mut shape = shape::check(&file.file, node, kind);
            // What building says about a text is better than "this is not a …".
            shape.retain(|s| {
                !(is_form(s.code) && findings.iter().any(|f| inside(f) && f.pointer == s.pointer))
            });
            if shape.iter().any(|s| !is_form(s.code)) {
                findings.retain(|f| !(inside(f) && is_shape(f.code)));
            }
            findings.extend(shape);
        }
    }
    sort(&mut findings);
    let errors = findings.iter().any(|f| f.severity == Severity::Error);
    Checked {
        project: loaded.project.filter(|_| !errors),
        findings,
        sources: files.iter().chain(builtin).map(|f| (f.name.clone(), f.text.clone())).collect(),
    }
}

/// Codes of the typed reading, which stops at the first mistake.
fn is_shape(code: Code) -> bool {
    matches!(code, Code::Y102 | Code::Y103 | Code::Y104 | Code::Y105 | Code::Y106 | Code::Y107)
}

/// Codes about the form of a text.
fn is_form(code: Code) -> bool {
    matches!(code, Code::Y108 | Code::Y109 | Code::Y110 | Code::Y111)
}
