//! What holds of any decision, on mappings, values and choices that proptest draws: beyond one field and two.
//!
//! `PROPTEST_CASES=1000000 cargo nextest run -p bothways-engine --test decide properties` draws more. A failure is shrunk, printed, and
//! replayed from the file that proptest leaves beside this one.

use crate::{mapping, values};
use bothways_engine::decide::{
    Action, Decision, LocalSight, RecordAction, References, RemoteRecord, RemoteSight, Sight, Verdict, decide,
};
use bothways_mapping::mapping::Winner;
use bothways_mapping::{Direction, Field, Mapping};
use bothways_model::{LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{Choice, Conflict, FieldBase, Keep, LinkBody, LinkState};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

static MAPPING: LazyLock<Arc<Mapping>> = LazyLock::new(|| mapping("manual", "both"));

/// One field: how it is mapped, and its four values.
#[derive(Clone, Debug)]
struct Drawn {
    direction: Direction,
    winner: Winner,
    /// Fields with one number are one merge unit.
    unit: usize,
    immutable: bool,
    required: bool,
    optional: bool,
    local: Option<Value>,
    remote: Option<Value>,
    /// The record holds what cannot be read.
    unread: bool,
    base: FieldBase,
    choice: Option<Keep>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let value = || prop::sample::select(values().to_vec());
    let policy = (
        prop::sample::select(vec![Direction::Both, Direction::In, Direction::Out]),
        prop::sample::select(vec![Winner::Manual, Winner::Local, Winner::Remote, Winner::Newest]),
        0_usize..3,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.05),
    );
    let keep = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Keep::Local)),
        1 => Just(Some(Keep::Remote)),
        1 => prop::sample::select(vec!["a", "b", "c"]).prop_map(|text| Some(Keep::Value(Value::Text(text.into())))),
    ];
    (policy, value(), value(), value(), value(), keep).prop_map(
        |(policy, local, remote, before, then, choice)| {
            let (direction, winner, unit, immutable, required, optional, unread) = policy;
            let remote = remote.filter(|_| !unread);
            let base = FieldBase { local: before, remote: then };
            Drawn {
                direction,
                winner,
                unit,
                immutable,
                required,
                optional,
                local,
                remote,
                unread,
                base,
                choice,
            }
        },
    )
}

fn label(n: usize) -> String {
    format!("f{n}")
}

/// A mapping of these fields, in this order.
fn mapped(all: &[Drawn], order: &[usize]) -> Mapping {
    let mut mapping = Mapping::clone(&MAPPING);
    let mut catalog = (*mapping.catalog).clone();
    let (field, column) = (mapping.fields[0].clone(), catalog.fields[1].clone());
    mapping.fields.clear();
    for &n in order {
        let drawn = &all[n];
        let column =
            bothways_model::CatalogField { name: label(n), optional: drawn.optional, ..column.clone() };
        catalog.fields.push(column);
        mapping.fields.push(Field {
            label: label(n),
            local: vec![label(n)],
            direction: drawn.direction,
            winner: drawn.winner,
            unit: drawn.unit,
            immutable: drawn.immutable,
            required: drawn.required,
            ..field.clone()
        });
    }
    mapping.catalog = Arc::new(catalog);
    mapping
}

fn decision(mapping: &Mapping, all: &[Drawn]) -> Decision {
    let (mut row, mut record, mut body) = (Record::new(), Record::new(), LinkBody::default());
    for (n, drawn) in all.iter().enumerate() {
        row.0.extend(drawn.local.clone().map(|value| (label(n), value)));
        record.0.extend(drawn.remote.clone().map(|value| (label(n), value)));
        body.base.insert(label(n), drawn.base.clone());
        if let Some(keep) = &drawn.choice {
            let choice = Choice { keep: keep.clone(), by: "somebody".into() };
            let conflict = Conflict {
                local: drawn.local.clone(),
                remote: drawn.remote.clone(),
                since: Timestamp::UNIX_EPOCH,
                first_contact: false,
                choice: Some(choice),
                stale: None,
            };
            body.conflicts.insert(label(n), conflict);
        }
    }
    let row = LocalRow { id: LocalId::from("1"), fields: row, deleted_at: None };
    let unread = all.iter().enumerate().filter(|(_, drawn)| drawn.unread);
    let refused: Vec<_> = unread.map(|(n, _)| (label(n), "too many digits".to_owned())).collect();
    let decision = decide(&Sight {
        mapping,
        local: LocalSight::Row(&row),
        remote: RemoteSight::Record(RemoteRecord { fields: &record, refused: &refused, changed_at: None }),
        references: &References::default(),
        body: &body,
        state: LinkState::Linked,
        now: Timestamp::UNIX_EPOCH,
    });
    assert_eq!(decision.record, RecordAction::Merge);
    decision
}

fn verdicts(mapping: &Mapping, all: &[Drawn]) -> Vec<Verdict> {
    decision(mapping, all).verdicts
}

fn by_label(verdicts: Vec<Verdict>) -> BTreeMap<String, Verdict> {
    verdicts.into_iter().map(|verdict| (verdict.label.clone(), verdict)).collect()
}

/// The field after its decision was carried out by both sides.
fn after(drawn: &Drawn, action: &Action) -> Drawn {
    let mut next = drawn.clone();
    match action {
        Action::Push => next.remote.clone_from(&drawn.local),
        Action::Pull => next.local.clone_from(&drawn.remote),
        Action::Set(value) => (next.local, next.remote) = (Some(value.clone()), Some(value.clone())),
        Action::Agree | Action::Accept => {}
        _ => return next,
    }
    next.base.local = next.local.clone().or(next.base.local);
    next.base.remote = next.remote.clone().or(next.base.remote);
    // Carried out, it is no conflict any more.
    next.choice = None;
    next
}

/// Written out only for a failure.
struct Context<'a>(&'a Drawn, &'a Verdict);

impl fmt::Display for Context<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} -> {:?}", self.0, self.1)
    }
}

fn check(drawn: &Drawn, verdict: &Verdict) {
    let context = Context(drawn, verdict);
    match &verdict.action {
        Action::Push => {
            assert!(drawn.direction != Direction::In && drawn.local.is_some(), "{context}");
            assert_ne!(drawn.local, drawn.remote, "a write that changes nothing: {context}");
        }
        Action::Pull => {
            assert!(drawn.direction != Direction::Out && drawn.remote.is_some(), "{context}");
            assert_ne!(drawn.local, drawn.remote, "a write that changes nothing: {context}");
        }
        Action::Set(value) => {
            assert_eq!(drawn.choice, Some(Keep::Value(value.clone())), "a value nobody chose: {context}");
            assert_eq!(drawn.direction, Direction::Both, "{context}");
        }
        Action::Conflict { .. } => assert_eq!(drawn.direction, Direction::Both, "{context}"),
        Action::Wait { .. } => panic!("nothing is referred to: {context}"),
        Action::None | Action::Agree | Action::Accept | Action::Unseen | Action::Refuse => {}
    }
    assert!(!drawn.unread || verdict.action == Action::Refuse, "{context}");
    let (to_remote, to_local) = match &verdict.action {
        Action::Push => (drawn.local.clone(), None),
        Action::Pull => (None, drawn.remote.clone()),
        Action::Set(value) => (Some(value.clone()), Some(value.clone())),
        _ => (None, None),
    };
    for written in [&to_remote, &to_local].into_iter().flatten() {
        assert!(!drawn.immutable, "{context}");
        assert!(!drawn.required || !written.is_blank(), "{context}");
    }
    assert!(drawn.optional || to_local != Some(Value::Null), "{context}");
    assert!(!verdict.why.is_empty() && verdict.rule > 0, "{context}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 200_000 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_fields_in_any_order(
        (all, order) in prop::collection::vec(drawn(), 1..6)
            .prop_flat_map(|all| {
                let order: Vec<usize> = (0..all.len()).collect();
                (Just(all), Just(order).prop_shuffle())
            })
    ) {
        let straight: Vec<usize> = (0..all.len()).collect();
        let mapping = mapped(&all, &straight);
        let (first, second) = (decision(&mapping, &all), decision(&mapping, &all));
        prop_assert_eq!(first.digest(), second.digest(), "the same again");
        prop_assert_eq!(&first.verdicts, &second.verdicts, "the same again");
        let decided = first.verdicts;
        for (drawn, verdict) in all.iter().zip(&decided) {
            check(drawn, verdict);
        }
        let shuffled = verdicts(&mapped(&all, &order), &all);
        prop_assert_eq!(by_label(shuffled), by_label(decided.clone()), "the order of fields decides nothing");
        // Fields of other units are not there for each other.
        for unit in 0..3 {
            let alone: Vec<usize> = straight.iter().copied().filter(|n| all[*n].unit == unit).collect();
            let of_unit = verdicts(&mapped(&all, &alone), &all);
            for verdict in of_unit {
                prop_assert_eq!(Some(&verdict), decided.iter().find(|other| other.label == verdict.label));
            }
        }
        // Carried out, nothing is left to write but what a person or a refusal holds back.
        let next: Vec<Drawn> = all.iter().zip(&decided).map(|(drawn, verdict)| after(drawn, &verdict.action)).collect();
        let again = verdicts(&mapping, &next);
        for ((before, then), drawn) in decided.iter().zip(&again).zip(&next) {
            let writes = matches!(then.action, Action::Push | Action::Pull | Action::Set(_));
            let held = decided.iter().zip(&all).any(|(other, it)| {
                it.unit == drawn.unit && matches!(other.action, Action::Conflict { .. } | Action::Refuse | Action::Unseen)
            });
            prop_assert!(!writes || held, "not settled: {:?}, then {:?}", before, then);
        }
    }
}
