//! What a mapping would do, before anybody lets it: the sums, the items, and the two ways to consent. Both name the digest of what
//! was shown and are refused when something else would happen by now (rule 62).

use super::{APPROVE, READ, Shell, Visit, path, render_as};
use crate::access::Fields;
use crate::api::{Path, apply_plan_of, totals_in_words};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::Extension;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::{PlanAccount, PlanItem, PlanSink, PlanTotals, show_value};
use std::time::Duration;

/// Items shown; all are counted.
const SHOWN: usize = 200;
/// How long the page waits for a plan. The command line waits as long as it takes.
const PATIENCE: Duration = Duration::from_secs(25);

pub(super) fn routes(routes: Routes) -> Routes {
    let post = |path, summary| Endpoint::new(Method::POST, path, APPROVE, summary);
    routes
        .add(Endpoint::new(Method::GET, "/status/{mapping}/plan", READ, "What a mapping would do"), show)
        .add(post("/status/{mapping}/approve", "Approves what a mapping would do, as it was shown"), approve)
        .add(post("/status/{mapping}/apply", "Does once exactly what was shown"), apply)
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    shell: Shell,
    mapping: String,
    url: String,
    refusal: Option<String>,
    held: Vec<String>,
    observing: bool,
    plan: Option<Shown>,
}

struct Shown {
    digest: String,
    numbers: Vec<(u64, &'static str)>,
    in_step: u64,
    account: String,
    items: Vec<Item>,
    more: u64,
}

struct Item {
    action: &'static str,
    local: Option<String>,
    remote: Option<String>,
    why: String,
    fields: Vec<Field>,
}

struct Field {
    label: String,
    local: String,
    remote: String,
    why: String,
}

/// Takes a plan in, keeping the first items.
#[derive(Default)]
struct First {
    account: String,
    items: Vec<Item>,
    more: u64,
}

impl PlanSink for First {
    fn begin(&mut self, account: &PlanAccount) {
        let id = account.id.as_ref().map_or("unknown", |id| id.as_str());
        self.account = format!("{} account {id}", account.mode.as_str());
    }

    fn item(&mut self, item: PlanItem) {
        if self.items.len() >= SHOWN {
            self.more += 1;
            return;
        }
        let fields = item.fields.into_iter().map(|verdict| Field {
            local: show_value(verdict.local.as_ref()),
            remote: show_value(verdict.remote.as_ref()),
            label: verdict.label,
            why: verdict.why,
        });
        self.items.push(Item {
            action: item.action.as_str(),
            local: item.local,
            remote: item.remote,
            why: item.why,
            fields: fields.collect(),
        });
    }
}

async fn show(visit: Visit, Path(mapping): Path<String>) -> Response {
    let page = plan_page(&visit, &mapping, None).await;
    visit.show(page).await
}

async fn plan_page(visit: &Visit, mapping: &str, refusal: Option<Problem>) -> Result<Response, Problem> {
    let operations = &visit.app.operations;
    let pair = operations.pair(Some(mapping))?;
    let mut status = refusal.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    let mut first = First::default();
    let (plan, refusal) =
        match tokio::time::timeout(PATIENCE, operations.plan(Some(mapping), &mut first)).await {
            Ok(Ok(totals)) => (Some(shown(totals, first)), refusal.map(|problem| problem.detail)),
            Ok(Err(error)) => {
                let problem = Problem::from(error);
                status = problem.status;
                (None, Some(problem.detail))
            }
            Err(_) => (None, Some(too_long(mapping))),
        };
    let page = PlanPage {
        shell: visit.shell(&format!("Plan of {mapping}"), "status").await.still(),
        mapping: mapping.to_owned(),
        url: path(&["status", mapping]),
        refusal,
        held: pair.held().map(|change| change.differs.clone()).unwrap_or_default(),
        observing: !pair.is_approved() || pair.held().is_some(),
        plan,
    };
    Ok(render_as(status, &page))
}

fn too_long(mapping: &str) -> String {
    format!(
        "there is too much to compare while a page waits: `bothways plan {mapping}` shows it, and \
         `bothways approve {mapping} --digest DIGEST` approves it"
    )
}

fn shown(totals: PlanTotals, first: First) -> Shown {
    Shown {
        numbers: totals_in_words(&totals),
        in_step: totals.in_step,
        digest: totals.digest,
        account: first.account,
        items: first.items,
        more: first.more,
    }
}

fn digest_of(form: &Fields) -> Option<String> {
    form.0.iter().find(|(name, _)| name == "digest").map(|(_, value)| value.clone())
}

async fn approve(visit: Visit, Path(mapping): Path<String>, Extension(form): Extension<Fields>) -> Response {
    // Without a digest nobody has seen anything: the plan is shown first.
    let Some(digest) = digest_of(&form) else {
        return Redirect::to(&format!("{}/plan", path(&["status", &mapping]))).into_response();
    };
    let consent = visit.app.operations.approve_plan(Some(&mapping), &digest, &visit.caller.name);
    let done = match tokio::time::timeout(PATIENCE, consent).await {
        Ok(done) => done.map_err(Problem::from),
        Err(_) => Err(Problem::new(StatusCode::CONFLICT, "timeout", too_long(&mapping))),
    };
    finish(visit, &mapping, done, "/status".into()).await
}

async fn apply(visit: Visit, Path(mapping): Path<String>, Extension(form): Extension<Fields>) -> Response {
    let Some(digest) = digest_of(&form) else {
        return Redirect::to(&format!("{}/plan", path(&["status", &mapping]))).into_response();
    };
    let done = apply_plan_of(&visit.app, &mapping, &digest, &visit.caller.name, PATIENCE).await;
    let (done, to) = match done {
        Ok(id) => (Ok(()), format!("/history?pass={id}")),
        Err(problem) => (Err(problem), String::new()),
    };
    finish(visit, &mapping, done, to).await
}

async fn finish(visit: Visit, mapping: &str, done: Result<(), Problem>, to: String) -> Response {
    let page = match done {
        Ok(()) => Ok(Redirect::to(&to).into_response()),
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            plan_page(&visit, mapping, Some(problem)).await
        }
        Err(problem) => Err(problem),
    };
    visit.show(page).await
}
