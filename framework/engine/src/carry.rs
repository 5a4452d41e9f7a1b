//! Carries a saved plan out: exactly that, through the same looks, intents, leases and limits as everything else (design 6).
//!
//! The file is verified whole before anything is done; then each item is derived anew under its lease and carried out only if what
//! would happen now is what the plan says. What was killed on the way is run again: items that are done are recognised.

use crate::operations::Operations;
use crate::order::{Order, Part, Ruling};
use crate::plan::PlanAction;
use crate::plan::file::{PlanFileError, PlannedField, PlannedItem, PlannedItems, VerifiedPlan, verify_plan};
use crate::{ConnectionState, Engine, EngineError, PairRuntime, PassOptions, retry};
use bothways_model::{LocalId, LocalRow, RemoteId};
use bothways_store::{HistoryFilter, Link, StoreErrorKind, Subject, Taken};
use chrono::TimeDelta;
use serde::Serialize;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::Duration;

/// How often an item is tried while the service is away or busy, or a record is being worked on.
const TRIES: u32 = 6;

/// Opens a plan file: once to verify it, once to carry it out.
pub type OpenPlan<'f> = &'f mut (dyn FnMut() -> io::Result<Box<dyn BufRead + Send>> + Send);

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyOutcome {
    /// It was carried out.
    Done,
    /// Nothing was left to do: it was done before, or both sides came to agree.
    Already,
    /// Something else would happen now: it was not done.
    Stale,
    /// A person has to decide it.
    Left,
    /// It was as planned and could not be done.
    Failed,
}

/// An item with what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApplyItem {
    /// What was planned.
    pub action: PlanAction,
    /// The row.
    pub local: Option<String>,
    /// The record.
    pub remote: Option<String>,
    /// What became of it.
    pub outcome: ApplyOutcome,
    /// Why, for people.
    pub why: String,
}

/// What carrying a plan out came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApplyReport {
    /// Names it in history: `revert --pass` takes it.
    pub id: String,
    /// The mapping.
    pub mapping: String,
    /// Items in the plan.
    pub items: u64,
    /// Carried out.
    pub done: u64,
    /// Nothing was left to do.
    pub already: u64,
    /// Something else would happen now.
    pub stale: u64,
    /// A person has to decide.
    pub left: u64,
    /// Could not be done.
    pub failed: u64,
}

impl ApplyReport {
    fn count(&mut self, outcome: ApplyOutcome) {
        let counter = match outcome {
            ApplyOutcome::Done => &mut self.done,
            ApplyOutcome::Already => &mut self.already,
            ApplyOutcome::Stale => &mut self.stale,
            ApplyOutcome::Left => &mut self.left,
            ApplyOutcome::Failed => &mut self.failed,
        };
        *counter += 1;
    }
}

impl Operations {
    /// Carries a saved plan out (of `mapping`, if one is named), handing each item to `sink` with what became of it. The mapping need not be approved: a saved plan
    /// is consent to its items and to nothing else.
    ///
    /// # Errors
    /// The file is cut, edited, of another form, of another mapping or of another account; the mapping is paused or a change of it is
    /// held; the store or the service fails. What was carried out until then stays, and applying the file again goes on.
    pub async fn apply(
        &self,
        mapping: Option<&str>,
        open: OpenPlan<'_>,
        by: &str,
        sink: &mut (dyn FnMut(ApplyItem) + Send),
    ) -> Result<ApplyReport, EngineError> {
        self.engine.refresh_pairs().await?;
        let secret = self.engine.store.secret().await?;
        let plan = verify_plan(open().map_err(PlanFileError::from).map_err(refused)?, Some(&secret))
            .map_err(refused)?;
        if let Some(mapping) = mapping.filter(|name| **name != plan.head.mapping) {
            return Err(EngineError::Refused(format!(
                "the plan is of mapping `{}`, not of `{mapping}`",
                plan.head.mapping
            )));
        }
        let pair = self.pair(Some(&plan.head.mapping))?;
        self.check_plan(&plan, &pair).await?;
        self.engine.relay().await?;
        if !pair.is_walked() {
            // Match keys of both sides, and nothing else, are written: what is alone and what is not must be known.
            let options = PassOptions { observe: true, restart: true };
            self.engine.pass(pair.id, options, &|_| {}).await?;
        }
        let mut report = ApplyReport {
            id: plan.id.clone(),
            mapping: plan.head.mapping.clone(),
            items: plan.items,
            ..ApplyReport::default()
        };
        let begun = serde_json::json!({ "mapping": report.mapping, "plan": plan.id, "items": plan.items });
        self.audit(by, "apply", begun).await?;
        let mut items = PlannedItems::of(open().map_err(PlanFileError::from).map_err(refused)?);
        let at_once = self.engine.at_once(&*pair.connector, pair.connector.limits().concurrent.max(1));
        let carrier = Carrier { engine: &self.engine, pair: &pair, plan: &plan };
        loop {
            let mut some = Vec::with_capacity(at_once);
            while some.len() < at_once {
                let Some(item) = items.read().map_err(refused)? else { break };
                some.push(item);
            }
            if some.is_empty() || self.engine.is_stopping() {
                break;
            }
            let carried = futures::future::join_all(some.iter().map(|item| carrier.carry(item))).await;
            for (item, carried) in some.into_iter().zip(carried) {
                let (outcome, why) = carried?;
                report.count(outcome);
                sink(ApplyItem { action: item.action, local: item.local, remote: item.remote, outcome, why });
            }
        }
        self.audit(by, "applied", serde_json::to_value(&report).unwrap_or_default()).await?;
        self.engine.nudge().await;
        self.engine.tell();
        Ok(report)
    }

    /// A plan is of one mapping as it is and of one account.
    async fn check_plan(&self, plan: &VerifiedPlan, pair: &PairRuntime) -> Result<(), EngineError> {
        let (head, name) = (&plan.head, &pair.mapping.name);
        if head.connection != pair.connection.0 {
            return Err(EngineError::Refused(format!(
                "the plan is of connection `{}`; mapping `{name}` runs on `{}` now: make a new plan",
                head.connection, pair.connection
            )));
        }
        if pair.held().is_some() {
            return Err(EngineError::Refused(format!(
                "a change of mapping `{name}` is held until its plan is approved: see `bothways plan {name}`"
            )));
        }
        if head.mapping_digest != pair.mapping_digest {
            return Err(EngineError::Refused(format!(
                "mapping `{name}` has changed since the plan was made: make a new plan"
            )));
        }
        self.engine.refresh_pairs().await?;
        self.engine.refresh_pauses().await?;
        if self.engine.is_paused(pair, None) {
            return Err(EngineError::Refused(format!("mapping `{name}` is paused")));
        }
        match self.engine.check_account(&pair.connection).await? {
            ConnectionState::Blocked(why) => Err(EngineError::Refused(why)),
            ConnectionState::Ready { account, mode } => {
                let account = account.map(|account| account.0);
                if account != head.account || mode.as_str() != head.mode {
                    return Err(EngineError::Refused(format!(
                        "the plan is of {} account `{}`, these credentials mean {} account `{}`: nothing was done",
                        head.mode,
                        head.account.as_deref().unwrap_or("unknown"),
                        mode.as_str(),
                        account.as_deref().unwrap_or("unknown"),
                    )));
                }
                Ok(())
            }
            ConnectionState::Unknown => Ok(()),
        }
    }
}

fn refused(error: PlanFileError) -> EngineError {
    EngineError::Refused(error.to_string())
}

struct Carrier<'p> {
    engine: &'p Arc<Engine>,
    pair: &'p Arc<PairRuntime>,
    plan: &'p VerifiedPlan,
}

impl Carrier<'_> {
    async fn carry(&self, item: &PlannedItem) -> Result<(ApplyOutcome, String), EngineError> {
        let asks = |field: &PlannedField| matches!(field.action.as_str(), "conflict" | "refuse");
        let only_asks = item.action == PlanAction::Update && item.fields.iter().all(asks);
        if only_asks || matches!(item.action, PlanAction::Ask | PlanAction::Ambiguous) {
            return Ok((ApplyOutcome::Left, "a person decides".into()));
        }
        let mut tries = 0;
        loop {
            match self.try_item(item).await? {
                Ruling::Quiet => return Ok((ApplyOutcome::Already, String::new())),
                Ruling::Allowed => return Ok((ApplyOutcome::Done, String::new())),
                Ruling::Stale(why) => return Ok((ApplyOutcome::Stale, why)),
                Ruling::Failed { again: true, .. } if tries < TRIES && !self.engine.is_stopping() => {
                    let wait =
                        retry::backoff(&self.engine.settings.retry, tries, None, &*self.engine.ports.random);
                    tries += 1;
                    self.engine.pause_for(wait).await;
                }
                Ruling::Failed { why, .. } => return Ok((ApplyOutcome::Failed, why)),
            }
        }
    }

    async fn try_item(&self, item: &PlannedItem) -> Result<Ruling, EngineError> {
        let link = self.link_of(item).await?;
        let live = link.clone().filter(|link| link.state.is_live());
        let is_new = |link: &Link| link.created_at >= self.plan.head.made_at;
        match (item.action, live) {
            (PlanAction::CreateRemote, _) if item.remote.is_some() => self.recreate(item, link).await,
            (PlanAction::Link | PlanAction::CreateLocal | PlanAction::CreateRemote, None) => {
                let Some(subject) = subject_of(item) else { return Ok(gone()) };
                let ruling = self.look_unlinked(item, subject, Part::Whole).await?;
                let carries = |field: &PlannedField| matches!(field.action.as_str(), "push" | "pull" | "set");
                if ruling != Ruling::Allowed
                    || item.action != PlanAction::Link
                    || !item.fields.iter().any(carries)
                {
                    return Ok(ruling);
                }
                // They are linked; what goes out goes out over the link, and so does what brakes are asked about.
                match self.link_of(item).await? {
                    Some(link) => Ok(done(self.look_linked(item, &link, Part::Rest).await?)),
                    None => Ok(gone()),
                }
            }
            (PlanAction::Link | PlanAction::CreateLocal | PlanAction::CreateRemote, Some(link)) => {
                let same = |planned: &Option<String>, id: Option<&str>| {
                    planned.as_deref().is_none_or(|planned| Some(planned) == id)
                };
                let is_it = same(&item.local, link.local_id.as_ref().map(LocalId::as_str))
                    && same(&item.remote, link.remote_id.as_ref().map(RemoteId::as_str));
                if !is_it || !is_new(&link) {
                    return Ok(Ruling::Stale("it is linked otherwise by now".into()));
                }
                self.look_linked(item, &link, Part::Rest).await
            }
            (_, Some(link)) => match self.look_linked(item, &link, Part::Whole).await? {
                Ruling::Stale(_) if self.has_begun(&link).await? => {
                    self.look_linked(item, &link, Part::Rest).await
                }
                other => Ok(other),
            },
            (PlanAction::Update | PlanAction::Ambiguous | PlanAction::Ask, None) => Ok(gone()),
            // What was to be deleted or closed is over.
            (_, None) => Ok(Ruling::Quiet),
        }
    }

    /// A record that was deleted remotely and is created again: the old link is closed, then the row is a new record.
    async fn recreate(&self, item: &PlannedItem, old: Option<Link>) -> Result<Ruling, EngineError> {
        let Some(subject) = subject_of(item) else { return Ok(gone()) };
        if let Some(old) = old.filter(|link| link.state.is_live()) {
            let ruling = self.look_linked(item, &old, Part::Whole).await?;
            if ruling != Ruling::Allowed {
                return Ok(ruling);
            }
        }
        let Some(local) = &item.local else { return Ok(gone()) };
        match self.by_local(&LocalId(local.clone())).await? {
            Some(link) if link.state.is_live() => self.look_linked(item, &link, Part::Rest).await,
            _ => self.look_unlinked(item, subject, Part::Rest).await,
        }
    }

    /// Whether the plan has written something for this link already.
    async fn has_begun(&self, link: &Link) -> Result<bool, EngineError> {
        let filter = HistoryFilter {
            link: Some(link.id),
            pass: Some(self.plan.id.clone()),
            ..HistoryFilter::default()
        };
        Ok(!self.engine.store.history(&filter, None, 1).await?.is_empty())
    }

    async fn by_local(&self, id: &LocalId) -> Result<Option<Link>, EngineError> {
        let links = self.engine.store.links_of_local(self.pair.id, std::slice::from_ref(id)).await?;
        Ok(links.into_iter().next().flatten())
    }

    /// The link that answers for an item, by its record if it names one.
    async fn link_of(&self, item: &PlannedItem) -> Result<Option<Link>, EngineError> {
        if let Some(remote) = &item.remote {
            let ids = [RemoteId(remote.clone())];
            let links = self.engine.store.links_of_remote(self.pair.id, &ids).await?;
            if let Some(link) = links.into_iter().next().flatten() {
                return Ok(Some(link));
            }
        }
        match &item.local {
            Some(local) => self.by_local(&LocalId(local.clone())).await,
            None => Ok(None),
        }
    }

    async fn look_linked(&self, item: &PlannedItem, link: &Link, part: Part) -> Result<Ruling, EngineError> {
        let lease = TimeDelta::from_std(self.pair.lease()).unwrap_or(TimeDelta::minutes(2));
        let patience = self.engine.ports.clock.now() + lease;
        loop {
            let now = self.engine.ports.clock.now();
            if let Some(taken) = self.engine.store.lease(link.id, now, now + lease).await? {
                return Ok(self.look(item, taken, None, part).await);
            }
            if now > patience || self.engine.is_stopping() {
                return Ok(Ruling::Failed { why: "the record is being worked on".into(), again: true });
            }
            self.engine.ports.clock.sleep(Duration::from_millis(100)).await;
        }
    }

    async fn look_unlinked(
        &self,
        item: &PlannedItem,
        subject: Subject,
        part: Part,
    ) -> Result<Ruling, EngineError> {
        let (row, row_error) = match &subject {
            Subject::Local(id) => self.row(id).await?,
            Subject::Remote(_) | Subject::Group(_) => (None, None),
        };
        let lease = TimeDelta::from_std(self.pair.lease()).unwrap_or(TimeDelta::minutes(2));
        let taken = Taken {
            work: Vec::new(),
            link: None,
            token: self.engine.store.draw(1).await?,
            until: self.engine.ports.clock.now() + lease,
            intents: Vec::new(),
            next_intent: 1,
            row,
            row_error,
        };
        Ok(self.look(item, taken, Some(subject), part).await)
    }

    async fn row(&self, id: &LocalId) -> Result<(Option<LocalRow>, Option<String>), EngineError> {
        match self.engine.store.row(&self.pair.mapping.catalog.name, id).await {
            Ok(row) => Ok((row, None)),
            Err(error) if error.kind == StoreErrorKind::Refused => Ok((None, Some(error.message))),
            Err(error) => Err(error.into()),
        }
    }

    async fn look(&self, item: &PlannedItem, taken: Taken, subject: Option<Subject>, part: Part) -> Ruling {
        let order = Arc::new(Order::new(&self.plan.id, subject, &self.plan.key, item, part));
        self.engine.clone().look_under(self.pair.clone(), taken, Some(order.clone())).await;
        order.ruling()
    }
}

/// Whom an item is about, as long as no link answers for it.
fn subject_of(item: &PlannedItem) -> Option<Subject> {
    match (&item.local, &item.remote) {
        (Some(local), _) => Some(Subject::Local(LocalId(local.clone()))),
        (None, Some(remote)) => Some(Subject::Remote(RemoteId(remote.clone()))),
        (None, None) => None,
    }
}

fn gone() -> Ruling {
    Ruling::Stale("it is not there any more".into())
}

/// What follows something that was done.
fn done(rest: Ruling) -> Ruling {
    if rest == Ruling::Quiet { Ruling::Allowed } else { rest }
}
