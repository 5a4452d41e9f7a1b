//! Convergence (invariant 1): every row, record and link is in step, or shows why not; and what it shows is true.

use super::{Snapshot, goes_back_and_forth};
use crate::kinds::{LAST, MATCH, Place};
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::sim::Sim;
use bothways_mapping::Field;
use bothways_model::{LocalId, LocalRow, Value};
use bothways_store::{BrakeKind, HistoryOp, Link, LinkState, ParkReason, Subject, Work};
use std::collections::{BTreeMap, BTreeSet};

/// What is said of a write to an invoice that is finalized.
const ONLY_DRAFTS: &str = "only while @.status == 'draft'";

/// What a delete says that is carried out in a few seconds, whoever is asked (rule 56).
const RIPENS: &str = "a delete waits for others like it";

/// What is said of work that waits for nothing.
pub(crate) const RELEASED: &str = ", which has a link, or is not what it refers to";

/// What is not in step and does not show why. Empty when the two sides have converged.
pub(crate) fn unsettled(snapshot: &Snapshot, sim: &Sim) -> Vec<String> {
    let mut findings = Vec::new();
    let judge = Judge { snapshot, sim, plan: &sim.plan, ledger: &sim.ledger(snapshot.place.kind) };
    let counts = &snapshot.counts;
    let waiting = snapshot.waiting.iter().filter(|work| snapshot.is_wait_true(work)).count() as u64;
    let after = snapshot.live_links().filter(|link| snapshot.is_after_children(link)).map(|link| link.id);
    let after: BTreeSet<_> = after.collect();
    let held = snapshot.after_children.iter().filter(|(link, _)| after.contains(link));
    let waiting = waiting + held.map(|(_, work)| work).collect::<BTreeSet<_>>().len() as u64;
    if waiting > 0 {
        sim.count("waited_for_a_link");
    }
    if counts.pending > snapshot.held_work + waiting {
        findings.push(format!(
            "{} work rows of {} are pending ({} held, {waiting} wait for others)",
            counts.pending, snapshot.place.mapping, counts.held
        ));
    }
    for work in snapshot.waiting.iter().filter(|work| !snapshot.is_wait_true(work)) {
        let (subject, held) = (&work.subject, work.held.as_deref().unwrap_or_default());
        findings.push(match &work.awaits {
            Some(awaited) => format!("{subject:?} waits for {awaited:?}{RELEASED}"),
            // No link tells of that; it is looked at again.
            None => format!("{subject:?} says what is not so any more: {held}"),
        });
    }
    if counts.intents > 0
        && !snapshot
            .parked
            .iter()
            .filter_map(|work| judge.reason(work))
            .any(|reason| reason == ParkReason::Uncertain)
    {
        findings.push(format!("{} intents are open", counts.intents));
    }
    let stopped = is_stopped(snapshot);
    for work in &snapshot.parked {
        if work.due.is_some() && work.held.as_deref().is_none_or(|held| held == RIPENS) {
            findings.push(format!("parked work about {:?} is due", work.subject));
        }
        let about_a_group = matches!(work.subject, Subject::Group(_));
        findings.extend(judge.untrue(work).filter(|_| !(stopped && about_a_group)));
    }
    for link in snapshot.live_links() {
        // It stops before it could tell that a record is gone too only where no record is listed.
        let excused = stopped && judge.is_half(link) && (snapshot.records.is_empty() || !judge.is_over(link));
        findings.extend(judge.link(link).filter(|_| !excused));
    }
    if !stopped {
        findings.extend(judge.counterparts());
        findings.extend(judge.idle_holds());
    }
    findings.extend(judge.cold_links());
    for id in snapshot.rows.keys().filter(|_| !stopped) {
        if !snapshot.live_links().any(|link| link.local_id.as_ref().is_some_and(|local| local.0 == *id)) {
            findings.extend(judge.lone_row(id));
        }
    }
    for id in snapshot.records.keys().filter(|_| !stopped) {
        if !snapshot.live_links().any(|link| link.remote_id.as_ref().is_some_and(|remote| remote.0 == *id)) {
            findings.extend(judge.lone_record(id));
        }
    }
    findings
}

/// Records that are not as their links last saw them although nothing is to be done about them: what a feed told of was passed over.
pub(crate) fn passed_over(snapshot: &Snapshot, sim: &Sim) -> Vec<String> {
    let judge = Judge { snapshot, sim, plan: &sim.plan, ledger: &sim.ledger(snapshot.place.kind) };
    snapshot.live_links().filter_map(|link| judge.passed_over(link)).collect()
}

/// Whether a side lists nothing although there are links: that stops every full pass, and `status` says so (rule 59).
fn is_stopped(snapshot: &Snapshot) -> bool {
    snapshot.lists_nothing() && snapshot.live_links().next().is_some()
}

/// How many rows and records have no link, or lost their other side, because full passes are stopped. A feed may still bring that.
pub(crate) fn left_by_a_stop(snapshot: &Snapshot) -> u64 {
    if !is_stopped(snapshot) {
        return 0;
    }
    let rows: BTreeSet<&str> =
        snapshot.live_links().filter_map(|l| Some(l.local_id.as_ref()?.as_str())).collect();
    let records: BTreeSet<&str> =
        snapshot.live_links().filter_map(|l| Some(l.remote_id.as_ref()?.as_str())).collect();
    let rows = snapshot.rows.keys().filter(|id| !rows.contains(id.as_str())).count();
    let records = snapshot.records.keys().filter(|id| !records.contains(id.as_str())).count();
    let lost_one = |link: &&Link| {
        let (row, record) = snapshot.sides(link);
        row != record
    };
    (rows + records + snapshot.live_links().filter(lost_one).count()) as u64
}

/// Whether the service only does not find what is gone, or may have been made to forget it.
pub(super) fn is_hard_to_prove(place: &Place, plan: &Plan) -> bool {
    !place.shows_deleted() || plan.admins
}

pub(super) struct Judge<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) sim: &'s Sim,
    pub(super) plan: &'s Plan,
    pub(super) ledger: &'s Ledger,
}

impl Judge<'_> {
    fn reason(&self, work: &Work) -> Option<ParkReason> {
        work.parked.as_ref().map(|parked| parked.reason)
    }

    pub(super) fn parked_about(&self, link: &Link) -> Option<&Work> {
        // What is told of an id that another row has by now is about that one (rule 30); of the link it is told by its record.
        let is_anothers = |id: &LocalId| {
            let entity = self.ledger.rows.get(id.as_str()).map(|thing| thing.entity);
            entity.is_some_and(|entity| !self.ledger.rows_of(link.id).contains(&entity))
        };
        let former = link.body.former_local.as_ref().filter(|id| !is_anothers(id));
        self.snapshot.parked.iter().find(|work| match &work.subject {
            Subject::Local(id) => link.local_id.as_ref() == Some(id) || former == Some(id),
            Subject::Remote(id) => link.remote_id.as_ref() == Some(id),
            Subject::Group(_) => false,
        })
    }

    /// Whether a side of the link is not there.
    pub(super) fn is_half(&self, link: &Link) -> bool {
        let (row, record) = self.snapshot.sides(link);
        !(row && record)
    }

    /// Whether neither side of the link is there.
    fn is_over(&self, link: &Link) -> bool {
        let (row, record) = self.snapshot.sides(link);
        !(row || record)
    }

    /// Whether a brake withholds the delete of one of the link's sides.
    fn is_held(&self, link: &Link) -> bool {
        self.snapshot.is_withheld(link.id, BrakeKind::Deletes)
    }

    /// Whether a person is asked whether a record is gone that the service only does not find: for that, and not for a delete.
    fn is_unproven(&self, link: &Link) -> bool {
        let parked = self.parked_about(link).and_then(|work| work.parked.as_ref());
        let asked = parked.is_some_and(|parked| {
            parked.reason == ParkReason::Delete && parked.digest.starts_with("absence-")
        });
        asked && is_hard_to_prove(self.snapshot.place, self.plan)
    }

    fn link(&self, link: &Link) -> Option<String> {
        let row = link.local_id.as_ref().and_then(|id| self.snapshot.rows.get(&id.0));
        let record = link.remote_id.as_ref().and_then(|id| self.snapshot.records.get(&id.0));
        let parked = self.parked_about(link);
        let named = || {
            let local = link.local_id.as_ref().map_or("none", |id| id.as_str());
            let remote = link.remote_id.as_ref().map_or("none", |id| id.as_str());
            format!("link {} (row {local}, record {remote}, {})", link.id, link.state.as_str())
        };
        match (link.state, row, record) {
            // The row's id is another person's, and the delete of the one before is held back.
            (LinkState::Linked, Some(row), Some(_)) if self.is_held(link) && self.is_anothers(link, row) => {
                None
            }
            (LinkState::Linked, Some(_), Some(_)) => {
                self.fields(link).map(|why| format!("{}: {why}", named()))
            }
            // Its create waits.
            (LinkState::Linked, Some(_), None) if link.remote_id.is_none() && self.waits(link) => None,
            // Where deleted records are only not found, a person may have to say that it is gone (rule 31).
            (LinkState::Linked, None, None) if self.is_unproven(link) => None,
            // Nothing is left to wait for; a full pass tells where no event did.
            (LinkState::Linked, None, None) => Some(format!("{}: both sides are gone", named())),
            // Beside a delete that waits for a person, or for other deletes that do.
            (LinkState::Linked, _, _) if parked.is_some() || self.is_held(link) => None,
            (LinkState::Linked, ..) if self.snapshot.is_after_children(link) => None,
            // The policy leaves its record alone, and it may be taken back out (`from_local: ignore`).
            (LinkState::Linked, None, Some(_))
                if self.plan.from_local == "ignore" && self.is_archived(link) =>
            {
                None
            }
            (LinkState::Linked, _, _) => Some(format!("{}: a side is gone and nothing says so", named())),
            (LinkState::Detached, None, None) if self.is_archived(link) => {
                Some(format!("{}: its row is archived", named()))
            }
            // Where there is no person to have seen that and left it alone, it waits for one (rule 34).
            (LinkState::Detached, Some(_), None)
                if parked.is_none() && !self.plan.operators && self.has_edits(link) =>
            {
                Some(format!("{}: its row was edited, and nobody is asked", named()))
            }
            (LinkState::Detached, _, None) => None,
            // A person attaches it again (rule 34).
            (LinkState::Detached, _, Some(_)) if self.is_restored(link) => None,
            (LinkState::Detached, _, Some(_)) => Some(format!("{}: its record is there", named())),
            (LinkState::Missing, ..) => Some(format!("{}: every delete was captured", named())),
            (LinkState::Waiting, ..) => Some(format!("{}: there is nothing to wait for", named())),
            (LinkState::Unlinked | LinkState::Tombstone, ..) => None,
        }
    }

    /// Whether a row is not the one that the link was made for.
    pub(super) fn is_anothers(&self, link: &Link, row: &LocalRow) -> bool {
        let entity = self.ledger.rows.get(row.id.as_str()).map(|thing| thing.entity);
        entity.is_some_and(|entity| !self.ledger.rows_of(link.id).contains(&entity))
    }

    /// Whether some field of a link is not the same on both sides.
    pub(super) fn differs(&self, link: &Link) -> bool {
        let row = link.local_id.as_ref().and_then(|id| self.snapshot.rows.get(id.as_str()));
        let record = link.remote_id.as_ref().and_then(|id| self.snapshot.records.get(id.as_str()));
        let (Some(row), Some(record)) = (row, record) else { return true };
        let reading = self.snapshot.mapping.read_remote(record);
        self.snapshot.mapping.fields.iter().any(|field| {
            let local = row.fields.get(field.local_name()).cloned().unwrap_or(Value::Null);
            let remote = reading.record.get(&field.label).cloned().unwrap_or(Value::Null);
            !self.same(field, &local, &remote)
        })
    }

    /// Whether two values of a field are the same: references, if what they mean belongs together.
    fn same(&self, field: &Field, local: &Value, remote: &Value) -> bool {
        if field.reference.is_none() || local.is_null() || remote.is_null() {
            return field.same(local, remote);
        }
        self.snapshot.is_same_parent(self.sim, &local.to_text(), &remote.to_text())
    }

    /// Whether work about the link waits for what its record refers to.
    fn waits(&self, link: &Link) -> bool {
        let (local, remote) = (link.local_id.as_ref(), link.remote_id.as_ref());
        self.snapshot.waits(local.map(|id| id.as_str()), remote.map(|id| id.as_str()))
    }

    /// Whether a link's record was taken back out of the recycle bin.
    fn is_restored(&self, link: &Link) -> bool {
        link.remote_id.as_ref().is_some_and(|id| self.ledger.restored.contains(id.as_str()))
    }

    /// Whether work is parked because its record may not be changed at the service any more.
    fn is_final(&self, work: &Work) -> bool {
        let about = |link: &&Link| match &work.subject {
            Subject::Local(id) => {
                link.local_id.as_ref() == Some(id) || link.body.former_local.as_ref() == Some(id)
            }
            Subject::Remote(id) => link.remote_id.as_ref() == Some(id),
            Subject::Group(_) => false,
        };
        // A row's id may be another's by now, which has a link of its own.
        let links = self.snapshot.live_links().filter(about);
        let mut records =
            links.filter_map(|link| self.snapshot.records.get(link.remote_id.as_ref()?.as_str()));
        let says = work.parked.as_ref().is_some_and(|parked| parked.message.contains(ONLY_DRAFTS));
        says && records.any(|record| self.snapshot.place.is_final(record))
    }

    /// Whether a link's reference says why it is not the same on both sides: it waits, or it may not be changed.
    fn is_explained(&self, link: &Link, field: &Field) -> bool {
        let waits = self.waits(link);
        let parked = self.parked_about(link);
        // Its link is held up, as that of any record which cannot be written.
        if parked.is_some_and(|work| self.is_final(work)) {
            self.sim.count("final_invoice_refused");
            return true;
        }
        let refused = parked.is_some_and(|work| self.reason(work) == Some(ParkReason::Refused));
        // Work that a brake holds back says so, and not that it would wait or be refused as well.
        let braked =
            self.snapshot.is_braked(link.id) && (field.immutable || self.snapshot.lacks_parent(link));
        field.reference.is_some() && (waits || braked || (field.immutable && refused))
    }

    /// The first field of a link that is not in step and does not show why.
    fn fields(&self, link: &Link) -> Option<String> {
        let row = self.snapshot.rows.get(link.local_id.as_ref()?.as_str())?;
        let record = self.snapshot.records.get(link.remote_id.as_ref()?.as_str())?;
        let reading = self.snapshot.mapping.read_remote(record);
        for field in &self.snapshot.mapping.fields {
            let local = row.fields.get(field.local_name()).cloned().unwrap_or(Value::Null);
            let remote = reading.record.get(&field.label).cloned().unwrap_or(Value::Null);
            if self.same(field, &local, &remote) || self.is_explained(link, field) {
                continue;
            }
            let held = self.snapshot.is_blanking_withheld(link.id, &field.label)
                || self.snapshot.is_withheld(link.id, BrakeKind::Updates);
            if held {
                continue;
            }
            let conflict = link.body.conflicts.get(&field.label);
            // A conflict shows a reference as the row would hold it; what has no row, as the record that it is.
            let shown = |seen: &Value| match seen {
                Value::Json(stranger) => stranger["record"].as_str() == Some(&remote.to_text()),
                seen => *seen == remote || (field.reference.is_some() && self.same(field, seen, &remote)),
            };
            if conflict.is_some_and(|c| {
                c.local.as_ref() == Some(&local)
                    && shown(c.remote.as_ref().unwrap_or(&Value::Null))
                    && c.choice.is_none()
            }) {
                // The later of two changes is not known where nothing is known of either (rule 18).
                let at_first = conflict.is_some_and(|conflict| conflict.first_contact);
                if self.plan.winner == "manual" || (self.plan.winner == "newest" && at_first) {
                    continue;
                }
                return Some(format!(
                    "`{}` is in conflict although `{}` wins",
                    field.label, self.plan.winner
                ));
            }
            let base = link.body.base.get(&field.label);
            let is_base = base.is_some_and(|b| {
                b.local.as_ref().is_some_and(|b| field.same(b, &local))
                    && b.remote.as_ref().is_some_and(|b| field.same(b, &remote))
            });
            let one_way = field.direction != bothways_mapping::Direction::Both;
            if is_base && (one_way || self.was_altered(link, &field.label)) {
                continue;
            }
            if self.parked_about(link).is_some_and(|work| goes_back_and_forth(work, &field.label)) {
                continue;
            }
            return Some(format!(
                "`{}` is {local:?} here and {remote:?} there, bases {base:?}, conflict {conflict:?}",
                field.label
            ));
        }
        None
    }

    /// The first field of a link's record that is another than it was when somebody last looked.
    fn passed_over(&self, link: &Link) -> Option<String> {
        let why = self.fields(link)?;
        let record = self.snapshot.records.get(link.remote_id.as_ref()?.as_str())?;
        let reading = self.snapshot.mapping.read_remote(record);
        let moved = self.snapshot.mapping.fields.iter().any(|field| {
            let remote = reading.record.get(&field.label).unwrap_or(&Value::Null);
            let base = link.body.base.get(&field.label).and_then(|base| base.remote.as_ref());
            field.direction != bothways_mapping::Direction::Out
                && base.is_some_and(|base| !field.same(base, remote))
        });
        // A field that was hidden from whoever looked is seen by passes alone.
        let hidden = link.remote_id.as_ref().is_some_and(|id| self.ledger.is_half_seen(id.as_str()));
        (moved && !hidden && self.parked_about(link).is_none()).then(|| format!("link {}: {why}", link.id))
    }

    /// Whether history shows that the service stored something else than was sent (rule 15).
    fn was_altered(&self, link: &Link, label: &str) -> bool {
        self.snapshot.history.iter().any(|h| {
            h.entry.link == Some(link.id)
                && h.entry.op == HistoryOp::Altered
                && h.entry.fields.contains_key(label)
        })
    }

    /// Whether a person has to choose among the rows and records with this match value: more than one on a side, or one that a link
    /// answers for already.
    fn are_rivals(&self, email: &str) -> bool {
        let (kind, place) = (self.snapshot.place.kind, self.snapshot.place);
        let same = |cell: &Option<String>| cell.as_ref().is_some_and(|e| e.trim().to_lowercase() == email);
        let rows: Vec<&String> = self
            .snapshot
            .rows
            .iter()
            .filter(|(_, row)| same(&kind.cells(row)[MATCH]))
            .map(|(id, _)| id)
            .collect();
        let records = self.snapshot.records.iter();
        let records: Vec<&String> =
            records.filter(|(_, record)| same(&place.cells(record)[MATCH])).map(|(id, _)| id).collect();
        let linked = self.snapshot.links.iter().any(|link| {
            link.local_id.as_ref().is_some_and(|id| rows.contains(&&id.0))
                || link.remote_id.as_ref().is_some_and(|id| records.contains(&&id.0))
        });
        // A link that lost a side waits for a person and stands for what its sides last held.
        let waiting = self.snapshot.live_links().any(|link| {
            let base = link
                .body
                .base
                .get(kind.labels[MATCH])
                .into_iter()
                .flat_map(|base| [&base.local, &base.remote]);
            self.is_half(link) && base.flatten().any(|value| same(&Some(value.to_text())))
        });
        match (rows.len(), records.len()) {
            _ if waiting => true,
            (1, 1) => linked,
            (rows, records) => rows + records > 1,
        }
    }

    /// Rows and records without a link of which one on each side has the same match value: they are the same, whatever the mapping says
    /// about creating them.
    fn counterparts(&self) -> Vec<String> {
        let (kind, place) = (self.snapshot.place.kind, self.snapshot.place);
        let mut groups: BTreeMap<String, [Vec<(&str, bool)>; 2]> = BTreeMap::new();
        let rows = self.snapshot.rows.iter().map(|(id, row)| {
            let linked = |link: &Link| link.local_id.as_ref().is_some_and(|local| local.0 == *id);
            (0, id, kind.cells(row), self.snapshot.links.iter().any(linked))
        });
        let records = self.snapshot.records.iter().map(|(id, record)| {
            let linked = |link: &Link| link.remote_id.as_ref().is_some_and(|remote| remote.0 == *id);
            (1, id, place.cells(record), self.snapshot.links.iter().any(linked))
        });
        for (side, id, cells, linked) in rows.chain(records) {
            let email = kind.matched(&cells).unwrap_or_default();
            if !email.is_empty() {
                groups.entry(email).or_default()[side].push((id, linked));
            }
        }
        let same =
            |(email, sides): (&String, &[Vec<(&str, bool)>; 2])| match sides.each_ref().map(Vec::as_slice) {
                [[(row, false)], [(record, false)]] if !self.group_is_parked(Some(email)) => {
                    Some(format!("row {row} and record {record} are the same ({email}) and have no link"))
                }
                _ => None,
            };
        groups.iter().filter_map(same).collect()
    }

    fn group_is_parked(&self, email: Option<&String>) -> bool {
        let Some(email) = email.filter(|_| self.snapshot.place.kind.is_matched) else { return false };
        let email = email.trim().to_lowercase();
        self.snapshot
            .parked
            .iter()
            .any(|work| matches!(&work.subject, Subject::Group(value) if value.contains(&email)))
    }

    fn lone_row(&self, id: &str) -> Option<String> {
        let row = self.snapshot.rows.get(id)?;
        let email = self.snapshot.place.kind.cells(row)[MATCH].clone();
        let parked =
            self.snapshot.parked.iter().any(|w| matches!(&w.subject, Subject::Local(local) if local.0 == id));
        let entity = self.ledger.rows.get(id).map(|thing| thing.entity);
        let closed = self.snapshot.links.iter().any(|link| {
            !link.state.is_live()
                && link.local_id.as_ref().is_some_and(|local| local.0 == id)
                && entity.is_some_and(|entity| self.ledger.rows_of(link.id).contains(&entity))
        });
        let held = self.snapshot.is_create_withheld(id) || self.snapshot.waits(Some(id), None);
        if parked
            || closed
            || held
            || self.group_is_parked(email.as_ref())
            || self.plan.create_record == "ignore"
        {
            return None;
        }
        Some(format!("row {id} (entity {entity:?}, email {email:?}) has no link and nothing says why"))
    }

    fn lone_record(&self, id: &str) -> Option<String> {
        let record = self.snapshot.records.get(id)?;
        let email = self.snapshot.place.cells(record)[MATCH].clone();
        let parked = self
            .snapshot
            .parked
            .iter()
            .any(|w| matches!(&w.subject, Subject::Remote(remote) if remote.0 == id));
        let closed = self.snapshot.links.iter().any(|link| {
            !link.state.is_live() && link.remote_id.as_ref().is_some_and(|remote| remote.0 == id)
        });
        let waits = self.snapshot.waits(None, Some(id));
        if parked
            || closed
            || waits
            || self.group_is_parked(email.as_ref())
            || self.plan.create_row == "ignore"
        {
            return None;
        }
        Some(format!("record {id} (email {email:?}) has no link and nothing says why"))
    }

    /// Whether a record refers to something else than its other side, though it may not be changed.
    fn has_moved(&self, subject: &Subject) -> bool {
        let about = |link: &&Link| match subject {
            Subject::Local(id) => link.local_id.as_ref() == Some(id),
            Subject::Remote(id) => link.remote_id.as_ref() == Some(id),
            Subject::Group(_) => false,
        };
        let place = self.snapshot.place;
        self.snapshot.live_links().find(about).is_some_and(|link| {
            let row = link.local_id.as_ref().and_then(|id| self.snapshot.rows.get(id.as_str()));
            let record = link.remote_id.as_ref().and_then(|id| self.snapshot.records.get(id.as_str()));
            let cells = row.map(|row| place.kind.cells(row)[LAST].clone()).unwrap_or_default();
            let other = record.map(|record| place.cells(record)[LAST].clone()).unwrap_or_default();
            cells
                .zip(other)
                .is_some_and(|(row, record)| !self.snapshot.is_same_parent(self.sim, &row, &record))
        })
    }

    /// Whether a row refers to one whose record is gone from the service, and the other side of that is still there.
    fn refers_to_nothing(&self, subject: &Subject) -> bool {
        let Subject::Local(id) = subject else { return false };
        let row = self.snapshot.rows.get(id.as_str());
        let Some(parent) = row.and_then(|row| self.snapshot.place.kind.cells(row)[LAST].clone()) else {
            return false;
        };
        let mut links = self.snapshot.parents.iter().filter(|link| {
            link.state.is_live() && link.local_id.as_ref().is_some_and(|id| id.as_str() == parent)
        });
        let Some(kind) = self.snapshot.place.kind.parent else { return false };
        let ledger = self.sim.ledger(kind);
        links.any(|link| link.remote_id.as_ref().is_some_and(|id| !ledger.records.contains_key(id.as_str())))
    }

    /// Parked work whose reason is not true.
    fn untrue(&self, work: &Work) -> Option<String> {
        let parked = work.parked.as_ref()?;
        let say = |what: &str| {
            Some(format!(
                "{:?} is parked as {}: {what} ({})",
                work.subject,
                parked.reason.as_str(),
                parked.message
            ))
        };
        match (parked.reason, &work.subject) {
            (ParkReason::Ambiguous, Subject::Group(value)) => {
                let rivals = self.are_rivals(value.trim_matches(['"', '[', ']']));
                (!rivals).then(|| say("nobody has to choose")).flatten()
            }
            (ParkReason::Delete, _) => {
                let manual = self.plan.from_local == "manual" || self.plan.from_remote == "manual";
                let unproven = is_hard_to_prove(self.snapshot.place, self.plan);
                (!manual && !self.plan.update_wins && !unproven && !self.stayed(work))
                    .then(|| say("no policy leaves a delete to a person"))
                    .flatten()
            }
            (ParkReason::Create, Subject::Local(_)) if self.plan.create_record == "manual" => None,
            (ParkReason::Create, Subject::Remote(_)) if self.plan.create_row == "manual" => None,
            (ParkReason::Flapping, _) => None,
            (ParkReason::Error, subject) if self.refers_to_nothing(subject) => None,
            (ParkReason::Merged | ParkReason::Duplicate, _) if !self.ledger.merged.is_empty() => None,
            (ParkReason::Error, _) if self.is_final(work) => None,
            (ParkReason::Refused, _) if self.snapshot.place.kind.stays && self.has_moved(&work.subject) => {
                None
            }
            _ => say("there is no such trouble"),
        }
    }
}
