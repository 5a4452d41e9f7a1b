//! Puts routes, middleware and the engine's handles together.

use crate::access::{check_names, limit, protect};
use crate::app::App;
use crate::beside::Beside;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use crate::settings::Settings;
use crate::{access, api, hooks, openapi, page};
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Json, Router};
use bothways_engine::Engine;
use bothways_engine::stored::TokenScope;
use std::sync::Arc;

/// Renders all metrics in Prometheus' text format.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The HTTP server over one engine. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    pub(crate) app: App,
    engine: Arc<Engine>,
}

impl Server {
    /// A server over `engine`. Call [`Settings::check`] first.
    pub fn new(engine: Arc<Engine>, settings: Settings) -> Self {
        Self::with(engine, settings, None, None)
    }

    /// The same with what `/metrics` shows, and with the other side of the demo's page.
    pub fn with(
        engine: Arc<Engine>,
        settings: Settings,
        metrics: Option<Metrics>,
        beside: Option<Arc<dyn Beside>>,
    ) -> Self {
        Self { app: App::new(&engine, settings, metrics, beside), engine }
    }

    /// The address to print at start. It logs in whoever opens it first, once; an open server needs none.
    pub fn login_url(&self) -> String {
        let base = self.app.settings.local_url();
        if self.app.settings.open {
            return format!("{base}/");
        }
        format!("{base}/login?token={}", self.app.sessions.invite(self.app.operations.now()))
    }

    /// The page where a token logs in.
    pub fn login_page(&self) -> String {
        format!("{}/login", self.app.settings.local_url())
    }

    /// The main listener: API, operations, page.
    pub fn router(&self) -> Router {
        let (router, _) = self.routes();
        router
    }

    /// The hooks listener: webhooks and `/healthz`, nothing else.
    pub fn hooks_router(&self) -> Router {
        hooks::router(&self.engine)
    }

    pub(crate) fn routes(&self) -> (Router, Vec<Endpoint>) {
        let routes = page::routes(api::routes(Routes::new(self.app.clone())));
        let described = Endpoint::new(
            Method::GET,
            "/openapi.json",
            access::Access::Api(TokenScope::Read),
            "This document",
        )
        .answers::<serde_json::Value>(200);
        let mut endpoints = routes.endpoints.clone();
        endpoints.push(described.clone());
        let document = Arc::new(openapi::document(&endpoints));
        let routes = routes.add(described, move || async move { Json((*document).clone()) });
        let router = routes
            .router
            .fallback(|| async { Problem::not_found("such path") })
            .method_not_allowed_fallback(|| async {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not know that method")
            })
            .layer(from_fn_with_state(self.app.clone(), check_names))
            .layer(from_fn_with_state(self.app.clone(), limit))
            .layer(from_fn(protect))
            .with_state(self.app.clone());
        (router, endpoints)
    }
}
