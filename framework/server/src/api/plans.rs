//! Plans: made as files, carried out, approved by their digest.

use super::extract::{MaybeJson, Path, Query};
use super::plan_places::within_patience;
use super::to_its_end::to_its_end;
use crate::access::{Access, Caller, read_up_to};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bothways_engine::stored::TokenScope;
use bothways_engine::{ApplyItem, ApplyOutcome, ApplyReport, PlanTotals};
use futures::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The media type of a plan file.
const LINES: &str = "application/x-ndjson";
/// The largest plan file that is taken by HTTP, in bytes; the command line takes any.
const PLAN: usize = 16 * 1024 * 1024;
/// A reader that is so many bytes behind is given up: the file it gets has no end, so that nobody takes it for a whole one.
const BEHIND: usize = 32 * 1024 * 1024;
/// Items listed in an answer; all are carried out and counted.
const LISTED: usize = 1000;

pub(super) fn routes(routes: Routes) -> Routes {
    let plan = Endpoint::new(
        Method::GET,
        "/api/mappings/{name}/plan",
        Access::Api(TokenScope::Read),
        "What a mapping would do on both sides, as a plan file: JSON lines, the last of which has the sums and the digest to approve. \
         One without a last line was cut off",
    );
    let approve = Endpoint::new(
        Method::POST,
        "/api/mappings/{name}/approve",
        Access::Api(TokenScope::Approve),
        "Approves what a mapping would do; with a digest only if it would still do the same",
    );
    let apply = Endpoint::new(
        Method::POST,
        "/api/mappings/{name}/apply",
        Access::Api(TokenScope::Approve),
        "Carries out exactly the plan file sent as application/x-ndjson; what has changed since is left",
    );
    routes
        .add(plan.query::<PlanQuery>().sends(200, Answer::Other(LINES)), plan_file)
        .add(approve.optional_body::<ApproveBody>().sends(204, Answer::Empty), approve_mapping)
        .add(apply.takes(LINES).answers::<AppliedBody>(200), apply_file)
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlanQuery {
    /// Show values of records, not only keyed hashes of them.
    #[serde(default)]
    values: bool,
}

/// Consent to a plan.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "Approve")]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    /// The digest of the plan that was looked at. A mapping that changed since it was approved is approved by it alone.
    digest: Option<String>,
}

async fn approve_mapping(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    MaybeJson(body): MaybeJson<ApproveBody>,
) -> Result<StatusCode, Problem> {
    match body.and_then(|body| body.digest) {
        Some(digest) => app.operations.approve_plan(Some(&name), &digest, &caller.name).await?,
        None => app.operations.approve(Some(&name), &caller.name).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A part of a plan file, or why it breaks off.
pub(super) type Chunk = io::Result<Bytes>;

/// Writes into an answer that is being read.
struct Sending {
    chunks: mpsc::UnboundedSender<Bytes>,
    behind: Arc<AtomicUsize>,
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.behind.fetch_add(bytes.len(), Ordering::Relaxed) > BEHIND {
            return Err(io::Error::other("the reader is too slow"));
        }
        let sent = self.chunks.send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn plan_file(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Query<PlanQuery>,
) -> Result<Response, Problem> {
    let pair = app.operations.pair(Some(&name))?;
    let place = app.plans.take(&pair.mapping.name)?;
    let (chunks, mut made) = mpsc::unbounded_channel::<Bytes>();
    let behind = Arc::new(AtomicUsize::new(0));
    let out = Sending { chunks, behind: behind.clone() };
    // Dropped with the answer, it ends when the reader hangs up.
    let mut task = JoinSet::new();
    task.spawn(async move { app.operations.save_plan(Some(&name), out, query.values, &caller.name).await });
    // What is refused before the first line is an answer of its own.
    let Some(first) = made.recv().await else {
        return match task.join_next().await {
            Some(Ok(Err(error))) => Err(error.into()),
            _ => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "plan", "the plan was not made")),
        };
    };
    let rest = stream::unfold((Some(first), made, behind, task), |(first, mut made, behind, task)| {
        Box::pin(async move {
            let chunk = match first {
                Some(first) => first,
                None => made.recv().await?,
            };
            behind.fetch_sub(chunk.len(), Ordering::Relaxed);
            Some((Chunk::Ok(chunk), (None, made, behind, task)))
        })
    });
    let body = Body::from_stream(within_patience(rest, place));
    Ok(([(header::CONTENT_TYPE, LINES)], body).into_response())
}

/// What carrying a plan out came to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Applied")]
struct AppliedBody {
    /// Names it in history and for `revert`.
    id: String,
    /// The mapping.
    mapping: String,
    /// Items in the plan.
    items: u64,
    /// Carried out.
    done: u64,
    /// Nothing was left to do.
    already: u64,
    /// Something else would happen by now: not done.
    stale: u64,
    /// A person has to decide.
    left: u64,
    /// Could not be done.
    failed: u64,
    /// The items that were not simply done; at most 1000.
    listed: Vec<AppliedItem>,
}

/// One item of a plan that was carried out.
#[derive(Serialize, JsonSchema)]
struct AppliedItem {
    /// What was planned.
    action: &'static str,
    /// The row.
    local_id: Option<String>,
    /// The record.
    remote_id: Option<String>,
    /// `already`, `stale`, `left` or `failed`.
    outcome: &'static str,
    /// Why.
    why: String,
}

async fn apply_file(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<AppliedBody>, Problem> {
    let (parts, body) = request.into_parts();
    let named = parts.headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
    if !named.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(LINES)) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_a_plan",
            format!("send `Content-Type: {LINES}`"),
        ));
    }
    app.operations.pair(Some(&name))?;
    let file = read_up_to(PLAN, &parts.headers, body).await?;
    Ok(Json(to_its_end(async move { carry_out(&app, &name, file, &caller.name).await }).await?))
}

async fn carry_out(app: &App, name: &str, file: Bytes, by: &str) -> Result<AppliedBody, Problem> {
    let mut listed = Vec::new();
    let mut open = || Ok(Box::new(Cursor::new(file.clone())) as Box<dyn BufRead + Send>);
    let mut sink = |item: ApplyItem| {
        if item.outcome != ApplyOutcome::Done && listed.len() < LISTED {
            listed.push(AppliedItem {
                action: item.action.as_str(),
                local_id: item.local,
                remote_id: item.remote,
                outcome: word(item.outcome),
                why: item.why,
            });
        }
    };
    let report = app.operations.apply(Some(name), &mut open, by, &mut sink).await?;
    let ApplyReport { id, mapping, items, done, already, stale, left, failed } = report;
    Ok(AppliedBody { id, mapping, items, done, already, stale, left, failed, listed })
}

fn word(outcome: ApplyOutcome) -> &'static str {
    match outcome {
        ApplyOutcome::Done => "done",
        ApplyOutcome::Already => "already",
        ApplyOutcome::Stale => "stale",
        ApplyOutcome::Left => "left",
        ApplyOutcome::Failed => "failed",
    }
}

/// A plan file in memory, as large as one that is taken by HTTP.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > PLAN {
            return Err(io::Error::other(
                "it is too long to be done from here; `bothways plan --out` and `apply` do it",
            ));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Carries out once what a page showed: the plan is made again, and only the same one counts. Returns the name of the carrying out; what
/// takes longer than `patience` goes on by itself.
pub(crate) async fn apply_plan_of(
    app: &App,
    mapping: &str,
    digest: &str,
    by: &str,
    patience: Duration,
) -> Result<String, Problem> {
    let mut file = Capped(Vec::new());
    let totals = app.operations.save_plan(Some(mapping), &mut file, false, by).await?;
    if totals.digest != digest {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "stale",
            "what it would do has changed since it was shown: this is how it is now",
        ));
    }
    let (app, name, by) = (app.clone(), mapping.to_owned(), by.to_owned());
    let done = to_its_end(async move { carry_out(&app, &name, file.0.into(), &by).await });
    match tokio::time::timeout(patience, done).await {
        Ok(done) => Ok(done?.id),
        Err(_) => Ok(String::new()),
    }
}

/// The sums that are not zero, in words.
pub(crate) fn totals_in_words(totals: &PlanTotals) -> Vec<(u64, &'static str)> {
    let all = [
        (totals.link, "to link"),
        (totals.link_differing, "of them differing"),
        (totals.create_local, "rows to create"),
        (totals.create_remote, "records to create there"),
        (totals.update_local, "rows to change"),
        (totals.update_remote, "records to change there"),
        (totals.delete_local, "rows to delete"),
        (totals.delete_remote, "records to delete there"),
        (totals.close, "links to close"),
        (totals.conflicts, "with conflicts"),
        (totals.ambiguous, "ambiguous groups"),
        (totals.ask, "for a person to decide"),
        (totals.unreadable, "unreadable rows"),
    ];
    all.into_iter().filter(|(count, _)| *count > 0).collect()
}
