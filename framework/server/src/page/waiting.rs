//! What waits for a person, and deciding it. What moved since it was shown is not decided but shown again (rule 11).

use super::entry::plain;
use super::fields::typed;
use super::{OPERATE, READ, Shell, Visit, path, render_as};
use crate::access::Fields;
use crate::api::Path;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::stored::DeleteChoice;
use bothways_engine::{EngineError, Item, KeepText, Resolution};
use bothways_model::LocalId;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Items shown at once, oldest first.
const SHOWN: usize = 100;

pub(super) fn routes(routes: Routes) -> Routes {
    let get = |path, summary| Endpoint::new(Method::GET, path, READ, summary);
    let post = |path, summary| Endpoint::new(Method::POST, path, OPERATE, summary);
    routes
        .add(get("/waiting", "What waits for a person"), list)
        .add(get("/waiting/{id}", "One item"), show)
        .add(post("/waiting/{id}/resolve", "Decides an item"), resolve)
        .add(post("/waiting/{id}/replay", "Takes parked work up again"), replay)
        .add(post("/waiting/{id}/dismiss", "Drops parked work"), dismiss)
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct WaitingPage {
    shell: Shell,
    only: Option<String>,
    refusal: Option<String>,
    many: Vec<Many>,
    items: Vec<Shown>,
}

/// A mapping with several records in conflict, which can be decided at once.
struct Many {
    mapping: String,
    records: u64,
    url: String,
}

struct Shown {
    id: String,
    reason: String,
    tone: &'static str,
    mapping: String,
    connection: String,
    subject: String,
    url: Option<String>,
    remote_id: Option<String>,
    message: String,
    since: String,
    fields: Vec<ShownField>,
    /// For a delete: whether it is the row that is gone, not the record.
    gone_here: bool,
    digest: String,
}

struct ShownField {
    label: String,
    base: String,
    local: String,
    remote: String,
    chosen: bool,
}

async fn list(visit: Visit) -> Response {
    let page = waiting_page(&visit, None, None).await;
    visit.show(page).await
}

async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = waiting_page(&visit, Some(id), None).await;
    visit.show(page).await
}

async fn waiting_page(
    visit: &Visit,
    only: Option<String>,
    refusal: Option<Problem>,
) -> Result<Response, Problem> {
    let operations = &visit.app.operations;
    let items = match &only {
        Some(id) => match operations.item(id).await {
            // A link's item stays addressable after its conflicts are over.
            Ok(item) if item.reason == "conflict" && item.fields.is_empty() => Vec::new(),
            Ok(item) => vec![item],
            Err(EngineError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        },
        None => operations.parked(None, None, SHOWN).await?,
    };
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let several = only.is_none() && items.iter().filter(|item| item.reason == "conflict").count() > 1;
    let many = if several { many(visit).await? } else { Vec::new() };
    let mut listed = Vec::new();
    for item in items {
        listed.push(shown(visit, item).await);
    }
    let page = WaitingPage {
        shell: visit.shell("Waiting", "waiting").await,
        only,
        refusal: refusal.map(|problem| problem.detail),
        many,
        items: listed,
    };
    Ok(render_as(status, &page))
}

async fn many(visit: &Visit) -> Result<Vec<Many>, Problem> {
    let mappings = visit.app.operations.status().await?.into_iter();
    let several = mappings.filter(|status| status.counts.conflicts > 1);
    let many = several.map(|status| Many {
        url: path(&["conflicts", &status.mapping]),
        records: status.counts.conflicts,
        mapping: status.mapping,
    });
    Ok(many.collect())
}

async fn shown(visit: &Visit, item: Item) -> Shown {
    let pair = visit.app.operations.pair(Some(&item.mapping)).ok();
    let catalog = pair.as_ref().map(|p| p.mapping.catalog.name.clone());
    let subject = match (&item.local_id, &catalog) {
        (Some(id), Some(catalog)) => format!("{catalog} {id}"),
        (Some(id), None) => id.clone(),
        (None, _) => String::new(),
    };
    let value = |value: &Option<Json>| value.as_ref().map_or_else(|| "(not known)".to_owned(), plain);
    let row = match (&item.local_id, &catalog) {
        (Some(id), Some(catalog)) if item.reason == "delete" => {
            visit.app.records.get(catalog, &LocalId::from(id.as_str())).await.ok()
        }
        _ => None,
    };
    Shown {
        gone_here: row.is_none_or(|row| row.deleted_at.is_some()),
        url: item.local_id.as_ref().zip(catalog.as_ref()).map(|(id, c)| path(&["records", c, id])),
        connection: pair.map_or_else(|| "the other side".into(), |p| p.connection.0.clone()),
        tone: if matches!(item.reason.as_str(), "delete" | "create") { "wait" } else { "bad" },
        fields: item
            .fields
            .iter()
            .map(|(label, c)| ShownField {
                label: label.clone(),
                base: value(&c.base),
                local: value(&c.local),
                remote: value(&c.remote),
                chosen: c.chosen,
            })
            .collect(),
        subject,
        id: item.id,
        reason: item.reason,
        mapping: item.mapping,
        remote_id: item.remote_id,
        message: item.message,
        since: item.since,
        digest: item.digest,
    }
}

async fn resolve(visit: Visit, Path(id): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let decided = decide(&visit, &id, &form).await;
    finish(visit, id, decided).await
}

async fn decide(visit: &Visit, id: &str, form: &Fields) -> Result<(), Problem> {
    let item = visit.app.operations.item(id).await?;
    let resolution = resolution(visit, &item, form)?;
    let digest = value_of(form, "digest").ok_or_else(|| {
        let why = "this form does not say what it showed; reload the page and decide again";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_digest", why)
    })?;
    visit.app.operations.resolve(id, &resolution, Some(digest), &visit.caller.name).await?;
    Ok(())
}

fn value_of<'a>(form: &'a Fields, name: &str) -> Option<&'a str> {
    form.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn side(word: &str) -> Option<KeepText> {
    match word {
        "local" => Some(KeepText::Local),
        "remote" => Some(KeepText::Remote),
        _ => None,
    }
}

/// What a form decides: a button for all fields or about a delete, else a choice for each field that has one.
fn resolution(visit: &Visit, item: &Item, form: &Fields) -> Result<Resolution, Problem> {
    if let Some(keep) = value_of(form, "keep").and_then(side) {
        return Ok(Resolution::Fields([(String::new(), keep)].into()));
    }
    match value_of(form, "delete") {
        Some("carry") => return Ok(Resolution::Delete(DeleteChoice::Carry)),
        Some("keep") => return Ok(Resolution::Delete(DeleteChoice::Keep)),
        Some("recreate") => return Ok(Resolution::Delete(DeleteChoice::Recreate)),
        _ => {}
    }
    let mut choices = BTreeMap::new();
    for label in item.fields.keys() {
        let Some(word) = value_of(form, &format!("choice.{label}")) else { continue };
        let keep = match side(word) {
            Some(keep) => keep,
            None => KeepText::Value(entered(visit, item, label, form)?),
        };
        choices.insert(label.clone(), keep);
    }
    if choices.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_choice", "choose a value first"));
    }
    Ok(Resolution::Fields(choices))
}

/// The value a person entered for a field, as plain JSON of its catalog field's type.
fn entered(visit: &Visit, item: &Item, label: &str, form: &Fields) -> Result<Json, Problem> {
    let text = value_of(form, &format!("value.{label}")).unwrap_or_default().to_owned();
    let pair = visit.app.operations.pair(Some(&item.mapping))?;
    let catalog = &pair.mapping.catalog;
    match catalog.field(label) {
        Some(field) => {
            typed(field, text).map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why))
        }
        None if text.is_empty() => Ok(Json::Null),
        None => Ok(Json::String(text)),
    }
}

async fn replay(visit: Visit, Path(id): Path<String>) -> Response {
    let done = visit.app.operations.replay(&id, &visit.caller.name).await;
    finish(visit, id, done.map_err(Problem::from)).await
}

async fn dismiss(visit: Visit, Path(id): Path<String>) -> Response {
    let done = visit.app.operations.dismiss(&id, &visit.caller.name).await;
    finish(visit, id, done.map_err(Problem::from)).await
}

/// Back to the list; a refusal shows the item as it is now, with the reason above.
async fn finish(visit: Visit, id: String, done: Result<(), Problem>) -> Response {
    let page = match done {
        Ok(()) => Ok(Redirect::to("/waiting").into_response()),
        Err(problem) if problem.status.is_server_error() => Err(problem),
        Err(problem) if problem.status == StatusCode::NOT_FOUND => {
            let over = "this is not waiting any more: somebody decided it, or it came right by itself";
            waiting_page(&visit, None, Some(Problem::new(StatusCode::CONFLICT, "over", over))).await
        }
        Err(problem) => waiting_page(&visit, Some(id), Some(problem)).await,
    };
    visit.show(page).await
}
