//! Whose word counts when both sides changed: times, a person's choice, merge units, and what a value must be to travel.

use crate::{mapping, value};
use bothways_engine::decide::{
    Action, LocalSight, References, RemoteRecord, RemoteSight, Sight, Verdict, decide,
};
use bothways_mapping::Mapping;
use bothways_model::{LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{Choice, Conflict, FieldBase, Keep, LateEcho, LinkBody, LinkState, RecentWrite, Side};
use chrono::TimeDelta;

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
    let record = RemoteRecord { fields: &seen, refused: &[], changed_at };
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

/// Nearer than the skew is a tie; so is a change before our own last write, which may be that write's echo (rule 12).
#[test]
fn times_that_are_too_near_or_too_old_decide_nothing() {
    let mapping = mapping("newest", "both");
    let skew = i64::try_from(mapping.conflicts.skew.as_secs()).unwrap();
    assert!(skew > 0);
    assert_eq!(with_times(&mapping, Some(1000 + skew), Some(1000)), Action::Pull);
    assert_eq!(with_times(&mapping, Some(1001 + skew), Some(1000)), Action::Push);
    assert_eq!(with_times(&mapping, Some(1000), Some(1001 + skew)), Action::Pull);
    let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
    let after_own = |local, remote, own: &[i64]| {
        let write = |seconds: &i64| RecentWrite {
            field: "y".into(),
            side: Side::Local,
            value: Value::Null,
            at: at(*seconds),
        };
        let body = LinkBody {
            local_changed: [("x".to_owned(), at(local))].into_iter().collect(),
            recent: own.iter().map(write).collect(),
            ..LinkBody::default()
        };
        both_changed(&mapping, body, Some(at(remote)))
    };
    assert_eq!(after_own(5000, 1000, &[900]), Action::Push);
    assert_eq!(after_own(5000, 1000, &[1000, 900]), Action::Push, "not older than it");
    assert_eq!(after_own(5000, 1000, &[1001]), Action::Pull);
    assert_eq!(after_own(5000, 1000, &[6000, 10]), Action::Pull, "the last one counts");
    assert_eq!(after_own(5000, 6000, &[5500]), Action::Pull);
}

/// What a person chose is done where the field may travel that way, and a value that a side holds already is not written to it.
#[test]
fn a_choice_is_carried_out_where_it_may_be() {
    let chosen = |winner, direction, keep: Keep| {
        let conflict = Conflict {
            local: value("a"),
            remote: value("b"),
            since: Timestamp::UNIX_EPOCH,
            first_contact: false,
            choice: Some(Choice { keep, by: "somebody".into() }),
            stale: None,
        };
        let conflicts = [("x".to_owned(), conflict)].into_iter().collect();
        both_changed(&mapping(winner, direction), LinkBody { conflicts, ..LinkBody::default() }, None)
    };
    let keep = |text: &str| Keep::Value(Value::Text(text.into()));
    assert_eq!(chosen("manual", "both", Keep::Local), Action::Push);
    assert_eq!(chosen("manual", "both", Keep::Remote), Action::Pull);
    assert_eq!(chosen("remote", "both", Keep::Local), Action::Push, "a person's word goes before the policy");
    assert_eq!(chosen("manual", "both", keep("a")), Action::Push);
    assert_eq!(chosen("manual", "both", keep("b")), Action::Pull);
    assert_eq!(chosen("manual", "both", keep("c")), Action::Set(Value::Text("c".into())));
    for (direction, only) in [("in", Action::Pull), ("out", Action::Push)] {
        for keep in [Keep::Local, Keep::Remote, keep("a"), keep("b"), keep("c")] {
            assert_eq!(chosen("manual", direction, keep.clone()), only, "{direction} {keep:?}");
        }
    }
}

/// `x` and `y` as both sides show them and as both were last known to hold them.
#[derive(Clone)]
struct Shown {
    local: [Option<Value>; 2],
    remote: [Option<Value>; 2],
    base: [Option<Value>; 2],
}

impl Shown {
    fn new(local: [&str; 2], remote: [&str; 2], base: [&str; 2]) -> Self {
        let read = |text: &str| match text {
            "?" => None,
            "-" => Some(Value::Null),
            text => value(text),
        };
        Self { local: local.map(read), remote: remote.map(read), base: base.map(read) }
    }

    fn decide(&self, mapping: &Mapping, mut body: LinkBody) -> Vec<Verdict> {
        let record = |values: &[Option<Value>; 2]| {
            let named = ["x", "y"].into_iter().zip(values.clone());
            Record::from_iter(named.filter_map(|(name, value)| Some((name, value?))))
        };
        for (name, value) in ["x", "y"].into_iter().zip(self.base.clone()) {
            body.base.insert(name.into(), FieldBase { local: value.clone(), remote: value });
        }
        let row = LocalRow { id: LocalId::from("1"), fields: record(&self.local), deleted_at: None };
        let there = record(&self.remote);
        let sight = Sight {
            mapping,
            local: LocalSight::Row(&row),
            remote: RemoteSight::fields(&there),
            references: &References::default(),
            body: &body,
            state: LinkState::Linked,
            now: Timestamp::UNIX_EPOCH,
        };
        decide(&sight).verdicts
    }

    fn actions(&self, mapping: &Mapping) -> [Action; 2] {
        let verdicts = self.decide(mapping, LinkBody::default());
        [verdicts[0].action.clone(), verdicts[1].action.clone()]
    }
}

fn edited(mapping: &Mapping, edit: impl FnOnce(&mut Mapping)) -> Mapping {
    let mut mapping = mapping.clone();
    edit(&mut mapping);
    mapping
}

/// Fields of one merge unit are decided as one: a change of the one here and of the other there is a conflict of both (rule 10).
#[test]
fn a_merge_unit_is_in_conflict_as_a_whole() {
    let unit = |winner| edited(&mapping(winner, "both"), |m| m.fields[1].unit = m.fields[0].unit);
    let both = Shown::new(["here", "b"], ["a", "there"], ["a", "b"]);
    let conflict = Action::Conflict { first_contact: false };
    assert_eq!(both.actions(&mapping("manual", "both")), [Action::Push, Action::Pull]);
    assert_eq!(both.actions(&unit("manual")), [conflict.clone(), conflict.clone()]);
    assert_eq!(both.actions(&unit("local")), [Action::Push, Action::Push]);
    assert_eq!(both.actions(&unit("remote")), [Action::Pull, Action::Pull]);
    let one = Shown::new(["here", "b"], ["there", "b"], ["a", "b"]);
    assert_eq!(one.actions(&unit("manual")), [conflict, Action::None]);
    let beside = Shown::new(["here", "b"], ["there", "c"], ["a", "b"]);
    assert_eq!(beside.actions(&unit("local")), [Action::Push, Action::Push], "the whole unit is one side's");
    for (shown, action) in [
        (Shown::new(["here", "and"], ["a", "b"], ["a", "b"]), Action::Push),
        (Shown::new(["a", "b"], ["there", "too"], ["a", "b"]), Action::Pull),
    ] {
        assert_eq!(shown.actions(&unit("manual")), [action.clone(), action], "one side alone is no conflict");
    }
}

/// `immutable`, `required` and columns that refuse null hold values back, and say so (rule 7).
#[test]
fn what_may_not_travel_is_refused() {
    let plain = mapping("manual", "both");
    let required = edited(&plain, |m| m.fields[0].required = true);
    let immutable = edited(&plain, |m| m.fields[0].immutable = true);
    let column = edited(&plain, |m| {
        let mut catalog = (*m.catalog).clone();
        let x = catalog.fields.iter_mut().find(|field| field.name == "x").unwrap();
        x.optional = false;
        m.catalog = catalog.into();
    });
    let of = |mapping: &Mapping, local: &str, remote: &str, base: &str| {
        let verdicts =
            Shown::new([local, "-"], [remote, "-"], [base, "-"]).decide(mapping, LinkBody::default());
        (verdicts[0].action.clone(), verdicts[0].rule)
    };
    let refused = (Action::Refuse, 7);
    for (local, remote, action) in [("b", "a", Action::Push), ("a", "b", Action::Pull)] {
        assert_eq!(of(&immutable, local, remote, "a"), refused);
        for mapping in [&plain, &required, &column] {
            assert_eq!(of(mapping, local, remote, "a"), (action.clone(), 10));
        }
    }
    assert_eq!(of(&immutable, "a", "-", "?"), refused, "not even to a record that never had it");
    for empty in ["-", "", " "] {
        assert_eq!(of(&required, empty, "a", "a"), refused, "{empty:?}");
        assert_eq!(of(&required, "a", empty, "a"), refused, "{empty:?}");
    }
    assert_eq!(of(&plain, "a", "-", "a"), (Action::Pull, 10));
    assert_eq!(of(&column, "a", "-", "a"), refused, "the column may not be null");
    assert_eq!(of(&column, "a", "", "a"), (Action::Pull, 10));
    assert_eq!(of(&column, "-", "a", "a"), (Action::Push, 10), "the record may");
}

/// A person's own value is held to the same.
#[test]
fn a_chosen_value_that_may_not_travel_is_refused() {
    let plain = mapping("manual", "both");
    let required = edited(&plain, |m| m.fields[0].required = true);
    let of = |mapping: &Mapping, chosen: &str| {
        let conflict = Conflict {
            local: value("a"),
            remote: value("b"),
            since: Timestamp::UNIX_EPOCH,
            first_contact: false,
            choice: Some(Choice { keep: Keep::Value(value(chosen).unwrap()), by: "somebody".into() }),
            stale: None,
        };
        let conflicts = [("x".to_owned(), conflict)].into_iter().collect();
        both_changed(mapping, LinkBody { conflicts, ..LinkBody::default() }, None)
    };
    assert_eq!(of(&plain, ""), Action::Set(value("").unwrap()));
    assert_eq!(of(&required, ""), Action::Refuse);
    assert_eq!(of(&required, "c"), Action::Set(value("c").unwrap()));
}

/// An uncertain write that arrives late is no change by anybody, as long as it may still arrive (rule 24).
#[test]
fn a_late_echo_is_not_taken_for_a_change() {
    let late = |label: &str, sent: &str, seconds| {
        let until = Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let echo = LateEcho { field: label.into(), value: value(sent).unwrap(), until };
        LinkBody { late: vec![echo], ..LinkBody::default() }
    };
    let shown = Shown::new(["later", "-"], ["sent", "-"], ["before", "-"]);
    let of = |direction, body| {
        let verdict = shown.decide(&mapping("manual", direction), body).remove(0);
        (verdict.action, verdict.rule)
    };
    let conflict = (Action::Conflict { first_contact: false }, 11);
    assert_eq!(of("both", late("x", "sent", 1)), (Action::Push, 24));
    assert_eq!(of("both", late("x", "sent", 0)), conflict, "too late for an echo");
    assert_eq!(of("both", late("x", "another", 1)), conflict);
    assert_eq!(of("both", late("y", "sent", 1)), conflict);
    assert_eq!(of("in", late("x", "sent", 1)), (Action::Pull, 7));
    let immutable = edited(&mapping("manual", "both"), |m| m.fields[0].immutable = true);
    assert_eq!(shown.decide(&immutable, late("x", "sent", 1))[0].action, Action::Push, "it finishes a write");
}

/// A field in conflict had a value when it was last seen: left out of an answer, it is unknown and not empty (rule 17).
#[test]
fn a_field_in_conflict_that_is_hidden_is_unknown() {
    let mapping = mapping("local", "both");
    let of = |seen: Option<Value>| {
        let conflict = Conflict {
            local: value("a"),
            remote: seen,
            since: Timestamp::UNIX_EPOCH,
            first_contact: true,
            choice: None,
            stale: None,
        };
        let body =
            LinkBody { conflicts: [("x".to_owned(), conflict)].into_iter().collect(), ..LinkBody::default() };
        Shown::new(["a", "-"], ["?", "-"], ["?", "-"]).decide(&mapping, body)[0].action.clone()
    };
    assert_eq!(of(value("b")), Action::Unseen);
    assert_eq!(of(Some(Value::Null)), Action::Push);
    assert_eq!(of(None), Action::Push);
}
