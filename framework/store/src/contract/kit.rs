//! What the checks share: two catalogs, times, and the shortest ways to a pair, a link and a taken record.

use crate::{
    FieldBase, Guard, Intent, IntentState, IntentWrite, LeaseAction, Link, LinkBody, LinkState, LinkWrite,
    LocalBinding, PairSpec, Settle, Settled, Signal, Store, Subject, Take, Taken, Unit, UnitOutcome, Work,
    WorkWrite,
};
use bothways_model::{
    Catalog, CatalogField, ConnectionName, FieldType, Ident, KeyMaker, LinkId, LocalId, LocalRow, Mode,
    PairId, Record, RemoteId, Seq, Timestamp, Track, Value,
};
use chrono::TimeDelta;
use std::sync::Arc;
use uuid::Uuid;

fn ident(name: &str) -> Ident {
    Ident::new(name).expect("a plain name")
}

fn field(name: &str, ty: FieldType, optional: bool) -> CatalogField {
    CatalogField { name: name.into(), column: ident(name), ty, optional, reference: None, doc: None }
}

/// `customers` with keys from the database, `tags` with text keys from the engine.
pub fn catalogs() -> Vec<Catalog> {
    let levels = vec!["basic".to_owned(), "gold".to_owned()];
    vec![
        Catalog {
            name: "customers".into(),
            schema: None,
            table: ident("customers"),
            key: "id".into(),
            made_by: KeyMaker::Database,
            deleted_at: Some(ident("deleted_at")),
            track: Track::Trigger,
            fields: vec![
                field("id", FieldType::Int, false),
                field("name", FieldType::Text, false),
                field("email", FieldType::Text, true),
                field("balance", FieldType::Decimal { scale: 2 }, true),
                field("level", FieldType::Enum(levels), false),
                field("joined", FieldType::Timestamp, true),
            ],
        },
        Catalog {
            name: "tags".into(),
            schema: None,
            table: ident("tags"),
            key: "code".into(),
            made_by: KeyMaker::Engine,
            deleted_at: None,
            track: Track::Trigger,
            fields: vec![field("code", FieldType::Text, false), field("label", FieldType::Text, true)],
        },
    ]
}

/// `seats`, whose key is two columns.
pub fn seats() -> Catalog {
    Catalog {
        name: "seats".into(),
        schema: None,
        table: ident("seats"),
        key: vec!["tenant".to_owned(), "code".to_owned()].into(),
        made_by: KeyMaker::Inserter,
        deleted_at: None,
        track: Track::Trigger,
        fields: vec![
            field("tenant", FieldType::Int, false),
            field("code", FieldType::Text, false),
            field("holder", FieldType::Text, true),
            field("badge", FieldType::Text, true),
        ],
    }
}

/// A fixed moment plus so many seconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// Fields of a customer.
pub(super) fn customer(name: &str, email: &str) -> Record {
    Record::from_iter([("name", text(name)), ("email", text(email))])
}

pub(super) fn spec(catalog: &str, connection: &str) -> PairSpec {
    PairSpec {
        catalog: catalog.into(),
        connection: ConnectionName::from(connection),
        resource: "customers".into(),
        mapping: "m".into(),
    }
}

/// The pair of customers that most checks use.
pub(super) async fn pair(store: &dyn Store) -> PairId {
    store.ensure_pair(&spec("customers", "stripe")).await.expect("a pair").id
}

pub(super) fn local(pair: PairId, id: &LocalId) -> Signal {
    Signal { pair, subject: Subject::Local(id.clone()), look: false, not_before: None }
}

pub(super) fn remote(pair: PairId, id: &str) -> Signal {
    Signal { pair, subject: Subject::Remote(id.into()), look: true, not_before: None }
}

pub(super) fn link_id(number: u128) -> LinkId {
    LinkId(Uuid::from_u128(number))
}

/// A live link, leased under a fresh token until `at(60)`.
pub(super) async fn new_link(
    store: &dyn Store,
    pair: PairId,
    number: u128,
    local: Option<&LocalId>,
    remote: Option<&str>,
) -> Link {
    let token = store.draw(1).await.expect("a token");
    Link {
        id: link_id(number),
        pair,
        local_id: local.cloned(),
        remote_id: remote.map(RemoteId::from),
        account: None,
        mode: Mode::Test,
        state: LinkState::Linked,
        body: LinkBody::default(),
        created_at: at(number as i64),
        updated_at: at(0),
        in_step_at: None,
        lease: Some(crate::Lease { token, until: at(60) }),
    }
}

/// Claims a link and releases its lease.
pub(super) async fn linked(
    store: &dyn Store,
    pair: PairId,
    number: u128,
    local: Option<&LocalId>,
    remote: Option<&str>,
) -> Link {
    let link = new_link(store, pair, number, local, remote).await;
    let outcome = commit(store, Unit::new(Guard::Claim(Box::new(link)))).await;
    done(outcome).0
}

pub(super) async fn commit(store: &dyn Store, unit: Unit) -> UnitOutcome {
    let mut outcomes = store.commit(at(10), &[unit]).await.expect("a commit");
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

/// The link and the row of a unit that is done.
#[track_caller]
pub(super) fn done(outcome: UnitOutcome) -> (Link, Option<LocalRow>) {
    match outcome {
        UnitOutcome::Done { link: Some(link), row } => (*link, row),
        other => panic!("not done: {other:?}"),
    }
}

/// Takes what is due at `at(second)` for a minute.
pub(super) async fn take(store: &dyn Store, pair: PairId, second: i64) -> Vec<Taken> {
    let take = Take { now: at(second), until: at(second + 60), limit: 100, pairs: &[pair] };
    store.take(take).await.expect("taking")
}

/// Takes exactly one record.
pub(super) async fn take_one(store: &dyn Store, pair: PairId, second: i64) -> Taken {
    let mut all = take(store, pair, second).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// A unit under the lease of `taken`.
pub(super) fn unit(taken: &Taken) -> Unit {
    let guard = match &taken.link {
        Some(link) => Guard::Token { link: link.id, token: taken.token },
        None => Guard::Free,
    };
    Unit::new(guard)
}

/// Signals a link's local side and takes it.
pub(super) async fn look_at(store: &dyn Store, link: &Link, second: i64) -> Taken {
    let subject = match (&link.local_id, &link.remote_id) {
        (Some(id), _) => Subject::Local(id.clone()),
        (None, Some(id)) => Subject::Remote(id.clone()),
        (None, None) => panic!("nothing to signal"),
    };
    let signal = Signal { pair: link.pair, subject, look: true, not_before: None };
    store.signal(at(second), &[signal]).await.expect("a signal");
    take_one(store, link.pair, second).await
}

pub(super) fn settle(
    f: impl Fn(Option<&LocalRow>, &Link) -> Settled + Send + Sync + 'static,
) -> Option<Settle> {
    Some(Arc::new(f))
}

pub(super) fn write(link: &Link, local: LocalBinding) -> LinkWrite {
    LinkWrite { link: link.clone(), local }
}

pub(super) fn base(local: Option<Value>, remote: Option<Value>) -> FieldBase {
    FieldBase { local, remote }
}

pub(super) fn intent(link: &Link, number: u32, kind: &str) -> Intent {
    Intent {
        link: link.id,
        number,
        pair: link.pair,
        kind: kind.into(),
        request: serde_json::json!({"method": "POST", "url": "https://service.test/v1/customers"}),
        fields: Vec::new(),
        key: format!("key-{number}"),
        state: IntentState::Open,
        at: at(10),
        sent_at: at(10),
        outcome: None,
        service_at: number.is_multiple_of(2).then(|| at(-7)),
    }
}

pub(super) fn open(link: &Link, number: u32, kind: &str) -> IntentWrite {
    IntentWrite::Open(Box::new(intent(link, number, kind)))
}

/// Relays everything at `at(second)`.
pub(super) async fn relay(store: &dyn Store, second: i64) {
    while store.relay(at(second), 100).await.expect("a relay").more {}
}

/// Work that is tried again.
pub(super) fn again(work: &Work, due: Timestamp, attempt: Option<&str>) -> WorkWrite {
    let attempt = attempt.map(str::to_owned);
    WorkWrite::Again { id: work.id, generation: work.generation, due, attempt, held: None, look: true }
}

/// A unit that keeps its lease until `at(60)`.
pub(super) fn keeping(mut unit: Unit) -> Unit {
    unit.lease = LeaseAction::Renew(at(60));
    unit
}

pub(super) fn seq(number: i64) -> Seq {
    Seq(number)
}
