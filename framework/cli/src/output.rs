//! Stdout is data, stderr is talk.

use crate::settings::Format;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// Below this many characters columns are not wrapped.
const NARROW: u16 = 60;

/// How a verb ended, if it could run at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Done, and nothing waits.
    Well,
    /// There are findings, something waits for a person, or it was refused.
    Waiting,
}

impl Ended {
    /// [`Ended::Waiting`] if `waits`.
    pub(crate) fn waiting_if(waits: bool) -> Self {
        if waits { Ended::Waiting } else { Ended::Well }
    }
}

/// Where data goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// In this format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// One JSON document.
    pub(crate) fn json<T: Serialize + ?Sized>(self, value: &T) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.text(&text)
    }

    /// One JSON document on one line, of many.
    pub(crate) fn json_line<T: Serialize + ?Sized>(self, value: &T) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.text(&text)
    }

    /// Text as it is: our own, or JSON for programs.
    pub(crate) fn text(self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Lines of text, which may hold what others wrote.
    pub(crate) fn line(self, text: &str) -> anyhow::Result<()> {
        self.text(&format!("{}\n", harmless(text)))
    }

    /// A table; nothing at all if it has no rows.
    pub(crate) fn table<const N: usize>(
        self,
        header: [&str; N],
        rows: Vec<[String; N]>,
    ) -> anyhow::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(header.map(str::to_uppercase));
        if !io::stdout().is_terminal() || table.width().is_none_or(|width| width < NARROW) {
            // A pipe has no width, and on a very narrow terminal wrapped columns say less than wrapped lines.
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        for row in rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        self.line(&lines.join("\n"))
    }
}

/// Says something to the person at the terminal. If nobody can hear it, nothing else is wrong.
pub(crate) fn talk(text: impl AsRef<str>) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{}", harmless(text.as_ref()));
}

/// A text without what a terminal would obey: whoever writes a record, or answers for a service, does not move the cursor, change the
/// title or hide a line. Line breaks and tabs stay.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(obeyed) {
        true => Cow::Owned(text.replace(obeyed, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// A moment for people: UTC, to the second.
pub(crate) fn moment(at: bothways_model::Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// [`moment`] for a text in RFC 3339.
pub(crate) fn moment_of(text: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(text).map_or_else(|_| text.to_owned(), |at| moment(at.to_utc()))
}

/// So many of something, in words.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        for (given, printed) in [
            ("Ada Lovelace, 9 °C\n\tindented", "Ada Lovelace, 9 °C\n\tindented"),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("\u{1b}[2Jgone", "\u{fffd}[2Jgone"),
            ("c1 \u{9b}31m", "c1 \u{fffd}31m"),
            ("over\rwritten\u{8}\u{7f}", "over\u{fffd}written\u{fffd}\u{fffd}"),
            ("\u{0}", "\u{fffd}"),
        ] {
            assert_eq!(harmless(given), printed, "{given:?}");
        }
    }
}
