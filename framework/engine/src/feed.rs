//! The event feed: the same events as webhooks, pulled; one reader for each connection (rules 52, 53).
//!
//! The cursor is the service's own time and moves only when a poll has read all its pages, whatever order they come in; within a
//! poll the page is remembered too, so that a kill costs one page. Event ids are remembered with their signals, so what a webhook
//! brought already, or an overlap brings again, costs nothing.

use crate::events::Batch;
use crate::reading::ReadError;
use crate::{Engine, EngineError, PairRuntime};
use bothways_connector::{Connector, EventPage, FeedQuery, Outcome, PageCursor, SyncToken};
use bothways_model::planted::{self, Bug};
use bothways_model::{ConnectionName, ErrorClass, Timestamp};
use bothways_store::{Cursor, PageCommit};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A deep re-read catches what became visible late: so often, so far back (rule 52).
pub(crate) const DEEP_EVERY: TimeDelta = TimeDelta::minutes(5);
/// How far back a deep re-read goes, and how far before now the very first poll begins, whatever the two clocks say.
pub(crate) const DEEP: TimeDelta = TimeDelta::minutes(15);
/// A cursor that moved less than this without any event is not stored: an idle connection writes nothing.
const IDLE: TimeDelta = TimeDelta::minutes(1);
/// A poll with more pages than this does not end.
const PAGES: usize = 100_000;

/// What one poll did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollReport {
    /// Events or records seen.
    pub seen: u64,
    /// Those that were not known yet.
    pub new: u64,
    /// True if the service no longer has what the cursor asked for: full passes follow.
    pub expired: bool,
    /// True if it read from where it was to begin; false if it went on with what an earlier poll had begun and not read to its end.
    pub from_start: bool,
}

/// Where a feed or a poll stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Everything before this moment of the service's clock has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Timestamp>,
    /// Everything before the service gave this token has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<SyncToken>,
    /// A poll that has not read all its pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<OpenPoll>,
}

impl Position {
    /// Whether it differs so little from what is stored that it need not be: a poll saw nothing.
    pub(crate) fn is_idle_after(&self, stored: &Position) -> bool {
        stored.open.is_none()
            && self.open.is_none()
            && stored.at.zip(self.at).is_some_and(|(old, new)| new - old < IDLE)
    }
}

/// A poll under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenPoll {
    pub(crate) since: Timestamp,
    /// The page to go on with.
    pub(crate) page: Option<PageCursor>,
    /// What the position becomes when it is over.
    pub(crate) then: Option<Timestamp>,
}

impl Engine {
    /// Reads a stored position; an unreadable one counts as none.
    pub(crate) async fn position(&self, name: &str) -> Result<Position, EngineError> {
        let stored = self.store.cursor(name).await?;
        Ok(stored.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default())
    }

    /// Stores a position.
    pub(crate) async fn set_position(&self, name: &str, position: &Position) -> Result<(), EngineError> {
        let value = serde_json::to_value(position).unwrap_or_default();
        let page =
            PageCommit { cursor: Some(Cursor { name: name.to_owned(), value }), ..PageCommit::default() };
        Ok(self.store.commit_page(self.ports.clock.now(), &page).await?)
    }

    /// Polls the feed of a connection once, to its end.
    ///
    /// # Errors
    /// The connection has no feed, the service failed or refused, or the store failed. What was read until then stays read.
    pub async fn read_feed(&self, connection: &ConnectionName) -> Result<PollReport, EngineError> {
        Ok(self.poll_feed(connection, false).await?)
    }

    pub(crate) async fn poll_feed(
        &self,
        connection: &ConnectionName,
        deep: bool,
    ) -> Result<PollReport, PollError> {
        let pairs = self.fed_pairs(connection);
        let (Some(connector), Some(first)) = (self.connections.get(connection), pairs.first()) else {
            return Ok(PollReport::default());
        };
        let name = format!("feed/{connection}");
        let stored = self.position(&name).await?;
        let capabilities = first.capabilities();
        let now = self.ports.clock.now();
        if stored.at.zip(capabilities.feed_retention_ms).is_some_and(|(at, kept)| now - at > millis(kept)) {
            return self.feed_expired(connection, &name).await;
        }
        let overlap = if deep { DEEP } else { millis(capabilities.feed_overlap_ms) };
        let open = stored.open.clone().unwrap_or_else(|| OpenPoll {
            since: self.read_from(connection, &stored, now) - overlap,
            page: None,
            then: None,
        });
        let open = match stored.at {
            Some(at) if planted::is(Bug::EqualStampsSkipped) => {
                OpenPoll { since: at + TimeDelta::seconds(1), ..open }
            }
            _ => open,
        };
        let types = types_of(connector, &pairs);
        if types.is_empty() {
            return Ok(PollReport::default());
        }
        let from_start = stored.open.is_none();
        let mut poll = Poll { engine: self, connection, connector, name: &name, stored };
        match poll.run(open, &types).await {
            Ok(report) => Ok(PollReport { from_start, ..report }),
            Err(PollError::Read(error)) if error.class() == Some(ErrorClass::Expired) => {
                self.feed_expired(connection, &name).await
            }
            other => other,
        }
    }

    /// From when on a feed or a list is read: from where it was read to; if never, from a while ago by the service's clock, if that is known.
    pub(crate) fn read_from(
        &self,
        connection: &ConnectionName,
        stored: &Position,
        now: Timestamp,
    ) -> Timestamp {
        stored.at.unwrap_or_else(|| self.connections.service_time(connection).unwrap_or(now) - DEEP)
    }

    /// The service no longer has what the cursor asked for: full passes without deletes, and a new beginning (rule 53).
    async fn feed_expired(&self, connection: &ConnectionName, name: &str) -> Result<PollReport, PollError> {
        tracing::error!(connection = %connection, "the event feed does not reach back to where it was read; full passes follow");
        // The passes are asked for first: a kill in between repeats this, it never forgets them.
        for pair in self.fed_pairs(connection) {
            self.want_pass(pair.id).await?;
        }
        self.set_position(name, &Position::default()).await?;
        Ok(PollReport { expired: true, ..PollReport::default() })
    }

    /// Pairs whose changes come by the feed: approved, with a resource that has events.
    pub(crate) fn fed_pairs(&self, connection: &ConnectionName) -> Vec<Arc<PairRuntime>> {
        self.pairs()
            .filter(|pair| pair.connection == *connection && pair.is_approved())
            .filter(|pair| pair.capabilities().feed && pair.mapping.sync.feed.is_some())
            .collect()
    }

    /// How often a connection's feed is read: as often as its most impatient mapping says.
    pub(crate) fn feed_interval(&self, connection: &ConnectionName) -> Option<Duration> {
        self.fed_pairs(connection).iter().filter_map(|pair| pair.mapping.sync.feed).min()
    }

    /// Reads the feed of a connection again and again, until the engine stops.
    pub(crate) async fn feed_loop(self: Arc<Self>, connection: ConnectionName) {
        let name = format!("feed/{connection}");
        let mut deep_at: Option<Timestamp> = None;
        while !self.is_stopping() {
            let Some(interval) = self.feed_interval(&connection) else {
                self.set_trouble(&name, None);
                self.pause_for(self.settings.sweep).await;
                continue;
            };
            let now = self.ports.clock.now();
            let deep = deep_at.is_none_or(|at| now - at >= DEEP_EVERY);
            let wait = match self.poll_feed(&connection, deep).await {
                Ok(report) => {
                    // What went on with an earlier poll's pages has not read again what lies before them.
                    if deep && report.from_start {
                        deep_at = Some(now);
                    }
                    self.set_trouble(&name, None);
                    interval
                }
                Err(error) => self.after_poll_error(&name, &error, interval),
            };
            self.pause_for(wait).await;
        }
    }

    /// Shows a poll's trouble and says how long to wait: what is refused is asked for at the longest backoff (rule 53).
    pub(crate) fn after_poll_error(&self, name: &str, error: &PollError, interval: Duration) -> Duration {
        if self.is_stopping() {
            return interval;
        }
        match error {
            PollError::Read(ReadError::Halted(_)) => interval.min(self.settings.sweep),
            PollError::Read(error) => {
                tracing::warn!(reader = name, class = ?error.class(), "a poll failed");
                self.set_trouble(name, Some(error.text()));
                if error.is_refusal() {
                    self.settings.retry.max
                } else {
                    interval.max(Duration::from_secs(5))
                }
            }
            PollError::Engine(error) => {
                tracing::warn!(reader = name, error = error.in_log(), "a poll failed");
                self.set_trouble(name, Some(error.to_string()));
                interval.max(Duration::from_secs(1))
            }
        }
    }
}

/// Why a poll failed.
#[derive(Debug)]
pub(crate) enum PollError {
    /// The service.
    Read(ReadError),
    /// We.
    Engine(EngineError),
}

impl From<ReadError> for PollError {
    fn from(error: ReadError) -> Self {
        PollError::Read(error)
    }
}

impl From<EngineError> for PollError {
    fn from(error: EngineError) -> Self {
        PollError::Engine(error)
    }
}

impl From<bothways_store::StoreError> for PollError {
    fn from(error: bothways_store::StoreError) -> Self {
        PollError::Engine(error.into())
    }
}

impl From<PollError> for EngineError {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Read(error) => error.into(),
            PollError::Engine(error) => error,
        }
    }
}

/// One poll of a feed.
struct Poll<'e> {
    engine: &'e Engine,
    connection: &'e ConnectionName,
    connector: &'e Arc<dyn Connector>,
    name: &'e str,
    /// The position as the store has it.
    stored: Position,
}

impl Poll<'_> {
    async fn run(&mut self, mut open: OpenPoll, types: &[String]) -> Result<PollReport, PollError> {
        let mut report = PollReport::default();
        let mut resumed = open.page.is_some();
        for _ in 0..PAGES {
            let query = FeedQuery { since: open.since, types: types.to_vec(), page: open.page.clone() };
            let page = match self.page(&query).await {
                // The page a killed poll would have read next is no longer there: it begins again.
                Err(error) if resumed && error.is_refusal() => {
                    resumed = false;
                    open = OpenPoll { since: open.since, page: None, then: None };
                    continue;
                }
                other => other?,
            };
            resumed = false;
            if open.then.is_none() && open.page.is_none() {
                open.then = page.date.or_else(|| page.events.iter().filter_map(|event| event.at).max());
                if planted::is(Bug::CursorFromOurClock) {
                    open.then = Some(self.engine.ports.clock.now());
                }
            }
            let over = page.next.is_none();
            if !over && page.next == open.page {
                return Err(stuck("the feed names the same page again").into());
            }
            open.page = page.next.clone();
            if planted::is(Bug::CursorBeforeEvents) {
                self.remember(&open, over, true).await?;
            }
            let new = self.take_in(page, &mut report).await?;
            self.remember(&open, over, new).await?;
            if over {
                return Ok(report);
            }
        }
        Err(stuck("the feed does not end").into())
    }

    async fn page(&self, query: &FeedQuery) -> Result<EventPage, ReadError> {
        let timeout = self.connector.limits().timeout;
        let start = || {
            let feed =
                self.connector.feed().ok_or_else(|| crate::read::unexpected("a feed that is not there"))?;
            Ok(feed.start(query))
        };
        match self.engine.read_bulk(self.connection, timeout, start).await? {
            Outcome::Events(page) => Ok(page),
            _ => Err(ReadError::Failed(crate::read::unexpected("a feed"))),
        }
    }

    /// Events first, then the cursor: a kill in between reads the page again, and finds its events known.
    async fn take_in(&self, page: EventPage, report: &mut PollReport) -> Result<bool, PollError> {
        report.seen += page.events.len() as u64;
        if page.events.is_empty() {
            return Ok(false);
        }
        let batch: Batch = (self.connection.clone(), page.events);
        let deliveries = self.engine.deliveries(std::slice::from_ref(&batch)).await;
        let new = self.engine.take_in(&deliveries).await?;
        self.engine.make_up_for_unreadable(std::slice::from_ref(&batch), &new).await;
        let fresh = new.iter().filter(|new| **new).count() as u64;
        report.new += fresh;
        if deliveries.iter().zip(&new).any(|(delivery, new)| *new && !delivery.signals.is_empty()) {
            self.engine.nudge().await;
        }
        Ok(fresh > 0)
    }

    async fn remember(&mut self, open: &OpenPoll, over: bool, new: bool) -> Result<(), PollError> {
        let position = match over {
            true => Position { at: open.then.max(self.stored.at), ..Position::default() },
            false => Position { open: Some(open.clone()), ..self.stored.clone() },
        };
        if !position.is_idle_after(&self.stored) || new {
            self.engine.set_position(self.name, &position).await?;
            self.stored = position;
        }
        Ok(())
    }
}

/// The event types in use, each once.
fn types_of(connector: &Arc<dyn Connector>, pairs: &[Arc<PairRuntime>]) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for pair in pairs {
        let of_resource =
            connector.feed().map(|f| f.types(&pair.mapping.remote.resource)).unwrap_or_default();
        for kind in of_resource {
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
    }
    types
}

pub(crate) fn millis(ms: u64) -> TimeDelta {
    i64::try_from(ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::days(36_500))
}

pub(crate) fn stuck(what: &str) -> ReadError {
    ReadError::Failed(bothways_model::Failure::new(ErrorClass::Malformed, what))
}
