//! What every request is held to: how many at once, how long, how large; and the headers every answer carries (S3, S11, S13).

use crate::app::App;
use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::error::Error;
use std::time::Duration;

/// The largest body, in bytes.
pub(crate) const BODY: usize = 1024 * 1024;
/// The largest body of a login, in bytes: a token and its name.
const LOGIN: usize = 4 * 1024;
/// How long a request of the main listener may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take that compares both sides in full, or works through a whole pass or all conflicts.
const LONG: Duration = Duration::from_secs(15 * 60);

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                   frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Puts the protective headers on every answer.
pub(crate) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Turns requests away while there are too many, and ends those that take too long.
///
/// A login's body is read before it takes a place: of all bodies that are read at all it is the one that comes from whoever has shown
/// no token yet, and who sends slowly must hold up nobody else.
pub(crate) async fn limit(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let request = match request.method() == Method::POST && request.uri().path() == "/login" {
        true => {
            let (parts, body) = request.into_parts();
            let body = read_up_to(LOGIN, &parts.headers, body).await?;
            Request::from_parts(parts, Body::from(body))
        }
        false => request,
    };
    let Ok(_place) = app.places.clone().try_acquire_owned() else {
        return Err(Problem::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many requests at once; try again",
            1,
        ));
    };
    let path = request.uri().path();
    let of_all_conflicts = path.ends_with("/resolve") && path.contains("/conflicts");
    let is_long =
        of_all_conflicts || ["/plan", "/approve", "/apply", "/revert"].iter().any(|end| path.ends_with(end));
    tokio::time::timeout(if is_long { LONG } else { PATIENCE }, next.run(request)).await.map_err(|_| {
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, "timeout", "the request took too long", 1)
    })
}

/// Reads a whole body, never more than [`BODY`] bytes of it; says 413 before reading if it announces more. Compressed bodies are refused.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    read_up_to(BODY, headers, body).await
}

/// The same with another limit.
pub(crate) async fn read_up_to(most: usize, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|e| e != "identity") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "compressed",
            "compressed bodies are not accepted",
        ));
    }
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a body may have at most {most} bytes"),
        )
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, most)).await;
    let read = read.map_err(|_| Problem::malformed("the body did not come"))?;
    read.map_err(|error| {
        let limited = error.source().is_some_and(|source| source.to_string().contains("length limit"));
        if limited { too_large() } else { Problem::malformed("the body was cut off") }
    })
}
