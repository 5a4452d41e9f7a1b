//! Capture: the relay, waiting for changes, repairing triggers, pruning.

use crate::Sql;
use crate::connection::Connection;
use crate::error::ours;
use crate::migrate::is_installed;
use crate::relay;
use crate::statement::{execute, fetch_optional};
use crate::stored::{get, nanos};
use crate::triggers::{installed, put_right};
use crate::watch::Watch;
use async_trait::async_trait;
use bothways_model::Timestamp;
use bothways_store::{Capture, LinkState, Relayed, Result};
use chrono::TimeDelta;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long event ids are kept (rule 49).
const EVENTS: TimeDelta = TimeDelta::days(3);
/// Tombstones stay at least this long (rule 34).
const TOMBSTONE_DAYS: u32 = 30;
/// How long what brakes counted is kept: longer than any window or full pass.
const CHARGE_DAYS: i64 = 7;

#[async_trait]
impl Capture for Sql {
    async fn relay(&self, now: Timestamp, limit: usize) -> Result<Relayed> {
        // Most calls find nothing; they need no transaction.
        if self.drained(i64::MAX).await? {
            return Ok(Relayed::default());
        }
        let mut writer = self.database.quick_writer().await?;
        let mut tx = writer.begin().await?;
        let relayed = relay::relay(&mut tx, now, limit).await?;
        tx.commit().await.map_err(ours)?;
        Ok(relayed)
    }

    async fn drained(&self, change: i64) -> Result<bool> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT 1 FROM bothways_changes WHERE id <= ? LIMIT 1";
        Ok(fetch_optional(&mut c, sql, [change.into()]).await.map_err(ours)?.is_none())
    }

    async fn changed(&self) {
        let watch = loop {
            match self.database.watch.get_or_try_init(|| async { Watch::start(&self.database) }).await {
                Ok(watch) => break watch,
                Err(error) => {
                    tracing::warn!(%error, "cannot watch the database; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        let now = watch.after(self.seen.load(Ordering::Relaxed)).await;
        self.seen.store(now, Ordering::Relaxed);
    }

    async fn repair(&self) -> Result<Vec<String>> {
        let database = &self.database;
        let mut reader = database.reader().await?;
        if database.schema_version(&mut reader).await? == database.checked.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        drop(reader);
        let mut writer = database.writer().await?;
        let mut tx = writer.begin().await?;
        if !is_installed(&mut tx).await? {
            return Ok(Vec::new());
        }
        let asked = installed(&mut tx).await?;
        let facts = database.facts(&mut tx).await?;
        let all: Vec<_> = database
            .catalogs
            .iter()
            .zip(facts.iter().map(Option::as_ref))
            .filter(|(catalog, _)| asked.contains(&catalog.name))
            // The triggers of a table that does not fit are left as they are: new ones might name what is not there, and then
            // nobody could write to it.
            .map(|(catalog, facts)| (catalog, facts.filter(|facts| facts.lacks(catalog).is_none())))
            .collect();
        let repaired = put_right(&mut tx, &all).await?;
        let version = database.schema_version(&mut tx).await?;
        tx.commit().await.map_err(ours)?;
        database.set_tables(&facts);
        database.checked.store(version, Ordering::Relaxed);
        for catalog in &repaired {
            tracing::warn!(%catalog, "its triggers were missing or changed and have been put back");
        }
        Ok(repaired)
    }

    async fn unfit(&self) -> Result<Vec<(String, String)>> {
        let tables = self.database.tables();
        Ok(tables
            .iter()
            .filter_map(|(name, table)| Some((name.clone(), table.as_ref().err()?.clone())))
            .collect())
    }

    async fn prune(&self, now: Timestamp, keep_days: u32) -> Result<()> {
        let before = |days: u32| nanos(now - TimeDelta::days(i64::from(days)));
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        drop_old(&mut tx, "bothways_inbox", "number", nanos(now - EVENTS)).await?;
        drop_old(&mut tx, "bothways_history", "id", before(keep_days)).await?;
        let sql = "DELETE FROM bothways_intents WHERE pending = 0 AND at < ?";
        execute(&mut tx, sql, [before(keep_days).into()]).await.map_err(ours)?;
        crate::brakes::prune(&mut tx, now - TimeDelta::days(CHARGE_DAYS)).await?;
        let tombstone = LinkState::Tombstone.as_str();
        let gone = before(keep_days.max(TOMBSTONE_DAYS));
        let sql = "DELETE FROM bothways_intents WHERE link IN \
                   (SELECT id FROM bothways_links WHERE state = ? AND live = 0 AND local_id IS NULL AND updated_at < ?)";
        execute(&mut tx, sql, [tombstone.into(), gone.into()]).await.map_err(ours)?;
        let sql =
            "DELETE FROM bothways_links WHERE state = ? AND live = 0 AND local_id IS NULL AND updated_at < ?";
        execute(&mut tx, sql, [tombstone.into(), gone.into()]).await.map_err(ours)?;
        tx.commit().await.map_err(ours)
    }
}

/// Deletes what is older than `before` from a table whose numbers grow with time: without an index on the time, by walking
/// from the oldest to the first that stays.
async fn drop_old(c: &mut Connection, table: &'static str, number: &'static str, before: i64) -> Result<()> {
    let first = format!("SELECT {number} FROM {table} WHERE at >= ? ORDER BY {number} LIMIT 1");
    let stays: i64 = match fetch_optional(c, first, [before.into()]).await.map_err(ours)? {
        Some(row) => get(&row, 0)?,
        None => i64::MAX,
    };
    execute(c, format!("DELETE FROM {table} WHERE {number} < ?"), [stays.into()])
        .await
        .map(drop)
        .map_err(ours)
}
