//! Steering of the sandbox Salesforce over HTTP, below `/_sandbox/salesforce`.

use crate::dashboard::Refused;
use crate::salesforce::{Action, DuplicateRule, Salesforce};
use crate::server::Served;
use crate::steering::{Answered, Problem, read, read_faults};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use bothways_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// The routes of steering.
pub(crate) fn routes() -> Router<Served> {
    Router::new()
        .route("/state", get(overview))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/release", post(release))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/settings", post(set))
        .route("/records/{object}", get(records).post(create).patch(update_many))
        .route("/records/{object}/{id}", get(one).post(update).delete(delete))
        .route("/records/{object}/{id}/{act}", post(act_on))
        .route("/recycle_bin", axum::routing::delete(empty_recycle_bin))
        .route("/delete_log", axum::routing::delete(purge_delete_log))
        .route("/consent", post(consent).delete(revoke))
        .route("/sessions", axum::routing::delete(end_sessions))
}

async fn overview(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.salesforce(|org, now| {
        json!({
            "organization": org.organization_id(),
            "now": now,
            "accounts": org.record_count("Account"),
            "contacts": org.record_count("Contact"),
            "requests": org.counts(),
            "late_requests": org.late_requests(),
            "tokens_issued": org.tokens_issued(),
            "fired": org.fired(),
            "revision": org.revision(),
        })
    }))
}

fn faults_view(org: &Salesforce) -> Value {
    json!({ "queued": org.faults(), "fired": org.fired(), "late_requests": org.late_requests() })
}

async fn faults(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.salesforce(|org, _| faults_view(org)))
}

async fn add_faults(State(served): State<Served>, body: Bytes) -> Answered {
    let faults = read_faults::<Action>(&body)?;
    Ok(Json(served.sandbox.salesforce(|org, _| {
        faults.into_iter().for_each(|fault| org.inject(fault));
        faults_view(org)
    })))
}

async fn clear_faults(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.salesforce(|org, _| {
        org.clear_faults();
        faults_view(org)
    }))
}

async fn release(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.salesforce(|org, now| json!({ "released": org.release_late(now) })))
}

async fn requests(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.salesforce(
        |org, _| json!({ "counts": org.counts(), "requests": org.requests().collect::<Vec<_>>() }),
    ))
}

async fn clear_requests(State(served): State<Served>) -> Json<Value> {
    served.sandbox.salesforce(|org, _| org.clear_requests());
    Json(json!({}))
}

/// What can be set while it runs; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    page_size: Option<usize>,
    daily_requests: Option<u64>,
    duplicate_rule: Option<DuplicateRule>,
    /// Where clients are told to send their requests.
    instance_url: Option<String>,
    /// In PEM.
    jwt_public_key: Option<String>,
}

async fn set(State(served): State<Served>, body: Bytes) -> Answered {
    let settings: Settings = read(&body)?;
    served.sandbox.salesforce(|org, _| {
        if let Some(rows) = settings.page_size {
            org.set_page_size(rows);
        }
        if let Some(limit) = settings.daily_requests {
            org.set_daily_requests(limit);
        }
        if let Some(rule) = settings.duplicate_rule {
            org.set_duplicate_rule(rule);
        }
        if let Some(url) = settings.instance_url {
            org.set_instance_url(Some(url));
        }
        if let Some(key) = settings.jwt_public_key {
            org.set_jwt_public_key(Some(key));
        }
    });
    Ok(Json(json!({})))
}

async fn records(State(served): State<Served>, Path(object): Path<String>) -> Json<Value> {
    Json(served.sandbox.salesforce(|org, _| json!({ "records": org.records(&object) })))
}

async fn one(State(served): State<Served>, Path((_, id)): Path<(String, String)>) -> Answered {
    let record = served.sandbox.salesforce(|org, _| org.record(&id));
    record.map(Json).ok_or_else(|| Problem::not_found("no such record"))
}

async fn create(State(served): State<Served>, Path(object): Path<String>, body: Bytes) -> Answered {
    let fields = read(&body)?;
    edit(&served, |org, now| org.dashboard_create(&object, &fields, now))
}

async fn update(
    State(served): State<Served>,
    Path((_, id)): Path<(String, String)>,
    body: Bytes,
) -> Answered {
    let fields = read(&body)?;
    edit(&served, |org, now| org.dashboard_update(&id, &fields, now))
}

/// One edit of several records, which gives them one stamp.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkEdit {
    ids: Vec<String>,
    fields: Value,
}

async fn update_many(State(served): State<Served>, body: Bytes) -> Answered {
    let bulk: BulkEdit = read(&body)?;
    let ids: Vec<&str> = bulk.ids.iter().map(String::as_str).collect();
    edit(&served, |org, now| org.dashboard_bulk_update(&ids, &bulk.fields, now).map(|()| json!({})))
}

async fn delete(State(served): State<Served>, Path((_, id)): Path<(String, String)>) -> Answered {
    edit(&served, |org, now| org.dashboard_delete(&id, now).map(|()| json!({ "deleted": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    /// The record that stays.
    master: String,
}

/// `merge` into another record, or `undelete`.
async fn act_on(
    State(served): State<Served>,
    Path((_, id, act)): Path<(String, String, String)>,
    body: Bytes,
) -> Answered {
    match act.as_str() {
        "merge" => {
            let merge: Merge = read(&body)?;
            edit(&served, |org, now| org.dashboard_merge(&merge.master, &id, now).map(|()| json!({})))
        }
        "undelete" => edit(&served, |org, now| org.dashboard_undelete(&id, now).map(|()| json!({}))),
        _ => Err(Problem::not_found("merge or undelete is expected")),
    }
}

fn edit(served: &Served, act: impl FnOnce(&mut Salesforce, Timestamp) -> Result<Value, Refused>) -> Answered {
    Ok(Json(served.sandbox.salesforce(act)?))
}

async fn empty_recycle_bin(State(served): State<Served>) -> Json<Value> {
    served.sandbox.salesforce(|org, now| org.dashboard_empty_recycle_bin(now));
    Json(json!({}))
}

async fn purge_delete_log(State(served): State<Served>) -> Json<Value> {
    served.sandbox.salesforce(|org, now| org.dashboard_purge_delete_log(now));
    Json(json!({}))
}

async fn consent(State(served): State<Served>) -> Json<Value> {
    Json(served.sandbox.salesforce(|org, _| json!({ "refresh_token": org.dashboard_consent() })))
}

async fn revoke(State(served): State<Served>) -> Json<Value> {
    served.sandbox.salesforce(|org, _| org.dashboard_revoke());
    Json(json!({}))
}

async fn end_sessions(State(served): State<Served>) -> Json<Value> {
    served.sandbox.salesforce(|org, _| org.dashboard_end_sessions());
    Json(json!({}))
}
