//! Items of a plan, made of decisions. The survey shows them; whoever carries a plan out compares what it is about to do with them.

use super::{PlanAction, PlanItem};
use crate::create::new_row;
use crate::decide::{Action, Decision, RecordAction, References, Verdict};
use crate::read::Seen;
use crate::references::{NoRecord, NoRow, refer_out};
use bothways_mapping::Mapping;
use bothways_mapping::mapping::CreatePolicy;
use bothways_model::{LocalId, Record, RemoteId, Value};
use bothways_store::FieldBase;

/// Linked records, or what is left of them; `None` if nothing would happen.
pub(crate) fn linked(local: Option<&LocalId>, remote: &RemoteId, decision: &Decision) -> Option<PlanItem> {
    let (action, why) = match &decision.record {
        RecordAction::Merge if decision.is_quiet() => return None,
        RecordAction::Leave => return None,
        RecordAction::Merge => (PlanAction::Update, String::new()),
        RecordAction::DeleteRemote => (PlanAction::DeleteRemote, "deleted locally".to_owned()),
        RecordAction::DeleteLocal => (PlanAction::DeleteLocal, "deleted remotely".to_owned()),
        RecordAction::ArchiveLocal => (PlanAction::ArchiveLocal, "deleted remotely".to_owned()),
        RecordAction::Recreate => (PlanAction::CreateRemote, "deleted remotely: created again".to_owned()),
        RecordAction::Close { why, .. } => (PlanAction::Close, why.clone()),
        RecordAction::AskDelete { why, .. } => (PlanAction::Ask, why.clone()),
        RecordAction::Missing => {
            (PlanAction::Ask, "the row is missing and no delete was captured".to_owned())
        }
    };
    let fields = telling(&decision.verdicts);
    Some(PlanItem { fields, why, ..bare(action, local.map(LocalId::as_str), Some(remote.as_str())) })
}

/// Linked records of which one left the mapping's scope.
pub(crate) fn leaving(local: &LocalId, remote: &RemoteId, why: &str) -> PlanItem {
    PlanItem { why: why.to_owned(), ..bare(PlanAction::Close, Some(local.as_str()), Some(remote.as_str())) }
}

/// Records that are linked again, since the side that had left is back. What differs by then is told once they are.
pub(crate) fn returning(local: &LocalId, remote: &RemoteId, why: &str) -> PlanItem {
    PlanItem { why: why.to_owned(), ..bare(PlanAction::Link, Some(local.as_str()), Some(remote.as_str())) }
}

/// Linked records about which a person has to say something first.
pub(crate) fn asking(local: &LocalId, remote: &RemoteId, why: String) -> PlanItem {
    PlanItem { why, ..bare(PlanAction::Ask, Some(local.as_str()), Some(remote.as_str())) }
}

/// A row and a record that become linked, with what was decided on unknown bases.
pub(crate) fn link(local: &str, remote: &str, decision: &Decision) -> PlanItem {
    let why = "the match fields are equal and unique".to_owned();
    PlanItem { fields: telling(&decision.verdicts), why, ..bare(PlanAction::Link, Some(local), Some(remote)) }
}

/// A record without a row; `None` if it is left alone.
pub(crate) fn create_local(mapping: &Mapping, remote: &RemoteId, seen: &Seen) -> Option<PlanItem> {
    let (action, why) = match (mapping.creates.from_remote, new_row(mapping, seen, remote)) {
        (CreatePolicy::Ignore, _) => return None,
        (CreatePolicy::Manual, _) => {
            (PlanAction::Ask, "a new record; creating its row is left to a person".to_owned())
        }
        (CreatePolicy::Create, Err(no @ NoRow::Waits(..))) => (PlanAction::CreateLocal, no.text()),
        (CreatePolicy::Create, Err(no)) => (PlanAction::Ask, no.text()),
        (CreatePolicy::Create, Ok(_)) => (PlanAction::CreateLocal, "a new record".to_owned()),
    };
    let comes = mapping.fields.iter().filter(|field| field.direction.comes_in());
    let fields = comes
        .filter_map(|field| seen.fields.get(&field.label).map(|value| (field, value)))
        .map(|(field, value)| created(&field.label, Action::Pull, None, Some(value), "a new record"))
        .collect();
    Some(PlanItem { fields, why, ..bare(action, None, Some(remote.as_str())) })
}

/// A row without a record; `None` if it is left alone.
pub(crate) fn create_remote(
    mapping: &Mapping,
    local: &LocalId,
    row: &Record,
    references: &References,
) -> Option<PlanItem> {
    let (action, why) = match mapping.creates.from_local {
        CreatePolicy::Ignore => return None,
        CreatePolicy::Manual => {
            (PlanAction::Ask, "a new row; creating it remotely is left to a person".to_owned())
        }
        CreatePolicy::Create => match refer_out(mapping, row, references) {
            Err(NoRecord::Waits(label, key)) => {
                let why = format!("field `{label}`: row {key}, which it refers to, is not linked yet");
                (PlanAction::CreateRemote, why)
            }
            Err(NoRecord::Untold(why)) => (PlanAction::Ask, why),
            Ok(referred) => match mapping.new_remote(&referred) {
                Ok(_) => (PlanAction::CreateRemote, "a new row".to_owned()),
                Err(refusals) => {
                    let refusals: Vec<String> =
                        refusals.into_iter().map(|(label, why)| format!("field `{label}`: {why}")).collect();
                    (PlanAction::Ask, refusals.join("; "))
                }
            },
        },
    };
    let goes = mapping.fields.iter().filter(|field| field.direction.goes_out());
    let fields = goes
        .filter_map(|field| row.get(field.local_name()).map(|value| (field, value)))
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| created(&field.label, Action::Push, Some(value), None, "a new row"))
        .collect();
    Some(PlanItem { fields, why, ..bare(action, Some(local.as_str()), None) })
}

/// Verdicts that say something to a person: what travels, conflicts or is refused.
fn telling(verdicts: &[Verdict]) -> Vec<Verdict> {
    let quiet =
        |v: &&Verdict| matches!(v.action, Action::None | Action::Agree | Action::Accept | Action::Unseen);
    verdicts.iter().filter(|verdict| !quiet(verdict)).cloned().collect()
}

fn created(label: &str, action: Action, local: Option<&Value>, remote: Option<&Value>, why: &str) -> Verdict {
    Verdict {
        label: label.to_owned(),
        action,
        local: local.cloned(),
        remote: remote.cloned(),
        base: FieldBase::default(),
        rule: 27,
        why: why.to_owned(),
    }
}

pub(super) fn bare(action: PlanAction, local: Option<&str>, remote: Option<&str>) -> PlanItem {
    PlanItem {
        action,
        local: local.map(str::to_owned),
        remote: remote.map(str::to_owned),
        fields: Vec::new(),
        why: String::new(),
    }
}
