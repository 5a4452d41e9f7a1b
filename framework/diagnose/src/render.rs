//! Findings as rustc would print them: file:line:col, the line, a caret, what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use bothways_mapping::{Code, Finding, Severity, redact};
use std::borrow::Cow;
use std::ops::Range;

/// So many findings are printed: more than anybody mends at once.
const MOST: usize = 100;
/// Lines longer than this are named and not shown, in bytes.
const LONGEST: usize = 2_000;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With colours, for a terminal.
    Coloured,
    /// Without.
    Plain,
}

/// Prints `findings`, each with a blank line after it. `source` gives the text of a file.
pub fn render<'s>(findings: &[Finding], source: &dyn Fn(&str) -> Option<&'s str>, style: Style) -> String {
    let renderer = match style {
        Style::Coloured => Renderer::styled(),
        Style::Plain => Renderer::plain(),
    };
    let mut out = String::new();
    for finding in findings.iter().take(MOST) {
        out.push_str(&one(finding, source(&finding.file), &renderer));
        out.push_str("\n\n");
    }
    if let Some(more) = findings.len().checked_sub(MOST).filter(|more| *more > 0) {
        out.push_str(&format!("… and {more} more; `--format json` has them all\n\n"));
    }
    out
}

fn one(finding: &Finding, source: Option<&str>, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let message = abridged(redact(&finding.message));
    let title = level.primary_title(message.as_ref()).id(finding.code.as_str());
    // A file that is too large is named, not shown.
    let line = source
        .filter(|_| finding.code != Code::Y003 || finding.span.start > 0)
        .and_then(|text| Line::of(text, finding));
    let mut group = match &line {
        Some(line) => {
            let annotation = AnnotationKind::Primary.span(line.span.clone());
            let snippet =
                Snippet::source(line.text.as_ref()).line_start(finding.span.line).path(&*finding.file);
            Group::with_title(title).element(snippet.annotation(annotation))
        }
        None => {
            let origin = annotate_snippets::Origin::path(&*finding.file);
            Group::with_title(title).element(origin.line(finding.span.line).char_column(finding.span.col))
        }
    };
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(abridged(redact(help))));
    }
    renderer.render(&[group])
}

/// A text with its middle left out if it is longer than anybody reads: it may quote a name of any length.
fn abridged(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text;
    }
    let head: String = text.chars().take(LONGEST / 8).collect();
    let tail: Vec<char> = text.chars().rev().take(LONGEST / 8).collect();
    Cow::Owned(format!("{head} … {}", tail.into_iter().rev().collect::<String>()))
}

/// The first line of a finding's place, which is all that is shown of it.
struct Line<'t> {
    text: Cow<'t, str>,
    /// The place within the line.
    span: Range<usize>,
}

impl<'t> Line<'t> {
    /// `None` if the place is not in `text`, or in a line that is too long to be shown.
    fn of(text: &'t str, finding: &Finding) -> Option<Self> {
        let (before, from) = (text.get(..finding.span.start)?, text.get(finding.span.start..)?);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = finding.span.start + from.find(['\n', '\r']).unwrap_or(from.len());
        let line = text.get(line_start..line_end).filter(|line| line.len() <= LONGEST)?;
        let start = finding.span.start - line_start;
        let end = finding.span.end.clamp(finding.span.start, line_end) - line_start;
        let end = start + line.get(start..end)?.trim_end().len();
        let text = if finding.masked { Cow::Owned(masked(line)) } else { redact(line) };
        Some(Self { text, span: start..end })
    }
}

/// A line with everything after its key blacked out, byte for byte, so that places stay right.
fn masked(line: &str) -> String {
    let key = line.find(": ").map_or(0, |at| at + 2);
    let (key, value) = line.split_at(key);
    format!("{key}{}", "*".repeat(value.len()))
}
