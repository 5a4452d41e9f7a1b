//! An outbox of changes to the service: a reader takes 1,000 ids at a time, one task a slot calls, one writer marks what is done,
//! as many at a time as are waiting.

use crate::{table, vendor};
use anyhow::Context;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    url: String,
    #[arg(long)]
    db: PathBuf,
    /// Calls at the same time.
    #[arg(long, default_value_t = 32)]
    slots: usize,
    /// Changes to send.
    #[arg(long, default_value_t = 50_000)]
    records: usize,
    /// Only change the rows of a table `customers(email, name)`: another program watches it. Ends when the stand-in has them all.
    #[arg(long)]
    watched: bool,
}

/// One change: the entry's number, the customer and the new name.
type Change = (i64, String, String);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let connection = table::open(&options.db)?;
    if options.watched {
        return watch(&connection, &options).await;
    }
    prepare(&connection, options.records)?;
    let started = Instant::now();
    let (changes, waiting) = mpsc::channel::<Change>(2_000);
    let (done, finished) = mpsc::channel::<i64>(2_000);
    let db = options.db.clone();
    let reader = std::thread::spawn(move || read(&db, &changes));
    let writer = std::thread::spawn(move || mark(&connection, finished));
    let waiting = Arc::new(Mutex::new(waiting));
    let client = reqwest::Client::builder().http1_only().pool_max_idle_per_host(options.slots).build()?;
    let mut slots = Vec::new();
    for _ in 0..options.slots {
        slots.push(tokio::spawn(call(client.clone(), options.url.clone(), waiting.clone(), done.clone())));
    }
    drop(done);
    for slot in slots {
        slot.await.context("a slot panicked")??;
    }
    reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    let marked = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    anyhow::ensure!(marked == options.records as u64, "{marked} of {} were sent", options.records);
    crate::measure::report("outward", marked, started.elapsed());
    Ok(())
}

/// Renames rows in one transaction and waits until the stand-in has seen as many updates.
async fn watch(connection: &Connection, options: &Options) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().http1_only().build()?;
    client.post(format!("{}/_reset", options.url)).send().await?.error_for_status()?;
    let started = Instant::now();
    let changed = connection.execute(
        "UPDATE customers SET name = 'Renamed ' || id WHERE id IN (SELECT id FROM customers ORDER BY id LIMIT ?1)",
        [options.records],
    )?;
    anyhow::ensure!(changed == options.records, "only {changed} rows are there");
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        look.tick().await;
        let answer =
            client.get(format!("{}/_counts", options.url)).send().await?.error_for_status()?.bytes().await?;
        let counts: serde_json::Value = serde_json::from_slice(&answer)?;
        let updates = counts["update"].as_u64().context("a count")?;
        if updates >= changed as u64 {
            crate::measure::report("outward", updates, started.elapsed());
            return Ok(());
        }
        anyhow::ensure!(started.elapsed() < Duration::from_secs(600), "{updates} of {changed} were sent");
    }
}

fn prepare(connection: &Connection, records: usize) -> rusqlite::Result<()> {
    table::create(connection)?;
    connection.execute_batch(
        "CREATE TABLE outbox(number INTEGER PRIMARY KEY, customer TEXT NOT NULL, name TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0);
         CREATE INDEX outbox_pending ON outbox(number) WHERE done = 0;
         BEGIN",
    )?;
    let mut insert = connection.prepare("INSERT INTO outbox(customer, name) VALUES(?1, ?2)")?;
    for index in 0..records {
        insert.execute(params![vendor::id_of(index), format!("Renamed {index}")])?;
    }
    connection.execute_batch("COMMIT")
}

fn read(db: &Path, changes: &mpsc::Sender<Change>) -> anyhow::Result<()> {
    let connection = table::open(db)?;
    let mut select = connection.prepare(
        "SELECT number, customer, name FROM outbox WHERE done = 0 AND number > ?1 ORDER BY number LIMIT 1000",
    )?;
    let mut last = 0;
    loop {
        let batch: Vec<Change> = select
            .query_map([last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let Some((number, ..)) = batch.last() else { return Ok(()) };
        last = *number;
        for change in batch {
            changes.blocking_send(change).ok().context("nobody takes changes")?;
        }
    }
}

async fn call(
    client: reqwest::Client,
    url: String,
    waiting: Arc<Mutex<mpsc::Receiver<Change>>>,
    done: mpsc::Sender<i64>,
) -> anyhow::Result<()> {
    loop {
        let Some((number, customer, name)) = waiting.lock().await.recv().await else { return Ok(()) };
        let body: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("name", &name).finish();
        let answer = client
            .post(format!("{url}/v1/customers/{customer}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("idempotency-key", format!("outbox-{number}"))
            .body(body)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        let confirmed: table::Customer = serde_json::from_slice(&answer)?;
        anyhow::ensure!(confirmed.name.as_deref() == Some(name.as_str()), "the service has another name");
        done.send(number).await.ok().context("nobody marks")?;
    }
}

fn mark(connection: &Connection, mut finished: mpsc::Receiver<i64>) -> anyhow::Result<u64> {
    let mut update = connection.prepare("UPDATE outbox SET done = 1 WHERE number = ?1")?;
    let mut batch = Vec::new();
    let mut marked = 0;
    while let Some(first) = finished.blocking_recv() {
        batch.push(first);
        while let Ok(next) = finished.try_recv() {
            batch.push(next);
            if batch.len() == 1_000 {
                break;
            }
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for number in batch.drain(..) {
            update.execute([number])?;
            marked += 1;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(marked)
}
