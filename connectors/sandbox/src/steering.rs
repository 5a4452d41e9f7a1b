//! Steering over HTTP, below `/_sandbox`: the clock, faults, the log, and what a person does in the dashboard. Where nothing
//! else is said it is Stripe that is steered; the clock is everybody's.

use crate::dashboard::Refused;
use crate::fault_queue::Fault;
use crate::rate::RateLimit;
use crate::server::{Sandbox, Served, wait_for};
use crate::stripe::Stripe;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bothways_model::Timestamp;
use chrono::TimeDelta;
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::convert::Infallible;

/// The routes of steering.
pub(crate) fn routes() -> Router<Served> {
    Router::new()
        .route("/state", get(overview))
        .route("/clock", get(clock).post(set_clock))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/release", post(release))
        .route("/rate_limit", post(set_rate_limit))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/customers", get(customers).post(create_customer))
        .route("/customers/{id}", delete(delete_customer).post(update_customer))
        .route("/invoices", get(invoices).post(create_invoice))
        .route("/invoices/{id}", delete(delete_invoice).post(update_invoice))
        .route("/invoices/{id}/{step}", post(advance_invoice))
        .route("/events", get(events).post(emit_event))
        .route("/webhook_endpoints/{id}/roll", post(roll_secret))
        .route("/changes", get(changes))
        .nest("/salesforce", crate::salesforce_steering::routes())
        .fallback(|| async { Problem::not_found("no such steering path") })
}

/// What went wrong with a steering request.
pub(crate) struct Problem(StatusCode, Value);

impl Problem {
    pub(crate) fn not_found(message: &str) -> Self {
        Self(StatusCode::NOT_FOUND, json!({ "message": message }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self(status, json!({ "message": refused.message, "param": refused.param }))
    }
}

pub(crate) type Answered = Result<Json<Value>, Problem>;

pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem(StatusCode::BAD_REQUEST, json!({ "message": error.to_string() })))
}

async fn overview(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, now| {
        json!({
            "account": stripe.account_id(),
            "now": now,
            "customers": stripe.customer_count(),
            "invoices": stripe.invoices().len(),
            "requests": stripe.counts(),
            "open_deliveries": stripe.open_deliveries(),
            "late_requests": stripe.late_requests(),
            "fired": stripe.fired(),
            "revision": stripe.revision(),
        })
    }))
}

async fn clock(State(served): State<Served>) -> Json<Value> {
    Json(clock_view(&served.sandbox))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    /// Sets how far the clock is ahead of the real one.
    offset_ms: Option<i64>,
    /// Moves it from where it is.
    advance_ms: Option<i64>,
}

async fn set_clock(State(served): State<Served>, body: Bytes) -> Answered {
    let change: ClockChange = read(&body)?;
    if let Some(offset) = change.offset_ms {
        served.sandbox.set_offset_ms(offset);
    }
    if let Some(by) = change.advance_ms {
        served.sandbox.advance_ms(by);
    }
    Ok(Json(clock_view(&served.sandbox)))
}

fn clock_view(sandbox: &Sandbox) -> Value {
    json!({ "now": sandbox.now(), "unix": sandbox.now().timestamp(), "offset_ms": sandbox.offset_ms() })
}

async fn faults(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, _| faults_view(stripe)))
}

fn faults_view(stripe: &Stripe) -> Value {
    json!({ "queued": stripe.faults(), "fired": stripe.fired(), "late_requests": stripe.late_requests() })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

/// Reads one fault or a list of faults.
pub(crate) fn read_faults<A: DeserializeOwned>(body: &Bytes) -> Result<Vec<Fault<A>>, Problem> {
    let given = match read(body)? {
        OneOrMany::Many(many) => many,
        OneOrMany::One(one) => vec![one],
    };
    let faults: Result<Vec<Fault<A>>, _> = given.into_iter().map(serde_json::from_value).collect();
    faults.map_err(|e| Problem(StatusCode::BAD_REQUEST, json!({ "message": e.to_string() })))
}

async fn add_faults(State(served): State<Served>, body: Bytes) -> Answered {
    let faults = read_faults(&body)?;
    Ok(Json(served.sandbox.with(|stripe, _| {
        faults.into_iter().for_each(|fault| stripe.inject(fault));
        faults_view(stripe)
    })))
}

async fn clear_faults(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, _| {
        stripe.clear_faults();
        faults_view(stripe)
    }))
}

async fn release(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, now| json!({ "released": stripe.release_late(now) })))
}

async fn set_rate_limit(State(served): State<Served>, body: Bytes) -> Answered {
    let limit: Option<RateLimit> = read(&body)?;
    served.sandbox.with(|stripe, _| stripe.set_rate_limit(limit));
    Ok(Json(json!({ "rate_limit": limit })))
}

async fn requests(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(
        |stripe, _| json!({ "counts": stripe.counts(), "requests": stripe.requests().collect::<Vec<_>>() }),
    ))
}

async fn clear_requests(State(served): State<Served>) -> Json<Value> {
    served.sandbox.with(|stripe, _| stripe.clear_requests());
    Json(json!({}))
}

async fn customers(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, _| json!({ "customers": stripe.customers() })))
}

async fn create_customer(State(served): State<Served>, body: Bytes) -> Answered {
    let fields = read(&body)?;
    edit(&served, |stripe, now| stripe.dashboard_create(&fields, now))
}

async fn update_customer(State(served): State<Served>, Path(id): Path<String>, body: Bytes) -> Answered {
    let fields = read(&body)?;
    edit(&served, |stripe, now| stripe.dashboard_update(&id, &fields, now))
}

async fn delete_customer(State(served): State<Served>, Path(id): Path<String>) -> Answered {
    edit(&served, |stripe, now| stripe.dashboard_delete(&id, now).map(|()| json!({ "deleted": true })))
}

async fn invoices(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, _| json!({ "invoices": stripe.invoices() })))
}

async fn create_invoice(State(served): State<Served>, body: Bytes) -> Answered {
    let fields = read(&body)?;
    edit(&served, |stripe, now| stripe.dashboard_invoice(&fields, now))
}

async fn update_invoice(State(served): State<Served>, Path(id): Path<String>, body: Bytes) -> Answered {
    let fields = read(&body)?;
    edit(&served, |stripe, now| stripe.dashboard_update_invoice(&id, &fields, now))
}

async fn advance_invoice(State(served): State<Served>, Path((id, step)): Path<(String, String)>) -> Answered {
    edit(&served, |stripe, now| stripe.dashboard_advance(&id, &step, now))
}

async fn delete_invoice(State(served): State<Served>, Path(id): Path<String>) -> Answered {
    edit(&served, |stripe, now| {
        stripe.dashboard_delete_invoice(&id, now).map(|()| json!({ "deleted": true }))
    })
}

fn edit(served: &Served, act: impl FnOnce(&mut Stripe, Timestamp) -> Result<Value, Refused>) -> Answered {
    Ok(Json(served.sandbox.with(act)?))
}

async fn events(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.with(|stripe, _| json!({ "events": stripe.events() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Emission {
    r#type: String,
    object: Map<String, Value>,
}

async fn emit_event(State(served): State<Served>, body: Bytes) -> Answered {
    let emission: Emission = read(&body)?;
    served.sandbox.with(|stripe, now| stripe.dashboard_emit(&emission.r#type, &emission.object, now));
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roll {
    /// How long the old secret is still used.
    overlap_seconds: u32,
}

async fn roll_secret(State(served): State<Served>, Path(id): Path<String>, body: Bytes) -> Answered {
    let roll: Roll = read(&body)?;
    let overlap = TimeDelta::seconds(i64::from(roll.overlap_seconds));
    edit(&served, |stripe, now| {
        stripe.dashboard_roll_secret(&id, overlap, now).map(|secret| json!({ "secret": secret }))
    })
}

/// The revision, now and whenever it grows.
async fn changes(State(served): State<Served>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let seen = served.sandbox.changes();
    let revisions = futures::stream::unfold((seen, true), |(mut seen, first)| async move {
        if !first {
            seen.changed().await.ok()?;
        }
        let revision = *seen.borrow_and_update();
        Some((Ok(Event::default().event("revision").data(revision.to_string())), (seen, false)))
    });
    Sse::new(revisions.take_until(Box::pin(wait_for(served.stop)))).keep_alive(KeepAlive::default())
}
