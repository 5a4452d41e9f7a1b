//! Findings as rustc would print them: file:line:col, the line, a caret, what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use bothways_mapping::{Code, Finding, Severity};
use std::borrow::Cow;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With colours, for a terminal.
    Coloured,
    /// Without.
    Plain,
}

/// A source longer than this is not shown; its findings name the place only.
const MAX_SOURCE: usize = 2 * 1024 * 1024;

/// Prints `findings`, each with a blank line after it. `source` gives the text of a file.
pub fn render<'s>(findings: &[Finding], source: &dyn Fn(&str) -> Option<&'s str>, style: Style) -> String {
    let renderer = match style {
        Style::Coloured => Renderer::styled(),
        Style::Plain => Renderer::plain(),
    };
    let mut out = String::new();
    for finding in findings {
        out.push_str(&one(finding, source(&finding.file), &renderer));
        out.push_str("\n\n");
    }
    out
}

fn one(finding: &Finding, source: Option<&str>, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&*finding.message).id(finding.code.as_str());
    let shown = source.filter(|text| text.len() <= MAX_SOURCE && finding.span.end <= text.len());
    let shown = shown.filter(|_| !(finding.code == Code::Y003 && finding.span.start == 0));
    let text = shown.map(|text| if finding.masked { masked(text, finding) } else { Cow::Borrowed(text) });
    let mut group = match &text {
        Some(text) => {
            let span = finding.span.start..finding.span.end.max(finding.span.start);
            let annotation = AnnotationKind::Primary.span(first_line(text, span));
            Group::with_title(title)
                .element(Snippet::source(text.as_ref()).path(&*finding.file).annotation(annotation))
        }
        None => Group::with_title(title).element(annotate_snippets::Origin::path(&*finding.file)),
    };
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// A span of several lines is shown by its first.
fn first_line(text: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let shown = text.get(span.clone()).unwrap_or_default();
    let line = shown.lines().next().unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}

/// The text with the place blacked out, byte for byte, so that places stay right.
fn masked<'t>(text: &'t str, finding: &Finding) -> Cow<'t, str> {
    let (Some(before), Some(after)) = (text.get(..finding.span.start), text.get(finding.span.end..)) else {
        return Cow::Borrowed("");
    };
    // The rest of the line as well: a finding may point at a part of the credential only.
    let rest = after.find('\n').unwrap_or(after.len());
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let (kept, head) = before.split_at(line_start);
    let key_end = head.find(": ").map_or(head.len(), |i| i + 2);
    let (key, hidden_head) = head.split_at(key_end.min(head.len()));
    let hidden = "*".repeat(hidden_head.len() + finding.span.end - finding.span.start + rest);
    Cow::Owned(format!("{kept}{key}{hidden}{}", after.get(rest..).unwrap_or_default()))
}
