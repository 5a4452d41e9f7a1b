//! Reading requests: like axum's extractors, but strict about content types, and every refusal is a problem.

use crate::access::read_body;
use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

/// A JSON body. Its content type must say so: a form of another site cannot send that (S10).
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(not_json());
        }
        let bytes = read_body(&parts.headers, body).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| unexpected(&error))?;
        Ok(Self(value))
    }
}

/// A JSON body that may be left out.
pub(crate) struct MaybeJson<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.headers, body).await?;
        let typed = parts.headers.contains_key(header::CONTENT_TYPE);
        if (typed || !bytes.is_empty()) && !is_json(&parts.headers) {
            return Err(not_json());
        }
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| unexpected(&error))?;
        Ok(Self(Some(value)))
    }
}

/// What is wrong with a body, without the value that stands there: it may be a record's.
fn unexpected(error: &serde_json::Error) -> Problem {
    let said = error.to_string();
    let names_a_key =
        ["unknown field", "missing field", "duplicate field"].iter().any(|s| said.starts_with(s));
    let what = match said.rsplit_once(", expected ") {
        _ if names_a_key || !error.is_data() => said,
        Some((_, expected)) => format!("expected {expected}"),
        None => format!("line {} column {}", error.line(), error.column()),
    };
    Problem::malformed(format!("the body is not what is expected: {what}"))
}

/// A request that may come without a body, but not with one that is no JSON.
pub(crate) struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let typed = parts.headers.contains_key(header::CONTENT_TYPE);
        if typed && !is_json(&parts.headers) {
            return Err(not_json());
        }
        if !typed && !read_body(&parts.headers, body).await?.is_empty() {
            return Err(not_json());
        }
        Ok(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
    let media = named.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/merge-patch+json"].iter().any(|json| media.eq_ignore_ascii_case(json))
}

fn not_json() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "send `Content-Type: application/json`")
}

/// Path parameters.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|p| Self(p.0)).map_err(|error| Problem::malformed(error.body_text()))
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query.map(|q| Self(q.0)).map_err(|error| Problem::malformed(error.body_text()))
    }
}
