//! Alive, ready, metrics.

use crate::access::Access;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::extract::State;
use axum::http::{HeaderName, Method, StatusCode, header};
use bothways_engine::stored::TokenScope;

const TEXT: Answer = Answer::Other("text/plain");

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(
            Endpoint::new(Method::GET, "/healthz", Access::Public, "Whether the process answers")
                .sends(200, TEXT),
            healthy,
        )
        .add(
            Endpoint::new(
                Method::GET,
                "/readyz",
                Access::Public,
                "Whether everything can do its work; 503 if not. `/api/status` says why",
            )
            .sends(200, TEXT),
            ready,
        )
        .add(
            Endpoint::new(Method::GET, "/metrics", Access::Api(TokenScope::Read), "Metrics for Prometheus")
                .sends(200, TEXT),
            metrics,
        )
}

pub(crate) async fn healthy() -> &'static str {
    "ok\n"
}

/// Says no more than yes or no: whoever asks has shown no token. A service that is away makes nobody unready: deliveries of the others,
/// and people who look at the page, would be turned away with it.
async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.operations.unready().await {
        Ok(reasons) if reasons.is_empty() => (StatusCode::OK, "ready\n"),
        Ok(reasons) => {
            tracing::debug!(reasons = reasons.len(), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
        Err(error) => {
            tracing::warn!(error = %error, "not ready: the database failed");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    }
}

async fn metrics(State(app): State<App>) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let render = app.metrics.as_ref().ok_or_else(|| Problem::not_found("metrics recorder"))?;
    app.operations.measure().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()))
}
