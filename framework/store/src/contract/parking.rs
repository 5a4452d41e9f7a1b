//! Parked work: waits for a person, or for a signal that changes its plan (rules 27, 42).

use super::Bench;
use super::kit::{again, at, commit, local, pair, take, take_one, unit};
use crate::{Fact, ParkReason, Parked, ParkedFilter, Store, Subject, Taken, Work, WorkWrite};
use bothways_model::PairId;

fn parked(reason: ParkReason, message: &str) -> Parked {
    Parked { reason, message: message.into(), digest: "d1".into(), at: at(10) }
}

async fn park(store: &dyn Store, taken: &Taken, reason: ParkReason) {
    let mut unit = unit(taken);
    let work = &taken.work[0];
    unit.work =
        vec![WorkWrite::Park { id: work.id, generation: work.generation, parked: parked(reason, "why") }];
    commit(store, unit).await;
}

async fn park_row(store: &dyn Store, pair: PairId, id: &str, reason: ParkReason) -> Work {
    store.signal(at(0), &[local(pair, &id.into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    park(store, &taken, reason).await;
    store.work(taken.work[0].id).await.unwrap().unwrap()
}

/// Parked work is not taken; a signal makes it due without un-parking it.
pub async fn parks_and_replans_on_a_signal(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let work = park_row(store, pair, "1", ParkReason::Refused).await;
    assert_eq!((work.due, work.parked.clone()), (None, Some(parked(ParkReason::Refused, "why"))));
    assert!(take(store, pair, 9999).await.is_empty());
    store.signal(at(20), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 20).await;
    assert_eq!(taken.work[0].parked, work.parked);
    // A signal during the look leaves it parked but due.
    store.signal(at(21), &[local(pair, &"1".into())]).await.unwrap();
    park(store, &taken, ParkReason::Refused).await;
    let again = store.work(work.id).await.unwrap().unwrap();
    assert_eq!((again.due, again.parked.is_some()), (Some(at(10)), true));
}

/// Replay: as new, due now.
pub async fn replay_starts_over(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    assert!(!store.replay(taken.work[0].id, at(5)).await.unwrap(), "it is not parked");
    let mut fail = unit(&taken);
    let id = taken.work[0].id;
    fail.work = vec![again(&taken.work[0], at(1), Some("500"))];
    commit(store, fail).await;
    let taken = take_one(store, pair, 1).await;
    park(store, &taken, ParkReason::Error).await;
    let before = store.work(id).await.unwrap().unwrap();
    assert_eq!(before.attempts, 1);
    assert!(store.replay(id, at(50)).await.unwrap());
    let after = store.work(id).await.unwrap().unwrap();
    assert_eq!((after.due, after.attempts, after.parked, after.tried_since), (Some(at(50)), 0, None, None));
    assert!(after.generation > before.generation);
}

/// Who is asked is not told of failures that came before: what failed until a look came to a decision does not count against the next.
pub async fn a_decision_ends_what_failed_before(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 0).await;
    let id = taken.work[0].id;
    let mut fail = unit(&taken);
    fail.work = vec![again(&taken.work[0], at(1), Some("500"))];
    commit(store, fail).await;
    let taken = take_one(store, pair, 1).await;
    park(store, &taken, ParkReason::Delete).await;
    let parked = store.work(id).await.unwrap().unwrap();
    assert_eq!((parked.attempts, parked.tried_since, parked.last_error), (0, None, None));
}

/// Dismiss never drops work that is not parked.
pub async fn dismiss_drops_only_parked_work(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let work = park_row(store, pair, "1", ParkReason::Error).await;
    store.signal(at(0), &[local(pair, &"2".into())]).await.unwrap();
    let pending = store.work_of(pair, Some(&"2".into()), None).await.unwrap()[0].id;
    assert!(!store.dismiss(pending).await.unwrap());
    assert!(store.dismiss(work.id).await.unwrap());
    assert!(!store.dismiss(work.id).await.unwrap());
    assert!(store.work(work.id).await.unwrap().is_none());
}

/// An outage during a re-plan does not lose the digest of the plan that was parked.
pub async fn a_retried_plan_stays_parked(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let work = park_row(store, pair, "1", ParkReason::Refused).await;
    store.signal(at(20), &[local(pair, &"1".into())]).await.unwrap();
    let taken = take_one(store, pair, 20).await;
    let mut wait = unit(&taken);
    wait.work = vec![again(&taken.work[0], at(40), None)];
    commit(store, wait).await;
    let taken = take_one(store, pair, 40).await;
    assert_eq!(taken.work[0].parked, work.parked);
}

/// Ambiguous groups are parked work keyed by their match value.
pub async fn groups_park_and_clear(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let group = |message: &str| parked(ParkReason::Ambiguous, message);
    store.park_group(pair, "ada@x.test", &group("2 rows")).await.unwrap();
    // The next pass finds the same, later.
    let again = Parked { at: at(500), ..group("3 rows") };
    store.park_group(pair, "ada@x.test", &again).await.unwrap();
    let all = store.parked(&ParkedFilter::default(), None, 9).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].subject, Subject::Group("ada@x.test".into()));
    assert_eq!((all[0].parked.clone(), all[0].due, all[0].since), (Some(group("3 rows")), None, at(10)));
    assert_eq!(all[0].facts, Vec::<Fact>::new());
    assert!(store.clear_group(pair, "ada@x.test").await.unwrap());
    assert!(!store.clear_group(pair, "ada@x.test").await.unwrap());
    assert!(store.parked(&ParkedFilter::default(), None, 9).await.unwrap().is_empty());
}

/// Filters and pages.
pub async fn lists_by_pair_and_reason(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let other = store.ensure_pair(&super::kit::spec("customers", "other")).await.unwrap().id;
    let a = park_row(store, pair, "1", ParkReason::Error).await.id;
    let b = park_row(store, pair, "2", ParkReason::Delete).await.id;
    let c = park_row(store, other, "1", ParkReason::Error).await.id;
    let list = async |pair, reason, after, limit| {
        let filter = ParkedFilter { pair, reason };
        let all = store.parked(&filter, after, limit).await.unwrap();
        all.into_iter().map(|w| w.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, None, 9).await, [a, b, c]);
    assert_eq!(list(None, None, None, 2).await, [a, b]);
    assert_eq!(list(None, None, Some(b), 9).await, [c]);
    assert_eq!(list(Some(pair), Some(ParkReason::Error), None, 9).await, [a]);
    assert_eq!(list(None, Some(ParkReason::Error), None, 9).await, [a, c]);
}
