//! References: decided as values are, once what they refer to is linked (rule 35).

use crate::{CATALOG, CONNECTOR, Case, cases, mapping, of, value};
use bothways_engine::decide::{
    Action, LocalSight, References, RemoteRecord, RemoteSight, Sight, Translated, Verdict, decide,
};
use bothways_mapping::{Mapping, SourceFile, load};
use bothways_model::{LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{Choice, Conflict, FieldBase, Keep, LinkBody, LinkState, Side};
use std::sync::Arc;

/// The same mapping with `x` a reference to a row of the same catalog.
fn referring(winner: &str, direction: &str) -> Arc<Mapping> {
    referring_as(winner, direction, "string")
}

/// The same by a codec: `string` through links, or a lookup.
fn referring_as(winner: &str, direction: &str, codec: &str) -> Arc<Mapping> {
    let text = format!(
        "mapping: shop-people\nlocal: people\nremote: shop/people\nfields:\n  x: {{ remote: $.x, direction: {direction}, winner: {winner}, as: {codec} }}\n  y: {{ remote: $.y, direction: {direction}, winner: {winner} }}\ncreates: {{ from_local: ignore }}\nsync: {{ reconcile: 1h }}\n"
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
    referred_with(mapping, references, case, LinkBody::default())
}

fn referred_with(mapping: &Mapping, references: &References, case: &Case, mut body: LinkBody) -> Verdict {
    let mut fields = Record::from_iter([("y", Value::Null)]);
    fields.0.extend(case.local.clone().map(|value| ("x".to_owned(), value)));
    let row = LocalRow { id: LocalId::from("9"), fields, deleted_at: None };
    let mut remote = Record::from_iter([("y", Value::Null)]);
    remote.0.extend(case.remote.clone().map(|value| ("x".to_owned(), value)));
    let refused: Vec<_> = case.refused("x").into_iter().collect();
    let base = FieldBase { local: case.base_local.clone(), remote: case.base_remote.clone() };
    body.base.insert("x".into(), base);
    body.base.insert("y".into(), FieldBase { local: Some(Value::Null), remote: Some(Value::Null) });
    let decision = decide(&Sight {
        mapping,
        local: LocalSight::Row(&row),
        remote: RemoteSight::Record(RemoteRecord { fields: &remote, refused: &refused, changed_at: None }),
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
                        // Which row the record referred to nobody knows, so not either whether the row moved since.
                        action
                            if case.remote.is_none()
                                && !case.unread
                                && case.base_local.is_none()
                                && !is_linked(&case.base_remote) =>
                        {
                            assert_eq!(*action, Action::Unseen, "{}", context());
                        }
                        action => assert_eq!(*action, expected, "{}", context()),
                    }
                    if matches!((&verdict.action, &expected), (Action::Wait { .. }, Action::Conflict { .. }))
                    {
                        let known = is_linked(&case.remote) && is_linked(&case.base_remote);
                        assert!(!known, "they are known to differ: {}", context());
                        // Where both bases are known, a row that is linked with another record has moved, and so has the record.
                        let moved = case.base_remote.is_some() && is_linked(&case.local);
                        assert!(!moved, "both have moved: {}", context());
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
    assert_eq!(count, 4 * 3 * 320 * 3);
}

/// What stands for a row by its own value: where that is known the field is decided as any other; where it is not, nothing travels and
/// nothing waits.
#[test]
fn lookups_are_decided_as_values_are_and_refuse_what_nothing_stands_for() {
    let told = |known: [bool; 2]| {
        let mut references = References::default();
        for ((key, code), known) in [(1, "a"), (2, "b")].into_iter().zip(known) {
            let untold = || Translated::Untold("nothing".into());
            let there = if known { Translated::Known(Value::Text(code.into())) } else { untold() };
            references.note_outward("x", &key.to_string(), there);
            let row = if known { Translated::Known(Value::Int(key)) } else { untold() };
            references.note_inward("x", code, row);
        }
        references
    };
    let mut refused = 0;
    for winner in ["manual", "local", "remote", "newest"] {
        for direction in ["both", "in", "out"] {
            let plain = mapping(winner, direction);
            let mapping = referring_as(winner, direction, "{ lookup: { catalog: people, by: y } }");
            for case in cases() {
                let expected = of(&plain, LinkState::Linked, &case);
                let reference = as_reference(&case);
                let verdict = referred(&mapping, &told([true, true]), &reference);
                assert_eq!(verdict.action, expected, "{winner} {direction} {case:?}");
                for known in [[true, false], [false, true], [false, false]] {
                    let verdict = referred(&mapping, &told(known), &reference);
                    let is_known = |value: &Option<Value>| match value {
                        Some(Value::Text(code)) => known[usize::from(code != "a")],
                        _ => true,
                    };
                    let context =
                        || format!("{verdict:?} {known:?} {expected:?} {winner} {direction} {case:?}");
                    match &verdict.action {
                        Action::Wait { .. } => panic!("there is no link to wait for: {}", context()),
                        Action::Push => assert!(is_known(&case.local), "{}", context()),
                        Action::Pull => assert!(is_known(&case.remote), "{}", context()),
                        Action::Refuse if expected != Action::Refuse => {
                            refused += 1;
                            assert!(!(is_known(&case.local) && is_known(&case.remote)), "{}", context());
                            assert_eq!(
                                (verdict.rule, verdict.why.as_str()),
                                (35, "nothing"),
                                "{}",
                                context()
                            );
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
}

/// A record that says what stands for the row says the same, whatever else that may stand for.
#[test]
fn what_a_row_is_known_by_is_no_change() {
    let mapping = referring_as("manual", "both", "{ lookup: { catalog: people, by: y } }");
    let mut references = References::default();
    for key in ["1", "2"] {
        references.note_outward("x", key, Translated::Known(Value::Text("a".into())));
    }
    references.note_inward("x", "a", Translated::Untold("more than one".into()));
    let case = |local: i64, base: Option<i64>| Case {
        local: Some(Value::Int(local)),
        remote: value("a"),
        unread: false,
        base_local: base.map(Value::Int),
        base_remote: base.and_then(|_| value("a")),
    };
    assert_eq!(referred(&mapping, &references, &case(1, None)).action, Action::Agree);
    assert_eq!(referred(&mapping, &references, &case(1, Some(1))).action, Action::None);
    assert_eq!(referred(&mapping, &references, &case(2, Some(1))).action, Action::Agree);
}

/// What a person chose for a reference travels once it has a link, too.
#[test]
fn a_chosen_reference_waits_for_its_link() {
    let mapping = referring("manual", "both");
    let key = |key: i64| Some(Value::Int(key));
    let case = Case { local: key(1), remote: value("b"), unread: false, base_local: None, base_remote: None };
    let chosen = |linked: bool| {
        let mut references = References::default();
        for (key, id, linked) in [(1, "a", true), (2, "b", true), (3, "c", linked)] {
            references.note_record("x", &key.to_string(), linked.then(|| id.into()));
            references.note_row("x", id, linked.then_some(Value::Int(key)));
        }
        let conflict = Conflict {
            local: key(1),
            remote: key(2),
            since: Timestamp::UNIX_EPOCH,
            first_contact: true,
            choice: Some(Choice { keep: Keep::Value(Value::Int(3)), by: "somebody".into() }),
            stale: None,
        };
        let body =
            LinkBody { conflicts: [("x".to_owned(), conflict)].into_iter().collect(), ..LinkBody::default() };
        referred_with(&mapping, &references, &case, body).action
    };
    assert_eq!(chosen(true), Action::Set(Value::Int(3)));
    assert_eq!(chosen(false), Action::Wait { side: Side::Local, id: "3".into() });
}

/// Where both sides are as they were nobody asks, and what the record says is still shown as the row would say it.
#[test]
fn what_nobody_asked_about_is_what_it_was() {
    let mapping = referring("manual", "both");
    let nobody = References::default();
    let case = |remote: &str| Case {
        local: Some(Value::Int(1)),
        remote: value(remote),
        unread: false,
        base_local: Some(Value::Int(1)),
        base_remote: value("a"),
    };
    let still = referred(&mapping, &nobody, &case("a"));
    assert_eq!((still.action, still.remote), (Action::None, Some(Value::Int(1))));
    let moved = referred(&mapping, &nobody, &case("b"));
    assert_eq!(moved.action, Action::Wait { side: Side::Remote, id: "b".into() });
}
