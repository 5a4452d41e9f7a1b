//! What a look does when a brake says no: the work is held (it keeps its facts, is not parked and has not failed), what is withheld
//! stays out of it, and everything else flows.

use super::charges::Braked;
use super::table::RELOOK;
use crate::apply::{Scene, settle};
use crate::look::{Ended, Look};
use bothways_model::planted::{self, Bug};
use bothways_model::{LocalId, Timestamp};
use bothways_store::{
    BrakeKind, BrakeName, Charge, ChargeKey, Judged, Settlement, Side, Subject, Unit, WorkWrite,
};
use chrono::TimeDelta;
use std::collections::BTreeSet;

/// What brakes have said in a look so far.
#[derive(Default)]
pub(crate) struct Holds {
    /// Brakes that withhold something of this link, or that it passed.
    keeps: Vec<BrakeName>,
    /// When to look again, and why in words.
    until: Option<(Timestamp, String)>,
    /// Labels of fields that stay as they are.
    fields: BTreeSet<String>,
    /// The row part's scene, to make it again without a field.
    pub(crate) scene: Option<Scene>,
}

impl Holds {
    /// Labels of fields that stay as they are.
    pub(crate) fn fields(&self) -> &BTreeSet<String> {
        &self.fields
    }

    /// Whether anything is held.
    pub(crate) fn any(&self) -> bool {
        self.until.is_some()
    }
}

impl Look {
    /// What this look's charges have in common.
    pub(crate) fn braked(&self) -> Braked<'_> {
        // One signal by somebody else is enough: the change is theirs.
        let of_pass = |work: &bothways_store::Work| work.pass;
        let alone = self.taken.work.iter().all(|work| work.pass.is_some());
        let pass = self.taken.work.iter().find_map(of_pass).filter(|_| alone);
        Braked { pair: self.pair.id, mapping: &self.pair.mapping, now: self.now, pass }
    }

    /// The charge of a delete on `side`.
    pub(crate) fn delete_charge(&self, link: bothways_model::LinkId, side: Side) -> Charge {
        let captured = self.deleted().filter(|_| side == Side::Remote);
        let known = captured.map_or(self.now, |bothways_store::Fact::Deleted { at, .. }| *at);
        let wait = TimeDelta::from_std(self.engine.settings.delete_delay).unwrap_or(TimeDelta::seconds(5));
        let wait = if planted::is(Bug::DeleteWithoutWaiting) { TimeDelta::zero() } else { wait };
        self.braked().delete(link, side, known, wait)
    }

    /// The charge of a create. What was known by the end of the pair's first walk is its first import's, and counts against the plan
    /// that was seen of that; nothing is charged if none was.
    pub(crate) async fn create_charge(&self, row: &LocalId) -> Result<Option<Charge>, Ended> {
        if self.order.is_some() {
            // A saved plan names each of its creates.
            return Ok(None);
        }
        let since = self.taken.work.iter().map(|work| work.since).min();
        let walked = self.pair.stored().walked_at;
        let (Some(since), Some(walked)) = (since, walked) else { return Ok(self.braked().create(row)) };
        if since > walked {
            return Ok(self.braked().create(row));
        }
        let named = self.engine.named(self.pair.id).await.map_err(|error| self.store_trouble(&error))?;
        Ok(named.map(|named| self.braked().first_create(row, named.creates, walked)))
    }

    /// Remembers what was said to a unit's charges.
    pub(crate) fn note_holds(&mut self, charges: &[Charge], judged: &[Judged]) {
        for (charge, judged) in charges.iter().zip(judged) {
            if !self.holds.keeps.contains(&charge.brake) {
                self.holds.keeps.push(charge.brake.clone());
            }
            let (until, why) = match judged {
                Judged::Free | Judged::Approved => continue,
                Judged::Early(until) => (*until, "a delete waits for others like it".to_owned()),
                Judged::Withheld { counted, most } => {
                    let kind = charge.brake.kind.as_str();
                    tracing::debug!(pair = %self.pair.id, brake = kind, counted, most, "withheld");
                    (self.now + RELOOK, format!("withheld by the brake on {kind} until a person approves it"))
                }
            };
            if let (BrakeKind::Blanking, Some((_, field))) =
                (charge.brake.kind, charge.brake.part.split_once('/'))
            {
                self.holds.fields.insert(field.to_owned());
            }
            self.note_failure(&why, matches!(judged, Judged::Early(_)));
            let sooner = self.holds.until.as_ref().is_none_or(|(known, _)| until > *known);
            if sooner {
                self.holds.until = Some((until, why));
            }
        }
    }

    /// The work, held.
    pub(crate) fn held_work(&self) -> Vec<WorkWrite> {
        // Sooner than what a brake withholds, which shows so by itself.
        if let Some(held) = self.dangling.values().next() {
            return self.wait_for_gone(held.clone());
        }
        match &self.holds.until {
            Some((until, why)) => self.again_at(*until, None, Some(why.clone()), true),
            None => self.done(),
        }
    }

    /// Ends the look with nothing but held work.
    pub(crate) fn held(&self) -> Ended {
        let mut unit = self.unit();
        unit.work = self.held_work();
        Box::new(unit)
    }

    /// A final unit without what was withheld of it. What the service has confirmed stands (rule 43).
    pub(crate) fn without_withheld(&mut self, unit: Unit, judged: &[Judged]) -> Unit {
        self.note_holds(&unit.charges, judged);
        let free = |(_, judged): &(&Charge, &Judged)| judged.is_free();
        let charged = || unit.charges.iter().zip(judged);
        let fields_only =
            charged().filter(|one| !free(one)).all(|(c, _)| c.brake.kind == BrakeKind::Blanking);
        let charges = charged().filter(free).map(|(charge, _)| charge.clone()).collect();
        let work = self.held_work();
        if let Some(mut scene) = self.holds.scene.clone().filter(|_| fields_only) {
            scene.held.extend(self.holds.fields.iter().cloned());
            return Unit { charges, settle: Some(settle(scene)), work, ..unit };
        }
        if unit.intents.is_empty() {
            return *self.held();
        }
        let Unit { confirm, intents, history, .. } = unit;
        Unit { confirm, intents, history, work, ..self.unit() }
    }

    /// What the end of this look says of what was withheld before. A look that ends early, for want of an answer say, says nothing.
    pub(crate) fn settlement(&self, work: &[WorkWrite]) -> Option<Settlement> {
        let over = |write: &WorkWrite| matches!(write, WorkWrite::Done { .. } | WorkWrite::Park { .. });
        let finished = !work.is_empty() && work.iter().all(over);
        if !finished && self.holds.keeps.is_empty() {
            return None;
        }
        let link = self.taken.link.as_ref();
        let row = link.and_then(|link| link.local_id.clone()).or_else(|| {
            self.taken.work.iter().find_map(|work| match &work.subject {
                Subject::Local(id) => Some(id.clone()),
                _ => None,
            })
        });
        let keys =
            link.map(|link| ChargeKey::Link(link.id)).into_iter().chain(row.map(ChargeKey::Row)).collect();
        Some(Settlement { pair: self.pair.id, keys, keeps: self.holds.keeps.clone(), finished })
    }
}
