//! Durable intake and cursors (rules 43, 48, 49, 52).

use super::Bench;
use super::kit::{at, local, pair, remote, seq};
use crate::{About, Cursor, Delivery, Key, KeyWrite, PageCommit, Side, TakenEvent};
use bothways_model::EventEffect;

fn delivery(connection: &str, event: &str, signals: Vec<crate::Signal>) -> Delivery {
    Delivery { connection: connection.into(), event: event.into(), about: None, signals }
}

/// A repeated event has no effect; another connection's event of the same id is another event.
pub async fn accepts_each_event_once(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let first = delivery("stripe", "evt_1", vec![remote(pair, "cus_1")]);
    let batch = [
        first.clone(),
        delivery("stripe", "evt_1", vec![remote(pair, "cus_never")]),
        delivery("other", "evt_1", vec![remote(pair, "cus_2")]),
        delivery("stripe", "evt_2", vec![]),
    ];
    assert_eq!(store.intake(at(0), &batch).await.unwrap(), [true, false, true, true]);
    let work = async |id: &str| store.work_of(pair, None, Some(&id.into())).await.unwrap();
    let before = work("cus_1").await;
    assert_eq!((before.len(), work("cus_2").await.len(), work("cus_never").await.len()), (1, 1, 0));
    assert_eq!(store.intake(at(1), &[first]).await.unwrap(), [false]);
    assert_eq!(work("cus_1").await, before, "not even a new generation");
}

/// What events told of a record is remembered, newest first: of this connection, this resource, this record.
pub async fn tells_what_events_were_about(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let about = |event: &str, resource: &str, record: &str, effect, looks: bool| Delivery {
        about: Some(About { resource: resource.into(), record: record.into(), effect }),
        ..delivery("stripe", event, looks.then(|| remote(pair, record)).into_iter().collect())
    };
    let made = about("evt_9", "customers", "cus_1", EventEffect::Upsert, true);
    let echo = about("evt_1", "customers", "cus_1", EventEffect::Upsert, false);
    let others = [
        about("evt_2", "invoices", "cus_1", EventEffect::Upsert, true),
        about("evt_3", "customers", "cus_2", EventEffect::Upsert, true),
        Delivery { connection: "other".into(), ..echo.clone() },
        delivery("stripe", "evt_4", vec![]),
    ];
    store.intake(at(0), std::slice::from_ref(&made)).await.unwrap();
    store.intake(at(1), &others).await.unwrap();
    let gone = about("evt_5", "customers", "cus_1", EventEffect::Delete, true);
    store.intake(at(1), &[echo, gone]).await.unwrap();
    // What was known already is as it was.
    store.intake(at(2), &[Delivery { signals: vec![], ..made }]).await.unwrap();
    let taken =
        async |limit| store.events_of(&"stripe".into(), "customers", &"cus_1".into(), limit).await.unwrap();
    let event = |event: &str, seconds, effect, signalled| TakenEvent {
        event: event.into(),
        at: at(seconds),
        effect,
        signalled,
    };
    let all = [
        event("evt_5", 1, EventEffect::Delete, true),
        event("evt_1", 1, EventEffect::Upsert, false),
        event("evt_9", 0, EventEffect::Upsert, true),
    ];
    assert_eq!(taken(10).await, all);
    assert_eq!(taken(2).await, all[..2]);
    assert_eq!(store.events_of(&"stripe".into(), "customers", &"cus_3".into(), 10).await.unwrap(), []);
}

/// A page and its cursor are one.
pub async fn commits_pages_with_their_cursor(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let value = serde_json::json!({"after": "cus_9", "n": 3});
    let key = Key {
        pair,
        side: Side::Remote,
        id: "cus_9".into(),
        value: Some("a".into()),
        seen: seq(1),
        content: None,
    };
    let page = PageCommit {
        signals: vec![remote(pair, "cus_9"), local(pair, &"1".into())],
        keys: vec![KeyWrite::Put(key.clone())],
        events: vec![("stripe".into(), "evt_7".into())],
        cursor: Some(Cursor { name: "walk".into(), value: value.clone() }),
        pass: None,
    };
    store.commit_page(at(0), &page).await.unwrap();
    assert_eq!(store.cursor("walk").await.unwrap(), Some(value));
    assert_eq!(store.work_of(pair, Some(&"1".into()), Some(&"cus_9".into())).await.unwrap().len(), 2);
    assert_eq!(store.groups_of(pair, &["a".to_owned()]).await.unwrap()[0].remote[0].key, key);
    let again = delivery("stripe", "evt_7", vec![remote(pair, "cus_9")]);
    assert_eq!(store.intake(at(1), &[again]).await.unwrap(), [false], "the feed brought it already");
    store.commit_page(at(2), &page).await.unwrap();
}

/// Cursors are replaced and removed by name.
pub async fn cursors_come_and_go(bench: &dyn Bench) {
    let store = bench.store();
    let set = async |name: &str, value: i64| {
        let cursor = Some(Cursor { name: name.into(), value: value.into() });
        store.commit_page(at(0), &PageCommit { cursor, ..PageCommit::default() }).await.unwrap();
    };
    assert_eq!(store.cursor("a").await.unwrap(), None);
    set("a", 1).await;
    set("a", 2).await;
    set("b", 3).await;
    store.drop_cursor("b").await.unwrap();
    store.drop_cursor("nobody").await.unwrap();
    assert_eq!(store.cursor("a").await.unwrap(), Some(2.into()));
    assert_eq!(store.cursor("b").await.unwrap(), None);
}
