//! Leases, tokens and taking (rules 20, 39, 41).

use super::Bench;
use super::kit::{
    again, at, commit, customer, done, intent, keeping, link_id, linked, local, look_at, new_link, open,
    pair, remote, take, take_one, unit, write,
};
use crate::{
    Guard, History, HistoryFilter, HistoryOp, IntentState, IntentWrite, Link, LinkState, LocalBinding, Side,
    Subject, Take, Unit, UnitOutcome, WorkWrite,
};
use std::collections::BTreeSet;

/// Everything needed to decide comes in one piece.
pub async fn take_leases_and_gives_everything(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let first = look_at(store, &link, 20).await;
    let mut unit = unit(&first);
    unit.intents = vec![open(&link, 1, "update"), open(&link, 2, "update")];
    unit.intents.push(IntentWrite::Close {
        link: link.id,
        number: 1,
        state: IntentState::Confirmed,
        outcome: "ok".into(),
    });
    done(commit(store, unit).await);
    let taken = take_one(store, pair, 100).await;
    assert_eq!(taken.until, at(160));
    let now = taken.link.unwrap();
    assert_eq!(now.lease.map(|l| (l.token, l.until)), Some((taken.token, at(160))));
    assert_eq!((now.id, now.remote_id), (link.id, link.remote_id.clone()));
    assert_eq!(taken.intents, [intent(&link, 2, "update")]);
    assert_eq!(taken.next_intent, 3);
    let row = taken.row.unwrap();
    assert_eq!((row.id, row.fields.get("name")), (id, Some(&super::kit::text("Ada"))));
    assert_eq!((taken.row_error, taken.work.len()), (None, 1));
}

/// The fence.
pub async fn stale_tokens_change_nothing(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let slow = look_at(store, &link, 20).await;
    let quick = store.lease(link.id, at(100), at(160)).await.unwrap().unwrap();
    assert!(quick.token > slow.token);
    let mut late = unit(&slow);
    let mut changed = link.clone();
    changed.state = LinkState::Detached;
    late.confirm = Some(write(&changed, LocalBinding::Keep));
    late.intents = vec![open(&link, 1, "update")];
    late.work =
        vec![WorkWrite::Done { id: slow.work[0].id, generation: slow.work[0].generation, facts: vec![] }];
    late.signals = vec![remote(pair, "cus_2")];
    assert_eq!(commit(store, late).await, UnitOutcome::Stale);
    assert_eq!(store.link(link.id).await.unwrap(), quick.link);
    assert!(store.intents(link.id, 9).await.unwrap().is_empty());
    assert!(store.work(slow.work[0].id).await.unwrap().is_some());
    assert!(store.work_of(pair, None, Some(&"cus_2".into())).await.unwrap().is_empty());
    let unknown = Guard::Token { link: link_id(9), token: quick.token };
    assert_eq!(commit(store, Unit::new(unknown)).await, UnitOutcome::Stale);
}

/// One counter for tokens, generations and observations.
pub async fn tokens_are_never_reused(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut seen = BTreeSet::new();
    let mut fresh = |number: i64| assert!(seen.insert(number), "{number} again");
    let first = store.draw(3).await.unwrap().0;
    (first..first + 3).for_each(&mut fresh);
    for second in [0, 100, 200] {
        store.signal(at(second), &[local(pair, &"1".into()), remote(pair, "cus_1")]).await.unwrap();
        for taken in take(store, pair, second).await {
            fresh(taken.token.0);
            taken.work.iter().for_each(|w| fresh(w.generation.0));
        }
        fresh(store.draw(1).await.unwrap().0);
    }
}

/// A unit that released its lease has no effect when it is repeated.
pub async fn a_released_token_is_stale(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    done(commit(store, unit(&taken)).await);
    assert_eq!(commit(store, unit(&taken)).await, UnitOutcome::Stale);
}

/// A lease that has run out fences nobody until somebody takes it.
pub async fn an_expired_token_nobody_took_still_counts(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let outcomes = store.commit(at(500), &[unit(&taken)]).await.unwrap();
    assert!(matches!(outcomes[0], UnitOutcome::Done { .. }), "{outcomes:?}");
}

/// Signals of either side are one look.
pub async fn folds_both_sides_of_a_link(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let mut later = remote(pair, "cus_1");
    later.not_before = Some(at(1000));
    store.signal(at(20), &[local(pair, &"1".into()), later]).await.unwrap();
    let taken = take_one(store, pair, 20).await;
    let subjects: BTreeSet<_> = taken.work.iter().map(|w| w.subject.clone()).collect();
    assert_eq!(subjects, BTreeSet::from([Subject::Local("1".into()), Subject::Remote("cus_1".into())]));
    let mut finish = unit(&taken);
    finish.work = taken
        .work
        .iter()
        .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
        .collect();
    done(commit(store, finish).await);
    assert_eq!(store.next_due(&[pair]).await.unwrap(), None);
}

/// Somebody else's lease is waited for, and is nobody's failure.
pub async fn a_leased_link_requeues_without_an_attempt(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let holder = look_at(store, &link, 20).await;
    store.signal(at(30), &[remote(pair, "cus_1")]).await.unwrap();
    assert!(take(store, pair, 30).await.is_empty());
    let waiting = &store.work_of(pair, None, Some(&"cus_1".into())).await.unwrap()[0];
    assert!(
        waiting.due.is_some_and(|due| at(30) < due && due <= at(80)),
        "soon, and not at once: {waiting:?}"
    );
    assert_eq!(waiting.attempts, 0);
    assert!(take(store, pair, 79).await.is_empty());
    let next = take_one(store, pair, 80).await;
    assert!(next.token > holder.token);
    assert_eq!(commit(store, unit(&holder)).await, UnitOutcome::Stale);
}

/// Another worker takes other records; after a crash the records come back.
pub async fn taken_rows_are_not_due_before_the_lease_ends(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    store.signal(at(0), &[local(pair, &"1".into()), local(pair, &"2".into())]).await.unwrap();
    assert_eq!(take(store, pair, 20).await.len(), 2);
    assert!(take(store, pair, 79).await.is_empty());
    assert_eq!(store.next_due(&[pair]).await.unwrap(), Some(at(80)));
    assert_eq!(take(store, pair, 80).await.len(), 2);
}

/// An operator's lease.
pub async fn lease_takes_one_link(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    relay(bench, 1).await;
    let taken = store.lease(link.id, at(20), at(80)).await.unwrap().unwrap();
    assert_eq!(taken.work.len(), 1);
    assert_eq!(taken.row.map(|r| r.id), Some(id));
    assert!(store.lease(link.id, at(79), at(90)).await.unwrap().is_none());
    assert!(store.lease(link_id(7), at(20), at(80)).await.unwrap().is_none());
    assert!(take(store, pair, 30).await.is_empty(), "its signals are in hand");
    let again = store.lease(link.id, at(80), at(90)).await.unwrap().unwrap();
    assert!(again.token > taken.token);
}

async fn relay(bench: &dyn Bench, second: i64) {
    super::kit::relay(bench.store(), second).await;
}

/// Releasing with an old token releases nothing.
pub async fn release_needs_the_token(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let old = store.lease(link.id, at(0), at(10)).await.unwrap().unwrap();
    let new = store.lease(link.id, at(10), at(20)).await.unwrap().unwrap();
    store.release(link.id, old.token).await.unwrap();
    assert!(store.lease(link.id, at(15), at(30)).await.unwrap().is_none());
    store.release(link.id, new.token).await.unwrap();
    assert!(store.lease(link.id, at(15), at(30)).await.unwrap().is_some());
}

/// Order, limit and pairs.
pub async fn takes_oldest_first_and_only_the_pairs_asked(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let other = store.ensure_pair(&super::kit::spec("customers", "other")).await.unwrap().id;
    for (second, id) in [(3, "c"), (1, "a"), (2, "b")] {
        store.signal(at(second), &[remote(pair, id), remote(other, id)]).await.unwrap();
    }
    store.signal(at(50), &[remote(pair, "late")]).await.unwrap();
    let pairs = [pair];
    let two = Take { now: at(10), until: at(70), limit: 2, pairs: &pairs };
    let ids = |all: Vec<crate::Taken>| {
        all.into_iter().map(|t| (t.work[0].pair, t.work[0].subject.clone())).collect::<Vec<_>>()
    };
    let of = |id: &str| (pair, Subject::Remote(id.into()));
    assert_eq!(ids(store.take(two.clone()).await.unwrap()), [of("a"), of("b")]);
    assert_eq!(ids(store.take(two.clone()).await.unwrap()), [of("c")]);
    assert!(store.take(Take { pairs: &[], ..two }).await.unwrap().is_empty());
}

/// Numbers go up for the life of the link, also after old intents are pruned: a number is half of an idempotency key.
pub async fn numbers_intents_for_ever(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    assert_eq!(taken.next_intent, 1);
    let mut three = unit(&taken);
    three.intents = (1..=3).map(|n| open(&link, n, "update")).collect();
    three.intents.extend((1..=3).map(|number| IntentWrite::Close {
        link: link.id,
        number,
        state: IntentState::Confirmed,
        outcome: "ok".into(),
    }));
    done(commit(store, three).await);
    let newest: Vec<_> = store.intents(link.id, 2).await.unwrap().iter().map(|i| i.number).collect();
    assert_eq!(newest, [3, 2]);
    store.prune(at(400 * 86_400), 30).await.unwrap();
    assert!(store.intents(link.id, 9).await.unwrap().is_empty());
    let taken = store.lease(link.id, at(400 * 86_400), at(400 * 86_400 + 60)).await.unwrap().unwrap();
    assert_eq!(taken.next_intent, 4);
}

/// Whoever does not know how a commit ended makes it again; what keeps its lease must not happen twice.
pub async fn repeated_units_happen_once(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = new_link(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let entry = |link: &Link| History {
        pair,
        link: Some(link.id),
        local_id: None,
        remote_id: None,
        side: Side::Remote,
        op: HistoryOp::Update,
        fields: Default::default(),
        rules: Vec::new(),
        cause: "once".into(),
        pass: None,
        approved_by: None,
    };
    let count = async |expected: usize| {
        let all = store.history(&HistoryFilter::default(), None, 99).await.unwrap();
        assert_eq!(all.len(), expected);
        assert_eq!(store.intents(link.id, 9).await.unwrap().len(), expected);
    };
    // A claim that goes on to its remote write.
    let mut claim = keeping(Unit::new(Guard::Claim(Box::new(link.clone()))));
    claim.intents = vec![open(&link, 1, "create")];
    claim.history = vec![entry(&link)];
    let first = commit(store, claim.clone()).await;
    assert_eq!(commit(store, claim.clone()).await, first);
    count(1).await;
    // A write follows a write.
    let token = link.lease.unwrap().token;
    let mut next = keeping(Unit::new(Guard::Token { link: link.id, token }));
    let close = |number| IntentWrite::Close {
        link: link.id,
        number,
        state: IntentState::Confirmed,
        outcome: "ok".into(),
    };
    next.intents = vec![close(1), open(&link, 2, "update")];
    next.history = vec![entry(&link)];
    let second = commit(store, next.clone()).await;
    let again = store.commit(at(10), &[next.clone(), next.clone()]).await.unwrap();
    assert_eq!(again, [second.clone(), second]);
    count(2).await;
    // Neither do what went before it.
    assert!(matches!(commit(store, claim).await, UnitOutcome::Done { .. }));
    count(2).await;
    // One that ends its lease is stale.
    let mut last = Unit::new(Guard::Token { link: link.id, token });
    last.intents = vec![close(2)];
    done(commit(store, last.clone()).await);
    assert_eq!(commit(store, last).await, UnitOutcome::Stale);
    count(2).await;
}

/// Late signals of a closed link find it, so that they revive nothing.
pub async fn closed_links_still_answer(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    for n in [1, 2] {
        let mut link = new_link(store, pair, n, None, Some("cus_1")).await;
        link.state = LinkState::Tombstone;
        done(commit(store, Unit::new(Guard::Claim(Box::new(link)))).await);
    }
    store.signal(at(20), &[remote(pair, "cus_1")]).await.unwrap();
    let taken = take_one(store, pair, 20).await;
    assert_eq!(taken.link.map(|l| l.id), Some(link_id(2)), "the newest closed one");
    let live = linked(store, pair, 1000, Some(&"1".into()), Some("cus_1")).await;
    let answers = store.links_of_remote(pair, &["cus_1".into(), "none".into()]).await.unwrap();
    assert_eq!(answers, [Some(live), None]);
}

/// Records without a link come with a token for their claim.
pub async fn take_has_no_link_for_new_records(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    relay(bench, 0).await;
    let taken = take_one(store, pair, 0).await;
    assert!(taken.link.is_none() && taken.intents.is_empty());
    assert_eq!((taken.next_intent, taken.row.map(|r| r.id)), (1, Some(id.clone())));
    let mut link = new_link(store, pair, 1, Some(&id), None).await;
    link.lease = Some(crate::Lease { token: taken.token, until: taken.until });
    let (claimed, _) = done(commit(store, keeping(Unit::new(Guard::Claim(Box::new(link))))).await);
    let guard = Guard::Token { link: claimed.id, token: taken.token };
    done(commit(store, Unit::new(guard)).await);
}

/// After a crash the only engine there is need not wait for its own leases.
pub async fn ended_leases_give_everything_back(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    store.signal(at(0), &[local(pair, &"1".into()), local(pair, &"2".into())]).await.unwrap();
    let taken = take(store, pair, 20).await;
    assert_eq!(taken.len(), 2);
    assert_eq!(store.end_leases(at(30)).await.unwrap(), 1);
    let again = take(store, pair, 30).await;
    assert_eq!(again.len(), 2, "work and leases are free again");
    let stale = taken.iter().find(|t| t.link.is_some()).unwrap();
    let newer = again.iter().find(|t| t.link.is_some()).unwrap();
    assert_eq!(newer.link.as_ref().unwrap().id, link.id);
    assert!(newer.token > stale.token);
    assert_eq!(commit(store, unit(stale)).await, UnitOutcome::Stale);
    assert_eq!(store.end_leases(at(31)).await.unwrap(), 1);
    assert_eq!(store.end_leases(at(31)).await.unwrap(), 0);
}

/// A failed attempt's backoff and a signal for later stay what they are.
pub async fn ended_leases_leave_backoffs_alone(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let held = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    linked(store, pair, 2, Some(&"2".into()), Some("cus_2")).await;
    let failing = linked(store, pair, 3, Some(&"3".into()), Some("cus_3")).await;
    let taken = look_at(store, &failing, 0).await;
    let mut fail = unit(&taken);
    fail.work = vec![again(&taken.work[0], at(500), Some("500"))];
    done(commit(store, fail).await);
    let mut later = local(pair, &"2".into());
    later.not_before = Some(at(400));
    store.signal(at(20), &[remote(pair, "cus_1"), remote(pair, "new"), later]).await.unwrap();
    let before = take(store, pair, 20).await;
    assert_eq!(before.len(), 2);
    assert_eq!(store.end_leases(at(21)).await.unwrap(), 1);
    let lease = store.link(held.id).await.unwrap().unwrap().lease;
    assert!(lease.is_none_or(|lease| lease.until <= at(21)), "{lease:?}");
    let again = take(store, pair, 21).await;
    let subjects: BTreeSet<_> = again.iter().map(|t| t.work[0].subject.clone()).collect();
    assert_eq!(subjects, BTreeSet::from([Subject::Remote("cus_1".into()), Subject::Remote("new".into())]));
    let old = before.iter().find(|t| t.link.is_some()).unwrap();
    assert_eq!(commit(store, unit(old)).await, UnitOutcome::Stale);
    assert_eq!(store.next_due(&[pair]).await.unwrap(), Some(at(81)));
    assert_eq!(store.end_leases(at(22)).await.unwrap(), 1);
    assert_eq!(store.end_leases(at(22)).await.unwrap(), 0);
}
