//! Pairs, counts and pauses.

use crate::Sql;
use crate::connection::Connection;
use crate::error::{ours, refused, unknown};
use crate::statement::{Arg, execute, fetch, fetch_optional};
use crate::stored::{PAIR, get, json, nanos, read_pair, scope_of_text, scope_text, time};
use async_trait::async_trait;
use bothways_model::{AccountId, Mode, PairId, Timestamp};
use bothways_store::{Approval, Pair, PairCounts, PairSpec, Pairs, Pause, PauseScope, Result};
use std::collections::BTreeMap;

async fn find(c: &mut Connection, spec: &PairSpec) -> Result<Option<Pair>> {
    let sql =
        format!("SELECT {PAIR} FROM bothways_pairs WHERE catalog = ? AND connection = ? AND resource = ?");
    let args: [Arg; 3] =
        [spec.catalog.as_str().into(), spec.connection.as_str().into(), spec.resource.as_str().into()];
    let row = fetch_optional(c, sql, args).await.map_err(ours)?;
    row.map(|row| read_pair(&row)).transpose()
}

/// Counts by word.
async fn by_word(c: &mut Connection, sql: &'static str, pair: PairId) -> Result<BTreeMap<String, u64>> {
    let rows = fetch(c, sql, [pair.0.into()]).await.map_err(ours)?;
    rows.iter().map(|row| Ok((get(row, 0)?, count(get(row, 1)?)))).collect()
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Sql {
    /// Changes one column of a pair.
    async fn set(&self, pair: PairId, column: &'static str, value: Arg) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let sql = format!("UPDATE bothways_pairs SET {column} = ? WHERE id = ?");
        let done = execute(&mut writer, sql, [value, pair.0.into()]).await.map_err(ours)?;
        if done == 0 { Err(unknown(format!("there is no pair {pair}"))) } else { Ok(()) }
    }
}

#[async_trait]
impl Pairs for Sql {
    async fn ensure_pair(&self, spec: &PairSpec) -> Result<Pair> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let present = find(&mut tx, spec).await?;
        if let Some(pair) = &present
            && pair.spec == *spec
            && pair.retired_at.is_none()
        {
            return Ok(pair.clone());
        }
        let sql = "INSERT INTO bothways_pairs (catalog, connection, resource, mapping, mode) VALUES (?, ?, ?, ?, ?) \
                   ON CONFLICT (catalog, connection, resource) DO UPDATE SET mapping = excluded.mapping, retired_at = NULL";
        let args: [Arg; 5] = [
            spec.catalog.as_str().into(),
            spec.connection.as_str().into(),
            spec.resource.as_str().into(),
            spec.mapping.as_str().into(),
            Mode::Unknown.as_str().into(),
        ];
        execute(&mut tx, sql, args).await.map_err(ours)?;
        let pair = find(&mut tx, spec).await?;
        tx.commit().await.map_err(ours)?;
        pair.ok_or_else(|| crate::error::damaged("the pairs"))
    }

    async fn pairs(&self) -> Result<Vec<Pair>> {
        let mut c = self.database.reader().await?;
        let sql = format!("SELECT {PAIR} FROM bothways_pairs WHERE retired_at IS NULL ORDER BY id");
        fetch(&mut c, sql, []).await.map_err(ours)?.iter().map(read_pair).collect()
    }

    async fn set_account(&self, pair: PairId, account: &AccountId, mode: Mode) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let sql = "UPDATE bothways_pairs SET account = ?1, mode = ?2 WHERE id = ?3 AND (account IS NULL OR account = ?1)";
        let args: [Arg; 3] = [account.as_str().into(), mode.as_str().into(), pair.0.into()];
        if execute(&mut writer, sql, args).await.map_err(ours)? > 0 {
            return Ok(());
        }
        let there =
            fetch_optional(&mut writer, "SELECT 1 FROM bothways_pairs WHERE id = ?", [pair.0.into()]).await;
        Err(match there.map_err(ours)? {
            Some(_) => refused(format!("pair {pair} belongs to another account")),
            None => unknown(format!("there is no pair {pair}")),
        })
    }

    async fn approve(&self, pair: PairId, approval: &Approval) -> Result<()> {
        self.set(pair, "approval", json(approval).into()).await
    }

    async fn set_walked(&self, pair: PairId, at: Timestamp) -> Result<()> {
        self.set(pair, "walked_at", nanos(at).into()).await
    }

    async fn set_passed(&self, pair: PairId, at: Timestamp) -> Result<()> {
        self.set(pair, "passed_at", nanos(at).into()).await
    }

    async fn counts(&self, pair: PairId) -> Result<PairCounts> {
        let mut c = self.database.snapshot().await?;
        let links = "SELECT state, count(*) FROM bothways_links WHERE pair = ? GROUP BY state";
        let links = by_word(&mut c, links, pair).await?;
        let parked = "SELECT reason, count(*) FROM bothways_work WHERE pair = ? AND reason IS NOT NULL GROUP BY reason";
        let parked = by_word(&mut c, parked, pair).await?;
        let sql = "SELECT (SELECT count(*) FROM bothways_links WHERE pair = ?1 AND conflicts = 1), \
                   (SELECT count(*) FROM bothways_intents WHERE pair = ?1 AND pending = 1), \
                   count(*), count(held), min(since) FROM bothways_work WHERE pair = ?1 AND reason IS NULL";
        let mut counts = PairCounts { links, parked, ..PairCounts::default() };
        if let Some(row) = fetch_optional(&mut c, sql, [pair.0.into()]).await.map_err(ours)? {
            counts.conflicts = count(get(&row, 0)?);
            counts.intents = count(get(&row, 1)?);
            counts.pending = count(get(&row, 2)?);
            counts.held = count(get(&row, 3)?);
            counts.oldest = get::<Option<i64>>(&row, 4)?.map(time);
        }
        Ok(counts)
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT scope, reason, by, at FROM bothways_pauses ORDER BY at, scope";
        let rows = fetch(&mut c, sql, []).await.map_err(ours)?;
        rows.iter()
            .map(|row| {
                let scope =
                    scope_of_text(get(row, 0)?).ok_or_else(|| crate::error::damaged("a pause's scope"))?;
                Ok(Pause { scope, reason: get(row, 1)?, by: get(row, 2)?, at: time(get(row, 3)?) })
            })
            .collect()
    }

    async fn pause(&self, pause: &Pause) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let sql = "INSERT INTO bothways_pauses (scope, reason, by, at) VALUES (?, ?, ?, ?) \
                   ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason, by = excluded.by, at = excluded.at";
        let args: [Arg; 4] = [
            scope_text(&pause.scope).into(),
            pause.reason.as_str().into(),
            pause.by.as_str().into(),
            nanos(pause.at).into(),
        ];
        execute(&mut writer, sql, args).await.map(drop).map_err(ours)
    }

    async fn resume(&self, scope: &PauseScope) -> Result<bool> {
        let mut writer = self.database.writer().await?;
        let sql = "DELETE FROM bothways_pauses WHERE scope = ?";
        let done = execute(&mut writer, sql, [scope_text(scope).into()]).await.map_err(ours)?;
        Ok(done > 0)
    }
}
