//! What brakes withhold, record by record, and approving exactly what is shown (rule 63).

use super::{APPROVE, READ, Shell, Visit, path, render_as};
use crate::access::Fields;
use crate::api::Path;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::stored::WithheldSet;
use bothways_engine::{BrakeRecord, BrakeStatus, EngineError};

/// Records shown at once. The approval names all of them, shown or not, by how many they are.
const SHOWN: usize = 500;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Endpoint::new(Method::GET, "/brakes/{id}", READ, "What a brake withholds"), show).add(
        Endpoint::new(Method::POST, "/brakes/{id}/approve", APPROVE, "Approves what a brake withholds"),
        approve,
    )
}

#[derive(Template)]
#[template(path = "brake.html")]
struct BrakePage {
    shell: Shell,
    refusal: Option<String>,
    brake: BrakeStatus,
    records: Vec<Shown>,
    more: u64,
}

struct Shown {
    what: String,
    local: Option<(String, Option<String>)>,
    remote_id: Option<String>,
    approved: Option<String>,
}

async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = brake_page(&visit, &id, None).await;
    visit.show(page).await
}

async fn brake_page(visit: &Visit, id: &str, refusal: Option<Problem>) -> Result<Response, Problem> {
    let operations = &visit.app.operations;
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let brake = match operations.brake(id).await {
        Ok(brake) => brake,
        // It went off, or all of it was done: the status page says how things stand now.
        Err(EngineError::NotFound(_)) => return Ok(Redirect::to("/status").into_response()),
        Err(error) => return Err(error.into()),
    };
    let records = operations.brake_records(id, None, SHOWN).await?;
    let catalog = operations.pair(Some(&brake.mapping)).ok().map(|p| p.mapping.catalog.name.clone());
    let page = BrakePage {
        shell: visit.shell("Brake", "status").await,
        refusal: refusal.map(|problem| problem.detail),
        more: brake.withheld.saturating_sub(records.len() as u64),
        records: records.into_iter().map(|record| shown(record, catalog.as_deref())).collect(),
        brake,
    };
    Ok(render_as(status, &page))
}

fn shown(record: BrakeRecord, catalog: Option<&str>) -> Shown {
    let url = |id: &str| catalog.map(|catalog| path(&["records", catalog, id]));
    Shown {
        what: record.what,
        local: record.local_id.map(|id| (id.clone(), url(&id))),
        remote_id: record.remote_id,
        approved: record.approved_until,
    }
}

async fn approve(visit: Visit, Path(id): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let value = |name: &str| form.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let count = value("count").and_then(|count| count.parse().ok()).unwrap_or(0);
    let set = WithheldSet { count, digest: value("set").unwrap_or_default().to_owned() };
    let why = value("why").unwrap_or_default();
    let done = visit.app.operations.approve_brake(&id, &set, None, why, &visit.caller.name).await;
    let page = match done.map_err(Problem::from) {
        Ok(_) => Ok(Redirect::to("/status").into_response()),
        Err(problem) if problem.status.is_server_error() => Err(problem),
        Err(problem) => brake_page(&visit, &id, Some(problem)).await,
    };
    visit.show(page).await
}
