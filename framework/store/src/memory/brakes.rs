//! Brakes: counted from what the store holds at that moment.

use super::MemoryStore;
use super::state::{Op, State};
use crate::transition::{
    ChargeRow, ChargeSettled, ChargeState, Ruling, SetDigest, Tally, name_approver, settled,
};
use crate::{
    AuditEntry, Brake, BrakeApproval, BrakeApproved, BrakeId, BrakeKind, BrakeName, Brakes, Charge,
    ChargeKey, History, Judged, Link, LinkState, Result, Settlement, Signal, Subject, Withheld, WithheldSet,
};
use async_trait::async_trait;
use bothways_model::planted::{self, Bug};
use bothways_model::{LinkId, LocalId, PairId, Timestamp};
use std::collections::BTreeSet;

/// A brake that is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrakeRow {
    id: BrakeId,
    since: Timestamp,
    counted: u64,
    most: u64,
}

impl State {
    /// Judges all charges of a unit. If one of them is not free, that is remembered.
    pub(super) fn judge(&mut self, now: Timestamp, charges: &[Charge]) -> Vec<Judged> {
        let judged: Vec<Judged> = charges
            .iter()
            .map(|charge| {
                let tally = self.tally(charge);
                let live = self.live_links(charge);
                match tally.judge(charge, now, 0, Some(live)) {
                    Ruling::Is(judged) => judged,
                    Ruling::CountLinks => Judged::Withheld { counted: 0, most: 0 },
                }
            })
            .collect();
        for (charge, judged) in charges.iter().zip(&judged).filter(|(_, judged)| !judged.is_free()) {
            self.record_charge(now, charge, *judged);
        }
        judged
    }

    /// Takes in what was judged.
    pub(super) fn record_charge(&mut self, now: Timestamp, charge: &Charge, judged: Judged) {
        self.touch();
        let row = self.tally(charge).record(charge, judged, now);
        self.charges.entry(charge.brake.clone()).or_default().insert(charge.key.to_string(), row);
        match judged {
            Judged::Withheld { counted, most } if !self.brakes.contains_key(&charge.brake) => {
                self.last_brake += 1;
                let row = BrakeRow { id: BrakeId(self.last_brake), since: now, counted, most };
                self.brakes.insert(charge.brake.clone(), row);
            }
            _ => self.maybe_off(&charge.brake),
        }
    }

    /// Names in history who approved what was withheld.
    pub(super) fn name_approver(&self, entry: &mut History) {
        let keys: Vec<String> = entry.charge_keys().map(|key| key.to_string()).collect();
        let rows = self
            .charges
            .iter()
            .flat_map(|(name, rows)| keys.iter().filter_map(move |key| Some((name, rows.get(key)?))));
        name_approver(entry, rows);
    }

    /// Carries a settlement out.
    pub(super) fn settle_charges(&mut self, settlement: &Settlement) {
        for key in &settlement.keys {
            self.settle_key(settlement, &key.to_string());
        }
    }

    fn settle_key(&mut self, settlement: &Settlement, key: &str) {
        let touched: Vec<BrakeName> = self
            .charges
            .iter()
            .filter(|(name, rows)| {
                let same = name.pair == settlement.pair || planted::is(Bug::SettledForAllPairs);
                same && rows.contains_key(key)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in touched {
            let kept = settlement.keeps.contains(&name);
            let Some(rows) = self.charges.get_mut(&name) else { continue };
            match rows.get(key).and_then(|row| settled(settlement, kept, row.state)) {
                Some(ChargeSettled::Forgotten) => {
                    rows.remove(key);
                }
                Some(ChargeSettled::Spent) => {
                    if let Some(row) = rows.get_mut(key) {
                        row.approved_until = None;
                    }
                }
                None => {}
            }
            self.touch();
            self.maybe_off(&name);
        }
    }

    /// The rows of which something is withheld.
    pub(super) fn withheld_rows(&self) -> impl Iterator<Item = (PairId, LocalId)> {
        let all = self.charges.iter().flat_map(|(name, rows)| rows.iter().map(move |row| (name.pair, row)));
        all.filter(|(_, (_, row))| row.state == ChargeState::Withheld).filter_map(|(pair, (key, _))| {
            match ChargeKey::parse(key)? {
                ChargeKey::Row(id) => Some((pair, id)),
                ChargeKey::Link(_) | ChargeKey::Pass => None,
            }
        })
    }

    /// What is withheld of a row is withheld of it under its new key.
    pub(super) fn move_charges(&mut self, pair: PairId, from: &LocalId, to: &LocalId) {
        let [from, to] = [from, to].map(|id| ChargeKey::Row(id.clone()).to_string());
        for (_, rows) in self.charges.iter_mut().filter(|(name, _)| name.pair == pair) {
            if rows.get(&from).is_some_and(|row| row.state.is_open())
                && let Some(row) = rows.remove(&from)
            {
                rows.insert(to.clone(), row);
            }
        }
    }

    /// A brake that withholds nothing is off.
    fn maybe_off(&mut self, name: &BrakeName) {
        let rows = self.charges.get(name).into_iter().flat_map(|rows| rows.values());
        if !rows.into_iter().any(|row| row.state == ChargeState::Withheld) {
            self.brakes.remove(name);
        }
    }

    /// Live links; for deletes, with those that the deletes which count have closed.
    fn live_links(&self, charge: &Charge) -> u64 {
        let pair = charge.brake.pair;
        let deletes = self.charges.get(&charge.brake).filter(|_| charge.brake.kind == BrakeKind::Deletes);
        let deleted = |link: &Link| {
            let row = deletes.and_then(|rows| rows.get(&link.id.to_string()));
            row.is_some_and(|row| row.state == ChargeState::Done && row.at >= charge.since)
        };
        let links = self.links.values().filter(|l| l.pair == pair);
        links.filter(|l| l.state.is_live() || deleted(l)).count() as u64
    }

    fn tally(&self, charge: &Charge) -> Tally {
        let rows = self.charges.get(&charge.brake);
        let count = |wanted: &dyn Fn(&ChargeRow) -> bool| {
            rows.into_iter().flat_map(|rows| rows.values()).filter(|row| wanted(row)).count() as u64
        };
        let own = rows.and_then(|rows| rows.get(&charge.key.to_string()));
        let coming = match charge.ripening {
            Some(ripening) => self.coming(&charge.brake, ripening.captured),
            None => BTreeSet::new(),
        };
        Tally {
            on: self.brakes.contains_key(&charge.brake),
            done: count(&|row| row.state == ChargeState::Done && row.at >= charge.since),
            open: count(&|row| row.state.is_open()),
            withheld: count(&|row| row.state == ChargeState::Withheld),
            coming: coming.len() as u64,
            coming_too: coming.into_iter().map(ChargeKey::Link).filter(|key| *key == charge.key).collect(),
            rows: own.map(|row| (charge.key.clone(), row.clone())).into_iter().collect(),
        }
    }

    /// Links whose delete is to be expected, though nobody has charged it: missing ones, and (if asked for) those whose row was deleted.
    fn coming(&self, brake: &BrakeName, captured: bool) -> BTreeSet<LinkId> {
        let pair = brake.pair;
        let missing = self.links.values().filter(|l| l.pair == pair && l.state == LinkState::Missing);
        let mut coming: BTreeSet<LinkId> = missing.map(|l| l.id).collect();
        if captured && let Some(catalog) = self.pairs.get(&pair).map(|p| &p.spec.catalog) {
            let facts = self
                .work
                .values()
                .map(|row| &row.work)
                .filter(|work| work.pair == pair && !work.facts.is_empty() && work.parked.is_none());
            let facts = facts.filter_map(|work| match &work.subject {
                Subject::Local(id) => Some(id),
                _ => None,
            });
            let deleted =
                self.changes.values().filter(|c| c.catalog == *catalog && matches!(c.op, Op::Delete));
            for id in facts.chain(deleted.map(|c| &c.key)) {
                coming.extend(self.link_of_local(pair, id).filter(|l| l.state.is_live()).map(|l| l.id));
            }
        }
        if let Some(rows) = self.charges.get(brake) {
            coming.retain(|id| !rows.contains_key(&id.to_string()));
        }
        coming
    }

    fn brake_of(&self, id: BrakeId) -> Option<&BrakeName> {
        self.brakes.iter().find(|(_, row)| row.id == id).map(|(name, _)| name)
    }

    fn withheld_set(&self, name: &BrakeName, now: Timestamp) -> WithheldSet {
        let mut digest = SetDigest::default();
        for (key, row) in self.charges.get(name).into_iter().flatten() {
            if row.state == ChargeState::Withheld && !row.is_approved(now) {
                digest.add(key, &row.what);
            }
        }
        digest.finish()
    }

    /// What to signal for a key: the work that waits, so that it stays whose it is.
    fn subjects_of_key(&self, key: &ChargeKey) -> Vec<Subject> {
        match key {
            ChargeKey::Link(id) => {
                let Some(link) = self.links.get(id) else { return Vec::new() };
                let local = link.local_id.clone().map(Subject::Local);
                let all: Vec<Subject> =
                    local.into_iter().chain(link.remote_id.clone().map(Subject::Remote)).collect();
                let waits = |subject: &&Subject| self.work_at(link.pair, subject).is_some();
                let waiting: Vec<Subject> = all.iter().filter(waits).cloned().collect();
                if waiting.is_empty() { all.into_iter().take(1).collect() } else { waiting }
            }
            ChargeKey::Row(id) => vec![Subject::Local(id.clone())],
            ChargeKey::Pass => Vec::new(),
        }
    }

    /// Forgets what was done long ago.
    pub(super) fn prune_charges(&mut self, before: Timestamp) {
        for rows in self.charges.values_mut() {
            rows.retain(|_, row| row.state.is_open() || row.at >= before);
        }
        self.charges.retain(|_, rows| !rows.is_empty());
    }
}

#[async_trait]
impl Brakes for MemoryStore {
    async fn brakes(&self, now: Timestamp) -> Result<Vec<Brake>> {
        let state = self.lock();
        let mut all: Vec<Brake> = state
            .brakes
            .iter()
            .map(|(name, row)| {
                let rows = state.charges.get(name).into_iter().flat_map(|rows| rows.values());
                let withheld: Vec<_> = rows.filter(|row| row.state == ChargeState::Withheld).collect();
                Brake {
                    id: row.id,
                    name: name.clone(),
                    since: row.since,
                    counted: row.counted,
                    most: row.most,
                    withheld: withheld.len() as u64,
                    approved: withheld.iter().filter(|row| row.is_approved(now)).count() as u64,
                }
            })
            .collect();
        all.sort_by_key(|brake| brake.id);
        Ok(all)
    }

    async fn withheld(
        &self,
        brake: BrakeId,
        after: Option<&ChargeKey>,
        limit: usize,
    ) -> Result<Vec<Withheld>> {
        let state = self.lock();
        let after = after.map(ChargeKey::to_string);
        let rows = state.brake_of(brake).and_then(|name| state.charges.get(name)).into_iter().flatten();
        let rows = rows
            .filter(|(key, row)| {
                row.state == ChargeState::Withheld && after.as_ref().is_none_or(|after| *key > after)
            })
            .take(limit);
        Ok(rows
            .filter_map(|(text, row)| {
                let key = ChargeKey::parse(text)?;
                let link = match &key {
                    ChargeKey::Link(id) => state.links.get(id),
                    _ => None,
                };
                let named = match &key {
                    ChargeKey::Row(id) => Some(id.clone()),
                    _ => None,
                };
                Some(Withheld {
                    what: row.what.clone(),
                    since: row.at,
                    local_id: link.and_then(|l| l.local_id.clone()).or(named),
                    remote_id: link.and_then(|l| l.remote_id.clone()),
                    approved_until: row.approved_until,
                    approved_by: row.approved_by.clone(),
                    key,
                })
            })
            .collect())
    }

    async fn withheld_set(&self, brake: BrakeId, now: Timestamp) -> Result<Option<WithheldSet>> {
        let state = self.lock();
        Ok(state.brake_of(brake).map(|name| state.withheld_set(name, now)))
    }

    async fn approve_withheld(
        &self,
        now: Timestamp,
        approval: &BrakeApproval,
        audit: &AuditEntry,
    ) -> Result<BrakeApproved> {
        self.write(|s| {
            let Some(name) = s.brake_of(approval.brake).cloned() else { return Ok(BrakeApproved::Off) };
            let set = s.withheld_set(&name, now);
            if set != approval.set {
                return Ok(BrakeApproved::Moved(set));
            }
            s.touch();
            let mut keys = Vec::new();
            for (key, row) in s.charges.get_mut(&name).into_iter().flatten() {
                if row.state == ChargeState::Withheld && !row.is_approved(now) {
                    row.approved_until = Some(approval.until);
                    row.approved_by = Some(approval.by.clone());
                    keys.extend(ChargeKey::parse(key));
                }
            }
            for subject in keys.iter().flat_map(|key| s.subjects_of_key(key)).collect::<Vec<_>>() {
                s.signal_approved(&Signal { pair: name.pair, subject, look: true, not_before: None }, now);
            }
            s.audit.push(audit.clone());
            Ok(BrakeApproved::Yes)
        })
    }

    async fn charge(&self, now: Timestamp, charge: &Charge) -> Result<Judged> {
        self.write(|s| {
            let judged = s.judge(now, std::slice::from_ref(charge)).pop();
            let judged = judged.unwrap_or(Judged::Withheld { counted: 0, most: 0 });
            if judged.is_free() {
                s.record_charge(now, charge, judged);
                // No look will finish it.
                s.settle_charges(&Settlement {
                    pair: charge.brake.pair,
                    keys: vec![charge.key.clone()],
                    keeps: vec![charge.brake.clone()],
                    finished: true,
                });
            }
            Ok(judged)
        })
    }

    async fn forget_withheld(&self, brake: &BrakeName, key: &ChargeKey) -> Result<()> {
        self.write(|s| {
            let rows = s.charges.get_mut(brake);
            let text = key.to_string();
            if rows.as_ref().and_then(|rows| rows.get(&text)).is_some_and(|row| row.state.is_open()) {
                rows.map(|rows| rows.remove(&text));
                s.touch();
                s.maybe_off(brake);
            }
            Ok(())
        })
    }
}
