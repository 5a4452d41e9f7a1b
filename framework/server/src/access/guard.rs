//! Decides for each route who may use it.

use super::limits::read_body;
use super::names::is_safe;
use super::sessions::{Session, cookie, set_cookie};
use super::tokens::{Caller, authenticate, bearer, grant_of};
use crate::app::App;
use crate::page;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use bothways_engine::stored::TokenScope;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq;

/// What a route asks of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Public,
    /// A token of this scope, or a session; errors are problem details.
    Api(TokenScope),
    /// A session of this scope; errors are pages, and whoever has none is sent to the login.
    Page(TokenScope),
}

/// The fields of a form that passed the guard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

/// The middleware around every route.
pub(crate) async fn admit(
    State((app, access)): State<(App, Access)>,
    request: Request,
    next: Next,
) -> Response {
    let scope = match access {
        Access::Public => return next.run(request).await,
        Access::Api(scope) | Access::Page(scope) => scope,
    };
    let reading = is_safe(request.method());
    let admitted = identify(&app, access, request).await;
    let (problem, caller) = match admitted {
        Ok(Admitted { caller, mut request, cookie }) if caller.scope >= scope => {
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            if let Some(cookie) = cookie {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            return response;
        }
        Ok(Admitted { caller, .. }) => {
            let needed = scope.as_str();
            let detail = format!("this needs a token of scope `{needed}`");
            (Problem::new(StatusCode::FORBIDDEN, "scope", detail), Some(caller))
        }
        Err(problem) => (problem, None),
    };
    match access {
        Access::Page(_) if problem.status == StatusCode::UNAUTHORIZED && reading => {
            Redirect::to("/login").into_response()
        }
        Access::Page(_) => page::failure(&app, caller.as_ref(), &problem).await,
        _ => problem.into_response(),
    }
}

struct Admitted {
    caller: Caller,
    request: Request,
    /// A session that was just started.
    cookie: Option<HeaderValue>,
}

async fn identify(app: &App, access: Access, request: Request) -> Result<Admitted, Problem> {
    let source = peer(&request);
    let now = app.operations.now();
    if request.headers().contains_key(header::AUTHORIZATION) {
        let token = match bearer(request.headers()) {
            Some(secret) => authenticate(app, secret).await?,
            None => None,
        };
        let token = token.ok_or_else(|| refuse(app, source))?;
        let caller = Caller { name: token.name, scope: token.scope, csrf: None };
        return with_form(caller, request).await;
    }
    if let Some(session) = session(app, request.headers()).await? {
        let caller = Caller { name: session.name, scope: session.scope, csrf: Some(session.csrf) };
        return with_form(caller, request).await;
    }
    if app.settings.open && source.is_some_and(|ip| ip.is_loopback()) {
        if matches!(access, Access::Api(_)) {
            return with_form(Caller { name: "demo".into(), scope: TokenScope::Admin, csrf: None }, request)
                .await;
        }
        if !is_safe(request.method()) {
            return Err(stale_form());
        }
        let (secret, session) = app.sessions.start("demo", TokenScope::Admin, None, now);
        let caller = Caller { name: session.name, scope: session.scope, csrf: Some(session.csrf) };
        return Ok(Admitted { caller, request, cookie: set_cookie(&app.settings, &secret) });
    }
    Err(Problem::unauthorized())
}

/// The session of a request, if it has one and the token behind it still counts.
async fn session(app: &App, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
    let Some(secret) = cookie(&app.settings, headers) else { return Ok(None) };
    let Some(session) = app.sessions.find(secret, app.operations.now()) else { return Ok(None) };
    if let Some(hash) = &session.token
        && grant_of(app, hash).await?.is_none()
    {
        app.sessions.end(secret);
        return Ok(None);
    }
    Ok(Some(session))
}

/// Reads a form, if the request brings one, and demands the session's token of everything that changes something: in a header, or as
/// the form's field `csrf`. Whoever sends a bearer token is no browser and needs none.
async fn with_form(caller: Caller, request: Request) -> Result<Admitted, Problem> {
    if is_safe(request.method()) {
        return Ok(Admitted { caller, request, cookie: None });
    }
    let (mut parts, body) = request.into_parts();
    let is_form = parts.headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).is_some_and(|t| {
        t.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded"
    });
    let mut fields = Fields::default();
    let body = if is_form {
        let bytes = read_body(&parts.headers, body).await?;
        fields.0 = url::form_urlencoded::parse(&bytes).into_owned().collect();
        Body::empty()
    } else {
        body
    };
    if let Some(csrf) = &caller.csrf {
        let in_header = parts.headers.get("x-csrf-token").and_then(|v| v.to_str().ok());
        let in_form = fields.0.iter().find(|(name, _)| name == "csrf").map(|(_, value)| value.as_str());
        let same = in_header.or(in_form).is_some_and(|sent| sent.as_bytes().ct_eq(csrf.as_bytes()).into());
        if !same {
            return Err(stale_form());
        }
    }
    parts.extensions.insert(fields);
    Ok(Admitted { caller, request: Request::from_parts(parts, body), cookie: None })
}

fn stale_form() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "csrf",
        "this form does not belong to your session; reload the page and try again",
    )
}

/// The address of whoever connected.
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

/// The answer to a bad token.
pub(crate) fn refuse(app: &App, source: Option<IpAddr>) -> Problem {
    if app.throttle.failed(source, app.operations.now()) {
        Problem::unauthorized()
    } else {
        Problem::later(StatusCode::TOO_MANY_REQUESTS, "throttled", "too many bad tokens; try again later", 60)
    }
}
