//! What people did.

use super::extract::Query;
use crate::access::Access;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use axum::Json;
use axum::extract::State;
use axum::http::Method;
use bothways_engine::stored::{AuditEntry, TokenScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;

pub(super) fn routes(routes: Routes) -> Routes {
    let endpoint = Endpoint::new(
        Method::GET,
        "/api/audit",
        Access::Api(TokenScope::Read),
        "What people did: approvals, decisions, pauses, tokens; newest first",
    );
    routes.add(endpoint.query::<AuditQuery>().answers::<Audit>(200), audit)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// At most this many, 1 to 1000; 50 unless told.
    limit: Option<usize>,
}

/// What people did.
#[derive(Serialize, JsonSchema)]
struct Audit {
    /// The newest first.
    entries: Vec<AuditLine>,
}

/// One thing that somebody did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
struct AuditLine {
    /// When, RFC 3339.
    at: String,
    /// Who: the name of a token, or of a person at the command line.
    by: String,
    /// What, in a word.
    action: String,
    /// On what, with digests where there are any; no secrets, no values of records.
    detail: Json_,
}

impl From<AuditEntry> for AuditLine {
    fn from(entry: AuditEntry) -> Self {
        Self { at: entry.at.to_rfc3339(), by: entry.by, action: entry.action, detail: entry.detail }
    }
}

async fn audit(State(app): State<App>, Query(query): Query<AuditQuery>) -> Result<Json<Audit>, Problem> {
    let entries = app.operations.audits(query.limit.unwrap_or(50)).await?;
    Ok(Json(Audit { entries: entries.into_iter().map(AuditLine::from).collect() }))
}
