//! Errors as problem details (RFC 9457). No detail ever holds a record value or a secret.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bothways_engine::EngineError;
use bothways_engine::stored::StoreErrorKind;
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A short word for programs.
    pub(crate) code: &'static str,
    /// What happened and what to do, for people.
    pub(crate) detail: String,
    /// Seconds after which trying again makes sense.
    pub(crate) retry_after: Option<u32>,
}

/// A problem as it is sent, `application/problem+json`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// A short word for programs, such as `not_found`.
    code: &'static str,
    /// What happened and what to do, for people.
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what}"))
    }

    /// The request cannot be read.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The one answer to whoever has no good token, whatever is wrong with it.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid token is required")
    }

    /// Try again in `seconds`.
    pub(crate) fn later(status: StatusCode, code: &'static str, detail: &str, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(status, code, detail) }
    }

    /// An error of a record's edit: what the engine refuses is the content's fault there.
    pub(crate) fn of_edit(error: EngineError) -> Self {
        match error {
            EngineError::Refused(why) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why),
            other => other.into(),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound(what) => Self::not_found(what),
            EngineError::Moved(why) => Self::new(StatusCode::CONFLICT, "moved", why),
            EngineError::Refused(why) => Self::new(StatusCode::CONFLICT, "refused", why),
            EngineError::Braked(why) => Self::new(StatusCode::CONFLICT, "braked", why),
            EngineError::Store(error) => match error.kind {
                StoreErrorKind::Refused => {
                    Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused_by_table", error.to_string())
                }
                StoreErrorKind::Unknown => Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string()),
                StoreErrorKind::Retry => Self::later(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database_busy",
                    "the database did not answer in time; try again",
                    1,
                ),
                StoreErrorKind::Broken => {
                    tracing::error!(error = %error, "the database failed a request");
                    Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database", error.to_string())
                }
            },
            error @ (EngineError::Resource(_) | EngineError::Service(_) | EngineError::Silence(_)) => {
                Self::new(StatusCode::BAD_GATEWAY, "service", error.to_string())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
