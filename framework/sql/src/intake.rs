//! Durable intake. Deliveries that arrive while another commit is under way share the next one: no timer lingers, and under load one
//! fsync accepts many.

use crate::Sql;
use crate::connect::Held;
use crate::connection::Connection;
use crate::error::ours;
use crate::keys::write_keys;
use crate::queue::{Signaller, signal, signal_from};
use crate::statement::{Arg, Bulk, Writes, execute, fetch, fetch_optional};
use crate::stored::{from_json, get, nanos, time};
use async_trait::async_trait;
use bothways_model::{ConnectionName, EventEffect, RemoteId, Timestamp};
use bothways_store::{Delivery, Intake, PageCommit, Result, StoreError, StoreErrorKind, TakenEvent};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// Who waits for the next shared commit.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<Vec<Arrival>>);

struct Arrival {
    now: Timestamp,
    deliveries: Vec<Delivery>,
    answer: oneshot::Sender<Result<Vec<bool>>>,
}

/// Deliveries of one shared commit at most; the rest wait for the next.
const SHARED: usize = 1_000;

impl Arrivals {
    fn add(&self, arrival: Arrival) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }

    /// The oldest arrivals, as many as one commit takes; at least one.
    fn next(&self) -> Vec<Arrival> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut size = 0;
        let fits = waiting.iter().take_while(|arrival| {
            let first = size == 0;
            size += arrival.deliveries.len().max(1);
            first || size <= SHARED
        });
        let count = fits.count();
        waiting.drain(..count).collect()
    }
}

/// The word for what an event told.
fn effect_name(effect: EventEffect) -> &'static str {
    match effect {
        EventEffect::Upsert => "upsert",
        EventEffect::Delete => "delete",
    }
}

/// A row of the inbox.
fn event(connection: &ConnectionName, event: &str, at: Timestamp, of: Option<&Delivery>) -> Vec<Arg> {
    let about = of.and_then(|delivery| delivery.about.as_ref());
    vec![
        connection.as_str().into(),
        event.into(),
        nanos(at).into(),
        about.map(|about| about.resource.as_str()).into(),
        about.map(|about| about.record.as_str()).into(),
        about.map(|about| effect_name(about.effect)).into(),
        of.is_some_and(|delivery| !delivery.signals.is_empty()).into(),
    ]
}

/// Inserts events that are not there yet and says which were new.
async fn insert_events(c: &mut Connection, rows: Vec<Vec<Arg>>) -> Result<HashSet<(String, String)>> {
    let head =
        "INSERT INTO bothways_inbox (connection, event, at, resource, record, effect, signalled) VALUES";
    let tail = "ON CONFLICT (connection, event) DO NOTHING RETURNING connection, event";
    let new = Bulk { head, width: 7, tail }.returning(c, rows).await.map_err(ours)?;
    new.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// Takes all deliveries of all arrivals in and says of each whether it was new.
async fn accept(c: &mut Connection, arrivals: &[Arrival]) -> Result<Vec<Vec<bool>>> {
    let mut events = Vec::new();
    for arrival in arrivals {
        for delivery in &arrival.deliveries {
            events.push(event(&delivery.connection, &delivery.event, arrival.now, Some(delivery)));
        }
    }
    let mut new = insert_events(c, events).await?;
    let mut all = Vec::with_capacity(arrivals.len());
    let mut signals = Vec::new();
    let mut now = Timestamp::UNIX_EPOCH;
    for arrival in arrivals {
        now = now.max(arrival.now);
        let fresh = arrival.deliveries.iter().map(|delivery| {
            // The first of several with one id in this commit.
            let is_new = new.remove(&(delivery.connection.0.clone(), delivery.event.clone()));
            if is_new {
                signals.extend(delivery.signals.iter().cloned());
            }
            is_new
        });
        all.push(fresh.collect());
    }
    signal(c, now, &signals).await?;
    Ok(all)
}

async fn accept_all(writer: &mut Held<'_>, arrivals: &[Arrival]) -> Result<Vec<Vec<bool>>> {
    let mut tx = writer.begin().await?;
    let all = accept(&mut tx, arrivals).await?;
    tx.commit().await.map_err(ours)?;
    Ok(all)
}

#[async_trait]
impl Intake for Sql {
    async fn intake(&self, now: Timestamp, deliveries: &[Delivery]) -> Result<Vec<bool>> {
        let (answer, mut answered) = oneshot::channel();
        self.database.arrivals.add(Arrival { now, deliveries: deliveries.to_vec(), answer });
        loop {
            // Whoever gets the writer first takes everybody along.
            let mut writer = tokio::select! {
                biased;
                answer = &mut answered => return answer.unwrap_or_else(|_| Err(lost())),
                writer = self.database.writer() => writer?,
            };
            let arrivals = self.database.arrivals.next();
            if arrivals.is_empty() {
                drop(writer);
                return answered.await.unwrap_or_else(|_| Err(lost()));
            }
            match accept_all(&mut writer, &arrivals).await {
                Ok(all) => {
                    for (arrival, fresh) in arrivals.into_iter().zip(all) {
                        let _ = arrival.answer.send(Ok(fresh));
                    }
                }
                Err(error) => {
                    for arrival in arrivals {
                        let _ = arrival.answer.send(Err(StoreError::new(error.kind, error.message.clone())));
                    }
                }
            }
        }
    }

    async fn events_of(
        &self,
        connection: &ConnectionName,
        resource: &str,
        record: &RemoteId,
        limit: usize,
    ) -> Result<Vec<TakenEvent>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT event, at, effect, signalled FROM bothways_inbox \
                   WHERE connection = ? AND record = ? AND resource = ? ORDER BY number DESC LIMIT ?";
        let args: [Arg; 4] =
            [connection.as_str().into(), record.as_str().into(), resource.into(), limit.into()];
        let rows = fetch(&mut c, sql, args).await.map_err(ours)?;
        let taken = rows.iter().map(|row| {
            let effect = match get(row, 2)? {
                "delete" => EventEffect::Delete,
                _ => EventEffect::Upsert,
            };
            Ok(TakenEvent { event: get(row, 0)?, at: time(get(row, 1)?), effect, signalled: get(row, 3)? })
        });
        taken.collect()
    }

    async fn commit_page(&self, now: Timestamp, page: &PageCommit) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let from = page.pass.map_or(Signaller::Anybody, Signaller::Pass);
        signal_from(&mut tx, now, &page.signals, from).await?;
        let mut to = Writes::new(&mut tx);
        write_keys(&mut to, &page.keys.iter().collect::<Vec<_>>()).await?;
        to.connection().await.map_err(ours)?;
        let events = page.events.iter().map(|(connection, id)| event(connection, id, now, None)).collect();
        insert_events(&mut tx, events).await?;
        if let Some(cursor) = &page.cursor {
            let sql = "INSERT INTO bothways_cursors (name, value) VALUES (?, ?) \
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            let args: [Arg; 2] = [cursor.name.as_str().into(), cursor.value.to_string().into()];
            execute(&mut tx, sql, args).await.map_err(ours)?;
        }
        tx.commit().await.map_err(ours)
    }

    async fn cursor(&self, name: &str) -> Result<Option<serde_json::Value>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT value FROM bothways_cursors WHERE name = ?";
        let row = fetch_optional(&mut c, sql, [name.into()]).await.map_err(ours)?;
        row.map(|row| from_json(get(&row, 0)?, "a cursor")).transpose()
    }

    async fn drop_cursor(&self, name: &str) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let sql = "DELETE FROM bothways_cursors WHERE name = ?";
        execute(&mut writer, sql, [name.into()]).await.map(drop).map_err(ours)
    }
}

/// Whoever had taken our deliveries along was dropped before it could say how it ended.
fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Retry, "the shared commit was given up")
}
