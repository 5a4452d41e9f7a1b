//! The decision, exhaustively: one field over {absent, null, a, b}^4 x winners x directions x link states, and two fields to prove
//! that they do not touch each other. What is checked are properties that hold for every case, stated without the code's own words.
// The number of cases is printed, since it is published.
#![allow(clippy::print_stdout)]

use bothways_engine::decide::{
    Action, LocalSight, RecordAction, References, RemoteRecord, RemoteSight, Sight, Verdict, decide,
};
use bothways_mapping::{Mapping, SourceFile, load};
use bothways_model::{LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{Choice, Conflict, FieldBase, Keep, LinkBody, LinkState, Side};
use std::sync::Arc;

const CONNECTOR: &str = r#"
connector: shop
http: { base_url: "https://shop.example" }
resources:
  people:
    id: $.id
    list: GET /people
    get: GET /people/{id}
    create: POST /people
    update: PATCH /people/{id}
    find: { $.x: { call: "GET /people?x={value}", consistent: true } }
    changed_at: { path: $.changed, as: unix }
    since: { call: "GET /people?since={since}", cursor: { path: $.changed, as: unix } }
"#;

const CATALOG: &str = r#"
catalog: people
table: people
key: id
fields: { id: int, x: text?, y: text? }
"#;

fn mapping(winner: &str, direction: &str) -> Arc<Mapping> {
    let text = format!(
        "mapping: shop-people\nlocal: people\nremote: shop/people\nidentity: {{ match: [x] }}\nfields:\n  x: {{ remote: $.x, direction: {direction}, winner: {winner} }}\n  y: {{ remote: $.y, direction: {direction}, winner: {winner} }}\ncreates: {{ from_local: ignore }}\nsync: {{ reconcile: 1h }}\n"
    );
    let files = vec![
        SourceFile::new("shop.yaml", CONNECTOR),
        SourceFile::new("people.yaml", CATALOG),
        SourceFile::new("shop-people.yaml", text),
    ];
    let loaded = load(&files, &[]);
    let findings: Vec<String> =
        loaded.findings.iter().map(|f| format!("{:?} {}", f.code, f.message)).collect();
    loaded.project.unwrap_or_else(|| panic!("{findings:#?}")).mappings[0].clone()
}

/// absent, null, a, b
fn values() -> [Option<Value>; 4] {
    [None, Some(Value::Null), Some(Value::Text("a".into())), Some(Value::Text("b".into()))]
}

#[derive(Clone, Debug)]
struct Case {
    local: Option<Value>,
    remote: Option<Value>,
    base_local: Option<Value>,
    base_remote: Option<Value>,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for local in values() {
        for remote in values() {
            for base_local in values() {
                for base_remote in values() {
                    all.push(Case {
                        local: local.clone(),
                        remote: remote.clone(),
                        base_local: base_local.clone(),
                        base_remote: base_remote.clone(),
                    });
                }
            }
        }
    }
    all
}

/// Decides with these cases as fields x and y.
fn verdicts(mapping: &Mapping, state: LinkState, fields: [(&str, &Case); 2]) -> Vec<Verdict> {
    let mut row = LocalRow { id: LocalId::from("1"), fields: Record::new(), deleted_at: None };
    let mut remote = Record::new();
    let mut body = LinkBody::default();
    for (label, case) in fields {
        if let Some(value) = &case.local {
            row.fields.set(label, value.clone());
        }
        if let Some(value) = &case.remote {
            remote.set(label, value.clone());
        }
        let base = FieldBase { local: case.base_local.clone(), remote: case.base_remote.clone() };
        body.base.insert(label.into(), base);
    }
    let decision = decide(&Sight {
        mapping,
        local: LocalSight::Row(&row),
        remote: RemoteSight::fields(&remote),
        references: &References::default(),
        body: &body,
        state,
        now: Timestamp::UNIX_EPOCH,
    });
    assert_eq!(decision.record, RecordAction::Merge);
    decision.verdicts
}

fn quiet() -> Case {
    let a = Some(Value::Text("a".into()));
    Case { local: a.clone(), remote: a.clone(), base_local: a.clone(), base_remote: a }
}

fn of(mapping: &Mapping, state: LinkState, case: &Case) -> Action {
    verdicts(mapping, state, [("x", case), ("y", &quiet())])[0].action.clone()
}

/// What the sides and bases are after the action was carried out by a service that stores what it is sent.
fn after(case: &Case, action: &Action) -> Case {
    let mut next = case.clone();
    match action {
        Action::Push => {
            next.remote.clone_from(&case.local);
            next.base_local.clone_from(&case.local);
            next.base_remote.clone_from(&case.local);
        }
        Action::Pull => {
            next.local.clone_from(&case.remote);
            next.base_local.clone_from(&case.remote);
            next.base_remote.clone_from(&case.remote);
        }
        Action::Agree | Action::Accept => {
            next.base_local = case.local.clone().or(next.base_local);
            next.base_remote = case.remote.clone().or(next.base_remote);
        }
        _ => {}
    }
    next
}

fn check(mapping: &Mapping, winner: &str, direction: &str, case: &Case) {
    let action = of(mapping, LinkState::Linked, case);
    let context = format!("{winner} {direction} {case:?} -> {action:?}");
    let Case { local, remote, .. } = case;
    // Both sides were alike when a base was known, so that one says what the other was.
    let base_local = &case.base_local.clone().or(case.base_remote.clone());
    let base_remote = &case.base_remote.clone().or(case.base_local.clone());
    let known = base_local.is_some() && base_remote.is_some();
    let local_changed = known && local.is_some() && local != base_local;
    let remote_changed = known && remote.is_some() && remote != base_remote;
    match action {
        Action::Push => {
            assert_ne!(direction, "in", "authority: {context}");
            assert!(local.is_some(), "invents a value: {context}");
            assert_ne!(local, remote, "a write that changes nothing: {context}");
        }
        Action::Pull => {
            assert_ne!(direction, "out", "authority: {context}");
            assert!(remote.is_some(), "absent is unknown: {context}");
            assert_ne!(local, remote, "a write that changes nothing: {context}");
        }
        Action::Conflict { first_contact } => {
            assert_eq!(direction, "both", "{context}");
            assert!(winner == "manual" || winner == "newest", "{context}");
            assert!(local.is_some() && remote.is_some() && local != remote, "{context}");
            assert_eq!(first_contact, !known, "{context}");
            assert!(!known || (local_changed && remote_changed), "{context}");
        }
        Action::Set(_) | Action::Refuse | Action::Wait { .. } => {
            panic!("nobody chose, nothing is forbidden, nothing is referred to: {context}")
        }
        Action::None | Action::Agree | Action::Accept | Action::Unseen => {}
    }
    let writes = matches!(action, Action::Push | Action::Pull);
    if local.is_some() && local == remote {
        assert!(matches!(action, Action::None | Action::Agree), "equal sides: {context}");
    }
    if known && local.is_some() && remote.is_some() {
        match (local_changed, remote_changed, direction) {
            (false, false, _) if case.base_local.is_some() != case.base_remote.is_some() => {
                assert!(matches!(action, Action::None | Action::Agree), "{context}")
            }
            (false, false, _) => assert_eq!(action, Action::None, "{context}"),
            (true, false, "both" | "out") if local != remote => assert_eq!(action, Action::Push, "{context}"),
            (false, true, "both" | "in") if local != remote => assert_eq!(action, Action::Pull, "{context}"),
            (true, true, "both") if local != remote && winner == "local" => {
                assert_eq!(action, Action::Push, "{context}")
            }
            (true, true, "both") if local != remote && winner == "remote" => {
                assert_eq!(action, Action::Pull, "{context}")
            }
            (true, true, "both") if local != remote && winner == "manual" => assert!(!writes, "{context}"),
            _ => {}
        }
    }
    // What was accepted at first contact, a value that may not travel, is not emptied because its own side changes it.
    let null = &Some(Value::Null);
    if base_local.is_some() && base_local != null && remote == null && base_remote == null {
        assert!(direction != "in" || !writes, "{context}");
    }
    if base_remote.is_some() && base_remote != null && local == null && base_local == null {
        assert!(direction != "out" || !writes, "{context}");
    }
    if local.is_none() {
        assert!(!writes, "an unread local side: {context}");
    }
    // A value of a side is never overwritten by null at first contact.
    if !known && writes {
        let written = if action == Action::Push { local } else { remote };
        assert!(written.as_ref().is_some_and(|v| !v.is_null()), "first contact blanks a value: {context}");
    }
    // Carrying the decision out settles the field: deciding again writes nothing.
    let next = after(case, &action);
    let again = of(mapping, LinkState::Linked, &next);
    assert!(!matches!(again, Action::Push | Action::Pull), "not settled: {context}, then {again:?}");
}

#[test]
fn one_field_in_every_case() {
    let mut count = 0;
    for winner in ["manual", "local", "remote", "newest"] {
        for direction in ["both", "in", "out"] {
            let mapping = mapping(winner, direction);
            for case in cases() {
                check(&mapping, winner, direction, &case);
                let action = of(&mapping, LinkState::Linked, &case);
                for state in LinkState::ALL {
                    assert_eq!(of(&mapping, state, &case), action, "{state:?} {case:?}");
                    count += 1;
                }
            }
        }
    }
    println!("decided {count} cases of one field");
    assert_eq!(count, 4 * 3 * 256 * 6);
}

#[test]
fn two_fields_do_not_touch_each_other() {
    let all = cases();
    let mut count = 0;
    for winner in ["manual", "local"] {
        let mapping = mapping(winner, "both");
        let alone: Vec<Action> = all.iter().map(|case| of(&mapping, LinkState::Linked, case)).collect();
        for (x, x_alone) in all.iter().zip(&alone) {
            for (y, y_alone) in all.iter().zip(&alone) {
                let both = verdicts(&mapping, LinkState::Linked, [("x", x), ("y", y)]);
                assert_eq!(both[0].action, *x_alone, "{x:?} beside {y:?}");
                assert_eq!(both[1].action, *y_alone, "{y:?} beside {x:?}");
                count += 1;
            }
        }
    }
    println!("decided {count} cases of two fields");
    assert_eq!(count, 2 * 256 * 256);
}

fn value(text: &str) -> Option<Value> {
    Some(Value::Text(text.into()))
}

/// Both sides changed `x`, to `a` and `b`, at these seconds of the two clocks.
fn with_times(mapping: &Mapping, local: Option<i64>, remote: Option<i64>) -> Action {
    let at = |seconds| Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
    let changed = local.map(|seconds| ("x".to_owned(), at(seconds)));
    let body = LinkBody { local_changed: changed.into_iter().collect(), ..LinkBody::default() };
    both_changed(mapping, body, remote.map(at))
}

fn both_changed(mapping: &Mapping, mut body: LinkBody, changed_at: Option<Timestamp>) -> Action {
    let fields = Record::from_iter([("x", Value::Text("a".into())), ("y", Value::Null)]);
    let row = LocalRow { id: LocalId::from("1"), fields, deleted_at: None };
    let seen = Record::from_iter([("x", Value::Text("b".into())), ("y", Value::Null)]);
    body.base.insert("x".into(), FieldBase { local: value("old"), remote: value("old") });
    body.base.insert("y".into(), FieldBase { local: Some(Value::Null), remote: Some(Value::Null) });
    let record = RemoteRecord { fields: &seen, changed_at };
    let sight = Sight {
        mapping,
        local: LocalSight::Row(&row),
        remote: RemoteSight::Record(record),
        references: &References::default(),
        body: &body,
        state: LinkState::Linked,
        now: Timestamp::UNIX_EPOCH + chrono::TimeDelta::days(100),
    };
    decide(&sight).verdicts[0].action.clone()
}

/// `newest` goes by when values changed, not by when they came in (rule 12).
#[test]
fn the_later_change_wins_and_a_tie_is_the_remote_sides() {
    let mapping = mapping("newest", "both");
    assert_eq!(with_times(&mapping, Some(500_000), Some(100_000)), Action::Push);
    assert_eq!(with_times(&mapping, Some(100_000), Some(500_000)), Action::Pull);
    assert_eq!(with_times(&mapping, Some(500_000), Some(500_000)), Action::Pull);
    assert_eq!(with_times(&mapping, None, Some(100_000)), Action::Pull);
    assert_eq!(with_times(&mapping, Some(500_000), None), Action::Pull);
}

/// A person chose for two values; if one has moved since, the choice says nothing (rule 11).
#[test]
fn a_choice_holds_only_for_the_values_it_was_made_for() {
    let mapping = mapping("manual", "both");
    let chosen = |local: &str, remote: &str| {
        let choice = Choice { keep: Keep::Remote, by: "somebody".into() };
        let conflict = Conflict {
            local: value(local),
            remote: value(remote),
            since: Timestamp::UNIX_EPOCH,
            first_contact: false,
            choice: Some(choice),
            stale: None,
        };
        let conflicts = [("x".to_owned(), conflict)].into_iter().collect();
        both_changed(&mapping, LinkBody { conflicts, ..LinkBody::default() }, None)
    };
    assert_eq!(chosen("a", "b"), Action::Pull);
    assert_eq!(chosen("an earlier one", "b"), Action::Conflict { first_contact: false });
    assert_eq!(chosen("a", "an earlier one"), Action::Conflict { first_contact: false });
}

/// The same mapping with `x` a reference to a row of the same catalog.
fn referring(winner: &str, direction: &str) -> Arc<Mapping> {
    let text = format!(
        "mapping: shop-people\nlocal: people\nremote: shop/people\nfields:\n  x: {{ remote: $.x, direction: {direction}, winner: {winner} }}\n  y: {{ remote: $.y, direction: {direction}, winner: {winner} }}\ncreates: {{ from_local: ignore }}\nsync: {{ reconcile: 1h }}\n"
    );
    let files = vec![
        SourceFile::new("shop.yaml", CONNECTOR),
        SourceFile::new("people.yaml", CATALOG.replace("x: text?", "x: { ref: people, optional: true }")),
        SourceFile::new("shop-people.yaml", text),
    ];
    let loaded = load(&files, &[]);
    let findings: Vec<String> =
        loaded.findings.iter().map(|f| format!("{:?} {}", f.code, f.message)).collect();
    loaded.project.unwrap_or_else(|| panic!("{findings:#?}")).mappings[0].clone()
}

/// A plain case as a reference would have it: rows 1 and 2 here are records `a` and `b` there.
fn as_reference(case: &Case) -> Case {
    let key = |value: &Option<Value>| match value {
        Some(Value::Text(id)) => Some(Value::Int(if id == "a" { 1 } else { 2 })),
        other => other.clone(),
    };
    Case { local: key(&case.local), base_local: key(&case.base_local), ..case.clone() }
}

fn referred(mapping: &Mapping, references: &References, case: &Case) -> Verdict {
    let mut fields = Record::from_iter([("y", Value::Null)]);
    fields.0.extend(case.local.clone().map(|value| ("x".to_owned(), value)));
    let row = LocalRow { id: LocalId::from("9"), fields, deleted_at: None };
    let mut remote = Record::from_iter([("y", Value::Null)]);
    remote.0.extend(case.remote.clone().map(|value| ("x".to_owned(), value)));
    let mut body = LinkBody::default();
    let base = FieldBase { local: case.base_local.clone(), remote: case.base_remote.clone() };
    body.base.insert("x".into(), base);
    body.base.insert("y".into(), FieldBase { local: Some(Value::Null), remote: Some(Value::Null) });
    let decision = decide(&Sight {
        mapping,
        local: LocalSight::Row(&row),
        remote: RemoteSight::fields(&remote),
        references,
        body: &body,
        state: LinkState::Linked,
        now: Timestamp::UNIX_EPOCH,
    });
    decision.verdicts[0].clone()
}

/// Where everything is linked a reference is decided as any other field; where something is not, its value goes nowhere, and it waits
/// only if it would have to go.
#[test]
fn references_are_decided_as_values_are_once_they_are_linked() {
    let link = |linked: [bool; 2]| {
        let mut references = References::default();
        for ((key, id), linked) in [(1, "a"), (2, "b")].into_iter().zip(linked) {
            references.note_record("x", &key.to_string(), linked.then(|| id.into()));
            references.note_row("x", id, linked.then_some(Value::Int(key)));
        }
        references
    };
    let mut count = 0;
    for winner in ["manual", "local", "remote", "newest"] {
        for direction in ["both", "in", "out"] {
            let (plain, mapping) = (mapping(winner, direction), referring(winner, direction));
            for case in cases() {
                let expected = of(&plain, LinkState::Linked, &case);
                let reference = as_reference(&case);
                let context = || format!("{winner} {direction} {case:?}");
                let linked = referred(&mapping, &link([true, true]), &reference);
                assert_eq!(linked.action, expected, "{}", context());
                for linked in [[true, false], [false, true], [false, false]] {
                    count += 1;
                    let verdict = referred(&mapping, &link(linked), &reference);
                    let is_linked = |value: &Option<Value>| match value {
                        Some(Value::Text(id)) => linked[usize::from(id != "a")],
                        _ => true,
                    };
                    let context = || format!("{verdict:?} {linked:?} {}", context());
                    match &verdict.action {
                        Action::Wait { side: Side::Local, .. } => {
                            assert!(!is_linked(&case.local), "{}", context())
                        }
                        Action::Wait { side: Side::Remote, id } => {
                            assert!(!is_linked(&case.remote), "{}", context());
                            assert_eq!(case.remote, Some(Value::Text(id.clone())), "{}", context());
                        }
                        action => assert_eq!(*action, expected, "{}", context()),
                    }
                    match verdict.action {
                        Action::Push => assert!(is_linked(&case.local), "{}", context()),
                        Action::Pull => assert!(is_linked(&case.remote), "{}", context()),
                        _ => {}
                    }
                }
            }
        }
    }
    println!("references: {count} cases with something unlinked");
    assert_eq!(count, 4 * 3 * 256 * 3);
}
