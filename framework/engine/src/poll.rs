//! The incremental list: records changed since a moment, oldest first; one reader for each pair (rule 52).
//!
//! Nothing is deduplicated by stamp: whatever comes again and equals what is known of its link is skipped by content.
//!
//! Where the service gives a token of its own, that is the position, and there is no overlap: the token of a poll that has read all its
//! pages replaces the one it began with, in the commit of the last page. Without one everything is listed, or, where the first token
//! stands for now, a full pass is asked for once it is known.

use crate::events::look_at;
use crate::feed::{DEEP, DEEP_EVERY, OpenPoll, PollError, PollReport, Position, millis, stuck};
use crate::reading::ReadError;
use crate::{Engine, EngineError, PairRuntime, quiet, scope};
use bothways_connector::{Operation, Outcome, Page, SyncToken};
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Observed, RemoteId, Timestamp};
use bothways_store::{Cursor, PageCommit, Signal};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A poll with more pages than this does not end.
const PAGES: usize = 100_000;
/// At most this many records are remembered between two polls.
const REMEMBERED: usize = 1000;

/// By how much a service's clock may be ahead of ours; a deep re-read goes further back than that.
const SKEW: TimeDelta = TimeDelta::minutes(10);

/// Records that the last poll showed, with what they held: the overlap shows them again and again. What is deleted may be shown twice by
/// one poll, as a record and by the log of deletes, with less in it.
pub(crate) type Recent = BTreeMap<RemoteId, Vec<Arc<serde_json::Value>>>;

impl Engine {
    /// Polls the incremental list of a pair once, to its end.
    ///
    /// # Errors
    /// The resource has no such list, the service failed or refused, or the store failed. What was read until then stays read.
    pub async fn read_changes(&self, pair: &PairRuntime) -> Result<PollReport, EngineError> {
        Ok(self.poll_changes(pair, false, &mut Recent::new()).await?)
    }

    pub(crate) async fn poll_changes(
        &self,
        pair: &PairRuntime,
        deep: bool,
        recent: &mut Recent,
    ) -> Result<PollReport, PollError> {
        let name = format!("poll/{}", pair.id);
        let mut stored = self.position(&name).await?;
        let now = self.ports.clock.now();
        if stored.at.is_some_and(|at| at > latest(self.connections.service_time(&pair.connection), now)) {
            tracing::error!(pair = %pair.id, "the incremental list was read up to a time that lies ahead; a full pass follows");
            self.want_pass(pair.id).await?;
            stored = Position::default();
            self.set_position(&name, &stored).await?;
        }
        let overlap = if deep { DEEP } else { millis(pair.capabilities().since_overlap_ms) };
        let overlap = if planted::is(Bug::PolledWithoutLag) { TimeDelta::zero() } else { overlap };
        let open = stored.open.clone().unwrap_or_else(|| OpenPoll {
            since: self.read_from(&pair.connection, &stored, now) - overlap,
            page: None,
            then: None,
        });
        let from_start = stored.open.is_none();
        let mut poll = Poll { engine: self, pair, name: &name, stored, recent, now_recent: Recent::new() };
        match poll.run(open).await {
            Ok(report) => Ok(PollReport { from_start, ..report }),
            Err(PollError::Read(error)) if error.class() == Some(ErrorClass::Expired) => {
                tracing::error!(pair = %pair.id, "the incremental list does not reach back to where it was read; a full pass follows");
                self.want_pass(pair.id).await?;
                // It covers all that was before it: to ask for that again would only want another one.
                let at = self.connections.service_time(&pair.connection);
                self.set_position(&name, &Position { at, ..Position::default() }).await?;
                Ok(PollReport { expired: true, ..PollReport::default() })
            }
            other => other,
        }
    }

    /// Polls a pair again and again, until the engine stops.
    pub(crate) async fn poll_loop(self: Arc<Self>, mut pair: Arc<PairRuntime>) {
        let name = format!("poll/{}", pair.id);
        let Some(interval) = pair.mapping.sync.poll.filter(|_| pair.capabilities().since) else {
            self.set_trouble(&name, None);
            return;
        };
        let mut deep_at: Option<Timestamp> = None;
        let mut recent = Recent::new();
        while !self.is_stopping() {
            pair = self.current(&pair);
            if !pair.is_approved() || self.is_paused(&pair, None) {
                self.pause_for(interval.min(self.settings.sweep)).await;
                continue;
            }
            let now = self.ports.clock.now();
            let deep = deep_at.is_none_or(|at| now - at >= DEEP_EVERY);
            let wait = match self.poll_changes(&pair, deep, &mut recent).await {
                Ok(report) => {
                    if deep && (report.from_start || report.expired) {
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
}

/// No change was made later: what the service's clock says, in whole seconds; where it says nothing, ours.
fn latest(service: Option<Timestamp>, now: Timestamp) -> Timestamp {
    service.map_or(now + SKEW, |date| date + TimeDelta::seconds(1))
}

struct Poll<'e> {
    engine: &'e Engine,
    pair: &'e PairRuntime,
    name: &'e str,
    /// The position as the store has it.
    stored: Position,
    recent: &'e mut Recent,
    now_recent: Recent,
}

impl Poll<'_> {
    async fn run(&mut self, mut open: OpenPoll) -> Result<PollReport, PollError> {
        let mut report = PollReport::default();
        let mut resumed = open.page.is_some();
        for _ in 0..PAGES {
            let mut page = match self.page(&open).await {
                Err(error) if resumed && error.is_refusal() => {
                    resumed = false;
                    open = OpenPoll { since: open.since, page: None, then: None };
                    continue;
                }
                other => other?,
            };
            resumed = false;
            if planted::is(Bug::EqualStampsAtPageEdge) && open.page.is_some() {
                page.items.retain(|item| item.changed_at.is_none() || item.changed_at != open.then);
            }
            // A time that lies ahead, however it came there, says nothing of what has been read.
            let service = page.date.or_else(|| self.engine.connections.service_time(&self.pair.connection));
            let latest = latest(service, self.engine.ports.clock.now());
            let newest =
                page.items.iter().filter_map(|item| item.changed_at).filter(|at| *at <= latest).max();
            // The service's own times of change; only the first poll ever, if it shows nothing, starts from its clock.
            // Where a token leads, the time only says when there was news of it.
            let by_token = self.pair.capabilities().since_token;
            let first = page.date.filter(|_| open.page.is_none() && (by_token || self.stored.at.is_none()));
            open.then = open.then.max(newest).or(first);
            if let Some(covered) = page.covered {
                open.then = open.then.map(|then| then.min(covered));
            }
            let over = page.next.is_none();
            if !over && page.next == open.page {
                return Err(stuck("the list names the same page again").into());
            }
            open.page = page.next.clone();
            let token = page.token.take();
            let signals = self.signals(page, &mut report).await?;
            if over && self.starts_now() {
                // Asked for first: a kill in between repeats this, it never forgets it.
                self.engine.want_pass(self.pair.id).await?;
            }
            self.commit(&open, over, token, signals).await?;
            if over {
                *self.recent = std::mem::take(&mut self.now_recent);
                return Ok(report);
            }
        }
        Err(stuck("the list does not end").into())
    }

    async fn page(&self, open: &OpenPoll) -> Result<Page, ReadError> {
        let page = || open.page.clone();
        let by_token = self.pair.capabilities().since_token;
        let start = || {
            self.pair.resource.start(match by_token {
                true => Operation::Delta { token: self.stored.token.clone(), page: page() },
                false => Operation::Since { since: open.since, page: page() },
            })
        };
        match self.engine.read_bulk(&self.pair.connection, self.pair.timeout(), start).await? {
            Outcome::Page(page) => Ok(page),
            _ => Err(ReadError::Failed(crate::read::unexpected("an incremental list"))),
        }
    }

    async fn signals(&mut self, page: Page, report: &mut PollReport) -> Result<Vec<Signal>, PollError> {
        report.seen += page.items.len() as u64;
        if page.items.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RemoteId> = page.items.iter().map(|item| item.id.clone()).collect();
        let links = self.engine.store.links_of_remote(self.pair.id, &ids).await?;
        let mut signals = Vec::new();
        for (item, link) in page.items.into_iter().zip(links) {
            let wanted = match &link {
                Some(link) if !link.state.is_live() => scope::is_back_there(&self.pair.mapping, link, &item),
                // What shows nothing new and was signalled before waits for something else.
                Some(link) => {
                    !quiet::remote(self.pair, link, &item)
                        && (self.is_news(&item) || quiet::contradicts(self.pair, link, &item))
                }
                None => self.is_news(&item) && (item.gone || self.pair.mapping.remote_in_scope(&item.body)),
            };
            if wanted {
                signals.push(look_at(self.pair.id, item.id));
            }
        }
        report.new += signals.len() as u64;
        Ok(signals)
    }

    /// Whether a record is not just what the last poll showed.
    fn is_news(&mut self, item: &Observed) -> bool {
        let news = self.recent.get(&item.id).is_none_or(|shown| !shown.contains(&item.body));
        if self.now_recent.len() < REMEMBERED || self.now_recent.contains_key(&item.id) {
            let shown = self.now_recent.entry(item.id.clone()).or_default();
            if !shown.contains(&item.body) {
                shown.push(item.body.clone());
            }
        }
        news
    }

    /// Whether the token that this poll ends with is the first, and says nothing of what there was before.
    fn starts_now(&self) -> bool {
        self.stored.token.is_none() && self.pair.capabilities().since_starts_now
    }

    async fn commit(
        &mut self,
        open: &OpenPoll,
        over: bool,
        token: Option<SyncToken>,
        signals: Vec<Signal>,
    ) -> Result<(), PollError> {
        let position = match over {
            true => Position { at: open.then.max(self.stored.at), token, open: None },
            false => Position { open: Some(open.clone()), ..self.stored.clone() },
        };
        if signals.is_empty() && position.is_idle_after(&self.stored) {
            return Ok(());
        }
        let nudge = !signals.is_empty();
        let value = serde_json::to_value(&position).unwrap_or_default();
        let cursor = Some(Cursor { name: self.name.to_owned(), value });
        let page = PageCommit { signals, cursor, ..PageCommit::default() };
        self.engine.store.commit_page(self.engine.ports.clock.now(), &page).await?;
        self.stored = position;
        if nudge {
            self.engine.nudge().await;
        }
        Ok(())
    }
}
