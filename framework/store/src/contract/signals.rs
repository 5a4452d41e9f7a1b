//! Signals coalesce; finishing older work never loses a newer signal (rules 38, 40, 42).

use super::Bench;
use super::kit::{again, at, commit, local, pair, remote, take, take_one, unit};
use crate::{ParkReason, Parked, Signal, Store, Taken, UnitOutcome, Work, WorkWrite};
use bothways_model::{PairId, Timestamp};

async fn finish(store: &dyn Store, taken: &Taken, work: WorkWrite) {
    let mut unit = unit(taken);
    unit.work = vec![work];
    let outcome = commit(store, unit).await;
    assert!(matches!(outcome, UnitOutcome::Done { .. }), "{outcome:?}");
}

fn done(work: &Work) -> WorkWrite {
    WorkWrite::Done { id: work.id, generation: work.generation, facts: vec![] }
}

async fn only(store: &dyn Store, pair: PairId) -> Work {
    let mut all = store.work_of(pair, Some(&"1".into()), None).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn later(pair: PairId, moment: Timestamp) -> Signal {
    Signal { not_before: Some(moment), ..local(pair, &"1".into()) }
}

/// Many signals, one row.
pub async fn coalesce_and_raise_the_generation(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let signal = local(pair, &"1".into());
    store.signal(at(0), &[signal.clone(), signal.clone()]).await.unwrap();
    let first = only(store, pair).await;
    assert_eq!((first.due, first.since, first.look), (Some(at(0)), at(0), false));
    store.signal(at(5), &[Signal { look: true, ..signal.clone() }, signal]).await.unwrap();
    let second = only(store, pair).await;
    assert_eq!((second.id, second.since, second.look), (first.id, at(0), true));
    assert!(second.generation > first.generation);
    assert_eq!(second.due, Some(at(0)), "due no later than before");
}

/// Not before.
pub async fn wait_for_their_moment(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[later(pair, at(30))]).await.unwrap();
    assert_eq!(only(store, pair).await.due, Some(at(30)));
    assert!(take(store, pair, 29).await.is_empty());
    assert_eq!(take(store, pair, 30).await.len(), 1);
}

/// A signal for later does not hold up work that is due now, and one for now does not wait for a later one.
pub async fn never_postpone_due_work(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[later(pair, at(30))]).await.unwrap();
    store.signal(at(5), &[local(pair, &"1".into())]).await.unwrap();
    assert_eq!(only(store, pair).await.due, Some(at(5)));
    store.signal(at(6), &[later(pair, at(30))]).await.unwrap();
    assert_eq!(only(store, pair).await.due, Some(at(5)));
}

/// Nothing is left of finished work.
pub async fn done_removes_the_row(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    finish(store, &taken, done(&taken.work[0])).await;
    assert!(store.work(taken.work[0].id).await.unwrap().is_none());
    assert_eq!(store.next_due(&[pair]).await.unwrap(), None);
}

/// The signal that came during the look is looked at again, at once.
pub async fn done_with_a_newer_generation_stays_due(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    finish(store, &taken, again(&taken.work[0], at(3), Some("no answer"))).await;
    let taken = take_one(store, pair, 3).await;
    assert_eq!((taken.work[0].attempts, taken.work[0].last_error.as_deref()), (1, Some("no answer")));
    store.signal(at(4), &[local(pair, &"1".into())]).await.unwrap();
    finish(store, &taken, done(&taken.work[0])).await;
    let left = only(store, pair).await;
    assert_eq!((left.due, left.attempts, left.tried_since, left.last_error), (Some(at(10)), 0, None, None));
}

/// A wait that is nobody's failure ends with the next signal.
pub async fn again_waits_unless_signalled(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    let held = Some("deletes are held".to_owned());
    let (id, generation) = (taken.work[0].id, taken.work[0].generation);
    let hold =
        WorkWrite::Again { id, generation, due: at(50), attempt: None, held: held.clone(), look: true };
    finish(store, &taken, hold).await;
    let waiting = only(store, pair).await;
    assert_eq!((waiting.due, waiting.attempts, waiting.look, waiting.held), (Some(at(50)), 0, true, held));
    store.signal(at(20), &[local(pair, &"1".into())]).await.unwrap();
    assert_eq!(only(store, pair).await.due, Some(at(20)));
    // The same when the signal came during the look.
    let taken = take_one(store, pair, 20).await;
    store.signal(at(25), &[local(pair, &"1".into())]).await.unwrap();
    finish(store, &taken, again(&taken.work[0], at(90), None)).await;
    assert_eq!(only(store, pair).await.due, Some(at(10)), "the commit's now");
}

/// A failing record does not get busier by being signalled.
pub async fn an_attempt_backs_off_even_if_signalled(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    store.signal(at(1), &[local(pair, &"1".into())]).await.unwrap();
    finish(store, &taken, again(&taken.work[0], at(50), Some("500"))).await;
    store.signal(at(20), &[local(pair, &"1".into())]).await.unwrap();
    let waiting = only(store, pair).await;
    assert_eq!((waiting.due, waiting.attempts, waiting.tried_since), (Some(at(50)), 1, Some(at(10))));
    let taken = take_one(store, pair, 50).await;
    finish(store, &taken, again(&taken.work[0], at(99), Some("502"))).await;
    let twice = only(store, pair).await;
    assert_eq!(
        (twice.attempts, twice.tried_since, twice.last_error.as_deref()),
        (2, Some(at(10)), Some("502"))
    );
}

/// Whoever was slow saw less than somebody else has seen since: what that one found stands, and is looked at again.
pub async fn whoever_is_late_puts_nothing_off(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[remote(pair, "cus_1")]).await.unwrap();
    let slow = take_one(store, pair, 0).await;
    store.signal(at(1), &[remote(pair, "cus_1")]).await.unwrap();
    let quick = take_one(store, pair, 1).await;
    let parked = Parked { reason: ParkReason::Create, message: "m".into(), digest: "d".into(), at: at(1) };
    let park = WorkWrite::Park { id: quick.work[0].id, generation: quick.work[0].generation, parked };
    for end in [again(&quick.work[0], at(70), None), again(&quick.work[0], at(80), Some("500")), park] {
        finish(store, &quick, end).await;
        let stands = store.work(quick.work[0].id).await.unwrap().unwrap();
        for late in [again(&slow.work[0], at(900), None), again(&slow.work[0], at(900), Some("500"))] {
            finish(store, &slow, late).await;
            let left = store.work(quick.work[0].id).await.unwrap().unwrap();
            assert_eq!((left.due, left.attempts), (Some(at(10)), stands.attempts), "the commit's now");
            assert_eq!((left.parked, left.last_error), (stands.parked.clone(), stands.last_error.clone()));
        }
    }
}

/// For the engine's timer.
pub async fn next_due_is_the_earliest(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let other = store.ensure_pair(&super::kit::spec("customers", "other")).await.unwrap().id;
    assert_eq!(store.next_due(&[pair, other]).await.unwrap(), None);
    store.signal(at(0), &[later(pair, at(30))]).await.unwrap();
    store.signal(at(0), &[Signal { pair: other, ..later(pair, at(20)) }]).await.unwrap();
    assert_eq!(store.next_due(&[pair]).await.unwrap(), Some(at(30)));
    assert_eq!(store.next_due(&[pair, other]).await.unwrap(), Some(at(20)));
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
}

/// By either id, or both.
pub async fn work_is_found_by_record(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into()), remote(pair, "1"), remote(pair, "2")]).await.unwrap();
    let count = async |local: Option<&str>, remote: Option<&str>| {
        let (local, remote) = (local.map(Into::into), remote.map(Into::into));
        store.work_of(pair, local.as_ref(), remote.as_ref()).await.unwrap().len()
    };
    assert_eq!(count(Some("1"), None).await, 1);
    assert_eq!(count(Some("1"), Some("1")).await, 2);
    assert_eq!(count(Some("2"), Some("2")).await, 1);
    assert_eq!(count(None, None).await, 0);
}
