//! Claims: a link is unique among live links by either id, whoever comes first (rules 30, 39).

use super::Bench;
use super::kit::{
    at, commit, customer, done, keeping, link_id, linked, look_at, new_link, pair, relay, seq, settle, spec,
    take, text, unit, write,
};
use crate::{
    Guard, Key, KeyWrite, LinkState, LocalBinding, RowWrite, Settled, Side, Signal, Store, Subject, Unit,
    UnitOutcome,
};
use bothways_model::{LocalId, PairId, Record};

async fn try_claim(
    store: &dyn Store,
    pair: PairId,
    n: u128,
    local: Option<&str>,
    remote: Option<&str>,
) -> UnitOutcome {
    let local = local.map(LocalId::from);
    let link = new_link(store, pair, n, local.as_ref(), remote).await;
    commit(store, Unit::new(Guard::Claim(Box::new(link)))).await
}

/// The claim is the lease.
pub async fn inserts_an_already_leased_link(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = new_link(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let (claimed, _) = done(commit(store, keeping(Unit::new(Guard::Claim(Box::new(link.clone()))))).await);
    assert_eq!(claimed, link);
    assert_eq!(store.link(link.id).await.unwrap(), Some(link.clone()));
    assert!(store.lease(link.id, at(59), at(99)).await.unwrap().is_none());
}

/// Either id is enough to lose.
pub async fn is_unique_among_live_links(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    for (local, remote) in
        [(Some("1"), None), (None, Some("cus_1")), (Some("1"), Some("cus_2")), (Some("2"), Some("cus_1"))]
    {
        assert_eq!(
            try_claim(store, pair, 2, local, remote).await,
            UnitOutcome::ClaimLost,
            "{local:?} {remote:?}"
        );
        assert!(store.link(link_id(2)).await.unwrap().is_none());
    }
    assert_eq!(
        try_claim(store, pair, 1, Some("9"), None).await,
        UnitOutcome::ClaimLost,
        "the same link twice"
    );
    done(try_claim(store, pair, 2, Some("2"), Some("cus_2")).await);
    // Links without a remote id do not exclude each other.
    done(try_claim(store, pair, 3, Some("3"), None).await);
    done(try_claim(store, pair, 4, Some("4"), None).await);
    // Another pair has links of its own.
    let other = store.ensure_pair(&super::kit::spec("customers", "other")).await.unwrap().id;
    done(try_claim(store, other, 5, Some("1"), Some("cus_1")).await);
}

/// A closed link with the same ids does not stand in the way.
pub async fn ignores_closed_links(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let first = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &first, 20).await;
    let mut closing = unit(&taken);
    let mut closed = first.clone();
    closed.state = LinkState::Tombstone;
    closing.confirm = Some(write(&closed, LocalBinding::Keep));
    done(commit(store, closing).await);
    done(try_claim(store, pair, 2, Some("1"), Some("cus_1")).await);
    let answers = store.links_of_local(pair, &["1".into()]).await.unwrap();
    assert_eq!(answers[0].as_ref().map(|l| l.id), Some(link_id(2)));
}

/// A confirmation that brings an id which another live link has is no effect at all.
pub async fn is_lost_when_another_live_link_gets_the_id(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let second = linked(store, pair, 2, Some(&"2".into()), None).await;
    let taken = look_at(store, &second, 20).await;
    let mut bind = unit(&taken);
    let mut bound = second.clone();
    bound.remote_id = Some("cus_1".into());
    bind.confirm = Some(write(&bound, LocalBinding::Keep));
    bind.signals =
        vec![Signal { pair, subject: Subject::Remote("cus_9".into()), look: true, not_before: None }];
    assert_eq!(commit(store, bind).await, UnitOutcome::ClaimLost);
    let stored = store.link(second.id).await.unwrap().unwrap();
    assert_eq!(stored.remote_id, None);
    assert!(stored.lease.is_some(), "the lease is as it was");
    assert!(store.work_of(pair, None, Some(&"cus_9".into())).await.unwrap().is_empty());
}

/// Units of one batch see each other.
pub async fn is_lost_within_one_batch(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut units = Vec::new();
    for (n, local, remote) in [(1, "1", "cus_1"), (2, "2", "cus_1"), (3, "1", "cus_3"), (4, "4", "cus_4")] {
        let link = new_link(store, pair, n, Some(&local.into()), Some(remote)).await;
        units.push(Unit::new(Guard::Claim(Box::new(link))));
    }
    let outcomes = store.commit(at(10), &units).await.unwrap();
    assert_eq!(outcomes[1], UnitOutcome::ClaimLost);
    assert_eq!(outcomes[2], UnitOutcome::ClaimLost);
    let kept: Vec<_> =
        store.links(&Default::default(), None, 9).await.unwrap().iter().map(|l| l.id).collect();
    assert_eq!(kept, [link_id(1), link_id(4)]);
}

/// One unit closes a link, the next claims its ids.
pub async fn moves_an_id_from_one_link_to_another_in_one_batch(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let first = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let other = linked(store, pair, 2, Some(&"2".into()), None).await;
    let (one, two) = (look_at(store, &first, 20).await, look_at(store, &other, 20).await);
    let mut idle = keeping(unit(&two));
    idle.confirm = Some(write(&other, LocalBinding::Keep));
    let mut close = unit(&one);
    let mut closed = first.clone();
    closed.remote_id = None;
    closed.state = LinkState::Unlinked;
    close.confirm = Some(write(&closed, LocalBinding::Set(None)));
    let mut take_over = unit(&two);
    let mut bound = other.clone();
    bound.remote_id = Some("cus_1".into());
    take_over.confirm = Some(write(&bound, LocalBinding::Keep));
    let claim = new_link(store, pair, 3, Some(&"1".into()), None).await;
    let units = [idle, close, take_over, Unit::new(Guard::Claim(Box::new(claim)))];
    for outcome in store.commit(at(30), &units).await.unwrap() {
        done(outcome);
    }
    let answers = store.links_of_remote(pair, &["cus_1".into()]).await.unwrap();
    assert_eq!(answers[0].as_ref().map(|l| l.id), Some(other.id));
}

/// A row part whose insert takes a local id that a live link still names undoes the whole unit.
pub async fn lost_after_the_row_part_leaves_nothing(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&super::kit::spec("tags", "stripe")).await.unwrap().id;
    linked(store, pair, 1, Some(&"red".into()), Some("t_1")).await;
    let inbound = linked(store, pair, 2, None, Some("t_2")).await;
    let taken = look_at(store, &inbound, 20).await;
    let mut insert = unit(&taken);
    insert.settle = settle(|row, link| {
        assert!(row.is_none());
        let fields = [("code", super::kit::text("red"))].into_iter().collect();
        let link = Some(write(link, LocalBinding::Inserted));
        Settled { row: RowWrite::Insert(fields), link, ..Settled::default() }
    });
    assert_eq!(commit(store, insert).await, UnitOutcome::ClaimLost);
    assert_eq!(store.count_rows("tags").await.unwrap(), 0);
    assert!(!store.relay(at(30), 10).await.unwrap().more);
    assert!(store.work_of(pair, Some(&"red".into()), None).await.unwrap().is_empty());
}

/// A unit with nothing but its guard leaves the link as it is.
pub async fn keeps_the_link_when_only_the_lease_changes(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let link = linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let (after, row) = done(commit(store, keeping(unit(&taken))).await);
    assert_eq!(row, None, "there was no row part");
    assert_eq!(after.lease.map(|l| (l.token, l.until)), Some((taken.token, at(60))));
    assert_eq!(crate::Link { lease: None, ..after }, link);
}

/// A row was deleted and another one has its id: until the delete is relayed nobody can say whose it is (rule 30).
pub async fn waits_until_the_id_is_nobody_elses(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let tag = || Record::from_iter([("code", text("red"))]);
    let id = bench.insert("tags", tag()).await;
    relay(store, 0).await;
    bench.delete("tags", &id).await;
    bench.insert("tags", tag()).await;
    let claim =
        || async { Unit::new(Guard::Claim(Box::new(new_link(store, pair, 1, Some(&id), None).await))) };
    assert_eq!(commit(store, claim().await).await, UnitOutcome::Aborted);
    relay(store, 1).await;
    assert_eq!(commit(store, claim().await).await, UnitOutcome::Aborted, "nobody has seen the delete yet");
    assert!(store.link(link_id(1)).await.unwrap().is_none());
    assert_eq!(take(store, pair, 61).await.len(), 1);
    done(commit(store, claim().await).await);
}

/// Whoever saw a record before its link was closed does not bring it back, by either side, in the same batch or later (rule 34).
pub async fn of_what_is_new_are_lost_to_closed_links(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let first = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &first, 20).await;
    let mut closing = unit(&taken);
    let mut closed = first.clone();
    closed.state = LinkState::Unlinked;
    closing.confirm = Some(write(&closed, LocalBinding::Keep));
    let claim = async |n: u128, local: Option<&str>, remote: Option<&str>| {
        let local = local.map(LocalId::from);
        let link = new_link(store, pair, n, local.as_ref(), remote).await;
        Unit { only_new: true, ..Unit::new(Guard::Claim(Box::new(link))) }
    };
    let together = [closing, claim(2, None, Some("cus_1")).await, claim(3, Some("3"), Some("cus_3")).await];
    let outcomes = store.commit(at(21), &together).await.unwrap();
    assert!(matches!(outcomes[0], UnitOutcome::Done { .. }));
    assert_eq!(outcomes[1], UnitOutcome::ClaimLost);
    assert!(matches!(outcomes[2], UnitOutcome::Done { .. }));
    for (local, remote) in [(Some("1"), None), (None, Some("cus_1")), (Some("4"), Some("cus_1"))] {
        let unit = claim(4, local, remote).await;
        assert_eq!(commit(store, unit).await, UnitOutcome::ClaimLost, "{local:?} {remote:?}");
    }
    assert!(store.link(link_id(4)).await.unwrap().is_none());
    done(try_claim(store, pair, 5, Some("1"), Some("cus_1")).await);
}

/// Whoever saw a record before somebody else found it changed, or gone, does not claim it, in the same batch or later (rule 51).
pub async fn of_what_was_seen_are_lost_to_what_was_seen_since(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let put = |id: &str, seen: i64| {
        let (id, value) = (id.to_owned(), Some("a".to_owned()));
        KeyWrite::Put(Key { pair, side: Side::Remote, id, value, seen: seq(seen), content: None })
    };
    let drop = |id: &str| KeyWrite::Drop { pair, side: Side::Remote, id: id.to_owned() };
    let claim = async |n: u128, remote: &str, seen: i64| {
        let link = new_link(store, pair, n, None, Some(remote)).await;
        Unit { as_seen: Some(seq(seen)), ..Unit::new(Guard::Claim(Box::new(link))) }
    };
    let known: Vec<_> = ["cus_1", "cus_2", "cus_3", "cus_4", "cus_5"].map(|id| put(id, 5)).into();
    store.write_keys(&known).await.unwrap();
    store.write_keys(&[put("cus_2", 6), drop("cus_3")]).await.unwrap();
    let told = Unit { keys: vec![put("cus_4", 7), drop("cus_5")], ..Unit::new(Guard::Free) };
    let together = [
        told,
        claim(1, "cus_1", 5).await,
        claim(2, "cus_2", 5).await,
        claim(3, "cus_3", 5).await,
        claim(4, "cus_4", 5).await,
        claim(5, "cus_5", 5).await,
        claim(6, "cus_6", 5).await,
    ];
    let outcomes = store.commit(at(21), &together).await.unwrap();
    let is_done: Vec<_> = outcomes.iter().map(|o| matches!(o, UnitOutcome::Done { .. })).collect();
    assert_eq!(is_done, [true, true, false, false, false, false, false], "{outcomes:?}");
    assert!(outcomes[2..].iter().all(|outcome| *outcome == UnitOutcome::ClaimLost), "{outcomes:?}");
    assert!(store.link(link_id(2)).await.unwrap().is_none());
    done(commit(store, claim(2, "cus_2", 6).await).await);
    done(commit(store, claim(4, "cus_4", 9).await).await);
    assert_eq!(commit(store, claim(5, "cus_5", 9).await).await, UnitOutcome::ClaimLost);
    // Whoever does not say when it was seen has looked just now.
    done(try_claim(store, pair, 5, None, Some("cus_5")).await);
}
