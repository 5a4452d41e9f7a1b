//! The one place where routes are made. Each is added together with its description, so that `/openapi.json` cannot miss one (S13),
//! and behind the guard, so that none can be left open by accident.

use crate::access::{Access, admit};
use crate::app::App;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path, described.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) summary: &'static str,
    pub(crate) query: Option<SchemaOf>,
    pub(crate) body: Option<SchemaOf>,
    /// Its body may be left out.
    pub(crate) optional: bool,
    /// The media type of a body that is no JSON.
    pub(crate) media: Option<&'static str>,
    /// Whether `If-Match` is heeded.
    pub(crate) precondition: bool,
    pub(crate) status: u16,
    pub(crate) answer: Answer,
}

/// What a successful answer holds.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Nothing.
    Empty,
    /// JSON of a type.
    Json(SchemaOf),
    /// Another media type.
    Other(&'static str),
}

impl Endpoint {
    pub(crate) fn new(method: Method, path: &'static str, access: Access, summary: &'static str) -> Self {
        let answer =
            if matches!(access, Access::Page(_)) { Answer::Other("text/html") } else { Answer::Empty };
        Self {
            method,
            path,
            access,
            summary,
            query: None,
            body: None,
            optional: false,
            media: None,
            precondition: false,
            status: 200,
            answer,
        }
    }

    /// Its query parameters are the properties of `T`.
    pub(crate) fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(SchemaGenerator::root_schema_for::<T>);
        self
    }

    /// Its body is a `T`.
    pub(crate) fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Its body is a `T` and may be left out.
    pub(crate) fn optional_body<T: JsonSchema>(mut self) -> Self {
        self.optional = true;
        self.body::<T>()
    }

    /// Its body is of this media type.
    pub(crate) fn takes(mut self, media: &'static str) -> Self {
        self.media = Some(media);
        self
    }

    /// It heeds `If-Match`.
    pub(crate) fn precondition(mut self) -> Self {
        self.precondition = true;
        self
    }

    /// It answers `status` with a `T`.
    pub(crate) fn answers<T: JsonSchema>(self, status: u16) -> Self {
        self.sends(status, Answer::Json(SchemaGenerator::subschema_for::<T>))
    }

    /// It answers `status` with `answer`.
    pub(crate) fn sends(mut self, status: u16, answer: Answer) -> Self {
        self.status = status;
        self.answer = answer;
        self
    }
}

/// Routes with their descriptions.
pub(crate) struct Routes {
    pub(crate) app: App,
    pub(crate) router: Router<App>,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Routes {
    pub(crate) fn new(app: App) -> Self {
        Self { app, router: Router::new(), endpoints: Vec::new() }
    }

    /// Adds a route. Methods other than GET, POST, PATCH and DELETE are not known here.
    pub(crate) fn add<H, T>(mut self, endpoint: Endpoint, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = match endpoint.method {
            Method::POST => MethodFilter::POST,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        let guard = from_fn_with_state((self.app.clone(), endpoint.access), admit);
        self.router = self.router.route(endpoint.path, on(filter, handler).layer(guard));
        self.endpoints.push(endpoint);
        self
    }
}
