//! Reading links and intents, and single leases.

use super::MemoryStore;
use crate::{Intent, Link, LinkFilter, Links, Result, Taken, Unit, UnitOutcome};
use async_trait::async_trait;
use bothways_model::{LinkId, LocalId, PairId, RemoteId, Seq, Timestamp};

#[async_trait]
impl Links for MemoryStore {
    async fn link(&self, id: LinkId) -> Result<Option<Link>> {
        Ok(self.lock().links.get(&id).cloned())
    }

    async fn links(&self, filter: &LinkFilter, after: Option<LinkId>, limit: usize) -> Result<Vec<Link>> {
        let wanted = |l: &&Link| {
            after.is_none_or(|after| l.id > after)
                && filter.pair.is_none_or(|pair| l.pair == pair)
                && filter.state.is_none_or(|state| l.state == state)
                && (!filter.conflicts || !l.body.conflicts.is_empty())
                && (filter.local_id.is_none() || l.local_id == filter.local_id)
                && (filter.remote_id.is_none() || l.remote_id == filter.remote_id)
        };
        Ok(self.lock().links.values().filter(wanted).take(limit).cloned().collect())
    }

    async fn links_of_remote(&self, pair: PairId, ids: &[RemoteId]) -> Result<Vec<Option<Link>>> {
        let state = self.lock();
        Ok(ids.iter().map(|id| state.link_of_remote(pair, id).cloned()).collect())
    }

    async fn links_of_local(&self, pair: PairId, ids: &[LocalId]) -> Result<Vec<Option<Link>>> {
        let state = self.lock();
        Ok(ids.iter().map(|id| state.link_of_local(pair, id).cloned()).collect())
    }

    async fn lease(&self, id: LinkId, now: Timestamp, until: Timestamp) -> Result<Option<Taken>> {
        self.write(|s| {
            s.relay_rekeys(now);
            let free = |l: &&Link| l.lease.is_none_or(|lease| lease.until <= now);
            let Some(link) = s.links.get(&id).filter(free).cloned() else { return Ok(None) };
            if let Some(local) = &link.local_id {
                s.relay_deletes(now, &[(link.pair, local.clone())]);
            }
            s.take_link(link, now, until).map(Some)
        })
    }

    async fn end_leases(&self, now: Timestamp) -> Result<u64> {
        self.write(|s| {
            s.at(now);
            let leased = |l: &&Link| l.lease.is_some_and(|lease| lease.until > now);
            let links: Vec<Link> = s.links.values().filter(leased).cloned().collect();
            let count = links.len() as u64;
            for mut link in links {
                link.lease = link.lease.map(|lease| crate::Lease { until: now, ..lease });
                s.put_link(link);
            }
            let rows: Vec<_> = s.work.values().filter(|row| row.is_in_hand(now)).cloned().collect();
            for mut row in rows {
                row.work.due = Some(now);
                s.put_work(row);
            }
            Ok(count)
        })
    }

    async fn commit(&self, now: Timestamp, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
        self.write(|s| {
            s.at(now);
            s.commit(now, units)
        })
    }

    async fn intents(&self, link: LinkId, limit: usize) -> Result<Vec<Intent>> {
        let state = self.lock();
        let of_link = state.intents.range((link, 0)..=(link, u32::MAX));
        Ok(of_link.rev().take(limit).map(|(_, i)| i.clone()).collect())
    }

    async fn creates_in_flight(&self, pair: PairId, limit: usize) -> Result<Vec<Intent>> {
        let state = self.lock();
        let creates = state.intents.values();
        let wanted = |i: &&Intent| i.pair == pair && i.kind == Intent::CREATE && i.state.is_pending();
        Ok(creates.filter(wanted).take(limit).cloned().collect())
    }

    async fn draw(&self, count: u32) -> Result<Seq> {
        Ok(self.lock().draw(count))
    }
}
