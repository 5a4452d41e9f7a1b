//! The sweep finds what a crash or a person left, without anybody's help (rules 8, 11).

use super::Bench;
use super::kit::{again, at, commit, done, linked, look_at, open, pair, text, unit, write};
use crate::{
    BrakeKind, BrakeName, Charge, ChargeKey, Choice, Conflict, DeleteChoice, Judged, Keep, Limit, LinkState,
    LocalBinding, Signal, Store, Subject, Unit, WorkWrite,
};

fn finish(mut unit: Unit, taken: &crate::Taken) -> Unit {
    unit.work = taken
        .work
        .iter()
        .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
        .collect();
    unit
}

async fn swept(store: &dyn Store, second: i64) -> u64 {
    store.sweep(at(second)).await.unwrap()
}

/// A pending intent whose work is gone.
pub async fn finds_forgotten_intents(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut unit = finish(unit(&taken), &taken);
    unit.intents = vec![open(&link, 1, "update")];
    done(commit(store, super::kit::keeping(unit)).await);
    assert_eq!(swept(store, 59).await, 0, "the lease is held");
    assert_eq!(swept(store, 60).await, 1);
    let work = store.work_of(pair, link.local_id.as_ref(), link.remote_id.as_ref()).await.unwrap();
    assert_eq!((work.len(), work[0].look, work[0].due), (1, true, Some(at(60))));
    assert_eq!(work[0].subject, Subject::Remote("cus_1".into()));
    assert_eq!(swept(store, 61).await, 0, "once");
}

/// A choice that a person made and nobody carried out.
pub async fn finds_waiting_choices(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    for n in 1..=3_u128 {
        let link = linked(store, pair, n, Some(&n.to_string().into()), None).await;
        let taken = look_at(store, &link, 20).await;
        let mut unit = finish(unit(&taken), &taken);
        let mut changed = link.clone();
        let choice = (n == 1).then(|| Choice { keep: Keep::Local, by: "ada".into() });
        let (local, remote) = (Some(text("a")), Some(text("b")));
        let conflict = Conflict { local, remote, since: at(1), first_contact: false, choice, stale: None };
        changed.body.conflicts.insert("name".into(), conflict);
        changed.body.delete_choice = (n == 2).then_some(DeleteChoice::Keep);
        changed.state = LinkState::Linked;
        unit.confirm = Some(write(&changed, LocalBinding::Keep));
        done(commit(store, unit).await);
    }
    assert_eq!(swept(store, 30).await, 2, "a conflict without a choice waits");
    for (id, expected) in [("1", 1), ("2", 1), ("3", 0)] {
        assert_eq!(store.work_of(pair, Some(&id.into()), None).await.unwrap().len(), expected, "{id}");
    }
}

/// A row of which a brake withholds something, and nobody looks at it: it may be gone by now (rule 56).
pub async fn finds_withheld_rows(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let charge = |key: ChargeKey, most: u64| Charge {
        brake: BrakeName { pair, kind: BrakeKind::Creates, part: String::new() },
        key,
        what: "create it".into(),
        limit: Limit::flat(most),
        since: at(0),
        ripening: None,
    };
    for key in ["7", "8"] {
        let judged = store.charge(at(10), &charge(ChargeKey::Row(key.into()), 0)).await.unwrap();
        assert!(matches!(judged, Judged::Withheld { .. }), "{judged:?}");
    }
    let signal = Signal { pair, subject: Subject::Local("8".into()), look: true, not_before: Some(at(500)) };
    store.signal(at(11), &[signal]).await.unwrap();
    assert_eq!(swept(store, 20).await, 1, "the other has work");
    let work = store.work_of(pair, Some(&"7".into()), None).await.unwrap();
    assert_eq!((work.len(), work[0].look, work[0].due), (1, true, Some(at(20))));
    assert_eq!(swept(store, 21).await, 0, "once");
}

/// Work that waits, is held or is parked has its own time.
pub async fn leaves_work_alone(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut unit = unit(&taken);
    unit.intents = vec![open(&link, 1, "update")];
    let id = taken.work[0].id;
    unit.work = vec![again(&taken.work[0], at(500), None)];
    done(commit(store, unit).await);
    let before = store.work(id).await.unwrap();
    assert_eq!(swept(store, 100).await, 0);
    assert_eq!(store.work(id).await.unwrap(), before);
}
