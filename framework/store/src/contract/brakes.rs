//! Brakes, judged inside the transaction that would pass them (rules 56, 63).

use super::Bench;
use super::kit::{
    at, commit, customer, done, keeping, link_id, linked, local, look_at, new_link, open, pair, relay,
    remote, unit, write,
};
use crate::{
    AuditEntry, BrakeApproval, BrakeApproved, BrakeKind, BrakeName, Charge, ChargeKey, Fact, Guard,
    HistoryFilter, HistoryOp, Judged, Limit, Link, LinkState, LocalBinding, PageCommit, ParkReason, Parked,
    PassMark, Ripening, Settlement, Store, Unit, UnitOutcome, WorkWrite,
};
use bothways_model::{LocalId, PairId};
use chrono::TimeDelta;

fn name(pair: PairId, kind: BrakeKind) -> BrakeName {
    BrakeName { pair, kind, part: String::new() }
}

fn charge(pair: PairId, link: &Link, kind: BrakeKind, most: u64) -> Charge {
    Charge {
        brake: name(pair, kind),
        key: ChargeKey::Link(link.id),
        what: "do it".into(),
        limit: Limit::flat(most),
        since: at(0),
        ripening: None,
    }
}

fn delete(pair: PairId, link: &Link, most: u64, known: i64) -> Charge {
    let ripening = Ripening { since: at(known), wait: TimeDelta::seconds(5), captured: true };
    Charge { ripening: Some(ripening), ..charge(pair, link, BrakeKind::Deletes, most) }
}

fn settlement(link: &Link, keeps: &[BrakeName], finished: bool) -> Option<Settlement> {
    Some(Settlement {
        pair: link.pair,
        keys: vec![ChargeKey::Link(link.id)],
        keeps: keeps.to_vec(),
        finished,
    })
}

async fn four(store: &dyn Store, pair: PairId) -> Vec<(Link, Unit)> {
    let mut all = Vec::new();
    for n in 1..=4 {
        let link = linked(store, pair, n, None, Some(&format!("cus_{n}"))).await;
        let taken = look_at(store, &link, 20).await;
        let mut unit = keeping(unit(&taken));
        unit.intents = vec![open(&link, 1, "update")];
        all.push((link, unit));
    }
    all
}

fn audit() -> AuditEntry {
    AuditEntry { at: at(20), by: "ann".into(), action: "approve-brake".into(), detail: serde_json::json!({}) }
}

/// What earlier units of the same batch do counts; what is withheld has no effect but is known by name.
pub async fn the_limit_counts_this_batch(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let all = four(store, pair).await;
    let charged = all.iter().map(|(link, unit)| {
        let mut unit = unit.clone();
        unit.charges = vec![charge(pair, link, BrakeKind::Updates, 2)];
        unit
    });
    let units: Vec<Unit> = charged.collect();
    let outcomes = store.commit(at(20), &units[..3]).await.unwrap();
    let withheld = UnitOutcome::Withheld { charges: vec![Judged::Withheld { counted: 3, most: 2 }] };
    assert!(
        matches!(&outcomes[..], [UnitOutcome::Done { .. }, UnitOutcome::Done { .. }, last] if *last == withheld),
        "{outcomes:?}"
    );
    let third = link_id(3);
    assert!(store.intents(third, 9).await.unwrap().is_empty());
    assert!(store.link(third).await.unwrap().unwrap().lease.is_some(), "no effect, not even on the lease");
    let brakes = store.brakes(at(21)).await.unwrap();
    assert_eq!(brakes.len(), 1);
    let brake = &brakes[0];
    assert_eq!((brake.name.clone(), brake.since), (name(pair, BrakeKind::Updates), at(20)));
    assert_eq!((brake.counted, brake.most, brake.withheld, brake.approved), (3, 2, 1, 0));
    let shown = store.withheld(brake.id, None, 9).await.unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].key.clone(), shown[0].what.as_str()), (ChargeKey::Link(third), "do it"));
    assert_eq!(shown[0].remote_id.as_ref().map(|id| id.as_str()), Some("cus_3"));
    // As long as it is on, one that would have fitted is withheld too; another brake is another matter.
    let mut late = units[3].clone();
    late.charges[0].since = at(21);
    assert!(matches!(commit(store, late).await, UnitOutcome::Withheld { .. }));
    let mut other = units[3].clone();
    other.charges[0].brake.part = "other".into();
    done(commit(store, other).await);
    // The same thing is counted once, however often it is tried, also when the brake has come on since.
    let mut again = all[0].1.clone();
    again.intents.clear();
    again.charges = vec![charge(pair, &all[0].0, BrakeKind::Updates, 2)];
    done(commit(store, again.clone()).await);
    again.charges = vec![charge(pair, &all[0].0, BrakeKind::Blanking, 1)];
    done(commit(store, again.clone()).await);
    done(commit(store, again).await);
}

/// Two that are judged at the same time cannot pass together.
pub async fn two_at_once_do_not_pass_together(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let units: Vec<Unit> = four(store, pair)
        .await
        .into_iter()
        .map(|(link, mut unit)| {
            unit.charges = vec![charge(pair, &link, BrakeKind::Updates, 2)];
            unit
        })
        .collect();
    let commits = units.iter().map(|unit| store.commit(at(20), std::slice::from_ref(unit)));
    let outcomes = futures::future::join_all(commits).await;
    let passed = outcomes.iter().filter(|o| matches!(o.as_ref().unwrap()[0], UnitOutcome::Done { .. }));
    assert_eq!(passed.count(), 2);
}

/// A window moves on; what is done leaves the count.
pub async fn what_was_done_before_the_window_does_not_count(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let all = four(store, pair).await;
    for (n, (link, unit)) in all.iter().enumerate() {
        let mut unit = unit.clone();
        unit.charges = vec![charge(pair, link, BrakeKind::Creates, 1)];
        unit.charges[0].since = at(15 + 10 * n as i64);
        let outcomes = store.commit(at(20 + 10 * n as i64), &[unit]).await.unwrap();
        assert!(matches!(outcomes[0], UnitOutcome::Done { .. }), "{n}");
    }
    store.prune(at(0) + TimeDelta::days(8), 30).await.unwrap();
    let mut late = charge(pair, &all[0].0, BrakeKind::Creates, 0);
    late.key = ChargeKey::Pass;
    let judged = store.charge(at(0) + TimeDelta::days(8), &late).await.unwrap();
    assert_eq!(judged, Judged::Withheld { counted: 1, most: 0 }, "nothing is left to count");
}

/// One approval of exactly what was shown; spent one by one; the brake goes with the last.
pub async fn an_approval_names_its_set_and_is_spent(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let all = four(store, pair).await;
    let mut units: Vec<Unit> = Vec::new();
    for (link, unit) in &all {
        let mut unit = unit.clone();
        unit.charges = vec![charge(pair, link, BrakeKind::Creates, 0)];
        units.push(unit);
    }
    for unit in &units[..2] {
        assert!(matches!(commit(store, unit.clone()).await, UnitOutcome::Withheld { .. }));
    }
    let brake = store.brakes(at(20)).await.unwrap()[0].id;
    let set = store.withheld_set(brake, at(20)).await.unwrap().unwrap();
    assert_eq!(set.count, 2);
    assert!(matches!(commit(store, units[2].clone()).await, UnitOutcome::Withheld { .. }));
    let moved = store.withheld_set(brake, at(20)).await.unwrap().unwrap();
    assert_ne!(moved.digest, set.digest);
    let approval = |set: &crate::WithheldSet, until| BrakeApproval {
        brake,
        set: set.clone(),
        by: "ann".into(),
        until: at(until),
    };
    let stale = store.approve_withheld(at(20), &approval(&set, 60), &audit()).await.unwrap();
    assert_eq!(stale, BrakeApproved::Moved(moved.clone()));
    assert!(store.audits(9).await.unwrap().is_empty(), "nothing happened");
    let yes = store.approve_withheld(at(20), &approval(&moved, 60), &audit()).await.unwrap();
    assert_eq!(yes, BrakeApproved::Yes);
    assert_eq!(store.audits(9).await.unwrap().len(), 1);
    assert_eq!(store.brakes(at(59)).await.unwrap()[0].approved, 3);
    assert_eq!(store.brakes(at(60)).await.unwrap()[0].approved, 0, "it ends");
    let shown = store.withheld(brake, None, 9).await.unwrap();
    assert_eq!(shown[0].approved_by.as_deref(), Some("ann"));
    let work = store.work_of(pair, None, Some(&"cus_1".into())).await.unwrap();
    assert_eq!(work[0].due, Some(at(20)), "it is looked at at once");
    // One that was not in the set is withheld, and does not spoil the approval of the others.
    assert!(matches!(commit(store, units[3].clone()).await, UnitOutcome::Withheld { .. }));
    assert_eq!(store.withheld_set(brake, at(30)).await.unwrap().unwrap().count, 1);
    for (n, unit) in units[..3].iter().enumerate() {
        let outcome = store.commit(at(30), std::slice::from_ref(unit)).await.unwrap().remove(0);
        done(outcome);
        assert_eq!(store.brakes(at(30)).await.unwrap()[0].withheld, 3 - n as u64);
    }
    // Not carried out after all: its look goes on under the same approval. When it is finished, the approval is spent.
    let mut again = units[0].clone();
    again.intents.clear();
    done(store.commit(at(31), &[again.clone()]).await.unwrap().remove(0));
    let mut end = again.clone();
    end.charges.clear();
    end.settlement = settlement(&all[0].0, &[], true);
    done(store.commit(at(32), &[end]).await.unwrap().remove(0));
    let spent = store.commit(at(33), &[again]).await.unwrap().remove(0);
    assert!(matches!(spent, UnitOutcome::Withheld { .. }));
    // An approval that ran out is none.
    let rest = store.withheld_set(brake, at(34)).await.unwrap().unwrap();
    assert_eq!(
        store.approve_withheld(at(34), &approval(&rest, 40), &audit()).await.unwrap(),
        BrakeApproved::Yes
    );
    let late = store.commit(at(40), &[units[3].clone()]).await.unwrap().remove(0);
    assert!(matches!(late, UnitOutcome::Withheld { .. }));
    assert_eq!(store.withheld_set(brake, at(40)).await.unwrap().unwrap().count, 2, "to be approved again");
}

/// A look that finds that nobody wants it any more takes it back; the brake goes with the last, and its number is not used again.
pub async fn what_nobody_wants_is_forgotten(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let all = four(store, pair).await;
    let name = name(pair, BrakeKind::Deletes);
    for (link, unit) in &all[..2] {
        let mut unit = unit.clone();
        unit.charges = vec![charge(pair, link, BrakeKind::Deletes, 0)];
        assert!(matches!(commit(store, unit).await, UnitOutcome::Withheld { .. }));
    }
    let brake = store.brakes(at(20)).await.unwrap()[0].id;
    let end = |n: usize, keeps: &[BrakeName], finished| {
        let mut end = all[n].1.clone();
        end.intents.clear();
        end.settlement = settlement(&all[n].0, keeps, finished);
        end
    };
    done(commit(store, end(0, std::slice::from_ref(&name), true)).await);
    assert_eq!(store.brakes(at(20)).await.unwrap()[0].withheld, 2, "it is still wanted");
    done(commit(store, end(0, &[], true)).await);
    assert_eq!(store.brakes(at(20)).await.unwrap()[0].withheld, 1);
    done(commit(store, end(1, &[], false)).await);
    assert!(store.brakes(at(20)).await.unwrap().is_empty(), "off");
    assert!(store.withheld(brake, None, 9).await.unwrap().is_empty());
    let approval = BrakeApproval {
        brake,
        set: crate::transition::SetDigest::default().finish(),
        by: "ann".into(),
        until: at(60),
    };
    assert_eq!(store.approve_withheld(at(20), &approval, &audit()).await.unwrap(), BrakeApproved::Off);
    let mut pass = charge(pair, &all[0].0, BrakeKind::Empty, 0);
    pass.key = ChargeKey::Pass;
    assert!(matches!(store.charge(at(21), &pass).await.unwrap(), Judged::Withheld { .. }));
    let again = store.brakes(at(21)).await.unwrap();
    assert!(again[0].id > brake);
    store.forget_withheld(&pass.brake, &ChargeKey::Row("9".into())).await.unwrap();
    assert_eq!(store.brakes(at(21)).await.unwrap().len(), 1);
    store.forget_withheld(&pass.brake, &pass.key).await.unwrap();
    assert!(store.brakes(at(21)).await.unwrap().is_empty());
}

async fn fact_of(store: &dyn Store, pair: PairId, id: &LocalId) -> Vec<Fact> {
    store.work_of(pair, Some(id), None).await.unwrap().into_iter().flat_map(|w| w.facts).collect()
}

/// Deletes count those that are still to come: announced, captured and relayed, captured and not relayed, missing.
pub async fn deletes_count_what_is_to_come(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut links = Vec::new();
    for n in 1..=6 {
        let id = bench.insert("customers", customer("Ada", &format!("a{n}@x.test"))).await;
        links.push(linked(store, pair, n, Some(&id), Some(&format!("cus_{n}"))).await);
    }
    let stranger = bench.insert("customers", customer("Bob", "bob@x.test")).await;
    relay(store, 10).await;
    // Drain the signals of the inserts.
    for taken in super::kit::take(store, pair, 10).await {
        let mut end = unit(&taken);
        end.work = taken
            .work
            .iter()
            .map(|w| WorkWrite::Done { id: w.id, generation: w.generation, facts: vec![] })
            .collect();
        commit(store, end).await;
    }
    let row = |n: usize| links[n].local_id.clone().unwrap();
    // 0: looked at; 1: relayed; 2: only captured; 3: missing; 4: nothing at all; the stranger has no link.
    for n in [0, 1] {
        bench.delete("customers", &row(n)).await;
    }
    relay(store, 20).await;
    assert_eq!(fact_of(store, pair, &row(1)).await.len(), 1);
    bench.delete("customers", &row(2)).await;
    bench.delete("customers", &stranger).await;
    let taken = store.lease(links[3].id, at(21), at(81)).await.unwrap().unwrap();
    let mut missing = unit(&taken);
    let mut gone = links[3].clone();
    gone.state = LinkState::Missing;
    missing.confirm = Some(write(&gone, LocalBinding::Keep));
    commit(store, missing).await;
    let taken = store.lease(links[0].id, at(22), at(82)).await.unwrap().unwrap();
    let try_at = async |second: i64, most: u64, captured: bool| {
        let mut unit = keeping(unit(&taken));
        unit.charges = vec![delete(pair, &links[0], most, 20)];
        unit.charges[0].ripening.as_mut().unwrap().captured = captured;
        store.commit(at(second), &[unit]).await.unwrap().remove(0)
    };
    let early = UnitOutcome::Withheld { charges: vec![Judged::Early(at(25))] };
    assert_eq!(try_at(22, 9, true).await, early);
    assert!(store.brakes(at(22)).await.unwrap().is_empty(), "too early is no brake");
    let withheld =
        |counted, most| UnitOutcome::Withheld { charges: vec![Judged::Withheld { counted, most }] };
    assert_eq!(try_at(25, 3, true).await, withheld(4, 3));
    store.forget_withheld(&name(pair, BrakeKind::Deletes), &ChargeKey::Link(links[0].id)).await.unwrap();
    assert_eq!(
        try_at(25, 1, false).await,
        withheld(2, 1),
        "where captured deletes lead to none, they do not count"
    );
    store.forget_withheld(&name(pair, BrakeKind::Deletes), &ChargeKey::Link(links[0].id)).await.unwrap();
    // Parked work is a person's matter already.
    let second =
        super::kit::take(store, pair, 26).await.into_iter().find(|t| !t.work[0].facts.is_empty()).unwrap();
    let mut park = unit(&second);
    let parked = Parked { reason: ParkReason::Delete, message: "?".into(), digest: "d".into(), at: at(26) };
    park.work =
        vec![WorkWrite::Park { id: second.work[0].id, generation: second.work[0].generation, parked }];
    commit(store, park).await;
    done(try_at(26, 3, true).await);
}

/// A share of the links is one of those that there were; a delete under way is counted once.
pub async fn deletes_within_a_share_do_not_lower_it(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let all = four(store, pair).await;
    let half = Limit { few: 0, from: 0, percent: 50, most: 9, tighter: None, tighter_percent: None };
    let deletes = |n: usize| {
        let (link, unit) = &all[n];
        let mut unit = unit.clone();
        unit.charges = vec![Charge { limit: half, ..charge(pair, link, BrakeKind::Deletes, 0) }];
        unit
    };
    done(commit(store, deletes(0)).await);
    let mut closed = all[0].0.clone();
    closed.state = LinkState::Tombstone;
    let mut end = all[0].1.clone();
    end.intents.clear();
    end.confirm = Some(write(&closed, LocalBinding::Keep));
    done(commit(store, end).await);
    done(commit(store, deletes(1)).await);
    let withheld = UnitOutcome::Withheld { charges: vec![Judged::Withheld { counted: 3, most: 2 }] };
    assert_eq!(commit(store, deletes(2)).await, withheld);
}

/// A full pass's signal is remembered as such until somebody else signals the same.
pub async fn the_pass_behind_a_signal_is_known(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mark = PassMark { began: at(3), approved: false };
    let page = PageCommit {
        signals: vec![local(pair, &"1".into()), local(pair, &"2".into())],
        pass: Some(mark),
        ..PageCommit::default()
    };
    store.signal(at(4), &[local(pair, &"2".into())]).await.unwrap();
    store.commit_page(at(5), &page).await.unwrap();
    let of = async |id: &str| {
        store
            .work_of(pair, Some(&id.into()), None)
            .await
            .unwrap()
            .into_iter()
            .map(|w| w.pass)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("1").await, [Some(mark)]);
    assert_eq!(of("2").await, [None], "somebody else's already");
    store.signal(at(6), &[local(pair, &"1".into())]).await.unwrap();
    assert_eq!(of("1").await, [None]);
}

/// Work that a pass found stays that pass's until it is done, whichever pass finds it again; an approval does not change whose it is.
pub async fn what_a_pass_found_stays_its_own(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let found = async |second, approved| {
        let mark = PassMark { began: at(second), approved };
        let signals = vec![remote(pair, "cus_1")];
        store
            .commit_page(at(second), &PageCommit { signals, pass: Some(mark), ..PageCommit::default() })
            .await
            .unwrap();
        mark
    };
    let of = async || store.work_of(pair, None, Some(&"cus_1".into())).await.unwrap().remove(0).pass;
    let first = found(3, false).await;
    found(5, true).await;
    assert_eq!(of().await, Some(first));
    let taken = super::kit::take_one(store, pair, 20).await;
    let mut unit = keeping(unit(&taken));
    unit.charges = vec![charge(pair, &link, BrakeKind::Updates, 0)];
    assert!(matches!(commit(store, unit).await, UnitOutcome::Withheld { .. }));
    let brake = store.brakes(at(21)).await.unwrap()[0].id;
    let set = store.withheld_set(brake, at(21)).await.unwrap().unwrap();
    let approval = BrakeApproval { brake, set, by: "ann".into(), until: at(60) };
    assert_eq!(store.approve_withheld(at(21), &approval, &audit()).await.unwrap(), BrakeApproved::Yes);
    assert_eq!(of().await, Some(first));
    assert!(
        store.work_of(pair, Some(&"1".into()), None).await.unwrap().iter().all(|w| w.pass == Some(first))
    );
}

/// What happened because somebody approved it says so: in the unit that passes the brake, and later in the same look; nothing else does.
pub async fn history_names_who_approved(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let all = four(store, pair).await;
    let braked = |n: usize| {
        let mut unit = all[n].1.clone();
        unit.charges = vec![charge(pair, &all[n].0, BrakeKind::Deletes, 0)];
        unit
    };
    for n in 0..2 {
        assert!(matches!(commit(store, braked(n)).await, UnitOutcome::Withheld { .. }));
    }
    let brake = store.brakes(at(20)).await.unwrap()[0].id;
    let set = store.withheld_set(brake, at(20)).await.unwrap().unwrap();
    let approval = BrakeApproval { brake, set, by: "ann".into(), until: at(60) };
    assert_eq!(store.approve_withheld(at(20), &approval, &audit()).await.unwrap(), BrakeApproved::Yes);
    let tells = |link: &Link, op| super::row_part::history(pair, link.id, op);
    // The first passes its brake and tells of it at once.
    let mut now = braked(0);
    now.history = vec![tells(&all[0].0, HistoryOp::Delete), tells(&all[0].0, HistoryOp::Unlink)];
    // The second tells of it when its call is over, the third was never withheld.
    done(commit(store, braked(1)).await);
    let mut later = all[1].1.clone();
    later.intents.clear();
    later.history = vec![tells(&all[1].0, HistoryOp::Delete), tells(&all[1].0, HistoryOp::Update)];
    later.settlement = settlement(&all[1].0, &[name(pair, BrakeKind::Deletes)], true);
    let mut other = all[2].1.clone();
    other.history = vec![tells(&all[2].0, HistoryOp::Delete)];
    for unit in [now, later.clone(), other] {
        done(commit(store, unit).await);
    }
    // The approval is used up: whatever is told of this link from here on is another matter.
    later.settlement = None;
    done(commit(store, later).await);
    let told = store.history(&HistoryFilter::default(), None, 99).await.unwrap();
    let by = told.iter().rev().map(|row| (row.entry.op, row.entry.approved_by.as_deref()));
    let (delete, update) = (HistoryOp::Delete, HistoryOp::Update);
    assert_eq!(
        by.collect::<Vec<_>>(),
        [
            (delete, Some("ann")),
            (HistoryOp::Unlink, None),
            (delete, Some("ann")),
            (update, None),
            (delete, None),
            (delete, None),
            (update, None)
        ]
    );
}

/// What is withheld of a row without a link follows its key, in a swap too.
pub async fn what_is_withheld_of_a_row_follows_its_key(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let create = |id: &LocalId, what: &str| Charge {
        brake: name(pair, BrakeKind::Creates),
        key: ChargeKey::Row(id.clone()),
        what: what.into(),
        limit: Limit::flat(0),
        since: at(0),
        ripening: None,
    };
    let (ada, bob) = (
        bench.insert("customers", customer("ada", "a@x.test")).await,
        bench.insert("customers", customer("bob", "b@x.test")).await,
    );
    relay(store, 5).await;
    for (id, what) in [(&ada, "create ada"), (&bob, "create bob")] {
        assert!(!store.charge(at(6), &create(id, what)).await.unwrap().is_free());
    }
    let brake = store.brakes(at(6)).await.unwrap()[0].id;
    let held = async || -> Vec<(String, String)> {
        let all = store.withheld(brake, None, 10).await.unwrap();
        let mut all: Vec<_> = all.into_iter().map(|one| (one.key.to_string(), one.what)).collect();
        all.sort();
        all
    };
    let named = |id: &str, what: &str| (format!("row {id}"), what.to_owned());
    bench.rekey("customers", &ada, &"99".into()).await;
    relay(store, 7).await;
    let mut wanted = vec![named("99", "create ada"), named(bob.as_str(), "create bob")];
    wanted.sort();
    assert_eq!(held().await, wanted);
    bench.rekey("customers", &bob, &"98".into()).await;
    bench.rekey("customers", &"99".into(), &bob).await;
    bench.rekey("customers", &"98".into(), &"99".into()).await;
    relay(store, 8).await;
    let mut wanted = vec![named("99", "create bob"), named(bob.as_str(), "create ada")];
    wanted.sort();
    assert_eq!(held().await, wanted);
}

/// Rows of two tables may have one key: what a look says of the one is nothing about the other.
pub async fn a_row_of_another_pair_is_another(bench: &dyn Bench) {
    let store = bench.store();
    let other = store.ensure_pair(&super::kit::spec("customers", "other")).await.unwrap().id;
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("ada", "a@x.test")).await;
    relay(store, 5).await;
    let create = |pair| Charge {
        brake: name(pair, BrakeKind::Creates),
        key: ChargeKey::Row(id.clone()),
        what: "create it".into(),
        limit: Limit::flat(0),
        since: at(0),
        ripening: None,
    };
    for pair in [pair, other] {
        assert!(!store.charge(at(6), &create(pair)).await.unwrap().is_free());
    }
    let on = async || -> Vec<PairId> {
        store.brakes(at(6)).await.unwrap().into_iter().map(|brake| brake.name.pair).collect()
    };
    let mut end = Unit::new(Guard::Free);
    let keys = vec![ChargeKey::Row(id.clone())];
    end.settlement = Some(Settlement { pair, keys, keeps: Vec::new(), finished: true });
    assert!(matches!(commit(store, end).await, UnitOutcome::Done { .. }));
    assert_eq!(on().await, [other]);
}

/// Nothing is withheld of a row that may be another one by now: who asks has to look again.
pub async fn nothing_is_remembered_of_a_row_that_has_moved(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let id = bench.insert("customers", customer("ada", "a@x.test")).await;
    relay(store, 5).await;
    bench.rekey("customers", &id, &"99".into()).await;
    let mut claim = Unit::new(Guard::Claim(Box::new(new_link(store, pair, 1, Some(&id), None).await)));
    claim.charges = vec![Charge {
        brake: name(pair, BrakeKind::Creates),
        key: ChargeKey::Row(id),
        what: "create it".into(),
        limit: Limit::flat(0),
        since: at(0),
        ripening: None,
    }];
    assert_eq!(commit(store, claim).await, UnitOutcome::Aborted);
    assert!(store.brakes(at(6)).await.unwrap().is_empty());
}
