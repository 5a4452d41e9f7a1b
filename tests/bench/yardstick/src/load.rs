//! Webhooks to any receiver, over keep-alive connections: every event has an id of its own and a fresh signature.
//!
//! With `--applied DB` it then waits until the receiver's database shows what the events said, and reports that rate too.

use crate::{measure, signature, table, vendor};
use anyhow::Context;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the webhooks go, for example http://127.0.0.1:7172/hooks/stripe.
    #[arg(long)]
    url: String,
    #[arg(long, default_value = "whsec_yardstick")]
    secret: String,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 50_000)]
    events: usize,
    /// Events go round over this many customers.
    #[arg(long, default_value_t = 10_000)]
    customers: usize,
    /// The customers' new name is `WORD INDEX`, as after POST /_touch of the stand-in. Also part of the events' ids.
    #[arg(long, default_value = "Touched")]
    word: String,
    /// The database in which the new names must appear, in a table `customers` with a column `name`.
    #[arg(long)]
    applied: Option<PathBuf>,
}

struct Target {
    authority: String,
    path: String,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let (authority, path) = options
        .url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .context("expected http://HOST:PORT/PATH")?;
    let target = Arc::new(Target { authority: authority.to_owned(), path: format!("/{path}") });
    let options = Arc::new(options);
    let (next, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(tokio::spawn(send(target.clone(), options.clone(), next.clone(), refused.clone())));
    }
    let mut times = Vec::with_capacity(options.events);
    for connection in connections {
        times.extend(connection.await.context("a connection panicked")??);
    }
    let sending = started.elapsed();
    let refused = refused.load(Ordering::Relaxed);
    let accepted = times.len() as u64 - refused;
    let mut line = serde_json::json!({
        "what": "webhooks",
        "accepted": accepted,
        "refused": refused,
        "seconds": sending.as_secs_f64(),
        "per_second": accepted as f64 / sending.as_secs_f64(),
    });
    measure::add_percentiles(&mut line, &mut times);
    if let Some(db) = &options.applied {
        let expected = options.customers.min(options.events);
        await_applied(db, &options.word, expected).await?;
        let whole = started.elapsed();
        line["applied"] = expected.into();
        line["applied_seconds"] = whole.as_secs_f64().into();
        line["applied_per_second"] = (accepted as f64 / whole.as_secs_f64()).into();
    }
    println!("{line}");
    Ok(())
}

async fn send(
    target: Arc<Target>,
    options: Arc<Options>,
    next: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = BufReader::new(TcpStream::connect(&target.authority).await.context("connecting")?);
    stream.get_ref().set_nodelay(true)?;
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= options.events {
            return Ok(times);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let body = event(&options, number, now);
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nstripe-signature: {}\r\ncontent-length: {}\r\n\r\n{body}",
            target.path,
            target.authority,
            signature::header(&options.secret, now, body.as_bytes()),
            body.len(),
        );
        let started = Instant::now();
        stream.get_mut().write_all(request.as_bytes()).await?;
        if !read_answer(&mut stream).await? {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        times.push(started.elapsed());
    }
}

fn event(options: &Options, number: usize, now: u64) -> String {
    let index = number % options.customers;
    let mut object = String::with_capacity(1_000);
    vendor::renamed(index, &format!("{} {index}", options.word)).write_json(&mut object);
    format!(
        r#"{{"id":"evt_{}{number:010}","object":"event","api_version":"2025-09-30.clover","created":{now},"data":{{"object":{object}}},"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"customer.updated"}}"#,
        options.word,
    )
}

/// Reads one answer to its end; whether it was a 2xx.
async fn read_answer(stream: &mut BufReader<TcpStream>) -> anyhow::Result<bool> {
    let mut line = String::new();
    anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the receiver closed the connection");
    let good = line.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            anyhow::ensure!(
                !name.eq_ignore_ascii_case("transfer-encoding"),
                "a chunked answer is not read here"
            );
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(good)
}

async fn await_applied(db: &std::path::Path, word: &str, expected: usize) -> anyhow::Result<()> {
    let connection = table::open(db)?;
    let mut count = connection.prepare("SELECT count(*) FROM customers WHERE name LIKE ?1")?;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let deadline = Instant::now() + Duration::from_secs(600);
    loop {
        let found: usize = count.query_row([format!("{word} %")], |row| row.get(0))?;
        if found >= expected {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "{found} of {expected} were applied");
        look.tick().await;
    }
}
