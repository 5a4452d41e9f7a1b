//! From documents to checked types. Every text is parsed here, so that all bad ones of a document are reported at once;
//! where one cannot be used, a stand-in lets the rest be checked, and the error keeps the project from being used.

mod call;
mod catalog;
mod connector;
mod events;
mod field;
mod login;
mod mapping;
mod paging;
mod rate;
mod record;
mod reference;
mod resource;
mod words;

pub(crate) use catalog::{catalog, key_type};
pub(crate) use connector::connector;
pub(crate) use mapping::{Known, mapping, spans};

use crate::filter::Filter;
use crate::finding::{Code, Finding, Severity, Source, Span};
use crate::path::{BadPath, Query};
use crate::tree::{Node, join};
use crate::units::parse_duration;
use bothways_model::SingularPath;
use std::sync::Arc;
use std::time::Duration;

/// A document and where it is.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Arc<str>,
    pub(crate) text: &'a str,
    pub(crate) node: &'a Node,
}

impl Place<'_> {
    /// The source of the value at `pointer`.
    pub(crate) fn source(&self, pointer: &str) -> Source {
        Source { file: Arc::clone(self.file), span: self.node.place(pointer) }
    }

    /// The source of the key that leads to `pointer`.
    pub(crate) fn key_source(&self, pointer: &str) -> Source {
        Source { file: Arc::clone(self.file), span: self.node.key_place(pointer) }
    }
}

/// One document being built: its place, and what was found in it.
pub(crate) struct Cx<'a> {
    pub(crate) place: Place<'a>,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Cx<'a> {
    pub(crate) fn new(place: Place<'a>, findings: &'a mut Vec<Finding>) -> Self {
        Self { place, findings }
    }

    /// Reports something about the value at `pointer`.
    pub(crate) fn report(
        &mut self,
        code: Code,
        severity: Severity,
        pointer: &str,
        message: impl Into<String>,
    ) -> Report<'_> {
        self.report_span(code, severity, pointer, self.place.node.place(pointer), message)
    }

    pub(crate) fn report_span(
        &mut self,
        code: Code,
        severity: Severity,
        pointer: &str,
        span: Span,
        message: impl Into<String>,
    ) -> Report<'_> {
        let finding = Finding {
            code,
            severity,
            file: Arc::clone(self.place.file),
            span,
            pointer: pointer.to_owned(),
            message: message.into(),
            help: None,
            masked: false,
        };
        self.findings.push(finding);
        Report { text: self.place.text, finding: self.findings.last_mut() }
    }

    pub(crate) fn error(&mut self, code: Code, pointer: &str, message: impl Into<String>) -> Report<'_> {
        self.report(code, Severity::Error, pointer, message)
    }

    /// Reports something about the key that leads to `pointer`.
    pub(crate) fn key_error(&mut self, code: Code, pointer: &str, message: impl Into<String>) -> Report<'_> {
        self.report_span(code, Severity::Error, pointer, self.place.node.key_place(pointer), message)
    }

    pub(crate) fn source(&self, pointer: &str) -> Source {
        self.place.source(pointer)
    }

    fn bad_path(&mut self, code: Code, pointer: &str, bad: BadPath) {
        let mut report = self.error(code, pointer, bad.message);
        if let Some(help) = bad.help {
            report.help(help);
        }
    }

    /// A JSONPath; `$` where it is none.
    pub(crate) fn query(&mut self, pointer: &str, text: &str) -> Query {
        Query::parse(text).unwrap_or_else(|bad| {
            self.bad_path(Code::Y109, pointer, bad);
            Query::root()
        })
    }

    /// The path of a mapped field; `$` where it is none. Where the field is a list, a filter selects all that it fits.
    pub(crate) fn field_path(&mut self, pointer: &str, text: &str, as_list: bool) -> Query {
        if as_list {
            return self.query(pointer, text);
        }
        Query::parse_field(text).unwrap_or_else(|bad| {
            self.bad_path(Code::Y109, pointer, bad);
            Query::root()
        })
    }

    /// A path of names and non-negative indexes.
    pub(crate) fn singular(&mut self, pointer: &str, text: &str) -> Option<SingularPath> {
        match crate::path::parse_singular(text) {
            Ok(path) => Some(path),
            Err(bad) => {
                self.bad_path(Code::Y109, pointer, bad);
                None
            }
        }
    }

    /// A path that is a key of the document.
    pub(crate) fn singular_key(&mut self, pointer: &str, text: &str) -> Option<SingularPath> {
        match crate::path::parse_singular(text) {
            Ok(path) => Some(path),
            Err(bad) => {
                let mut report = self.key_error(Code::Y109, pointer, bad.message);
                if let Some(help) = bad.help {
                    report.help(help);
                }
                None
            }
        }
    }

    pub(crate) fn filter(&mut self, pointer: &str, text: &str) -> Option<Filter> {
        match Filter::parse(text) {
            Ok(filter) => Some(filter),
            Err(bad) => {
                self.bad_path(Code::Y110, pointer, bad);
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, pointer: &str, text: &str) -> Duration {
        parse_duration(text).unwrap_or_else(|expected| {
            self.error(Code::Y108, pointer, format!("`{text}` is not a duration"))
                .help(format!("write {expected}, for example `30s`"));
            Duration::ZERO
        })
    }

    /// A duration that may be missing.
    pub(crate) fn duration_or(
        &mut self,
        pointer: &str,
        text: Option<&crate::doc::DurationText>,
        default: Duration,
    ) -> Duration {
        text.map_or(default, |t| self.duration(pointer, t.as_str()))
    }

    /// How many findings there are, to see whether a step found any.
    pub(crate) fn count(&self) -> usize {
        self.findings.len()
    }

    /// Takes back what was found since then and had been found before.
    pub(crate) fn forget_repeated(&mut self, since: usize) {
        let fresh = self.findings.split_off(since.min(self.findings.len()));
        for finding in fresh {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// A name that others refer to.
    pub(crate) fn name(&mut self, pointer: &str, text: &str) {
        if !is_name(text) {
            self.error(Code::Y108, pointer, format!("`{text}` is not a name")).help(NAME_HELP);
        }
    }

    /// A name that is a key of the document.
    pub(crate) fn key_name(&mut self, pointer: &str, text: &str) {
        if !is_name(text) {
            self.key_error(Code::Y108, pointer, format!("`{text}` is not a name")).help(NAME_HELP);
        }
    }
}

const NAME_HELP: &str = "use letters, digits, `_` and `-`, not starting with a digit, at most 63 characters";

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && text.len() <= 63
}

/// A finding that was just reported, to say more about it.
pub(crate) struct Report<'a> {
    text: &'a str,
    finding: Option<&'a mut Finding>,
}

impl Report<'_> {
    /// What to do about it.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        if let Some(finding) = &mut self.finding {
            finding.help = Some(help.into());
        }
        self
    }

    /// What to do about a word that is none of `known`.
    pub(crate) fn did_you_mean<'k>(
        &mut self,
        word: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> &mut Self {
        let known: Vec<&str> = known.into_iter().collect();
        match crate::finding::nearest(word, known.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.help(crate::finding::listed(&known)),
        }
    }

    /// Points at `needle` within the value, if the source shows it there.
    pub(crate) fn within(&mut self, needle: &str) -> &mut Self {
        if let Some(finding) = &mut self.finding {
            let shown = self.text.get(finding.span.start..finding.span.end);
            let found = shown.and_then(|shown| Some((shown, shown.find(needle)?)));
            if let Some((shown, at)) = found.filter(|(shown, at)| {
                !needle.is_empty() && !shown.get(..*at).is_none_or(|b| b.contains('\n'))
            }) {
                let before = shown.get(..at).unwrap_or_default();
                finding.span.col += before.chars().count();
                finding.span.start += at;
                finding.span.end = finding.span.start + needle.len();
            }
        }
        self
    }

    /// The place holds what looks like a credential: it is not to be shown.
    pub(crate) fn mask(&mut self) -> &mut Self {
        if let Some(finding) = &mut self.finding {
            finding.masked = true;
        }
        self
    }
}

/// The pointer of `key` below `pointer`.
pub(crate) fn sub(pointer: &str, key: &str) -> String {
    join(pointer, key)
}
