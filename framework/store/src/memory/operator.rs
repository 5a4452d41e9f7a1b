//! What people do, and what they read.

use super::MemoryStore;
use crate::{
    ApiToken, AuditEntry, History, HistoryFilter, HistoryRow, Operator, Result, StoreError, StoreErrorKind,
};
use async_trait::async_trait;
use bothways_model::{LocalId, PairId, RemoteId, Secret, Timestamp};
use chrono::{DurationRound, TimeDelta};

#[async_trait]
impl Operator for MemoryStore {
    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        self.write(|s| {
            s.touch();
            s.audit.push(entry.clone());
            Ok(())
        })
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditEntry>> {
        Ok(self.lock().audit.iter().rev().take(limit).cloned().collect())
    }

    async fn history(
        &self,
        filter: &HistoryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>> {
        let wanted = |h: &History| {
            filter.pair.is_none_or(|pair| h.pair == pair)
                && (filter.link.is_none() || h.link == filter.link)
                && (filter.local_id.is_none() || h.local_id == filter.local_id)
                && (filter.remote_id.is_none() || h.remote_id == filter.remote_id)
                && filter.op.is_none_or(|op| h.op == op)
                && (filter.pass.is_none() || h.pass == filter.pass)
        };
        let state = self.lock();
        let rows = state.history.range(..before.unwrap_or(i64::MAX)).rev().map(|(_, row)| row);
        Ok(rows.filter(|row| wanted(&row.entry)).take(limit).cloned().collect())
    }

    async fn add_token(&self, token: &ApiToken) -> Result<()> {
        self.write(|s| {
            if s.tokens.iter().any(|t| t.hash == token.hash) {
                return Err(StoreError::new(StoreErrorKind::Refused, "this token exists already"));
            }
            s.touch();
            s.tokens.push(token.clone());
            Ok(())
        })
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>> {
        Ok(self.lock().tokens.clone())
    }

    async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<bool> {
        self.write(|s| {
            s.touch();
            let mut any = false;
            for token in s.tokens.iter_mut().filter(|t| t.name == name && t.revoked_at.is_none()) {
                token.revoked_at = Some(at);
                any = true;
            }
            Ok(any)
        })
    }

    async fn secret(&self) -> Result<Secret> {
        Ok(Secret::new("of an installation in memory"))
    }

    async fn touch_token(&self, hash: &str, at: Timestamp) -> Result<()> {
        let minute = at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at);
        self.write(|s| {
            let present = s.tokens.iter_mut().find(|t| t.hash == hash);
            if let Some(token) = present.filter(|t| t.used_at.is_none_or(|used| used < minute)) {
                token.used_at = Some(minute);
                s.touch();
            }
            Ok(())
        })
    }

    async fn erase(
        &self,
        pair: PairId,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<crate::Erased> {
        self.write(|s| super::erasure::erase(s, pair, local, remote))
    }
}
