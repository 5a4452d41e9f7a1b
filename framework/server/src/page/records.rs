//! The records of a catalog: list, search, add.

use super::fields::{self, Input};
use super::places::Place;
use super::{OPERATE, READ, Shell, Visit, path, render, render_as};
use crate::access::Fields;
use crate::api::{Path, Query};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_model::{Catalog, CatalogField, FieldType, LocalId, LocalRow, Value};
use schemars::JsonSchema;
use serde::Deserialize;

/// Records a page.
const PAGE: usize = 50;
/// Columns beside the key.
const COLUMNS: usize = 4;

pub(super) fn routes(routes: Routes) -> Routes {
    let get = |path, summary| Endpoint::new(Method::GET, path, READ, summary);
    routes
        .add(get("/records", "The first catalog's records"), first)
        .add(get("/records/{catalog}", "A page of records").query::<ListQuery>(), list)
        .add(get("/records/{catalog}/new", "A form for a new record"), blank)
        .add(Endpoint::new(Method::POST, "/records/{catalog}", OPERATE, "Adds a record"), create)
}

#[derive(Default, Deserialize, JsonSchema)]
struct ListQuery {
    /// Only records with this text.
    #[serde(default)]
    q: String,
    /// Go on after this key.
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    shell: Shell,
    catalogs: Vec<String>,
    catalog: String,
    table: String,
    count: u64,
    q: String,
    columns: Vec<String>,
    rows: Vec<Row>,
    unreadable: Vec<Unreadable>,
    paged: bool,
    first_url: String,
    next_url: Option<String>,
}

struct Row {
    id: String,
    url: String,
    cells: Vec<Cell>,
    places: Vec<Place>,
}

struct Cell {
    text: String,
    is_null: bool,
}

struct Unreadable {
    id: String,
    message: String,
}

#[derive(Template)]
#[template(path = "nothing.html")]
struct NothingPage {
    shell: Shell,
}

async fn first(visit: Visit) -> Response {
    // In a demo, that of its own page.
    let shown = visit.app.beside.as_ref().and_then(|beside| Some(beside.kinds().first()?.catalog.clone()));
    let first = || visit.app.records.first_catalog().map(|catalog| catalog.name.clone());
    match shown.or_else(first) {
        Some(catalog) => Redirect::to(&path(&["records", &catalog])).into_response(),
        None => render(&NothingPage { shell: visit.shell("Records", "records").await }),
    }
}

async fn list(visit: Visit, Path(catalog): Path<String>, Query(query): Query<ListQuery>) -> Response {
    let page = list_page(&visit, &catalog, query).await;
    visit.show(page).await
}

async fn list_page(visit: &Visit, name: &str, query: ListQuery) -> Result<Response, Problem> {
    let records = &visit.app.records;
    let catalog = records.catalog(name)?.clone();
    let columns = std::iter::once(catalog.id_form());
    let columns = columns.chain(shown(&catalog).map(|field| field.name.clone())).collect();
    let after = query.after.clone().map(LocalId);
    let search = Some(query.q.as_str()).filter(|q| !q.is_empty());
    let page = records.list(name, search, after.as_ref(), PAGE).await?;
    let mut rows = Vec::new();
    for row in &page.rows {
        let places = records.links(name, &row.id).await?;
        rows.push(Row {
            id: row.id.0.clone(),
            url: path(&["records", name, row.id.as_str()]),
            cells: cells(&catalog, row),
            places: places.into_iter().map(Place::from).collect(),
        });
    }
    let here = |after: Option<&str>| {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        if !query.q.is_empty() {
            pairs.append_pair("q", &query.q);
        }
        if let Some(after) = after {
            pairs.append_pair("after", after);
        }
        format!("{}?{}", path(&["records", name]), pairs.finish())
    };
    Ok(render(&RecordsPage {
        shell: visit.shell(name, "records").await,
        catalogs: records.catalogs().map(|c| c.name.clone()).collect(),
        table: catalog.table.to_string(),
        count: records.count(name).await?,
        first_url: here(None),
        next_url: page.next.as_ref().map(|id| here(Some(id.as_str()))),
        paged: query.after.is_some(),
        q: query.q.clone(),
        columns,
        rows,
        unreadable: page
            .unreadable
            .into_iter()
            .map(|row| Unreadable { id: row.id.0, message: row.message })
            .collect(),
        catalog: name.to_owned(),
    }))
}

/// The first fields that fit a cell, after the key.
fn shown(catalog: &Catalog) -> impl Iterator<Item = &CatalogField> {
    let plain = |field: &&CatalogField| !matches!(field.ty, FieldType::Json | FieldType::List(_));
    catalog.other_fields().filter(plain).take(COLUMNS)
}

fn cells(catalog: &Catalog, row: &LocalRow) -> Vec<Cell> {
    let id = Cell { text: row.id.0.clone(), is_null: false };
    let others = shown(catalog).map(|field| {
        let value = row.fields.get(&field.name).unwrap_or(&Value::Null);
        Cell { text: value.to_text(), is_null: value.is_null() }
    });
    std::iter::once(id).chain(others).collect()
}

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage {
    shell: Shell,
    catalog: String,
    form: Vec<Input>,
    refusal: Option<String>,
}

async fn blank(visit: Visit, Path(name): Path<String>) -> Response {
    let page = new_page(&visit, &name, &Fields::default(), None).await;
    visit.show(page).await
}

async fn new_page(
    visit: &Visit,
    name: &str,
    typed: &Fields,
    refusal: Option<String>,
) -> Result<Response, Problem> {
    let catalog = visit.app.records.catalog(name)?;
    let status = if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let form = fields::refill(fields::inputs(catalog, None), typed, false);
    let shell = visit.shell("New record", "records").await;
    Ok(render_as(status, &NewPage { shell, catalog: name.to_owned(), form, refusal }))
}

async fn create(visit: Visit, Path(name): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let page = create_page(&visit, &name, &form).await;
    visit.show(page).await
}

async fn create_page(visit: &Visit, name: &str, form: &Fields) -> Result<Response, Problem> {
    let catalog = visit.app.records.catalog(name)?;
    let fields = match fields::given(catalog, form) {
        Ok(fields) => fields,
        Err(refusal) => return new_page(visit, name, form, Some(refusal)).await,
    };
    match visit.app.records.create(name, &fields).await.map_err(Problem::of_edit) {
        Ok(row) => Ok(Redirect::to(&path(&["records", name, row.id.as_str()])).into_response()),
        Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            new_page(visit, name, form, Some(problem.detail)).await
        }
        Err(problem) => Err(problem),
    }
}
