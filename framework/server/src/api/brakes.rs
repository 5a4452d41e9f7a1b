//! Brakes: what is withheld in bulk, and approving exactly that (rules 56 to 60, 63; S9).

use super::extract::{JsonBody, Path, Query};
use crate::access::{Access, Caller};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use axum::extract::State;
use axum::http::Method;
use axum::{Extension, Json};
use bothways_engine::stored::{TokenScope, WithheldSet};
use bothways_engine::{BrakeRecord, BrakeStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const READ: Access = Access::Api(TokenScope::Read);
const APPROVE: Access = Access::Api(TokenScope::Approve);
/// Records a page, unless told.
const PAGE: usize = 100;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(
            Endpoint::new(Method::GET, "/api/brakes", READ, "The brakes that are on").answers::<Brakes>(200),
            list,
        )
        .add(
            Endpoint::new(
                Method::GET,
                "/api/brakes/{id}",
                READ,
                "One brake, with a page of what it withholds and the digest of all of it",
            )
            .query::<RecordsQuery>()
            .answers::<BrakePage>(200),
            show,
        )
        .add(
            Endpoint::new(
                Method::POST,
                "/api/brakes/{id}/approve",
                APPROVE,
                "Approves exactly the set that was shown, for a while; refused if the brake withholds another set by now",
            )
            .body::<Approval>()
            .answers::<Approved>(200),
            approve,
        )
}

/// The brakes that are on.
#[derive(Serialize, JsonSchema)]
struct Brakes {
    brakes: Vec<BrakeBody>,
}

/// A brake that is on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Brake")]
pub(super) struct BrakeBody {
    /// Its name, such as `brake-1`.
    id: String,
    /// The mapping.
    mapping: String,
    /// `deletes`, `blanking`, `updates`, `empty` or `creates`.
    kind: String,
    /// Side and field of a blanking, the side that is empty; else nothing.
    part: String,
    /// Since when, RFC 3339.
    since: String,
    /// Why it went on.
    why: String,
    /// How many it withholds, approved ones included.
    withheld: u64,
    /// Of those, how many are approved and not done yet.
    approved: u64,
    /// How many an approval would name now.
    open: u64,
    /// The digest of those; only where one brake is shown.
    set: Option<String>,
}

impl From<BrakeStatus> for BrakeBody {
    fn from(brake: BrakeStatus) -> Self {
        let BrakeStatus { id, mapping, kind, part, since, why, withheld, approved, open, set } = brake;
        Self { id, mapping, kind, part, since, why, withheld, approved, open, set }
    }
}

/// One thing that a brake withholds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WithheldRecord")]
struct RecordBody {
    /// The place in the list.
    key: String,
    /// What would be done.
    what: String,
    /// The row.
    local_id: Option<String>,
    /// The record.
    remote_id: Option<String>,
    /// Since when it is known, RFC 3339.
    since: String,
    /// Approved until then.
    approved_until: Option<String>,
    /// By whom.
    approved_by: Option<String>,
}

impl From<BrakeRecord> for RecordBody {
    fn from(record: BrakeRecord) -> Self {
        let BrakeRecord { key, what, local_id, remote_id, since, approved_until, approved_by } = record;
        Self { key, what, local_id, remote_id, since, approved_until, approved_by }
    }
}

pub(super) async fn all(app: &App) -> Result<Vec<BrakeBody>, Problem> {
    Ok(app.operations.brakes().await?.into_iter().map(BrakeBody::from).collect())
}

async fn list(State(app): State<App>) -> Result<Json<Brakes>, Problem> {
    Ok(Json(Brakes { brakes: all(&app).await? }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RecordsQuery {
    /// Only records after this place: `next` of the page before.
    after: Option<String>,
    /// At most this many, 1 to 1000; 100 unless told.
    limit: Option<usize>,
}

/// A brake with some of what it withholds.
#[derive(Serialize, JsonSchema)]
struct BrakePage {
    brake: BrakeBody,
    records: Vec<RecordBody>,
    /// Where the next page goes on; none after the last.
    next: Option<String>,
}

async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<RecordsQuery>,
) -> Result<Json<BrakePage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, 1000);
    let brake = app.operations.brake(&id).await?.into();
    let records = app.operations.brake_records(&id, query.after.as_deref(), limit).await?;
    let next = records.last().filter(|_| records.len() == limit).map(|last| last.key.clone());
    Ok(Json(BrakePage { brake, records: records.into_iter().map(RecordBody::from).collect(), next }))
}

/// What may be done.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// The digest of the set that was shown.
    set: String,
    /// How many it names.
    count: u64,
    /// For so many seconds; an hour unless told, a day at most.
    expires_seconds: Option<u64>,
    /// Why, for the audit log.
    why: Option<String>,
}

/// What was approved.
#[derive(Serialize, JsonSchema)]
struct Approved {
    /// Until when, RFC 3339.
    until: String,
}

async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(approval): JsonBody<Approval>,
) -> Result<Json<Approved>, Problem> {
    let Approval { set, count, expires_seconds, why } = approval;
    let set = WithheldSet { count, digest: set };
    let expires = expires_seconds.map(Duration::from_secs);
    let why = why.unwrap_or_default();
    let until = app.operations.approve_brake(&id, &set, expires, &why, &caller.name).await?;
    Ok(Json(Approved { until: until.to_rfc3339() }))
}
