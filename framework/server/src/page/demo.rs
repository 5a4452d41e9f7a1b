//! The demo's page: one kind of record at a time, the catalog and the other system beside each other, both editable, and every hop below.

use super::entry::Line;
use super::fields;
use super::panes::{self, Pane};
use super::status::{pause_mapping, resume_mapping};
use super::{OPERATE, READ, Shell, Visit, path, render_as};
use crate::access::Fields;
use crate::api::{HistoryQuery, Path, page_of};
use crate::beside::{Beside, BesideKind};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::BrakeStatus;
use bothways_model::LocalId;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn routes(routes: Routes) -> Routes {
    if routes.app.beside.is_none() {
        return routes;
    }
    let get = |path, summary| Endpoint::new(Method::GET, path, READ, summary);
    let post = |path, summary| Endpoint::new(Method::POST, path, OPERATE, summary);
    routes
        .add(get("/demo", "The first kind of record on both sides"), first)
        .add(get("/demo/{mapping}", "Both sides beside each other"), show)
        .add(post("/demo/{mapping}/here", "Adds a record to the catalog"), create_here)
        .add(post("/demo/{mapping}/here/{id}", "Changes a record of the catalog"), update_here)
        .add(post("/demo/{mapping}/here/{id}/delete", "Deletes a record of the catalog"), delete_here)
        .add(post("/demo/{mapping}/there", "Adds a record to the other side"), create_there)
        .add(post("/demo/{mapping}/there/{id}", "Changes a record of the other side"), update_there)
        .add(post("/demo/{mapping}/there/{id}/delete", "Deletes a record of the other side"), delete_there)
        .add(post("/demo/{mapping}/pause", "Pauses the mapping between the two"), pause)
        .add(post("/demo/{mapping}/resume", "Resumes it"), resume)
}

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    shell: Shell,
    tabs: Vec<Tab>,
    mapping: String,
    hint: Option<String>,
    refusal: Option<String>,
    paused: bool,
    brakes: Vec<BrakeStatus>,
    panes: [Pane; 2],
    history: Vec<Line>,
}

/// One kind of record that has a page.
struct Tab {
    catalog: String,
    system: String,
    url: String,
    current: bool,
}

/// The other side, and which of its kinds is visited.
struct Sides {
    beside: Arc<dyn Beside>,
    kind: BesideKind,
}

impl Sides {
    fn of(visit: &Visit, mapping: &str) -> Result<Self, Problem> {
        let beside = visit.app.beside.clone().ok_or_else(|| Problem::not_found("demo"))?;
        let kind = beside.kinds().iter().find(|kind| kind.mapping == mapping).cloned();
        let kind = kind.ok_or_else(|| Problem::not_found(format!("page of a mapping `{mapping}`")))?;
        Ok(Self { beside, kind })
    }
}

async fn first(visit: Visit) -> Response {
    let first =
        visit.app.beside.as_ref().and_then(|beside| Some(path(&["demo", &beside.kinds().first()?.mapping])));
    Redirect::to(first.as_deref().unwrap_or("/records")).into_response()
}

async fn show(visit: Visit, Path(mapping): Path<String>) -> Response {
    let page = match Sides::of(&visit, &mapping) {
        Ok(sides) => demo_page(&visit, &sides, None).await,
        Err(problem) => Err(problem),
    };
    visit.show(page).await
}

async fn demo_page(visit: &Visit, sides: &Sides, refusal: Option<Problem>) -> Result<Response, Problem> {
    let Sides { beside, kind } = sides;
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let paused = visit.app.operations.status().await?;
    let paused = paused.iter().any(|pair| pair.mapping == kind.mapping && pair.paused.is_some());
    let query = HistoryQuery { limit: Some(40), ..HistoryQuery::default() };
    let here = panes::here(visit, &**beside, kind).await?;
    let there = panes::there(visit, &**beside, kind, &here.rows).await?;
    let tab = |other: &BesideKind| Tab {
        catalog: other.catalog.clone(),
        system: other.system.clone(),
        url: path(&["demo", &other.mapping]),
        current: other.mapping == kind.mapping,
    };
    let page = DemoPage {
        tabs: beside.kinds().iter().map(tab).collect(),
        mapping: kind.mapping.clone(),
        hint: kind.hint.clone(),
        refusal: refusal.map(|problem| problem.detail),
        paused,
        brakes: visit.app.operations.brakes().await?,
        panes: [here, there],
        history: page_of(&visit.app, query).await?.entries.into_iter().map(Line::from).collect(),
        shell: visit.shell(&format!("{} and {}", kind.catalog, kind.system), "demo").await,
    };
    Ok(render_as(status, &page))
}

async fn create_here(
    visit: Visit,
    Path(mapping): Path<String>,
    Extension(form): Extension<Fields>,
) -> Response {
    act(visit, &mapping, async |visit, sides| write_here(visit, sides, None, &form).await).await
}

async fn update_here(
    visit: Visit,
    Path((mapping, id)): Path<(String, String)>,
    Extension(form): Extension<Fields>,
) -> Response {
    act(visit, &mapping, async |visit, sides| write_here(visit, sides, Some(LocalId(id)), &form).await).await
}

async fn write_here(visit: &Visit, sides: &Sides, id: Option<LocalId>, form: &Fields) -> Result<(), Problem> {
    let Sides { kind, .. } = sides;
    let records = &visit.app.records;
    // The form speaks of columns; the catalog calls its fields otherwise.
    let named = form.0.iter().filter_map(|(key, value)| {
        let (prefix, name) = key.split_once('.')?;
        let column = kind.columns.iter().find(|column| column.name == name)?;
        column.here.is_offered(id.is_none()).then(|| (format!("{prefix}.{}", column.local), value.clone()))
    });
    let named = Fields(named.collect());
    if let Some(id) = id {
        return super::record::save(visit, &kind.catalog, &id, &named).await;
    }
    let made = fields::given(records.catalog(&kind.catalog)?, &named)
        .map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why))?;
    records.create(&kind.catalog, &made).await.map(drop).map_err(Problem::of_edit)
}

async fn delete_here(visit: Visit, Path((mapping, id)): Path<(String, String)>) -> Response {
    act(visit, &mapping, async |visit, Sides { kind, .. }| {
        visit.app.records.delete(&kind.catalog, &LocalId(id)).await.map_err(Problem::of_edit)
    })
    .await
}

/// Columns of a form whose value differs from the one it showed.
fn edited(kind: &BesideKind, form: &Fields, creating: bool) -> BTreeMap<String, String> {
    let sent = |prefix: &str, name: &str| {
        let found = form.0.iter().find(|(key, _)| key.strip_prefix(prefix) == Some(name))?;
        Some(found.1.clone())
    };
    let columns = kind.columns.iter().filter(|column| column.there.is_offered(creating));
    columns
        .filter_map(|column| {
            let now = sent("field.", &column.name)?;
            let was = sent("was.", &column.name).unwrap_or_default();
            (now != was).then_some((column.name.clone(), now))
        })
        .collect()
}

async fn create_there(
    visit: Visit,
    Path(mapping): Path<String>,
    Extension(form): Extension<Fields>,
) -> Response {
    act(visit, &mapping, async |_, Sides { beside, kind }| {
        let fields = edited(kind, &form, true);
        beside.create(&kind.mapping, fields).await.map(|_| ()).map_err(panes::refused)
    })
    .await
}

async fn update_there(
    visit: Visit,
    Path((mapping, id)): Path<(String, String)>,
    Extension(form): Extension<Fields>,
) -> Response {
    act(visit, &mapping, async |_, Sides { beside, kind }| match edited(kind, &form, false) {
        fields if fields.is_empty() => Ok(()),
        fields => beside.update(&kind.mapping, &id, fields).await.map_err(panes::refused),
    })
    .await
}

async fn delete_there(visit: Visit, Path((mapping, id)): Path<(String, String)>) -> Response {
    act(visit, &mapping, async |_, Sides { beside, kind }| {
        beside.delete(&kind.mapping, &id).await.map_err(panes::refused)
    })
    .await
}

async fn pause(visit: Visit, Path(mapping): Path<String>) -> Response {
    act(visit, &mapping, async |visit, Sides { kind, .. }| {
        pause_mapping(visit, &kind.mapping).await.map_err(Problem::from)
    })
    .await
}

async fn resume(visit: Visit, Path(mapping): Path<String>) -> Response {
    act(visit, &mapping, async |visit, Sides { kind, .. }| {
        resume_mapping(visit, &kind.mapping).await.map_err(Problem::from)
    })
    .await
}

/// Does it and goes back to the page; a refusal is shown above what is there now.
async fn act(
    visit: Visit,
    mapping: &str,
    what: impl AsyncFnOnce(&Visit, &Sides) -> Result<(), Problem>,
) -> Response {
    let sides = match Sides::of(&visit, mapping) {
        Ok(sides) => sides,
        Err(problem) => return visit.show(Err(problem)).await,
    };
    let page = match what(&visit, &sides).await {
        Ok(()) => Ok(Redirect::to(&path(&["demo", mapping])).into_response()),
        Err(problem) if problem.status.is_server_error() => Err(problem),
        Err(problem) => demo_page(&visit, &sides, Some(problem)).await,
    };
    visit.show(page).await
}
