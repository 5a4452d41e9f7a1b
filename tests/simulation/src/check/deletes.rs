//! No unproven delete (invariant 6): what an engine deleted was deleted on the other side before, and the policy says so.

use super::Snapshot;
use crate::kinds::{Kind, MATCH};
use crate::ledger::{Gone, Ledger, Who};
use crate::sim::Sim;
use bothways_store::{Link, Side};

/// A delete that was sent before may land this late, in microseconds.
const SETTLED: u64 = 240_000_000;

/// Deletes without evidence or against the policy.
pub(crate) fn deletes(snapshot: &Snapshot, sim: &Sim) -> Vec<String> {
    let (place, plan, ledger) = (snapshot.place, &sim.plan, &*sim.ledger(snapshot.place.kind));
    let mut findings = Vec::new();
    let here = |gone: &&Gone| gone.side == Side::Local || place.owns(&gone.id);
    for gone in ledger.gone.iter().filter(here).filter(|gone| matches!(gone.who, Who::Engine(_))) {
        let links: Vec<&Link> = snapshot.links.iter().filter(|link| is_of(link, gone, ledger)).collect();
        let proven = links.iter().any(|link| has_proof(place.kind, link, gone, ledger));
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

fn is_of(link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    match gone.side {
        Side::Local => ledger.rows_of(link.id).contains(&gone.thing.entity),
        Side::Remote => link.remote_id.as_ref().is_some_and(|id| id.0 == gone.id),
    }
}

/// Whether the other side of the link had been deleted before, and is not back.
fn has_proof(kind: &Kind, link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    let rows = ledger.rows_of(link.id);
    let is_other = |other: &&Gone| match other.side {
        Side::Remote => link.remote_id.as_ref().is_some_and(|id| id.0 == other.id),
        Side::Local => rows.contains(&other.thing.entity),
    };
    let mut others = ledger.gone.iter().filter(|other| other.seq < gone.seq && other.side != gone.side);
    others.any(|other| is_other(&other)) && !rows.iter().any(|row| is_back(kind, *row, link, gone, ledger))
}

/// Whether a row of a link whose record was deleted was there again long before, for everybody to see.
fn is_back(kind: &Kind, entity: u64, link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    let Some(row) = ledger.row(entity).filter(|_| gone.side == Side::Remote) else { return false };
    let born = ledger.changes.iter().find(|change| change.entity == entity).map_or(u64::MAX, |c| c.at);
    // Whose email was changed in between is another person, for all that anybody can tell.
    let base = link.body.base.get(kind.labels[MATCH]).and_then(|base| base.local.as_ref()).map(|email| email.to_text());
    let emails = [&row.cells[MATCH], &base].map(|email| email.as_ref().map(|email| email.trim().to_lowercase()));
    kind.is_matched && born.saturating_add(SETTLED) < gone.at && emails[0].is_some() && emails[0] == emails[1]
}
