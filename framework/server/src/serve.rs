//! Serves a router on a listener: with a deadline for request heads, a limit of connections in all and for each source, and a stop that
//! lets requests end.

use crate::server::Server;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::util::MapRequest;

/// How long the head of a request may take to arrive (S3).
const HEAD: Duration = Duration::from_secs(10);
/// How long requests may go on after the stop.
const GRACE: Duration = Duration::from_secs(10);
/// Header lines in a request.
const HEADERS: usize = 100;
/// Bytes of a request's head.
const HEAD_SIZE: usize = 64 * 1024;
/// Connections at once, in all and from one source.
const CONNECTIONS: usize = 1024;
const PER_SOURCE: usize = 128;
/// The same where a proxy makes one source of all.
const OF_THE_PROXY: usize = 768;

impl Server {
    /// Serves the main listener, and webhooks if there is a listener for them, until `stop` is ready; then lets requests end, ten
    /// seconds at most.
    pub async fn serve(self, main: TcpListener, hooks: Option<TcpListener>, stop: impl Future<Output = ()>) {
        let stopping = self.app.stopping.clone();
        let per_source = if self.app.settings.behind_proxy { OF_THE_PROXY } else { PER_SOURCE };
        let main = accept(main, self.router(), per_source, stopping.subscribe());
        let hooks = async {
            if let Some(listener) = hooks {
                accept(listener, self.hooks_router(), per_source, stopping.subscribe()).await;
            }
        };
        let stop = async {
            stop.await;
            stopping.send_replace(true);
        };
        tokio::join!(main, hooks, stop);
    }
}

/// Accepts until told to stop.
async fn accept(
    listener: TcpListener,
    router: Router,
    per_source: usize,
    mut stopping: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let sources = Sources::of(per_source);
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: it passes when connections end.
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = sources.enter(address.ip()) else {
            tracing::debug!("too many connections; one was closed");
            continue;
        };
        let connection = serve_one(stream, address, router.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time were cut off");
    }
}

async fn serve_one(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "no TCP_NODELAY");
    }
    let service = MapRequest::new(router, from_source(address));
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_SIZE);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(error = %error, "a connection ended badly");
    }
}

/// Tells the router who connected.
fn from_source<B>(address: SocketAddr) -> impl Fn(Request<B>) -> Request + Clone
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    move |mut request| {
        request.extensions_mut().insert(ConnectInfo(address));
        request.map(Body::new)
    }
}

/// Counts connections by source.
#[derive(Clone)]
struct Sources {
    counts: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    /// The most of one source.
    most: usize,
}

/// One connection's place; given back when dropped.
struct Place(Sources, IpAddr);

impl Sources {
    fn of(most: usize) -> Self {
        Self { counts: Arc::default(), most }
    }

    fn enter(&self, source: IpAddr) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let of_source = counts.get(&source).copied().unwrap_or_default();
        if all >= CONNECTIONS || of_source >= self.most {
            return None;
        }
        counts.insert(source, of_source + 1);
        Some(Place(self.clone(), source))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_every_place() {
        let sources = Sources::of(PER_SOURCE);
        let one = IpAddr::from([127, 0, 0, 1]);
        let mut places: Vec<Place> = (0..PER_SOURCE).map(|_| sources.enter(one).unwrap()).collect();
        assert!(sources.enter(one).is_none());
        let other = sources.enter(IpAddr::from([127, 0, 0, 2]));
        assert!(other.is_some());
        places.pop();
        assert!(sources.enter(one).is_some());
        drop((places, other));
        assert!(sources.counts.lock().unwrap().is_empty());
    }
}
