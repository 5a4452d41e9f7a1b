//! The history of everything.

use super::entry::Line;
use super::{READ, Shell, Visit, render};
use crate::api::{HistoryQuery, Query, page_of};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::http::Method;
use axum::response::Response;
use bothways_engine::stored::HistoryOp;

pub(super) fn routes(routes: Routes) -> Routes {
    let endpoint = Endpoint::new(Method::GET, "/history", READ, "What was written").query::<HistoryQuery>();
    routes.add(endpoint, list)
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    shell: Shell,
    mappings: Vec<String>,
    ops: Vec<String>,
    mapping: String,
    op: String,
    local_id: String,
    pass: Option<String>,
    filtered: bool,
    entries: Vec<Line>,
    next_url: Option<String>,
}

async fn list(visit: Visit, Query(query): Query<HistoryQuery>) -> Response {
    let page = history_page(&visit, query).await;
    visit.show(page).await
}

async fn history_page(visit: &Visit, query: HistoryQuery) -> Result<Response, Problem> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (mapping, op, local_id) = (text(&query.mapping), text(&query.op), text(&query.local_id));
    let pass = query.pass.clone().filter(|pass| !pass.is_empty());
    let page = page_of(&visit.app, query).await?;
    let older = |before: i64| {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("mapping", &mapping), ("op", &op), ("local_id", &local_id)] {
            if !value.is_empty() {
                pairs.append_pair(name, value);
            }
        }
        if let Some(pass) = &pass {
            pairs.append_pair("pass", pass);
        }
        pairs.append_pair("before", &before.to_string());
        format!("/history?{}", pairs.finish())
    };
    Ok(render(&HistoryPage {
        shell: visit.shell("History", "history").await,
        mappings: visit.app.operations.engine().pairs().map(|p| p.mapping.name.clone()).collect(),
        ops: HistoryOp::ALL.iter().map(|op| op.as_str().to_owned()).collect(),
        filtered: pass.is_some() || !(mapping.is_empty() && op.is_empty() && local_id.is_empty()),
        next_url: page.next.map(older),
        entries: page.entries.into_iter().map(Line::from).collect(),
        mapping,
        op,
        local_id,
        pass,
    }))
}
