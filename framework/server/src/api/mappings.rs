//! Mappings: how they stand, and steering them.

use super::brakes::BrakeBody;
use super::extract::{JsonBody, NoBody, Path};
use crate::access::{Access, Caller};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::{Extension, Json};
use bothways_engine::stored::{PauseScope, TokenScope};
use bothways_engine::{EngineError, PairStatus};
use bothways_model::{LinkId, LocalId, RemoteId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const READ: Access = Access::Api(TokenScope::Read);
const OPERATE: Access = Access::Api(TokenScope::Operate);

pub(super) fn routes(routes: Routes) -> Routes {
    let post = |path, access, summary| Endpoint::new(Method::POST, path, access, summary);
    routes
        .add(
            Endpoint::new(Method::GET, "/api/status", READ, "How everything stands").answers::<Status>(200),
            status,
        )
        .add(
            Endpoint::new(Method::GET, "/api/mappings", READ, "How each mapping stands")
                .answers::<Mappings>(200),
            mappings,
        )
        .add(
            post("/api/mappings/{name}/pause", OPERATE, "Pauses a mapping")
                .body::<Pause>()
                .sends(204, Answer::Empty),
            pause,
        )
        .add(
            post("/api/mappings/{name}/resume", OPERATE, "Resumes a mapping").sends(204, Answer::Empty),
            resume,
        )
        .add(
            post(
                "/api/mappings/{name}/sync",
                OPERATE,
                "Asks for a full pass over both sides; it begins soon",
            )
            .sends(202, Answer::Empty),
            sync,
        )
        .add(
            post("/api/mappings/{name}/link", OPERATE, "Links a row and a remote record by a person's word")
                .body::<LinkRequest>()
                .answers::<Linked>(201),
            link,
        )
        .add(
            post("/api/links/{link}/unlink", OPERATE, "Takes a link apart; deletes nothing")
                .sends(204, Answer::Empty),
            unlink,
        )
}

/// How everything stands.
#[derive(Serialize, JsonSchema)]
struct Status {
    /// The program's version.
    version: &'static str,
    /// Whether everything can do its work.
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
    /// How many items wait for a person; 1000 means that many or more.
    waiting: usize,
    /// The brakes that are on.
    brakes: Vec<BrakeBody>,
    /// The mappings.
    mappings: Vec<MappingBody>,
}

/// How each mapping stands.
#[derive(Serialize, JsonSchema)]
struct Mappings {
    mappings: Vec<MappingBody>,
}

/// How a mapping stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Mapping")]
struct MappingBody {
    /// The mapping.
    mapping: String,
    /// Its catalog.
    catalog: String,
    /// Its connection.
    connection: String,
    /// Its resource.
    resource: String,
    /// The account its links belong to.
    account: Option<String>,
    /// `live`, `test` or `unknown`.
    mode: String,
    /// Who approved what it does; until then it only observes.
    approved_by: Option<String>,
    /// Whether it is still what was approved.
    approval_is_current: bool,
    /// What is held of it until a change is approved, in words.
    held: Vec<String>,
    /// Why it stands still until then, if it does.
    stopped: Option<String>,
    /// When its first complete walk ended, RFC 3339.
    walked_at: Option<String>,
    /// When its last full pass ended.
    passed_at: Option<String>,
    /// Why it is paused.
    paused: Option<String>,
    /// Why its connection must not be used.
    blocked: Option<String>,
    /// Trouble of its readers.
    trouble: Vec<String>,
    /// How much of its connection's calls of a day is used, where they are limited.
    quota: Option<QuotaBody>,
    /// What its last full pass found different.
    drift: Option<DriftBody>,
    /// What is counted of it.
    counts: CountsBody,
}

/// What a full pass found different.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Drift")]
struct DriftBody {
    /// When the pass ended, RFC 3339.
    at: String,
    /// Linked records of either side that were not what was last known of them.
    differing: u64,
    /// Of those, the ones that no event and no trigger had told of.
    drifted: u64,
    /// Linked rows that were gone without a captured delete.
    missing: u64,
    /// Events and triggers seem healthy and still did not tell: some are being lost.
    alert: bool,
}

/// How much of a connection's calls of a day is used.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Quota")]
struct QuotaBody {
    /// Calls of the last 24 hours: our own, or all that the service counts, whichever is nearer to its limit.
    used: u64,
    /// Of how many.
    limit: u64,
    /// What does not go out because of that, in words; null while nothing.
    stops: Option<&'static str>,
}

/// Counts of a mapping.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Counts")]
struct CountsBody {
    /// Links by state.
    links: BTreeMap<String, u64>,
    /// Links with at least one conflict.
    conflicts: u64,
    /// Open or uncertain writes.
    intents: u64,
    /// Parked work by reason.
    parked: BTreeMap<String, u64>,
    /// Work that is not parked.
    pending: u64,
    /// Pending work that a limit holds back.
    held: u64,
    /// When the oldest pending work was first signalled, RFC 3339.
    oldest: Option<String>,
}

impl From<PairStatus> for MappingBody {
    fn from(status: PairStatus) -> Self {
        Self {
            mapping: status.mapping,
            catalog: status.catalog,
            connection: status.connection,
            resource: status.resource,
            account: status.account,
            mode: status.mode,
            approved_by: status.approved_by,
            approval_is_current: status.approval_is_current,
            held: status.held,
            stopped: status.stopped,
            walked_at: status.walked_at,
            passed_at: status.passed_at,
            paused: status.paused,
            blocked: status.blocked,
            trouble: status.trouble,
            quota: status.quota.map(|quota| QuotaBody {
                used: quota.used,
                limit: quota.limit,
                stops: quota.stops(),
            }),
            drift: status.drift.map(|drift| DriftBody {
                at: drift.at.to_rfc3339(),
                differing: drift.differing,
                drifted: drift.drifted,
                missing: drift.missing,
                alert: drift.alert,
            }),
            counts: CountsBody {
                links: status.counts.links,
                conflicts: status.counts.conflicts,
                intents: status.counts.intents,
                parked: status.counts.parked,
                pending: status.counts.pending,
                held: status.counts.held,
                oldest: status.counts.oldest.map(|t| t.to_rfc3339()),
            },
        }
    }
}

async fn all(app: &App) -> Result<Vec<MappingBody>, Problem> {
    Ok(app.operations.status().await?.into_iter().map(MappingBody::from).collect())
}

async fn mappings(State(app): State<App>) -> Result<Json<Mappings>, Problem> {
    Ok(Json(Mappings { mappings: all(&app).await? }))
}

async fn status(State(app): State<App>) -> Result<Json<Status>, Problem> {
    let reasons = app.operations.unready().await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        ready: reasons.is_empty(),
        reasons,
        waiting: app.operations.parked(None, None, 1000).await?.len(),
        brakes: super::brakes::all(&app).await?,
        mappings: all(&app).await?,
    }))
}

/// Why a mapping is paused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pause {
    /// In a few words, for people.
    reason: String,
}

async fn pause(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    JsonBody(pause): JsonBody<Pause>,
) -> Result<StatusCode, Problem> {
    let pair = app.operations.pair(Some(&name))?;
    app.operations.pause(PauseScope::Pair(pair.id), &pause.reason, &caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let pair = app.operations.pair(Some(&name))?;
    app.operations.resume(&PauseScope::Pair(pair.id), &caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sync(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    request_pass(&app, &name, &caller.name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Asks for a full pass of a mapping; refused while none could begin.
pub(crate) async fn request_pass(app: &App, name: &str, by: &str) -> Result<(), EngineError> {
    let pair = app.operations.pair(Some(name))?;
    if !pair.is_approved() {
        return Err(EngineError::Refused(format!("mapping `{name}` is not approved yet")));
    }
    app.operations.engine().want_pass(pair.id).await?;
    app.operations.audit(by, "sync", serde_json::json!({ "mapping": name })).await
}

/// A row and a record that are the same thing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkRequest {
    /// The row.
    local_id: String,
    /// The record.
    remote_id: String,
}

/// A new link.
#[derive(Serialize, JsonSchema)]
struct Linked {
    /// The link.
    link: String,
}

async fn link(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<LinkRequest>,
) -> Result<(StatusCode, Json<Linked>), Problem> {
    let (local, remote) = (LocalId(request.local_id), RemoteId(request.remote_id));
    let link = app.operations.link(Some(&name), &local, &remote, &caller.name).await?;
    Ok((StatusCode::CREATED, Json(Linked { link: link.to_string() })))
}

async fn unlink(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(link): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let link: LinkId = link.parse().map_err(|_| Problem::not_found(format!("link `{link}`")))?;
    app.operations.unlink(link, &caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
