//! The demo's page: a catalog and the other system's records side by side, both editable, and every hop below.

use super::entry::Line;
use super::fields;
use super::places::{Place, Step};
use super::status::{pause_mapping, resume_mapping};
use super::{OPERATE, READ, Shell, Visit, path, render_as};
use crate::access::Fields;
use crate::api::{HistoryQuery, Path, page_of};
use crate::beside::{Beside, BesideError};
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

/// A record that no link knows.
const NEW: Step = Step { word: "new", tone: "wait", hint: "Not linked to the other side yet" };
/// Records shown on each side.
const SHOWN: usize = 200;

pub(super) fn routes(routes: Routes) -> Routes {
    if routes.app.beside.is_none() {
        return routes;
    }
    let post = |path, summary| Endpoint::new(Method::POST, path, OPERATE, summary);
    routes
        .add(Endpoint::new(Method::GET, "/demo", READ, "Both sides beside each other"), show)
        .add(post("/demo/here", "Adds a record to the catalog"), create_here)
        .add(post("/demo/here/{id}", "Changes a record of the catalog"), update_here)
        .add(post("/demo/here/{id}/delete", "Deletes a record of the catalog"), delete_here)
        .add(post("/demo/there", "Adds a record to the other side"), create_there)
        .add(post("/demo/there/{id}", "Changes a record of the other side"), update_there)
        .add(post("/demo/there/{id}/delete", "Deletes a record of the other side"), delete_there)
        .add(post("/demo/pause", "Pauses the mapping between the two"), pause)
        .add(post("/demo/resume", "Resumes it"), resume)
}

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    shell: Shell,
    hint: Option<String>,
    refusal: Option<String>,
    paused: bool,
    brakes: Vec<BrakeStatus>,
    panes: [Pane; 2],
    history: Vec<Line>,
}

struct Column {
    name: String,
    label: String,
    /// Whether a new record must have it.
    required: bool,
}

struct Pane {
    /// `here` or `there`.
    side: &'static str,
    title: String,
    subtitle: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    /// What its controls are called for whoever cannot see them.
    name: String,
    /// Where its form goes.
    url: String,
    /// Its own page.
    link: Option<String>,
    cells: Vec<Cell>,
    step: Option<Step>,
    /// The same record's id on the other side.
    twin: Option<String>,
}

struct Cell {
    name: String,
    label: String,
    value: String,
}

fn beside(visit: &Visit) -> Result<Arc<dyn Beside>, Problem> {
    visit.app.beside.clone().ok_or_else(|| Problem::not_found("demo"))
}

async fn show(visit: Visit) -> Response {
    let page = demo_page(&visit, None).await;
    visit.show(page).await
}

async fn demo_page(visit: &Visit, refusal: Option<Problem>) -> Result<Response, Problem> {
    let beside = beside(visit)?;
    let catalog = beside.catalog();
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let paused = visit.app.operations.status().await?;
    let paused = paused.iter().any(|pair| pair.mapping == beside.mapping() && pair.paused.is_some());
    let query = HistoryQuery { limit: Some(40), ..HistoryQuery::default() };
    let here = here(visit, &*beside).await?;
    let there = there(&*beside, &here.rows).await?;
    let page = DemoPage {
        hint: beside.hint(),
        refusal: refusal.map(|problem| problem.detail),
        paused,
        brakes: visit.app.operations.brakes().await?,
        panes: [here, there],
        history: page_of(&visit.app, query).await?.entries.into_iter().map(Line::from).collect(),
        shell: visit.shell(&format!("{catalog} and {}", beside.title()), "demo").await,
    };
    Ok(render_as(status, &page))
}

async fn here(visit: &Visit, beside: &dyn Beside) -> Result<Pane, Problem> {
    let records = &visit.app.records;
    let (catalog, columns) = (beside.catalog(), beside.columns());
    let checked = records.catalog(&catalog)?;
    let required = |field: &str| checked.field(field).is_some_and(|f| !f.optional);
    let page = records.list(&catalog, None, None, SHOWN).await?;
    let mut rows = Vec::new();
    // Newest first, as the other side lists them.
    for row in page.rows.iter().rev() {
        let place = records.links(&catalog, &row.id).await?.into_iter().map(Place::from).next();
        let cells: Vec<Cell> = columns
            .iter()
            .map(|column| Cell {
                name: column.name.clone(),
                label: column.label.clone(),
                value: row.fields.get(&column.local).map(|v| v.to_text()).unwrap_or_default(),
            })
            .collect();
        rows.push(Row {
            name: name_of(&cells, row.id.as_str()),
            url: path(&["demo", "here", row.id.as_str()]),
            link: Some(path(&["records", &catalog, row.id.as_str()])),
            id: row.id.0.clone(),
            cells,
            twin: place.as_ref().and_then(|place| place.remote_id.clone()),
            step: Some(place.map_or(NEW, |place| place.step)),
        });
    }
    let subtitle = format!("the table {} in your database", checked.table);
    let columns = columns.into_iter();
    let columns = columns.map(|c| Column { required: required(&c.local), name: c.name, label: c.label });
    Ok(Pane { side: "here", subtitle, columns: columns.collect(), title: catalog, rows })
}

/// The other side's records, each with what its twin among `here` says.
async fn there(beside: &dyn Beside, here: &[Row]) -> Result<Pane, Problem> {
    let twins: BTreeMap<&str, &Row> =
        here.iter().filter_map(|row| Some((row.twin.as_deref()?, row))).collect();
    let columns = beside.columns();
    let records = beside.list().await.map_err(refused)?;
    let rows = records.into_iter().take(SHOWN).map(|record| {
        let cells: Vec<Cell> = columns
            .iter()
            .map(|column| Cell {
                name: column.name.clone(),
                label: column.label.clone(),
                value: record.fields.get(&column.name).cloned().unwrap_or_default(),
            })
            .collect();
        let twin = twins.get(record.id.as_str());
        Row {
            name: name_of(&cells, &record.id),
            url: path(&["demo", "there", &record.id]),
            link: None,
            step: Some(twin.and_then(|row| row.step).unwrap_or(NEW)),
            twin: twin.map(|row| row.id.clone()),
            id: record.id,
            cells,
        }
    });
    Ok(Pane {
        side: "there",
        title: beside.title(),
        subtitle: "as its own dashboard shows it".into(),
        rows: rows.collect(),
        columns: beside
            .columns()
            .into_iter()
            .map(|c| Column { name: c.name, label: c.label, required: false })
            .collect(),
    })
}

fn name_of(cells: &[Cell], id: &str) -> String {
    cells
        .first()
        .map(|cell| cell.value.clone())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| id.to_owned())
}

fn refused(error: BesideError) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", error.0)
}

async fn create_here(visit: Visit, Extension(form): Extension<Fields>) -> Response {
    let done = write_here(&visit, None, &form).await;
    finish(visit, done).await
}

async fn update_here(visit: Visit, Path(id): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let done = write_here(&visit, Some(LocalId(id)), &form).await;
    finish(visit, done).await
}

async fn write_here(visit: &Visit, id: Option<LocalId>, form: &Fields) -> Result<(), Problem> {
    let beside = beside(visit)?;
    let catalog = beside.catalog();
    let records = &visit.app.records;
    // The form speaks of columns; the catalog calls its fields otherwise.
    let columns = beside.columns();
    let named = form.0.iter().filter_map(|(key, value)| {
        let (prefix, name) = key.split_once('.')?;
        let column = columns.iter().find(|column| column.name == name)?;
        Some((format!("{prefix}.{}", column.local), value.clone()))
    });
    let named = Fields(named.collect());
    let changed = fields::changes(records.catalog(&catalog)?, &named)
        .map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why))?;
    match id {
        None => records.create(&catalog, &changed).await.map(|_| ()),
        Some(_) if changed.is_empty() => Ok(()),
        Some(id) => records.update(&catalog, &id, &changed).await.map(|_| ()),
    }
    .map_err(Problem::of_edit)
}

async fn delete_here(visit: Visit, Path(id): Path<String>) -> Response {
    let done = match beside(&visit) {
        Ok(beside) => {
            visit.app.records.delete(&beside.catalog(), &LocalId(id)).await.map_err(Problem::of_edit)
        }
        Err(problem) => Err(problem),
    };
    finish(visit, done).await
}

/// Columns of a form whose value differs from the one it showed.
fn edited(beside: &dyn Beside, form: &Fields) -> BTreeMap<String, String> {
    let sent = |prefix: &str, name: &str| {
        let found = form.0.iter().find(|(key, _)| key.strip_prefix(prefix) == Some(name))?;
        Some(found.1.clone())
    };
    let columns = beside.columns().into_iter();
    columns
        .filter_map(|column| {
            let now = sent("field.", &column.name)?;
            let was = sent("was.", &column.name).unwrap_or_default();
            (now != was).then_some((column.name, now))
        })
        .collect()
}

async fn create_there(visit: Visit, Extension(form): Extension<Fields>) -> Response {
    let done = match beside(&visit) {
        Ok(beside) => beside.create(edited(&*beside, &form)).await.map(|_| ()).map_err(refused),
        Err(problem) => Err(problem),
    };
    finish(visit, done).await
}

async fn update_there(visit: Visit, Path(id): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let done = match beside(&visit) {
        Ok(beside) => match edited(&*beside, &form) {
            edited if edited.is_empty() => Ok(()),
            edited => beside.update(&id, edited).await.map_err(refused),
        },
        Err(problem) => Err(problem),
    };
    finish(visit, done).await
}

async fn delete_there(visit: Visit, Path(id): Path<String>) -> Response {
    let done = match beside(&visit) {
        Ok(beside) => beside.delete(&id).await.map_err(refused),
        Err(problem) => Err(problem),
    };
    finish(visit, done).await
}

async fn pause(visit: Visit) -> Response {
    let done = match beside(&visit) {
        Ok(beside) => pause_mapping(&visit, &beside.mapping()).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    finish(visit, done).await
}

async fn resume(visit: Visit) -> Response {
    let done = match beside(&visit) {
        Ok(beside) => resume_mapping(&visit, &beside.mapping()).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    finish(visit, done).await
}

/// Back to the page; a refusal is shown above what is there now.
async fn finish(visit: Visit, done: Result<(), Problem>) -> Response {
    let page = match done {
        Ok(()) => Ok(Redirect::to("/demo").into_response()),
        Err(problem) if problem.status.is_server_error() => Err(problem),
        Err(problem) => demo_page(&visit, Some(problem)).await,
    };
    visit.show(page).await
}
