//! The brokers behind the queue trait: one file and one cargo feature each.
//!
//! A URL's scheme chooses ([`open`]). A broker carries topics and never learns what they mean; it may lose, repeat and reorder
//! nudges, since the database is the record (rule 37) and the engine's sweep finds what was lost.

#[cfg(feature = "zeromq")]
mod mailbox;
#[cfg(feature = "zeromq")]
mod zeromq;

use bothways_queue::{Queue, QueueError};
use std::sync::Arc;

/// Opens the queue that a URL names.
///
/// `zeromq://HOST[:PORT]` is ZeroMQ over TCP: the first process to open an address binds it, every later one connects to that
/// process, and when the binder dies one of the others takes its place. Without a port a free one is bound; the queue's
/// [`address`](Queue::address) tells which, for others to open.
///
/// # Errors
/// The URL cannot be read, its scheme is unknown or not built in, or the address can neither be bound nor reached. The error never
/// repeats the URL, which may hold a password.
pub async fn open(url: &str) -> Result<Arc<dyn Queue>, QueueError> {
    let url = url::Url::parse(url).map_err(|error| {
        QueueError(format!("not a URL ({error}); expected for example zeromq://127.0.0.1:7555"))
    })?;
    match url.scheme() {
        #[cfg(feature = "zeromq")]
        "zeromq" => Ok(Arc::new(zeromq::ZeroMq::open(&url).await?)),
        #[cfg(not(feature = "zeromq"))]
        "zeromq" => {
            Err(QueueError("zeromq:// needs the cargo feature `zeromq`, which this build leaves out".into()))
        }
        scheme @ ("amqp" | "amqps" | "kafka") => {
            Err(QueueError(format!("{scheme}:// is not built yet; use zeromq://127.0.0.1 (the default)")))
        }
        scheme => Err(QueueError(format!("{scheme}:// is not a queue; use zeromq://HOST[:PORT]"))),
    }
}
