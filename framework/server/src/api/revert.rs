//! Putting back what sync wrote.

use super::extract::JsonBody;
use super::to_its_end::to_its_end;
use crate::access::{Access, Caller};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use axum::extract::State;
use axum::http::Method;
use axum::{Extension, Json};
use bothways_engine::stored::TokenScope;
use bothways_engine::{RevertField, RevertItem, RevertOutcome, RevertTarget, RevertTotals};
use bothways_model::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Plain;

/// Items listed in an answer; all are carried out and counted.
const LISTED: usize = 1000;

pub(super) fn routes(routes: Routes) -> Routes {
    let endpoint = Endpoint::new(
        Method::POST,
        "/api/revert",
        Access::Api(TokenScope::Operate),
        "Puts back what a pass or one write brought to rows, where nobody has changed it since",
    );
    routes.add(endpoint.body::<RevertBody>().answers::<RevertAnswer>(200), revert)
}

/// What to put back: a pass, or a record's last write, or one entry of its history.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Revert")]
#[serde(deny_unknown_fields)]
pub(crate) struct RevertBody {
    /// A full pass, or the carrying out of a plan, as history names it.
    pub(crate) pass: Option<String>,
    /// A row or a remote record.
    pub(crate) record: Option<String>,
    /// Of the record: only in this mapping.
    pub(crate) mapping: Option<String>,
    /// Of the record: this entry of its history, on whichever side it wrote.
    pub(crate) entry: Option<i64>,
    /// Only say what would be put back.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// What was, or would be, put back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reverted")]
pub(crate) struct RevertAnswer {
    /// Nothing was written.
    pub(crate) dry_run: bool,
    /// Sums over all writes.
    pub(crate) totals: TotalsBody,
    /// The writes, newest first; at most 1000.
    pub(crate) items: Vec<ItemBody>,
    /// Whether there were more.
    pub(crate) more: bool,
}

/// Sums over all writes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevertTotals")]
pub(crate) struct TotalsBody {
    /// Writes with something that was put back.
    pub(crate) reverted: u64,
    /// Writes that were as before already.
    pub(crate) already: u64,
    /// Writes with something that somebody changed since; it stays.
    pub(crate) differing: u64,
    /// Writes with something that cannot be undone.
    pub(crate) refused: u64,
    /// Links made; they stay.
    pub(crate) links: u64,
}

/// One write.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevertItem")]
pub(crate) struct ItemBody {
    /// The number of the history entry.
    pub(crate) entry: i64,
    /// The mapping.
    pub(crate) mapping: String,
    /// The row.
    pub(crate) local_id: Option<String>,
    /// The record.
    pub(crate) remote_id: Option<String>,
    /// `reverted`, `already`, `differs` or `refused`.
    pub(crate) outcome: &'static str,
    /// Why, where no field says so.
    pub(crate) why: String,
    /// Field by field.
    pub(crate) fields: Vec<FieldBody>,
}

/// One field of a write.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevertField")]
pub(crate) struct FieldBody {
    /// The field.
    pub(crate) field: String,
    /// `reverted`, `already`, `differs` or `refused`.
    pub(crate) outcome: &'static str,
    /// What the row held.
    pub(crate) now: Option<Plain>,
    /// What it held before the write.
    pub(crate) before: Option<Plain>,
    /// Why, where it is not put back.
    pub(crate) why: String,
}

fn word(outcome: RevertOutcome) -> &'static str {
    match outcome {
        RevertOutcome::Reverted => "reverted",
        RevertOutcome::Already => "already",
        RevertOutcome::Differs => "differs",
        RevertOutcome::Refused => "refused",
    }
}

impl From<RevertTotals> for TotalsBody {
    fn from(totals: RevertTotals) -> Self {
        let RevertTotals { reverted, already, differing, refused, links } = totals;
        Self { reverted, already, differing, refused, links }
    }
}

impl From<RevertItem> for ItemBody {
    fn from(item: RevertItem) -> Self {
        Self {
            entry: item.entry,
            mapping: item.mapping,
            local_id: item.local_id,
            remote_id: item.remote_id,
            outcome: word(item.outcome),
            why: item.why,
            fields: item.fields.into_iter().map(FieldBody::from).collect(),
        }
    }
}

impl From<RevertField> for FieldBody {
    fn from(field: RevertField) -> Self {
        let plain = |value: Option<Value>| value.as_ref().map(Value::to_plain_json);
        Self {
            field: field.label,
            outcome: word(field.outcome),
            now: plain(field.now),
            before: plain(field.to),
            why: field.why,
        }
    }
}

async fn revert(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<RevertBody>,
) -> Result<Json<RevertAnswer>, Problem> {
    Ok(Json(reverted(&app, body, &caller.name).await?))
}

/// Does what a body asks. What writes goes on when the caller hangs up.
pub(crate) async fn reverted(app: &App, body: RevertBody, by: &str) -> Result<RevertAnswer, Problem> {
    let target = match (body.pass, body.record) {
        (Some(pass), None) if body.entry.is_none() && body.mapping.is_none() => RevertTarget::Pass(pass),
        (None, Some(id)) => RevertTarget::Record { mapping: body.mapping, id, entry: body.entry },
        _ => {
            return Err(Problem::malformed(
                "name either `pass`, or `record` with `mapping` and `entry` if need be",
            ));
        }
    };
    let (app, by, dry_run) = (app.clone(), by.to_owned(), body.dry_run);
    let work = async move {
        let mut items = Vec::new();
        let mut more = false;
        let mut sink = |item: RevertItem| {
            if items.len() < LISTED {
                items.push(ItemBody::from(item));
            } else {
                more = true;
            }
        };
        let totals = app.operations.revert(&target, dry_run, &by, &mut sink).await?;
        Ok(RevertAnswer { dry_run, totals: totals.into(), items, more })
    };
    if dry_run { work.await } else { to_its_end(work).await }
}
