//! Audit, history, tokens.

use crate::Sql;
use crate::connection::Connection;
use crate::erasure::erase;
use crate::error::{damaged, ours, refused};
use crate::statement::{Arg, execute, fetch, fetch_optional};
use crate::stored::{HISTORY, from_json, get, nanos, read_history, time};
use async_trait::async_trait;
use bothways_model::{LocalId, PairId, RemoteId, Secret, Timestamp};
use bothways_store::{ApiToken, AuditEntry, Erased, HistoryFilter, HistoryRow, Operator, Result, TokenScope};
use chrono::{DurationRound, TimeDelta};

/// Adds an audit entry within a transaction.
pub(crate) async fn add_audit(c: &mut Connection, entry: &AuditEntry) -> Result<()> {
    let sql = "INSERT INTO bothways_audit (at, by, action, detail) VALUES (?, ?, ?, ?)";
    let args: [Arg; 4] = [
        nanos(entry.at).into(),
        entry.by.as_str().into(),
        entry.action.as_str().into(),
        entry.detail.to_string().into(),
    ];
    execute(c, sql, args).await.map(drop).map_err(ours)
}

#[async_trait]
impl Operator for Sql {
    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        add_audit(&mut *self.database.writer().await?, entry).await
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditEntry>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT at, by, action, detail FROM bothways_audit ORDER BY id DESC LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = fetch(&mut c, sql, [limit.into()]).await.map_err(ours)?;
        rows.iter()
            .map(|row| {
                let detail = from_json(get(row, 3)?, "an audit entry")?;
                Ok(AuditEntry { at: time(get(row, 0)?), by: get(row, 1)?, action: get(row, 2)?, detail })
            })
            .collect()
    }

    async fn history(
        &self,
        filter: &HistoryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>> {
        let mut conditions = vec!["id < ?"];
        let mut args: Vec<Arg> = vec![before.unwrap_or(i64::MAX).into()];
        let mut add = |condition: &'static str, arg: Option<Arg>| {
            if let Some(arg) = arg {
                conditions.push(condition);
                args.push(arg);
            }
        };
        add("pair = ?", filter.pair.map(|pair| pair.0.into()));
        add("link = ?", filter.link.map(|link| link.to_string().into()));
        add("local_id = ?", filter.local_id.as_ref().map(|id| id.as_str().into()));
        add("remote_id = ?", filter.remote_id.as_ref().map(|id| id.as_str().into()));
        add("op = ?", filter.op.map(|op| op.as_str().into()));
        add("pass = ?", filter.pass.as_deref().map(Into::into));
        args.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let conditions = conditions.join(" AND ");
        let sql =
            format!("SELECT id, {HISTORY} FROM bothways_history WHERE {conditions} ORDER BY id DESC LIMIT ?");
        let mut c = self.database.reader().await?;
        fetch(&mut c, sql, args).await.map_err(ours)?.iter().map(read_history).collect()
    }

    async fn add_token(&self, token: &ApiToken) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let sql = "INSERT INTO bothways_tokens (hash, name, scope, created_at, expires_at, used_at, revoked_at) \
                   VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING";
        let args: [Arg; 7] = [
            token.hash.as_str().into(),
            token.name.as_str().into(),
            token.scope.as_str().into(),
            nanos(token.created_at).into(),
            token.expires_at.map(nanos).into(),
            token.used_at.map(nanos).into(),
            token.revoked_at.map(nanos).into(),
        ];
        let done = execute(&mut writer, sql, args).await.map_err(ours)?;
        if done == 0 { Err(refused("this token exists already")) } else { Ok(()) }
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT hash, name, scope, created_at, expires_at, used_at, revoked_at FROM bothways_tokens \
                   ORDER BY created_at, hash";
        let rows = fetch(&mut c, sql, []).await.map_err(ours)?;
        rows.iter()
            .map(|row| {
                let moment = |index: usize| {
                    Ok::<_, bothways_store::StoreError>(get::<Option<i64>>(row, index)?.map(time))
                };
                Ok(ApiToken {
                    hash: get(row, 0)?,
                    name: get(row, 1)?,
                    scope: TokenScope::parse(get(row, 2)?).ok_or_else(|| damaged("a token's scope"))?,
                    created_at: time(get(row, 3)?),
                    expires_at: moment(4)?,
                    used_at: moment(5)?,
                    revoked_at: moment(6)?,
                })
            })
            .collect()
    }

    async fn revoke_token(&self, name: &str, at: Timestamp) -> Result<bool> {
        let mut writer = self.database.writer().await?;
        let sql = "UPDATE bothways_tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL";
        let done = execute(&mut writer, sql, [nanos(at).into(), name.into()]).await.map_err(ours)?;
        Ok(done > 0)
    }

    async fn erase(
        &self,
        pair: PairId,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<Erased> {
        let mut writer = self.database.writer().await?;
        erase(&mut writer, pair, local, remote).await
    }

    async fn secret(&self) -> Result<Secret> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT value FROM bothways_secrets WHERE name = 'installation'";
        let row = fetch_optional(&mut c, sql, []).await.map_err(ours)?;
        let row = row.ok_or_else(|| damaged("the installation's secret"))?;
        Ok(Secret::new(get::<String>(&row, 0)?))
    }

    async fn touch_token(&self, hash: &str, at: Timestamp) -> Result<()> {
        let minute = nanos(at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at));
        // Most requests come within a minute of the one before: no write for those.
        let mut reader = self.database.reader().await?;
        let sql = "SELECT 1 FROM bothways_tokens WHERE hash = ? AND (used_at IS NULL OR used_at < ?)";
        let due = fetch(&mut reader, sql, [hash.into(), minute.into()]).await.map_err(ours)?;
        drop(reader);
        if due.is_empty() {
            return Ok(());
        }
        let mut writer = self.database.writer().await?;
        let sql =
            "UPDATE bothways_tokens SET used_at = ?1 WHERE hash = ?2 AND (used_at IS NULL OR used_at < ?1)";
        execute(&mut writer, sql, [minute.into(), hash.into()]).await.map(drop).map_err(ours)
    }
}
