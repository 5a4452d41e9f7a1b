//! How the engine paces itself.

use crate::RetryPolicy;
use std::time::Duration;

/// How the engine paces itself. The defaults are for production; tests and the simulator change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Change log entries per relay transaction.
    pub relay_batch: usize,
    /// How often everything that a lost nudge could have hidden is looked for.
    pub sweep: Duration,
    /// How long a bare 404 must stand before it is a proof (rule 31).
    pub absence_delay: Duration,
    /// How long a delete is known before it is carried out: others like it may be on their way (rule 56).
    pub delete_delay: Duration,
    /// Retries.
    pub retry: RetryPolicy,
    /// Whether feeds, polls and scheduled full passes run. Off for a process that only does one pass and the work it finds.
    pub readers: bool,
    /// Whether requests go together where the connector knows such calls (rule 45), or one by one.
    pub together: bool,
    /// Days for which history and closed intents are kept.
    pub keep_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            relay_batch: 500,
            sweep: Duration::from_secs(5),
            absence_delay: Duration::from_secs(15),
            delete_delay: Duration::from_secs(5),
            retry: RetryPolicy::default(),
            readers: true,
            together: true,
            keep_days: 30,
        }
    }
}
