//! What a saved plan allows one look to do (`apply`): exactly that, or what is left of it.
//!
//! A look under an order asks before it carries anything out. What would happen now is derived by the same pure decision and compared
//! with what the plan says; if it is anything else, the look ends without an effect and the item is stale.

use crate::apply::OnlyOn;
use crate::decide::{Action, Decision, LocalSight, Sight, Verdict, decide};
use crate::look::{Ended, Look};
use crate::plan::file::{PlanKey, PlannedItem};
use crate::plan::{PlanAction, PlanItem, items};
use crate::read::Seen;
use bothways_model::{LocalRow, RemoteId};
use bothways_store::{Link, LinkBody, LinkState, Settle, Subject, Unit};
use std::sync::{Arc, Mutex, PoisonError};

/// How much of the item may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, and nothing less: nobody has begun it.
    Whole,
    /// What is left of it: it was begun under this plan.
    Rest,
}

/// What became of the item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Nothing needed doing.
    Quiet,
    /// It was as planned, and is under way.
    Allowed,
    /// Something else would happen now.
    Stale(String),
    /// It was as planned, and failed; `again` if trying again may help.
    Failed { why: String, again: bool },
}

/// One item of a plan that is being carried out.
pub(crate) struct Order {
    /// Names the carrying out, in history.
    pub(crate) pass: String,
    /// Whom it is about, where no link answers for it yet.
    pub(crate) subject: Option<Subject>,
    pub(crate) key: PlanKey,
    pub(crate) item: PlannedItem,
    pub(crate) part: Part,
    ruling: Mutex<Ruling>,
}

impl Order {
    pub(crate) fn new(
        pass: &str,
        subject: Option<Subject>,
        key: &PlanKey,
        item: &PlannedItem,
        part: Part,
    ) -> Self {
        Self {
            pass: pass.to_owned(),
            subject,
            key: key.clone(),
            item: item.clone(),
            part,
            ruling: Mutex::new(Ruling::Quiet),
        }
    }

    pub(crate) fn ruling(&self) -> Ruling {
        self.ruling.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first trouble stays: what follows from it says less.
    pub(crate) fn rule(&self, ruling: Ruling) {
        let mut now = self.ruling.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*now, Ruling::Quiet | Ruling::Allowed) {
            *now = ruling;
        }
    }

    /// What would happen now instead.
    fn moved(&self, now: &PlanItem) -> String {
        let other = now.fields.iter().filter(|verdict| !self.key.plans(&self.item, verdict));
        let other: Vec<&str> = other.map(|verdict| verdict.label.as_str()).collect();
        match (now.action == self.item.action, other.as_slice()) {
            (true, []) => "it would do less by now".to_owned(),
            (true, other) => format!("other values by now: {}", other.join(", ")),
            (false, []) => format!("now it would be: {}", now.action.as_str()),
            (false, other) => format!("now it would be: {} of {}", now.action.as_str(), other.join(", ")),
        }
    }

    fn allows(&self, now: &PlanItem) -> bool {
        match self.part {
            Part::Whole => self.key.is(&self.item, now),
            Part::Rest => match now.action {
                PlanAction::Update => self.key.covers(&self.item, now),
                // A record that is created again: its old link is closed by now.
                PlanAction::CreateRemote => {
                    self.item.action == PlanAction::CreateRemote
                        && self.item.local == now.local
                        && (self.item.fields.is_empty() || self.key.covers(&self.item, now))
                }
                _ => false,
            },
        }
    }
}

/// Whether a field is written on either side.
fn travels(verdict: &Verdict) -> bool {
    !matches!(verdict.action, Action::Conflict { .. } | Action::Refuse)
}

impl Look {
    /// Whether this look may carry out what it has decided. Without an order it may; under one, only if the plan says the same.
    ///
    /// # Errors
    /// It may not: the unit that ends the look without an effect.
    pub(crate) fn permit(&self, now: impl FnOnce() -> Option<PlanItem>) -> Result<(), Ended> {
        let Some(order) = &self.order else { return Ok(()) };
        match now() {
            None => Ok(()),
            Some(now) if order.allows(&now) => {
                // What is left to a person alone is nothing to do.
                if now.action != PlanAction::Update || now.fields.iter().any(travels) {
                    order.rule(Ruling::Allowed);
                }
                Ok(())
            }
            Some(now) => Err(self.stale(order.moved(&now))),
        }
    }

    /// The same for what was decided about a link.
    ///
    /// # Errors
    /// As for [`Look::permit`].
    pub(crate) fn permit_decision(&self, link: &Link, decision: &Decision) -> Result<(), Ended> {
        let Some(remote) = &link.remote_id else { return Ok(()) };
        let local = link.local_id.as_ref().or(link.body.former_local.as_ref());
        self.permit(|| items::linked(local, remote, decision))
    }

    /// The same for a row and a record that become linked.
    ///
    /// # Errors
    /// As for [`Look::permit`].
    pub(crate) fn permit_adoption(&self, row: &LocalRow, seen: &Seen, id: &RemoteId) -> Result<(), Ended> {
        self.permit(|| {
            let decision = decide(&Sight {
                mapping: &self.pair.mapping,
                local: LocalSight::Row(row),
                remote: seen.sight(),
                references: &seen.references,
                body: &LinkBody::default(),
                state: LinkState::Linked,
                now: self.now,
            });
            Some(items::link(row.id.as_str(), id.as_str(), &decision))
        })
    }

    /// The same for a link of which one side left the scope.
    ///
    /// # Errors
    /// As for [`Look::permit`].
    pub(crate) fn permit_leaving(&self, link: &Link, why: &str) -> Result<(), Ended> {
        let (Some(local), Some(remote)) = (&link.local_id, &link.remote_id) else { return Ok(()) };
        self.permit(|| Some(items::leaving(local, remote, why)))
    }

    /// Ends a look under an order without an effect.
    pub(crate) fn stale(&self, why: String) -> Ended {
        if let Some(order) = &self.order {
            order.rule(Ruling::Stale(why));
        }
        let mut unit = self.unit();
        // Signals that were folded in with the lease are due as they were.
        unit.work = self.again_at(self.now, None, None, true);
        Box::new(unit)
    }

    /// Notes trouble for whoever ordered this look.
    pub(crate) fn note_failure(&self, why: &str, again: bool) {
        if let Some(order) = &self.order {
            order.rule(Ruling::Failed { why: why.to_owned(), again });
        }
    }

    /// Names the order in everything the unit writes to history.
    pub(crate) fn name_order(&self, unit: &mut Unit) {
        let Some(order) = &self.order else { return };
        let pass = order.pass.clone();
        for entry in &mut unit.history {
            entry.pass.get_or_insert_with(|| pass.clone());
        }
        if let Some(settle) = unit.settle.take() {
            unit.settle = Some(named(settle, pass));
        }
    }

    /// Under an order the row part happens only on the very row that was compared with the plan.
    pub(crate) fn only_on(&self, row: &LocalRow, or_abort: bool) -> Option<OnlyOn> {
        self.order.as_ref().map(|_| OnlyOn { row: row.clone(), or_abort })
    }
}

fn named(settle: Settle, pass: String) -> Settle {
    Arc::new(move |row, link| {
        let mut settled = settle(row, link);
        for entry in &mut settled.history {
            entry.pass.get_or_insert_with(|| pass.clone());
        }
        settled
    })
}
