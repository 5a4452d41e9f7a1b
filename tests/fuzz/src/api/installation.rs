//! One catalog in memory, a link with a conflict, parked work and a line of history; an engine that does nothing by itself, and its server.

use async_trait::async_trait;
use axum::Router;
use bothways_engine::stored::{ApiToken, TokenScope};
use bothways_engine::{Clock, Engine, Http, Operations, Ports, Purpose, Random, Records, SendError, Tasks};
use bothways_model::{
    Catalog, CatalogField, ConnectionName, FieldType, Ident, KeyMaker, LinkId, LocalId, Mode, RemoteId,
    Request, Response, Timestamp, Track, Value,
};
use bothways_queue::MemoryQueue;
use bothways_server::{Server, Settings};
use bothways_store::{
    Conflict, FieldChange, Guard, History, HistoryOp, Lease, Link, LinkBody, LinkState, Links as _,
    MemoryStore, PairSpec, Pairs as _, ParkReason, Parked, Side, Unit, WorkQueue as _,
};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The secret of a token that may do everything.
pub(super) const TOKEN: &str = "the-token-of-somebody-who-may-do-everything";

/// The link of the first record.
const LINK: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001);

pub(super) struct Installation {
    pub(super) main: Router,
    pub(super) hooks: Router,
}

impl Installation {
    pub(super) async fn new() -> Self {
        let store = MemoryStore::new([things()]);
        let outside = Arc::new(Outside::default());
        let ports =
            Ports { clock: outside.clone(), random: outside.clone(), tasks: outside.clone(), http: outside };
        let settings = bothways_engine::Settings::default();
        let catalogs = [Arc::new(things())];
        let engine = Engine::open(
            Arc::new(store.clone()),
            Arc::new(MemoryQueue::default()),
            ports,
            &[],
            &catalogs,
            settings,
        )
        .await
        .expect("an engine in memory");
        fill(&store, &engine).await;
        let server = Server::new(engine, Settings::new(SocketAddr::from(([127, 0, 0, 1], 7171))));
        Self { main: server.router(), hooks: server.hooks_router() }
    }
}

fn things() -> Catalog {
    let field = |name: &str, ty, optional| CatalogField {
        name: name.into(),
        column: Ident::new(name).expect("a plain name"),
        ty,
        optional,
        reference: None,
        doc: None,
    };
    Catalog {
        name: "things".into(),
        schema: None,
        table: Ident::new("things").expect("a plain name"),
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
            field("made", FieldType::Timestamp, true),
            field("day", FieldType::Date, true),
            field("more", FieldType::Json, true),
            field("tags", FieldType::List(Box::new(FieldType::Text)), true),
        ],
    }
}

async fn fill(store: &MemoryStore, engine: &Arc<Engine>) {
    let now = moment();
    let operations = Operations::new(engine.clone());
    let token = ApiToken {
        hash: hex::encode(Sha256::digest(TOKEN.as_bytes())),
        name: "fuzz".into(),
        scope: TokenScope::Admin,
        created_at: now,
        expires_at: None,
        used_at: None,
        revoked_at: None,
    };
    operations.add_token(&token, "fuzz").await.expect("stored");
    let fields = serde_json::json!({ "name": "one", "note": "first", "price": "1.20" });
    let fields = fields.as_object().expect("an object");
    Records::new(engine.clone()).create("things", fields).await.expect("stored");

    let spec = PairSpec {
        catalog: "things".into(),
        connection: ConnectionName("elsewhere".into()),
        resource: "things".into(),
        mapping: "elsewhere-things".into(),
    };
    let pair = store.ensure_pair(&spec).await.expect("stored").id;
    let text = |text: &str| Some(Value::Text(text.into()));
    let conflict = Conflict {
        local: text("one"),
        remote: text("uno"),
        since: now,
        first_contact: false,
        choice: None,
        stale: None,
    };
    let link = Link {
        id: LinkId(LINK),
        pair,
        local_id: Some(LocalId::from("1")),
        remote_id: Some(RemoteId::from("r1")),
        account: None,
        mode: Mode::Test,
        state: LinkState::Linked,
        body: LinkBody { conflicts: [("name".to_owned(), conflict)].into(), ..LinkBody::default() },
        created_at: now,
        updated_at: now,
        in_step_at: Some(now),
        lease: Some(Lease { token: store.draw(1).await.expect("a number"), until: now }),
    };
    let entry = History {
        pair,
        link: Some(LinkId(LINK)),
        local_id: Some(LocalId::from("1")),
        remote_id: Some(RemoteId::from("r1")),
        side: Side::Remote,
        op: HistoryOp::Update,
        fields: [("name".to_owned(), FieldChange { before: None, after: text("uno") })].into(),
        rules: vec![10],
        cause: "a person".into(),
        pass: None,
        approved_by: None,
    };
    let claim = Unit::new(Guard::Claim(Box::new(link)));
    let past = Unit { history: vec![entry], ..Unit::new(Guard::Free) };
    store.commit(now, &[claim, past]).await.expect("stored");
    let parked =
        Parked { reason: ParkReason::Ambiguous, message: "two of them".into(), digest: "d".into(), at: now };
    store.park_group(pair, "somebody", &parked).await.expect("stored");
}

fn moment() -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000, 0).expect("a moment")
}

/// A world in which time stands still, nobody answers, and every identity is the next number.
#[derive(Default)]
struct Outside(AtomicU64);

#[async_trait]
impl Clock for Outside {
    fn now(&self) -> Timestamp {
        moment()
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

impl Random for Outside {
    fn uuid(&self, _: Timestamp) -> Uuid {
        Uuid::from_u128(LINK.as_u128() + 1 + u128::from(self.0.fetch_add(1, Ordering::SeqCst)))
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
        _: Request,
        _: Duration,
    ) -> Result<Response, SendError> {
        Err(SendError::NotSent("there is no other side here".into()))
    }
}
