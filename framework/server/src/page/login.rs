//! Logging in: by the address printed at start, once, or with an API token.

use super::{Shell, assets, render, render_as};
use crate::access::{Access, authenticate, clear_cookie, cookie, peer, read_body, refuse, set_cookie};
use crate::api::Query;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use bothways_engine::stored::TokenScope;
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) fn routes(routes: Routes) -> Routes {
    let html = Answer::Other("text/html");
    let public =
        |method, path, summary| Endpoint::new(method, path, Access::Public, summary).sends(200, html);
    routes
        .add(
            public(Method::GET, "/login", "Asks for a token, or takes the one of the printed address")
                .query::<Invitation>(),
            ask,
        )
        .add(public(Method::POST, "/login", "Starts a session for whoever has an API token"), enter)
        .add(public(Method::POST, "/logout", "Ends a session"), leave)
}

#[derive(Deserialize, JsonSchema)]
struct Invitation {
    /// What the printed address holds. It works once.
    token: Option<String>,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    refusal: Option<String>,
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    icon: String,
}

impl LoginPage {
    fn new(refusal: Option<String>) -> Self {
        Self { shell: Shell::stranger("Log in"), refusal }
    }
}

async fn ask(State(app): State<App>, Query(invitation): Query<Invitation>, request: Request) -> Response {
    let Some(secret) = invitation.token else { return render(&LoginPage::new(None)) };
    let now = app.operations.now();
    if !app.sessions.accept(&secret, now) {
        return refused(refuse(&app, peer(&request)), "That address was used already or is too old.");
    }
    let (cookie, _) = app.sessions.start("page", TokenScope::Admin, None, now);
    // No redirect: the page that opens next is asked for by this one, so the strict cookie goes along wherever the link was clicked.
    welcome(&app, &cookie)
}

async fn enter(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let source = peer(&request);
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    let secret = url::form_urlencoded::parse(&body)
        .find_map(|(name, value)| (name == "token").then(|| value.trim().to_owned()))
        .unwrap_or_default();
    let Some(token) = authenticate(&app, &secret).await? else {
        return Ok(refused(refuse(&app, source), "That is no valid token."));
    };
    let now = app.operations.now();
    let (cookie, _) = app.sessions.start(&token.name, token.scope, Some(token.hash), now);
    Ok(welcome(&app, &cookie))
}

/// Needs no form token: all that a forged request could do is log somebody out, and the strict cookie prevents even that.
async fn leave(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(secret) = cookie(&app.settings, &headers) {
        app.sessions.end(secret);
    }
    let mut response = Redirect::to("/login").into_response();
    if let Some(gone) = clear_cookie(&app.settings) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

fn welcome(app: &App, cookie: &str) -> Response {
    let mut response = match (WelcomePage { icon: assets::url("icon.svg") }).render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => Redirect::to("/").into_response(),
    };
    if let Some(set) = set_cookie(&app.settings, cookie) {
        response.headers_mut().append(header::SET_COOKIE, set);
    }
    response
}

fn refused(problem: Problem, why: &str) -> Response {
    let why = if problem.retry_after.is_some() { &problem.detail } else { why };
    render_as(problem.status, &LoginPage::new(Some(why.to_owned())))
}
