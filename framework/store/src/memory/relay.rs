//! The relay: the change log becomes signals, facts and moved links (rules 29, 36, 37, 40).

use super::MemoryStore;
use super::state::{Change, Op, State};
use crate::transition::displaced;
use crate::{Capture, Fact, Relayed, Result, Side, Signal, Subject};
use async_trait::async_trait;
use bothways_model::planted::{self, Bug};
use bothways_model::{LocalId, PairId, Timestamp};
use chrono::TimeDelta;
use std::collections::BTreeSet;

/// How long event ids are kept (rule 49).
const EVENTS: TimeDelta = TimeDelta::days(3);
/// Tombstones stay at least this long (rule 34).
const TOMBSTONE_DAYS: u32 = 30;
/// How long what brakes counted is kept: longer than any window or full pass.
const CHARGE_DAYS: u32 = 7;

impl State {
    /// Relays up to `limit` entries, and then as many as follow without a gap in a chain of key changes.
    pub(super) fn relay(&mut self, now: Timestamp, limit: usize) -> u64 {
        let mut entries = 0;
        while let Some((number, change)) = self.changes.pop_first() {
            if entries >= limit as u64 && !matches!(change.op, Op::Rekey(_)) {
                self.changes.insert(number, change);
                break;
            }
            self.touch();
            let passed = self.last_relayed > number;
            self.last_relayed = self.last_relayed.max(number);
            if !(passed && planted::is(Bug::OutboxByIdGreaterThan)) {
                self.carry(now, number, &change);
            }
            entries += 1;
        }
        entries
    }

    /// Relays everything up to the last key change, so that no row is looked up under an id that its link does not have yet.
    pub(super) fn relay_rekeys(&mut self, now: Timestamp) {
        let last = self.changes.iter().filter(|(_, c)| matches!(c.op, Op::Rekey(_))).map(|(n, _)| *n).max();
        if let Some(last) = last {
            let upto = self.changes.range(..=last).count();
            self.relay(now, upto);
        }
    }

    /// Relays the captured deletes of these rows, so that a row that has such an id now is never taken for it (rule 30). False if there
    /// are none.
    pub(super) fn relay_deletes(&mut self, now: Timestamp, rows: &[(PairId, LocalId)]) -> bool {
        let of_pair = |(pair, id): &(PairId, LocalId)| {
            self.pairs.get(pair).map(|pair| (pair.spec.catalog.clone(), id.clone()))
        };
        let ids: BTreeSet<(String, LocalId)> = rows.iter().filter_map(of_pair).collect();
        let wanted = |c: &Change| c.op == Op::Delete && ids.contains(&(c.catalog.clone(), c.key.clone()));
        let deletes: Vec<i64> = self.changes.iter().filter(|(_, c)| wanted(c)).map(|(n, _)| *n).collect();
        for number in &deletes {
            if let Some(change) = self.changes.remove(number) {
                self.touch();
                self.carry(now, *number, &change);
            }
        }
        !deletes.is_empty()
    }

    /// Whether the row with this id may be another one than the engine knows it as: a captured delete or key change that names the id
    /// is not relayed yet, or came in since the row was taken.
    pub(super) fn has_moved(&self, pair: PairId, id: &LocalId) -> bool {
        let work = self.work_at(pair, &Subject::Local(id.clone()));
        if work.is_some_and(|row| !row.work.facts.is_empty() && row.work.generation > row.taken) {
            return true;
        }
        let Some(catalog) = self.pairs.get(&pair).map(|pair| &pair.spec.catalog) else { return false };
        let names = |change: &Change| match &change.op {
            Op::Delete => change.key == *id,
            Op::Rekey(old) => change.key == *id || old == id,
            Op::Insert | Op::Update | Op::Victim => false,
        };
        self.changes.values().any(|change| names(change) && change.catalog == *catalog)
    }

    fn carry(&mut self, now: Timestamp, number: i64, change: &Change) {
        let pairs: Vec<PairId> =
            self.pairs.values().filter(|p| p.spec.catalog == change.catalog).map(|p| p.id).collect();
        for pair in pairs {
            if let Op::Rekey(old) = &change.op {
                if planted::is(Bug::RekeyAsDeleteAndInsert) {
                    let subject = Subject::Local(old.clone());
                    let fact = Fact::Deleted { change: number, at: change.at };
                    self.signal(&Signal { pair, subject, look: false, not_before: None }, Some(fact), now);
                } else {
                    self.rekey(now, number, pair, old, &change.key);
                }
            }
            if self.pairs.get(&pair).is_some_and(|p| p.retired_at.is_none()) {
                let fact = matches!(change.op, Op::Delete)
                    .then_some(Fact::Deleted { change: number, at: change.at });
                let subject = Subject::Local(change.key.clone());
                let waits = self.work_at(pair, &subject).is_some();
                let fact = fact.filter(|_| !(waits && planted::is(Bug::DeleteCoalescedAway)));
                self.signal(
                    &Signal { pair, subject: subject.clone(), look: false, not_before: None },
                    fact,
                    now,
                );
                let mut row = self.work_for(pair, &subject, now);
                row.changed(change.at);
                self.put_work(row);
            }
        }
    }

    fn rekey(&mut self, now: Timestamp, number: i64, pair: PairId, old: &LocalId, new: &LocalId) {
        if !self.links_at_local(pair, new).is_empty() {
            self.move_local(now, pair, new, &displaced(new, number));
        } else if let Some(row) = self.work_at(pair, &Subject::Local(new.clone())).cloned() {
            let mut row = row;
            row.work.facts.clear();
            self.put_work(row);
        }
        self.keys.remove(&(pair, Side::Local, new.0.clone()));
        if let Some(mut key) = self.keys.remove(&(pair, Side::Local, old.0.clone())) {
            key.id.clone_from(&new.0);
            self.keys.insert((pair, Side::Local, new.0.clone()), key);
        }
        self.move_local(now, pair, old, new);
    }

    /// Links and work of one local id move to another.
    fn move_local(&mut self, now: Timestamp, pair: PairId, from: &LocalId, to: &LocalId) {
        for id in self.links_at_local(pair, from) {
            if let Some(mut link) = self.links.get(&id).cloned() {
                link.local_id = Some(to.clone());
                self.put_link(link);
            }
        }
        self.move_charges(pair, from, to);
        let (from, to) = (Subject::Local(from.clone()), Subject::Local(to.clone()));
        let Some(moved) = self.subjects.get(&(pair, from)).copied().and_then(|id| self.remove_work(id))
        else {
            return;
        };
        let row = match self.work_at(pair, &to).cloned() {
            Some(mut row) => {
                row.merge(moved);
                row
            }
            None => {
                let mut row = moved;
                row.work.subject = to;
                row
            }
        };
        self.at(now);
        self.put_work(row);
    }
}

#[async_trait]
impl Capture for MemoryStore {
    async fn relay(&self, now: Timestamp, limit: usize) -> Result<Relayed> {
        self.write(|s| {
            s.at(now);
            let entries = s.relay(now, limit);
            Ok(Relayed { entries, more: !s.changes.is_empty() })
        })
    }

    async fn drained(&self, change: i64) -> Result<bool> {
        Ok(self.lock().changes.range(..=change).next().is_none())
    }

    async fn changed(&self) {
        self.wait_for_change().await;
    }

    async fn repair(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn prune(&self, now: Timestamp, keep_days: u32) -> Result<()> {
        self.write(|s| {
            s.at(now);
            let before = |days: u32| now - TimeDelta::days(i64::from(days));
            s.events.retain(|_, entry| entry.at >= now - EVENTS);
            s.intents.retain(|_, i| i.state.is_pending() || i.at >= before(keep_days));
            s.history.retain(|_, h| h.at >= before(keep_days));
            s.prune_charges(before(CHARGE_DAYS));
            let old = before(keep_days.max(TOMBSTONE_DAYS));
            let gone: Vec<_> = s
                .links
                .values()
                .filter(|l| {
                    l.state == crate::LinkState::Tombstone && l.local_id.is_none() && l.updated_at < old
                })
                .map(|l| l.id)
                .collect();
            gone.into_iter().for_each(|id| s.remove_link(id));
            Ok(())
        })
    }
}
