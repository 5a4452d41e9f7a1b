//! Work that waits for a link of another pair is due in the transaction that brings the link, and not before (rule 35).

use super::Bench;
use super::kit::{
    at, commit, done, linked, look_at, new_link, open, pair, remote, spec, take, take_one, unit, write,
};
use crate::{
    Awaited, Guard, LinkState, LocalBinding, ParkReason, Parked, Side, Store, Unit, UnitOutcome, Work,
    WorkWrite,
};
use bothways_model::{LocalId, PairId};

fn waiting_for(work: &Work, on: Awaited) -> WorkWrite {
    let (held, on) = ("waits for a customer".into(), Some(on));
    WorkWrite::Wait { id: work.id, generation: work.generation, due: at(900), held, on }
}

/// Signals a record of the waiting pair and has its work wait.
async fn waiting(store: &dyn Store, pair: PairId, on: Awaited) {
    store.signal(at(20), &[remote(pair, "in_1")]).await.unwrap();
    let taken = take_one(store, pair, 20).await;
    let mut look = unit(&taken);
    look.work = vec![waiting_for(&taken.work[0], on)];
    assert!(matches!(commit(store, look).await, UnitOutcome::Done { .. }));
}

async fn two_pairs(store: &dyn Store) -> (PairId, PairId) {
    (pair(store).await, store.ensure_pair(&spec("tags", "stripe")).await.unwrap().id)
}

fn on(pair: PairId, side: Side, id: &str) -> Awaited {
    Awaited { pair, side, id: id.into() }
}

/// Both the record's and the row's side; others go on waiting.
pub async fn is_due_once_the_link_is_there(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    let sides = [(Side::Remote, "cus_7"), (Side::Local, "7")];
    for (number, (side, id)) in sides.into_iter().enumerate() {
        waiting(store, tags, on(customers, side, id)).await;
        let work = &store.work_of(tags, None, Some(&"in_1".into())).await.unwrap()[0];
        assert_eq!((work.awaits.clone(), work.due), (Some(on(customers, side, id)), Some(at(900))));
        assert_eq!((work.attempts, work.held.as_deref()), (0, Some("waits for a customer")));
        assert!(take(store, tags, 30).await.is_empty());
        // Somebody else's link, and one that is not bound on both sides yet.
        let other = format!("cus_other{number}");
        linked(
            store,
            customers,
            10 + number as u128,
            Some(&LocalId::from(format!("1{number}"))),
            Some(&other),
        )
        .await;
        let (local, record) = match side {
            Side::Remote => (None, Some("cus_7")),
            Side::Local => (Some(LocalId::from("7")), None),
        };
        let half = linked(store, customers, 20 + number as u128, local.as_ref(), record).await;
        assert!(take(store, tags, 40).await.is_empty(), "half a link is none");
        let taken = look_at(store, &half, 41).await;
        let mut bind = unit(&taken);
        bind.work = taken
            .work
            .iter()
            .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
            .collect();
        let mut whole = half.clone();
        whole.remote_id = Some("cus_7".into());
        bind.confirm = Some(write(&whole, LocalBinding::Set(Some("7".into()))));
        done(commit(store, bind).await);
        let taken = take_one(store, tags, 42).await;
        assert_eq!((taken.work[0].awaits.clone(), taken.work[0].held.clone()), (None, None));
        let mut end = unit(&taken);
        end.work = vec![WorkWrite::Done {
            id: taken.work[0].id,
            generation: taken.work[0].generation,
            facts: vec![],
        }];
        commit(store, end).await;
        let taken = look_at(store, &whole, 43).await;
        let mut close = unit(&taken);
        close.work = taken
            .work
            .iter()
            .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
            .collect();
        whole.state = LinkState::Tombstone;
        close.confirm = Some(write(&whole, LocalBinding::Keep));
        done(commit(store, close).await);
    }
}

/// The link came between the look and its commit: nobody would tell of it again.
pub async fn is_due_at_once_if_the_link_is_there_by_now(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    linked(store, customers, 1, Some(&"7".into()), Some("cus_7")).await;
    waiting(store, tags, on(customers, Side::Remote, "cus_7")).await;
    let taken = take_one(store, tags, 30).await;
    assert_eq!((taken.work[0].awaits.clone(), taken.work[0].attempts), (None, 0));
    // And in one batch with the link.
    store.signal(at(31), &[remote(tags, "in_2")]).await.unwrap();
    let second = take_one(store, tags, 31).await;
    let mut look = unit(&second);
    look.work = vec![waiting_for(&second.work[0], on(customers, Side::Local, "8"))];
    let link = new_link(store, customers, 2, Some(&"8".into()), Some("cus_8")).await;
    store.commit(at(32), &[look, Unit::new(Guard::Claim(Box::new(link)))]).await.unwrap();
    assert_eq!(take_one(store, tags, 33).await.work[0].id, second.work[0].id);
}

/// A closed link, or one whose create has not arrived, is none; a signal makes the work due all the same.
pub async fn is_not_due_for_less(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    let mut closed = new_link(store, customers, 1, Some(&"7".into()), Some("cus_7")).await;
    closed.state = LinkState::Tombstone;
    commit(store, Unit::new(Guard::Claim(Box::new(closed)))).await;
    let creating = new_link(store, customers, 2, Some(&"8".into()), None).await;
    let mut claim = Unit::new(Guard::Claim(Box::new(creating.clone())));
    claim.intents = vec![open(&creating, 1, "create")];
    commit(store, claim).await;
    for id in ["7", "8"] {
        waiting(store, tags, on(customers, Side::Local, id)).await;
        assert!(take(store, tags, 30).await.is_empty(), "{id}");
        store.signal(at(31), &[remote(tags, "in_1")]).await.unwrap();
        let taken = take_one(store, tags, 31).await;
        let mut end = unit(&taken);
        end.work = vec![WorkWrite::Done {
            id: taken.work[0].id,
            generation: taken.work[0].generation,
            facts: vec![],
        }];
        commit(store, end).await;
    }
}

/// A record that was not found when it was last looked for is none; once it is found again, whoever waits is told. Its row was there all
/// along.
pub async fn is_not_due_for_a_record_that_is_missed(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    let mut link = linked(store, customers, 1, Some(&"7".into()), Some("cus_7")).await;
    for (missing_since, second) in [(Some(at(20)), 20), (None, 40)] {
        let taken = look_at(store, &link, second).await;
        link.body.missing_since = missing_since;
        let mut look = unit(&taken);
        look.work = taken
            .work
            .iter()
            .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
            .collect();
        look.confirm = Some(write(&link, LocalBinding::Keep));
        done(commit(store, look).await);
        if missing_since.is_some() {
            waiting(store, tags, on(customers, Side::Local, "7")).await;
            assert!(take(store, tags, 30).await.is_empty());
        }
    }
    let taken = take_one(store, tags, 41).await;
    assert_eq!((taken.work[0].awaits.clone(), taken.work[0].held.clone()), (None, None));
}

/// A row is there though its record is gone, be it that its link was closed while somebody began to wait: whoever waits for the row of that
/// record is told, whoever waits for the record of that row is not.
pub async fn is_due_once_the_row_is_there_without_its_record(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    let mut link = linked(store, customers, 1, Some(&"7".into()), Some("cus_7")).await;
    let cases = [
        (LinkState::Unlinked, Some((Side::Remote, "cus_7"))),
        (LinkState::Detached, Some((Side::Local, "7"))),
        (LinkState::Unlinked, None),
        (LinkState::Detached, None),
    ];
    for (second, (state, waits)) in (20_i64..).step_by(10).zip(cases) {
        let taken = look_at(store, &link, second).await;
        link.state = state;
        let mut look = unit(&taken);
        look.work = taken
            .work
            .iter()
            .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
            .collect();
        look.confirm = Some(write(&link, LocalBinding::Keep));
        done(commit(store, look).await);
        if state == LinkState::Detached && waits.is_some() {
            let taken = take_one(store, tags, second + 1).await;
            assert_eq!((taken.work[0].awaits.clone(), taken.work[0].held.clone()), (None, None));
            let mut look = unit(&taken);
            let id = taken.work[0].id;
            look.work = vec![waiting_for(&taken.work[0], on(customers, Side::Remote, "cus_7"))];
            commit(store, look).await;
            assert_eq!(take_one(store, tags, second + 2).await.work[0].id, id, "it is there by now");
            let mut look = unit(&taken);
            look.work = vec![WorkWrite::Done { id, generation: taken.work[0].generation, facts: vec![] }];
            commit(store, look).await;
        }
        if let Some((side, id)) = waits {
            waiting(store, tags, on(customers, side, id)).await;
        }
        assert!(take(store, tags, second + 5).await.is_empty(), "{state:?}");
    }
}

/// Whoever was slow waits for what somebody else has found it not to need any more: the other's answer stands, and is looked at again.
pub async fn is_due_at_once_if_somebody_else_has_seen_more(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    store.signal(at(10), &[remote(tags, "in_1")]).await.unwrap();
    let slow = take_one(store, tags, 10).await;
    store.signal(at(11), &[remote(tags, "in_1")]).await.unwrap();
    let quick = take_one(store, tags, 11).await;
    let mut look = unit(&slow);
    look.work = vec![waiting_for(&slow.work[0], on(customers, Side::Remote, "cus_7"))];
    commit(store, look.clone()).await;
    let again = take_one(store, tags, 12).await;
    assert_eq!((again.work[0].awaits.clone(), again.work[0].held.clone()), (None, None));
    // The other's answer, too, if it came first.
    let mut other = unit(&quick);
    other.work = vec![waiting_for(&quick.work[0], on(customers, Side::Remote, "cus_8"))];
    commit(store, other).await;
    assert!(take(store, tags, 20).await.is_empty());
    commit(store, look).await;
    assert_eq!(take_one(store, tags, 21).await.work[0].id, quick.work[0].id);
}

/// Whoever waits says so, and nothing of what it was parked for before.
pub async fn parked_work_that_waits_is_parked_no_more(bench: &dyn Bench) {
    let store = bench.store();
    let (customers, tags) = two_pairs(store).await;
    store.signal(at(10), &[remote(tags, "in_1")]).await.unwrap();
    let taken = take_one(store, tags, 10).await;
    let mut look = unit(&taken);
    let parked =
        Parked { reason: ParkReason::Error, message: "refused".into(), digest: "e".into(), at: at(10) };
    look.work = vec![WorkWrite::Park { id: taken.work[0].id, generation: taken.work[0].generation, parked }];
    assert!(matches!(commit(store, look).await, UnitOutcome::Done { .. }));
    waiting(store, tags, on(customers, Side::Remote, "cus_7")).await;
    let work = &store.work_of(tags, None, Some(&"in_1".into())).await.unwrap()[0];
    assert!(work.parked.is_none(), "{work:?}");
    assert_eq!((work.attempts, work.due), (0, Some(at(900))));
}
