//! Putting back what sync wrote: shown first, then done (rule 65).

use super::entry::plain;
use super::{OPERATE, READ, Shell, Visit, render_as};
use crate::access::Fields;
use crate::api::{Query, RevertBody, RevertItemBody, reverted};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) fn routes(routes: Routes) -> Routes {
    let get = Endpoint::new(Method::GET, "/revert", READ, "What would be put back").query::<What>();
    let post = Endpoint::new(Method::POST, "/revert", OPERATE, "Puts back what sync wrote");
    routes.add(get, show).add(post, revert)
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
struct What {
    /// A pass.
    pass: Option<String>,
    /// A row or a record.
    record: Option<String>,
    /// Its mapping.
    mapping: Option<String>,
    /// One entry of its history.
    entry: Option<i64>,
}

#[derive(Template)]
#[template(path = "revert.html")]
struct RevertPage {
    shell: Shell,
    what: String,
    done: bool,
    refusal: Option<String>,
    pass: Option<String>,
    record: Option<String>,
    mapping: Option<String>,
    entry: Option<i64>,
    reverted: u64,
    links: u64,
    lines: Vec<Line>,
    more: bool,
}

struct Line {
    tone: &'static str,
    outcome: &'static str,
    subject: String,
    field: String,
    now: String,
    before: String,
    why: String,
}

async fn show(visit: Visit, Query(what): Query<What>) -> Response {
    let page = revert_page(&visit, what, true).await;
    visit.show(page).await
}

async fn revert(visit: Visit, Extension(form): Extension<Fields>) -> Response {
    let value = |name: &str| {
        form.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, v)| v.clone())
    };
    let what = What {
        pass: value("pass"),
        record: value("record"),
        mapping: value("mapping"),
        entry: value("entry").and_then(|number| number.parse().ok()),
    };
    let page = revert_page(&visit, what, false).await;
    visit.show(page).await
}

async fn revert_page(visit: &Visit, what: What, dry_run: bool) -> Result<Response, Problem> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let body = RevertBody {
        pass: given(&what.pass),
        record: given(&what.record),
        mapping: given(&what.mapping),
        entry: what.entry,
        dry_run,
    };
    let name = match (&body.pass, &body.record) {
        (Some(pass), _) => format!("pass {pass}"),
        (None, Some(record)) => format!("record {record}"),
        (None, None) => return Err(Problem::not_found("pass or record without a name")),
    };
    let done = reverted(&visit.app, body, &visit.caller.name).await;
    let (answer, refusal) = match done {
        Ok(answer) => (Some(answer), None),
        Err(problem) if problem.status.is_client_error() => (None, Some(problem)),
        Err(problem) => return Err(problem),
    };
    let status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let page = RevertPage {
        shell: visit.shell("Put back", "history").await.still(),
        what: name,
        done: !dry_run,
        refusal: refusal.map(|problem| problem.detail),
        pass: what.pass,
        record: what.record,
        mapping: what.mapping,
        entry: what.entry,
        reverted: answer.as_ref().map_or(0, |answer| answer.totals.reverted),
        links: answer.as_ref().map_or(0, |answer| answer.totals.links),
        more: answer.as_ref().is_some_and(|answer| answer.more),
        lines: answer
            .map(|answer| answer.items.into_iter().flat_map(|item| lines(item, dry_run)).collect())
            .unwrap_or_default(),
    };
    Ok(render_as(status, &page))
}

fn lines(item: RevertItemBody, dry_run: bool) -> Vec<Line> {
    let subject = match (&item.local_id, &item.remote_id) {
        (Some(local), Some(remote)) => format!("{local} / {remote}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    };
    let (tone, outcome) = said(item.outcome, dry_run);
    let whole = Line {
        tone,
        outcome,
        subject: subject.clone(),
        field: "the row".into(),
        now: String::new(),
        before: String::new(),
        why: item.why,
    };
    if item.fields.is_empty() {
        return vec![whole];
    }
    let of_field = |field: crate::api::RevertFieldBody| {
        let (tone, outcome) = said(field.outcome, dry_run);
        Line {
            tone,
            outcome,
            subject: subject.clone(),
            field: field.field,
            now: field.now.as_ref().map(plain).unwrap_or_default(),
            before: field.before.as_ref().map(plain).unwrap_or_default(),
            why: field.why,
        }
    };
    item.fields.into_iter().map(of_field).collect()
}

fn said(outcome: &str, dry_run: bool) -> (&'static str, &'static str) {
    match (outcome, dry_run) {
        ("reverted", true) => ("ok", "to put back"),
        ("reverted", false) => ("ok", "put back"),
        ("already", _) => ("", "as before"),
        ("differs", _) => ("wait", "changed since: stays"),
        _ => ("bad", "refused"),
    }
}
