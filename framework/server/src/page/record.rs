//! One record: its fields, where else it lives, what happened to it, and why.

use super::entry::Line;
use super::fields::{self, Input, Moved};
use super::places::Place;
use super::{OPERATE, READ, Shell, Visit, path, render, render_as};
use crate::access::Fields;
use crate::api::{HistoryQuery, Path, explanations, page_of};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::{EngineError, ExplainedEvent, Explanation, show_value};
use bothways_model::{Catalog, FieldType, LocalId, LocalRow};
use std::collections::BTreeSet;

pub(super) fn routes(routes: Routes) -> Routes {
    let one = "/records/{catalog}/{id}";
    routes
        .add(Endpoint::new(Method::GET, one, READ, "One record"), read)
        .add(Endpoint::new(Method::POST, one, OPERATE, "Changes a record"), update)
        .add(
            Endpoint::new(Method::POST, "/records/{catalog}/{id}/delete", OPERATE, "Deletes a record"),
            delete,
        )
        .add(
            Endpoint::new(Method::GET, "/records/{catalog}/{id}/explain", READ, "Why a record is as it is"),
            explain,
        )
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    shell: Shell,
    catalog: String,
    id: String,
    url: String,
    refusal: Option<String>,
    /// What people call it: its first text.
    name: Option<String>,
    gone: bool,
    form: Vec<Input>,
    places: Vec<Place>,
    history: Vec<Line>,
}

async fn read(visit: Visit, Path((catalog, id)): Path<(String, String)>) -> Response {
    let page = record_page(&visit, &catalog, &LocalId(id), &Fields::default(), None).await;
    visit.show(page).await
}

/// The page of a record. One that is gone is still shown while something is known of it.
async fn record_page(
    visit: &Visit,
    catalog: &str,
    id: &LocalId,
    typed: &Fields,
    refusal: Option<Problem>,
) -> Result<Response, Problem> {
    let records = &visit.app.records;
    let row = match records.get(catalog, id).await {
        Ok(row) => Some(row),
        Err(EngineError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let places = records.links(catalog, id).await?;
    let mut history = Vec::new();
    for link in &places {
        let query =
            HistoryQuery { link: Some(link.link.clone()), limit: Some(30), ..HistoryQuery::default() };
        history.extend(page_of(&visit.app, query).await?.entries);
    }
    history.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    if row.is_none() && places.is_empty() {
        return Err(Problem::not_found(format!("record `{id}` in catalog `{catalog}`")));
    }
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let told = status == StatusCode::CONFLICT;
    let checked = records.catalog(catalog)?;
    let form = fields::refill(fields::inputs(checked, row.as_ref()), typed, told);
    Ok(render_as(
        status,
        &RecordPage {
            shell: visit.shell(&format!("{catalog} {id}"), "records").await,
            catalog: catalog.to_owned(),
            id: id.0.clone(),
            url: path(&["records", catalog, id.as_str()]),
            refusal: refusal.map(|problem| problem.detail),
            name: row.as_ref().and_then(|row| name_of(checked, row)),
            gone: row.is_none(),
            form,
            places: places.into_iter().map(Place::from).collect(),
            history: history.into_iter().map(Line::from).collect(),
        },
    ))
}

/// The first text that a record holds beside its key.
fn name_of(catalog: &Catalog, row: &LocalRow) -> Option<String> {
    let texts = catalog.other_fields().filter(|f| f.ty == FieldType::Text);
    texts.filter_map(|f| row.fields.get(&f.name)).find(|value| !value.is_blank()).map(|value| value.to_text())
}

async fn update(
    visit: Visit,
    Path((catalog, id)): Path<(String, String)>,
    Extension(form): Extension<Fields>,
) -> Response {
    let page = update_page(&visit, &catalog, &LocalId(id), &form).await;
    visit.show(page).await
}

async fn update_page(visit: &Visit, catalog: &str, id: &LocalId, form: &Fields) -> Result<Response, Problem> {
    match save(visit, catalog, id, form).await {
        Ok(()) => Ok(Redirect::to(&path(&["records", catalog, id.as_str()])).into_response()),
        Err(problem) if matches!(problem.status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT) => {
            record_page(visit, catalog, id, form, Some(problem)).await
        }
        Err(problem) => Err(problem),
    }
}

/// Writes what a person changed of what they were shown. What somebody else changed meanwhile is not written over unseen.
pub(super) async fn save(visit: &Visit, catalog: &str, id: &LocalId, form: &Fields) -> Result<(), Problem> {
    let records = &visit.app.records;
    let mut changed = fields::changes(records.catalog(catalog)?, form)
        .map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why))?;
    if changed.is_empty() {
        return Ok(());
    }
    loop {
        let row = records.get(catalog, id).await?;
        let expected = fields::expected(form, &row, &mut changed).map_err(|moved| tell(&moved))?;
        if changed.is_empty() {
            return Ok(());
        }
        match records.update_if(catalog, id, &expected, &changed).await {
            // Just now: the row says how it is.
            Err(EngineError::Moved(_)) => {}
            done => return done.map(drop).map_err(Problem::of_edit),
        }
    }
}

/// Tells a person what the fields they changed hold by now.
fn tell(moved: &[Moved]) -> Problem {
    let now: Vec<String> =
        moved.iter().map(|field| format!("{} is now “{}”", field.name, field.now)).collect();
    let detail = format!(
        "Nothing was saved: meanwhile {}. Save again to replace it, or reload the page to leave it.",
        now.join(", ")
    );
    Problem::new(StatusCode::CONFLICT, "moved", detail)
}

async fn delete(visit: Visit, Path((catalog, id)): Path<(String, String)>) -> Response {
    let page = match visit.app.records.delete(&catalog, &LocalId(id)).await {
        Ok(()) => Ok(Redirect::to(&path(&["records", &catalog])).into_response()),
        Err(error) => Err(error.into()),
    };
    visit.show(page).await
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    shell: Shell,
    catalog: String,
    id: String,
    url: String,
    refusal: Option<String>,
    explanations: Vec<Explained>,
}

struct Explained {
    mapping: String,
    document: String,
    remote_id: Option<String>,
    remote: String,
    would: Option<String>,
    would_line: Option<String>,
    link: Option<String>,
    fields: Vec<ExplainedField>,
    intents: Vec<Intent>,
    events: Vec<ExplainedEvent>,
    decisions: Vec<Decision>,
}

/// One entry of the history with the lines that decided.
struct Decision {
    at: String,
    what: String,
    fields: String,
    why: String,
    rules: String,
    lines: String,
}

struct ExplainedField {
    label: String,
    local: String,
    remote: String,
    base: String,
    base_remote: String,
    action: String,
    why: String,
    rule: u16,
    line: String,
}

struct Intent {
    number: u32,
    kind: String,
    call: String,
    fields: String,
    state: &'static str,
    at: String,
    sent_at: String,
    outcome: Option<String>,
}

async fn explain(visit: Visit, Path((catalog, id)): Path<(String, String)>) -> Response {
    let page = explain_page(&visit, &catalog, &id).await;
    visit.show(page).await
}

async fn explain_page(visit: &Visit, catalog: &str, id: &str) -> Result<Response, Problem> {
    let (explanations, refusal) = match explanations(&visit.app, catalog, id).await {
        Ok(found) => (found, None),
        Err(problem) if problem.status == StatusCode::NOT_FOUND => (Vec::new(), Some(problem.detail)),
        Err(problem) => return Err(problem),
    };
    Ok(render(&ExplainPage {
        shell: visit.shell("Explain", "records").await.still(),
        catalog: catalog.to_owned(),
        id: id.to_owned(),
        url: path(&["records", catalog, id]),
        refusal,
        explanations: explanations.into_iter().map(Explained::from).collect(),
    }))
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let fields = explanation.fields.into_iter().map(|field| {
            let verdict = field.verdict;
            ExplainedField {
                local: show_value(verdict.local.as_ref()),
                remote: show_value(verdict.remote.as_ref()),
                base: show_value(verdict.base.local.as_ref()),
                base_remote: show_value(verdict.base.remote.as_ref()),
                action: word(&verdict.action),
                label: verdict.label,
                why: verdict.why,
                rule: verdict.rule,
                line: field.line,
            }
        });
        let intents = explanation.intents.into_iter().map(|intent| Intent {
            number: intent.number,
            kind: intent.kind,
            call: intent.call,
            fields: intent.fields.join(", "),
            at: intent.at,
            sent_at: intent.sent_at,
            outcome: intent.outcome.filter(|outcome| outcome != intent.state),
            state: intent.state,
        });
        let decisions = explanation.history.into_iter().map(|write| {
            let entry = write.row.entry;
            let lines: BTreeSet<String> = write.lines.into_values().collect();
            Decision {
                at: write.row.at.to_rfc3339(),
                what: format!("{} {}", entry.op.as_str(), entry.side.as_str()),
                fields: entry.fields.keys().cloned().collect::<Vec<_>>().join(", "),
                why: entry.cause,
                rules: entry.rules.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
                lines: lines.into_iter().collect::<Vec<_>>().join(", "),
            }
        });
        let link = explanation.link.map(|link| format!("{} {}", link.id, link.state.as_str()));
        Self {
            link,
            would_line: explanation.record_line,
            decisions: decisions.collect(),
            mapping: explanation.mapping,
            document: explanation.document,
            remote_id: explanation.remote_id,
            remote: explanation.remote,
            would: explanation.record.as_ref().map(sentence),
            fields: fields.collect(),
            intents: intents.collect(),
            events: explanation.events,
        }
    }
}

/// What would become of the records as wholes.
fn sentence(action: &impl serde::Serialize) -> String {
    match word(action).as_str() {
        "merge" => "Both are there, so each field is decided by itself:".into(),
        other => format!("A look now would: {other}."),
    }
}

/// The name of what would be done, for people.
fn word(action: &impl serde::Serialize) -> String {
    let name = crate::api::word(action);
    if name == "none" { "nothing".into() } else { name.replace('_', " ") }
}
