//! No unproven delete (invariant 6): what an engine deleted was deleted on the other side before, and the policy says so.

use super::Snapshot;
use super::converged::is_hard_to_prove;
use crate::executor::WORLD;
use crate::kinds::{Kind, LAST, MATCH};
use crate::ledger::{Change, Gone, Ledger, Thing, Who};
use crate::sim::Sim;
use bothways_store::{Link, Side};
use std::collections::BTreeSet;

/// A delete that was sent before may land this late, in microseconds.
const SETTLED: u64 = 240_000_000;

/// Deletes without evidence or against the policy.
pub(crate) fn deletes(snapshot: &Snapshot, all: &[Snapshot], sim: &Sim) -> Vec<String> {
    let (place, plan, ledger) = (snapshot.place, &sim.plan, &*sim.ledger(snapshot.place.kind));
    let mut findings = Vec::new();
    let here = |gone: &&Gone| gone.side == Side::Local || place.owns(&gone.id);
    for gone in ledger.gone.iter().filter(here).filter(|gone| matches!(gone.who, Who::Engine(_))) {
        // A row may have gone with its record at any service that keeps it.
        let others = all.iter().filter(|other| other.place.kind.is(place.kind) && gone.side == Side::Local);
        let links = snapshot.links.iter().chain(others.flat_map(|other| &other.links));
        let links: Vec<&Link> = links.filter(|link| is_of(link, gone, ledger)).collect();
        let proven = links.iter().any(|link| has_proof(place.kind, link, gone, ledger, sim));
        let (side, policy) = match gone.side {
            Side::Local => ("row", plan.from_remote),
            Side::Remote => ("record", plan.from_local),
        };
        if !proven && !was_taken_along(place.kind, gone, sim) {
            findings.push(format!(
                "{side} {} was deleted by an engine without a delete on the other side",
                gone.id
            ));
        }
        // An operator may have decided what the policy leaves to a person, or what to do with a row that stayed without its record
        // and was edited (rule 34).
        let stayed = gone.side == Side::Local && policy == "ignore";
        // Who decides so where there is an archive has it archived.
        let archives = plan.archives > 0 && gone.side == Side::Local;
        // Whatever the policy, a person decides about the row of a record that is only not found (rule 31).
        let unproven = gone.side == Side::Local
            && is_hard_to_prove(place, plan)
            && links.iter().any(|link| sim.is_carried(link.id));
        let decided = policy == "manual" || stayed || unproven || (plan.operators && plan.update_wins);
        if policy != "delete" && (archives || !(decided && plan.operators)) {
            findings.push(format!("{side} {} was deleted although the policy is `{policy}`", gone.id));
        }
    }
    findings
}

/// Whether a record went with the one that it referred to, when a delete of that landed late: the service took it along.
fn was_taken_along(kind: &Kind, gone: &Gone, sim: &Sim) -> bool {
    let Some(parent) = kind.parent.filter(|_| gone.side == Side::Remote && gone.who == Who::Engine(WORLD))
    else {
        return false;
    };
    let above = sim.ledger(parent);
    let refers = |id: &String| gone.thing.cells[LAST].as_ref() == Some(id);
    above.gone.iter().any(|up| up.side == Side::Remote && up.at == gone.at && refers(&up.id))
}

/// Records that engines deleted before those which refer to them, although the rows of these had been deleted first (rule 35).
pub(crate) fn children_first(parents: &Snapshot, children: &Snapshot, sim: &Sim) -> Vec<String> {
    // Else a child's delete is dealt with, and its record stays.
    if sim.plan.from_local != "delete" || sim.plan.operators {
        return Vec::new();
    }
    let (above, below) = (sim.ledger(parents.place.kind), sim.ledger(children.place.kind));
    let mut findings = Vec::new();
    let by_engines = above.gone.iter().filter(|gone| gone.side == Side::Remote && gone.who.is_engine());
    for gone in by_engines.filter(|gone| parents.place.owns(&gone.id)) {
        let links = parents.links.iter().filter(|link| is_of(link, gone, &above));
        let rows: BTreeSet<u64> = links.flat_map(|link| above.rows_of(link.id)).collect();
        // An archived row counts as deleted (rule 32).
        let lost = above.gone.iter().chain(above.archive.archived());
        let lost = lost.filter(|row| row.side == Side::Local && rows.contains(&row.thing.entity));
        let Some(lost) = lost.map(|row| row.at).min() else { continue };
        let before = |row: &&Gone| row.side == Side::Local && row.who == Who::User && row.at <= lost;
        let refers = |row: &&Gone| {
            let parent = row.thing.cells[LAST].as_ref().and_then(|cell| cell.strip_prefix('#')?.parse().ok());
            parent.is_some_and(|parent| rows.contains(&parent))
        };
        for row in below.gone.iter().filter(before).filter(refers) {
            let of_row = |link: &&Link| below.claimed_by(link.id).any(|entity| entity == row.thing.entity);
            let ids = children.links.iter().filter(of_row).filter_map(|link| link.remote_id.as_ref());
            let early = ids.filter(|id| {
                is_there(id.as_str(), gone.at, &below) && referred(id.as_str(), &gone.id, gone.at, &below)
            });
            findings.extend(
                early.map(|id| {
                    format!("record {} was deleted before record {id}, which refers to it", gone.id)
                }),
            );
        }
    }
    findings
}

/// Whether a record was there at a moment, and long before, so that everybody knew what it refers to.
fn is_there(id: &str, at: u64, ledger: &Ledger) -> bool {
    let gone = ledger.gone.iter().find(|gone| gone.side == Side::Remote && gone.id == id);
    // Deleted along with it is deleted before its own turn.
    let with = |gone: &Gone| gone.at == at && gone.who == Who::Service;
    // What was taken back out of the bin was not there in between.
    let was_gone = gone.is_some_and(|gone| gone.at < at) && ledger.restored.contains(id);
    let stays =
        !was_gone && ledger.records.contains_key(id) || gone.is_some_and(|gone| gone.at > at || with(gone));
    let born = ledger.changes.iter().find(|change| change.side == Side::Remote && change.id == id);
    stays && born.is_some_and(|born| born.at + SETTLED < at)
}

pub(super) fn is_of(link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    match gone.side {
        Side::Local => ledger.rows_of(link.id).contains(&gone.thing.entity),
        Side::Remote => {
            // What was taken back out of the bin may have become part of the record that the link is of by now (rule 26).
            let had =
                link.body.moved_from.as_ref().is_some_and(|from| became(&gone.id, from.as_str(), ledger));
            had || link.remote_id.as_ref().is_some_and(|id| id.0 == gone.id)
        }
    }
}

/// Whether a record is another one, or was made part of it.
fn became(id: &str, other: &str, ledger: &Ledger) -> bool {
    let mut id = id;
    for _ in 0..ledger.merged.len() {
        match ledger.merged.get(id) {
            Some(master) if id != other => id = master,
            _ => break,
        }
    }
    id == other
}

/// Whether the other side of the link had been deleted before, and is not back.
pub(super) fn has_proof(kind: &Kind, link: &Link, gone: &Gone, ledger: &Ledger, sim: &Sim) -> bool {
    let rows = ledger.rows_of(link.id);
    let is_other = |other: &&Gone| match other.side {
        Side::Remote => link.remote_id.as_ref().is_some_and(|id| id.0 == other.id),
        Side::Local => rows.contains(&other.thing.entity),
    };
    let lost = ledger.gone.iter().chain(ledger.archive.archived());
    let mut others = lost.filter(|other| other.seq < gone.seq && other.side != gone.side);
    // Once the recycle bin is emptied, nothing tells what was merged from what was deleted.
    // What was merged does not come back out of it: a record that went again had been deleted before.
    let went_again = |other: &Gone| {
        let mut later = ledger.gone.iter().filter(|later| later.seq > other.seq && later.side == other.side);
        later.any(|later| later.id == other.id)
    };
    let is_merged = |other: &Gone| {
        !sim.is_bin_emptied(other.at, gone.at) && !went_again(other) && is_merged(&other.id, gone.seq, ledger)
    };
    // What an engine deleted is no reason to delete the row that it did that for and that is back: its own delete landed late (rule 24).
    let is_own = |other: &Gone| {
        let by_engine = gone.side == Side::Local && other.who.is_engine() && !sim.plan.operators;
        by_engine && !was_taken_along(kind, other, sim)
    };
    others.any(|other| is_other(&other) && !is_merged(other) && !is_own(other))
        && !rows.iter().any(|row| is_back(kind, *row, link, gone, ledger))
        && !is_record_back(link, gone, ledger)
}

/// Whether the record of a link whose row was deleted had been back long before, for everybody to see.
fn is_record_back(link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    let record = link.remote_id.as_ref().and_then(|id| ledger.records.get(id.as_str()));
    let Some(record) = record.filter(|_| gone.side == Side::Local) else { return false };
    let back = ledger.changes.iter().find(|change| change.entity == record.entity);
    back.is_some_and(|change| change.at.saturating_add(SETTLED) < gone.at)
}

/// Whether a record was part of another when something happened. What was made part of one that is gone is gone with it, though that may
/// be taken back out of the bin later.
fn is_merged(id: &str, seq: u64, ledger: &Ledger) -> bool {
    let mut id = id;
    for _ in 0..ledger.merged.len() {
        let Some(master) = ledger.merged.get(id) else { return false };
        if lived(master, seq, ledger) {
            return true;
        }
        id = master;
    }
    false
}

/// Whether a record was there when something happened.
fn lived(id: &str, seq: u64, ledger: &Ledger) -> bool {
    let before = |thing: &Thing| thing.born_seq < seq;
    let mut ends = ledger.gone.iter().filter(|gone| gone.side == Side::Remote && gone.id == id);
    ledger.records.get(id).is_some_and(before) || ends.any(|gone| gone.seq > seq && before(&gone.thing))
}

/// Whether a record referred to another right before a moment: what its row was made to refer to may never have been sent.
fn referred(id: &str, to: &str, at: u64, ledger: &Ledger) -> bool {
    let of = |change: &&Change| change.side == Side::Remote && change.id == id && change.field == LAST;
    let last = ledger.changes.iter().rev().filter(of).find(|change| change.at < at);
    last.is_some_and(|change| change.after.as_deref() == Some(to))
}

/// Whether a row of a link whose record was deleted was there again long before, for everybody to see.
fn is_back(kind: &Kind, entity: u64, link: &Link, gone: &Gone, ledger: &Ledger) -> bool {
    let Some(row) = ledger.row(entity).filter(|_| gone.side == Side::Remote) else { return false };
    if let Some(last) = ledger.archive.last(entity, gone.seq) {
        // It is the same row, whatever was made of it in between.
        return !last.archived && last.gone.at.saturating_add(SETTLED) < gone.at;
    }
    let born = ledger.changes.iter().find(|change| change.entity == entity).map_or(u64::MAX, |c| c.at);
    // Whose email was changed in between is another person, for all that anybody can tell.
    let base = link
        .body
        .base
        .get(kind.labels[MATCH])
        .and_then(|base| base.local.as_ref())
        .map(|email| email.to_text());
    let emails =
        [&row.cells[MATCH], &base].map(|email| email.as_ref().map(|email| email.trim().to_lowercase()));
    kind.is_matched && born.saturating_add(SETTLED) < gone.at && emails[0].is_some() && emails[0] == emails[1]
}
