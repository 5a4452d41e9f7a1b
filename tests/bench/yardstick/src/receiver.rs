//! Webhooks by hand: verify, then one writer thread stores up to 256 events in a transaction, then all of them are answered.
//!
//! With `--apply` the same transaction also writes the customer that the event carries.

use crate::{signature, table};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rusqlite::{Connection, params};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    #[arg(long)]
    db: PathBuf,
    #[arg(long, default_value = "whsec_yardstick")]
    secret: String,
    /// Write the customer too, not only the event.
    #[arg(long)]
    apply: bool,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: table::Customer,
}

struct Arrival {
    event: Event,
    body: Bytes,
    stored: oneshot::Sender<()>,
}

struct Receiver {
    secret: String,
    arrivals: mpsc::Sender<Arrival>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let connection = table::open(&options.db)?;
    table::create(&connection)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS inbox(id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
    )?;
    let (arrivals, waiting) = mpsc::channel(1_024);
    std::thread::spawn(move || store(&connection, waiting, options.apply));
    let receiver = Arc::new(Receiver { secret: options.secret, arrivals });
    let router = Router::new().route("/hooks/stripe", post(receive)).with_state(receiver);
    let listener = TcpListener::bind(&options.listen).await?;
    println!("{}", serde_json::json!({ "listening": format!("http://{}", listener.local_addr()?) }));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if !signature::verify(&receiver.secret, header, &body, now) {
        return StatusCode::BAD_REQUEST;
    }
    let Ok(event) = serde_json::from_slice::<Event>(&body) else { return StatusCode::BAD_REQUEST };
    let (stored, durable) = oneshot::channel();
    if receiver.arrivals.send(Arrival { event, body, stored }).await.is_err() || durable.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

fn store(connection: &Connection, mut waiting: mpsc::Receiver<Arrival>, apply: bool) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT OR IGNORE INTO inbox VALUES(?1, ?2)")?;
    let mut upsert = table::upsert(connection)?;
    let mut batch: Vec<Arrival> = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < 256 {
            match waiting.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for arrival in &batch {
            let new = insert.execute(params![arrival.event.id, &arrival.body[..]])? == 1;
            if new && apply {
                table::write(&mut upsert, &arrival.event.data.object)?;
            }
        }
        connection.execute_batch("COMMIT")?;
        for arrival in batch.drain(..) {
            // The caller may have gone; the event is stored all the same.
            let _ = arrival.stored.send(());
        }
    }
    Ok(())
}
