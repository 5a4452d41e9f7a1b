//! Requests to the API, the page and the webhooks, up to four in a row against one small installation in memory. Whoever has no token gets
//! nothing; whoever has one gets an answer that is no failure of ours; every answer carries the protective headers, and no page has a tag
//! that came from outside.

mod installation;

use super::text;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use installation::{Installation, TOKEN};
use serde_json::Value as Json;
use std::net::SocketAddr;
use tower::ServiceExt as _;

/// Requests of one input.
const REQUESTS: usize = 4;

/// What needs no token.
const PUBLIC: [&str; 5] = ["/healthz", "/readyz", "/login", "/logout", "/assets/"];

/// A tag that no template has: inputs may write it anywhere.
const TAG: &str = "<zz";

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let calls: Vec<Call<'_>> = text.split("\n---\n").take(REQUESTS).filter_map(Call::read).collect();
    if calls.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let installation = Installation::new().await;
        for call in &calls {
            let (main, hooks) = (&installation.main, &installation.hooks);
            call.without_token(main).await;
            call.with_token(main).await;
            call.to_hooks(hooks).await;
        }
    });
}

/// `METHOD PATH CONTENT-TYPE`, then lines of body.
struct Call<'a> {
    method: &'a str,
    path: &'a str,
    media: Option<&'a str>,
    body: &'a str,
}

impl<'a> Call<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (first, body) = text.split_once('\n').unwrap_or((text, ""));
        let mut words = first.splitn(3, ' ');
        let (method, path) = (words.next()?, words.next()?);
        // A stream of events has no end to wait for.
        let endless = path.starts_with("/api/events");
        (path.starts_with('/') && !endless).then_some(Self { method, path, media: words.next(), body })
    }

    fn request(&self, token: bool) -> Option<Request<Body>> {
        let mut request =
            Request::builder().method(self.method).uri(self.path).header(header::HOST, "127.0.0.1:7171");
        if let Some(media) = self.media {
            request = request.header(header::CONTENT_TYPE, media);
        }
        if token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
        }
        let mut request = request.body(Body::from(self.body.to_owned())).ok()?;
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 50_000))));
        Some(request)
    }

    async fn with_token(&self, router: &Router) {
        let Some(answer) = send(router, self.request(true)).await else { return };
        let Answer { status, headers, body } = &answer;
        let entering = self.path.starts_with("/login");
        assert!(entering || *status != StatusCode::UNAUTHORIZED, "{} {}", self.method, self.path);
        let busy = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY].contains(status);
        assert!(!status.is_server_error() || busy, "{} {}: {status} {body}", self.method, self.path);
        if self.path.starts_with("/api/") && (status.is_client_error() || status.is_server_error()) {
            assert_eq!(
                media_of(headers),
                "application/problem+json",
                "{} {}: {body}",
                self.method,
                self.path
            );
        }
        answer.holds_together(self.method);
    }

    async fn without_token(&self, router: &Router) {
        let Some(answer) = send(router, self.request(false)).await else { return };
        if !PUBLIC.iter().any(|path| self.path.starts_with(path)) {
            assert!(
                !answer.status.is_success(),
                "{} {} without a token: {}",
                self.method,
                self.path,
                answer.status
            );
        }
        answer.holds_together(self.method);
    }

    /// The listener that is exposed knows no connection here, so that nothing may be accepted and nothing may be said.
    async fn to_hooks(&self, router: &Router) {
        let Some(answer) = send(router, self.request(true)).await else { return };
        let health = self.path.split('?').next() == Some("/healthz");
        assert!(health || !answer.status.is_success(), "{} {} of the hooks", self.method, self.path);
        assert!(health || answer.body.is_empty(), "the hooks listener says {}", answer.body);
        assert!(!answer.status.is_server_error(), "{} {}: {}", self.method, self.path, answer.status);
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn holds_together(&self, method: &str) {
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy"] {
            assert!(self.headers.contains_key(name), "{name} is missing");
        }
        let media = media_of(&self.headers);
        if media.ends_with("json") && method != "HEAD" {
            let json: Json = serde_json::from_str(&self.body).expect("an answer that calls itself JSON");
            if media == "application/problem+json" {
                assert_eq!(json["status"], self.status.as_u16());
            }
        }
        if media == "text/html" {
            assert!(!self.body.contains(TAG), "a tag from outside: {}", self.body);
        }
    }
}

fn media_of(headers: &HeaderMap) -> &str {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    media.split(';').next().unwrap_or_default()
}

/// `None` if the request cannot be made at all: its method or path is none.
async fn send(router: &Router, request: Option<Request<Body>>) -> Option<Answer> {
    let (parts, body) = router.clone().oneshot(request?).await.expect("a router always answers").into_parts();
    let body = to_bytes(body, 16 * 1024 * 1024).await.expect("the answer has an end");
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Answer { status: parts.status, headers: parts.headers, body })
}
