//! One look at one linked record: resolve what is pending, see both sides as they are now, decide, carry out (rules 9 to 24).
//!
//! A look ends in exactly one [`Unit`] (a push commits one more, with its intent, before it calls). It never fails: whatever goes
//! wrong becomes a unit that tries again, waits or parks.

use crate::apply::{Scene, settle};
use crate::brakes::{Holds, blanks};
use crate::decide::{
    Action, Decision, GoneLocal, LocalSight, References, RemoteSight, Sight, decide, local_changed,
    local_value,
};
use crate::order::Order;
use crate::pairs::PairRuntime;
use crate::read::Seen;
use crate::retry::{self, Next};
use crate::scope::BACK;
use crate::{Engine, Purpose, SendError, named};
use bothways_mapping::mapping::Check;
use bothways_model::planted::{self, Bug};
use bothways_model::{Failure, LocalRow, Record, Timestamp};
use bothways_store::{
    Fact, Guard, Judged, Link, LinkState, LinkWrite, LocalBinding, ParkReason, Parked, PauseScope, Side,
    Signal, Subject, Taken, Unit, UnitOutcome, WorkWrite,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A look under way.
pub(crate) struct Look {
    pub(crate) engine: Arc<Engine>,
    pub(crate) pair: Arc<PairRuntime>,
    pub(crate) taken: Taken,
    pub(crate) now: Timestamp,
    /// When its lease was taken or last renewed.
    pub(crate) leased_at: Timestamp,
    pub(crate) holds: Holds,
    /// Labels of references that stay as they are, since what they name is not there any more; and that in words for people.
    pub(crate) dangling: BTreeMap<String, String>,
    /// The item of a saved plan that it carries out; without one it does whatever is to be done.
    pub(crate) order: Option<Arc<Order>>,
}

/// The unit that ends a look early. Boxed, since it travels as an error.
pub(crate) type Ended = Box<Unit>;

impl Engine {
    /// Looks at one taken record, to the end.
    pub(crate) async fn look(self: Arc<Self>, pair: Arc<PairRuntime>, taken: Taken) {
        self.look_under(pair, taken, None).await;
    }

    /// The same, doing only what an order allows.
    pub(crate) async fn look_under(
        self: Arc<Self>,
        pair: Arc<PairRuntime>,
        taken: Taken,
        order: Option<Arc<Order>>,
    ) {
        let now = self.ports.clock.now();
        let mut look = Look {
            engine: self.clone(),
            pair,
            taken,
            now,
            leased_at: now,
            holds: Holds::default(),
            dangling: BTreeMap::new(),
            order,
        };
        let unit = match look.taken.link.clone() {
            // A pause takes effect before the next remote call (rule 64).
            link if self.is_paused(&look.pair, link.as_ref().map(|l| l.id)) => Err(look.paused(false)),
            _ if look.taken.row_error.is_some() => {
                let why = look.taken.row_error.clone().unwrap_or_default();
                let mut unit = look.unit();
                unit.work = look.park(
                    ParkReason::Refused,
                    format!("the row cannot be read: {why}"),
                    "row-unreadable",
                );
                Ok(unit)
            }
            Some(link) => look.linked(link).await,
            None => look.unlinked().await,
        };
        let unit = unit.unwrap_or_else(|ended| *ended);
        look.finish(unit).await;
    }
}

impl Look {
    /// Whose work this is: what a user changed goes before what the service told of (rule 47).
    pub(crate) fn purpose(&self) -> Purpose {
        let of_a_user = self.taken.work.iter().any(|work| !work.look || !work.facts.is_empty());
        if of_a_user { Purpose::Live } else { Purpose::Told }
    }

    async fn finish(&mut self, mut unit: Unit) {
        // What is withheld is left out of the next try, so this ends.
        while let Some((rest, judged)) = self.finish_with(unit).await {
            unit = self.without_withheld(rest, &judged);
        }
        self.engine.tell();
    }

    /// Commits a look's last unit. If brakes withheld it, returns it with what they said.
    async fn finish_with(&self, mut unit: Unit) -> Option<(Unit, Vec<Judged>)> {
        let charged = (!unit.charges.is_empty()).then(|| unit.clone());
        unit.settlement = self.settlement(&unit.work);
        if unit.settle.is_some() {
            let message = format!("the table `{}` refused the change", self.pair.mapping.catalog.table);
            unit.work_if_refused = self.parking(ParkReason::Error, message, "row-refused");
        }
        self.name_order(&mut unit);
        match self.engine.commits.commit(unit).await {
            Ok(UnitOutcome::Done { .. }) => {}
            Ok(UnitOutcome::Stale) => {
                self.note_failure("another worker took over", true);
                tracing::info!(pair = %self.pair.id, "another worker took over this record")
            }
            // What was confirmed stands; the refused row write waits for a person.
            Ok(UnitOutcome::RowRefused { .. }) => {
                self.note_failure("the table refused the change", false);
                tracing::info!(pair = %self.pair.id, "parked: the table refused the change")
            }
            Ok(UnitOutcome::Withheld { charges }) => return charged.map(|unit| (unit, charges)),
            Ok(UnitOutcome::ClaimLost | UnitOutcome::Aborted | UnitOutcome::Paused) => {
                drop(self.stale("it moved in this moment".into()));
                let mut unit = self.unit();
                unit.work = self.again_soon();
                if let Err(error) = self.engine.commits.commit(unit).await {
                    tracing::error!(pair = %self.pair.id, error = %error, "could not requeue work");
                }
                self.engine.nudge().await;
            }
            Err(error) => {
                self.note_failure("the database failed", true);
                tracing::error!(pair = %self.pair.id, error = %error, "a look could not be committed")
            }
        }
        None
    }

    /// A unit guarded by this look's lease (or by nothing, without a link).
    pub(crate) fn unit(&self) -> Unit {
        Unit::new(match &self.taken.link {
            Some(link) => Guard::Token { link: link.id, token: self.taken.token },
            None => Guard::Free,
        })
    }

    /// The work is done, facts included.
    pub(crate) fn done(&self) -> Vec<WorkWrite> {
        self.taken
            .work
            .iter()
            .map(|w| WorkWrite::Done {
                id: w.id,
                generation: w.generation,
                facts: w.facts.iter().map(Fact::change).collect(),
            })
            .collect()
    }

    /// The captured deletes that are known when a link is claimed are those of whoever had the row's id before (rule 30).
    pub(crate) fn deletes_before(&self) -> Vec<WorkWrite> {
        let told = self.taken.work.iter().filter(|w| !w.facts.is_empty());
        told.map(|w| WorkWrite::Dealt { id: w.id, facts: w.facts.iter().map(Fact::change).collect() })
            .collect()
    }

    /// The work is tried again at `due`.
    pub(crate) fn again_at(
        &self,
        due: Timestamp,
        attempt: Option<String>,
        held: Option<String>,
        look: bool,
    ) -> Vec<WorkWrite> {
        self.taken
            .work
            .iter()
            .map(|w| WorkWrite::Again {
                id: w.id,
                generation: w.generation,
                due,
                attempt: attempt.clone(),
                held: held.clone(),
                look,
            })
            .collect()
    }

    /// What the look was about changed under it: once more in a moment, which is not an attempt.
    pub(crate) fn again_soon(&self) -> Vec<WorkWrite> {
        let due = self.engine.ports.clock.now() + chrono::TimeDelta::milliseconds(100);
        self.again_at(due, None, None, true)
    }

    /// The work waits for a person. Only one row of a folded group is parked; the others are done.
    pub(crate) fn park(
        &self,
        reason: ParkReason,
        message: impl Into<String>,
        digest: &str,
    ) -> Vec<WorkWrite> {
        tracing::info!(pair = %self.pair.id, reason = reason.as_str(), "parked");
        let message = message.into();
        self.note_failure(&message, false);
        self.parking(reason, message, digest)
    }

    /// Which of the signals is parked, where the look is.
    pub(crate) fn bearer(&self) -> usize {
        self.taken.work.iter().position(|w| !w.facts.is_empty() || w.parked.is_some()).unwrap_or(0)
    }

    fn parking(&self, reason: ParkReason, message: String, digest: &str) -> Vec<WorkWrite> {
        let parked = Parked { reason, message, digest: digest.to_owned(), at: self.now };
        let mut writes = self.done();
        let bearer = self.bearer();
        if let Some(work) = self.taken.work.get(bearer) {
            writes[bearer] = WorkWrite::Park { id: work.id, generation: work.generation, parked };
        }
        writes
    }

    /// The unit after a failed call that nothing else has to be done about.
    pub(crate) async fn failed(&self, failure: &Failure) -> Ended {
        let asked = failure.wait();
        let next = match retry::after_failure(failure) {
            // An outage parks nothing (rule 46).
            Next::Attempt
                if failure.status.is_some_and(|status| status >= 500)
                    && self.engine.connections.is_out(&self.pair.connection) =>
            {
                Next::Outage
            }
            next => next,
        };
        self.after(next, failure.to_string(), asked, None).await
    }

    /// The unit after the store failed.
    pub(crate) fn store_trouble(&self, error: &bothways_store::StoreError) -> Ended {
        tracing::warn!(pair = %self.pair.id, error = %error, "the store failed during a look");
        self.note_failure("the database failed", true);
        let mut unit = self.unit();
        unit.work = self.again_at(self.now + chrono::TimeDelta::seconds(1), None, None, true);
        Box::new(unit)
    }

    /// The unit after a call without an answer.
    pub(crate) async fn silent(&self, error: &SendError) -> Ended {
        // Our own limit, not the service's trouble: what it holds back says so.
        let held = matches!(error, SendError::Spent(_)).then(|| error.to_string());
        self.after(retry::after_silence(error), error.to_string(), None, held).await
    }

    async fn after(&self, next: Next, error: String, asked: Option<Duration>, held: Option<String>) -> Ended {
        let next = match next {
            Next::Outage if planted::is(Bug::OutageCountsAttempts) => Next::Attempt,
            next => next,
        };
        let policy = &self.engine.settings.retry;
        let attempts = self.taken.work.iter().map(|w| w.attempts).max().unwrap_or(0);
        let since = self.taken.work.iter().filter_map(|w| w.tried_since).min();
        let wait = retry::backoff(policy, attempts, asked, &*self.engine.ports.random);
        let due = self.engine.ports.clock.now() + wait;
        let mut unit = self.unit();
        self.note_failure(&error, matches!(next, Next::Attempt | Next::Outage | Next::LookAgain));
        unit.work = match next {
            Next::Attempt if retry::is_exhausted(policy, attempts + 1, since, self.now) => self.park(
                ParkReason::Error,
                format!("failed {} times; last: {error}", attempts + 1),
                "exhausted",
            ),
            Next::Attempt => self.again_at(due, Some(error), None, true),
            Next::Outage => {
                let now = self.engine.ports.clock.now();
                let since = self.engine.connections.note_outage(&self.pair.connection, now);
                let wait = retry::outage_wait(since, now, asked, &*self.engine.ports.random);
                self.again_at(now + wait, None, held, true)
            }
            // At once, but a record that is always said to have changed is no reason to ask for ever.
            Next::LookAgain if retry::is_exhausted(policy, attempts + 1, since, self.now) => self.park(
                ParkReason::Error,
                format!(
                    "refused {} times for having changed meanwhile, or being locked; last: {error}",
                    attempts + 1
                ),
                "exhausted",
            ),
            Next::LookAgain if attempts == 0 => self.again_at(self.now, Some(error), None, true),
            Next::LookAgain => self.again_at(due, Some(error), None, true),
            Next::Park => self.park(ParkReason::Error, error, "refused-by-service"),
            Next::PauseConnection => {
                self.engine.pause(PauseScope::Connection(self.pair.connection.clone()), &error).await;
                self.again_at(due, None, None, true)
            }
            Next::PauseMapping => {
                self.engine.pause(PauseScope::Pair(self.pair.id), &error).await;
                self.again_at(due, None, None, true)
            }
        };
        Box::new(unit)
    }

    /// Facts of captured deletes, oldest first.
    pub(crate) fn deleted(&self) -> Option<&Fact> {
        self.taken.work.iter().flat_map(|w| &w.facts).next()
    }

    pub(crate) fn wants_look(&self) -> bool {
        self.taken.work.is_empty() || self.taken.work.iter().any(|w| w.look || w.parked.is_some())
    }

    async fn linked(&mut self, link: Link) -> Result<Unit, Ended> {
        if !link.state.is_live() && planted::is(Bug::TombstoneRevived) {
            self.taken.link = None;
            return self.unlinked().await;
        }
        if !link.state.is_live() {
            if let Some(row) = self.live_again(&link) {
                return self.comes_back(link, row).await;
            }
            return match self.returns_to_scope(&link).await? {
                true => Ok(self.reopened(link, BACK)),
                false => Ok(self.closed(link)),
            };
        }
        if planted::is(Bug::GoneRowForgetsItsCreate) && self.taken.row.is_none() {
            self.taken.intents.clear();
        }
        let link = if self.taken.intents.is_empty() { link } else { self.resolve_intents(link).await? };
        if let Some(id) = link.remote_id.clone().filter(|_| self.never_had_row(&link)) {
            return self.insert_again(link, id).await;
        }
        let link = if link.body.twin.is_some() { self.told_apart(link).await? } else { link };
        let (gone, reused) = self.local_side(&link);
        let row = self.taken.row.clone().filter(|_| gone.is_none());
        if let Some(row) = &row {
            if !self.pair.mapping.local_in_scope(&row.fields) {
                return self.leaves_scope(link, Side::Local, false);
            }
            if link.state == LinkState::Linked
                && let Some(why) = named::disagreement(&self.pair, &link, row)
            {
                let mut unit = self.unit();
                unit.work = self.park(ParkReason::Refused, why, "remote-id-disagrees");
                return Ok(unit);
            }
            if self.is_quiet(&link, row) {
                let mut unit = self.unit();
                unit.work = self.done();
                return Ok(unit);
            }
        }
        let Some(remote_id) = link.remote_id.clone() else {
            return match &row {
                Some(row) => self.create_again(link, row.clone()).await,
                None => {
                    let why = "deleted before it was created remotely".to_owned();
                    let mut unit = self.close(link, LinkState::Tombstone, why, true);
                    unit.signals.extend(self.next_of_id(reused));
                    Ok(unit)
                }
            };
        };
        let seen = match (&row, self.blind(&link)) {
            (Some(_), Some(bases)) => Seen { fields: bases, ..Seen::default() },
            _ => match self.see(&link, &remote_id).await? {
                Some(seen) => seen,
                None => {
                    let mut unit = self.without_remote(link, row, gone).await?;
                    unit.signals.extend(self.next_of_id(reused));
                    return Ok(unit);
                }
            },
        };
        if let Some(body) = &seen.body
            && !self.takes_part(body).await?
        {
            let mut unit = self.leaves_scope(link, Side::Remote, gone == Some(GoneLocal::Deleted))?;
            unit.signals.extend(self.next_of_id(reused));
            return Ok(unit);
        }
        match (&row, gone) {
            (Some(row), _) => self.merge(link, row.clone(), seen).await,
            (None, gone) => {
                self.without_row(link, seen, gone.unwrap_or(GoneLocal::Unexplained), reused).await
            }
        }
    }

    /// A link that is over: nothing flows (rule 34). Where its row is deleted, the row's id is free for another record (rule 30).
    pub(crate) fn closed(&self, mut link: Link) -> Unit {
        let mut unit = self.unit();
        unit.work = self.done();
        if let (Some(GoneLocal::Deleted), reused) = self.local_side(&link)
            && link.local_id.is_some()
        {
            link.body.former_local.clone_from(&link.local_id);
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Set(None) });
            unit.signals.extend(self.next_of_id(reused));
            return unit;
        }
        match &self.taken.row {
            Some(row) if link.body.merged_into.is_some() && link.local_id.is_some() => {
                self.stays_merged(link, row)
            }
            _ => unit,
        }
    }

    /// Whether the row counts as gone, and whether its id now belongs to another record (rules 30, 32).
    pub(crate) fn local_side(&self, link: &Link) -> (Option<GoneLocal>, bool) {
        let Some(row) = &self.taken.row else {
            let captured = self.deleted().is_some()
                || link.body.former_local.is_some()
                || planted::is(Bug::MissingTakenForDeleted);
            return (Some(if captured { GoneLocal::Deleted } else { GoneLocal::Unexplained }), false);
        };
        if self.deleted().is_some() && !self.is_same_record(link, row) {
            return (Some(GoneLocal::Deleted), true);
        }
        (row.deleted_at.is_some().then_some(GoneLocal::Archived), false)
    }

    /// If the row's id belongs to another record now: that one is looked at afresh, under no link (rule 30).
    pub(crate) fn next_of_id(&self, reused: bool) -> Option<Signal> {
        let row = self.taken.row.as_ref().filter(|_| reused)?;
        let subject = Subject::Local(row.id.clone());
        Some(Signal { pair: self.pair.id, subject, look: true, not_before: None })
    }

    /// A row that came back after a captured delete is the same record only if its match fields (without a match value: all outgoing
    /// fields) still equal the local base (rule 30). Blank match values never match.
    fn is_same_record(&self, link: &Link, row: &LocalRow) -> bool {
        if planted::is(Bug::ReusedIdTakenForSame) || planted::is(Bug::DeleteThoughRowIsBack) {
            return planted::is(Bug::ReusedIdTakenForSame);
        }
        let mapping = &self.pair.mapping;
        let by_match = mapping.match_key(&mapping.read_local(&row.fields)).is_some();
        mapping
            .fields
            .iter()
            .filter(|f| if by_match { mapping.identity.matching.contains(&f.label) } else { f.direction.goes_out() })
            .all(|f| {
                let base = link.body.base.get(&f.label).and_then(|b| b.local.as_ref());
                matches!((local_value(f, &row.fields), base), (Some(value), Some(base)) if mapping.same(f, value, base))
            })
    }

    /// Whether a purely local signal proves that there is nothing to do (rule 38).
    fn is_quiet(&self, link: &Link, row: &LocalRow) -> bool {
        if planted::is(Bug::EchoByTimeWindow) && self.now - link.updated_at < chrono::TimeDelta::seconds(2) {
            return true;
        }
        !self.wants_look()
            && link.state == LinkState::Linked
            && link.remote_id.is_some()
            && link.body.is_calm()
            && self
                .pair
                .mapping
                .fields
                .iter()
                .all(|f| link.body.base.get(&f.label).is_some_and(|b| b.remote.is_some()))
            && !local_changed(&self.pair.mapping, &row.fields, &link.body)
    }

    /// The remote bases in place of a read, where the mapping accepts that and nothing else needs one (rule 50).
    fn blind(&self, link: &Link) -> Option<Record> {
        let blind = (self.pair.mapping.conflicts.check == Check::Blind
            || planted::is(Bug::WriteWithoutLooking))
            && !self.wants_look()
            && link.state == LinkState::Linked
            && link.body.is_calm();
        if !blind || self.pair.capabilities().update_needs_read() {
            return None;
        }
        self.pair
            .mapping
            .fields
            .iter()
            .map(|f| Some((f.label.clone(), link.body.base.get(&f.label)?.remote.clone()?)))
            .collect::<Option<Vec<_>>>()
            .map(Record::from_iter)
    }

    /// The decision on the two sides.
    pub(crate) fn decision(&self, link: &Link, local: LocalSight<'_>, seen: Option<&Seen>) -> Decision {
        let nothing = References::default();
        let remote = seen.map_or(RemoteSight::Gone, Seen::sight);
        decide(&Sight {
            mapping: &self.pair.mapping,
            local,
            remote,
            references: seen.map_or(&nothing, |seen| &*seen.references),
            body: &link.body,
            state: link.state,
            now: self.now,
        })
    }

    /// Both records are there: push, then pull on the locked row.
    async fn merge(&mut self, mut link: Link, row: LocalRow, seen: Seen) -> Result<Unit, Ended> {
        let seen = self.refer(seen, Some(&row.fields), Some(&link.body)).await?;
        link.body.missing_since = None;
        link.body.late.retain(|l| l.until > self.now);
        link.body.observed = self.taken.token;
        link.body.delete_choice = None;
        link.body.shown = None;
        let decision = self.decision(&link, LocalSight::Row(&row), Some(&seen));
        self.permit_decision(&link, &decision)?;
        let flapping = self.flapping(&link, &decision, &seen).await?;
        let (mut writes, refused) = self.writes_of(&decision, &row, &seen, &flapping);
        let digest = decision.digest();
        let (link_id, pushes) = (link.id, !writes.is_empty());
        let (link, seen, mut unit) =
            if pushes { self.push(link, seen, &mut writes).await? } else { (link, seen, self.unit()) };
        let link_quiet = decision.is_quiet() && unit.confirm.is_none() && link.state == LinkState::Linked;
        let nothing_new = link_quiet
            && decision.verdicts.iter().all(|v| v.action == Action::None)
            && self
                .taken
                .link
                .as_ref()
                .is_some_and(|l| l.body.conflicts.is_empty() && l.body.missing_since.is_none());
        if !nothing_new {
            if unit.confirm.is_none() {
                unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
            }
            let mut scene = self.scene(&seen);
            let held = self.holds.fields();
            let pulls =
                decision.verdicts.iter().filter(|v| v.action == Action::Pull && !held.contains(&v.label));
            let emptied: BTreeSet<String> =
                pulls.clone().filter(|v| blanks(v).is_some()).map(|v| v.label.clone()).collect();
            let braked = self.braked();
            unit.charges.extend(emptied.iter().map(|label| braked.blanking(link_id, Side::Local, label)));
            unit.charges.extend(pulls.take(1).filter_map(|_| braked.update(link_id)));
            scene.held.clone_from(held);
            scene.held.extend(flapping.iter().cloned());
            scene.held.extend(self.stayed(&decision, &writes, &refused));
            scene.may_empty = emptied;
            // What was confirmed stands, whatever becomes of the row.
            scene.only_on = self.only_on(&row, !pushes);
            self.holds.scene = Some(scene.clone());
            unit.settle = Some(settle(scene));
            unit.keys.extend(self.moved_keys(&row, &seen, &decision));
        }
        unit.work = if !flapping.is_empty() {
            let message = format!(
                "{} went back and forth more than 3 times in 10 minutes without a user",
                flapping.join(", ")
            );
            self.park(ParkReason::Flapping, message, &digest)
        } else if let Some((label, why)) = refused.first() {
            if refused.iter().any(|(label, _)| self.is_looked_up(label)) {
                unit.signals.extend(self.look_for_row());
            }
            self.park(ParkReason::Refused, format!("field `{label}`: {why}"), &digest)
        } else if self.holds.any() || !self.dangling.is_empty() {
            self.held_work()
        } else if let Some((label, side, id)) = decision.waits().next() {
            self.wait_for(label, side, id).await
        } else {
            self.done()
        };
        Ok(unit)
    }

    /// What the row part needs for a linked record.
    pub(crate) fn scene(&self, seen: &Seen) -> Scene {
        Scene {
            mapping: self.pair.mapping.clone(),
            remote: seen.fields.clone(),
            refused: seen.refusals.clone(),
            references: seen.references.clone(),
            tell_waits: false,
            changed_at: seen.changed_at,
            now: self.now,
            changed_here: self.taken.work.iter().filter_map(|w| w.changed).max(),
            pass: None,
            abort_without_row: false,
            expect: None,
            held: BTreeSet::new(),
            may_empty: BTreeSet::new(),
            only_on: None,
        }
    }
}
