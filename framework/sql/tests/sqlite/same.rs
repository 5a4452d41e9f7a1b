//! The in-memory store and SQLite are the same store: whatever is done to both, both answer the same and hold the same.

use crate::foreign::{Program, at, pair, text};
use bothways_model::{LinkId, LocalId, PairId, Record, Seq, Value};
use bothways_store::contract::{Bench, catalogs};
use bothways_store::{
    Awaited, Fact, Guard, Intent, IntentState, IntentWrite, Lease, LeaseAction, Link, LinkFilter, LinkState,
    LinkWrite, LocalBinding, MemoryStore, PairSpec, ParkReason, Parked, RowWrite, Settled, Side, Signal,
    Store, Subject, Take, Taken, Unit, UnitOutcome, Work, WorkId, WorkWrite,
};
use proptest::prelude::*;
use std::sync::Arc;

const PLAIN: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT UNIQUE, balance TEXT,
        level TEXT NOT NULL DEFAULT 'basic', joined TEXT, deleted_at TEXT);
    CREATE TABLE tags (code TEXT PRIMARY KEY, label TEXT);";

/// One thing that is done to both stores. Numbers pick from what is there.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Update(u8, u8),
    Delete(u8),
    Rekey(u8, u8),
    Relay(usize),
    Local(u8, i64),
    Remote(u8, i64),
    Take(usize),
    Lease(u8),
    Commit(Vec<(u8, End)>),
    Advance(i64),
    EndLeases,
    Sweep,
    Replay(u8),
    Dismiss(u8),
    Prune,
}

/// How a look ends.
#[derive(Clone, Debug)]
enum End {
    Done,
    Wait,
    Await(u8),
    Fail,
    Park,
    Claim(u8),
    Bind(u8),
    Close(LinkState),
    Insert(u8),
    Write(RowWriteKind, bool),
    Intent(bool),
}

#[derive(Clone, Copy, Debug)]
enum RowWriteKind {
    None,
    Update(u8),
    Archive,
    Restore,
    Delete,
    Abort,
}

fn ends() -> impl Strategy<Value = End> {
    let state = prop_oneof![
        Just(LinkState::Linked),
        Just(LinkState::Detached),
        Just(LinkState::Unlinked),
        Just(LinkState::Tombstone)
    ];
    let write = prop_oneof![
        Just(RowWriteKind::None),
        (0..5_u8).prop_map(RowWriteKind::Update),
        Just(RowWriteKind::Archive),
        Just(RowWriteKind::Restore),
        Just(RowWriteKind::Delete),
        Just(RowWriteKind::Abort),
    ];
    prop_oneof![
        2 => Just(End::Done),
        1 => Just(End::Wait),
        2 => (0..5_u8).prop_map(End::Await),
        1 => Just(End::Fail),
        1 => Just(End::Park),
        4 => (0..5_u8).prop_map(End::Claim),
        1 => (0..5_u8).prop_map(End::Bind),
        1 => state.prop_map(End::Close),
        1 => (0..5_u8).prop_map(End::Insert),
        3 => (write, any::<bool>()).prop_map(|(write, keep)| End::Write(write, keep)),
        1 => any::<bool>().prop_map(End::Intent),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let small = || 0..5_u8;
    prop_oneof![
        3 => small().prop_map(Step::Insert),
        2 => (small(), small()).prop_map(|(a, b)| Step::Update(a, b)),
        1 => small().prop_map(Step::Delete),
        2 => (small(), 1..8_u8).prop_map(|(a, b)| Step::Rekey(a, b)),
        4 => (1..6_usize).prop_map(Step::Relay),
        1 => (small(), 0..20_i64).prop_map(|(a, b)| Step::Local(a, b)),
        2 => (small(), 0..20_i64).prop_map(|(a, b)| Step::Remote(a, b)),
        5 => (1..5_usize).prop_map(Step::Take),
        1 => small().prop_map(Step::Lease),
        8 => proptest::collection::vec((small(), ends()), 1..5).prop_map(Step::Commit),
        3 => (1..90_i64).prop_map(Step::Advance),
        1 => Just(Step::EndLeases),
        1 => Just(Step::Sweep),
        1 => small().prop_map(Step::Replay),
        1 => small().prop_map(Step::Dismiss),
        1 => Just(Step::Prune),
    ]
}

/// One of the two stores, with what was taken from it.
struct Run<'s> {
    store: &'s dyn Store,
    pairs: Vec<PairId>,
    taken: Vec<Taken>,
    work: Vec<WorkId>,
    now: i64,
    claims: u128,
}

fn person(n: u8) -> Record {
    Record::from_iter([("name", text(&format!("n{n}"))), ("email", text(&format!("e{n}")))])
}

fn pick<T>(all: &[T], n: u8) -> Option<&T> {
    if all.is_empty() { None } else { all.get(n as usize % all.len()) }
}

impl Run<'_> {
    fn unit(&mut self, taken: &Taken, end: &End) -> Unit {
        let guard = match &taken.link {
            Some(link) => Guard::Token { link: link.id, token: taken.token },
            None => Guard::Free,
        };
        let mut unit = Unit::new(guard);
        let changed = |change: &dyn Fn(&mut Link)| {
            taken.link.clone().map(|mut link| {
                change(&mut link);
                LinkWrite { link, local: LocalBinding::Keep }
            })
        };
        for work in &taken.work {
            let id = work.id;
            unit.work.push(match end {
                End::Wait => WorkWrite::Again {
                    id,
                    generation: work.generation,
                    due: at(self.now + 40),
                    attempt: None,
                    held: None,
                    look: true,
                },
                End::Await(n) => {
                    let (side, record) = (Side::Remote, format!("cus_{n}"));
                    let on =
                        (*n > 0).then(|| Awaited { pair: self.pairs[usize::from(*n) % 2], side, id: record });
                    let generation = work.generation;
                    WorkWrite::Wait { id, generation, due: at(self.now + 50), held: "waits".into(), on }
                }
                End::Fail => WorkWrite::Again {
                    id,
                    generation: work.generation,
                    due: at(self.now + 30),
                    attempt: Some("500".into()),
                    held: None,
                    look: false,
                },
                End::Park => {
                    let parked = Parked {
                        reason: ParkReason::Refused,
                        message: "no".into(),
                        digest: "d".into(),
                        at: at(self.now),
                    };
                    WorkWrite::Park { id, generation: work.generation, parked }
                }
                _ => {
                    let facts = work.facts.iter().map(Fact::change).collect();
                    WorkWrite::Done { id, generation: work.generation, facts }
                }
            });
        }
        match end {
            End::Claim(n) if taken.link.is_none() => {
                self.claims += 1;
                let local = taken.row.as_ref().map(|row| row.id.clone());
                let link = Link {
                    local_id: local,
                    remote_id: n.is_multiple_of(2).then(|| format!("cus_{n}").into()),
                    lease: Some(Lease { token: taken.token, until: taken.until }),
                    ..crate::foreign::claim(self.pairs[0], self.claims, taken.token)
                };
                let pair = taken.work.first().map_or(self.pairs[0], |w| w.pair);
                unit.guard = Guard::Claim(Box::new(Link { pair, ..link }));
            }
            End::Bind(n) => unit.confirm = changed(&|link| link.remote_id = Some(format!("cus_{n}").into())),
            End::Close(state) => {
                unit.confirm = changed(&|link| {
                    link.state = *state;
                    link.in_step_at = Some(at(7));
                });
            }
            End::Insert(n) if taken.link.is_some() => {
                let fields = person(*n);
                unit.settle = Some(Arc::new(move |row, link| Settled {
                    row: if row.is_some() { RowWrite::None } else { RowWrite::Insert(fields.clone()) },
                    link: Some(LinkWrite { link: link.clone(), local: LocalBinding::Inserted }),
                    base_from_row: vec![("name".into(), "name".into())],
                    ..Settled::default()
                }));
            }
            End::Write(write, keep) if taken.link.is_some() => {
                let write = *write;
                let again = Signal {
                    pair: self.pairs[0],
                    subject: Subject::Remote("cus_1".into()),
                    look: true,
                    not_before: Some(at(self.now + 5)),
                };
                unit.settle = Some(Arc::new(move |row, link| {
                    let row = match write {
                        RowWriteKind::None => RowWrite::None,
                        RowWriteKind::Update(n) => RowWrite::Update(person(n)),
                        RowWriteKind::Archive => RowWrite::Archive(at(3)),
                        RowWriteKind::Restore => {
                            RowWrite::Restore(Record::from_iter([("level", text("gold"))]))
                        }
                        RowWriteKind::Delete => RowWrite::Delete,
                        RowWriteKind::Abort => {
                            return Settled { abort: row.is_some(), ..Settled::default() };
                        }
                    };
                    Settled {
                        row,
                        link: Some(LinkWrite { link: link.clone(), local: LocalBinding::Keep }),
                        base_from_row: vec![("name".into(), "name".into()), ("level".into(), "level".into())],
                        signals: vec![again.clone()],
                        ..Settled::default()
                    }
                }));
                if *keep {
                    unit.lease = LeaseAction::Renew(at(self.now + 60));
                }
            }
            End::Intent(close) => {
                if let Some(link) = &taken.link {
                    unit.intents.push(IntentWrite::Open(Box::new(intent(link, taken.next_intent, self.now))));
                    if *close {
                        unit.intents.push(IntentWrite::Close {
                            link: link.id,
                            number: taken.next_intent,
                            state: IntentState::Confirmed,
                            outcome: "ok".into(),
                        });
                    }
                }
            }
            _ => {}
        }
        unit
    }

    /// Does a step and says what came of it.
    async fn step(&mut self, step: &Step) -> String {
        let (store, now) = (self.store, at(self.now));
        let signal = |pair: PairId, subject: Subject, later: i64| Signal {
            pair,
            subject,
            look: later % 2 == 0,
            not_before: (later > 10).then(|| at(self.now + later)),
        };
        match step {
            Step::Relay(limit) => format!("{:?}", store.relay(now, *limit).await.unwrap()),
            Step::Local(n, later) => {
                let signal = signal(self.pairs[0], Subject::Local(n.to_string().into()), *later);
                format!("{:?}", store.signal(now, &[signal]).await.unwrap())
            }
            Step::Remote(n, later) => {
                let pair = self.pairs[usize::from(*n) % 2];
                let signal = signal(pair, Subject::Remote(format!("cus_{n}").into()), *later);
                format!("{:?}", store.signal(now, &[signal]).await.unwrap())
            }
            Step::Take(limit) => {
                let take = Take { now, until: at(self.now + 60), limit: *limit, pairs: &self.pairs };
                let taken = store.take(take).await.unwrap();
                self.work.extend(taken.iter().flat_map(|t| t.work.iter().map(|w| w.id)));
                let shown = taken.iter().map(show_taken).collect::<Vec<_>>().join("\n");
                self.taken.extend(taken);
                shown
            }
            Step::Lease(n) => {
                let id = LinkId(uuid::Uuid::from_u128(u128::from(*n)));
                let taken = store.lease(id, now, at(self.now + 60)).await.unwrap();
                let shown = taken.as_ref().map(show_taken);
                self.taken.extend(taken);
                format!("{shown:?}")
            }
            Step::Commit(looks) => {
                let mut units = Vec::new();
                for (n, end) in looks {
                    if let Some(taken) = pick(&self.taken, *n).cloned() {
                        units.push(self.unit(&taken, end));
                    }
                }
                let outcomes = store.commit(now, &units).await.unwrap();
                outcomes.into_iter().map(show_outcome).collect::<Vec<_>>().join("\n")
            }
            Step::Advance(seconds) => {
                self.now += seconds;
                String::new()
            }
            Step::EndLeases => format!("{:?}", store.end_leases(now).await.unwrap()),
            Step::Sweep => format!("{:?}", store.sweep(now).await.unwrap()),
            Step::Replay(n) => match pick(&self.work, *n) {
                Some(id) => format!("{:?}", store.replay(*id, now).await.unwrap()),
                None => String::new(),
            },
            Step::Dismiss(n) => match pick(&self.work, *n) {
                Some(id) => format!("{:?}", store.dismiss(*id).await.unwrap()),
                None => String::new(),
            },
            Step::Prune => format!("{:?}", store.prune(at(self.now + 40 * 86_400), 1).await.unwrap()),
            Step::Insert(_) | Step::Update(..) | Step::Delete(_) | Step::Rekey(..) => String::new(),
        }
    }

    /// Everything that can be asked.
    async fn everything(&self) -> String {
        let mut all = Vec::new();
        let links = self.store.links(&LinkFilter::default(), None, 999).await.unwrap();
        for link in &links {
            all.push(format!("{link:?} {:?}", self.store.intents(link.id, 99).await.unwrap()));
        }
        for id in 0..999 {
            if let Some(work) = self.store.work(WorkId(id)).await.unwrap() {
                all.push(show_work(work));
            }
        }
        for row in self.store.rows("customers", None, None, 999).await.unwrap().rows {
            all.push(format!("{row:?}"));
        }
        for pair in &self.pairs {
            all.push(format!("{:?}", self.store.counts(*pair).await.unwrap()));
        }
        all.push(format!("{:?}", self.store.next_due(&self.pairs).await.unwrap()));
        all.push(format!("{:?}", self.store.drained(i64::MAX).await.unwrap()));
        all.push(format!("{:?}", self.store.draw(1).await.unwrap()));
        all.join("\n")
    }
}

fn intent(link: &Link, number: u32, now: i64) -> Intent {
    Intent {
        link: link.id,
        number,
        pair: link.pair,
        kind: Intent::UPDATE.into(),
        request: serde_json::json!({}),
        fields: Vec::new(),
        key: format!("k{number}"),
        state: IntentState::Open,
        at: at(now),
        sent_at: at(now),
        outcome: None,
        service_at: None,
    }
}

/// Another program's clock is its own; and a row that is made and merged in one transaction uses up a number in one store only.
fn show_work(mut work: Work) -> String {
    work.id = WorkId(0);
    work.changed = work.changed.map(|_| at(0));
    for fact in &mut work.facts {
        let Fact::Deleted { at: when, .. } = fact;
        *when = at(0);
    }
    format!("{work:?}")
}

fn show_taken(taken: &Taken) -> String {
    let work: Vec<String> = taken.work.iter().cloned().map(show_work).collect();
    let rest = Taken { work: Vec::new(), ..taken.clone() };
    format!("{work:?} {rest:?}")
}

/// The words of a refusal are the table's own.
fn show_outcome(outcome: UnitOutcome) -> String {
    match outcome {
        UnitOutcome::RowRefused { .. } => "refused".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Another program writes both tables. Whether it may is the tables' business: both must agree.
async fn foreign(memory: &MemoryStore, program: &Program, step: &Step, now: i64) {
    let key = |n: u8| LocalId((n + 1).to_string());
    let sql = match step {
        Step::Insert(n) => {
            let _ = memory.foreign().insert("customers", person(*n), at(now));
            format!("INSERT INTO customers (name, email) VALUES ('n{n}', 'e{n}')")
        }
        Step::Update(n, m) => {
            let fields = Record::from_iter([("email", Value::Text(format!("e{m}")))]);
            let _ = memory.foreign().update("customers", &key(*n), fields, at(now));
            format!("UPDATE customers SET email = 'e{m}' WHERE id = {}", n + 1)
        }
        Step::Delete(n) => {
            let _ = memory.foreign().delete("customers", &key(*n), at(now));
            format!("DELETE FROM customers WHERE id = {}", n + 1)
        }
        Step::Rekey(n, m) => {
            let _ = memory.foreign().rekey("customers", &key(*n), &LocalId(m.to_string()), at(now));
            format!("UPDATE customers SET id = {m} WHERE id = {}", n + 1)
        }
        _ => return,
    };
    program.try_sql(&sql).await;
}

async fn both(steps: Vec<Step>) {
    let program = Program::with_tables(PLAIN).await;
    let memory = MemoryStore::new(catalogs())
        .unique("customers", &["email"])
        .defaults("customers", Record::from_iter([("level", text("basic"))]));
    let mut runs = Vec::new();
    for store in [&memory as &dyn Store, program.store()] {
        let spec = |connection: &str| PairSpec {
            catalog: "customers".into(),
            connection: connection.into(),
            resource: "customers".into(),
            mapping: "m".into(),
        };
        let mut pairs = Vec::new();
        for connection in ["stripe", "other"] {
            pairs.push(store.ensure_pair(&spec(connection)).await.unwrap().id);
        }
        runs.push(Run { store, pairs, taken: Vec::new(), work: Vec::new(), now: 0, claims: 0 });
    }
    for (n, step) in steps.iter().enumerate() {
        foreign(&memory, &program, step, runs[0].now).await;
        let mut shown = Vec::new();
        for run in &mut runs {
            shown.push(run.step(step).await);
        }
        assert_eq!(shown[0], shown[1], "step {n}: {step:?} of {steps:?}");
    }
    assert_eq!(runs[0].everything().await, runs[1].everything().await, "after {steps:?}");
    assert_eq!((pair(&program.store).await, Side::Local, Seq(0)), (runs[0].pairs[0], Side::Local, Seq(0)));
}

/// Two looks of one batch at a row that was deleted meanwhile: the first deals with that, and it is news to the second all the same.
#[tokio::test]
async fn both_find_out_once_for_a_batch_which_rows_have_moved() {
    use Step::{Commit, Delete, Insert, Local, Relay, Take};
    let looks = vec![(3, End::Claim(0)), (2, End::Claim(0))];
    let before = [Local(2, 0), Insert(0), Local(0, 0), Local(0, 0), Local(1, 0), Take(3), Local(1, 0)];
    let after = [Delete(0), Take(1), Relay(1), Commit(looks)];
    both(before.into_iter().chain(after).collect()).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_answer_the_same(steps in proptest::collection::vec(steps(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(both(steps));
    }
}
