//! A Stripe of N customers in memory, without latency or limits: list pages are cut out of one buffer made at the start.
//!
//! It refuses parameters it does not know, so that nobody is measured while their writes are dropped, and it keeps when each
//! customer was first asked about.

mod counts;
mod customer;
mod shelf;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use counts::Counts;
use shelf::{Refusal, Shelf};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::net::TcpListener;

pub(crate) use counts::nanoseconds;
pub(crate) use customer::{Customer, email_of, id_of};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Loopback address to serve on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// How many customers there are at the start.
    #[arg(long, default_value_t = 100_000)]
    customers: usize,
}

struct Vendor {
    shelf: RwLock<Shelf>,
    counts: Counts,
}

type Shared = State<Arc<Vendor>>;

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let vendor =
        Arc::new(Vendor { shelf: RwLock::new(Shelf::new(options.customers)), counts: Counts::default() });
    let router = Router::new()
        .route("/v1/account", get(account))
        .route("/v1/customers", get(list).post(create))
        .route("/v1/customers/{id}", get(read).post(update).delete(delete))
        .route("/v1/events", get(events))
        .route("/_counts", get(counts_now))
        .route("/_first", get(first))
        .route("/_reset", post(reset))
        .route("/_touch/{count}/{word}", post(touch))
        .with_state(vendor);
    let listener = TcpListener::bind(&options.listen).await.context("binding")?;
    println!("{}", serde_json::json!({ "listening": format!("http://{}", listener.local_addr()?) }));
    serve(listener, router).await?;
    Ok(())
}

async fn account(State(vendor): Shared) -> Response {
    vendor.counts.account();
    json(StatusCode::OK, r#"{"id":"acct_yardstick","object":"account"}"#)
}

async fn list(State(vendor): Shared, RawQuery(query): RawQuery) -> Response {
    vendor.counts.list();
    let query = pairs(query.unwrap_or_default().as_bytes());
    if let Some((_, email)) = query.iter().find(|(key, _)| key == "email") {
        vendor.counts.seen(email);
    }
    answer(vendor.read().list(&query))
}

async fn create(State(vendor): Shared, body: Bytes) -> Response {
    let form = pairs(&body);
    vendor.counts.create();
    if let Some((_, email)) = form.iter().find(|(key, _)| key == "email") {
        vendor.counts.seen(email);
    }
    answer(vendor.write().create(&form))
}

async fn read(State(vendor): Shared, Path(id): Path<String>) -> Response {
    vendor.counts.read();
    vendor.counts.seen(&id);
    answer(vendor.read().get(&id))
}

async fn update(State(vendor): Shared, Path(id): Path<String>, body: Bytes) -> Response {
    vendor.counts.update();
    vendor.counts.seen(&id);
    answer(vendor.write().update(&id, &pairs(&body)))
}

async fn delete(State(vendor): Shared, Path(id): Path<String>) -> Response {
    vendor.counts.delete();
    vendor.counts.seen(&id);
    answer(vendor.write().delete(&id))
}

/// No events: what is measured arrives by list or by webhook.
async fn events() -> Response {
    json(StatusCode::OK, r#"{"object":"list","data":[],"has_more":false,"url":"/v1/events"}"#)
}

async fn counts_now(State(vendor): Shared) -> Response {
    json(StatusCode::OK, vendor.counts.to_json())
}

async fn first(State(vendor): Shared) -> Response {
    json(StatusCode::OK, vendor.counts.first_to_json())
}

async fn reset(State(vendor): Shared) -> Response {
    vendor.counts.reset();
    json(StatusCode::OK, "{}")
}

/// Somebody renames the first COUNT customers to `WORD INDEX` in the service itself.
async fn touch(State(vendor): Shared, Path((count, word)): Path<(usize, String)>) -> Response {
    let mut shelf = vendor.write();
    for index in 0..count {
        let form = [("name".to_owned(), format!("{word} {index}"))];
        if let Err(refusal) = shelf.update(&id_of(index), &form) {
            return answer(Err(refusal));
        }
    }
    json(StatusCode::OK, "{}")
}

impl Vendor {
    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().expect("no handler panics while writing")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().expect("no handler panics while writing")
    }
}

/// A customer of the start under another name.
pub(crate) fn renamed(index: usize, name: &str) -> Customer {
    let mut customer = Customer::at(index);
    customer.set("name", name);
    customer
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn answer(result: Result<String, Refusal>) -> Response {
    match result {
        Ok(body) => json(StatusCode::OK, body),
        Err(Refusal::Missing(id)) => {
            let message = format!("No such customer: '{id}'");
            let error = serde_json::json!({ "error": { "code": "resource_missing", "message": message, "param": "id", "type": "invalid_request_error" } });
            json(StatusCode::NOT_FOUND, error.to_string())
        }
        Err(Refusal::Unknown(parameter)) => {
            let message = format!("Received unknown parameter: {parameter}");
            let error = serde_json::json!({ "error": { "code": "parameter_unknown", "message": message, "type": "invalid_request_error" } });
            json(StatusCode::BAD_REQUEST, error.to_string())
        }
    }
}

fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}
