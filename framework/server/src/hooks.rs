//! Webhooks: the one listener that is ever exposed. Nothing is decided here: the raw body goes to the engine's intake, and 2xx means that
//! it is durably stored (rules 48, 49). Whoever sends what is not genuine learns nothing from the answer (S4).
//!
//! Some services ask first whether we want their deliveries, and expect a value of their question back. It is given back as plain text, and
//! only if it is short and holds nothing that could be taken for markup.

use crate::access::{protect, read_body};
use async_trait::async_trait;
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bothways_engine::{Engine, Intake, Received, Unverified};
use bothways_model::ConnectionName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Deliveries at once whose bodies are here.
const PLACES: usize = 256;
/// How long the body may take to arrive (S3).
const BODY: Duration = Duration::from_secs(10);

/// The longest value that is given back.
const LONGEST_ECHO: usize = 512;

/// Whoever takes deliveries in.
#[async_trait]
trait Receiver: Send + Sync {
    async fn receive(&self, connection: &ConnectionName, delivery: Unverified) -> Received;
    /// The connection whose deliveries come to this path.
    fn connection_at(&self, path: &str) -> Option<ConnectionName>;
    /// The query parameter of a challenge, where the connection's service asks one.
    fn challenge(&self, connection: &ConnectionName) -> Option<String>;
}

#[async_trait]
impl Receiver for Intake {
    async fn receive(&self, connection: &ConnectionName, delivery: Unverified) -> Received {
        Intake::receive(self, connection, delivery).await
    }

    fn connection_at(&self, path: &str) -> Option<ConnectionName> {
        Intake::connection_at(self, path)
    }

    fn challenge(&self, connection: &ConnectionName) -> Option<String> {
        Intake::challenge(self, connection)
    }
}

#[derive(Clone)]
struct Hooks {
    intake: Arc<dyn Receiver>,
    places: Arc<Semaphore>,
}

/// Webhooks and `/healthz`, nothing else.
pub(crate) fn router(engine: &Arc<Engine>) -> Router {
    over(Arc::new(Intake::new(engine.clone())))
}

fn over(intake: Arc<dyn Receiver>) -> Router {
    Router::new()
        .route("/healthz", get(crate::api::healthy))
        .fallback(knocked)
        .layer(from_fn(protect))
        .with_state(Hooks { intake, places: Arc::new(Semaphore::new(PLACES)) })
}

/// The parameters of a query, in order.
type Parameters = Query<Vec<(String, String)>>;

/// A delivery by POST, at whatever path its connector's document says; or a question, by GET or POST. There is nothing to get.
async fn knocked(State(hooks): State<Hooks>, query: Parameters, request: Request) -> Response {
    let connection = hooks.intake.connection_at(request.uri().path());
    let may_ask = matches!(*request.method(), Method::GET | Method::POST);
    let echo =
        connection.as_ref().filter(|_| may_ask).and_then(|connection| hooks.echo(connection, &query.0));
    match echo {
        Some(echo) => echo,
        None if request.method() == Method::POST => take_in(hooks, connection, request).await.into_response(),
        // The same for every path, so that paths cannot be tried out.
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Hooks {
    /// The answer to a challenge; `None` if the request is none.
    fn echo(&self, connection: &ConnectionName, query: &[(String, String)]) -> Option<Response> {
        let name = self.intake.challenge(connection)?;
        let (_, value) = query.iter().find(|(given, _)| *given == name)?;
        Some(match is_harmless(value) {
            true => value.clone().into_response(),
            false => StatusCode::BAD_REQUEST.into_response(),
        })
    }
}

/// Whether a value may be given back to whoever sent it.
fn is_harmless(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" -_.~:+/=,".contains(&b);
    (1..=LONGEST_ECHO).contains(&value.len()) && value.bytes().all(plain)
}

/// Answers with a status and nothing else.
async fn take_in(hooks: Hooks, connection: Option<ConnectionName>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY, read_body(&parts.headers, body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(problem)) => return problem.status,
        Err(_) => return StatusCode::REQUEST_TIMEOUT,
    };
    // Not before the body is here: whoever sends slowly, or nothing, holds up nobody but himself.
    let Ok(_place) = hooks.places.try_acquire() else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    let readable = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = parts.headers.iter().filter_map(readable).collect();
    let delivery = Unverified { headers, body: body.into() };
    let received = match connection {
        Some(connection) => hooks.intake.receive(&connection, delivery).await,
        None => Received::UnknownConnection,
    };
    match received {
        Received::Accepted { .. } => StatusCode::NO_CONTENT,
        // A path that is nobody's looks like a bad signature, so that names cannot be tried out.
        Received::Rejected | Received::UnknownConnection => StatusCode::UNAUTHORIZED,
        Received::Unreadable => StatusCode::BAD_REQUEST,
        Received::StoreFailed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes, to_bytes};
    use axum::http::header;
    use futures::{poll, stream};
    use std::convert::Infallible;
    use std::sync::Mutex;
    use tower::ServiceExt as _;

    /// Answers by the connection's name and keeps what it was given.
    #[derive(Default)]
    struct Fake(Mutex<Vec<Unverified>>);

    #[async_trait]
    impl Receiver for Fake {
        async fn receive(&self, connection: &ConnectionName, delivery: Unverified) -> Received {
            self.0.lock().unwrap().push(delivery);
            match connection.as_str() {
                "good" => Received::Accepted { events: 1, new: 1 },
                "forged" => Received::Rejected,
                "odd" => Received::Unreadable,
                "full" => Received::StoreFailed,
                _ => Received::UnknownConnection,
            }
        }

        fn connection_at(&self, path: &str) -> Option<ConnectionName> {
            let name = path.strip_prefix("/hooks/").or((path == "/in/here").then_some("good"));
            name.filter(|name| !name.contains('/')).map(ConnectionName::from)
        }

        fn challenge(&self, connection: &ConnectionName) -> Option<String> {
            (connection.as_str() == "asks").then(|| "hub.challenge".to_owned())
        }
    }

    async fn send(fake: &Arc<Fake>, request: axum::http::request::Builder, body: Vec<u8>) -> Response {
        over(fake.clone()).oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
    }

    fn to(connection: &str) -> axum::http::request::Builder {
        Request::builder().method("POST").uri(format!("/hooks/{connection}"))
    }

    #[tokio::test]
    async fn each_outcome_has_its_status_and_no_answer_has_words() {
        let fake = Arc::new(Fake::default());
        let expected = [("good", 204), ("forged", 401), ("nobody", 401), ("odd", 400), ("full", 503)];
        for (connection, status) in expected {
            let response = send(&fake, to(connection), b"{}".to_vec()).await;
            assert_eq!(response.status(), status, "{connection}");
            assert!(to_bytes(response.into_body(), 1000).await.unwrap().is_empty(), "{connection}");
        }
    }

    #[tokio::test]
    async fn a_challenge_is_answered_with_its_value_and_nothing_that_could_be_markup() {
        let fake = Arc::new(Fake::default());
        let ask = |method: &str, to: &str| Request::builder().method(method).uri(format!("/hooks/{to}"));
        for method in ["GET", "POST"] {
            let asked = ask(method, "asks?hub.mode=subscribe&hub.challenge=Request-Id%3A%201_a~b%2Fc%3D");
            let response = send(&fake, asked, Vec::new()).await;
            assert_eq!(response.status(), 200, "{method}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
            assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let body = to_bytes(response.into_body(), 1000).await.unwrap();
            assert_eq!(body, "Request-Id: 1_a~b/c=");
        }
        let long = "x".repeat(513);
        for bad in ["%3Cb%3E", "a%26b", "%22", "", "%0d%0a", "%C3%A4", long.as_str()] {
            let response = send(&fake, ask("GET", &format!("asks?hub.challenge={bad}")), Vec::new()).await;
            assert_eq!(response.status(), 400, "{bad}");
            assert!(to_bytes(response.into_body(), 1000).await.unwrap().is_empty(), "{bad}");
        }
        // Without the parameter, or where nobody asks, there is nothing to get.
        for path in ["asks", "asks?challenge=1", "good?hub.challenge=1", "nobody?hub.challenge=1"] {
            assert_eq!(send(&fake, ask("GET", path), Vec::new()).await.status(), 404, "{path}");
        }
        assert!(fake.0.lock().unwrap().is_empty(), "a question is no delivery");
        assert_eq!(send(&fake, ask("POST", "good?hub.challenge=1"), Vec::new()).await.status(), 204);
    }

    #[tokio::test]
    async fn an_unknown_connection_looks_like_a_bad_signature() {
        let fake = Arc::new(Fake::default());
        let forged = send(&fake, to("forged"), b"{}".to_vec()).await;
        let unknown = send(&fake, to("nobody"), b"{}".to_vec()).await;
        assert_eq!((forged.status(), forged.headers()), (unknown.status(), unknown.headers()));
    }

    #[tokio::test]
    async fn the_raw_bytes_and_headers_arrive() {
        let fake = Arc::new(Fake::default());
        let body = b"{ \"a\":  1 }\xff\n".to_vec();
        send(&fake, to("good").header("stripe-signature", "t=1,v1=x"), body.clone()).await;
        let given = fake.0.lock().unwrap().pop().unwrap();
        assert_eq!(given.body, body);
        assert_eq!(given.header("Stripe-Signature"), Some("t=1,v1=x"));
    }

    #[tokio::test]
    async fn too_large_or_compressed_bodies_never_reach_the_intake() {
        let fake = Arc::new(Fake::default());
        let large = vec![b'x'; 1024 * 1024 + 1];
        assert_eq!(send(&fake, to("good"), large.clone()).await.status(), 413);
        let announced = to("good").header(header::CONTENT_LENGTH, "99999999");
        assert_eq!(send(&fake, announced, Vec::new()).await.status(), 413);
        let zipped = to("good").header(header::CONTENT_ENCODING, "gzip");
        assert_eq!(send(&fake, zipped, b"x".to_vec()).await.status(), 415);
        assert!(fake.0.lock().unwrap().is_empty());
        assert_eq!(send(&fake, to("good"), large[1..].to_vec()).await.status(), 204);
    }

    #[tokio::test]
    async fn bodies_that_do_not_come_take_no_place_from_others() {
        let router = over(Arc::new(Fake::default()));
        let mut waiting = Vec::new();
        for connection in ["good", "nobody"].into_iter().cycle().take(PLACES) {
            let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
            let mut request = Box::pin(router.clone().oneshot(to(connection).body(body).unwrap()));
            assert!(poll!(&mut request).is_pending());
            waiting.push(request);
        }
        let whole = to("good").body(Body::from("{}")).unwrap();
        assert_eq!(router.oneshot(whole).await.unwrap().status(), 204);
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        let fake = Arc::new(Fake::default());
        let get = |path: &str| Request::builder().uri(path.to_owned());
        assert_eq!(send(&fake, get("/healthz"), Vec::new()).await.status(), 200);
        for path in
            ["/", "/api/status", "/metrics", "/openapi.json", "/login", "/readyz", "/hooks", "/hooks/a/b"]
        {
            assert_eq!(send(&fake, get(path), Vec::new()).await.status(), 404, "{path}");
        }
        for path in ["/hooks/good", "/in/here", "/in/there"] {
            assert_eq!(send(&fake, get(path), Vec::new()).await.status(), 404, "{path}");
            let put = Request::builder().method("PUT").uri(path);
            assert_eq!(send(&fake, put, Vec::new()).await.status(), 404, "{path}");
        }
        for (path, status) in
            [("/in/here", 204), ("/in/there", 401), ("/api/status", 401), ("/hooks/a/b", 401)]
        {
            let post = Request::builder().method("POST").uri(path);
            assert_eq!(send(&fake, post, b"{}".to_vec()).await.status(), status, "{path}");
        }
    }
}
