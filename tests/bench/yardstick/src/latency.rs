//! From a local change to the first call about it, one change every few milliseconds on an idle machine.
//!
//! Alone, it is the hand-written program too: a trigger fills an outbox, the same process wakes, reads it and calls. With
//! `--watched` somebody else's engine does that, and this only writes rows by plain SQL; with `--api` it writes through an HTTP API.
//! The stand-in keeps when each customer was first asked about.

use crate::{measure, table, vendor};
use anyhow::Context;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The stand-in.
    #[arg(long)]
    url: String,
    /// A database with a table `customers(id, email, name)` whose e-mail addresses are the stand-in's.
    #[arg(long)]
    db: PathBuf,
    #[arg(long, default_value_t = 1_500)]
    changes: usize,
    /// Milliseconds between two changes.
    #[arg(long, default_value_t = 3)]
    gap: u64,
    /// Only write: another program watches the table.
    #[arg(long)]
    watched: bool,
    /// Write through this records API instead of SQL, for example http://127.0.0.1:7171/api/catalogs/customers.
    #[arg(long, requires = "watched")]
    api: Option<String>,
    /// The API's bearer token is read from this file.
    #[arg(long, requires = "api")]
    token_file: Option<PathBuf>,
}

/// When a change began, and when its commit (or its answer) was there: nanoseconds since 1970.
struct Change {
    customer: String,
    began: u64,
    returned: u64,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().http1_only().build()?;
    client.post(format!("{}/_reset", options.url)).send().await?.error_for_status()?;
    let connection = table::open(&options.db)?;
    if !options.watched {
        prepare(&connection, options.changes)?;
        let db = options.db.clone();
        let (wake, woken) = mpsc::channel(1);
        let caller = tokio::spawn(call(db, options.url.clone(), client.clone(), woken));
        let changes = write_rows(&connection, &options, Some(&wake)).await?;
        report(&client, &options, changes).await?;
        drop(wake);
        return caller.await.context("the caller panicked")?;
    }
    let changes = match &options.api {
        Some(api) => write_records(&connection, &options, api, &client).await?,
        None => write_rows(&connection, &options, None).await?,
    };
    report(&client, &options, changes).await
}

fn prepare(connection: &Connection, changes: usize) -> rusqlite::Result<()> {
    table::create(connection)?;
    connection.execute_batch("BEGIN")?;
    for index in 0..changes {
        connection.execute(
            "INSERT OR IGNORE INTO customers(id, email, name) VALUES(?1, ?2, ?3)",
            params![vendor::id_of(index), vendor::email_of(index), "Before"],
        )?;
    }
    connection.execute_batch(
        "COMMIT;
         CREATE TABLE outbox(number INTEGER PRIMARY KEY, customer TEXT NOT NULL);
         CREATE TRIGGER customers_changed AFTER UPDATE ON customers BEGIN INSERT INTO outbox(customer) VALUES(new.id); END;",
    )
}

/// The rows to change: the table's key and the stand-in's id.
fn rows(connection: &Connection, changes: usize) -> anyhow::Result<Vec<(rusqlite::types::Value, String)>> {
    let mut select = connection.prepare(
        "SELECT id, email FROM customers WHERE email LIKE 'customer%@example.com' ORDER BY id LIMIT ?1",
    )?;
    let found: Vec<(rusqlite::types::Value, String)> = select
        .query_map([changes as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    anyhow::ensure!(found.len() == changes, "only {} of {changes} rows are there", found.len());
    found
        .into_iter()
        .map(|(key, email)| {
            let number = email.trim_start_matches("customer").trim_end_matches("@example.com");
            Ok((key, vendor::id_of(number.parse().with_context(|| email.clone())?)))
        })
        .collect()
}

async fn write_rows(
    connection: &Connection,
    options: &Options,
    wake: Option<&mpsc::Sender<()>>,
) -> anyhow::Result<Vec<Change>> {
    let mut update = connection.prepare("UPDATE customers SET name = ?1 WHERE id = ?2")?;
    let mut changes = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(options.gap));
    for (number, (key, customer)) in rows(connection, options.changes)?.into_iter().enumerate() {
        pace.tick().await;
        let began = vendor::nanoseconds();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        update.execute(params![format!("Changed {began} {number}"), key])?;
        connection.execute_batch("COMMIT")?;
        let returned = vendor::nanoseconds();
        if let Some(wake) = wake {
            // Full means that it will wake anyway.
            let _ = wake.try_send(());
        }
        changes.push(Change { customer, began, returned });
    }
    Ok(changes)
}

async fn write_records(
    connection: &Connection,
    options: &Options,
    api: &str,
    client: &reqwest::Client,
) -> anyhow::Result<Vec<Change>> {
    let token = match &options.token_file {
        Some(path) => std::fs::read_to_string(path)?.trim().to_owned(),
        None => String::new(),
    };
    let mut changes = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(options.gap));
    for (number, (key, customer)) in rows(connection, options.changes)?.into_iter().enumerate() {
        let key = match key {
            rusqlite::types::Value::Integer(key) => key.to_string(),
            rusqlite::types::Value::Text(key) => key,
            other => anyhow::bail!("a key of type {:?}", other.data_type()),
        };
        pace.tick().await;
        let began = vendor::nanoseconds();
        client
            .patch(format!("{api}/{key}"))
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(format!(r#"{{"name":"Changed {began} {number}"}}"#))
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        changes.push(Change { customer, began, returned: vendor::nanoseconds() });
    }
    Ok(changes)
}

/// The hand-written caller: reads whatever is in the outbox whenever it is woken.
async fn call(
    db: PathBuf,
    url: String,
    client: reqwest::Client,
    mut woken: mpsc::Receiver<()>,
) -> anyhow::Result<()> {
    let connection = table::open(&db)?;
    while woken.recv().await.is_some() {
        // More than one batch may be there, and nobody wakes it for the rest.
        loop {
            let batch: Vec<(i64, String, String)> = connection
                .prepare_cached(
                    "SELECT o.number, o.customer, c.name FROM outbox o JOIN customers c ON c.id = o.customer ORDER BY o.number LIMIT 1000",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            if batch.is_empty() {
                break;
            }
            for (number, customer, name) in batch {
                let body: String =
                    form_urlencoded::Serializer::new(String::new()).append_pair("name", &name).finish();
                client
                    .post(format!("{url}/v1/customers/{customer}"))
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body)
                    .send()
                    .await?
                    .error_for_status()?
                    .bytes()
                    .await?;
                connection.prepare_cached("DELETE FROM outbox WHERE number = ?1")?.execute([number])?;
            }
        }
    }
    Ok(())
}

async fn report(client: &reqwest::Client, options: &Options, changes: Vec<Change>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let first = loop {
        let answer =
            client.get(format!("{}/_first", options.url)).send().await?.error_for_status()?.bytes().await?;
        let first: HashMap<String, u64> = serde_json::from_slice(&answer)?;
        let missing = changes.iter().filter(|change| !first.contains_key(&change.customer)).count();
        if missing == 0 {
            break first;
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{missing} of {} changes were never called about",
            changes.len()
        );
        look.tick().await;
    };
    let since = |from: fn(&Change) -> u64| -> Vec<Duration> {
        let times = changes
            .iter()
            .filter_map(|change| first.get(&change.customer).map(|at| at.saturating_sub(from(change))));
        times.map(Duration::from_nanos).collect()
    };
    let mut line = serde_json::json!({ "what": "latency", "changes": changes.len() });
    measure::add_percentiles(&mut line, &mut since(|change| change.began));
    let mut returned = serde_json::json!({});
    measure::add_percentiles(&mut returned, &mut since(|change| change.returned));
    line["from_commit"] = returned;
    println!("{line}");
    Ok(())
}
