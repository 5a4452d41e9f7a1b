//! The row part of a unit: decided on the row as it is now, carried out and read back, or refused (rules 15, 21, 69, S18).

use super::Bench;
use super::kit::{
    at, base, commit, customer, done, keeping, linked, local, look_at, new_link, open, pair, relay, remote,
    settle, spec, take, take_one, text, unit, write,
};
use crate::{
    Guard, History, HistoryFilter, HistoryOp, LinkState, LocalBinding, ParkReason, Parked, RowWrite, Settled,
    Side, Taken, Unit, UnitOutcome, WorkWrite,
};
use bothways_model::{LinkId, LocalId, PairId, Record, Value};

pub(super) fn history(pair: PairId, link: LinkId, op: HistoryOp) -> History {
    History {
        pair,
        link: Some(link),
        local_id: None,
        remote_id: None,
        side: Side::Local,
        op,
        fields: Default::default(),
        rules: vec![21],
        cause: "test".into(),
        pass: None,
        approved_by: None,
    }
}

fn set(field: &str, value: Value) -> Record {
    Record::from_iter([(field, value)])
}

/// Whatever was read when the look began, the row part sees what is there now.
pub async fn sees_the_newest_row(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    bench.update("customers", &id, set("name", text("Countess"))).await;
    let mut look = unit(&taken);
    let expected = id.clone();
    look.settle = settle(move |row, link| {
        let row = row.expect("the row is there");
        assert_eq!((&row.id, link.local_id.as_ref()), (&expected, Some(&expected)));
        assert_eq!(row.fields.get("name"), Some(&text("Countess")));
        Settled::default()
    });
    let (_, row) = done(commit(store, look).await);
    assert_eq!(row.unwrap().fields.get("name"), Some(&text("Countess")));
}

/// The key, the default, the trigger: all of it comes back, and the link, the bases and the history have it.
pub async fn inserts_and_reads_back(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = new_link(store, pair, 1, None, Some("cus_1")).await;
    let id = link.id;
    let mut claim = Unit::new(Guard::Claim(Box::new(link)));
    claim.history = vec![history(pair, id, HistoryOp::Link)];
    claim.settle = settle(move |row, link| {
        assert!(row.is_none());
        let mut link = link.clone();
        link.body.base.insert("who".into(), base(None, Some(text("  Ada "))));
        let mut fields = customer("  Ada ", "ada@x.test");
        fields.set("balance", Value::Decimal("12.50".parse().unwrap()));
        fields.set("joined", Value::Timestamp(at(5)));
        Settled {
            row: RowWrite::Insert(fields),
            link: Some(write(&link, LocalBinding::Inserted)),
            base_from_row: vec![("who".into(), "name".into()), ("tier".into(), "level".into())],
            history: vec![history(pair, id, HistoryOp::Create)],
            ..Settled::default()
        }
    });
    let (link, row) = done(commit(store, claim).await);
    let row = row.unwrap();
    assert_eq!(row.fields.get("id"), Some(&Value::Int(row.id.as_str().parse().unwrap())));
    assert_eq!(row.fields.get("name"), Some(&text("Ada")), "the trigger trims");
    assert_eq!(row.fields.get("level"), Some(&text("basic")), "the default");
    assert_eq!(row.fields.get("balance"), Some(&Value::Decimal("12.5".parse().unwrap())));
    assert_eq!(row.fields.get("joined"), Some(&Value::Timestamp(at(5))));
    assert_eq!(store.row("customers", &row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(link.local_id, Some(row.id.clone()));
    assert_eq!(link.body.base["who"], base(Some(text("Ada")), Some(text("  Ada "))));
    assert_eq!(link.body.base["tier"].local, Some(text("basic")));
    assert_eq!(store.link(id).await.unwrap(), Some(link));
    for entry in store.history(&HistoryFilter::default(), None, 9).await.unwrap() {
        assert_eq!(entry.entry.local_id, Some(row.id.clone()), "{:?}", entry.entry.op);
    }
}

/// Keys that the engine makes are in the fields.
pub async fn inserts_with_the_engines_key(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let link = linked(store, pair, 1, None, Some("t_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut insert = unit(&taken);
    insert.settle = settle(|_, link| Settled {
        row: RowWrite::Insert(Record::from_iter([("code", text("red")), ("label", Value::Null)])),
        link: Some(write(link, LocalBinding::Inserted)),
        ..Settled::default()
    });
    let (link, row) = done(commit(store, insert).await);
    assert_eq!(link.local_id, Some("red".into()));
    assert_eq!(row.unwrap().fields.get("label"), Some(&Value::Null));
}

/// An update sets what it names, and the base is what the row holds afterwards.
pub async fn updates_and_rebases(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut update = unit(&taken);
    update.settle = settle(|_, link| Settled {
        row: RowWrite::Update(Record::from_iter([("name", text(" Bea ")), ("level", text("gold"))])),
        link: Some(write(link, LocalBinding::Keep)),
        base_from_row: vec![("who".into(), "name".into())],
        ..Settled::default()
    });
    let (link, row) = done(commit(store, update).await);
    let row = row.unwrap();
    assert_eq!(row.fields.get("name"), Some(&text("Bea")));
    assert_eq!(row.fields.get("level"), Some(&text("gold")));
    assert_eq!(row.fields.get("email"), Some(&text("ada@x.test")));
    assert_eq!(link.body.base["who"].local, Some(text("Bea")));
}

/// `deleted_at`.
pub async fn archives_and_restores(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut archive = keeping(unit(&taken));
    archive.settle = settle(|_, _| Settled { row: RowWrite::Archive(at(7)), ..Settled::default() });
    let (_, row) = done(commit(store, archive).await);
    assert_eq!(row.unwrap().deleted_at, Some(at(7)));
    assert_eq!(store.row("customers", &id).await.unwrap().unwrap().deleted_at, Some(at(7)));
    let mut restore = unit(&taken);
    restore.settle = settle(|row, _| {
        assert_eq!(row.and_then(|r| r.deleted_at), Some(at(7)));
        Settled { row: RowWrite::Restore(set("name", text("Back"))), ..Settled::default() }
    });
    let (_, row) = done(commit(store, restore).await);
    let row = row.unwrap();
    assert_eq!((row.deleted_at, row.fields.get("name")), (None, Some(&text("Back"))));
}

/// A delete, and a second one that finds nothing.
pub async fn deletes_the_row(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    for _ in 0..2 {
        let mut delete = keeping(unit(&taken));
        delete.settle = settle(|_, _| Settled { row: RowWrite::Delete, ..Settled::default() });
        let (_, row) = done(commit(store, delete).await);
        assert_eq!(row, None);
    }
    assert_eq!(store.row("customers", &id).await.unwrap(), None);
    relay(store, 20).await;
    let mut update = unit(&take_one(store, pair, 80).await);
    update.settle =
        settle(|_, _| Settled { row: RowWrite::Update(set("name", text("x"))), ..Settled::default() });
    assert!(
        matches!(commit(store, update).await, UnitOutcome::RowRefused { .. }),
        "there is nothing to update"
    );
}

/// What the service confirmed stays, whatever the table says.
pub async fn a_refused_row_keeps_the_confirmation(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    bench.insert("customers", customer("Bob", "taken@x.test")).await;
    relay(store, 0).await;
    take(store, pair, 0).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    relay(store, 20).await;
    let taken = take(store, pair, 20).await.remove(0);
    let mut pull = unit(&taken);
    let mut confirmed = link.clone();
    confirmed.in_step_at = Some(at(9));
    pull.confirm = Some(write(&confirmed, LocalBinding::Keep));
    pull.intents = vec![open(&link, 1, "update")];
    pull.history = vec![history(pair, link.id, HistoryOp::Update)];
    pull.work =
        vec![WorkWrite::Done { id: taken.work[0].id, generation: taken.work[0].generation, facts: vec![] }];
    pull.signals = vec![remote(pair, "kept")];
    pull.settle = settle(move |_, link| {
        let mut link = link.clone();
        link.state = LinkState::Detached;
        Settled {
            row: RowWrite::Update(Record::from_iter([
                ("name", text("Eve")),
                ("email", text("taken@x.test")),
            ])),
            link: Some(write(&link, LocalBinding::Keep)),
            base_from_row: vec![("who".into(), "name".into())],
            history: vec![history(pair, link.id, HistoryOp::Conflict)],
            signals: vec![remote(pair, "undone")],
            ..Settled::default()
        }
    });
    let outcome = commit(store, pull).await;
    let UnitOutcome::RowRefused { message } = outcome else { panic!("{outcome:?}") };
    assert!(!message.contains("taken@x.test"), "{message}");
    let stored = store.link(link.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.in_step_at, stored.state, stored.body.base.len()),
        (Some(at(9)), LinkState::Linked, 0)
    );
    assert_eq!(stored.lease, None);
    assert_eq!(store.row("customers", &id).await.unwrap().unwrap().fields.get("name"), Some(&text("Ada")));
    assert_eq!(store.intents(link.id, 9).await.unwrap().len(), 1);
    let ops: Vec<_> =
        store.history(&HistoryFilter::default(), None, 9).await.unwrap().iter().map(|h| h.entry.op).collect();
    assert_eq!(ops, [HistoryOp::Update]);
    assert!(store.work_of(pair, None, Some(&"undone".into())).await.unwrap().is_empty());
    assert_eq!(store.work_of(pair, None, Some(&"kept".into())).await.unwrap().len(), 1);
    assert!(store.work_of(pair, Some(&id), None).await.unwrap().is_empty(), "the work is done");
}

/// What the table refuses is not done: it waits for a person, with the table's words.
pub async fn a_refused_row_parks_its_work(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    bench.insert("customers", customer("Bob", "taken@x.test")).await;
    relay(store, 0).await;
    take(store, pair, 0).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    relay(store, 20).await;
    let taken = take(store, pair, 20).await.remove(0);
    let (work, generation) = (taken.work[0].id, taken.work[0].generation);
    let pull = |email: &'static str| {
        let mut pull = unit(&taken);
        pull.work = vec![WorkWrite::Done { id: work, generation, facts: vec![] }];
        let parked =
            Parked { reason: ParkReason::Error, message: "refused".into(), digest: "d".into(), at: at(20) };
        pull.work_if_refused = vec![WorkWrite::Park { id: work, generation, parked }];
        pull.settle = settle(move |_, _| Settled {
            row: RowWrite::Update(Record::from_iter([("email", text(email))])),
            ..Settled::default()
        });
        pull
    };
    let outcome = commit(store, pull("taken@x.test")).await;
    let UnitOutcome::RowRefused { message } = outcome else { panic!("{outcome:?}") };
    let parked = store.work(work).await.unwrap().unwrap().parked.unwrap();
    assert_eq!(parked.message, format!("refused: {message}"));
}

/// One culprit in a batch of inserts; the others are in.
pub async fn a_refused_row_does_not_disturb_the_batch(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut units = Vec::new();
    for n in 0..20_u128 {
        let link = new_link(store, pair, n + 1, None, Some(&format!("cus_{n}"))).await;
        let mut unit = Unit::new(Guard::Claim(Box::new(link)));
        let email = if n == 7 { "e6@x.test".to_owned() } else { format!("e{n}@x.test") };
        unit.settle = settle(move |_, link| Settled {
            row: RowWrite::Insert(customer(&format!("n{n}"), &email)),
            link: Some(write(link, LocalBinding::Inserted)),
            ..Settled::default()
        });
        units.push(unit);
    }
    let outcomes = store.commit(at(10), &units).await.unwrap();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        if n == 7 {
            assert!(matches!(outcome, UnitOutcome::RowRefused { .. }), "{outcome:?}");
        } else {
            let (link, row) = done(outcome);
            let row = row.unwrap();
            assert_eq!(
                (link.local_id, row.fields.get("name")),
                (Some(row.id), Some(&text(&format!("n{n}"))))
            );
        }
    }
    assert_eq!(store.count_rows("customers").await.unwrap(), 19);
    assert_eq!(store.links(&Default::default(), None, 99).await.unwrap().len(), 20);
}

/// NOT NULL, a raising trigger, and a field that the catalog has but of another type.
pub async fn a_refusal_by_the_table_itself_is_one(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    for bad in [set("name", Value::Null), set("name", text("forbidden")), set("balance", text("lots"))] {
        let mut update = keeping(unit(&taken));
        update.settle =
            settle(move |_, _| Settled { row: RowWrite::Update(bad.clone()), ..Settled::default() });
        let outcome = commit(store, update).await;
        assert!(matches!(outcome, UnitOutcome::RowRefused { .. }), "{outcome:?}");
    }
}

/// Aborting undoes what came before it in the unit.
pub async fn aborts_without_a_trace(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = new_link(store, pair, 1, Some(&"1".into()), None).await;
    let mut claim = Unit::new(Guard::Claim(Box::new(link.clone())));
    claim.intents = vec![open(&link, 1, "create")];
    claim.history = vec![history(pair, link.id, HistoryOp::Link)];
    claim.signals = vec![remote(pair, "x")];
    claim.settle = settle(|row, _| {
        assert!(row.is_none());
        Settled { abort: true, ..Settled::default() }
    });
    assert_eq!(commit(store, claim).await, UnitOutcome::Aborted);
    assert!(store.link(link.id).await.unwrap().is_none());
    assert!(store.intents(link.id, 9).await.unwrap().is_empty());
    assert!(store.history(&HistoryFilter::default(), None, 9).await.unwrap().is_empty());
    assert!(store.work_of(pair, None, Some(&"x".into())).await.unwrap().is_empty());
}

/// A row that holds nonsense stops only itself.
pub async fn an_unreadable_row_is_refused(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let bad = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let good = bench.insert("customers", customer("Bob", "bob@x.test")).await;
    linked(store, pair, 1, Some(&bad), Some("cus_1")).await;
    linked(store, pair, 2, Some(&good), Some("cus_2")).await;
    bench.spoil(&bad).await;
    relay(store, 20).await;
    let all = take(store, pair, 20).await;
    assert_eq!(all.len(), 2);
    let (mut units, mut spoiled) = (Vec::new(), Vec::new());
    for taken in &all {
        let is_bad = taken.link.as_ref().and_then(|l| l.local_id.as_ref()) == Some(&bad);
        assert_eq!(taken.row.is_none(), is_bad);
        let error = taken.row_error.clone().unwrap_or_default();
        assert_eq!(error.contains("customers.balance"), is_bad, "{error}");
        let mut unit = unit(taken);
        unit.settle = settle(|_, _| Settled {
            row: RowWrite::Update(set("level", text("gold"))),
            ..Settled::default()
        });
        units.push(unit);
        spoiled.push(is_bad);
    }
    let outcomes = store.commit(at(20), &units).await.unwrap();
    for (outcome, bad) in outcomes.iter().zip(spoiled) {
        assert_eq!(matches!(outcome, UnitOutcome::RowRefused { .. }), bad, "{outcome:?}");
    }
}

/// Units of one batch about one link are carried out one after the other.
pub async fn several_units_for_one_link(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("0", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let step = |n: i64| {
        let mut one = if n < 3 { keeping(unit(&taken)) } else { unit(&taken) };
        one.settle = settle(move |row, link| {
            let name = row.and_then(|r| r.fields.get("name")).cloned();
            assert_eq!((name, link.body.base.len()), (Some(text(&(n - 1).to_string())), n as usize - 1));
            let mut link = link.clone();
            link.body.base.insert(format!("f{n}"), base(Some(Value::Int(n)), None));
            Settled {
                row: RowWrite::Update(set("name", text(&n.to_string()))),
                link: Some(write(&link, LocalBinding::Keep)),
                ..Settled::default()
            }
        });
        one
    };
    let outcomes = store.commit(at(30), &[step(1), step(2), step(3), unit(&taken)]).await.unwrap();
    assert_eq!(outcomes[3], UnitOutcome::Stale, "the third released the lease");
    assert_eq!(store.row("customers", &id).await.unwrap().unwrap().fields.get("name"), Some(&text("3")));
    assert_eq!(store.link(link.id).await.unwrap().unwrap().body.base.len(), 3);
}

/// A large batch: every link is bound to the row made from its own record.
pub async fn many_inserts_keep_their_records(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut units = Vec::new();
    for n in 0..500_u128 {
        let link = new_link(store, pair, n + 1, None, Some(&format!("cus_{n}"))).await;
        let mut unit = Unit::new(Guard::Claim(Box::new(link)));
        unit.settle = settle(move |_, link| {
            let mut fields = customer(&format!("n{n}"), &format!("e{n}@x.test"));
            if n % 3 == 0 {
                fields.set("level", text("gold"));
            }
            let link = Some(write(link, LocalBinding::Inserted));
            Settled { row: RowWrite::Insert(fields), link, ..Settled::default() }
        });
        units.push(unit);
    }
    for (n, outcome) in store.commit(at(10), &units).await.unwrap().into_iter().enumerate() {
        let (link, row) = done(outcome);
        assert_eq!(link.remote_id, Some(format!("cus_{n}").into()));
        let stored = store.row("customers", &link.local_id.unwrap()).await.unwrap();
        assert_eq!(stored, row);
        let stored = stored.unwrap();
        assert_eq!(stored.fields.get("name"), Some(&text(&format!("n{n}"))));
        let level = if n % 3 == 0 { "gold" } else { "basic" };
        assert_eq!(stored.fields.get("level"), Some(&text(level)));
    }
}

/// The engine's own row writes are captured like anybody's; nothing is dropped because of its origin (rule 38).
pub async fn engine_writes_are_captured(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, None, Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut insert = unit(&taken);
    insert.settle = settle(|_, link| Settled {
        row: RowWrite::Insert(customer("Ada", "ada@x.test")),
        link: Some(write(link, LocalBinding::Inserted)),
        ..Settled::default()
    });
    let (link, _) = done(commit(store, insert).await);
    let id: LocalId = link.local_id.unwrap();
    relay(store, 30).await;
    let work = store.work_of(pair, Some(&id), None).await.unwrap();
    assert_eq!((work.len(), work[0].look), (1, false));
}

/// What happened to a row since it was taken: whether its key was changed (else it was deleted), and whether that is relayed.
const MOVES: [(u128, bool, bool); 4] =
    [(1, false, false), (2, true, false), (3, false, true), (4, true, true)];

/// A linked tag that is taken and, after that, deleted or given another key, so that its code is another tag's.
async fn taken_and_moved(
    bench: &dyn Bench,
    (number, rekeyed, relayed): (u128, bool, bool),
) -> (PairId, LocalId, Taken) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let tag = |code: &str, label: &str| Record::from_iter([("code", text(code)), ("label", text(label))]);
    let code = format!("red {number}");
    let id = bench.insert("tags", tag(&code, "old")).await;
    relay(store, 0).await;
    let link = linked(store, pair, number, Some(&id), Some(&format!("t_{number}"))).await;
    store.signal(at(1), &[local(pair, &id)]).await.unwrap();
    let mut all = take(store, pair, 1).await.into_iter();
    let taken = all.find(|taken| taken.link.as_ref().is_some_and(|l| l.id == link.id)).unwrap();
    match rekeyed {
        true => bench.rekey("tags", &id, &LocalId(format!("blue {number}"))).await,
        false => bench.delete("tags", &id).await,
    }
    bench.insert("tags", tag(&code, "new")).await;
    if relayed {
        relay(store, 2).await;
    }
    (pair, id, taken)
}

/// A row that was deleted, or got another key, after it was taken: whoever has its id now is not written, and the link is looked at
/// again. What the service confirmed stands (rules 21, 29, 30).
pub async fn leaves_a_row_alone_that_may_be_another(bench: &dyn Bench) {
    let store = bench.store();
    for (number, rekeyed, relayed) in MOVES {
        let (pair, id, taken) = taken_and_moved(bench, (number, rekeyed, relayed)).await;
        let link = taken.link.clone().unwrap();
        let mut confirmed = link.clone();
        confirmed.in_step_at = Some(at(9));
        let mut look = unit(&taken);
        look.confirm = Some(write(&confirmed, LocalBinding::Keep));
        look.settle = settle(move |row, _| {
            // A key change that is relayed has moved the link along.
            assert!(rekeyed && relayed, "there is nothing to decide on");
            assert_eq!(row.and_then(|row| row.fields.get("label")), Some(&text("old")));
            Settled::default()
        });
        look.work = vec![WorkWrite::Done {
            id: taken.work[0].id,
            generation: taken.work[0].generation,
            facts: vec![],
        }];
        let (after, row) = done(commit(store, look).await);
        assert_eq!((after.in_step_at, after.lease), (Some(at(9)), None));
        assert_eq!(row.is_some(), rekeyed && relayed);
        let row = store.row("tags", &id).await.unwrap().unwrap();
        assert_eq!(row.fields.get("label"), Some(&text("new")));
        let work = store.work_of(pair, Some(&id), None).await.unwrap();
        assert!(work.iter().any(|work| work.due.is_some()), "{work:?}");
        let again = take(store, pair, 20).await;
        let again = again.iter().find(|taken| taken.link.as_ref().is_some_and(|l| l.id == link.id)).unwrap();
        let deleted = again.work.iter().any(|work| !work.facts.is_empty());
        let label = again.row.as_ref().and_then(|row| row.fields.get("label"));
        match rekeyed {
            true => assert_eq!((deleted, label), (false, Some(&text("old")))),
            false => assert_eq!((deleted, label), (true, Some(&text("new")))),
        }
        relay(store, 20).await;
        take(store, pair, 20).await;
    }
}

/// Nor is anything sent on what such a row was thought to be.
pub async fn sends_nothing_for_a_row_that_may_be_another(bench: &dyn Bench) {
    let store = bench.store();
    for moved in MOVES.into_iter().filter(|(_, rekeyed, relayed)| !(*rekeyed && *relayed)) {
        let (pair, _, taken) = taken_and_moved(bench, moved).await;
        let link = taken.link.clone().unwrap();
        let mut send = keeping(unit(&taken));
        send.intents = vec![open(&link, 1, "update")];
        assert_eq!(commit(store, send).await, UnitOutcome::Aborted);
        assert!(store.intents(link.id, 9).await.unwrap().is_empty());
        store.release(link.id, taken.token).await.unwrap();
        let again = take(store, pair, 61).await;
        let again = again.iter().find(|taken| taken.link.as_ref().is_some_and(|l| l.id == link.id)).unwrap();
        let mut send = keeping(unit(again));
        send.intents = vec![open(&link, 1, "update")];
        done(commit(store, send).await);
    }
}
