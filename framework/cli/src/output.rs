//! Stdout is data, stderr is talk.

use crate::settings::Format;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
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

    /// Text as it is.
    pub(crate) fn text(self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// One line of text.
    pub(crate) fn line(self, text: &str) -> anyhow::Result<()> {
        self.text(&format!("{text}\n"))
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
    let _ = writeln!(err, "{}", text.as_ref());
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
