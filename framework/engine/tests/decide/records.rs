//! What becomes of two records as wholes, in every case: what each side shows x what was last known x the policies of deletes x a
//! person's choice (rules 31 to 34).

use crate::{mapping, value};
use bothways_engine::decide::{
    Action, Decision, GoneLocal, LocalSight, RecordAction, References, RemoteRecord, RemoteSight, Sight,
    decide, local_changed, remote_changed,
};
use bothways_mapping::Mapping;
use bothways_mapping::mapping::{AgainstUpdate, Deletes, FromLocalDelete, FromRemoteDelete};
use bothways_model::{Ident, LocalId, LocalRow, Record, Timestamp, Value};
use bothways_store::{DeleteChoice, FieldBase, LinkBody, LinkState};
use std::sync::Arc;

const FROM_REMOTE: [FromRemoteDelete; 6] = [
    FromRemoteDelete::Manual,
    FromRemoteDelete::Ignore,
    FromRemoteDelete::Unlink,
    FromRemoteDelete::Archive,
    FromRemoteDelete::Delete,
    FromRemoteDelete::Recreate,
];
const FROM_LOCAL: [FromLocalDelete; 4] =
    [FromLocalDelete::Manual, FromLocalDelete::Ignore, FromLocalDelete::Unlink, FromLocalDelete::Delete];
const CHOICES: [Option<DeleteChoice>; 4] =
    [None, Some(DeleteChoice::Carry), Some(DeleteChoice::Keep), Some(DeleteChoice::Recreate)];

/// What the local side shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Local {
    Same,
    Changed,
    Gone(GoneLocal),
}

/// What the remote side shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Remote {
    Same,
    Changed,
    /// It is as it was, as far as its answer shows.
    Partly,
    /// It holds what cannot be read.
    Unread,
    Gone,
}

const LOCAL: [Local; 5] = [
    Local::Same,
    Local::Changed,
    Local::Gone(GoneLocal::Deleted),
    Local::Gone(GoneLocal::Archived),
    Local::Gone(GoneLocal::Unexplained),
];
const REMOTE: [Remote; 5] = [Remote::Same, Remote::Changed, Remote::Partly, Remote::Unread, Remote::Gone];

#[derive(Clone, Copy, Debug)]
struct Case {
    local: Local,
    remote: Remote,
    deletes: Deletes,
    choice: Option<DeleteChoice>,
    archives: bool,
    /// The row has outlived a record before, or its user brought it back.
    detached: bool,
}

fn fields(x: &str) -> Record {
    Record::from_iter([("x", Value::Text(x.into())), ("y", Value::Null)])
}

fn decided(mapping: &Arc<Mapping>, case: &Case) -> Decision {
    let mut mapping = Mapping::clone(mapping);
    mapping.deletes = case.deletes;
    if case.archives {
        let mut catalog = (*mapping.catalog).clone();
        catalog.deleted_at = Some(Ident::new("deleted_at").unwrap());
        mapping.catalog = Arc::new(catalog);
    }
    let mut body = LinkBody { delete_choice: case.choice, ..LinkBody::default() };
    body.base.insert("x".into(), FieldBase { local: value("a"), remote: value("a") });
    body.base.insert("y".into(), FieldBase { local: Some(Value::Null), remote: Some(Value::Null) });
    let row = |x| LocalRow { id: LocalId::from("1"), fields: fields(x), deleted_at: None };
    let (same, changed) = (row("a"), row("b"));
    let (there, edited, partly) = (fields("a"), fields("b"), Record::from_iter([("y", Value::Null)]));
    let refused = [("x".to_owned(), "not one of a, b".to_owned())];
    let unread = RemoteRecord { fields: &partly, refused: &refused, changed_at: None };
    decide(&Sight {
        mapping: &mapping,
        local: match case.local {
            Local::Same => LocalSight::Row(&same),
            Local::Changed => LocalSight::Row(&changed),
            Local::Gone(how) => LocalSight::Gone(how),
        },
        remote: match case.remote {
            Remote::Same => RemoteSight::fields(&there),
            Remote::Changed => RemoteSight::fields(&edited),
            Remote::Partly => RemoteSight::fields(&partly),
            Remote::Unread => RemoteSight::Record(unread),
            Remote::Gone => RemoteSight::Gone,
        },
        references: &References::default(),
        body: &body,
        state: if case.detached { LinkState::Detached } else { LinkState::Linked },
        now: Timestamp::UNIX_EPOCH,
    })
}

/// The state that a link gets, where it is closed or a person is asked.
fn state(action: &RecordAction) -> Option<LinkState> {
    match action {
        RecordAction::Close { state, .. } | RecordAction::AskDelete { state, .. } => Some(*state),
        _ => None,
    }
}

fn asks(action: &RecordAction) -> bool {
    matches!(action, RecordAction::AskDelete { .. })
}

fn closes(action: &RecordAction) -> bool {
    matches!(action, RecordAction::Close { .. })
}

/// The record is gone, the row is there.
fn check_gone_there(case: &Case, action: &RecordAction, context: &str) {
    let wins = case.deletes.against_update == AgainstUpdate::UpdateWins;
    match case.choice {
        Some(DeleteChoice::Carry) if case.archives => {
            assert_eq!(*action, RecordAction::ArchiveLocal, "{context}")
        }
        Some(DeleteChoice::Carry) => assert_eq!(*action, RecordAction::DeleteLocal, "{context}"),
        Some(DeleteChoice::Recreate) => assert_eq!(*action, RecordAction::Recreate, "{context}"),
        Some(DeleteChoice::Keep) => {
            assert!(closes(action) && state(action) == Some(LinkState::Detached), "{context}");
        }
        None if case.detached && case.deletes.from_remote != FromRemoteDelete::Recreate => {
            assert!(
                asks(action) && state(action) == Some(LinkState::Detached),
                "no policy takes it away: {context}"
            );
        }
        None if wins && case.local == Local::Changed => {
            assert!(
                asks(action) && state(action) == Some(LinkState::Detached),
                "an edit is not lost: {context}"
            );
        }
        None => match case.deletes.from_remote {
            FromRemoteDelete::Manual => {
                assert!(asks(action) && state(action) == Some(LinkState::Detached), "{context}");
            }
            FromRemoteDelete::Ignore => {
                assert!(closes(action) && state(action) == Some(LinkState::Detached), "{context}");
            }
            FromRemoteDelete::Unlink => {
                assert!(closes(action) && state(action) == Some(LinkState::Unlinked), "{context}");
            }
            FromRemoteDelete::Archive => assert_eq!(*action, RecordAction::ArchiveLocal, "{context}"),
            FromRemoteDelete::Delete => assert_eq!(*action, RecordAction::DeleteLocal, "{context}"),
            FromRemoteDelete::Recreate => assert_eq!(*action, RecordAction::Recreate, "{context}"),
        },
    }
}

/// The row is gone, the record is there.
fn check_gone_here(case: &Case, how: GoneLocal, action: &RecordAction, context: &str) {
    let wins = case.deletes.against_update == AgainstUpdate::UpdateWins;
    let archived = how == GoneLocal::Archived;
    match case.choice {
        Some(DeleteChoice::Carry) => assert_eq!(*action, RecordAction::DeleteRemote, "{context}"),
        // The record stays: a tombstone would be forgotten, and the record come back as a row.
        Some(_) => assert!(closes(action) && state(action) == Some(LinkState::Unlinked), "{context}"),
        None if how == GoneLocal::Unexplained => assert_eq!(*action, RecordAction::Missing, "{context}"),
        None => match case.deletes.from_local {
            FromLocalDelete::Delete if wins && matches!(case.remote, Remote::Changed | Remote::Unread) => {
                assert!(
                    asks(action) && state(action) == Some(LinkState::Linked),
                    "an edit is not lost: {context}"
                );
            }
            FromLocalDelete::Delete => assert_eq!(*action, RecordAction::DeleteRemote, "{context}"),
            FromLocalDelete::Manual => {
                assert!(asks(action) && state(action) == Some(LinkState::Linked), "{context}");
            }
            FromLocalDelete::Ignore if archived => assert_eq!(*action, RecordAction::Leave, "{context}"),
            FromLocalDelete::Ignore | FromLocalDelete::Unlink => {
                assert!(closes(action) && state(action) == Some(LinkState::Unlinked), "{context}");
            }
        },
    }
}

#[test]
fn two_records_in_every_case() {
    let mapping = mapping("manual", "both");
    let mut count = 0;
    for (local, remote) in LOCAL.into_iter().flat_map(|local| REMOTE.map(|remote| (local, remote))) {
        for (from_remote, from_local) in FROM_REMOTE.into_iter().flat_map(|r| FROM_LOCAL.map(|l| (r, l))) {
            for against_update in [AgainstUpdate::UpdateWins, AgainstUpdate::DeleteWins] {
                let flags = [(false, false), (false, true), (true, false), (true, true)];
                for (choice, (archives, detached)) in CHOICES.into_iter().flat_map(|c| flags.map(|f| (c, f)))
                {
                    let deletes =
                        Deletes { from_remote, from_local, against_update, confirmed_irreversible: true };
                    let case = Case { local, remote, deletes, choice, archives, detached };
                    let decision = decided(&mapping, &case);
                    let action = &decision.record;
                    let context = format!("{case:?} -> {action:?}");
                    match (local, remote) {
                        (Local::Gone(_), Remote::Gone) => {
                            assert!(
                                closes(action) && state(action) == Some(LinkState::Tombstone),
                                "{context}"
                            );
                        }
                        (Local::Gone(how), _) => check_gone_here(&case, how, action, &context),
                        (_, Remote::Gone) => check_gone_there(&case, action, &context),
                        _ => assert_eq!(*action, RecordAction::Merge, "{context}"),
                    }
                    let merges = *action == RecordAction::Merge;
                    assert_eq!(decision.verdicts.len(), if merges { 2 } else { 0 }, "{context}");
                    // Changed alike is agreed; what is not shown or cannot be read is not written over, and that is told.
                    let moves = matches!(
                        (local, remote),
                        (Local::Changed, Remote::Same | Remote::Partly)
                            | (Local::Same, Remote::Changed)
                            | (_, Remote::Unread)
                    );
                    assert_eq!(decision.is_quiet(), merges && !moves, "{context}");
                    count += 1;
                }
            }
        }
    }
    println!("decided {count} cases of two records");
    assert_eq!(count, 5 * 5 * 6 * 4 * 2 * 4 * 2 * 2);
}

/// A delete asks whether the other side was changed since; what was never known counts as changed, what is not shown does not.
#[test]
fn a_change_is_what_differs_from_its_own_base() {
    let mapping = mapping("manual", "both");
    let null = Some(Value::Null);
    for (base, differs) in [
        (FieldBase { local: value("a"), remote: value("a") }, false),
        (FieldBase { local: value("b"), remote: value("b") }, true),
        (FieldBase { local: value("a"), remote: value("b") }, false),
        (FieldBase { local: None, remote: value("a") }, false),
        (FieldBase { local: None, remote: value("b") }, true),
        (FieldBase { local: None, remote: None }, true),
    ] {
        let mut body = LinkBody::default();
        body.base.insert("y".into(), FieldBase { local: null.clone(), remote: null.clone() });
        body.base.insert("x".into(), base.clone());
        assert_eq!(local_changed(&mapping, &fields("a"), &body), differs, "{base:?}");
        let turned = FieldBase { local: base.remote.clone(), remote: base.local.clone() };
        body.base.insert("x".into(), turned);
        assert_eq!(remote_changed(&mapping, &fields("a"), &body), differs, "{base:?}");
    }
    let body = LinkBody::default();
    assert!(
        local_changed(&mapping, &Record::new(), &body),
        "a row that does not say is not known to be the same"
    );
    assert!(!remote_changed(&mapping, &Record::new(), &body), "a record that does not say proves nothing");
}

/// Two looks that would do the same have one digest, any others have two (rule 42).
#[test]
fn a_digest_tells_decisions_apart() {
    let mapping = mapping("manual", "both");
    let of = |local, remote| {
        let case = Case {
            local,
            remote,
            deletes: Deletes::default(),
            choice: None,
            archives: false,
            detached: false,
        };
        decided(&mapping, &case)
    };
    let all: Vec<Decision> = LOCAL.into_iter().flat_map(|l| REMOTE.map(|r| of(l, r))).collect();
    for one in &all {
        assert_eq!(one.digest().len(), 24);
        for other in &all {
            assert_eq!(one.digest() == other.digest(), one == other, "{one:?} {other:?}");
        }
    }
    let push = of(Local::Changed, Remote::Same);
    let labels = |verdicts: Vec<&str>| verdicts.join(" ");
    assert_eq!(labels(push.pushes().map(|v| v.label.as_str()).collect()), "x");
    assert_eq!((push.pulls().count(), push.refusals().count(), push.waits().count()), (0, 0, 0));
    let pull = of(Local::Same, Remote::Changed);
    assert_eq!(labels(pull.pulls().map(|v| v.label.as_str()).collect()), "x");
    assert_eq!((pull.pushes().count(), pull.verdicts[0].action.clone()), (0, Action::Pull));
}
