//! What was written.

use super::extract::Query;
use super::shapes::{HistoryEntry, history_entry};
use crate::access::Access;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use axum::Json;
use axum::extract::State;
use axum::http::Method;
use bothways_engine::stored::{HistoryFilter, HistoryOp, TokenScope};
use bothways_model::{LinkId, LocalId, RemoteId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const READ: Access = Access::Api(TokenScope::Read);

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(
        Endpoint::new(Method::GET, "/api/history", READ, "What was written, newest first")
            .query::<HistoryQuery>()
            .answers::<HistoryPage>(200),
        history,
    )
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    /// Only this mapping.
    pub(crate) mapping: Option<String>,
    /// Only this link.
    pub(crate) link: Option<String>,
    /// Only this row.
    pub(crate) local_id: Option<String>,
    /// Only this record.
    pub(crate) remote_id: Option<String>,
    /// Only this operation.
    pub(crate) op: Option<String>,
    /// Only this full pass, or this carrying out of a plan.
    pub(crate) pass: Option<String>,
    /// Only entries before this number: `next` of the page before.
    pub(crate) before: Option<i64>,
    /// Entries a page, 1 to 1000; 50 unless told.
    pub(crate) limit: Option<usize>,
}

/// A page of history.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HistoryPage {
    /// The entries, newest first.
    pub(crate) entries: Vec<HistoryEntry>,
    /// What to send as `before` for the next page; null at the end.
    pub(crate) next: Option<i64>,
}

async fn history(
    State(app): State<App>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryPage>, Problem> {
    Ok(Json(page_of(&app, query).await?))
}

/// The page a query asks for.
pub(crate) async fn page_of(app: &App, query: HistoryQuery) -> Result<HistoryPage, Problem> {
    let given = |text: Option<String>| text.filter(|t| !t.is_empty());
    let filter = HistoryFilter {
        pair: given(query.mapping).map(|name| app.operations.pair(Some(&name))).transpose()?.map(|p| p.id),
        link: given(query.link)
            .map(|l| l.parse::<LinkId>().map_err(|_| Problem::malformed("`link` is no UUID")))
            .transpose()?,
        local_id: given(query.local_id).map(LocalId),
        remote_id: given(query.remote_id).map(RemoteId),
        op: given(query.op)
            .map(|op| HistoryOp::parse(&op).ok_or_else(|| Problem::malformed("`op` is no operation")))
            .transpose()?,
        pass: given(query.pass),
    };
    let limit = query.limit.unwrap_or(50).clamp(1, 1000);
    let rows = app.operations.history(&filter, query.before, limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.id)).flatten();
    let entries = rows.into_iter().map(|row| history_entry(app, row)).collect();
    Ok(HistoryPage { entries, next })
}
