//! An engine on the in-memory store with one catalog and no connection, a server over it, and a caller.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use bothways_engine::stored::{ApiToken, TokenScope};
use bothways_engine::{
    Clock, Engine, Http, Loaded, Operations, Ports, Purpose, Quota, Random, Records, SendError, Tasks,
};
use bothways_model::{
    Catalog, CatalogField, ConnectionName, FieldType, Ident, KeyMaker, LinkId, LocalId, Mode, PairId,
    RemoteId, Timestamp, Track, Value,
};
use bothways_queue::MemoryQueue;
use bothways_server::{Server, Settings};
use bothways_store::{
    Conflict, FieldChange, Guard, History, HistoryOp, Lease, Link, LinkBody, LinkState, Links, MemoryStore,
    PairSpec, Pairs, ParkReason, Parked, Side, Unit, WorkQueue,
};
use chrono::TimeDelta;
use futures::future::BoxFuture;
use serde_json::Value as Json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tower::ServiceExt as _;

/// The secret of a token of every scope.
pub(crate) const SECRET: &str = "a-secret-of-the-admin";

/// Time that stands still until a test moves it.
#[derive(Default)]
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        let start = "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap();
        start + TimeDelta::milliseconds(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

/// There is no other side; how much of its day's calls is used is what a test says.
#[derive(Default)]
struct Outside(Option<Quota>);

impl Random for Outside {
    fn uuid(&self, _: Timestamp) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }

    fn below(&self, _: u64) -> u64 {
        0
    }
}

impl Tasks for Outside {
    fn spawn(&self, _: &'static str, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

#[async_trait]
impl Http for Outside {
    async fn send(
        &self,
        _: &ConnectionName,
        _: Purpose,
        _: bothways_model::Request,
        _: Duration,
    ) -> Result<bothways_model::Response, SendError> {
        Err(SendError::NotSent("there is no other side here".into()))
    }

    fn quota(&self, _: &ConnectionName) -> Option<Quota> {
        self.0
    }
}

/// Everything a test needs.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) records: Records,
    pub(crate) operations: Operations,
    pub(crate) server: Server,
    pub(crate) router: Router,
}

fn field(name: &str, ty: FieldType, optional: bool) -> CatalogField {
    CatalogField {
        name: name.into(),
        column: Ident::new(name).unwrap(),
        ty,
        optional,
        reference: None,
        doc: None,
    }
}

/// Things with a field of every kind that a page treats apart.
pub(crate) fn things() -> Catalog {
    Catalog {
        name: "things".into(),
        schema: None,
        table: Ident::new("things").unwrap(),
        key: "id".into(),
        made_by: KeyMaker::Database,
        deleted_at: None,
        track: Track::Trigger,
        fields: vec![
            field("id", FieldType::Int, false),
            field("name", FieldType::Text, false),
            field("note", FieldType::Text, true),
            field("price", FieldType::Decimal { scale: 2 }, true),
            field("size", FieldType::Enum(vec!["small".into(), "large".into()]), true),
            field("more", FieldType::Json, true),
        ],
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    pub(crate) async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let settings = change(Settings::new("127.0.0.1:7171".parse().unwrap()));
        Self::build(|engine| Server::new(engine, settings)).await
    }

    pub(crate) async fn build(serve: impl FnOnce(Arc<Engine>) -> Server) -> Self {
        Self::open(&[], None, serve).await
    }

    /// With these mappings loaded, and so many calls of the day used.
    pub(crate) async fn open(
        loaded: &[Loaded],
        quota: Option<Quota>,
        serve: impl FnOnce(Arc<Engine>) -> Server,
    ) -> Self {
        let store = MemoryStore::new([things()]);
        let clock = Arc::new(StillClock::default());
        let ports = Ports {
            clock: clock.clone(),
            random: Arc::new(Outside::default()),
            tasks: Arc::new(Outside::default()),
            http: Arc::new(Outside(quota)),
        };
        let engine = Engine::open(
            Arc::new(store.clone()),
            Arc::new(MemoryQueue::default()),
            ports,
            loaded,
            &[Arc::new(things())],
            bothways_engine::Settings::default(),
        )
        .await
        .unwrap();
        let server = serve(engine.clone());
        let world = Self {
            records: Records::new(engine.clone()),
            operations: Operations::new(engine),
            router: server.router(),
            store,
            clock,
            server,
        };
        world.token("admin", SECRET, TokenScope::Admin, None).await;
        world
    }

    pub(crate) async fn token(
        &self,
        name: &str,
        secret: &str,
        scope: TokenScope,
        expires: Option<Timestamp>,
    ) {
        use sha2::{Digest, Sha256};
        let token = ApiToken {
            hash: hex::encode(Sha256::digest(secret.as_bytes())),
            name: name.into(),
            scope,
            created_at: self.clock.now(),
            expires_at: expires,
            used_at: None,
            revoked_at: None,
        };
        self.operations.add_token(&token, "test").await.unwrap();
    }

    pub(crate) async fn thing(&self, name: &str, note: &str) -> String {
        let fields = serde_json::json!({ "name": name, "note": note });
        self.records.create("things", fields.as_object().unwrap()).await.unwrap().id.0
    }

    /// A pair as another process with the mapping would have stored it.
    pub(crate) async fn pair(&self) -> PairId {
        let spec = PairSpec {
            catalog: "things".into(),
            connection: ConnectionName("elsewhere".into()),
            resource: "things".into(),
            mapping: "elsewhere-things".into(),
        };
        self.store.ensure_pair(&spec).await.unwrap().id
    }

    /// A link, with these fields in conflict (label, local, remote).
    pub(crate) async fn link(&self, local: &str, remote: &str, conflicts: &[(&str, &str, &str)]) -> LinkId {
        let (id, claim) = self.claim(local, remote, conflicts).await;
        self.store.commit(self.clock.now(), &[claim]).await.unwrap();
        id
    }

    /// What makes such a link.
    pub(crate) async fn claim(
        &self,
        local: &str,
        remote: &str,
        conflicts: &[(&str, &str, &str)],
    ) -> (LinkId, Unit) {
        let now = self.clock.now();
        let id = LinkId(uuid::Uuid::now_v7());
        let conflicts = conflicts.iter().map(|(label, local, remote)| {
            let conflict = Conflict {
                local: Some(Value::Text((*local).into())),
                remote: Some(Value::Text((*remote).into())),
                since: now,
                first_contact: false,
                choice: None,
                stale: None,
            };
            ((*label).to_owned(), conflict)
        });
        let link = Link {
            id,
            pair: self.pair().await,
            local_id: Some(LocalId::from(local)),
            remote_id: Some(RemoteId::from(remote)),
            account: None,
            mode: Mode::Test,
            state: LinkState::Linked,
            body: LinkBody { conflicts: conflicts.collect(), ..LinkBody::default() },
            created_at: now,
            updated_at: now,
            in_step_at: Some(now),
            lease: Some(Lease { token: self.store.draw(1).await.unwrap(), until: now }),
        };
        (id, Unit::new(Guard::Claim(Box::new(link))))
    }

    pub(crate) async fn park(&self, message: &str) {
        let parked = Parked {
            reason: ParkReason::Ambiguous,
            message: message.into(),
            digest: "d1".into(),
            at: self.clock.now(),
        };
        self.store.park_group(self.pair().await, "somebody", &parked).await.unwrap();
    }

    /// A line of history: the remote record's `name` was set to `after`.
    pub(crate) async fn wrote(&self, local: &str, after: &str, cause: &str) {
        let change = FieldChange { before: None, after: Some(Value::Text(after.into())) };
        let entry = History {
            pair: self.pair().await,
            link: None,
            local_id: Some(LocalId::from(local)),
            remote_id: Some(RemoteId::from("r1")),
            side: Side::Remote,
            op: HistoryOp::Update,
            fields: [("name".to_owned(), change)].into(),
            rules: vec![9],
            cause: cause.into(),
            pass: None,
            approved_by: None,
        };
        let unit = Unit { history: vec![entry], ..Unit::new(Guard::Free) };
        self.store.commit(self.clock.now(), &[unit]).await.unwrap();
    }

    /// Starts a request as a browser on this machine would send it.
    pub(crate) fn request(&self, method: &str, path: &str) -> Call {
        let builder = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:7171");
        Call {
            router: self.router.clone(),
            builder,
            body: Body::empty(),
            from: "127.0.0.1:50000".parse().unwrap(),
        }
    }

    /// The same with the admin's token.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        self.request(method, path).header("authorization", &format!("Bearer {SECRET}"))
    }

    /// Logs a browser in with the printed address.
    pub(crate) async fn browser(&self) -> Browser<'_> {
        let url = self.server.login_url();
        let path = url.strip_prefix("http://127.0.0.1:7171").unwrap().to_owned();
        let answer = self.request("GET", &path).send().await;
        assert_eq!(answer.status, StatusCode::OK);
        Browser { world: self, cookie: answer.cookie().unwrap() }
    }
}

/// A request being made.
pub(crate) struct Call {
    router: Router,
    builder: axum::http::request::Builder,
    body: Body,
    from: SocketAddr,
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.from = address.parse().unwrap();
        self
    }

    pub(crate) fn json(mut self, body: &Json) -> Self {
        self.body = Body::from(body.to_string());
        self.header("content-type", "application/json")
    }

    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut encoder = url::form_urlencoded::Serializer::new(String::new());
        encoder.extend_pairs(fields);
        self.body = Body::from(encoder.finish());
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and returns the answer with its body still to come.
    pub(crate) async fn open(self) -> Response<Body> {
        let mut request = self.builder.body(self.body).unwrap();
        request.extensions_mut().insert(ConnectInfo(self.from));
        self.router.oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.open().await.into_parts();
        let text = String::from_utf8(to_bytes(body, 10_000_000).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Name and value of the cookie it sets.
    pub(crate) fn cookie(&self) -> Option<String> {
        let set = self.header("set-cookie");
        Some(set.split(';').next()?.to_owned()).filter(|cookie| !cookie.is_empty())
    }

    /// The problem's code, after checking that it is one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["type"], "about:blank");
        assert!(body["title"].is_string() && body["detail"].is_string());
        body["code"].as_str().unwrap().to_owned()
    }
}

/// A browser with a session.
pub(crate) struct Browser<'a> {
    world: &'a World,
    pub(crate) cookie: String,
}

impl Browser<'_> {
    pub(crate) fn request(&self, method: &str, path: &str) -> Call {
        self.world.request(method, path).header("cookie", &self.cookie)
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.request("GET", path).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        answer.text
    }

    /// The token that forms carry, read from a page.
    pub(crate) async fn csrf(&self) -> String {
        let page = self.page("/records/things").await;
        let (_, rest) = page.split_once("name=\"csrf\" content=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form as a browser does when the page's own referrer policy hides the origin.
    pub(crate) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf().await;
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.request("POST", path)
            .header("origin", "null")
            .header("sec-fetch-site", "same-origin")
            .form(&all)
            .send()
            .await
    }
}
