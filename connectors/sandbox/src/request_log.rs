//! What was asked of the sandbox, and what came of it: the evidence for write budgets.

use bothways_model::{Method, Timestamp};
use serde::Serialize;
use std::collections::VecDeque;

/// One request, or one execution of it where it was executed late or twice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoggedRequest {
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// The method.
    pub method: Method,
    /// The path, without query.
    pub path: String,
    /// The idempotency key.
    pub idempotency_key: Option<String>,
    /// The status that was sent; none where the connection was dropped.
    pub status: Option<u16>,
    /// Whether the endpoint was executed. False for refusals, replays and lost requests.
    pub executed: bool,
    /// Whether it changed a record.
    pub effective: bool,
    /// How many records it changed, those it created included.
    pub changed: u64,
    /// How many records it created.
    pub created: u64,
    /// Whether a saved answer was given again.
    pub replayed: bool,
    /// The kind of the fault that replaced, cut or repeated the answer.
    pub fault: Option<&'static str>,
}

/// Totals since the start, or since the last clearing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests, late and double executions included.
    pub requests: u64,
    /// GET requests.
    pub reads: u64,
    /// All others.
    pub writes: u64,
    /// Records that writes changed, each time counted; at Stripe a write changes one.
    pub effective_writes: u64,
    /// Of these, creates of records; at Stripe, of customers.
    pub effective_creates: u64,
    /// Answers of 400 and above.
    pub errors: u64,
    /// Saved answers given again.
    pub replays: u64,
}

/// The newest requests and the totals of all.
#[derive(Clone, Debug)]
pub(crate) struct RequestLog {
    entries: VecDeque<LoggedRequest>,
    limit: usize,
    counts: RequestCounts,
}

impl RequestLog {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), limit, counts: RequestCounts::default() }
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &LoggedRequest> {
        self.entries.iter()
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        self.counts
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.counts = RequestCounts::default();
    }

    pub(crate) fn push(&mut self, entry: LoggedRequest) {
        let counts = &mut self.counts;
        let is_read = matches!(entry.method, Method::Get | Method::Head);
        counts.requests += 1;
        counts.reads += u64::from(is_read);
        counts.writes += u64::from(!is_read);
        counts.effective_writes += entry.changed;
        counts.effective_creates += entry.created;
        counts.errors += u64::from(entry.status.is_some_and(|status| status >= 400));
        counts.replays += u64::from(entry.replayed);
        if self.limit > 0 {
            if self.entries.len() >= self.limit {
                self.entries.pop_front();
            }
            self.entries.push_back(entry);
        }
    }
}
