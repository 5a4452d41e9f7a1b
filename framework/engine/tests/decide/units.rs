//! An amount in minor units and its currency: one merge unit, of which the one says what the other is (rule 10).

use crate::{CONNECTOR, Case, cases};
use bothways_engine::decide::{
    Action, LocalSight, References, RemoteRecord, RemoteSight, Sight, Verdict, decide,
};
use bothways_mapping::{Mapping, SourceFile, load};
use bothways_model::{FieldType, LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{Choice, Conflict, FieldBase, Keep, LinkBody, LinkState};
use chrono::TimeDelta;
use std::sync::Arc;

const CATALOG: &str = r#"
catalog: people
table: people
key: id
fields: { id: int, x: text?, y: { decimal: 2, optional: true } }
"#;

/// `x` is a currency, `y` an amount in it.
fn mapping(winner: &str) -> Arc<Mapping> {
    let text = format!(
        "mapping: shop-people\nlocal: people\nremote: shop/people\nidentity: {{ match: [x] }}\nfields:\n  x: $.x\n  y: {{ remote: $.y, as: {{ minor: x }} }}\nconflicts: {{ winner: {winner} }}\ncreates: {{ from_local: ignore }}\nsync: {{ reconcile: 1h }}\n"
    );
    let files = [
        SourceFile::new("shop.yaml", CONNECTOR),
        SourceFile::new("people.yaml", CATALOG),
        SourceFile::new("shop-people.yaml", text),
    ];
    let loaded = load(&files, &[]);
    loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings)).mappings[0].clone()
}

fn amount(value: &Option<Value>) -> Option<Value> {
    match value {
        Some(Value::Text(text)) => {
            Value::from_text(&FieldType::Decimal { scale: 2 }, if text == "a" { "1" } else { "2" }).ok()
        }
        other => other.clone(),
    }
}

/// A case of a text as one of an amount.
fn as_amount(case: &Case) -> Case {
    Case {
        local: amount(&case.local),
        remote: amount(&case.remote),
        unread: case.unread,
        base_local: amount(&case.base_local),
        base_remote: amount(&case.base_remote),
    }
}

fn decided(mapping: &Mapping, mut body: LinkBody, fields: [(&str, &Case); 2]) -> Vec<Verdict> {
    let (mut row, mut remote) = (Record::new(), Record::new());
    for (label, case) in fields {
        row.0.extend(case.local.clone().map(|value| (label.to_owned(), value)));
        remote.0.extend(case.remote.clone().map(|value| (label.to_owned(), value)));
        let base = FieldBase { local: case.base_local.clone(), remote: case.base_remote.clone() };
        body.base.insert(label.into(), base);
    }
    let refused: Vec<_> = fields.iter().filter_map(|(label, case)| case.refused(label)).collect();
    let changed_at = Some(Timestamp::UNIX_EPOCH + TimeDelta::seconds(500_000));
    let row = LocalRow { id: LocalId::from("1"), fields: row, deleted_at: None };
    decide(&Sight {
        mapping,
        local: LocalSight::Row(&row),
        remote: RemoteSight::Record(RemoteRecord { fields: &remote, refused: &refused, changed_at }),
        references: &References::default(),
        body: &body,
        state: LinkState::Linked,
        now: Timestamp::UNIX_EPOCH,
    })
    .verdicts
}

/// What follows from the decision: nothing of a unit goes out while one of its fields is open.
fn carried_out(verdicts: &[Verdict], fields: [Case; 2]) -> [Case; 2] {
    let open = verdicts.iter().any(Verdict::is_open);
    let [x, y] = fields;
    let one = |case: Case, verdict: &Verdict| match verdict.goes_out() && open {
        true => case,
        false => crate::after(&case, &verdict.action),
    };
    [one(x, &verdicts[0]), one(y, &verdicts[1])]
}

/// Where the currency goes out the amount goes with it, and whatever travels, soon nothing is left that could.
#[test]
fn an_amount_goes_where_its_currency_goes() {
    let all: Vec<(Case, Case)> = cases().into_iter().map(|case| (case.clone(), as_amount(&case))).collect();
    let mapping = mapping("manual");
    let mut count = 0;
    for (x, _) in &all {
        for (_, y) in &all {
            let verdicts = decided(&mapping, LinkBody::default(), [("x", x), ("y", y)]);
            let (currency, amount) = (&verdicts[0], &verdicts[1]);
            let context = || format!("{x:?} {:?} beside {y:?} {:?}", currency.action, amount.action);
            let has = y.local.as_ref().is_some_and(|value| !value.is_null());
            if currency.goes_out() && has {
                assert!(amount.goes_out() || amount.is_open(), "in half: {}", context());
            }
            let conflict = |verdict: &Verdict| matches!(verdict.action, Action::Conflict { .. });
            if conflict(currency) || conflict(amount) {
                let travels = |verdict: &Verdict| matches!(verdict.action, Action::Push | Action::Pull);
                assert!(!travels(currency) && !travels(amount), "a person decides about both: {}", context());
            }
            let mut now = [x.clone(), y.clone()];
            let mut then = verdicts.clone();
            for _ in 0..3 {
                let next = carried_out(&then, now.clone());
                if next == now {
                    break;
                }
                now = next;
                then = decided(&mapping, LinkBody::default(), [("x", &now[0]), ("y", &now[1])]);
            }
            let stuck = then.iter().any(|v| v.is_open() && v.action != Action::Pull);
            let left = then.iter().any(|v| v.action == Action::Pull || v.goes_out() && !stuck);
            assert!(!left, "not settled: {}, then {then:?}", context());
            count += 1;
        }
    }
    println!("decided {count} cases of two fields that are one");
    assert_eq!(count, 320 * 320);
}

fn known(local: &str, remote: &str, base: &str) -> Case {
    let text = |text: &str| Some(Value::Text(text.into()));
    Case {
        local: text(local),
        remote: text(remote),
        unread: false,
        base_local: text(base),
        base_remote: text(base),
    }
}

/// One time is that of the whole unit: `newest` does not give each side a half.
#[test]
fn the_later_change_has_the_whole_unit() {
    let (x, y) = (known("a", "c", "b"), as_amount(&known("a", "b", "b")));
    for (label, seconds, action) in
        [("x", 900_000, Action::Push), ("y", 900_000, Action::Push), ("x", 9, Action::Pull)]
    {
        let at = Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let body = LinkBody { local_changed: [(label.to_owned(), at)].into(), ..LinkBody::default() };
        let verdicts = decided(&mapping("newest"), body, [("x", &x), ("y", &y)]);
        assert_eq!([&verdicts[0].action, &verdicts[1].action], [&action, &action], "{label} at {seconds}");
    }
}

/// A person may choose the local currency and the remote amount: the amount comes in first, and goes out again in that currency.
#[test]
fn halves_that_a_person_chose_come_in_before_they_go_out() {
    let fields = [known("a", "c", "b"), as_amount(&known("a", "b", "c"))];
    let mut body = LinkBody::default();
    for (label, case, keep) in [("x", &fields[0], Keep::Local), ("y", &fields[1], Keep::Remote)] {
        let conflict = Conflict {
            local: case.local.clone(),
            remote: case.remote.clone(),
            since: Timestamp::UNIX_EPOCH,
            first_contact: false,
            choice: Some(Choice { keep, by: "somebody".into() }),
            stale: None,
        };
        body.conflicts.insert(label.into(), conflict);
    }
    let mapping = mapping("manual");
    let first = decided(&mapping, body.clone(), [("x", &fields[0]), ("y", &fields[1])]);
    assert_eq!([&first[0].action, &first[1].action], [&Action::Push, &Action::Pull]);
    let fields = carried_out(&first, fields);
    assert_eq!(fields[0], known("a", "c", "b"), "it waits");
    body.conflicts.remove("y");
    let then = decided(&mapping, body, [("x", &fields[0]), ("y", &fields[1])]);
    assert_eq!([&then[0].action, &then[1].action], [&Action::Push, &Action::Push]);
    assert_eq!(then[1].local, fields[1].remote);
}
