//! Intents, and what pruning leaves (rules 20, 34, 49).

use super::Bench;
use super::kit::{at, commit, customer, done, keeping, linked, look_at, open, pair, remote, unit, write};
use crate::{Delivery, Guard, IntentState, IntentWrite, LinkState, LocalBinding, Unit, UnitOutcome};

/// Closing names an outcome; opening the same number twice changes nothing.
pub async fn intents_close_and_reopen_nothing(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, None, Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut first = keeping(unit(&taken));
    first.intents = vec![open(&link, 1, "create"), open(&link, 2, "update")];
    done(commit(store, first).await);
    let in_flight = store.creates_in_flight(pair, 9).await.unwrap();
    assert_eq!(in_flight.iter().map(|i| i.number).collect::<Vec<_>>(), [1]);
    let mut second = keeping(unit(&taken));
    let close = |number, state, outcome: &str| IntentWrite::Close {
        link: link.id,
        number,
        state,
        outcome: outcome.into(),
    };
    second.intents = vec![
        close(1, IntentState::Uncertain, "no answer"),
        IntentWrite::Sent { link: link.id, number: 1, at: at(33) },
        close(2, IntentState::Confirmed, "200"),
        close(9, IntentState::Confirmed, "there is none"),
    ];
    done(commit(store, second).await);
    let mut third = keeping(unit(&taken));
    third.intents = vec![open(&link, 2, "update")];
    done(commit(store, third).await);
    let all = store.intents(link.id, 9).await.unwrap();
    let shown: Vec<_> = all.iter().map(|i| (i.number, i.state, i.sent_at, i.outcome.as_deref())).collect();
    assert_eq!(
        shown,
        [
            (2, IntentState::Confirmed, at(10), Some("200")),
            (1, IntentState::Uncertain, at(33), Some("no answer"))
        ]
    );
    assert_eq!(store.creates_in_flight(pair, 9).await.unwrap().len(), 1, "uncertain is in flight");
}

/// Old event ids, closed intents, history and tombstones go; nothing else does, and no tombstone whose row is there: it may be live again.
pub async fn prune_keeps_what_counts(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let row = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let live = linked(store, pair, 1, None, Some("cus_1")).await;
    let dead = linked(store, pair, 2, None, Some("cus_2")).await;
    let archived = linked(store, pair, 3, Some(&row), Some("cus_3")).await;
    for link in [&dead, &archived] {
        let taken = look_at(store, link, 20).await;
        let mut bury = unit(&taken);
        let mut tombstone = link.clone();
        tombstone.state = LinkState::Tombstone;
        bury.confirm = Some(write(&tombstone, LocalBinding::Keep));
        done(commit(store, bury).await);
    }
    let taken = look_at(store, &live, 21).await;
    let mut pending = unit(&taken);
    pending.intents = vec![open(&live, 1, "update")];
    done(commit(store, pending).await);
    let event = Delivery {
        connection: "stripe".into(),
        event: "evt_1".into(),
        about: None,
        signals: vec![remote(pair, "cus_1")],
    };
    assert_eq!(store.intake(at(0), std::slice::from_ref(&event)).await.unwrap(), [true]);
    let day = 86_400;
    store.prune(at(29 * day), 1).await.unwrap();
    assert!(store.link(dead.id).await.unwrap().is_some(), "tombstones stay 30 days whatever is kept");
    assert_eq!(store.intents(live.id, 9).await.unwrap().len(), 1, "a pending intent is never pruned");
    assert_eq!(
        store.intake(at(29 * day), std::slice::from_ref(&event)).await.unwrap(),
        [true],
        "3 days are over"
    );
    store.prune(at(30 * day), 1).await.unwrap();
    assert_eq!(store.intake(at(30 * day), &[event]).await.unwrap(), [false]);
    store.prune(at(32 * day), 1).await.unwrap();
    assert!(store.link(dead.id).await.unwrap().is_none());
    assert!(store.link(live.id).await.unwrap().is_some());
    assert!(store.link(archived.id).await.unwrap().is_some(), "its row is there");
    let stale = Unit::new(Guard::Token { link: dead.id, token: super::kit::seq(1) });
    assert_eq!(commit(store, stale).await, UnitOutcome::Stale);
}
