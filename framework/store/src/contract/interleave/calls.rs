//! The calls that are run against each other: every method that writes, and those whose answer spans more than one statement.

use super::super::kit::*;
use super::Scene;
use super::scene::{done_with, parked_as};
use super::shown::{outcome, taken, works};
use crate::{
    Approval, AuditEntry, Cursor, Delivery, Guard, History, HistoryOp, IntentState, IntentWrite, Key,
    KeyWrite, LeaseAction, Link, LocalBinding, PageCommit, ParkReason, ParkedFilter, Pause, PauseScope,
    Result, RowWrite, Settled, Side, Store, Take, Unit,
};
use bothways_model::{Mode, Record, Seq};
use futures::future::BoxFuture;

/// A call by name.
#[derive(Clone, Copy)]
pub struct Call {
    /// What it is called in failures.
    pub name: &'static str,
    /// Makes it and shows its answer.
    pub run: for<'a> fn(&'a dyn Store, &'a Scene) -> BoxFuture<'a, Result<String>>,
}

/// The time of all calls.
const NOW: i64 = 100;

macro_rules! calls {
    ($($name:literal => |$store:ident, $scene:ident| $body:expr),* $(,)?) => {
        vec![$(Call { name: $name, run: |$store, $scene| Box::pin(async move { $body }) }),*]
    };
}

fn shown<T: std::fmt::Debug>(value: T) -> Result<String> {
    Ok(format!("{value:?}"))
}

/// A call that the database refuses has an answer too; one that found it busy has none.
fn or_refused<T: std::fmt::Debug>(answer: Result<T>) -> Result<String> {
    match answer {
        Err(error) if error.kind != crate::StoreErrorKind::Retry => Ok(format!("{:?}", error.kind)),
        other => other.map(|value| format!("{value:?}")),
    }
}

async fn commit_all(store: &dyn Store, units: &[Unit]) -> Result<String> {
    let outcomes = store.commit(at(NOW), units).await?;
    Ok(outcomes.into_iter().map(outcome).collect::<Vec<_>>().join("\n"))
}

async fn take_some(store: &dyn Store, scene: &Scene, limit: usize) -> Result<String> {
    let pairs = [scene.pair, scene.other];
    let all = store.take(Take { now: at(NOW), until: at(NOW + 60), limit, pairs: &pairs }).await?;
    Ok(all.into_iter().map(taken).collect::<Vec<_>>().join("\n"))
}

fn entry(link: &Link, cause: &str) -> History {
    History {
        pair: link.pair,
        link: Some(link.id),
        local_id: link.local_id.clone(),
        remote_id: link.remote_id.clone(),
        side: Side::Remote,
        op: HistoryOp::Update,
        fields: Default::default(),
        rules: vec![20],
        cause: cause.into(),
        pass: None,
        approved_by: None,
    }
}

fn closing(link: &Link, number: u32) -> IntentWrite {
    IntentWrite::Close { link: link.id, number, state: IntentState::Confirmed, outcome: "ok".into() }
}

/// The look under way ends well: its intent is confirmed, the row gets a value, the work is done.
fn finishing(scene: &Scene) -> Unit {
    let mut unit = unit(&scene.held);
    let link = scene.held.link.clone().expect("a link");
    unit.intents = vec![closing(&link, scene.held.next_intent)];
    unit.history = vec![entry(&link, "finished")];
    let mut after = link;
    after.in_step_at = Some(at(NOW));
    unit.confirm = Some(write(&after, LocalBinding::Keep));
    unit.settle = settle(|row, link| Settled {
        row: match row {
            Some(_) => RowWrite::Update(Record::from_iter([("name", text("settled"))])),
            None => RowWrite::None,
        },
        link: Some(write(link, LocalBinding::Keep)),
        base_from_row: vec![("name".into(), "name".into()), ("email".into(), "email".into())],
        ..Settled::default()
    });
    unit.work = scene.held.work.iter().map(|w| done_with(w.id, w.generation, &w.facts)).collect();
    unit.signals = vec![remote(scene.pair, "cus_1")];
    unit
}

/// The look under way goes on to another remote write.
fn intending(scene: &Scene) -> Unit {
    let mut unit = unit(&scene.held);
    let link = scene.held.link.clone().expect("a link");
    unit.intents =
        vec![closing(&link, scene.held.next_intent), open(&link, scene.held.next_intent + 1, "update")];
    unit.history = vec![entry(&link, "intended")];
    unit.lease = LeaseAction::Renew(at(NOW + 100));
    unit
}

/// The look under way failed.
fn failing(scene: &Scene) -> Unit {
    let mut unit = unit(&scene.held);
    unit.work = scene.held.work.iter().map(|work| again(work, at(NOW + 30), Some("503"))).collect();
    unit
}

/// A link of nobody, leased under one of the spare tokens.
fn fresh(scene: &Scene, number: u128, token: i64) -> Link {
    Link {
        id: link_id(number),
        lease: Some(crate::Lease { token: Seq(scene.spare.0 + token), until: at(NOW + 60) }),
        local_id: None,
        remote_id: None,
        created_at: at(NOW),
        updated_at: at(NOW),
        state: crate::LinkState::Linked,
        ..scene.held.link.clone().expect("a link")
    }
}

/// Row 4 and the record `cus_9` are the same.
fn claiming(scene: &Scene) -> Unit {
    let mut link = fresh(scene, 70, 0);
    (link.local_id, link.remote_id) = (Some(scene.row(4).clone()), Some("cus_9".into()));
    Unit::new(Guard::Claim(Box::new(link)))
}

/// The record `cus_9` gets a row of its own.
fn inserting(scene: &Scene) -> Unit {
    let mut link = fresh(scene, 71, 1);
    link.remote_id = Some("cus_9".into());
    let mut unit = Unit::new(Guard::Claim(Box::new(link)));
    unit.settle = settle(|_, link| Settled {
        row: RowWrite::Insert(customer("Nine", "nine@x.test")),
        link: Some(write(link, LocalBinding::Inserted)),
        base_from_row: vec![("name".into(), "name".into())],
        ..Settled::default()
    });
    unit
}

/// Row 4 gets a record of its own, which is still to be made.
fn creating(scene: &Scene) -> Unit {
    let mut link = fresh(scene, 72, 2);
    link.local_id = Some(scene.row(4).clone());
    let mut unit = Unit::new(Guard::Claim(Box::new(link.clone())));
    unit.intents = vec![open(&link, 1, "create")];
    unit.lease = LeaseAction::Renew(at(NOW + 60));
    unit
}

/// The look under way finds that its record is `cus_9`.
fn binding(scene: &Scene) -> Unit {
    let mut unit = unit(&scene.held);
    let mut link = scene.held.link.clone().expect("a link");
    link.remote_id = Some("cus_9".into());
    unit.confirm = Some(write(&link, LocalBinding::Keep));
    unit
}

fn late(scene: &Scene) -> Unit {
    let mut unit = unit(&scene.late);
    let link = scene.late.link.clone().expect("a link");
    unit.intents = vec![closing(&link, scene.late.next_intent)];
    unit
}

fn stale(scene: &Scene) -> Unit {
    let mut unit = finishing(scene);
    unit.guard = Guard::Token { link: link_id(2), token: Seq(scene.held.token.0 - 1) };
    unit
}

fn delivery(scene: &Scene, event: &str, record: &str) -> Delivery {
    Delivery {
        connection: "stripe".into(),
        event: event.into(),
        about: None,
        signals: vec![remote(scene.pair, record)],
    }
}

fn page(scene: &Scene) -> PageCommit {
    let key = Key {
        pair: scene.pair,
        side: Side::Remote,
        id: "cus_9".into(),
        value: Some("nine@x.test".into()),
        seen: seq(2),
        content: None,
    };
    PageCommit {
        signals: vec![remote(scene.pair, "cus_9"), remote(scene.pair, "cus_2")],
        keys: vec![KeyWrite::Put(key)],
        events: vec![("stripe".into(), "evt_2".into())],
        pass: None,
        cursor: Some(Cursor { name: "feed/stripe".into(), value: 2.into() }),
    }
}

fn key_writes(scene: &Scene) -> [KeyWrite; 2] {
    let id = scene.row(4).0.clone();
    [
        KeyWrite::Drop { pair: scene.pair, side: Side::Local, id },
        KeyWrite::Linked { pair: scene.pair, side: Side::Remote, id: "cus_9".into() },
    ]
}

/// Every call that writes.
pub fn writing() -> Vec<Call> {
    calls! {
        "signal" => |store, x| {
            let signals = [local(x.pair, x.row(1)), remote(x.pair, "cus_9"), remote(x.pair, "cus_new")];
            shown(store.signal(at(NOW), &signals).await?)
        },
        "take two" => |store, x| take_some(store, x, 2).await,
        "take all" => |store, x| take_some(store, x, 50).await,
        "relay one" => |store, _x| shown(store.relay(at(NOW), 1).await?),
        "relay all" => |store, _x| shown(store.relay(at(NOW), 50).await?),
        "commit: finish" => |store, x| commit_all(store, &[finishing(x)]).await,
        "commit: intent" => |store, x| commit_all(store, &[intending(x)]).await,
        "commit: failed" => |store, x| commit_all(store, &[failing(x)]).await,
        "commit: late" => |store, x| commit_all(store, &[late(x)]).await,
        "commit: stale" => |store, x| commit_all(store, &[stale(x)]).await,
        "commit: claim" => |store, x| commit_all(store, &[claiming(x)]).await,
        "commit: insert" => |store, x| commit_all(store, &[inserting(x)]).await,
        "commit: create" => |store, x| commit_all(store, &[creating(x)]).await,
        "commit: bind" => |store, x| commit_all(store, &[binding(x)]).await,
        "commit: batch" => |store, x| commit_all(store, &[late(x), claiming(x), finishing(x)]).await,
        "lease" => |store, _x| {
            let one = store.lease(link_id(1), at(NOW), at(NOW + 60)).await?;
            Ok(one.map_or_else(String::new, taken))
        },
        "lease late" => |store, _x| {
            let one = store.lease(link_id(3), at(NOW), at(NOW + 60)).await?;
            Ok(one.map_or_else(String::new, taken))
        },
        "release" => |store, x| shown(store.release(link_id(2), x.held.token).await?),
        "end leases" => |store, _x| shown(store.end_leases(at(NOW)).await?),
        "sweep" => |store, _x| shown(store.sweep(at(NOW)).await?),
        "intake" => |store, x| {
            let all = ["evt_1", "evt_2", "evt_3"].map(|event| delivery(x, event, "cus_2"));
            shown(store.intake(at(NOW), &all).await?)
        },
        "intake again" => |store, x| {
            shown(store.intake(at(NOW), &[delivery(x, "evt_2", "cus_9")]).await?)
        },
        "page" => |store, x| shown(store.commit_page(at(NOW), &page(x)).await?),
        "replay" => |store, x| shown(store.replay(x.parked, at(NOW)).await?),
        "dismiss" => |store, x| shown(store.dismiss(x.parked).await?),
        "park group" => |store, x| {
            shown(store.park_group(x.pair, "ann@x.test", &parked_as(ParkReason::Ambiguous)).await?)
        },
        "clear group" => |store, x| shown(store.clear_group(x.pair, "ann@x.test").await?),
        "draw" => |store, _x| shown(store.draw(3).await?),
        "keys" => |store, x| shown(store.write_keys(&key_writes(x)).await?),
        "drop cursor" => |store, _x| shown(store.drop_cursor("feed/stripe").await?),
        "user insert" => |store, _x| {
            or_refused(store.insert_row("customers", &customer("New", "nine@x.test")).await)
        },
        "user update" => |store, x| {
            let fields = customer("Bob B.", "bob@b.test");
            or_refused(store.update_row("customers", x.row(2), &Record::new(), &fields).await)
        },
        "user delete" => |store, x| or_refused(store.delete_row("customers", x.row(2)).await),
        "prune" => |store, _x| shown(store.prune(at(40 * 86_400), 1).await?),
        "repair" => |store, _x| shown(store.repair().await?),
        "ensure pair" => |store, _x| shown(store.ensure_pair(&spec("customers", "third")).await?),
        "set account" => |store, x| {
            or_refused(store.set_account(x.pair, &"acct_1".into(), Mode::Test).await)
        },
        "approve" => |store, x| {
            let approval = Approval { digest: "d".into(), by: "ann".into(), at: at(NOW), terms: None };
            shown(store.approve(x.pair, &approval).await?)
        },
        "pause" => |store, x| {
            let scope = PauseScope::Pair(x.pair);
            let pause = Pause { scope, reason: "r".into(), by: "ann".into(), at: at(NOW) };
            shown(store.pause(&pause).await?)
        },
        "resume" => |store, x| shown(store.resume(&PauseScope::Pair(x.pair)).await?),
        "audit" => |store, _x| {
            let detail = serde_json::json!({});
            let entry = AuditEntry { at: at(NOW), by: "ann".into(), action: "pause".into(), detail };
            shown(store.audit(&entry).await?)
        },
    }
}

/// Calls that only read, whose answer must be of one moment.
pub fn reading() -> Vec<Call> {
    calls! {
        "counts" => |store, x| shown(store.counts(x.pair).await?),
        "groups" => |store, x| shown(store.unlinked_groups(x.pair, None, 99).await?),
        "links" => |store, _x| shown(store.links(&Default::default(), None, 99).await?),
        "links of rows" => |store, x| shown(store.links_of_local(x.pair, &x.rows).await?),
        "intents" => |store, _x| shown(store.intents(link_id(2), 9).await?),
        "parked work" => |store, _x| {
            Ok(works(store.parked(&ParkedFilter::default(), None, 99).await?))
        },
        "row" => |store, x| shown(store.row("customers", x.row(2)).await?),
        "rows" => |store, _x| shown(store.rows("customers", None, None, 99).await?),
        "next due" => |store, x| shown(store.next_due(&[x.pair, x.other]).await?),
    }
}
