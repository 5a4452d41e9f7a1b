//! Capture and relay: whoever writes the tables is seen, in the terms of the durable pairs (rules 29, 30, 36 to 40).

use super::Bench;
use super::kit::{
    at, commit, customer, done, link_id, linked, local, pair, relay, remote, spec, take, take_one, text, unit,
};
use crate::{Fact, KeyWrite, LeaseAction, Side, Store, Subject, Work, WorkWrite};
use bothways_model::{LocalId, PairId, Record};

async fn insert(bench: &dyn Bench, name: &str) -> LocalId {
    bench.insert("customers", customer(name, &format!("{name}@x.test"))).await
}

async fn local_of(store: &dyn Store, number: u128) -> Option<LocalId> {
    store.link(link_id(number)).await.unwrap().and_then(|l| l.local_id)
}

async fn facts(store: &dyn Store, pair: PairId, id: &LocalId) -> Vec<Fact> {
    store.work_of(pair, Some(id), None).await.unwrap().into_iter().flat_map(|w| w.facts).collect()
}

/// Every pair of the catalog is told, whatever a process has loaded; other catalogs' pairs are not.
pub async fn reaches_every_durable_pair(bench: &dyn Bench) {
    let store = bench.store();
    let mut pairs = Vec::new();
    for connection in ["a", "b"] {
        pairs.push(store.ensure_pair(&spec("customers", connection)).await.unwrap().id);
    }
    let tags = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let id = insert(bench, "ada").await;
    relay(store, 5).await;
    for pair in pairs {
        let work = store.work_of(pair, Some(&id), None).await.unwrap();
        assert_eq!(work.len(), 1);
        assert_eq!((work[0].due, work[0].look, work[0].facts.len()), (Some(at(5)), false, 0));
    }
    assert!(store.work_of(tags, Some(&id), None).await.unwrap().is_empty());
}

/// Claimed entries are gone; the limit holds.
pub async fn claims_entries_once(bench: &dyn Bench) {
    let store = bench.store();
    pair(store).await;
    for name in ["a", "b", "c"] {
        insert(bench, name).await;
    }
    let first = store.relay(at(0), 2).await.unwrap();
    assert_eq!((first.entries, first.more), (2, true));
    let second = store.relay(at(0), 2).await.unwrap();
    assert_eq!((second.entries, second.more), (1, false));
    let none = store.relay(at(0), 2).await.unwrap();
    assert_eq!((none.entries, none.more), (0, false));
}

/// Two deletes of one key are two facts; any number of updates is one signal.
pub async fn coalesces_updates_but_not_deletes(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let tag = || Record::from_iter([("code", text("red"))]);
    for _ in 0..2 {
        let id = bench.insert("tags", tag()).await;
        bench.update("tags", &id, Record::from_iter([("label", text("Red"))])).await;
        bench.delete("tags", &id).await;
    }
    relay(store, 5).await;
    let work = store.work_of(pair, Some(&"red".into()), None).await.unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].facts.len(), 2);
    assert!(work[0].facts[0].change() < work[0].facts[1].change());
}

/// Rows whose captured delete is not dealt with, by pages; those that only changed are not among them.
pub async fn lists_rows_to_delete(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let other = super::kit::pair(store).await;
    for code in ["a", "b", "c", "d"] {
        let id = bench.insert("tags", Record::from_iter([("code", text(code))])).await;
        if code != "b" {
            bench.delete("tags", &id).await;
        }
    }
    relay(store, 5).await;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).into()).collect::<Vec<bothways_model::LocalId>>();
    assert_eq!(store.rows_to_delete(pair, None, 2).await.unwrap(), ids(&["a", "c"]));
    assert_eq!(store.rows_to_delete(pair, Some(&"c".into()), 2).await.unwrap(), ids(&["d"]));
    assert!(store.rows_to_delete(other, None, 2).await.unwrap().is_empty());
    let taken = super::kit::take(store, pair, 6).await;
    let one = taken.iter().find(|t| !t.work[0].facts.is_empty()).unwrap();
    let mut end = unit(one);
    let facts = one.work[0].facts.iter().map(crate::Fact::change).collect();
    end.work = vec![WorkWrite::Done { id: one.work[0].id, generation: one.work[0].generation, facts }];
    commit(store, end).await;
    assert_eq!(store.rows_to_delete(pair, None, 9).await.unwrap().len(), 2);
}

/// A fact stays until it is dealt with by name, however many signals follow.
pub async fn facts_survive_signals(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    bench.delete("customers", &id).await;
    relay(store, 0).await;
    store.signal(at(1), &[local(pair, &id)]).await.unwrap();
    let taken = take_one(store, pair, 1).await;
    assert!(taken.row.is_none());
    let fact = taken.work[0].facts[0].change();
    assert_eq!(taken.work[0].facts.len(), 1);
    let again = bench.insert("customers", Record::from_iter([("name", text("new"))])).await;
    assert_ne!(again, id, "keys are not reused");
    store.signal(at(2), &[local(pair, &id)]).await.unwrap();
    let mut finish = unit(&taken);
    let (work, generation) = (taken.work[0].id, taken.work[0].generation);
    finish.work = vec![WorkWrite::Done { id: work, generation, facts: vec![] }];
    commit(store, finish).await;
    assert_eq!(facts(store, pair, &id).await.len(), 1, "not dealt with");
    let taken = take_one(store, pair, 20).await;
    store.signal(at(21), &[local(pair, &id)]).await.unwrap();
    let mut finish = unit(&taken);
    finish.work = vec![WorkWrite::Done { id: work, generation: taken.work[0].generation, facts: vec![fact] }];
    commit(store, finish).await;
    let left = store.work(work).await.unwrap().unwrap();
    assert_eq!((left.facts.len(), left.due), (0, Some(at(10))));
}

/// When the row was changed last, whenever that is relayed (rule 12); a signal of something else says nothing of it.
pub async fn tells_when_a_row_was_changed(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    store.signal(at(1), &[local(pair, &id)]).await.unwrap();
    let changed = async |now| take_one(store, pair, now).await.work[0].changed;
    relay(store, 5_000).await;
    let first = changed(5_001).await.expect("it was captured");
    assert_ne!(first, at(5_000), "not when it was relayed");
    bench.update("customers", &id, Record::from_iter([("name", text("bea"))])).await;
    relay(store, 9_000).await;
    let last = changed(9_001).await.expect("it was captured");
    assert!(first <= last && last != at(9_000));
    store.signal(at(9_002), &[local(pair, &id)]).await.unwrap();
    assert_eq!(changed(10_000).await, Some(last));
}

/// A fact can be dealt with while everything else of the work goes on.
pub async fn facts_can_be_dealt_with_on_the_way(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    bench.delete("customers", &id).await;
    relay(store, 0).await;
    let taken = take_one(store, pair, 1).await;
    let work = taken.work[0].id;
    let before = store.work(work).await.unwrap().unwrap();
    let facts = before.facts.iter().map(Fact::change).collect();
    let mut part = unit(&taken);
    part.lease = LeaseAction::Renew(at(100));
    part.work = vec![WorkWrite::Dealt { id: work, facts }];
    done(commit(store, part).await);
    let after = store.work(work).await.unwrap().unwrap();
    assert_eq!(after, Work { facts: Vec::new(), ..before });
    let mut finish = unit(&taken);
    finish.work = vec![WorkWrite::Done { id: work, generation: after.generation, facts: vec![] }];
    done(commit(store, finish).await);
    assert_eq!(store.work(work).await.unwrap(), None);
}

/// One key change: the link follows, and so does work under the old key.
pub async fn moves_links_with_their_keys(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    relay(store, 0).await;
    linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    bench.rekey("customers", &id, &"77".into()).await;
    relay(store, 5).await;
    assert_eq!(local_of(store, 1).await, Some("77".into()));
    assert!(store.work_of(pair, Some(&id), None).await.unwrap().is_empty());
    let taken = take_one(store, pair, 5).await;
    assert_eq!(taken.link.map(|l| l.id), Some(link_id(1)));
    assert_eq!(taken.row.map(|r| r.id), Some("77".into()));
    assert_eq!((taken.work.len(), taken.work[0].facts.len()), (1, 0));
}

/// Three updates in one transaction, in batches of any size.
pub async fn swaps_keys_as_a_set(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let (a, b) = (insert(bench, "a").await, insert(bench, "b").await);
    relay(store, 0).await;
    linked(store, pair, 1, Some(&a), Some("cus_a")).await;
    linked(store, pair, 2, Some(&b), Some("cus_b")).await;
    bench.swap("customers", &a, &b, &"-1".into()).await;
    while store.relay(at(5), 1).await.unwrap().more {}
    assert_eq!(local_of(store, 1).await, Some(b.clone()));
    assert_eq!(local_of(store, 2).await, Some(a.clone()));
    bench.swap("customers", &a, &b, &"-1".into()).await;
    relay(store, 6).await;
    assert_eq!((local_of(store, 1).await, local_of(store, 2).await), (Some(a.clone()), Some(b.clone())));
    for taken in take(store, pair, 9).await {
        assert!(taken.work.iter().all(|w| w.facts.is_empty()));
        let name = taken.row.and_then(|r| r.fields.get("name").cloned());
        let expected = if taken.link.is_some_and(|l| l.id == link_id(1)) { "a" } else { "b" };
        assert_eq!(name, Some(text(expected)));
    }
}

/// A row is deleted and another one gets its key: the delete stays the old link's.
pub async fn a_taken_over_id_is_not_deleted_with_the_old_row(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let (a, b) = (insert(bench, "a").await, insert(bench, "b").await);
    relay(store, 0).await;
    linked(store, pair, 1, Some(&a), Some("cus_a")).await;
    linked(store, pair, 2, Some(&b), Some("cus_b")).await;
    bench.delete("customers", &a).await;
    bench.rekey("customers", &b, &a).await;
    relay(store, 5).await;
    assert_eq!(local_of(store, 2).await, Some(a.clone()));
    let mut deleted = Vec::new();
    for taken in take(store, pair, 5).await {
        let link = taken.link.unwrap();
        if taken.work.iter().any(|w| !w.facts.is_empty()) {
            assert!(taken.row.is_none());
            deleted.push(link.id);
        } else {
            assert_eq!((link.id, taken.row.map(|r| r.id)), (link_id(2), Some(a.clone())));
        }
    }
    assert_eq!(deleted, [link_id(1)]);
}

/// The facts of an unlinked row do not become those of a row that gets its key.
pub async fn a_taken_over_id_without_a_link_has_no_facts(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let (a, b) = (insert(bench, "a").await, insert(bench, "b").await);
    relay(store, 0).await;
    linked(store, pair, 2, Some(&b), Some("cus_b")).await;
    bench.delete("customers", &a).await;
    bench.rekey("customers", &b, &a).await;
    relay(store, 5).await;
    assert_eq!(facts(store, pair, &a).await, []);
    assert_eq!(local_of(store, 2).await, Some(a));
}

/// REPLACE deletes without a trigger; its victims are looked at all the same.
pub async fn replaced_rows_are_hinted(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let victim = bench.insert("customers", customer("old", "same@x.test")).await;
    relay(store, 0).await;
    linked(store, pair, 1, Some(&victim), Some("cus_1")).await;
    take(store, pair, 0).await;
    let fresh = bench.replace("customers", customer("new", "same@x.test")).await;
    assert_ne!(fresh, victim);
    relay(store, 70).await;
    let all = take(store, pair, 70).await;
    let seen = all.iter().find(|t| t.link.as_ref().is_some_and(|l| l.id == link_id(1)));
    assert!(seen.is_some_and(|t| t.row.is_none()), "{all:?}");
    assert!(all.iter().any(|t| t.row.as_ref().is_some_and(|r| r.id == fresh)));
}

/// A record is never looked at under a key that its link does not have yet.
pub async fn take_sees_keys_as_they_are(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    relay(store, 0).await;
    linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    store.signal(at(1), &[remote(pair, "cus_1")]).await.unwrap();
    bench.rekey("customers", &id, &"88".into()).await;
    let taken = take_one(store, pair, 5).await;
    assert_eq!(taken.row.map(|r| r.id), Some("88".into()));
    assert_eq!(taken.link.and_then(|l| l.local_id), Some("88".into()));
}

/// For deletes that wait until everything before them is known.
pub async fn drained_says_what_is_left(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    bench.delete("customers", &id).await;
    relay(store, 0).await;
    let change = facts(store, pair, &id).await[0].change();
    assert!(store.drained(change).await.unwrap());
    insert(bench, "bob").await;
    assert!(store.drained(change).await.unwrap(), "a later entry does not count");
    assert!(!store.drained(change + 1_000).await.unwrap());
    relay(store, 0).await;
    assert!(store.drained(change + 1_000).await.unwrap());
}

/// A change wakes, also one made between two calls.
pub async fn changed_wakes_for_other_programs(bench: &dyn Bench) {
    let store = bench.store();
    pair(store).await;
    insert(bench, "ada").await;
    store.changed().await;
    // It may wake for nothing, but not for ever.
    let mut woken = 0;
    let waiting = loop {
        let mut waiting = store.changed();
        if futures::poll!(&mut waiting).is_pending() {
            break waiting;
        }
        woken += 1;
        assert!(woken < 1_000, "wakes without a change");
    };
    insert(bench, "bob").await;
    waiting.await;
    relay(store, 0).await;
    insert(bench, "cid").await;
    store.changed().await;
}

/// `a` and `A` are two keys.
pub async fn ids_are_compared_by_bytes(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let id = bench.insert("tags", Record::from_iter([("code", text("red"))])).await;
    linked(store, pair, 1, Some(&id), Some("t_1")).await;
    relay(store, 0).await;
    bench.rekey("tags", &id, &"RED".into()).await;
    relay(store, 5).await;
    assert_eq!(local_of(store, 1).await, Some("RED".into()));
    let row = store.row("tags", &"red".into()).await.unwrap();
    assert!(row.is_none());
}

/// Match keys follow their row.
pub async fn moves_match_keys(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    let value = Some("ada@x.test".to_owned());
    let key = crate::Key {
        pair,
        side: Side::Local,
        id: id.0.clone(),
        value,
        seen: super::kit::seq(1),
        content: None,
    };
    store.write_keys(&[KeyWrite::Put(key)]).await.unwrap();
    bench.rekey("customers", &id, &"99".into()).await;
    relay(store, 5).await;
    let group = store.groups_of(pair, &["ada@x.test".to_owned()]).await.unwrap().remove(0);
    let ids: Vec<_> = group.local.iter().map(|m| m.key.id.clone()).collect();
    assert_eq!(ids, ["99"]);
    let subject = Subject::Local("99".into());
    assert!(take(store, pair, 5).await.iter().any(|t| t.work[0].subject == subject));
}

/// A row that vanished unseen has no fact: its link is looked at with nothing that proves a delete (rule 32).
pub async fn lost_rows_leave_no_fact(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = insert(bench, "ada").await;
    linked(store, pair, 1, Some(&id), Some("cus_1")).await;
    relay(store, 0).await;
    bench.lose("customers", &id).await;
    relay(store, 1).await;
    let taken = take_one(store, pair, 1).await;
    assert_eq!((taken.row, taken.row_error), (None, None));
    assert!(taken.work.iter().all(|w| w.facts.is_empty()));
}

/// A row with the id of a deleted one is never handed out without that delete, however much else is waiting to be relayed.
pub async fn take_knows_of_the_deletes_of_its_rows(bench: &dyn Bench) {
    let store = bench.store();
    let pair = store.ensure_pair(&spec("tags", "a")).await.unwrap().id;
    let tag = |label: &str| Record::from_iter([("code", text("red")), ("label", text(label))]);
    let id = bench.insert("tags", tag("old")).await;
    relay(store, 0).await;
    take(store, pair, 0).await;
    linked(store, pair, 1, Some(&id), Some("t_1")).await;
    bench.delete("tags", &id).await;
    bench.insert("tags", tag("new")).await;
    store.signal(at(61), &[remote(pair, "t_1")]).await.unwrap();
    let taken = take_one(store, pair, 61).await;
    assert_eq!(taken.link.as_ref().map(|l| l.id), Some(link_id(1)));
    assert_eq!(taken.row.and_then(|row| row.fields.get("label").cloned()), Some(text("new")));
    let known: Vec<Fact> = taken.work.into_iter().flat_map(|w| w.facts).collect();
    assert_eq!(known.len(), 1);
    relay(store, 62).await;
    assert_eq!(facts(store, pair, &id).await, known, "relayed once");
    bench.delete("tags", &id).await;
    store.release(link_id(1), taken.token).await.unwrap();
    let taken = store.lease(link_id(1), at(70), at(80)).await.unwrap().unwrap();
    assert_eq!(taken.work.iter().map(|w| w.facts.len()).sum::<usize>(), 2, "by its link too");
}
