//! Progress of long work: a bar on a terminal, plain lines elsewhere. On stderr, like all talk.

use crate::output::talk;
use bothways_engine::{PassProgress, PassStage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Plain lines come at most so often.
const PLAIN_PAUSE: Duration = Duration::from_secs(5);

/// Shows how far one mapping's pass is.
pub(crate) struct Progress {
    name: String,
    /// How many records there are about; the remote side's number is a guess.
    expected: u64,
    bar: Option<ProgressBar>,
    last: Mutex<Option<(PassStage, Instant)>>,
}

impl Progress {
    /// For the mapping called `name`; `expected` records in all, if anybody knows.
    pub(crate) fn new(name: &str, expected: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = match expected {
                Some(expected) => {
                    (ProgressBar::new(expected.max(1)), "{prefix} [{bar:24}] {pos}/{len} {msg}")
                }
                None => (ProgressBar::no_length(), "{prefix} {spinner} {pos} {msg}"),
            };
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { name: name.to_owned(), expected: expected.unwrap_or(0), bar, last: Mutex::default() }
    }

    /// Shows where a pass is.
    pub(crate) fn pass(&self, progress: &PassProgress) {
        let counts = &progress.counts;
        let done = counts.remote + counts.local;
        let text = format!("{}: {} remote, {} rows", progress.stage.as_str(), counts.remote, counts.local);
        if let Some(bar) = &self.bar {
            if bar.length().is_some_and(|length| done > length) {
                bar.set_length(done.max(self.expected));
            }
            bar.set_position(done);
            bar.set_message(text);
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.is_none_or(|(stage, at)| stage != progress.stage || at.elapsed() >= PLAIN_PAUSE);
        if is_new {
            *last = Some((progress.stage, Instant::now()));
            talk(format!("{}: {text}", self.name));
        }
    }

    /// Shows what is under way after the pass.
    pub(crate) fn under_way(&self, pending: u64) {
        let text = format!("{pending} under way");
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|(_, at)| at.elapsed() >= PLAIN_PAUSE) {
            *last = Some((PassStage::Match, Instant::now()));
            talk(format!("{}: {text}", self.name));
        }
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
