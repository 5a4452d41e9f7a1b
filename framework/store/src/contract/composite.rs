//! A table whose key is two columns: its rows are named, captured, written and read by both.

use super::Bench;
use super::kit::{at, done, link_id, linked, look_at, new_link, relay, settle, spec, take, text};
use super::kit::{unit, write};
use crate::{Fact, Guard, LinkState, LocalBinding, RowUpdate, RowWrite, Settled, Store, Unit, UnitOutcome};
use bothways_model::{LocalId, PairId, Record, Value};

fn seat(tenant: i64, code: &str, holder: &str) -> Record {
    Record::from_iter([("tenant", Value::Int(tenant)), ("code", text(code)), ("holder", text(holder))])
}

fn held_by(holder: &str) -> Record {
    Record::from_iter([("holder", text(holder))])
}

async fn pair(store: &dyn Store) -> PairId {
    store.ensure_pair(&spec("seats", "stripe")).await.expect("a pair").id
}

async fn holder(store: &dyn Store, id: &str) -> Option<Value> {
    let row = store.row("seats", &id.into()).await.unwrap();
    row.and_then(|row| row.fields.get("holder").cloned())
}

/// Two tenants may have the same code; what is done to one row is done to that row.
pub async fn rows_are_told_apart_by_every_part(bench: &dyn Bench) {
    let store = bench.store();
    for tenant in [1, 2] {
        let row = store.insert_row("seats", &seat(tenant, "a/b%", "nobody")).await.unwrap();
        assert_eq!(row.id, LocalId(format!("{tenant}/a%2Fb%25")));
        assert_eq!(store.row("seats", &row.id).await.unwrap(), Some(row));
    }
    let twice = store.insert_row("seats", &seat(2, "a/b%", "again")).await.unwrap_err();
    assert_eq!(twice.kind, crate::StoreErrorKind::Refused);
    let (one, other) = (LocalId::from("1/a%2Fb%25"), "2/a%2Fb%25");
    let done = store.update_row("seats", &one, &held_by("nobody"), &held_by("Ada")).await.unwrap();
    assert!(matches!(done, RowUpdate::Done(row) if row.id == one));
    assert_eq!(holder(store, other).await, Some(text("nobody")));
    let moved = Record::from_iter([("code", text("c"))]);
    let done = store.update_row("seats", &one, &Record::new(), &moved).await.unwrap();
    assert!(matches!(done, RowUpdate::Done(row) if row.id == "1/c".into()), "a part may be set");
    assert!(store.delete_row("seats", &"1/c".into()).await.unwrap());
    assert_eq!((holder(store, "1/c").await, holder(store, other).await), (None, Some(text("nobody"))));
    for id in ["1", "2/a/b%", "02/a%2Fb%25", "2/a%2fb%25", "x/a%2Fb%25", ""] {
        assert_eq!(store.row("seats", &id.into()).await.unwrap(), None, "{id}");
        assert!(!store.delete_row("seats", &id.into()).await.unwrap(), "{id}");
    }
}

/// Whole numbers by value, then texts by bytes.
pub async fn pages_follow_the_whole_key(bench: &dyn Bench) {
    let store = bench.store();
    for (tenant, code) in [(10, "a"), (2, "b"), (2, "Ba"), (-1, "z"), (2, "a"), (10, "")] {
        bench.insert("seats", seat(tenant, code, "x")).await;
    }
    for limit in 1..=6 {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = store.rows("seats", None, after.as_ref(), limit).await.unwrap();
            ids.extend(page.rows.into_iter().map(|row| row.id.0));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(ids, ["-1/z", "2/Ba", "2/a", "2/b", "10/", "10/a"], "{limit} a page");
    }
    let found = store.rows("seats", Some("2/B"), None, 9).await.unwrap();
    assert_eq!(found.rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["2/Ba", "2/b"]);
    let nowhere = store.rows("seats", None, Some(&"2".into()), 9).await.unwrap_err();
    assert_eq!(nowhere.kind, crate::StoreErrorKind::Unknown);
}

/// Whoever writes: inserts, updates and deletes are known by the whole key.
pub async fn changes_are_captured_by_the_whole_key(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let ids =
        [bench.insert("seats", seat(1, "a", "x")).await, bench.insert("seats", seat(2, "a", "x")).await];
    relay(store, 0).await;
    let mut seen: Vec<LocalId> =
        take(store, pair, 0).await.into_iter().filter_map(|t| Some(t.row?.id)).collect();
    seen.sort();
    assert_eq!(seen, ids);
    bench.update("seats", &ids[0], held_by("Ada")).await;
    bench.delete("seats", &ids[1]).await;
    relay(store, 70).await;
    let facts = async |id: &LocalId| {
        let work = store.work_of(pair, Some(id), None).await.unwrap();
        work.iter().map(|work| work.facts.len()).sum::<usize>()
    };
    assert_eq!((facts(&ids[0]).await, facts(&ids[1]).await), (0, 1), "one delete");
    assert_eq!(holder(store, "1/a").await, Some(text("Ada")));
}

/// A change of any part is a change of the key; a swap is one.
pub async fn links_follow_a_changed_part(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let a = bench.insert("seats", seat(1, "a", "A")).await;
    let b = bench.insert("seats", seat(2, "a", "B")).await;
    relay(store, 0).await;
    linked(store, pair, 1, Some(&a), Some("cus_a")).await;
    linked(store, pair, 2, Some(&b), Some("cus_b")).await;
    let local_of = async |n: u128| store.link(link_id(n)).await.unwrap().unwrap().local_id;
    bench.rekey("seats", &a, &"3/a".into()).await;
    relay(store, 5).await;
    assert_eq!((local_of(1).await, local_of(2).await), (Some("3/a".into()), Some(b.clone())));
    bench.rekey("seats", &"3/a".into(), &"3/c".into()).await;
    bench.swap("seats", &"3/c".into(), &b, &"0/spare".into()).await;
    relay(store, 6).await;
    assert_eq!((local_of(1).await, local_of(2).await), (Some(b), Some("3/c".into())));
    for taken in take(store, pair, 9).await {
        assert!(taken.work.iter().all(|work| work.facts.is_empty()), "nothing was deleted");
        let expected = if taken.link.is_some_and(|l| l.id == link_id(1)) { "A" } else { "B" };
        assert_eq!(taken.row.and_then(|r| r.fields.get("holder").cloned()), Some(text(expected)));
    }
}

/// Who is in the way by another unique column is gone; who has the same key is the same row.
pub async fn replaced_rows_are_known(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let badge = |mut seat: Record, badge: &str| {
        seat.set("badge", text(badge));
        seat
    };
    let victim = bench.insert("seats", badge(seat(1, "a", "old"), "77")).await;
    relay(store, 0).await;
    linked(store, pair, 1, Some(&victim), Some("cus_1")).await;
    take(store, pair, 0).await;
    let fresh = bench.replace("seats", badge(seat(1, "b", "new"), "77")).await;
    relay(store, 70).await;
    let all = take(store, pair, 70).await;
    let of_link = all.iter().find(|t| t.link.as_ref().is_some_and(|l| l.id == link_id(1)));
    assert!(of_link.is_some_and(|t| t.row.is_none()), "{all:?}");
    assert!(all.iter().any(|t| t.row.as_ref().is_some_and(|r| r.id == fresh)), "{all:?}");
    bench.replace("seats", seat(1, "b", "newer")).await;
    relay(store, 140).await;
    let all = take(store, pair, 140).await;
    assert!(all.iter().any(|t| t.row.as_ref().is_some_and(|r| r.id == fresh)), "{all:?}");
    assert!(
        all.iter().flat_map(|t| &t.work).all(|w| !w.facts.iter().any(|f| matches!(f, Fact::Deleted { .. })))
    );
}

/// The engine's own writes, alone and many at once.
pub async fn the_engine_writes_whole_keys(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let inserting = async |n: u128, tenant: i64| {
        let link = new_link(store, pair, n, None, Some(&format!("cus_{n}"))).await;
        let mut unit = Unit::new(Guard::Claim(Box::new(link)));
        unit.settle = settle(move |_, link| Settled {
            row: RowWrite::Insert(seat(tenant, "a", &format!("n{n}"))),
            link: Some(write(link, LocalBinding::Inserted)),
            ..Settled::default()
        });
        unit
    };
    let mut units = Vec::new();
    for n in 1..=5 {
        units.push(inserting(n, n as i64).await);
    }
    let mut links = Vec::new();
    for (n, outcome) in (1..).zip(store.commit(at(10), &units).await.unwrap()) {
        let (link, row) = done(outcome);
        assert_eq!(link.local_id, Some(LocalId(format!("{n}/a"))));
        assert_eq!(row.and_then(|r| r.fields.get("holder").cloned()), Some(text(&format!("n{n}"))));
        links.push(link);
    }
    let taken = store.commit(at(11), &[inserting(6, 5).await]).await.unwrap();
    let bound = matches!(&taken[0], UnitOutcome::Done { link: Some(link), .. } if link.local_id.is_some());
    assert!(!bound, "another row has the key: {taken:?}");
    assert_eq!(holder(store, "5/a").await, Some(text("n5")));
    let mut units = Vec::new();
    for link in &links[..4] {
        let taken = look_at(store, link, 20).await;
        let n = links.iter().position(|l| l.id == link.id).unwrap();
        let mut unit = unit(&taken);
        unit.settle = settle(move |row, link| {
            assert_eq!(row.map(|row| &row.id), link.local_id.as_ref());
            let row = match n {
                0 => RowWrite::Delete,
                _ => RowWrite::Update(held_by(&format!("later {n}"))),
            };
            Settled { row, link: Some(write(link, LocalBinding::Keep)), ..Settled::default() }
        });
        units.push(unit);
    }
    for (n, outcome) in store.commit(at(30), &units).await.unwrap().into_iter().enumerate() {
        let (link, row) = done(outcome);
        assert_eq!((link.state, row.is_some()), (LinkState::Linked, n > 0));
    }
    let expected = [None, Some("later 1"), Some("later 2"), Some("later 3"), Some("n5")];
    for (n, expected) in expected.into_iter().enumerate() {
        assert_eq!(holder(store, &format!("{}/a", n + 1)).await, expected.map(text));
    }
    relay(store, 100).await;
    let all = take(store, pair, 200).await;
    assert!(all.len() == 5 && all.iter().all(|t| t.link.is_some()), "captured as theirs: {all:?}");
}
