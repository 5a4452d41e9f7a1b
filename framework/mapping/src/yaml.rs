//! Text to trees: the only module that knows the YAML library.
//!
//! It reads the library's event stream, which has exact places and tells plain from quoted scalars, so that types can be
//! decided by the documents' own types instead of by looks. Whatever makes YAML surprising is refused here: anchors,
//! aliases, merge keys, tags, duplicate keys; and limits are kept while reading, so that no input costs much.

use crate::finding::{Code, Finding, Severity, Span};
use crate::tree::{Content, Entry, Node};
use serde_yaml::granit_parser::{
    self as granit, ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, StrInput,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most nodes of one file.
pub const MAX_NODES: usize = 20_000;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// So many anchors, aliases and tags are named; one is enough to refuse the file.
const MAX_REPEATED: usize = 5;
/// What ends a line: to YAML a carriage return by itself does too.
const LINE_BREAKS: [char; 2] = ['\n', '\r'];
/// So many duplicate keys are named.
const MAX_DUPLICATES: usize = 50;

/// The documents of one file, and what is wrong with it. Documents before a fatal finding are given as well.
pub fn parse(file: &Arc<str>, text: &str) -> (Vec<Node>, Vec<Finding>) {
    let mut reader = Reader::new(file, text);
    if text.len() > MAX_BYTES {
        // Whoever reads files stops somewhere beyond the limit, so the size is not known.
        let message = "the file is larger than 1 MiB".to_owned();
        reader.report(
            Code::Y003,
            Span { line: 1, col: 1, start: 0, end: 0 },
            message,
            "split it into several files",
        );
        return (Vec::new(), reader.findings);
    }
    if let Some(at) = text.find(char::REPLACEMENT_CHARACTER) {
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let col = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let span = Span { line, col, start: at, end: at + char::REPLACEMENT_CHARACTER.len_utf8() };
        let message = "a character that is none: the file is not UTF-8 text".to_owned();
        reader.report(Code::Y001, span, message, "save the file as UTF-8");
        return (Vec::new(), reader.findings);
    }
    let documents = reader.documents();
    (documents, reader.findings)
}

struct Reader<'t> {
    file: Arc<str>,
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
    repeated: usize,
    duplicates: usize,
    findings: Vec<Finding>,
}

/// Reading this file is over; a finding says why.
struct Fatal;

impl<'t> Reader<'t> {
    fn new(file: &Arc<str>, text: &'t str) -> Self {
        let options = granit::options! { emit_unresolved_aliases: true };
        let parser = Parser::new_from_str_with_options(text, options);
        Self {
            file: Arc::clone(file),
            text,
            parser,
            nodes: 0,
            repeated: 0,
            duplicates: 0,
            findings: Vec::new(),
        }
    }

    fn documents(&mut self) -> Vec<Node> {
        let mut documents = Vec::new();
        loop {
            match self.event() {
                Ok(Some((Event::DocumentStart(..) | Event::StreamStart | Event::DocumentEnd, _))) => {}
                Ok(Some((event, span))) if event.is_node() => match self.node(event, span, 1) {
                    Ok(node) if node.is_nothing() => {}
                    Ok(node) => documents.push(node),
                    Err(Fatal) => return documents,
                },
                Ok(Some((Event::StreamEnd, _)) | None) | Err(Fatal) => return documents,
                Ok(Some(_)) => {}
            }
        }
    }

    fn event(&mut self) -> Result<Option<(Event<'t>, granit::Span)>, Fatal> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                self.syntax(&error);
                Err(Fatal)
            }
        }
    }

    fn node(&mut self, event: Event<'t>, at: granit::Span, depth: usize) -> Result<Node, Fatal> {
        let mut span = self.span(at);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.report(Code::Y003, span, format!("more than {MAX_NODES} values"), "split the file");
            return Err(Fatal);
        }
        if depth > MAX_DEPTH {
            self.report(
                Code::Y003,
                span,
                format!("nested more than {MAX_DEPTH} deep"),
                "no document needs that: look for a bracket that is never closed",
            );
            return Err(Fatal);
        }
        if event.anchor_id().is_some() {
            self.repeated(
                Code::Y002,
                mark_before(self.text, span, '&'),
                "anchors are not supported",
                "write the value where it is used: what you read is what runs",
            )?;
        }
        if let Some(tag) = event.tag() {
            self.repeated(
                Code::Y009,
                mark_before(self.text, span, '!'),
                format!("tags such as `{}` are not supported", tag.original()),
                "remove it: types follow from the key",
            )?;
        }
        let content = match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                // The parser calls an empty place `~`; here it stays what was written.
                let text = if plain && span.start == span.end { String::new() } else { text.into_owned() };
                Content::Scalar { text, plain }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.repeated(
                    Code::Y002,
                    span,
                    "aliases are not supported",
                    "write the value here; quote it if it is text that starts with `*`",
                )?;
                Content::Scalar { text: "*".to_owned(), plain: false }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some((event, at)) = self.event()? {
                    if matches!(event, Event::SequenceEnd) {
                        span = self.until(span, at);
                        break;
                    }
                    items.push(self.node(event, at, depth + 1)?);
                }
                Content::List(items)
            }
            _ => {
                let entries = self.entries(&mut span, depth)?;
                Content::Map(entries)
            }
        };
        Ok(Node { span, content })
    }

    fn entries(&mut self, span: &mut Span, depth: usize) -> Result<Vec<Entry>, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some((event, at)) = self.event()? {
            if matches!(event, Event::MappingEnd) {
                *span = self.until(*span, at);
                break;
            }
            let key = self.node(event, at, depth + 1)?;
            let Some((event, at)) = self.event()? else { break };
            let value = self.node(event, at, depth + 1)?;
            let Content::Scalar { text, plain } = key.content else {
                self.report(
                    Code::Y009,
                    key.span,
                    "a key must be text",
                    "quote it, if braces or brackets are part of the key",
                );
                continue;
            };
            if text == "<<" && plain {
                self.repeated(
                    Code::Y002,
                    key.span,
                    "merge keys are not supported",
                    "write the values where they are used: what you read is what runs",
                )?;
                continue;
            }
            if !seen.insert(text.clone()) {
                self.duplicates += 1;
                if self.duplicates > MAX_DUPLICATES {
                    continue;
                }
                let first = entries.iter().find(|e| e.key == text).map(|e| e.key_span.line);
                let first = first.map_or_else(String::new, |line| format!("; the first is in line {line}"));
                self.report(
                    Code::Y004,
                    key.span,
                    format!("the key `{text}` is here twice"),
                    &format!("remove one{first}"),
                );
                continue;
            }
            entries.push(Entry { key: text, key_span: key.span, value });
        }
        Ok(entries)
    }

    /// Reports something that may be all over a file, without filling the screen.
    fn repeated(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        help: &str,
    ) -> Result<(), Fatal> {
        self.report(code, span, message, help);
        self.repeated += 1;
        if self.repeated >= MAX_REPEATED { Err(Fatal) } else { Ok(()) }
    }

    fn report(&mut self, code: Code, span: Span, message: impl Into<String>, help: &str) {
        self.findings.push(Finding {
            code,
            severity: Severity::Error,
            file: Arc::clone(&self.file),
            span,
            pointer: String::new(),
            message: message.into(),
            help: Some(help.to_owned()),
            masked: false,
        });
    }

    fn span(&self, at: granit::Span) -> Span {
        let start = self.byte(&at.start);
        let end = self.byte(&at.end).max(start);
        let shown = self.text.get(start..end).unwrap_or_default().trim_end();
        Span { line: at.start.line(), col: at.start.col() + 1, start, end: start + shown.len() }
    }

    /// `span` up to the end of a collection.
    fn until(&self, span: Span, end: granit::Span) -> Span {
        let end = self.byte(&end.end).max(span.end);
        let shown = self.text.get(span.start..end).unwrap_or_default().trim_end();
        Span { end: span.start + shown.len(), ..span }
    }

    fn byte(&self, marker: &Marker) -> usize {
        marker.byte_offset().unwrap_or(0).min(self.text.len())
    }

    fn syntax(&mut self, error: &ScanError) {
        let marker = error.marker();
        let start = self.byte(marker);
        let next = self.text.get(start..).and_then(|rest| rest.chars().next());
        let width = next.filter(|c| *c != '\n').map_or(0, char::len_utf8);
        let span = Span { line: marker.line().max(1), col: marker.col() + 1, start, end: start + width };
        let line = line_at(self.text, start);
        let (code, message, help) = explain(error, line);
        let tab = self.text.get(..start).filter(|before| code == Code::Y007 && before.ends_with('\t'));
        let span = match tab {
            Some(before) => {
                Span { col: span.col.saturating_sub(1).max(1), start: before.len() - 1, end: start, ..span }
            }
            None => span,
        };
        self.report(code, span, message, &help);
    }
}

/// Where the anchor or tag of a node starts: it stands before the node, on the same line.
fn mark_before(text: &str, span: Span, mark: char) -> Span {
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.rfind(LINE_BREAKS).map_or(0, |at| at + 1);
    match before.get(line..).and_then(|l| l.rfind(mark)) {
        Some(at) => {
            let shown = text.get(line + at..span.start).unwrap_or_default();
            let end = line + at + shown.trim_end().len();
            let col = span.col.saturating_sub(shown.chars().count()).max(1);
            Span { line: span.line, col, start: line + at, end }
        }
        None => span,
    }
}

/// The line that holds the byte `at`.
fn line_at(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or(text);
    let from = before.rfind(LINE_BREAKS).map_or(0, |i| i + 1);
    text.get(from..).unwrap_or_default().lines().next().unwrap_or_default()
}

/// What a syntax error means to a person, by its kind and the line it is in.
fn explain(error: &ScanError, line: &str) -> (Code, String, String) {
    let value = value_of(line);
    let quoted = value.map(|value| quote(value.trim_matches('`')));
    match error.kind() {
        ErrorKind::UnexpectedCharacter { character: character @ ('@' | '`' | '%') } => (
            Code::Y005,
            match character {
                '`' => "a backtick cannot start a plain value in YAML".to_owned(),
                other => format!("`{other}` cannot start a plain value in YAML"),
            },
            quoted.map_or_else(|| "put the value in double quotes".to_owned(), |q| format!("quote it: {q}")),
        ),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => {
            (Code::Y007, "a tab, where YAML wants spaces".into(), "indent with spaces; two are usual".into())
        }
        ErrorKind::RecursionLimitExceeded => (
            Code::Y003,
            format!("nested more than {MAX_DEPTH} deep"),
            "no document needs that: look for a bracket that is never closed".into(),
        ),
        _ if line.contains('\t') && line.trim_start_matches(' ').starts_with('\t') => {
            (Code::Y007, "a tab, where YAML wants spaces".into(), "indent with spaces; two are usual".into())
        }
        _ if has_loose_braces(line) => (
            Code::Y006,
            "braces or brackets that YAML reads as its own".into(),
            format!("quote the value that holds them, for example {}", loose_example(line)),
        ),
        ErrorKind::UnclosedFlowCollection { open } => (
            Code::Y006,
            format!("this `{open}` is never closed"),
            "close it, or quote the value if it is part of a text".into(),
        ),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::DocumentIndicatorInQuotedScalar => (
            Code::Y001,
            "a quoted text is not closed before this line".into(),
            "close the quote; inside double quotes, write `\\\"` for a quote".into(),
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::ExpectedDocumentStart => (
            Code::Y008,
            "this line does not fit: it is indented wrongly, or `:` is missing".into(),
            "give keys of one level the same indentation, and a space after each `:`".into(),
        ),
        _ => (
            Code::Y001,
            format!("not YAML: {}", lower_first(&error.info())),
            "look at this line and the one before it".into(),
        ),
    }
}

/// What follows `key: ` in a line.
fn value_of(line: &str) -> Option<&str> {
    let (_, value) = line.split_once(": ")?;
    let value = value.split(" #").next().unwrap_or(value).trim();
    (!value.is_empty() && !value.contains(['{', '}', ','])).then_some(value)
}

fn quote(value: &str) -> String {
    format!("`\"{}\"`", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `${x}`, `{x}` or `[-1]` inside an unquoted value.
fn has_loose_braces(line: &str) -> bool {
    let mut before = ' ';
    let mut quote: Option<char> = None;
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') && !before.is_alphanumeric() => quote = Some(c),
            None if matches!(c, '{' | '[') && !matches!(before, ' ' | '{' | '[' | ',' | ':') => return true,
            None if before == '}' && !matches!(c, ' ' | ',' | '}' | ']' | '{') => return true,
            None => {}
        }
        before = c;
    }
    false
}

fn loose_example(line: &str) -> &'static str {
    if line.contains("call:") {
        "`{ call: \"DELETE /people/{id}\" }`"
    } else if line.contains("${") {
        "`{ bearer: \"${api_key}\" }`"
    } else if line.contains('[') {
        "`{ value: \"$.data[-1].id\" }`"
    } else {
        "`signs: \"{timestamp}.{body}\"`"
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
