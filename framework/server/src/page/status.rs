//! How each mapping stands, with pause and resume.

use super::{OPERATE, READ, Shell, Visit, render_as};
use crate::api::{Path, request_pass};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::stored::{LinkState, PauseScope};
use bothways_engine::{BrakeStatus, DriftReport, EngineError, PairStatus, Quota};

pub(super) fn routes(routes: Routes) -> Routes {
    let post = |path, access, summary| Endpoint::new(Method::POST, path, access, summary);
    routes
        .add(Endpoint::new(Method::GET, "/status", READ, "How everything stands"), show)
        .add(post("/status/{mapping}/pause", OPERATE, "Pauses a mapping"), pause)
        .add(post("/status/{mapping}/resume", OPERATE, "Resumes a mapping"), resume)
        .add(post("/status/{mapping}/sync", OPERATE, "Asks for a full pass"), sync)
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    shell: Shell,
    refusal: Option<String>,
    reasons: Vec<String>,
    brakes: Vec<BrakeStatus>,
    mappings: Vec<Shown>,
}

struct Shown {
    mapping: String,
    word: &'static str,
    tone: &'static str,
    live_mode: bool,
    observing: bool,
    held: Vec<String>,
    stopped: Option<String>,
    /// Whether a full pass can be asked for.
    passes: bool,
    paused: Option<String>,
    blocked: Option<String>,
    trouble: Vec<String>,
    quota: Option<Quota>,
    drift: Option<DriftReport>,
    catalog: String,
    connection: String,
    resource: String,
    account: Option<String>,
    mode: String,
    approved_by: Option<String>,
    walked_at: Option<String>,
    passed_at: Option<String>,
    numbers: Vec<Number>,
}

struct Number {
    label: String,
    value: u64,
    tone: &'static str,
}

async fn show(visit: Visit) -> Response {
    let page = status_page(&visit, None).await;
    visit.show(page).await
}

async fn status_page(visit: &Visit, refusal: Option<Problem>) -> Result<Response, Problem> {
    let operations = &visit.app.operations;
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let page = StatusPage {
        shell: visit.shell("Status", "status").await,
        refusal: refusal.map(|problem| problem.detail),
        reasons: operations.unready().await?,
        brakes: operations.brakes().await?,
        mappings: operations.status().await?.into_iter().map(Shown::from).collect(),
    };
    Ok(render_as(status, &page))
}

impl From<PairStatus> for Shown {
    fn from(status: PairStatus) -> Self {
        let observing = status.approved_by.is_none() || !status.approval_is_current;
        let (word, tone) = if status.blocked.is_some() {
            ("blocked", "bad")
        } else if status.paused.is_some() {
            ("paused", "wait")
        } else if status.approved_by.is_none() {
            ("observing", "wait")
        } else if status.stopped.is_some() {
            ("stopped by a change", "bad")
        } else if !status.approval_is_current {
            ("changed since approved", "wait")
        } else if status.walked_at.is_none() {
            ("first walk", "wait")
        } else if !status.trouble.is_empty() {
            ("trouble", "bad")
        } else {
            ("running", "ok")
        };
        let counts = status.counts;
        let parked = counts.parked.values().sum();
        let mut numbers: Vec<Number> = counts
            .links
            .into_iter()
            .map(|(state, value)| Number {
                label: if state == LinkState::Tombstone.as_str() { "deleted".into() } else { state },
                value,
                tone: "",
            })
            .collect();
        let alarm = |value: u64| if value > 0 { "bad" } else { "" };
        numbers.extend([
            Number { label: "conflicts".into(), value: counts.conflicts, tone: alarm(counts.conflicts) },
            Number { label: "parked".into(), value: parked, tone: alarm(parked) },
            Number { label: "pending".into(), value: counts.pending, tone: "" },
            Number { label: "open writes".into(), value: counts.intents, tone: "" },
        ]);
        if counts.held > 0 {
            numbers.push(Number { label: "held back by a limit".into(), value: counts.held, tone: "bad" });
        }
        Self {
            live_mode: status.mode == "live",
            mapping: status.mapping,
            word,
            tone,
            observing,
            held: status.held,
            stopped: status.stopped,
            passes: status.approved_by.is_some() && status.paused.is_none() && status.blocked.is_none(),
            paused: status.paused,
            blocked: status.blocked,
            trouble: status.trouble,
            quota: status.quota,
            drift: status.drift,
            catalog: status.catalog,
            connection: status.connection,
            resource: status.resource,
            account: status.account,
            mode: status.mode,
            approved_by: status.approved_by,
            walked_at: status.walked_at,
            passed_at: status.passed_at,
            numbers,
        }
    }
}

async fn pause(visit: Visit, Path(mapping): Path<String>) -> Response {
    let done = pause_mapping(&visit, &mapping).await;
    finish(visit, done).await
}

async fn resume(visit: Visit, Path(mapping): Path<String>) -> Response {
    let done = resume_mapping(&visit, &mapping).await;
    finish(visit, done).await
}

async fn sync(visit: Visit, Path(mapping): Path<String>) -> Response {
    let done = request_pass(&visit.app, &mapping, &visit.caller.name).await;
    finish(visit, done).await
}

/// Pauses a mapping in the visitor's name.
pub(super) async fn pause_mapping(visit: &Visit, mapping: &str) -> Result<(), EngineError> {
    let operations = &visit.app.operations;
    let pair = operations.pair(Some(mapping))?;
    operations.pause(PauseScope::Pair(pair.id), "paused on the page", &visit.caller.name).await
}

/// Resumes a mapping: whatever it is that pauses it.
pub(super) async fn resume_mapping(visit: &Visit, mapping: &str) -> Result<(), EngineError> {
    let operations = &visit.app.operations;
    let pair = operations.pair(Some(mapping))?;
    let connection = PauseScope::Connection(pair.connection.clone());
    for scope in [PauseScope::Pair(pair.id), connection, PauseScope::All] {
        if operations.resume(&scope, &visit.caller.name).await? {
            break;
        }
    }
    Ok(())
}

async fn finish(visit: Visit, done: Result<(), EngineError>) -> Response {
    let page = match done.map_err(Problem::from) {
        Ok(()) => Ok(Redirect::to("/status").into_response()),
        Err(problem) if problem.status == StatusCode::CONFLICT => status_page(&visit, Some(problem)).await,
        Err(problem) => Err(problem),
    };
    visit.show(page).await
}
