//! The sandbox on a port: bytes in, [`Stripe::handle`] or [`Salesforce::handle`], bytes out, on the real clock with an offset
//! that tests may move. The paths of the two services do not meet: Salesforce's begin with `/services/` or `/id/`.

use crate::cut::{Cut, CutListener};
use crate::salesforce::{self, Salesforce};
use crate::sender::send_deliveries;
use crate::steering;
use crate::stripe::Stripe;
use crate::transit::Answer;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method as HttpMethod, StatusCode, Uri, header};
use axum::response::IntoResponse;
use bothways_model::{Method, Request, Response, Timestamp};
use chrono::{TimeDelta, Utc};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// A shared sandbox: the services, their clock, and who is to be told of changes. Clones mean the same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    stripe: Mutex<Stripe>,
    salesforce: Mutex<Salesforce>,
    offset_ms: AtomicI64,
    wake: Notify,
    revision: watch::Sender<u64>,
}

impl Sandbox {
    /// Shares `stripe` and, beside it, an empty Salesforce of the same seed; their clock is the real one until it is moved.
    pub fn new(stripe: Stripe) -> Self {
        let config = salesforce::Config { seed: stripe.config.seed, ..salesforce::Config::default() };
        Self::both(stripe, Salesforce::new(config))
    }

    /// Shares both services.
    pub fn both(stripe: Stripe, salesforce: Salesforce) -> Self {
        let revision = watch::Sender::new(stripe.revision() + salesforce.revision());
        let (stripe, salesforce) = (Mutex::new(stripe), Mutex::new(salesforce));
        let (offset_ms, wake) = (AtomicI64::new(0), Notify::new());
        Self { shared: Arc::new(Shared { stripe, salesforce, offset_ms, wake, revision }) }
    }

    /// Now, by the sandbox's clock.
    pub fn now(&self) -> Timestamp {
        Utc::now() + TimeDelta::milliseconds(self.offset_ms())
    }

    /// How far the sandbox's clock is ahead of the real one, in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.shared.offset_ms.load(Ordering::Acquire)
    }

    /// Sets the sandbox's clock so far ahead of the real one; a hundred years at most, either way.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        const CENTURY: i64 = 100 * 365 * 86_400_000;
        self.shared.offset_ms.store(offset_ms.clamp(-CENTURY, CENTURY), Ordering::Release);
        self.with(|stripe, now| stripe.tick(now));
        self.salesforce(|org, now| org.tick(now));
    }

    /// Moves the sandbox's clock forward, or back where negative.
    pub fn advance_ms(&self, by_ms: i64) {
        self.set_offset_ms(self.offset_ms().saturating_add(by_ms));
    }

    /// Looks at or changes Stripe at the present moment; deliveries and listeners follow. Do not block inside.
    pub fn with<R>(&self, act: impl FnOnce(&mut Stripe, Timestamp) -> R) -> R {
        let result = self.quietly(act);
        self.shared.wake.notify_one();
        result
    }

    /// A number that grows with every change of a record, for live views. It says that something changed, not what.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// Answers one request at the present moment, without a network: whichever service its path is of.
    pub fn handle(&self, request: &Request) -> Answer {
        let (path, _) = crate::call::split_url(&request.url);
        if Salesforce::serves(path) {
            return self.salesforce(|org, now| org.handle(request, now));
        }
        self.with(|stripe, now| stripe.handle(request, now))
    }

    /// Looks at or changes Salesforce at the present moment; listeners follow. Do not block inside.
    pub fn salesforce<R>(&self, act: impl FnOnce(&mut Salesforce, Timestamp) -> R) -> R {
        let now = self.now();
        let mut org = lock(&self.shared.salesforce);
        let before = org.revision();
        let result = act(&mut org, now);
        let grown = org.revision().abs_diff(before);
        drop(org);
        self.tell(grown);
        self.shared.wake.notify_one();
        result
    }

    /// [`Sandbox::with`] without waking the sender, for the sender itself.
    pub(crate) fn quietly<R>(&self, act: impl FnOnce(&mut Stripe, Timestamp) -> R) -> R {
        let now = self.now();
        let mut stripe = lock(&self.shared.stripe);
        let before = stripe.revision();
        let result = act(&mut stripe, now);
        let grown = stripe.revision().abs_diff(before);
        drop(stripe);
        self.tell(grown);
        result
    }

    /// Executes what is due at Salesforce, and says when there is next something to do there.
    pub(crate) fn tick_salesforce(&self) -> Option<std::time::Duration> {
        let now = self.now();
        let mut org = lock(&self.shared.salesforce);
        let before = org.revision();
        org.tick(now);
        let next = org.next_due().map(|due| (due - now).to_std().unwrap_or_default());
        let grown = org.revision().abs_diff(before);
        drop(org);
        self.tell(grown);
        next
    }

    fn tell(&self, grown: u64) {
        self.shared.revision.send_if_modified(|revision| {
            *revision += grown;
            grown > 0
        });
    }

    /// Waits until [`Sandbox::with`] was called, also if that was before this call.
    pub(crate) async fn woken(&self) {
        self.shared.wake.notified().await;
    }
}

fn lock<T>(service: &Mutex<T>) -> MutexGuard<'_, T> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sandbox that is being served. Dropping it stops it without waiting.
pub struct Running {
    addr: SocketAddr,
    sandbox: Sandbox,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The sandbox itself.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Stops listening and sending, lets requests under way finish, and returns when the port is free. The sandbox keeps
    /// its records and can be served again.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            // A task that was cancelled has stopped too.
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What every handler gets.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Serves `sandbox` on `listener` and sends its webhooks, until the handle is stopped or dropped.
///
/// # Errors
///
/// A listener that is not on loopback is refused: anybody who reaches a sandbox may steer it.
pub async fn serve(listener: TcpListener, sandbox: Sandbox) -> io::Result<Running> {
    let addr = listener.local_addr()?;
    if !addr.ip().is_loopback() {
        let text = "the sandbox listens on loopback addresses only";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (stop, stopped) = watch::channel(false);
    let served = Served { sandbox: sandbox.clone(), stop: stopped.clone() };
    let app = Router::new().nest("/_sandbox", steering::routes()).fallback(answer).with_state(served);
    let app = app.layer(axum::middleware::from_fn(only_loopback_names));
    let service = app.into_make_service_with_connect_info::<Cut>();
    let until = wait_for(stopped.clone());
    let server = tokio::spawn(async move {
        // It ends only by being stopped; accept errors are retried inside.
        let _ = axum::serve(CutListener(listener), service).with_graceful_shutdown(until).await;
    });
    let sender = tokio::spawn(send_deliveries(sandbox.clone(), stopped));
    Ok(Running { addr, sandbox, stop, tasks: vec![server, sender] })
}

/// Returns when `stop` says so, or when nobody is left to say it.
pub(crate) async fn wait_for(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A page of another site can be made to resolve to loopback: its name in `Host` or `Origin` gives it away.
async fn only_loopback_names(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    if has_only_loopback_names(request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "the sandbox answers to loopback names only\n").into_response()
}

fn has_only_loopback_names(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text(header::ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    [text(header::HOST), origin].into_iter().flatten().all(is_loopback_name)
}

/// Whether `host`, with or without a port, names this machine's loopback.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, _)) => name,
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Everything but steering.
async fn answer(
    State(served): State<Served>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    method: HttpMethod,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let Some(method) = Method::parse(method.as_str()) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    let mut request = Request::new(method, uri.to_string());
    request.body = body.into();
    request.headers = headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    match served.sandbox.handle(&request) {
        Answer::Response(response) => into_http(response),
        Answer::Dropped => {
            cut.now();
            StatusCode::NO_CONTENT.into_response()
        }
        Answer::Slow(response, delay) => {
            tokio::select! {
                () = tokio::time::sleep(delay) => into_http(response),
                () = wait_for(served.stop) => {
                    cut.now();
                    StatusCode::NO_CONTENT.into_response()
                }
            }
        }
    }
}

fn into_http(response: Response) -> axum::response::Response {
    let mut http = axum::http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        http = http.header(name, value);
    }
    // Only an idempotency key that cannot be a header value could fail here, and it came in as one.
    http.body(Body::from(response.body)).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names() {
        for name in ["127.0.0.1", "127.0.0.1:80", "localhost:7171", "LOCALHOST", "[::1]:9", "[::1]"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in
            ["", "evil.test", "127.0.0.1.evil.test", "10.0.0.1:80", "localhost.evil.test", "[::2]:1", "null"]
        {
            assert!(!is_loopback_name(name), "{name}");
        }
    }
}
