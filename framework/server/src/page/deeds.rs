//! What people did.

use super::{READ, Shell, Visit, render};
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::http::Method;
use axum::response::Response;
use bothways_engine::stored::AuditEntry;

/// Entries shown.
const SHOWN: usize = 200;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Endpoint::new(Method::GET, "/audit", READ, "What people did"), list)
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    deeds: Vec<Deed>,
}

struct Deed {
    at: String,
    by: String,
    action: String,
    detail: String,
}

impl From<AuditEntry> for Deed {
    fn from(entry: AuditEntry) -> Self {
        let detail = entry.detail.to_string();
        Self { at: entry.at.to_rfc3339(), by: entry.by, action: entry.action, detail }
    }
}

async fn list(visit: Visit) -> Response {
    let page = audit_page(&visit).await;
    visit.show(page).await
}

async fn audit_page(visit: &Visit) -> Result<Response, Problem> {
    let entries = visit.app.operations.audits(SHOWN).await?;
    let deeds = entries.into_iter().map(Deed::from).collect();
    Ok(render(&AuditPage { shell: visit.shell("What people did", "history").await, deeds }))
}
