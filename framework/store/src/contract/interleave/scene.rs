//! The prepared database: a bit of everything that two calls can disagree about.

use super::super::Bench;
use super::super::kit::*;
use crate::{
    Cursor, Delivery, Fact, Guard, Key, KeyWrite, LeaseAction, PageCommit, ParkReason, Parked, Side, Signal,
    Subject, Take, Taken, Unit, WorkId, WorkWrite,
};
use bothways_model::{LocalId, PairId, Seq};

/// What was prepared, by name.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The pair that everything is about.
    pub pair: PairId,
    /// Another pair of the same catalog.
    pub other: PairId,
    /// Rows 1 to 6: the first is linked and due; the second is linked and in somebody's hands; the third is linked, its
    /// lease has run out over an open intent; the fourth is new and due; the fifth was linked and is deleted, not relayed; the sixth is linked.
    pub rows: Vec<LocalId>,
    /// The second row's look.
    pub held: Taken,
    /// The third row's look.
    pub late: Taken,
    /// Tokens that nobody has used.
    pub spare: Seq,
    /// Parked work.
    pub parked: WorkId,
}

impl Scene {
    /// A row by number, from 1.
    pub fn row(&self, number: usize) -> &LocalId {
        &self.rows[number - 1]
    }
}

/// Prepares a fresh store.
pub async fn prepare(bench: &dyn Bench) -> Scene {
    let store = bench.store();
    let pair = pair(store).await;
    let other = store.ensure_pair(&spec("customers", "other")).await.expect("a pair").id;
    let mut rows = Vec::new();
    for name in ["Ann", "Bob", "Cyd", "Dot", "Eve", "Fay"] {
        let email = format!("{}@x.test", name.to_lowercase());
        rows.push(bench.insert("customers", customer(name, &email)).await);
    }
    relay(store, 0).await;
    let take = Take { now: at(1), until: at(61), limit: 100, pairs: &[pair, other] };
    for taken in store.take(take).await.expect("all work") {
        let mut unit = unit(&taken);
        unit.work = taken.work.iter().map(|w| done_with(w.id, w.generation, &w.facts)).collect();
        commit(store, unit).await;
    }
    let mut links = Vec::new();
    for number in [1, 2, 3, 5, 6] {
        let remote = format!("cus_{number}");
        links.push(linked(store, pair, number as u128, Some(&rows[number - 1]), Some(&remote)).await);
    }
    // Parked work, by itself and as a group.
    store.signal(at(11), &[remote(pair, "cus_8")]).await.expect("a signal");
    let taken = take_one(store, pair, 11).await;
    let parked = taken.work[0].id;
    let mut unit_of = unit(&taken);
    let generation = taken.work[0].generation;
    unit_of.work = vec![WorkWrite::Park { id: parked, generation, parked: parked_as(ParkReason::Refused) }];
    commit(store, unit_of).await;
    store.park_group(pair, "ann@x.test", &parked_as(ParkReason::Ambiguous)).await.expect("a group");
    // A look that opened its intent and was never heard of again.
    let late = look_at(store, &links[2], 12).await;
    let mut unit_of = keeping(unit(&late));
    unit_of.intents = vec![open(&links[2], late.next_intent, "update")];
    unit_of.work = late.work.iter().map(|w| done_with(w.id, w.generation, &w.facts)).collect();
    done(commit(store, unit_of).await);
    // A look under way.
    let held = look_at(store, &links[1], 80).await;
    let mut unit_of = Unit::new(Guard::Token { link: links[1].id, token: held.token });
    unit_of.intents = vec![open(&links[1], held.next_intent, "update")];
    unit_of.lease = LeaseAction::Renew(at(140));
    done(commit(store, unit_of).await);
    let spare = store.draw(4).await.expect("tokens");
    // Accepted already.
    let delivery =
        Delivery { connection: "stripe".into(), event: "evt_1".into(), about: None, signals: Vec::new() };
    store.intake(at(85), &[delivery]).await.expect("an event");
    let key = |side, id: &str, value: &str| {
        KeyWrite::Put(Key {
            pair,
            side,
            id: id.into(),
            value: Some(value.into()),
            seen: seq(1),
            content: None,
        })
    };
    let page = PageCommit {
        keys: vec![
            key(Side::Local, rows[3].as_str(), "dot@x.test"),
            key(Side::Remote, "cus_9", "dot@x.test"),
            key(Side::Local, rows[5].as_str(), "fay@x.test"),
        ],
        cursor: Some(Cursor { name: "feed/stripe".into(), value: 1.into() }),
        ..PageCommit::default()
    };
    store.commit_page(at(86), &page).await.expect("a page");
    let signals = [
        local(pair, &rows[0]),
        Signal { pair, subject: Subject::Remote("cus_9".into()), look: true, not_before: None },
        local(pair, &rows[3]),
    ];
    store.signal(at(90), &signals).await.expect("signals");
    // Captured, not relayed.
    bench.update("customers", &rows[0], customer("Ann A.", "ann@x.test")).await;
    bench.delete("customers", &rows[4]).await;
    Scene { pair, other, rows, held, late, spare, parked }
}

pub(super) fn done_with(id: WorkId, generation: Seq, facts: &[Fact]) -> WorkWrite {
    WorkWrite::Done { id, generation, facts: facts.iter().map(Fact::change).collect() }
}

pub(super) fn parked_as(reason: ParkReason) -> Parked {
    Parked { reason, message: "look at it".into(), digest: "d".into(), at: at(11) }
}
