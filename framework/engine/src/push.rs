//! Remote writes: intent, call, confirmation (rules 20 to 24).

use crate::apply::entry;
use crate::brakes::blanks;
use crate::calls::{Prepared, prepare};
use crate::decide::{Action, Decision, Translated, remote_form};
use crate::intents::{close, key_of};
use crate::look::{Ended, Look};
use crate::mistakes;
use crate::read::{self, Seen};
use crate::{Purpose, SendError, flap};
use bothways_connector::{FieldWrites, Operation, Outcome, StoredRequest, WriteKind};
use bothways_mapping::Field;
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, LinkId, LocalRow, Observed, Record, RemoteId, Value};
use bothways_store::{
    BrakeKind, FieldBase, FieldChange, HistoryOp, Intent, IntentState, IntentWrite, Judged, LeaseAction,
    Link, LinkWrite, LocalBinding, SentField, Side, Unit, UnitOutcome,
};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// A lease that was renewed longer ago is renewed before a write is sent.
const FRESH: TimeDelta = TimeDelta::seconds(5);

/// One field that goes out.
pub(crate) struct FieldWrite {
    pub(crate) label: String,
    /// Its merge unit.
    unit: usize,
    path: bothways_model::SingularPath,
    wire: serde_json::Value,
    /// The value sent, as the lens reads it back.
    sent: Value,
    /// The local value it came from.
    local: Value,
    /// The remote value before.
    before: Option<Value>,
    rule: u16,
    why: String,
    /// It empties a field that held something.
    empties: bool,
    /// A person's value, which comes in afterwards: the local base stays what was shown.
    set: bool,
}

impl FieldWrite {
    pub(crate) fn sent(&self) -> SentField {
        SentField {
            field: self.label.clone(),
            sent: self.sent.clone(),
            local: self.local.clone(),
            before: self.before.clone(),
            rule: Some(self.rule),
        }
    }
}

/// How a sent write ended.
pub(crate) enum Sent {
    /// The service answered with the record.
    Record(Observed),
    /// The service accepted it without showing the record.
    Written(Option<RemoteId>),
    /// There is no such record.
    Missing,
    /// The service refused: it was definitely not carried out.
    Refused(Failure),
    /// Whether it was carried out is unknown.
    Uncertain(String, Option<Failure>),
    /// It never left.
    Unsent(SendError),
}

/// What is known of a record after a write.
struct Answered {
    record: Seen,
    /// The write's own answer showed it. Where it was read afterwards, nobody can tell whether the service stored another value than
    /// it was sent, or somebody changed it between the two: what differs is taken for a change, and comes in.
    told: bool,
}

impl Look {
    /// The fields that go out, and those that cannot. A merge unit goes out as a whole or not at all (rule 10).
    pub(crate) fn writes_of(
        &self,
        decision: &Decision,
        row: &LocalRow,
        seen: &Seen,
        flapping: &[String],
    ) -> (Vec<FieldWrite>, Vec<(String, String)>) {
        let mut writes = Vec::new();
        let mut refused: Vec<(String, String)> =
            decision.refusals().map(|v| (v.label.clone(), v.why.clone())).collect();
        let unit_of = |label: &str| self.pair.mapping.field(label).map(|field| field.unit);
        let open = decision.verdicts.iter().filter(|v| v.is_open() || flapping.contains(&v.label));
        let mut kept: BTreeSet<usize> = open.filter_map(|v| unit_of(&v.label)).collect();
        for verdict in decision.pushes() {
            let Some(field) = self.pair.mapping.field(&verdict.label) else { continue };
            let Some(path) = field.write.clone() else { continue };
            if kept.contains(&field.unit) {
                continue;
            }
            let set = matches!(verdict.action, Action::Set(_));
            let mut source = self.with_chosen(decision, row, field.unit);
            if field.reference.is_some() {
                let value = source.get(field.local_name()).cloned().unwrap_or(Value::Null);
                match seen.references.outward(&field.label, &value) {
                    Translated::Known(id) => source.set(field.local_name(), id),
                    // The next look asks.
                    Translated::Unlinked | Translated::Untold(_) | Translated::NotAsked => continue,
                }
            }
            match self.pair.mapping.image(field, &source) {
                Ok(wire) => writes.push(FieldWrite {
                    label: verdict.label.clone(),
                    unit: field.unit,
                    path,
                    sent: sent_value(field, &source, verdict.local.as_ref()),
                    local: verdict.local.clone().unwrap_or(Value::Null),
                    wire,
                    before: remote_form(field, &seen.fields, verdict.remote.as_ref()).cloned(),
                    rule: verdict.rule,
                    why: verdict.why.clone(),
                    empties: blanks(verdict).is_some(),
                    set,
                }),
                Err(refusal) => {
                    refused.push((verdict.label.clone(), refusal.to_string()));
                    kept.insert(field.unit);
                }
            }
        }
        writes.retain(|write| !kept.contains(&write.unit));
        (writes, refused)
    }

    /// The row with what a person chose for the fields of a merge unit: each may depend on the others.
    fn with_chosen(&self, decision: &Decision, row: &LocalRow, unit: usize) -> Record {
        let mut source = row.fields.clone();
        for field in self.pair.mapping.unit(unit) {
            let of_field = decision.verdicts.iter().find(|v| v.label == field.label);
            if let Some(Action::Set(value)) = of_field.map(|v| &v.action) {
                source.set(field.local_name(), value.clone());
            }
        }
        source
    }

    /// Sends an update: commits its intent, calls, and returns the link, the remote record and the unit to go on with. What brakes
    /// withhold of `writes` is taken out of them, and what refers to a record that is gone.
    pub(crate) async fn push(
        &mut self,
        link: Link,
        seen: Seen,
        writes: &mut Vec<FieldWrite>,
    ) -> Result<(Link, Seen, Unit), Ended> {
        let Some(id) = link.remote_id.clone() else { return Ok((link, seen, self.unit())) };
        let at = self.engine.ports.clock.now();
        let (number, twice, answer) = loop {
            let number = self.taken.next_intent;
            let Some(prepared) = self.open_update(&link, &id, &seen, writes).await? else {
                let held: BTreeSet<String> = self.holds.fields().clone();
                leave_out(writes, |label| held.contains(label));
                if writes.is_empty() {
                    return Ok((link, seen, self.unit()));
                }
                continue;
            };
            self.may_still_update(&link, &id, &seen, at, number).await?;
            let twice = planted::is(Bug::ConfirmedSentAgain).then(|| prepared.call.request.clone());
            let sent = self.send(link.id, number, prepared).await?;
            let answer = self.unless_repeated(sent, &id, writes).await?;
            let fields: Vec<SentField> = writes.iter().map(FieldWrite::sent).collect();
            let Some(gone) = self.leave_out_gone((link.id, number), &answer, &fields).await? else {
                break (number, twice, answer);
            };
            leave_out(writes, |label| label == gone);
            if writes.is_empty() {
                return Ok((link, seen, self.unit()));
            }
        };
        let mut told = true;
        let (observed, confirmed) = match answer {
            Sent::Record(observed) => (observed, true),
            Sent::Written(_) => match self.get(&id).await {
                Ok(Outcome::Record(observed)) if !observed.gone && observed.id == id => {
                    told = false;
                    (observed, true)
                }
                _ => (
                    Observed {
                        id: id.clone(),
                        body: Default::default(),
                        gone: false,
                        changed_at: None,
                        version: None,
                    },
                    false,
                ),
            },
            other => return Err(self.unsent(link, number, other).await),
        };
        if observed.gone || observed.id != id {
            let mut unit = *self.failed(&read::unexpected("an update")).await;
            unit.intents.push(close(link.id, number, IntentState::Uncertain, "answered with another record"));
            return Err(Box::new(unit));
        }
        if planted::is(Bug::IntentClosedBeforeBases) {
            self.close_intent_alone(number).await?;
        }
        if let Some(request) = twice {
            self.send_once_more((link.id, number), &id, request).await?;
        }
        let after = if confirmed { read::remote(&self.pair, &observed) } else { Seen::default() };
        Ok(self.confirm(link, seen, Answered { record: after, told }, writes, number))
    }

    /// Commits an update's intent. `None` if brakes withhold some of its fields, but not the others.
    async fn open_update(
        &mut self,
        link: &Link,
        id: &RemoteId,
        seen: &Seen,
        writes: &[FieldWrite],
    ) -> Result<Option<Prepared>, Ended> {
        let key = key_of(self.pair.id, link.id, self.taken.next_intent);
        let mut fields = FieldWrites::new();
        for write in writes {
            // Two fields that are one text there go as that one text.
            if !fields.iter().any(|(path, _)| *path == write.path) {
                fields.push((write.path.clone(), write.wire.clone()));
            }
        }
        let operation = Operation::Update {
            id: id.clone(),
            fields,
            key: key.clone(),
            seen: seen.body.clone(),
            version: match planted::is(Bug::ConditionForgotten) {
                true => seen.version.as_ref().map(|_| "*".to_owned()),
                false => seen.version.clone(),
            },
        };
        let prepared = self.prepare_write(operation).await?;
        let sent_fields = writes.iter().map(FieldWrite::sent).collect();
        let intent = self.intent(link, WriteKind::Update, Some(id.clone()), &prepared, sent_fields, key);
        let mut open = self.unit();
        let mut kept = link.clone();
        if planted::is(Bug::BaseMovedOnSend) {
            mistakes::move_bases(&mut kept, &intent.fields);
        }
        open.confirm = Some(LinkWrite { link: kept, local: LocalBinding::Keep });
        let braked = self.braked();
        let emptied = writes.iter().filter(|write| write.empties);
        open.charges.extend(emptied.map(|write| braked.blanking(link.id, Side::Remote, &write.label)));
        open.charges.extend(braked.update(link.id));
        let charges = open.charges.clone();
        match self.commit_braked(open, intent).await? {
            None => Ok(Some(prepared)),
            Some(judged) => {
                self.note_holds(&charges, &judged);
                let whole = charges
                    .iter()
                    .zip(&judged)
                    .any(|(charge, judged)| charge.brake.kind != BrakeKind::Blanking && !judged.is_free());
                if whole { Err(self.held()) } else { Ok(None) }
            }
        }
    }

    /// The confirmation of an update: always stands, whatever becomes of the row part (rule 21).
    fn confirm(
        &self,
        mut link: Link,
        seen: Seen,
        answered: Answered,
        writes: &[FieldWrite],
        number: u32,
    ) -> (Link, Seen, Unit) {
        let Answered { record: after, told } = answered;
        let mut unit = self.unit();
        unit.intents.push(close(link.id, number, IntentState::Confirmed, "confirmed"));
        let mut changed = BTreeMap::new();
        let mut altered = BTreeMap::new();
        let mut resolved = BTreeMap::new();
        let mut rules = Vec::new();
        let mut view = seen;
        for write in writes {
            // BR is what the remote returned (rule 15); unknown where the answer did not show it.
            let returned = after.fields.get(&write.label).cloned();
            let field = self.pair.mapping.field(&write.label);
            let same = |value: &Value| field.is_some_and(|f| f.same(value, &write.sent));
            let is_another = returned.as_ref().is_some_and(|value| !same(value));
            if let Some(conflict) = link.body.conflicts.remove(&write.label) {
                let change = FieldChange { before: conflict.remote, after: Some(write.sent.clone()) };
                resolved.insert(write.label.clone(), change);
            }
            if write.rule == 24 {
                // It has arrived, and cannot arrive again.
                link.body.late.retain(|l| l.field != write.label);
            }
            flap::remember(&mut link.body.recent, &write.label, Side::Remote, &write.sent, self.now);
            let mut nowhere = FieldBase::default();
            let base = match planted::is(Bug::ConfirmationWaitsForRow) {
                true => &mut nowhere,
                false => link.body.base.entry(write.label.clone()).or_default(),
            };
            base.local = Some(write.local.clone());
            if write.set {
                // The local side takes the value next: as a remote change against the base before.
                base.remote = Some(write.before.clone().unwrap_or(Value::Null));
            } else if planted::is(Bug::EchoNotRecognised) {
                base.remote.clone_from(&write.before);
            } else if is_another && !told && field.is_some_and(|f| f.direction.comes_in()) {
                base.remote = None;
            } else {
                base.remote.clone_from(&returned);
            }
            match &returned {
                Some(value) => {
                    view.fields.set(write.label.clone(), value.clone());
                    if is_another && base.remote.is_some() {
                        let change =
                            FieldChange { before: Some(write.sent.clone()), after: Some(value.clone()) };
                        altered.insert(write.label.clone(), change);
                    }
                }
                None => {
                    view.fields.0.remove(&write.label);
                }
            }
            changed.insert(
                write.label.clone(),
                FieldChange { before: write.before.clone(), after: Some(write.sent.clone()) },
            );
            rules.push(write.rule);
        }
        if planted::is(Bug::WholeAnswerAsBase) {
            mistakes::take_all_as_bases(&mut link, &mut view, &after);
        }
        // Fields that were not in the write are an observation: where they differ the link is due again (rule 16).
        let moved = after.fields.iter().any(|(label, value)| {
            !writes.iter().any(|w| w.label == *label) && view.fields.get(label).is_some_and(|v| v != value)
        });
        // What cannot be read since is told of by the next look.
        let unread = after.refusals.iter().filter(|one| !view.refusals.contains(one)).cloned();
        let unread: Vec<_> = unread.collect();
        if moved || !unread.is_empty() || after.fields.0.is_empty() {
            unit.signals.extend(crate::apply::again(&link, true));
        }
        view.refusals.extend(unread);
        let why = writes.first().map(|w| w.why.clone()).unwrap_or_default();
        unit.history.push(entry(&link, Side::Remote, HistoryOp::Update, changed, rules, why, None));
        if !altered.is_empty() {
            let why = "the service stored another value than was sent".to_owned();
            unit.history.push(entry(&link, Side::Remote, HistoryOp::Altered, altered, vec![15], why, None));
        }
        let late: BTreeMap<_, _> = writes
            .iter()
            .filter(|w| w.rule == 24)
            .map(|w| (w.label.clone(), FieldChange { before: w.before.clone(), after: Some(w.sent.clone()) }))
            .collect();
        if !late.is_empty() {
            let why = "a late echo of our own uncertain write was undone".to_owned();
            unit.history.push(entry(&link, Side::Remote, HistoryOp::Echo, late, vec![24], why, None));
        }
        if !resolved.is_empty() {
            let why = "the conflict is over".to_owned();
            unit.history.push(entry(&link, Side::Remote, HistoryOp::Resolved, resolved, vec![11], why, None));
        }
        if after.changed_at.is_some() {
            view.changed_at = after.changed_at;
        }
        unit.confirm = Some(LinkWrite { link: link.clone(), local: LocalBinding::Keep });
        (link, view, unit)
    }

    /// Builds a write's request without sending it.
    pub(crate) async fn prepare_write(&self, operation: Operation) -> Result<Prepared, Ended> {
        let exchange = match self.pair.resource.start(operation) {
            Ok(exchange) => exchange,
            Err(failure) => return Err(self.failed(&failure).await),
        };
        match prepare(exchange) {
            Ok(prepared) => Ok(prepared),
            Err(Outcome::Failed(failure)) => Err(self.failed(&failure).await),
            Err(_) => Err(self.failed(&read::unexpected("a write")).await),
        }
    }

    /// The intent of a prepared write.
    pub(crate) fn intent(
        &self,
        link: &Link,
        kind: WriteKind,
        id: Option<RemoteId>,
        prepared: &Prepared,
        fields: Vec<SentField>,
        key: String,
    ) -> Intent {
        let stored = StoredRequest { kind, id, request: prepared.call.request.clone() };
        // Not the look's: what it read and looked up first may have taken long.
        let now = self.engine.ports.clock.now();
        Intent {
            link: link.id,
            number: self.taken.next_intent,
            pair: self.pair.id,
            kind: match kind {
                WriteKind::Create => "create".into(),
                WriteKind::Update => "update".into(),
                WriteKind::Delete => "delete".into(),
            },
            request: serde_json::to_value(&stored).unwrap_or_default(),
            fields,
            key,
            state: IntentState::Open,
            at: now,
            service_at: self.engine.connections.service_time(&self.pair.connection),
            sent_at: now,
            outcome: None,
        }
    }

    /// Commits an intent under the lease, which it renews (rule 20). Work rows are not touched: the look goes on.
    pub(crate) async fn commit_intent(&mut self, unit: Unit, intent: Intent) -> Result<(), Ended> {
        let charges = unit.charges.clone();
        match self.commit_braked(unit, intent).await? {
            None => Ok(()),
            Some(judged) => {
                self.note_holds(&charges, &judged);
                Err(self.held())
            }
        }
    }

    /// Does so, or returns what brakes said: then nothing was committed.
    async fn commit_braked(&mut self, mut unit: Unit, intent: Intent) -> Result<Option<Vec<Judged>>, Ended> {
        // A pause takes effect before the next remote call (rule 64).
        unit.unless_paused = self.engine.pausing(&self.pair, intent.link);
        if !planted::is(Bug::NoIntentBeforeCall) {
            unit.intents.push(IntentWrite::Open(Box::new(intent)));
        }
        self.name_order(&mut unit);
        let now = self.engine.ports.clock.now();
        unit.lease =
            LeaseAction::Renew(now + TimeDelta::from_std(self.pair.lease()).unwrap_or(TimeDelta::minutes(2)));
        match self.engine.commits.commit(unit).await {
            Ok(UnitOutcome::Done { link, .. }) => {
                self.leased_at = now;
                self.taken.next_intent += 1;
                if let Some(link) = link {
                    self.taken.link = Some(*link);
                }
                Ok(None)
            }
            Ok(UnitOutcome::Withheld { charges }) => Ok(Some(charges)),
            Ok(UnitOutcome::Paused) => Err(self.paused(true)),
            Ok(UnitOutcome::ClaimLost | UnitOutcome::Aborted) => {
                drop(self.stale("it moved in this moment".into()));
                // The lease goes with it, so that the next look need not wait for its end.
                let mut unit = self.unit();
                unit.work = self.again_soon();
                Err(Box::new(unit))
            }
            // Stale: the final unit will be stale too, and change nothing.
            Ok(_) => {
                self.note_failure("another worker took over", true);
                Err(Box::new(self.unit()))
            }
            Err(error) => {
                self.note_failure("the database failed", true);
                tracing::error!(pair = %self.pair.id, error = %error, "an intent could not be committed; nothing was sent");
                let mut unit = self.unit();
                unit.work =
                    self.again_at(self.now + TimeDelta::seconds(1), Some(error.to_string()), None, true);
                Err(Box::new(unit))
            }
        }
    }

    /// Sends a prepared write whose intent is committed, in the time of the lease (rule 24).
    ///
    /// # Errors
    /// The lease had to be renewed first, and was not.
    pub(crate) async fn send(
        &mut self,
        link: LinkId,
        number: u32,
        prepared: Prepared,
    ) -> Result<Sent, Ended> {
        let now = self.engine.ports.clock.now();
        if now - self.leased_at > FRESH {
            // When it was sent decides when it can no longer arrive.
            let mut unit = self.unit();
            unit.intents.push(IntentWrite::Sent { link, number, at: now });
            self.commit_and_go_on(unit).await?;
        }
        let over = TimeDelta::from_std(self.pair.lease_for_calls()).unwrap_or(TimeDelta::minutes(1));
        let until = self.leased_at + over;
        let answer = self
            .engine
            .run_prepared(&self.pair.connection, Purpose::Live, prepared, self.pair.timeout(), until)
            .await;
        Ok(match answer {
            Ok(Outcome::Record(observed)) => Sent::Record(observed),
            Ok(Outcome::Written { id }) => Sent::Written(id),
            Ok(Outcome::Missing) => Sent::Missing,
            Ok(Outcome::Failed(failure))
                if failure.is_uncertain() && !planted::is(Bug::UncertainTakenForFailed) =>
            {
                Sent::Uncertain(failure.to_string(), Some(failure))
            }
            Ok(Outcome::Failed(failure)) => Sent::Refused(failure),
            Ok(_) => Sent::Uncertain("the answer makes no sense".into(), None),
            Err(
                error @ (SendError::NotSent(_)
                | SendError::Spent(_)
                | SendError::Forbidden(_)
                | SendError::Untrusted(_)),
            ) => Sent::Unsent(error),
            Err(error) if planted::is(Bug::UncertainTakenForFailed) => Sent::Unsent(error),
            Err(error) => Sent::Uncertain(error.to_string(), None),
        })
    }

    /// The unit after a write that was not confirmed.
    pub(crate) async fn unsent(&self, mut link: Link, number: u32, sent: Sent) -> Ended {
        match sent {
            Sent::Refused(failure) => {
                let mut unit = self.failed(&failure).await;
                unit.intents.push(close(link.id, number, IntentState::Refused, &failure.to_string()));
                if failure.class == ErrorClass::Duplicate {
                    unit.work = self.park(
                        bothways_store::ParkReason::Duplicate,
                        format!("the service knows such a record already: {failure}"),
                        "duplicate",
                    );
                }
                unit
            }
            Sent::Unsent(error) => {
                let mut unit = self.silent(&error).await;
                unit.intents.push(close(link.id, number, IntentState::Refused, "never sent"));
                unit
            }
            Sent::Missing => {
                // The record vanished between the read and the write: the absence check decides (rule 44).
                let now = self.engine.ports.clock.now();
                link.body.missing_since.get_or_insert(now);
                let mut unit = self.unit();
                unit.intents.push(close(link.id, number, IntentState::Refused, "the record is not there"));
                unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
                let delay =
                    TimeDelta::from_std(self.engine.settings.absence_delay).unwrap_or(TimeDelta::seconds(15));
                unit.work = self.again_at(now + delay, None, None, true);
                Box::new(unit)
            }
            Sent::Uncertain(why, failure) => {
                let failure = failure.unwrap_or_else(|| Failure::new(ErrorClass::Retry, why.clone()));
                let mut unit =
                    self.failed(&Failure { status: failure.status.or(Some(503)), ..failure }).await;
                // It may have left only now: it waited for its turn.
                let at = self.engine.ports.clock.now();
                unit.intents.push(IntentWrite::Sent { link: link.id, number, at });
                unit.intents.push(close(link.id, number, IntentState::Uncertain, &why));
                unit
            }
            Sent::Record(_) | Sent::Written(_) => Box::new(self.unit()),
        }
    }
}

/// Takes out what is of a merge unit with such a field (rule 10).
fn leave_out(writes: &mut Vec<FieldWrite>, stays: impl Fn(&str) -> bool) {
    let kept: BTreeSet<usize> = writes.iter().filter(|w| stays(&w.label)).map(|w| w.unit).collect();
    writes.retain(|write| !kept.contains(&write.unit));
}

/// The value sent, in the form it is compared with what comes back.
fn sent_value(field: &Field, source: &bothways_model::Record, fallback: Option<&Value>) -> Value {
    let value = source.get(field.local_name()).or(fallback).cloned().unwrap_or(Value::Null);
    field.normalize.apply(&value)
}
