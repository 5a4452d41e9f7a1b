//! No unproven delete (invariant 6): what an engine deleted was deleted on the other side before, and the policy says so.

use super::Snapshot;
use crate::ledger::{Gone, Ledger, Who};
use crate::plan::Plan;
use bothways_store::{Link, Side};

/// Deletes without evidence or against the policy.
pub(crate) fn deletes(snapshot: &Snapshot, plan: &Plan, ledger: &Ledger) -> Vec<String> {
    let mut findings = Vec::new();
    for gone in ledger.gone.iter().filter(|gone| matches!(gone.who, Who::Engine(_))) {
        let links: Vec<&Link> = snapshot.links.iter().filter(|link| is_of(snapshot, link, gone)).collect();
        let proven = links.iter().any(|link| has_proof(snapshot, link, gone, ledger));
        let (side, policy) = match gone.side {
            Side::Local => ("row", plan.from_remote),
            Side::Remote => ("record", plan.from_local),
        };
        if !proven {
            findings.push(format!(
                "{side} {} was deleted by an engine without a delete on the other side",
                gone.id
            ));
        }
        // An operator may have decided what the policy leaves to a person.
        let decided = policy == "manual" || (plan.operators && plan.update_wins);
        if policy != "delete" && !(decided && plan.operators) {
            findings.push(format!("{side} {} was deleted although the policy is `{policy}`", gone.id));
        }
    }
    findings
}

fn is_of(snapshot: &Snapshot, link: &Link, gone: &Gone) -> bool {
    match gone.side {
        Side::Local => snapshot.ids_of(link).contains(&gone.id),
        Side::Remote => link.remote_id.as_ref().is_some_and(|id| id.0 == gone.id),
    }
}

/// Whether the other side of the link had been deleted by somebody else before.
fn has_proof(snapshot: &Snapshot, link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    let others = |other: &&Gone| other.seq < gone.seq && other.side != gone.side;
    ledger.gone.iter().filter(others).any(|other| match other.side {
        Side::Remote => link.remote_id.as_ref().is_some_and(|id| id.0 == other.id),
        Side::Local => snapshot.ids_of(link).iter().any(|id| {
            *id == other.id || ledger.holders.get(id).is_some_and(|all| all.contains(&other.thing.entity))
        }),
    })
}
