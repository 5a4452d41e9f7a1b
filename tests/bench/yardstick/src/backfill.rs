//! All customers into SQLite: one task fetches and parses, four pages wait at most, one thread writes 1,000 rows a transaction.

use crate::table::{self, Page};
use anyhow::Context;
use std::path::PathBuf;
use std::time::Instant;
use tokio::sync::mpsc;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The stand-in.
    #[arg(long)]
    url: String,
    #[arg(long)]
    db: PathBuf,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let connection = table::open(&options.db)?;
    table::create(&connection)?;
    let started = Instant::now();
    let (sender, receiver) = mpsc::channel(4);
    let writer = std::thread::spawn(move || write(&connection, receiver));
    fetch(&options.url, sender).await?;
    let records = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    crate::measure::report("backfill", records, started.elapsed());
    Ok(())
}

async fn fetch(url: &str, pages: mpsc::Sender<Page>) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().http1_only().build()?;
    let mut next = format!("{url}/v1/customers?limit=100");
    loop {
        let body = client.get(&next).send().await?.error_for_status()?.bytes().await?;
        let page: Page = serde_json::from_slice(&body).context("reading a page")?;
        let after = page.data.last().filter(|_| page.has_more).map(|last| last.id.clone());
        if pages.send(page).await.is_err() {
            anyhow::bail!("the writer stopped");
        }
        match after {
            Some(after) => next = format!("{url}/v1/customers?limit=100&starting_after={after}"),
            None => return Ok(()),
        }
    }
}

fn write(connection: &rusqlite::Connection, mut pages: mpsc::Receiver<Page>) -> anyhow::Result<u64> {
    const PER_TRANSACTION: u64 = 1_000;
    let mut upsert = table::upsert(connection)?;
    let mut records = 0;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    while let Some(page) = pages.blocking_recv() {
        for customer in &page.data {
            table::write(&mut upsert, customer)?;
            records += 1;
            if records % PER_TRANSACTION == 0 {
                connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
            }
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(records)
}
