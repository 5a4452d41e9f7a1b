//! Intents whose outcome is unknown: after a crash, a lost answer, a 5xx (rules 20, 23, 24).
//!
//! Resolved before anything else is decided. First a lookup, then a replay of the same bytes under the same key where the service
//! promises idempotency; a new intent only after proved absence.

use crate::Purpose;
use crate::apply::{again, entry};
use crate::calls::prepare;
use crate::decide::{GoneLocal, local_value};
use crate::intents::{altered_history, close, delete_given_up, key_is_kept, late_echoes};
use crate::look::{Ended, Look};
use crate::push::Sent;
use crate::read::{self, Seen};
use bothways_connector::{Operation, Outcome, PageCursor, StoredRequest};
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, FindCapability, Observed, Record, RemoteId};
use bothways_store::{
    FieldChange, History, HistoryOp, Intent, IntentState, IntentWrite, Keep, LeaseAction, Link, LinkWrite,
    LocalBinding, ParkReason, SentField, Side, Unit, UnitOutcome,
};
use chrono::TimeDelta;
use std::collections::BTreeMap;

/// The recover list is read from this much before the intent, since the clocks of one service differ.
const SKEW: TimeDelta = TimeDelta::minutes(10);
/// At most this many pages of a lookup; a window of minutes does not have more.
const PAGES: usize = 200;

/// What a lookup showed.
pub(crate) enum Lookup {
    Found(Observed),
    /// A consistent lookup does not show the record.
    Absent,
    /// Nothing could be proven.
    Unproven,
}

impl Look {
    /// Resolves the link's pending intents, oldest first. Returns the link to go on with.
    pub(crate) async fn resolve_intents(&mut self, mut link: Link) -> Result<Link, Ended> {
        let pending = std::mem::take(&mut self.taken.intents);
        for intent in pending {
            link = match intent.kind.as_str() {
                "create" => self.resolve_create(link, intent).await?,
                "delete" => self.resolve_delete(link, intent).await?,
                _ => self.resolve_update(link, intent).await?,
            };
        }
        // What was pending deserves a look at the remote side, whatever signalled it.
        for work in &mut self.taken.work {
            work.look = true;
        }
        Ok(link)
    }

    /// Commits part of the look and goes on with the link as it then is.
    pub(crate) async fn commit_and_go_on(&mut self, mut unit: Unit) -> Result<Link, Ended> {
        let now = self.engine.ports.clock.now();
        unit.lease =
            LeaseAction::Renew(now + TimeDelta::from_std(self.pair.lease()).unwrap_or(TimeDelta::minutes(2)));
        self.name_order(&mut unit);
        match self.engine.commits.commit(unit).await {
            Ok(UnitOutcome::Done { link: Some(link), .. }) => {
                self.leased_at = now;
                self.taken.link = Some((*link).clone());
                Ok(*link)
            }
            Ok(UnitOutcome::Paused) => Err(self.paused(true)),
            Ok(_) => Err(Box::new(self.unit())),
            Err(error) => {
                tracing::error!(pair = %self.pair.id, error = %error, "a resolved intent could not be committed");
                let mut unit = self.unit();
                unit.work =
                    self.again_at(self.now + TimeDelta::seconds(1), Some(error.to_string()), None, true);
                Err(Box::new(unit))
            }
        }
    }

    /// When a lost request can no longer arrive: twice the call timeout after it was last sent (rule 24). Where nobody lived to tell how
    /// that ended, it may have waited for its turn before.
    fn settled_at(&self, intent: &Intent) -> bothways_model::Timestamp {
        let calls = if intent.state == IntentState::Open { 3 } else { 2 };
        intent.sent_at + TimeDelta::from_std(self.pair.timeout() * calls).unwrap_or(TimeDelta::minutes(1))
    }

    async fn resolve_update(&mut self, mut link: Link, intent: Intent) -> Result<Link, Ended> {
        let Some(id) = link.remote_id.clone() else {
            return self.give_up(link, &intent, "the link has no record").await;
        };
        let seen = match self.get(&id).await? {
            Outcome::Record(observed) if !observed.gone && observed.id == id => {
                read::remote(&self.pair, &observed)
            }
            Outcome::Failed(failure) => return Err(self.failed(&failure).await),
            // Gone, missing or merged: the write is moot, and the look that follows finds out which.
            _ => return self.record_is_gone(link, &intent).await,
        };
        let field = |label: &str| self.pair.mapping.field(label);
        let holds = |label: &str, value: &bothways_model::Value| {
            seen.fields.get(label).zip(field(label)).is_some_and(|(shown, field)| field.same(shown, value))
        };
        let confirmed = intent.fields.iter().all(|f| holds(&f.field, &f.sent));
        if confirmed {
            return self.carried_out(link, &intent, Some(&seen.fields), "found carried out").await;
        }
        let untouched = intent.fields.iter().all(|f| {
            let base = link.body.base.get(&f.field).and_then(|b| b.remote.as_ref());
            // What the write was decided on; where neither is known, nothing may be there.
            match f.before.as_ref().or(base) {
                Some(known) => holds(&f.field, known),
                None => {
                    seen.fields.get(&f.field).is_none()
                        && !seen.refusals.iter().any(|(label, _)| *label == f.field)
                }
            }
        });
        // Bytes that hold more than what changed may be older than the rest of the record, unless the service compares versions.
        let can = self.pair.capabilities();
        let stale = can.update_overwrites && !can.update_is_conditional;
        if untouched
            && !stale
            && key_is_kept(&intent, self.pair.capabilities().idempotency.as_ref(), self.now)
        {
            let seen = (!can.update_is_conditional).then_some(&seen);
            return match self.replay(&link, &intent, seen).await? {
                // Confirmed under its own key; the look that follows reads what has become of it.
                Sent::Record(observed) => {
                    let shown = read::remote(&self.pair, &observed).fields;
                    self.carried_out(link, &intent, Some(&shown), "confirmed when sent again").await
                }
                Sent::Written(_) => self.carried_out(link, &intent, None, "confirmed when sent again").await,
                other => self.after_replay(link, &intent, other).await,
            };
        }
        if self.now < self.settled_at(&intent) {
            return Err(self.wait_until_settled(&intent));
        }
        // Some of its fields hold what was sent and held something else before: it was carried out, and somebody changed others since.
        let (partly, rest): (Vec<_>, Vec<_>) =
            intent.fields.iter().cloned().partition(|f| {
                holds(&f.field, &f.sent) && f.before.as_ref().is_none_or(|b| !holds(&f.field, b))
            });
        let mut unit = self.unit();
        if !partly.is_empty() {
            let how = "found carried out, and changed since";
            unit.history.push(self.confirm_sent(&mut link, &partly, Some(&seen.fields), how));
        }
        // Should it arrive yet, this is what it replaces, and nobody may be there to notice.
        let of = |f: &SentField| {
            let change = FieldChange { before: Some(f.before.clone()?), after: Some(f.sent.clone()) };
            Some((f.field.clone(), change))
        };
        let late: BTreeMap<String, FieldChange> = rest.iter().filter_map(of).collect();
        if !late.is_empty() {
            let why = "an update was given up; this is what it replaces if it arrives late".to_owned();
            unit.history.push(entry(&link, Side::Remote, HistoryOp::Echo, late, vec![24], why, None));
        }
        if !planted::is(Bug::LateEchoForgotten) {
            link.body.late.extend(late_echoes(&Intent { fields: rest, ..intent.clone() }, self.now));
        }
        unit.intents.push(close(
            link.id,
            intent.number,
            IntentState::Abandoned,
            "was not carried out as sent",
        ));
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        self.commit_and_go_on(unit).await
    }

    /// An update that was carried out, whatever became of its answer. `shown` is what the remote side holds now, if it was read since.
    async fn carried_out(
        &mut self,
        mut link: Link,
        intent: &Intent,
        shown: Option<&Record>,
        how: &str,
    ) -> Result<Link, Ended> {
        let mut unit = self.unit();
        unit.history.push(self.confirm_sent(&mut link, &intent.fields, shown, how));
        unit.history.extend(altered_history(&self.pair.mapping, &link, &intent.fields, shown));
        unit.intents.push(close(link.id, intent.number, IntentState::Confirmed, how));
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        self.commit_and_go_on(unit).await
    }

    /// Moves the bases of fields that were carried out. History names what the write replaced and the rule that let it, as if the answer
    /// had come.
    fn confirm_sent(
        &self,
        link: &mut Link,
        fields: &[SentField],
        shown: Option<&Record>,
        how: &str,
    ) -> History {
        let mapping = &self.pair.mapping;
        let mut changed = BTreeMap::new();
        let mut rules = vec![20];
        for sent in fields {
            // A reference is sent as another value than the row holds, whoever chose it.
            let chosen = link.body.conflicts.get(&sent.field).and_then(|conflict| conflict.choice.as_ref());
            let typed = mapping.field(&sent.field).is_some_and(|f| match f.reference {
                Some(_) => chosen.is_some_and(|choice| matches!(choice.keep, Keep::Value(_))),
                None => !mapping.same(f, &sent.sent, &sent.local),
            });
            let base = link.body.base.entry(sent.field.clone()).or_default();
            let before = sent.before.clone().or(base.remote.take());
            base.local = Some(sent.local.clone());
            base.remote = match shown {
                // A value that a person typed, not the local one: the local side takes it next, as a remote change.
                _ if typed => before.clone(),
                Some(shown) => shown.get(&sent.field).cloned(),
                None => Some(sent.sent.clone()),
            };
            link.body.conflicts.remove(&sent.field);
            rules.extend(sent.rule);
            changed.insert(sent.field.clone(), FieldChange { before, after: Some(sent.sent.clone()) });
        }
        let why = format!("an earlier write was {how}");
        entry(link, Side::Remote, HistoryOp::Update, changed, rules, why, None)
    }

    async fn resolve_delete(&mut self, mut link: Link, intent: Intent) -> Result<Link, Ended> {
        let Some(id) = link.remote_id.clone() else {
            return self.give_up(link, &intent, "the link has no record").await;
        };
        let seen = match self.get(&id).await? {
            Outcome::Record(observed) if !observed.gone => read::remote(&self.pair, &observed),
            Outcome::Failed(failure) => return Err(self.failed(&failure).await),
            _ => {
                let (gone, reused) = self.local_side(&link);
                // The row is back by now: what becomes of one without its record is the next look's (rule 34).
                let back = if gone.is_none() { again(&link, true) } else { Vec::new() };
                let gone = gone.unwrap_or(GoneLocal::Archived);
                let mut unit = self.deleted_remotely(link, &Default::default(), gone, intent.number);
                unit.signals.extend(back);
                unit.signals.extend(self.next_of_id(reused));
                return Err(Box::new(unit));
            }
        };
        // What somebody has changed since is decided about anew (rule 33).
        let untouched = self.is_alike(&seen.fields, |label| link.body.base.get(label)?.remote.as_ref());
        if key_is_kept(&intent, self.pair.capabilities().idempotency.as_ref(), self.now)
            && self.taken.row.is_none()
            && untouched
        {
            return match self.replay(&link, &intent, Some(&seen)).await? {
                Sent::Record(_) | Sent::Written(_) | Sent::Missing => Err(Box::new(self.deleted_remotely(
                    link,
                    &seen.fields,
                    GoneLocal::Deleted,
                    intent.number,
                ))),
                other => self.after_replay(link, &intent, other).await,
            };
        }
        if self.now < self.settled_at(&intent) {
            return Err(self.wait_until_settled(&intent));
        }
        // Should it arrive yet, nothing can keep it from the record, and nobody may be there to notice.
        let mut unit = self.unit();
        unit.history.push(delete_given_up(&mut link, &seen.fields, self.now));
        self.give_up_with(unit, link, &intent, "was not carried out").await
    }

    async fn resolve_create(&mut self, link: Link, intent: Intent) -> Result<Link, Ended> {
        if link.remote_id.is_some() {
            return self.give_up(link, &intent, "the link has a record already").await;
        }
        let lookup = self.look_up(&link, &intent).await?;
        if let Lookup::Found(observed) = lookup {
            let why = "an earlier create was found carried out";
            return self.bind_found(link, &intent, observed, why).await;
        }
        let row_is_gone = self.row_went_after(&intent);
        let replayable = key_is_kept(&intent, self.pair.capabilities().idempotency.as_ref(), self.now);
        if replayable && !row_is_gone {
            return match self.replay(&link, &intent, None).await? {
                Sent::Record(observed) => {
                    self.bind_created(link, &intent, &observed, "confirmed when sent again").await
                }
                Sent::Written(Some(id)) => {
                    self.bind_id(link, &intent, id, None, "confirmed when sent again").await
                }
                // A failure that the service saved under the key: it says nothing about the record, which was just looked up.
                Sent::Uncertain(_, Some(failure)) if failure.replayed && matches!(lookup, Lookup::Absent) => {
                    self.give_up(link, &intent, "the service saved a failure and has no such record").await
                }
                other => self.after_replay(link, &intent, other).await,
            };
        }
        if self.now < self.settled_at(&intent) {
            return Err(self.wait_until_settled(&intent));
        }
        if matches!(lookup, Lookup::Absent) {
            return self.give_up(link, &intent, "proven not to have arrived").await;
        }
        let mut unit = self.unit();
        let why = "whether the record was created cannot be told: look for it at the service, then link it or replay";
        unit.work = self.park(ParkReason::Uncertain, why, "uncertain-create");
        Err(Box::new(unit))
    }

    /// Whether the row of a create is gone, or its id another record's by now: then it must not be created any more (rules 23, 30).
    pub(crate) fn row_went_after(&self, create: &Intent) -> bool {
        let Some(row) = &self.taken.row else { return true };
        let mapping = &self.pair.mapping;
        let matching = &mapping.identity.matching;
        let same = |sent: &SentField| {
            let field = mapping.field(&sent.field);
            let value = field.and_then(|field| local_value(field, &row.fields));
            field.zip(value).is_some_and(|(field, value)| mapping.same(field, value, &sent.local))
        };
        let by_match = mapping.match_key(&mapping.read_local(&row.fields)).is_some();
        let mut told = create.fields.iter().filter(|sent| !by_match || matching.contains(&sent.field));
        self.deleted().is_some() && !told.all(same)
    }

    fn wait_until_settled(&self, intent: &Intent) -> Ended {
        let mut unit = self.unit();
        unit.work = self.again_at(self.settled_at(intent), None, None, true);
        Box::new(unit)
    }

    /// Sends the stored bytes again, to a record that is as it was seen. Whatever follows, they have been sent at this time.
    async fn replay(&mut self, link: &Link, intent: &Intent, seen: Option<&Seen>) -> Result<Sent, Ended> {
        let at = self.engine.ports.clock.now();
        let Ok(mut stored) = serde_json::from_value::<StoredRequest>(intent.request.clone()) else {
            let mut unit = self.unit();
            unit.work = self.park(
                ParkReason::Uncertain,
                "the stored request of an earlier write cannot be read",
                "unreadable",
            );
            return Err(Box::new(unit));
        };
        let mut unit = self.unit();
        unit.unless_paused = self.engine.pausing(&self.pair, link.id);
        unit.intents.push(IntentWrite::Sent {
            link: link.id,
            number: intent.number,
            at: self.engine.ports.clock.now(),
        });
        self.commit_and_go_on(unit).await?;
        if let (Some(id), Some(seen)) = (&link.remote_id, seen)
            && !self.is_as_seen(id, seen, at).await
        {
            let mut unit = self.unit();
            unit.work = self.again_soon();
            return Err(Box::new(unit));
        }
        if planted::is(Bug::RandomKeyPerAttempt) {
            self.take_another_key(&mut stored);
        }
        if planted::is(Bug::ReplayWithNewBytes) {
            self.take_present_values(&mut stored, intent);
        }
        match prepare(self.pair.resource.resume(stored)) {
            Ok(prepared) => self.send(link.id, intent.number, prepared).await,
            Err(Outcome::Failed(failure)) => Err(self.failed(&failure).await),
            Err(_) => Err(self.failed(&read::unexpected("a replay")).await),
        }
    }

    async fn after_replay(&mut self, link: Link, intent: &Intent, sent: Sent) -> Result<Link, Ended> {
        if let Some(waits) = self.refers_to_gone((link.id, intent.number), &sent, &intent.fields).await {
            return Err(waits);
        }
        match sent {
            // A failure that the service saved under the key, of an update or delete that was just seen not to have happened: the key
            // can only repeat it, so a new intent may follow.
            Sent::Uncertain(_, Some(failure))
                if failure.replayed && link.remote_id.is_some() && !planted::is(Bug::SavedFailureRetried) =>
            {
                self.give_up(link, intent, "the service saved a failure and did not carry it out").await
            }
            Sent::Missing => self.record_is_gone(link, intent).await,
            // Throttled, or never sent: the intent stays as uncertain as it was.
            Sent::Unsent(error) => Err(self.silent(&error).await),
            Sent::Refused(failure) if failure.class == ErrorClass::Throttle => {
                Err(self.failed(&failure).await)
            }
            Sent::Refused(failure) if matches!(failure.class, ErrorClass::Auth | ErrorClass::Forbidden) => {
                Err(self.failed(&failure).await)
            }
            Sent::Refused(failure) => {
                let mut unit = self.failed(&failure).await;
                unit.intents.push(close(link.id, intent.number, IntentState::Refused, &failure.to_string()));
                Err(unit)
            }
            Sent::Uncertain(why, failure) => {
                let failure = failure.unwrap_or_else(|| Failure::new(ErrorClass::Retry, why));
                Err(self.failed(&failure).await)
            }
            Sent::Record(_) | Sent::Written(_) => Ok(link),
        }
    }

    /// Nobody can tell any more whether the write was carried out. History names what it replaced if it was (invariant 2), and what it
    /// sent is our own late echo if the record comes back with it (rule 24).
    async fn record_is_gone(&mut self, mut link: Link, intent: &Intent) -> Result<Link, Ended> {
        let mut unit = self.unit();
        if !intent.fields.is_empty() {
            let base = |label: &str| link.body.base.get(label).and_then(|base| base.remote.clone());
            let change = |sent: &SentField| FieldChange {
                before: sent.before.clone().or_else(|| base(&sent.field)),
                after: Some(sent.sent.clone()),
            };
            let changed = intent.fields.iter().map(|sent| (sent.field.clone(), change(sent))).collect();
            let rules = intent.fields.iter().filter_map(|sent| sent.rule).chain([20]).collect();
            let why = "an earlier write, if it was carried out before its record went".to_owned();
            unit.history.push(entry(&link, Side::Remote, HistoryOp::Update, changed, rules, why, None));
        }
        if link.remote_id.is_some() && !planted::is(Bug::LateEchoForgotten) {
            link.body.late.extend(late_echoes(intent, self.now));
        }
        self.give_up_with(unit, link, intent, "the record is not there any more").await
    }

    async fn give_up(&mut self, link: Link, intent: &Intent, why: &str) -> Result<Link, Ended> {
        self.give_up_with(self.unit(), link, intent, why).await
    }

    async fn give_up_with(
        &mut self,
        mut unit: Unit,
        mut link: Link,
        intent: &Intent,
        why: &str,
    ) -> Result<Link, Ended> {
        // A create by our own key that arrives after all is an update of whatever a later one made (rule 24).
        if intent.kind == "create" && self.pair.capabilities().upsert {
            link.body.late.extend(late_echoes(intent, self.now));
        }
        unit.intents.push(close(link.id, intent.number, IntentState::Abandoned, why));
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        self.commit_and_go_on(unit).await
    }

    async fn bind_created(
        &mut self,
        link: Link,
        intent: &Intent,
        observed: &Observed,
        why: &str,
    ) -> Result<Link, Ended> {
        let seen = read::remote(&self.pair, observed);
        self.bind_id(link, intent, observed.id.clone(), Some(seen.fields), why).await
    }

    /// Binds what a lookup showed. A user may have edited it since: what we know of it is what we sent, the rest is a remote change.
    pub(crate) async fn bind_found(
        &mut self,
        link: Link,
        intent: &Intent,
        observed: Observed,
        why: &str,
    ) -> Result<Link, Ended> {
        let sent = intent.fields.iter().map(|f| (f.field.clone(), f.sent.clone())).collect();
        self.bind_id(link, intent, observed.id, Some(sent), why).await
    }

    /// Binds what a create brought about.
    async fn bind_id(
        &mut self,
        mut link: Link,
        intent: &Intent,
        id: RemoteId,
        shown: Option<Record>,
        why: &str,
    ) -> Result<Link, Ended> {
        let holder = self.engine.store.links_of_remote(self.pair.id, std::slice::from_ref(&id)).await;
        if let Ok(links) = holder
            && links.into_iter().flatten().any(|l| l.id != link.id && l.state.is_live())
        {
            return Err(Box::new(self.made_for_another(link, intent, &id)));
        }
        link.remote_id = Some(id);
        link.body.created_by_us = true;
        crate::created::created_bases(&mut link, &intent.fields, shown.as_ref());
        let mut unit = self.unit();
        unit.intents.push(close(link.id, intent.number, IntentState::Confirmed, why));
        unit.history.push(crate::created::created_history(&link, &intent.fields, why));
        unit.history.extend(altered_history(&self.pair.mapping, &link, &intent.fields, shown.as_ref()));
        unit.signals.extend(again(&link, true));
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        self.commit_and_go_on(unit).await
    }

    /// Looks for the record that an uncertain create may have made.
    pub(crate) async fn look_up(&mut self, link: &Link, intent: &Intent) -> Result<Lookup, Ended> {
        if planted::is(Bug::StampNotLookedUp) {
            return Ok(Lookup::Absent);
        }
        let stamp = link.id.to_string();
        let capabilities = self.pair.capabilities().clone();
        let stamped = self.pair.mapping.identity.stamp.is_some();
        if capabilities.recover && stamped {
            let since = intent.service_at.unwrap_or(intent.at) - SKEW;
            match self.scan(&stamp, |page| Some(Operation::Recover { since, page })).await? {
                Lookup::Unproven => {}
                proven => return Ok(proven),
            }
        }
        // Whoever finds records by the stamp itself needs nothing of what was sent, which a user may have changed since.
        let by_stamp = |find: &&FindCapability| self.pair.mapping.identity.stamp.as_ref() == Some(&find.path);
        if let Some(find) = capabilities.find.iter().find(by_stamp)
            && !planted::is(Bug::StampItselfNotLookedUp)
        {
            let lookup = |page: Option<PageCursor>| match page {
                None => Some(Operation::Find { path: find.path.clone(), value: stamp.clone() }),
                Some(_) => None,
            };
            match self.scan(&stamp, lookup).await? {
                Lookup::Found(observed) => return Ok(Lookup::Found(observed)),
                Lookup::Absent if find.consistent => return Ok(Lookup::Absent),
                _ => {}
            }
        }
        for find in &capabilities.find {
            let Some(field) = self.pair.mapping.fields.iter().find(|f| f.read.singular() == Some(&find.path))
            else {
                continue;
            };
            let Some(sent) = intent.fields.iter().find(|f| f.field == field.label) else { continue };
            // As it went out: that is what the service has. What takes more than this one value to say is not looked up.
            let value = match field.lens.out(&sent.sent, &Record::new()) {
                Ok(serde_json::Value::String(wire)) => wire,
                Ok(serde_json::Value::Number(wire)) => wire.to_string(),
                _ => continue,
            };
            let path = find.path.clone();
            let lookup = |page: Option<PageCursor>| match page {
                None => Some(Operation::Find { path: path.clone(), value: value.clone() }),
                Some(_) => None,
            };
            match self.scan(&stamp, lookup).await? {
                Lookup::Found(observed) => return Ok(Lookup::Found(observed)),
                Lookup::Absent if find.consistent && stamped => return Ok(Lookup::Absent),
                _ => {}
            }
        }
        Ok(Lookup::Unproven)
    }

    /// Walks a lookup's pages for the record with our stamp. A refused lookup proves nothing and parks nothing; nor does one that
    /// has more pages than `operation` can ask for.
    async fn scan(
        &self,
        stamp: &str,
        operation: impl Fn(Option<PageCursor>) -> Option<Operation>,
    ) -> Result<Lookup, Ended> {
        let mut page = None;
        for _ in 0..PAGES {
            let on_the_way = page.is_some();
            let Some(Ok(exchange)) = operation(page.take()).map(|o| self.pair.resource.start(o)) else {
                return Ok(Lookup::Unproven);
            };
            let answer =
                self.engine.run(&self.pair.connection, Purpose::Live, exchange, self.pair.timeout()).await;
            let shown = match answer {
                Ok(Outcome::Page(shown)) => shown,
                // The record that the page follows is gone: from the top.
                Ok(Outcome::Failed(failure)) if failure.class == ErrorClass::Expired && on_the_way => {
                    continue;
                }
                Ok(Outcome::Failed(failure))
                    if matches!(
                        failure.class,
                        ErrorClass::Invalid
                            | ErrorClass::Missing
                            | ErrorClass::Forbidden
                            | ErrorClass::Expired
                    ) =>
                {
                    return Ok(Lookup::Unproven);
                }
                Ok(Outcome::Failed(failure)) => return Err(self.failed(&failure).await),
                Ok(_) => return Ok(Lookup::Unproven),
                Err(error) => return Err(self.silent(&error).await),
            };
            let found = shown
                .items
                .into_iter()
                .find(|i| !i.gone && self.pair.mapping.stamp_of(&i.body) == Some(stamp));
            if let Some(observed) = found {
                return Ok(Lookup::Found(observed));
            }
            match shown.next {
                Some(next) => page = Some(next),
                None => return Ok(Lookup::Absent),
            }
        }
        Ok(Lookup::Unproven)
    }
}
