//! Pairs and pauses.

use super::MemoryStore;
use crate::{
    Approval, Pair, PairCounts, PairSpec, Pairs, Pause, PauseScope, Result, StoreError, StoreErrorKind,
};
use async_trait::async_trait;
use bothways_model::{AccountId, Mode, PairId, Timestamp};

#[async_trait]
impl Pairs for MemoryStore {
    async fn ensure_pair(&self, spec: &PairSpec) -> Result<Pair> {
        self.write(|s| {
            let same = |p: &&Pair| {
                (&p.spec.catalog, &p.spec.connection, &p.spec.resource)
                    == (&spec.catalog, &spec.connection, &spec.resource)
            };
            if let Some(id) = s.pairs.values().find(same).map(|p| p.id) {
                if s.pair(id)?.spec.mapping != spec.mapping || s.pair(id)?.retired_at.is_some() {
                    let pair = s.pair_mut(id)?;
                    pair.spec.mapping.clone_from(&spec.mapping);
                    pair.retired_at = None;
                }
                return Ok(s.pair(id)?.clone());
            }
            s.touch();
            let pair = Pair {
                id: PairId(s.pairs.last_key_value().map_or(1, |(id, _)| id.0 + 1)),
                spec: spec.clone(),
                account: None,
                mode: Mode::Unknown,
                approval: None,
                walked_at: None,
                passed_at: None,
                retired_at: None,
            };
            s.pairs.insert(pair.id, pair.clone());
            Ok(pair)
        })
    }

    async fn pairs(&self) -> Result<Vec<Pair>> {
        Ok(self.lock().pairs.values().filter(|p| p.retired_at.is_none()).cloned().collect())
    }

    async fn set_account(&self, pair: PairId, account: &AccountId, mode: Mode) -> Result<()> {
        self.take_a_moment().await;
        self.write(|s| {
            if s.pair(pair)?.account.as_ref().is_some_and(|present| present != account) {
                let message = format!("pair {pair} belongs to another account");
                return Err(StoreError::new(StoreErrorKind::Refused, message));
            }
            let pair = s.pair_mut(pair)?;
            pair.account = Some(account.clone());
            pair.mode = mode;
            Ok(())
        })
    }

    async fn approve(&self, pair: PairId, approval: &Approval) -> Result<()> {
        self.write(|s| {
            s.pair_mut(pair)?.approval = Some(approval.clone());
            Ok(())
        })
    }

    async fn set_walked(&self, pair: PairId, at: Timestamp) -> Result<()> {
        self.write(|s| {
            s.pair_mut(pair)?.walked_at = Some(at);
            Ok(())
        })
    }

    async fn set_passed(&self, pair: PairId, at: Timestamp) -> Result<()> {
        self.write(|s| {
            s.pair_mut(pair)?.passed_at = Some(at);
            Ok(())
        })
    }

    async fn counts(&self, pair: PairId) -> Result<PairCounts> {
        let state = self.lock();
        let mut counts = PairCounts::default();
        for link in state.links.values().filter(|l| l.pair == pair) {
            *counts.links.entry(link.state.as_str().to_owned()).or_default() += 1;
            counts.conflicts += u64::from(!link.body.conflicts.is_empty());
        }
        let pending = state.intents.values().filter(|i| i.pair == pair && i.state.is_pending());
        counts.intents = pending.count() as u64;
        for work in state.work.values().map(|row| &row.work).filter(|w| w.pair == pair) {
            if let Some(parked) = &work.parked {
                *counts.parked.entry(parked.reason.as_str().to_owned()).or_default() += 1;
            } else {
                counts.pending += 1;
                counts.held += u64::from(work.held.is_some());
                counts.oldest = Some(counts.oldest.map_or(work.since, |at| at.min(work.since)));
            }
        }
        Ok(counts)
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        Ok(self.lock().pauses.values().cloned().collect())
    }

    async fn pause(&self, pause: &Pause) -> Result<()> {
        self.write(|s| {
            s.touch();
            s.pauses.insert(pause.scope.clone(), pause.clone());
            Ok(())
        })
    }

    async fn resume(&self, scope: &PauseScope) -> Result<bool> {
        self.write(|s| {
            s.touch();
            Ok(s.pauses.remove(scope).is_some())
        })
    }
}
