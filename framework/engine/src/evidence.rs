//! What proves something about the remote side, and what does not (rules 17, 31).

use crate::ConnectionState;
use crate::intents::close;
use crate::look::{Ended, Look};
use crate::read::{self, Seen};
use bothways_connector::{Operation, Outcome};
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, LinkId, Observed, Record, RemoteId, Timestamp, Value};
use bothways_store::{
    IntentState, Link, LinkFilter, LinkState, LinkWrite, LocalBinding, ParkReason, PauseScope,
};
use chrono::TimeDelta;

/// A write that goes out later than this after its record was read has it read again.
const SOON: TimeDelta = TimeDelta::seconds(1);

/// A record that is not found and not proven to be deleted is left to a person after so many delays.
const PATIENCE: u32 = 20;
/// How many known records are asked for before it is said that none can be read.
const WITNESSES: usize = 3;
/// Links read at once in search of them.
const WITNESS_PAGE: usize = 50;
/// How many such pages.
const WITNESS_PAGES: usize = 20;
/// What a person is told who has to decide about such a record.
const UNPROVEN: &str = "the record is not found (404), but no other known record can be read either, so nothing proves that it was \
     deleted. If the credentials mean another account, set the right ones; if it is gone, decide about the row";

/// What a person is told who has to decide whether a record was deleted or became part of another.
const DELETED_OR_MERGED: &str = "the record is not found, and the service does not keep it any more as deleted: it was deleted, or made part of \
     another record and then removed for good, which nothing tells apart now. If it was deleted, decide about the row (carry the delete out, \
     keep the row or recreate the record); if it is part of another record, `bothways unlink` the row and `bothways link` it to that one";

impl Look {
    /// Reads the remote record. `None` if it is proven to be gone.
    pub(crate) async fn see(&self, link: &Link, id: &RemoteId) -> Result<Option<Seen>, Ended> {
        if planted::is(Bug::AbsenceFromListIsADelete) && !self.is_listed(id).await? {
            return Ok(None);
        }
        match self.get(id).await? {
            Outcome::Record(observed) if observed.gone => Ok(None),
            Outcome::Record(observed) if observed.id != *id => {
                Err(Box::new(self.merged(link.clone(), observed).await))
            }
            Outcome::Record(observed) => {
                let seen = read::remote(&self.pair, &observed);
                self.check_shape(link, &seen).await?;
                Ok(Some(seen))
            }
            Outcome::Missing => self.absence(link).await.map(|()| None),
            Outcome::Failed(failure) => Err(self.failed(&failure).await),
            _ => Err(self.failed(&read::unexpected("a read")).await),
        }
    }

    /// Whether the record that a write is for is as it was seen at `at`. Between that and the call lie the commit of the intent and, for a
    /// delete, a wait for the capture log; if they took long it is read again, so that nothing that somebody changed meanwhile is
    /// overwritten unseen (invariant 2).
    pub(crate) async fn is_as_seen(&self, id: &RemoteId, seen: &Seen, at: Timestamp) -> bool {
        let late = self.engine.ports.clock.now() - at > SOON;
        if !late || seen.body.is_none() || planted::is(Bug::WriteWithoutLooking) {
            return true;
        }
        let Ok(Outcome::Record(observed)) = self.get(id).await else { return false };
        let now = read::remote(&self.pair, &observed).fields;
        !observed.gone && observed.id == *id && self.is_alike(&now, |label| seen.fields.get(label))
    }

    /// Whether an update may go out that was decided on `seen`, read at `at`. Where the service itself refuses it once the record has
    /// changed, that is enough. Where it carries more than what changed, the whole record must be as it was seen, however little time
    /// has passed: what somebody changed beside the mapping would go as well (GetPut).
    pub(crate) async fn may_still_update(
        &self,
        link: &Link,
        id: &RemoteId,
        seen: &Seen,
        at: Timestamp,
        number: u32,
    ) -> Result<(), Ended> {
        let can = self.pair.capabilities();
        if can.update_is_conditional {
            return Ok(());
        }
        if !can.update_overwrites {
            return match self.is_as_seen(id, seen, at).await {
                true => Ok(()),
                false => Err(self.outrun(link.id, number)),
            };
        }
        let now = self.get(id).await;
        let same = matches!(&now, Ok(Outcome::Record(now)) if !now.gone && now.id == *id && match (&now.version, &seen.version) {
            (Some(now), Some(seen)) => now == seen,
            _ => seen.body.as_ref() == Some(&now.body),
        });
        if same {
            return Ok(());
        }
        // Counted: a record that never is as it was a moment ago would be looked at for ever.
        let why = "never sent: the record is not as it was seen any more";
        let mut unit = self.failed(&Failure::new(ErrorClass::Conflict, why)).await;
        unit.intents.push(close(link.id, number, IntentState::Refused, why));
        Err(unit)
    }

    /// Whether a record shows these values, and nothing where there is none.
    pub(crate) fn is_alike<'v>(&self, shown: &Record, known: impl Fn(&str) -> Option<&'v Value>) -> bool {
        self.pair.mapping.fields.iter().all(|field| match (known(&field.label), shown.get(&field.label)) {
            (Some(known), Some(shown)) => field.same(known, shown),
            (known, shown) => known.is_none() && shown.is_none(),
        })
    }

    /// Ends a look whose intent was committed and not sent, since its record was changed meanwhile, or cannot be read any more.
    pub(crate) fn outrun(&self, link: LinkId, number: u32) -> Ended {
        let why = "never sent: the record is not as it was seen any more";
        self.note_failure(why, true);
        let mut unit = self.unit();
        unit.intents.push(close(link, number, IntentState::Refused, why));
        unit.work = self.again_soon();
        Box::new(unit)
    }

    /// One GET.
    pub(crate) async fn get(&self, id: &RemoteId) -> Result<Outcome, Ended> {
        let exchange = match self.pair.resource.start(Operation::Get { id: id.clone() }) {
            Ok(exchange) => exchange,
            Err(failure) => return Err(self.failed(&failure).await),
        };
        let answer =
            self.engine.run(&self.pair.connection, self.purpose(), exchange, self.pair.timeout()).await;
        match answer {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(self.silent(&error).await),
        }
    }

    /// A record without any field whose base has a value is no observation; a field that is absent three times in a row pauses the
    /// mapping (rule 17).
    async fn check_shape(&self, link: &Link, seen: &Seen) -> Result<(), Ended> {
        let expected: Vec<(String, bool)> = link
            .body
            .base
            .iter()
            .filter(|(label, base)| {
                base.remote.as_ref().is_some_and(|v| !v.is_null())
                    && !seen.refusals.iter().any(|(l, _)| l == *label)
            })
            .map(|(label, _)| (label.clone(), seen.fields.get(label).is_none()))
            .collect();
        if let Some(label) = self.pair.note_absent(&expected) {
            let why = format!(
                "field `{label}` is missing from three answers in a row: a permission or the API's version changed"
            );
            self.engine.pause(PauseScope::Pair(self.pair.id), &why).await;
        }
        if !expected.is_empty() && expected.iter().all(|(_, absent)| *absent) {
            return Err(self.failed(&read::unexpected("a record without any mapped field")).await);
        }
        Ok(())
    }

    /// A bare 404 proves a delete only when it repeats after a delay while another known record can be read (rule 31). Where none can,
    /// a person's word is the only evidence.
    async fn absence(&self, link: &Link) -> Result<(), Ended> {
        if planted::is(Bug::BareAbsenceIsADelete) {
            return Ok(());
        }
        // It was proven before, or a person says so.
        if matches!(link.state, LinkState::Detached | LinkState::Tombstone)
            || link.body.delete_choice.is_some()
        {
            return Ok(());
        }
        // The answer's time, not the look's: it may have been long on its way.
        let now = self.engine.ports.clock.now();
        let delay = self.engine.settings.absence_delay;
        let Some(since) = link.body.missing_since else {
            let mut link = link.clone();
            link.body.missing_since = Some(now);
            let mut unit = self.unit();
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
            unit.work = self.again_at(now + delay, None, None, true);
            return Err(Box::new(unit));
        };
        if now < since + delay {
            let mut unit = self.unit();
            unit.work = self.again_at(since + delay, None, None, true);
            return Err(Box::new(unit));
        }
        let is_proven = self.another_is_readable(link, since).await?;
        // Without a row there is nothing to lose by a merge taken for a delete.
        if is_proven && (self.pair.resource.absence_is_a_delete() || self.taken.row.is_none()) {
            return Ok(());
        }
        let (digest, ask, why) = if is_proven {
            // What shows deletes may lag behind them.
            (
                "absence-deleted-or-merged",
                DELETED_OR_MERGED,
                "the record is not found, and not shown as deleted either",
            )
        } else {
            (
                "absence-unproven",
                UNPROVEN,
                "the record is not found, but no other known record can be read either",
            )
        };
        let mut unit = self.unit();
        unit.work = if now < since + delay * PATIENCE {
            self.again_at(now + delay * 4, Some(why.to_owned()), None, true)
        } else {
            self.park(ParkReason::Delete, ask, digest)
        };
        Err(Box::new(unit))
    }

    /// Whether a record that another live link names can be read, and is what was last known of it: a list may be of another account
    /// and show strangers only.
    async fn another_is_readable(&self, link: &Link, since: Timestamp) -> Result<bool, Ended> {
        let known_by = self.witnesses_known_by(link, since);
        if self.lists_a_witness(link, known_by).await? {
            return Ok(true);
        }
        let filter =
            LinkFilter { pair: Some(self.pair.id), state: Some(LinkState::Linked), ..LinkFilter::default() };
        let (mut after, mut asked) = (None, 0);
        for _ in 0..WITNESS_PAGES {
            let page = match self.engine.store.links(&filter, after, WITNESS_PAGE).await {
                Ok(page) => page,
                Err(error) => return Err(self.store_trouble(&error)),
            };
            for other in page.iter().filter(|other| may_vouch(other, link, known_by)) {
                let Some(id) = other.remote_id.as_ref().filter(|_| asked < WITNESSES) else { continue };
                asked += 1;
                match self.get(id).await? {
                    Outcome::Record(observed) if self.is_known(other, &observed) => return Ok(true),
                    Outcome::Failed(failure) => return Err(self.failed(&failure).await),
                    _ => {}
                }
            }
            after = page.last().map(|last| last.id);
            if asked == WITNESSES || page.len() < WITNESS_PAGE {
                break;
            }
        }
        Ok(false)
    }

    /// A witness has been known at least since then. Where the service says that the account is the link's, since before the record was
    /// missed; else since the record itself was last known to be readable: what came later may be of another account.
    fn witnesses_known_by(&self, link: &Link, since: Timestamp) -> Timestamp {
        match self.engine.connection_state(&self.pair.connection) {
            ConnectionState::Ready { account: Some(account), .. }
                if link.account == Some(account.clone()) =>
            {
                since
            }
            _ => link.in_step_at.map_or(link.created_at, |at| at.max(link.created_at)),
        }
    }

    /// Whether the first page of the list shows a witness. That it cannot be read proves nothing.
    async fn lists_a_witness(&self, link: &Link, known_by: Timestamp) -> Result<bool, Ended> {
        let Ok(exchange) = self.pair.resource.start(Operation::List { page: None }) else { return Ok(false) };
        let answer =
            self.engine.run(&self.pair.connection, self.purpose(), exchange, self.pair.timeout()).await;
        let Ok(Outcome::Page(page)) = answer else { return Ok(false) };
        let ids: Vec<RemoteId> = page.items.iter().map(|item| item.id.clone()).collect();
        let links = match self.engine.store.links_of_remote(self.pair.id, &ids).await {
            Ok(links) => links,
            Err(error) => return Err(self.store_trouble(&error)),
        };
        let mut known = page.items.iter().zip(links).filter_map(|(item, other)| Some((item, other?)));
        Ok(known.any(|(item, other)| may_vouch(&other, link, known_by) && self.is_known(&other, item)))
    }

    /// Whether a record is what its link knows: by its match fields, without a match value by all fields. Ids alone may be equal in
    /// another account.
    fn is_known(&self, link: &Link, observed: &Observed) -> bool {
        if observed.gone || link.remote_id.as_ref() != Some(&observed.id) {
            return false;
        }
        let mapping = &self.pair.mapping;
        let seen = read::remote(&self.pair, observed).fields;
        let by_match = mapping.match_key(&seen).is_some();
        let mut told = mapping
            .fields
            .iter()
            .filter(|field| !by_match || mapping.identity.matching.contains(&field.label))
            .filter_map(|field| Some((field, link.body.base.get(&field.label)?.remote.as_ref()?)))
            .filter(|(_, base)| !base.is_null())
            .peekable();
        told.peek().is_some()
            && told.all(|(field, base)| seen.get(&field.label).is_some_and(|value| field.same(value, base)))
    }
}

/// Whether a link's record could vouch for the service: it is another one of the same account, long known and not missed itself.
fn may_vouch(other: &Link, link: &Link, known_by: Timestamp) -> bool {
    other.id != link.id
        && other.state == LinkState::Linked
        && other.account == link.account
        && other.created_at <= known_by
        && other.body.missing_since.is_none()
}
