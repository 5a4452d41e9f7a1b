//! Signals and leases.

use super::MemoryStore;
use super::state::State;
use crate::{
    Lease, Link, Parked, ParkedFilter, Relayed, Result, Signal, Subject, Take, Taken, Work, WorkId, WorkQueue,
};
use async_trait::async_trait;
use bothways_model::planted::{self, Bug};
use bothways_model::{LinkId, LocalId, LocalRow, PairId, RemoteId, Seq, Timestamp};
use std::collections::BTreeSet;

impl State {
    /// The subjects of a link's signals.
    fn subjects_of(link: &Link) -> impl Iterator<Item = Subject> {
        let local = link.local_id.clone().map(Subject::Local);
        local.into_iter().chain(link.remote_id.clone().map(Subject::Remote))
    }

    /// Leases `link` and takes all its signals.
    pub(super) fn take_link(&mut self, mut link: Link, now: Timestamp, until: Timestamp) -> Result<Taken> {
        self.at(now);
        let mut token = self.draw(1);
        if planted::is(Bug::CountersPerRow) {
            token = Seq(link.lease.map_or(1, |lease| lease.token.0 + 1));
        }
        link.lease = Some(Lease { token, until });
        self.put_link(link.clone());
        let ids: Vec<WorkId> = Self::subjects_of(&link)
            .filter_map(|subject| self.subjects.get(&(link.pair, subject)).copied())
            .collect();
        let work = ids.into_iter().filter_map(|id| self.take_row(id, until)).collect();
        let intents: Vec<_> = self
            .intents
            .range((link.id, 0)..=(link.id, u32::MAX))
            .map(|(_, i)| i)
            .filter(|i| i.state.is_pending())
            .cloned()
            .collect();
        let next_intent = self.last_intent.get(&link.id).map_or(1, |n| n + 1);
        let (row, row_error) = self.row_for(link.pair, link.local_id.as_ref())?;
        Ok(Taken { work, link: Some(link), token, until, intents, next_intent, row, row_error })
    }

    /// Takes due work.
    fn take(&mut self, take: &Take<'_>) -> Result<Vec<Taken>> {
        self.at(take.now);
        self.relay_rekeys(take.now);
        let mut chosen: Vec<(WorkId, Option<LinkId>)> = Vec::new();
        let mut seen = BTreeSet::new();
        // Rows whose link somebody else has are put off and the next ones are looked at.
        while chosen.len() < take.limit {
            let want = take.limit + seen.len();
            let due = self.due_of(take, want);
            if self.relay_deletes(take.now, &self.rows_of(&due)) {
                continue;
            }
            let full = due.len() == want;
            let fresh: Vec<WorkId> = due.into_iter().filter(|id| seen.insert(*id)).collect();
            if fresh.is_empty() {
                break;
            }
            for id in fresh {
                if chosen.len() == take.limit {
                    break;
                }
                let Some(row) = self.work.get(&id) else { continue };
                let link = self.link_of(row.work.pair, &row.work.subject);
                match link.map(|link| (link.id, link.lease)) {
                    Some((_, Some(lease))) if lease.until > take.now && !planted::is(Bug::LeaseOnWorkRow) => {
                        let mut row = row.clone();
                        row.defer(take.now, lease.until);
                        self.put_work(row);
                    }
                    // Folded into an earlier one.
                    Some((link, _)) if chosen.iter().any(|(_, other)| *other == Some(link)) => {}
                    link => chosen.push((id, link.map(|(id, _)| id))),
                }
            }
            if !full {
                break;
            }
        }
        chosen.into_iter().filter_map(|(id, link)| self.take_chosen(id, link, take).transpose()).collect()
    }

    /// The work that has been due longest.
    fn due_of(&self, take: &Take<'_>, limit: usize) -> Vec<WorkId> {
        let due = self.due.iter().take_while(|(due, _)| *due <= take.now).map(|(_, id)| *id);
        let wanted = |id: &WorkId| self.work.get(id).is_some_and(|row| take.pairs.contains(&row.work.pair));
        due.filter(wanted).take(limit).collect()
    }

    /// The rows that this work is about.
    fn rows_of(&self, work: &[WorkId]) -> Vec<(PairId, LocalId)> {
        let local = |id: &WorkId| {
            let work = &self.work.get(id)?.work;
            let id = match (self.link_of(work.pair, &work.subject), &work.subject) {
                (Some(link), _) => link.local_id.clone()?,
                (None, Subject::Local(id)) => id.clone(),
                (None, _) => return None,
            };
            Some((work.pair, id))
        };
        work.iter().filter_map(local).collect()
    }

    fn take_row(&mut self, id: WorkId, until: Timestamp) -> Option<Work> {
        let mut row = self.work.get(&id)?.clone();
        let seen = row.work.clone();
        row.take(until);
        self.put_work(row);
        if planted::is(Bug::TakenIsDone) {
            self.remove_work(id);
        }
        Some(seen)
    }

    /// The row, or the reason why it cannot be read.
    pub(super) fn row_for(
        &self,
        pair: PairId,
        id: Option<&LocalId>,
    ) -> Result<(Option<LocalRow>, Option<String>)> {
        let Some(id) = id else { return Ok((None, None)) };
        Ok(match self.table_of(pair)?.read(id) {
            Ok(row) => (row.cloned(), None),
            Err(why) => (None, Some(why)),
        })
    }

    /// The link that answers for a subject.
    fn link_of(&self, pair: PairId, subject: &Subject) -> Option<&Link> {
        match subject {
            Subject::Local(id) => self.link_of_local(pair, id),
            Subject::Remote(id) => self.link_of_remote(pair, id),
            Subject::Group(_) => None,
        }
    }

    fn take_chosen(&mut self, id: WorkId, link: Option<LinkId>, take: &Take<'_>) -> Result<Option<Taken>> {
        if let Some(link) = link.and_then(|id| self.links.get(&id)).cloned() {
            return self.take_link(link, take.now, take.until).map(Some);
        }
        let Some(row) = self.work.get(&id) else { return Ok(None) };
        let (pair, subject) = (row.work.pair, row.work.subject.clone());
        let local = match &subject {
            Subject::Local(id) => Some(id),
            _ => None,
        };
        let (row, row_error) = self.row_for(pair, local)?;
        let token = self.draw(1);
        let work = self.take_row(id, take.until).into_iter().collect();
        let (link, intents) = (None, Vec::new());
        Ok(Some(Taken { work, link, token, until: take.until, intents, next_intent: 1, row, row_error }))
    }
}

#[async_trait]
impl WorkQueue for MemoryStore {
    async fn signal(&self, now: Timestamp, signals: &[Signal]) -> Result<()> {
        self.write(|s| {
            s.at(now);
            signals.iter().for_each(|signal| s.signal(signal, None, now));
            Ok(())
        })
    }

    async fn take(&self, take: Take<'_>) -> Result<Vec<Taken>> {
        self.write(|s| s.take(&take))
    }

    async fn relay_and_take(&self, limit: usize, take: Take<'_>) -> Result<(Relayed, Vec<Taken>)> {
        self.write(|s| {
            s.at(take.now);
            let entries = s.relay(take.now, limit);
            let relayed = Relayed { entries, more: !s.changes.is_empty() };
            Ok((relayed, s.take(&take)?))
        })
    }

    async fn next_due(&self, pairs: &[PairId]) -> Result<Option<Timestamp>> {
        let state = self.lock();
        let of_pairs = |id: &WorkId| state.work.get(id).is_some_and(|row| pairs.contains(&row.work.pair));
        Ok(state.due.iter().find(|(_, id)| of_pairs(id)).map(|(due, _)| *due))
    }

    async fn parked(&self, filter: &ParkedFilter, after: Option<WorkId>, limit: usize) -> Result<Vec<Work>> {
        let state = self.lock();
        let wanted = |w: &&Work| {
            after.is_none_or(|after| w.id > after)
                && filter.pair.is_none_or(|pair| w.pair == pair)
                && w.parked.as_ref().is_some_and(|p| filter.reason.is_none_or(|reason| p.reason == reason))
        };
        Ok(state.work.values().map(|row| &row.work).filter(wanted).take(limit).cloned().collect())
    }

    async fn work(&self, id: WorkId) -> Result<Option<Work>> {
        Ok(self.lock().work.get(&id).map(|row| row.work.clone()))
    }

    async fn work_of(
        &self,
        pair: PairId,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<Vec<Work>> {
        let state = self.lock();
        let subjects = [local.cloned().map(Subject::Local), remote.cloned().map(Subject::Remote)];
        let rows = subjects.iter().flatten().filter_map(|s| state.work_at(pair, s));
        Ok(rows.map(|row| row.work.clone()).collect())
    }

    async fn rows_to_delete(
        &self,
        pair: PairId,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<Vec<LocalId>> {
        let state = self.lock();
        let told = state.work.values().filter(|row| row.work.pair == pair && !row.work.facts.is_empty());
        let rows = told.filter_map(|row| match &row.work.subject {
            Subject::Local(id) if after.is_none_or(|after| id > after) => Some(id.clone()),
            _ => None,
        });
        let rows: std::collections::BTreeSet<LocalId> = rows.collect();
        Ok(rows.into_iter().take(limit).collect())
    }

    async fn replay(&self, id: WorkId, now: Timestamp) -> Result<bool> {
        self.write(|s| {
            s.at(now);
            let Some(mut row) = s.work.get(&id).filter(|r| r.work.parked.is_some()).cloned() else {
                return Ok(false);
            };
            row.replay(s.draw(1), now);
            s.put_work(row);
            Ok(true)
        })
    }

    async fn dismiss(&self, id: WorkId) -> Result<bool> {
        self.write(|s| {
            let parked = s.work.get(&id).is_some_and(|r| r.work.parked.is_some());
            Ok(parked && s.remove_work(id).is_some())
        })
    }

    async fn park_group(&self, pair: PairId, value: &str, parked: &Parked) -> Result<()> {
        self.write(|s| {
            let generation = s.draw(1);
            let mut row = s.work_for(pair, &Subject::Group(value.to_owned()), parked.at);
            row.park_group(generation, parked);
            s.put_work(row);
            Ok(())
        })
    }

    async fn clear_group(&self, pair: PairId, value: &str) -> Result<bool> {
        self.write(|s| {
            let id = s.subjects.get(&(pair, Subject::Group(value.to_owned()))).copied();
            Ok(id.and_then(|id| s.remove_work(id)).is_some())
        })
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64> {
        self.write(|s| {
            s.at(now);
            let pending: BTreeSet<LinkId> =
                s.intents.values().filter(|i| i.state.is_pending()).map(|i| i.link).collect();
            let withheld = s.withheld_rows().map(|(pair, id)| (pair, Subject::Local(id)));
            let of_rows: Vec<Signal> = withheld
                .filter(|at| !s.subjects.contains_key(at))
                .map(|(pair, subject)| Signal { pair, subject, look: true, not_before: None })
                .collect();
            let of_links = s
                .links
                .values()
                .filter(|l| l.lease.is_none_or(|lease| lease.until <= now))
                .filter(|l| pending.contains(&l.id) || l.body.has_choice())
                .filter(|l| !State::subjects_of(l).any(|subject| s.subjects.contains_key(&(l.pair, subject))))
                .filter_map(|l| {
                    let subject = State::subjects_of(l).last()?;
                    Some(Signal { pair: l.pair, subject, look: true, not_before: None })
                });
            let forgotten: Vec<Signal> = of_links.chain(of_rows).collect();
            forgotten.iter().for_each(|signal| s.signal(signal, None, now));
            Ok(forgotten.len() as u64)
        })
    }

    async fn release(&self, link: LinkId, token: Seq) -> Result<()> {
        self.write(|s| {
            if let Some(mut held) = s.links.get(&link).cloned()
                && held.lease.is_some_and(|lease| lease.token == token)
            {
                held.lease = None;
                s.put_link(held);
            }
            Ok(())
        })
    }
}
