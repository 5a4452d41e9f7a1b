//! Change numbers are given before their transactions commit: on databases with sequences their order is not the order of commits.

use bothways_model::{LocalId, PairId, Record, Timestamp, Value};
use bothways_store::contract::catalogs;
use bothways_store::{Capture, Guard, Held, Links, MemoryStore, PairSpec, Pairs, Unit, WorkQueue, WorkWrite};

fn at() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn named(name: &str) -> Record {
    Record::from_iter([("name", Value::Text(name.to_owned())), ("level", Value::Text("basic".to_owned()))])
}

async fn is_signalled(store: &MemoryStore, pair: PairId, id: &LocalId) -> bool {
    !store.work_of(pair, Some(id), None).await.unwrap().is_empty()
}

/// What can happen, each in its own order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The first transaction takes its number, then commits.
    First,
    /// So does the second.
    Second,
    /// The relay polls.
    Relay,
}

/// All ways to put these together, the steps of each in order.
fn orders(left: [usize; 3]) -> Vec<Vec<Step>> {
    if left == [0, 0, 0] {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (kind, step) in [Step::First, Step::Second, Step::Relay].into_iter().enumerate() {
        if left[kind] > 0 {
            let mut rest = left;
            rest[kind] -= 1;
            all.extend(orders(rest).into_iter().map(|tail| [vec![step], tail].concat()));
        }
    }
    all
}

#[tokio::test]
async fn p15_a_number_that_commits_late_is_still_delivered() {
    let all = orders([2, 2, 3]);
    assert_eq!(all.len(), 210);
    let mut overtaken = 0;
    for order in all {
        let store = MemoryStore::new(catalogs());
        let spec = PairSpec {
            catalog: "customers".into(),
            connection: "stripe".into(),
            resource: "customers".into(),
            mapping: "m".into(),
        };
        let pair = store.ensure_pair(&spec).await.unwrap().id;
        let rows = ["a", "b"].map(|name| store.foreign().insert("customers", named(name), at()).unwrap());
        store.relay(at(), 100).await.unwrap();
        for row in &rows {
            let work = store.work_of(pair, Some(row), None).await.unwrap().remove(0);
            let mut unit = Unit::new(Guard::Free);
            unit.work = vec![WorkWrite::Done { id: work.id, generation: work.generation, facts: Vec::new() }];
            store.commit(at(), &[unit]).await.unwrap();
        }
        let (foreign, mut open) = (store.foreign(), [None::<Held<'_>>, None]);
        // Who began, who committed, in these orders.
        let (mut begun, mut committed, mut delivered) = (Vec::new(), Vec::new(), 0);
        for step in &order {
            let which = match step {
                Step::First => 0,
                Step::Second => 1,
                Step::Relay => {
                    delivered += store.relay(at(), 100).await.unwrap().entries;
                    assert_eq!(delivered, committed.len() as u64, "{order:?}");
                    for (which, row) in rows.iter().enumerate() {
                        let wanted = committed.contains(&which);
                        assert_eq!(is_signalled(&store, pair, row).await, wanted, "{order:?}");
                    }
                    continue;
                }
            };
            match open[which].take() {
                None => {
                    open[which] = Some(foreign.begin());
                    begun.push(which);
                }
                Some(held) => {
                    assert!(held.update("customers", &rows[which], named("new"), at()).unwrap());
                    committed.push(which);
                }
            }
        }
        overtaken += u32::from(committed != begun);
        delivered += store.relay(at(), 100).await.unwrap().entries;
        assert_eq!(delivered, 2, "{order:?}");
        for row in &rows {
            assert!(is_signalled(&store, pair, row).await, "{order:?}");
        }
    }
    assert!(overtaken > 0, "in some the later number commits first");
}
