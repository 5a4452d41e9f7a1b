//! The decision, exhaustively: one field over {absent, null, a, b}^4, what cannot be read among what the record shows, x winners x directions x link states, and two fields to prove
//! that they do not touch each other. What is checked are properties that hold for every case, stated without the code's own words.
// The number of cases is printed, since it is published.
#![allow(clippy::print_stdout)]

mod policies;
mod properties;
mod records;
mod references;
mod units;

use bothways_engine::decide::{
    Action, LocalSight, RecordAction, References, RemoteRecord, RemoteSight, Sight, Verdict, decide,
};
use bothways_mapping::{Mapping, SourceFile, load};
use bothways_model::{LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{FieldBase, LinkBody, LinkState};
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

#[derive(Clone, Debug, PartialEq)]
struct Case {
    local: Option<Value>,
    remote: Option<Value>,
    /// The record holds what cannot be read: then `remote` is absent.
    unread: bool,
    base_local: Option<Value>,
    base_remote: Option<Value>,
}

impl Case {
    /// What a reading of the record refuses of the field.
    fn refused(&self, label: &str) -> Option<(String, String)> {
        self.unread.then(|| (label.to_owned(), "not one of a, b".to_owned()))
    }
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for local in values() {
        let shown = values().map(|value| (value, false)).into_iter().chain([(None, true)]);
        for (remote, unread) in shown {
            for base_local in values() {
                for base_remote in values() {
                    all.push(Case {
                        local: local.clone(),
                        remote: remote.clone(),
                        unread,
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
    let refused: Vec<_> = fields.iter().filter_map(|(label, case)| case.refused(label)).collect();
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
        remote: RemoteSight::Record(RemoteRecord { fields: &remote, refused: &refused, changed_at: None }),
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
    Case { local: a.clone(), remote: a.clone(), unread: false, base_local: a.clone(), base_remote: a }
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
    if case.unread {
        assert_eq!(action, Action::Refuse, "nothing is written over what nobody could read: {context}");
        return;
    }
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
        Action::Refuse => {
            let had = case.base_remote.as_ref().or(case.base_local.as_ref()).is_some_and(|v| !v.is_null());
            assert!(local_changed && remote.is_none() && had && direction != "in", "{context}");
        }
        Action::Set(_) | Action::Wait { .. } => {
            panic!("nobody chose, nothing is referred to: {context}")
        }
        Action::None | Action::Agree | Action::Accept | Action::Unseen => {}
    }
    let writes = matches!(action, Action::Push | Action::Pull);
    let null = &Some(Value::Null);
    if local.is_some() && local == remote {
        assert!(matches!(action, Action::None | Action::Agree), "equal sides: {context}");
    }
    if known && local.is_some() && remote.is_some() {
        match (local_changed, remote_changed, direction) {
            // The base that was unknown is known now.
            (false, false, _) if case.base_local.is_some() != case.base_remote.is_some() => {
                assert_eq!(action, Action::Agree, "{context}");
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
            // The side that decides undoes the other's change, unless it never had a value to put there.
            (true, false, "in") if local != remote => {
                let never = base_local != null && base_remote == null && remote == null;
                assert_eq!(action, if never { Action::Accept } else { Action::Pull }, "{context}");
            }
            (false, true, "out") if local != remote => {
                let never = base_remote != null && base_local == null && local == null;
                assert_eq!(action, if never { Action::Accept } else { Action::Push }, "{context}");
            }
            _ => {}
        }
    }
    if local_changed && remote.is_none() && base_remote.as_ref().is_some_and(|v| !v.is_null()) {
        let expected = if direction == "in" { Action::Unseen } else { Action::Refuse };
        assert_eq!(action, expected, "an edit over what is not shown is told: {context}");
    }
    if remote.is_none() && local == null && base_remote == null {
        assert!(matches!(action, Action::None | Action::Agree), "empty on both sides: {context}");
    }
    let has = |side: &Option<Value>| side.as_ref().is_some_and(|value| !value.is_null());
    if !known && has(local) && has(remote) && local != remote && direction == "both" {
        let expected = match winner {
            "local" => Action::Push,
            "remote" => Action::Pull,
            // No time tells which of two is right that were never known to be alike.
            _ => Action::Conflict { first_contact: true },
        };
        assert_eq!(action, expected, "{context}");
    }
    if !known && local.is_some() && has(local) != has(remote) {
        let expected = match direction {
            "in" if has(local) => Action::Accept,
            "out" if has(remote) => Action::Accept,
            _ if has(local) => Action::Push,
            _ => Action::Pull,
        };
        assert_eq!(action, expected, "what one side lacks at first contact: {context}");
    }
    // What was accepted at first contact, a value that may not travel, is not emptied because its own side changes it.
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
    assert_eq!(count, 4 * 3 * 320 * 6);
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
    assert_eq!(count, 2 * 320 * 320);
}

fn value(text: &str) -> Option<Value> {
    Some(Value::Text(text.into()))
}
