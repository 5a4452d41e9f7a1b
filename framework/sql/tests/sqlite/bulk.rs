//! Sets: tables without triggers of other people are written many rows at a time, and one culprit costs only itself (rule 45).

use crate::foreign::{Program, at, done, inserting, pair, text};
use bothways_model::{Record, Value};
use bothways_store::{
    Guard, LeaseAction, LinkFilter, LinkWrite, Links, LocalBinding, RowWrite, Rows, Settled, Unit,
    UnitOutcome, WorkQueue,
};
use std::sync::Arc;

const PLAIN: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT UNIQUE, balance NUMERIC,
        level TEXT NOT NULL DEFAULT 'basic', joined TEXT, deleted_at TEXT);
    CREATE TABLE tags (code TEXT PRIMARY KEY, label TEXT);";

fn person(n: u128) -> Record {
    let mut fields = Record::from_iter([("name", text(&format!("n{n}"))), ("email", text(&format!("e{n}")))]);
    if n.is_multiple_of(3) {
        fields.set("balance", Value::Decimal(rust_decimal::Decimal::new(n as i64 * 10, 2)));
    }
    fields
}

#[tokio::test]
async fn inserts_of_many_shapes_keep_their_records() {
    let program = Program::with_tables(PLAIN).await;
    let pair = pair(&program.store).await;
    let outcomes = program.store.commit(at(10), &inserting(pair, 300, person)).await.unwrap();
    for (n, outcome) in (1_u128..).zip(outcomes) {
        let (link, row) = done(outcome);
        let row = row.unwrap();
        for (field, value) in person(n).iter() {
            assert_eq!(row.fields.get(field), Some(value));
        }
        assert_eq!(row.fields.get("level"), Some(&text("basic")));
        assert_eq!(link.local_id.as_ref(), Some(&row.id));
        assert_eq!(link.body.base["name"].local, Some(text(&format!("n{n}"))));
        assert_eq!(program.store.row("customers", &row.id).await.unwrap(), Some(row));
        assert_eq!(program.store.link(link.id).await.unwrap(), Some(link));
    }
    assert_eq!(program.number("SELECT count(*) FROM customers").await, 300);
}

#[tokio::test]
async fn one_culprit_costs_only_itself() {
    let program = Program::with_tables(PLAIN).await;
    let pair = pair(&program.store).await;
    let with_culprits = |n: u128| match n {
        50 => Record::from_iter([("name", Value::Null)]),
        70 => person(7),
        90 => Record::from_iter([("name", text("x")), ("joined", Value::Bool(true))]),
        _ => person(n),
    };
    let outcomes = program.store.commit(at(10), &inserting(pair, 100, with_culprits)).await.unwrap();
    for (n, outcome) in (1_u128..).zip(&outcomes) {
        let refused = matches!(outcome, UnitOutcome::RowRefused { .. });
        assert_eq!(refused, [50, 70, 90].contains(&n), "{n}: {outcome:?}");
    }
    assert_eq!(program.number("SELECT count(*) FROM customers").await, 97);
    assert_eq!(program.store.links(&LinkFilter::default(), None, 999).await.unwrap().len(), 100);
    let unbound = program.store.links(&LinkFilter::default(), None, 999).await.unwrap();
    assert_eq!(unbound.iter().filter(|l| l.local_id.is_none()).count(), 3);
}

#[tokio::test]
async fn updates_and_deletes_go_together() {
    let program = Program::with_tables(PLAIN).await;
    let store = &program.store;
    let pair = pair(store).await;
    let made = store.commit(at(10), &inserting(pair, 100, person)).await.unwrap();
    let links: Vec<_> = made.into_iter().map(|o| done(o).0).collect();
    let mut units = Vec::new();
    for (n, link) in (1_u128..).zip(&links) {
        let token = link.lease.unwrap().token;
        let mut unit = Unit::new(Guard::Token { link: link.id, token });
        unit.lease = LeaseAction::Renew(at(1_000));
        unit.settle = Some(Arc::new(move |row, link| {
            let name = row.and_then(|r| r.fields.get("name")).cloned();
            assert_eq!(name, Some(text(&format!("n{n}"))));
            let row = match n % 4 {
                0 => RowWrite::Delete,
                1 => RowWrite::Update(Record::from_iter([("name", text(&format!("m{n}")))])),
                2 => RowWrite::Archive(at(5)),
                _ => RowWrite::None,
            };
            let link = Some(LinkWrite { link: link.clone(), local: LocalBinding::Keep });
            Settled { row, link, base_from_row: vec![("name".into(), "name".into())], ..Settled::default() }
        }));
        units.push(unit);
    }
    let outcomes = store.commit(at(20), &units).await.unwrap();
    for ((n, outcome), before) in (1_u128..).zip(outcomes).zip(&links) {
        let (link, row) = done(outcome);
        let stored = store.row("customers", before.local_id.as_ref().unwrap()).await.unwrap();
        assert_eq!(stored, row);
        let name = row.as_ref().and_then(|r| r.fields.get("name")).cloned();
        match n % 4 {
            0 => assert_eq!(row, None),
            1 => assert_eq!(name, Some(text(&format!("m{n}")))),
            2 => assert_eq!(row.unwrap().deleted_at, Some(at(5))),
            _ => assert_eq!(name, Some(text(&format!("n{n}")))),
        }
        if let Some(name) = name {
            assert_eq!(link.body.base["name"].local, Some(name));
        }
    }
    assert_eq!(program.number("SELECT count(*) FROM customers").await, 75);
}

/// What one unit frees another may take, as if they ran one after the other.
#[tokio::test]
async fn a_unique_value_moves_within_a_batch() {
    let program = Program::with_tables(PLAIN).await;
    let store = &program.store;
    let pair = pair(store).await;
    let made = store.commit(at(10), &inserting(pair, 3, person)).await.unwrap();
    let links: Vec<_> = made.into_iter().map(|o| done(o).0).collect();
    let set = |n: usize, email: &str| {
        let mut unit = Unit::new(Guard::Token { link: links[n].id, token: links[n].lease.unwrap().token });
        let fields = Record::from_iter([("email", text(email))]);
        unit.settle = Some(Arc::new(move |_, _| Settled {
            row: RowWrite::Update(fields.clone()),
            ..Settled::default()
        }));
        unit
    };
    let outcomes = store.commit(at(20), &[set(0, "free"), set(1, "e1"), set(2, "e1")]).await.unwrap();
    assert!(matches!(outcomes[1], UnitOutcome::Done { .. }), "{outcomes:?}");
    assert!(matches!(outcomes[2], UnitOutcome::RowRefused { .. }), "{outcomes:?}");
    assert_eq!(program.number("SELECT count(*) FROM customers WHERE (name, email) IN (VALUES ('n1', 'free'), ('n2', 'e1'), ('n3', 'e3'))").await, 3);
}

#[tokio::test]
async fn hundreds_are_taken_at_once() {
    let program = Program::with_tables(PLAIN).await;
    let store = &program.store;
    let pair = pair(store).await;
    let mut units = inserting(pair, 250, person);
    for unit in &mut units {
        unit.lease = LeaseAction::Release;
    }
    store.commit(at(10), &units).await.unwrap();
    use bothways_store::Capture;
    while store.relay(at(20), 100).await.unwrap().more {}
    let pairs = [pair];
    let take = |limit| bothways_store::Take { now: at(20), until: at(80), limit, pairs: &pairs };
    let mut seen = std::collections::BTreeSet::new();
    for expected in [100, 100, 50, 0] {
        let taken = store.take(take(100)).await.unwrap();
        assert_eq!(taken.len(), expected);
        for one in taken {
            let (link, row) = (one.link.unwrap(), one.row.unwrap());
            assert_eq!(link.local_id.as_ref(), Some(&row.id));
            let n = link.remote_id.as_ref().unwrap().as_str().trim_start_matches("cus_").to_owned();
            assert_eq!(row.fields.get("name"), Some(&text(&format!("n{n}"))));
            assert!(seen.insert(link.id));
        }
    }
}
