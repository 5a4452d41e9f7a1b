//! Pairs, their account, counts, pauses (rules 28, 37, 61, 64).

use super::Bench;
use super::kit::{
    at, commit, done, keeping, linked, local, look_at, new_link, open, pair, spec, take, text, unit, write,
};
use crate::{
    Approval, Conflict, Guard, LinkState, LocalBinding, PairSpec, ParkReason, Parked, Pause, PauseScope,
    Signal, StoreErrorKind, Unit, UnitOutcome, WorkWrite,
};
use bothways_model::{ConnectionName, Mode, PairId};

/// Found by catalog, connection and resource; the mapping's name is free to change.
pub async fn are_durable(bench: &dyn Bench) {
    let store = bench.store();
    let first = store.ensure_pair(&spec("customers", "stripe")).await.unwrap();
    assert_eq!((first.account.clone(), first.approval.clone(), first.walked_at), (None, None, None));
    let renamed = PairSpec { mapping: "renamed".into(), ..spec("customers", "stripe") };
    let again = store.ensure_pair(&renamed).await.unwrap();
    assert_eq!((again.id, again.spec.mapping.as_str()), (first.id, "renamed"));
    let other = store.ensure_pair(&PairSpec { resource: "other".into(), ..renamed }).await.unwrap();
    assert_ne!(other.id, first.id);
    let terms = Some(serde_json::json!({ "key": "id" }));
    let approval = Approval { digest: "d".into(), by: "ada".into(), at: at(3), terms };
    store.approve(first.id, &approval).await.unwrap();
    store.set_walked(first.id, at(4)).await.unwrap();
    store.set_passed(first.id, at(5)).await.unwrap();
    let all = store.pairs().await.unwrap();
    assert_eq!(all.iter().map(|p| p.id).collect::<Vec<_>>(), [first.id, other.id]);
    assert_eq!((all[0].approval.as_ref(), all[0].walked_at), (Some(&approval), Some(at(4))));
    assert_eq!((all[0].passed_at, all[0].retired_at), (Some(at(5)), None));
    let error = store.approve(PairId(99), &approval).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unknown);
}

/// A pair never changes accounts.
pub async fn keep_their_account(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    store.set_account(pair, &"acct_1".into(), Mode::Test).await.unwrap();
    store.set_account(pair, &"acct_1".into(), Mode::Test).await.unwrap();
    let error = store.set_account(pair, &"acct_2".into(), Mode::Live).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused);
    let stored = store.pairs().await.unwrap().remove(0);
    assert_eq!((stored.account, stored.mode), (Some("acct_1".into()), Mode::Test));
}

/// Every number that `status` shows.
pub async fn count_what_status_shows(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    for n in 1..=3_u128 {
        let link = linked(store, pair, n, Some(&n.to_string().into()), Some(&format!("cus_{n}"))).await;
        let taken = look_at(store, &link, 20).await;
        let mut unit = keeping(unit(&taken));
        let mut changed = link.clone();
        let work = &taken.work[0];
        match n {
            1 => {
                changed.state = LinkState::Missing;
                let parked = Parked {
                    reason: ParkReason::Delete,
                    message: "m".into(),
                    digest: "d".into(),
                    at: at(20),
                };
                unit.work = vec![WorkWrite::Park { id: work.id, generation: work.generation, parked }];
            }
            2 => {
                let (local, remote) = (Some(text("a")), None);
                let conflict =
                    Conflict { local, remote, since: at(1), first_contact: true, choice: None, stale: None };
                changed.body.conflicts.insert("name".into(), conflict);
                unit.intents = vec![open(&link, 1, "update")];
                unit.work = vec![WorkWrite::Again {
                    id: work.id,
                    generation: work.generation,
                    due: at(99),
                    attempt: None,
                    held: Some("deletes".into()),
                    look: false,
                }];
            }
            _ => {
                unit.work = vec![WorkWrite::Done { id: work.id, generation: work.generation, facts: vec![] }]
            }
        }
        unit.confirm = Some(write(&changed, LocalBinding::Keep));
        done(commit(store, unit).await);
    }
    store.signal(at(30), &[local(pair, &"9".into())]).await.unwrap();
    let counts = store.counts(pair).await.unwrap();
    let words = |map: &std::collections::BTreeMap<String, u64>| {
        map.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(words(&counts.links), "linked 2, missing 1");
    assert_eq!(words(&counts.parked), "delete 1");
    assert_eq!((counts.conflicts, counts.intents, counts.pending, counts.held), (1, 1, 2, 1));
    assert_eq!(counts.oldest, Some(at(20)));
    assert_eq!(take(store, pair, 30).await.len(), 1);
}

/// Scopes are independent; pausing twice keeps the newest reason.
pub async fn pause_and_resume(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, None, Some("cus_1")).await;
    let scopes = [
        PauseScope::All,
        PauseScope::Connection(ConnectionName::from("stripe")),
        PauseScope::Pair(pair),
        PauseScope::Link(link.id),
    ];
    for (n, scope) in scopes.iter().enumerate() {
        let pause =
            Pause { scope: scope.clone(), reason: format!("r{n}"), by: "ada".into(), at: at(n as i64) };
        store.pause(&Pause { reason: "first".into(), ..pause.clone() }).await.unwrap();
        store.pause(&pause).await.unwrap();
    }
    let mut all = store.pauses().await.unwrap();
    all.sort_by_key(|p| p.at);
    assert_eq!(all.iter().map(|p| p.scope.clone()).collect::<Vec<_>>(), scopes);
    assert_eq!(all.iter().map(|p| p.reason.as_str()).collect::<Vec<_>>(), ["r0", "r1", "r2", "r3"]);
    assert!(store.resume(&scopes[2]).await.unwrap());
    assert!(!store.resume(&scopes[2]).await.unwrap());
    assert!(!store.resume(&PauseScope::Pair(PairId(99))).await.unwrap());
    assert_eq!(store.pauses().await.unwrap().len(), 3);
    let signal = Signal { pair, ..local(pair, &"1".into()) };
    store.signal(at(0), &[signal]).await.unwrap();
}

/// A unit that says so has no effect while one of its scopes is paused, whoever paused it and however late (rule 64).
pub async fn hold_what_must_not_go_out(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = new_link(store, pair, 1, None, Some("cus_1")).await;
    let mut claim = keeping(Unit::new(Guard::Claim(Box::new(link.clone()))));
    claim.intents = vec![open(&link, 1, "create")];
    claim.unless_paused = vec![PauseScope::All, PauseScope::Pair(pair)];
    let pause = |scope: PauseScope| Pause { scope, reason: "r".into(), by: "ada".into(), at: at(1) };
    store.pause(&pause(PauseScope::Link(link.id))).await.unwrap();
    store.pause(&pause(PauseScope::Pair(pair))).await.unwrap();
    assert_eq!(commit(store, claim.clone()).await, UnitOutcome::Paused);
    assert_eq!(store.link(link.id).await.unwrap(), None);
    store.resume(&PauseScope::Pair(pair)).await.unwrap();
    done(commit(store, claim).await);
    let mut update = keeping(Unit::new(Guard::Token { link: link.id, token: link.lease.unwrap().token }));
    update.intents = vec![open(&link, 2, "update")];
    update.unless_paused = vec![PauseScope::Link(link.id)];
    assert_eq!(commit(store, update.clone()).await, UnitOutcome::Paused);
    assert_eq!(store.intents(link.id, 9).await.unwrap().len(), 1);
    store.resume(&PauseScope::Link(link.id)).await.unwrap();
    done(commit(store, update).await);
    assert_eq!(store.intents(link.id, 9).await.unwrap().len(), 2);
}
