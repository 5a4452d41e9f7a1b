//! The conflicts of a mapping, counted, and one decision about exactly those that are shown (rule 18).

use super::{OPERATE, READ, Shell, Visit, path, render_as};
use crate::access::Fields;
use crate::api::{Path, Query, WantedSet, resolve_all};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::stored::Side;
use bothways_engine::{ConflictSet, DecidedSet};
use serde::Deserialize;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Endpoint::new(Method::GET, "/conflicts/{mapping}", READ, "The conflicts of a mapping"), show)
        .add(
            Endpoint::new(
                Method::POST,
                "/conflicts/{mapping}/resolve",
                OPERATE,
                "Decides the conflicts of a mapping at once",
            ),
            resolve,
        )
}

#[derive(Template)]
#[template(path = "conflicts.html")]
struct ConflictsPage {
    shell: Shell,
    refusal: Option<String>,
    /// Of how many records the decision came too late, after one that was carried out for others.
    left_out: Option<DecidedSet>,
    set: ConflictSet,
    connection: String,
    field: Option<String>,
    /// Where all fields are shown.
    all: String,
    fields: Vec<Field>,
}

struct Field {
    label: String,
    records: u64,
    url: String,
}

#[derive(Deserialize)]
struct Only {
    field: Option<String>,
}

async fn show(visit: Visit, Path(mapping): Path<String>, Query(only): Query<Only>) -> Response {
    let page = conflicts_page(&visit, &mapping, only.field, None, None).await;
    visit.show(page).await
}

async fn conflicts_page(
    visit: &Visit,
    mapping: &str,
    field: Option<String>,
    refusal: Option<Problem>,
    left_out: Option<DecidedSet>,
) -> Result<Response, Problem> {
    let operations = &visit.app.operations;
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let set = operations.conflicts(Some(mapping), field.as_deref()).await?;
    let all = path(&["conflicts", &set.mapping]);
    let fields = set.fields.iter().map(|(label, records)| {
        let query: String = url::form_urlencoded::byte_serialize(label.as_bytes()).collect();
        Field { label: label.clone(), records: *records, url: format!("{all}?field={query}") }
    });
    let page = ConflictsPage {
        shell: visit.shell("Conflicts", "waiting").await,
        refusal: refusal.map(|problem| problem.detail),
        left_out,
        connection: operations.pair(Some(mapping))?.connection.0.clone(),
        fields: fields.collect(),
        set,
        field,
        all,
    };
    Ok(render_as(status, &page))
}

async fn resolve(visit: Visit, Path(mapping): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let value = |name: &str| form.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let field = value("field").filter(|field| !field.is_empty()).map(str::to_owned);
    let digest = value("digest").unwrap_or_default().to_owned();
    let done = match value("keep").and_then(Side::parse) {
        Some(keep) => {
            let set = WantedSet { mapping: mapping.clone(), field: field.clone(), digest };
            resolve_all(&visit.app, set, keep, visit.caller.name.clone()).await
        }
        None => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_choice", "choose whose values to keep"))
        }
    };
    let page = match done {
        Ok(DecidedSet { left_out: 0, .. }) => Ok(Redirect::to("/waiting").into_response()),
        Ok(done) => conflicts_page(&visit, &mapping, field, None, Some(done)).await,
        Err(problem) if problem.status.is_server_error() || problem.status == StatusCode::NOT_FOUND => {
            Err(problem)
        }
        Err(problem) => conflicts_page(&visit, &mapping, field, Some(problem), None).await,
    };
    visit.show(page).await
}
