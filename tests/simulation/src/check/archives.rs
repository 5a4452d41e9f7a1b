//! Rows that are archived (rules 6, 32 to 34): what an engine archived, its record was deleted before, and the policy says so; nothing
//! but a user takes a row back out; and what was taken out is linked as before, or shown to a person.

use super::Snapshot;
use super::converged::Judge;
use super::deletes::{has_proof, is_of};
use crate::executor::WORLD;
use crate::ledger::{Gone, Who};
use crate::sim::Sim;
use bothways_model::Value;
use bothways_store::{Link, LinkState, Side, Subject, Work};

/// What engines archived without a reason, or took back out.
pub(crate) fn archives(snapshot: &Snapshot, all: &[Snapshot], sim: &Sim) -> Vec<String> {
    let (place, plan, ledger) = (snapshot.place, &sim.plan, &*sim.ledger(snapshot.place.kind));
    let mut findings = Vec::new();
    for made in ledger.archive.moves().filter(|made| made.gone.who.is_engine()) {
        let gone = &made.gone;
        if !made.archived {
            findings.push(format!("row {} was taken out of the archive by an engine", gone.id));
            continue;
        }
        // It may have gone with its record at any service that keeps it.
        let links = all.iter().filter(|other| other.place.kind.is(place.kind)).flat_map(|other| &other.links);
        let links: Vec<&Link> = links.filter(|link| is_of(link, gone, ledger)).collect();
        if !links.iter().any(|link| has_proof(place.kind, link, gone, ledger, sim)) {
            findings.push(format!(
                "row {} was archived by an engine without a delete on the other side",
                gone.id
            ));
        }
        // Whatever the policy leaves to a person ends here when that person says so, where there is an archive.
        if plan.from_remote != "archive" && !plan.operators {
            findings
                .push(format!("row {} was archived although the policy is `{}`", gone.id, plan.from_remote));
        }
    }
    findings
}

/// Rows that were taken out of the archive, of which their closed links know nothing although nothing is left to be done. Triggers
/// tell of every row: no pass has to find it (rule 36).
pub(crate) fn left_in_the_cold(snapshot: &Snapshot, sim: &Sim) -> Vec<String> {
    let judge = Judge { snapshot, sim, plan: &sim.plan, ledger: &sim.ledger(snapshot.place.kind) };
    let is_done = snapshot.is_relayed && snapshot.counts.pending == 0;
    if is_done { judge.cold_links() } else { Vec::new() }
}

/// Counts what became of rows that were archived, for a run that is to have seen all of it.
pub(crate) fn note_archives(snapshot: &Snapshot, sim: &Sim) {
    let ledger = sim.ledger(snapshot.place.kind);
    let by_engines = ledger.archive.archived().filter(|gone| gone.who.is_engine()).count();
    let out = |link: &&Link| {
        let mut rows = ledger.rows_of(link.id).into_iter();
        rows.any(|row| ledger.archive.last(row, u64::MAX).is_some_and(|made| !made.archived))
    };
    let live = || snapshot.live_links().filter(out);
    let mut trace = sim.trace();
    trace.counters.add("archived_by_engine", by_engines as u64);
    let alone = live().filter(|link| link.state == LinkState::Detached).count();
    trace.counters.add("taken_out_without_record", alone as u64);
    let again = live().filter(|link| link.state == LinkState::Linked).count();
    trace.counters.add("linked_again", again as u64);
}

impl Judge<'_> {
    /// Whether the row of a link is archived.
    pub(super) fn is_archived(&self, link: &Link) -> bool {
        link.local_id.as_ref().is_some_and(|id| self.snapshot.archived.contains_key(id.as_str()))
    }

    /// Whether only a person can decide about what work says of a row that goes on without its record: it was taken back out of the
    /// archive, was edited though the policy gives the record up (rule 34), or was back before a delete of its record landed (rule 24).
    pub(super) fn stayed(&self, work: &Work) -> bool {
        let about = |link: &&Link| match &work.subject {
            Subject::Local(id) => link.local_id.as_ref() == Some(id),
            Subject::Remote(id) => link.remote_id.as_ref() == Some(id),
            Subject::Group(_) => false,
        };
        let mut detached = self.snapshot.live_links().filter(|link| link.state == LinkState::Detached);
        let given_up = self.plan.from_remote == "ignore";
        let stays = |link: &Link| {
            self.plan.archives > 0 || self.went_late(link) || (given_up && self.was_edited_alone(link))
        };
        detached.any(|link| about(&link) && stays(link))
    }

    /// Whether a link's record went by a delete that was held up on its way.
    fn went_late(&self, link: &Link) -> bool {
        let is_its = |gone: &&Gone| {
            gone.side == Side::Remote && link.remote_id.as_ref().is_some_and(|id| id.as_str() == gone.id)
        };
        let last = self.ledger.gone.iter().rev().find(is_its);
        last.is_some_and(|gone| gone.who == Who::Engine(WORLD))
    }

    /// Whether a row holds what both sides never agreed on.
    pub(super) fn has_edits(&self, link: &Link) -> bool {
        let row = link.local_id.as_ref().and_then(|id| self.snapshot.rows.get(id.as_str()));
        row.is_some_and(|row| {
            self.snapshot.mapping.fields.iter().any(|field| {
                let local = row.fields.get(field.local_name()).unwrap_or(&Value::Null);
                let base = link.body.base.get(&field.label);
                // What one side was never agreed on, the other side's says, but for a reference, which has another form there.
                let other = base.and_then(|base| base.remote.as_ref()).filter(|_| field.reference.is_none());
                let base = base.and_then(|base| base.local.as_ref()).or(other);
                base.is_none_or(|base| !field.same(base, local))
            })
        })
    }

    /// The same, or whether somebody has written to the row since its record was gone, and may have taken that back.
    fn was_edited_alone(&self, link: &Link) -> bool {
        let lost = self.ledger.gone.iter().rev().find(|gone| {
            gone.side == Side::Remote && link.remote_id.as_ref().is_some_and(|id| id.as_str() == gone.id)
        });
        let row = link.local_id.as_ref().and_then(|id| self.ledger.rows.get(id.as_str()));
        let since = lost.zip(row).is_some_and(|(lost, row)| {
            let changes = self.ledger.changes.iter().rev().take_while(|change| change.seq > lost.seq);
            changes.into_iter().any(|change| change.side == Side::Local && change.entity == row.entity)
        });
        since || self.has_edits(link)
    }

    /// Closed links of rows that are not archived any more: where archiving them is what closed the link, it is one again, or the row
    /// is shown as detached (rule 34).
    pub(super) fn cold_links(&self) -> Vec<String> {
        let by_archive = |link: &&Link| match link.state {
            LinkState::Tombstone => link.body.merged_into.is_none(),
            LinkState::Unlinked => link.body.archived,
            _ => false,
        };
        let is_out = |link: &&Link| {
            let row = link.local_id.as_ref().and_then(|id| self.snapshot.rows.get(id.as_str()));
            row.is_some_and(|row| !self.is_anothers(link, row))
        };
        let is_alone = |link: &&Link| {
            !self.snapshot.live_links().any(|other| other.local_id == link.local_id)
                && self.parked_about(link).is_none()
        };
        let cold = self.snapshot.links.iter().filter(by_archive).filter(is_out).filter(is_alone);
        let named = |link: &Link| {
            let row = link.local_id.as_ref().map_or("none", |id| id.as_str());
            format!("link {} is {}, and its row {row} is not archived any more", link.id, link.state.as_str())
        };
        cold.map(named).collect()
    }
}
