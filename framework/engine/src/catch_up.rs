//! What changed while a pass was walking (rules 27, 54): the feed or the incremental list, from the watermark.
//!
//! A record without a link is read anew, not taken from an event: an event may be older than what the walk saw.

use crate::events::look_at;
use crate::feed::PollError;
use crate::pass::{Pass, Stage};
use crate::reading::ReadError;
use crate::walk::remote_key;
use crate::{EngineError, quiet, read};
use bothways_connector::{FeedQuery, Operation, Outcome, PageCursor};
use bothways_model::{Event, EventEffect, Observed, RemoteId, Seq, Timestamp};
use bothways_store::{KeyWrite, PageCommit, Side};
use std::collections::BTreeMap;

/// Records read at once.
const AT_ONCE: usize = 8;
/// A list with more pages than this does not end.
const PAGES: usize = 100_000;

impl Pass<'_> {
    /// Takes in what changed since the walk began. A service that cannot say is not asked; one that refuses is not insisted on
    /// (rule 53).
    pub(crate) async fn catch_up(&mut self) -> Result<(), EngineError> {
        if let Some(watermark) = self.state.watermark {
            let capabilities = self.pair.capabilities();
            let result = if capabilities.since_by_time() {
                let overlap = crate::feed::millis(capabilities.since_overlap_ms);
                self.catch_up_by_list(watermark - overlap).await
            } else if capabilities.feed {
                let overlap = crate::feed::millis(capabilities.feed_overlap_ms);
                self.catch_up_by_feed(watermark - overlap).await
            } else {
                Ok(())
            };
            match result {
                Err(PollError::Read(error))
                    if error.is_refusal() || error.class() == Some(bothways_model::ErrorClass::Expired) =>
                {
                    tracing::warn!(pair = %self.pair.id, class = ?error.class(), "what changed during the walk cannot be asked for");
                }
                Err(PollError::Read(error)) => {
                    self.engine.after_read_error(&self.pair, &error).await;
                    return Err(error.into());
                }
                Err(PollError::Engine(error)) => return Err(error),
                Ok(()) => {}
            }
        }
        self.enter(Stage::Match { after: None }).await
    }

    async fn catch_up_by_list(&mut self, since: Timestamp) -> Result<(), PollError> {
        let mut page: Option<PageCursor> = None;
        for _ in 0..PAGES {
            self.check_halted().await?;
            let seq = self.engine.store.draw(1).await?;
            let start = || self.pair.resource.start(Operation::Since { since, page: page.clone() });
            let outcome = self.engine.read_bulk(&self.pair.connection, self.pair.timeout(), start).await?;
            let Outcome::Page(found) = outcome else {
                return Err(ReadError::Failed(read::unexpected("an incremental list")).into());
            };
            let effects = self.take_remote(found.items, seq).await?;
            self.commit(effects, Stage::CatchUp).await?;
            if found.next.is_none() {
                return Ok(());
            }
            page = found.next;
        }
        Err(crate::feed::stuck("the incremental list does not end").into())
    }

    async fn catch_up_by_feed(&mut self, since: Timestamp) -> Result<(), PollError> {
        let connector = self.pair.connector.clone();
        let Some(feed) = connector.feed() else { return Ok(()) };
        let types = feed.types(&self.pair.mapping.remote.resource);
        let mut query = FeedQuery { since, types, page: None };
        if query.types.is_empty() {
            return Ok(());
        }
        for _ in 0..PAGES {
            self.check_halted().await?;
            let start = || Ok(feed.start(&query));
            let outcome = self.engine.read_bulk(&self.pair.connection, self.pair.timeout(), start).await?;
            let Outcome::Events(found) = outcome else {
                return Err(ReadError::Failed(read::unexpected("a feed")).into());
            };
            let effects = self.take_events(found.events).await?;
            self.commit(effects, Stage::CatchUp).await?;
            if found.next.is_none() {
                return Ok(());
            }
            query.page = found.next;
        }
        Err(crate::feed::stuck("the feed does not end").into())
    }

    async fn take_events(&mut self, events: Vec<Event>) -> Result<PageCommit, PollError> {
        let resource = &self.pair.mapping.remote.resource;
        let mut by_id: BTreeMap<RemoteId, Vec<Option<Observed>>> = BTreeMap::new();
        for subject in events.into_iter().filter_map(|event| event.subject) {
            if subject.resource == *resource {
                let seen = subject.object.filter(|_| subject.effect == EventEffect::Upsert);
                by_id.entry(subject.id).or_default().push(seen);
            }
        }
        let ids: Vec<RemoteId> = by_id.keys().cloned().collect();
        let mut effects = PageCommit::default();
        if ids.is_empty() {
            return Ok(effects);
        }
        let links = self.engine.store.links_of_remote(self.pair.id, &ids).await?;
        let mut unlinked = Vec::new();
        for ((id, seen), link) in by_id.into_iter().zip(links) {
            self.was_told(&id);
            let is_quiet = |link| {
                seen.iter()
                    .all(|seen| seen.as_ref().is_some_and(|seen| quiet::remote(&self.pair, link, seen)))
            };
            match link {
                Some(link) if !link.state.is_live() || is_quiet(&link) => {}
                Some(_) => effects.signals.push(look_at(self.pair.id, id)),
                None => unlinked.push(id),
            }
        }
        let seq = self.engine.store.draw(1).await?;
        for some in unlinked.chunks(AT_ONCE) {
            let reads = futures::future::join_all(some.iter().map(|id| self.read_one(id))).await;
            for (id, read) in some.iter().zip(reads) {
                self.note_read(id, read?, seq, &mut effects).await?;
            }
        }
        Ok(effects)
    }

    /// What a fresh read of a record without a link means for its key.
    pub(crate) async fn note_read(
        &mut self,
        id: &RemoteId,
        read: Option<Observed>,
        seq: Seq,
        effects: &mut PageCommit,
    ) -> Result<(), EngineError> {
        let drop = KeyWrite::Drop { pair: self.pair.id, side: Side::Remote, id: id.0.clone() };
        match read {
            Some(record) if record.id != *id => {
                effects.keys.push(drop);
                effects.signals.push(look_at(self.pair.id, record.id));
            }
            Some(record) if !record.gone && self.pair.mapping.remote_in_scope(&record.body) => {
                if self.stamped_by_us(&record).await?.is_some() {
                    effects.keys.push(drop);
                    effects.signals.push(look_at(self.pair.id, record.id));
                } else {
                    effects.keys.push(KeyWrite::Put(remote_key(&self.pair, &record, seq)));
                }
            }
            _ => effects.keys.push(drop),
        }
        Ok(())
    }

    /// Reads one record; `None` if it is not there.
    pub(crate) async fn read_one(&self, id: &RemoteId) -> Result<Option<Observed>, ReadError> {
        let start = || self.pair.resource.start(Operation::Get { id: id.clone() });
        match self.engine.read_bulk(&self.pair.connection, self.pair.timeout(), start).await? {
            Outcome::Record(record) => Ok(Some(record)),
            Outcome::Missing => Ok(None),
            _ => Err(ReadError::Failed(read::unexpected("a read"))),
        }
    }
}
