//! The web page: rendered here, escaped by the templates, working as plain forms; one script makes it follow changes. The script fetches
//! the page it is on again and takes over what differs, so there is one way to show a thing and nothing else to keep true.

mod assets;
mod brakes;
mod conflicts;
mod deeds;
mod demo;
mod entry;
mod fields;
mod login;
mod panes;
mod past;
mod places;
mod plan;
mod record;
mod records;
mod shell;
mod status;
mod undo;
mod waiting;

use crate::access::{Access, Caller};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use askama::Template;
use axum::extract::{FromRequestParts, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use bothways_engine::stored::TokenScope;
use shell::Shell;

const READ: Access = Access::Page(TokenScope::Read);
const OPERATE: Access = Access::Page(TokenScope::Operate);
const APPROVE: Access = Access::Page(TokenScope::Approve);

/// All routes of the page.
pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = routes.add(Endpoint::new(Method::GET, "/", READ, "The page"), start);
    let routes = records::routes(routes);
    let routes = record::routes(routes);
    let routes = waiting::routes(routes);
    let routes = conflicts::routes(routes);
    let routes = past::routes(routes);
    let routes = deeds::routes(routes);
    let routes = status::routes(routes);
    let routes = brakes::routes(routes);
    let routes = plan::routes(routes);
    let routes = undo::routes(routes);
    let routes = demo::routes(routes);
    let routes = login::routes(routes);
    assets::routes(routes)
}

async fn start(State(app): State<App>) -> Redirect {
    Redirect::to(if app.beside.is_some() { "/demo" } else { "/records" })
}

/// Renders a page.
fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page could not be rendered");
            Problem::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "page",
                "the page could not be rendered",
            )
            .into_response()
        }
    }
}

/// Renders a page with another status: for refusals, so that programs notice.
fn render_as(status: axum::http::StatusCode, page: &impl Template) -> Response {
    let mut response = render(page);
    *response.status_mut() = status;
    response
}

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure {
    shell: Shell,
    title: String,
    detail: String,
}

/// A problem as a page.
pub(crate) async fn failure(app: &App, caller: Option<&Caller>, problem: &Problem) -> Response {
    let title = problem.status.canonical_reason().unwrap_or("Error").to_owned();
    let shell = match caller {
        Some(caller) => Shell::of(app, caller, &title, "").await.still(),
        None => Shell::stranger(&title),
    };
    render_as(problem.status, &Failure { shell, title, detail: problem.detail.clone() })
}

/// One request to the page: whom it is for, and how its problems are shown.
struct Visit {
    app: App,
    caller: Caller,
}

impl Visit {
    /// The layout around a page.
    async fn shell(&self, title: &str, active: &'static str) -> Shell {
        Shell::of(&self.app, &self.caller, title, active).await
    }

    /// The page, or its problem as a page.
    async fn show(&self, page: Result<Response, Problem>) -> Response {
        match page {
            Ok(response) => response,
            Err(problem) => failure(&self.app, Some(&self.caller), &problem).await,
        }
    }
}

impl FromRequestParts<App> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::unauthorized)?;
        Ok(Self { app: app.clone(), caller })
    }
}

/// A path below the page, each part percent-encoded.
fn path(parts: &[&str]) -> String {
    let encoded = |part: &&str| {
        url::form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20")
    };
    parts.iter().fold(String::new(), |path, part| path + "/" + &encoded(part))
}
