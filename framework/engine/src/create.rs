//! Records without a link: matched, adopted or created on the other side (rules 22, 25 to 27).
//!
//! Claim before acting: the claim is a link inserted already leased, in one transaction with the intent (outward) or with the row
//! (inward), so that two workers can never both create.

use crate::ConnectionState;
use crate::adopt::ambiguous_entry;
use crate::apply::{Scene, entry, settle};
use crate::contact::is_awaited;
use crate::created::{created_bases, created_history, leaves};
use crate::decide::{Translated, local_value};
use crate::events::look_at;
use crate::intents::{altered_history, close, key_of};
use crate::look::{Ended, Look};
use crate::plan::items;
use crate::push::Sent;
use crate::read::{self, Seen};
use crate::references::{Asked, NoRecord, NoRow, refer_in, refer_out};
use bothways_connector::{Operation, Outcome, WriteKind};
use bothways_mapping::mapping::CreatePolicy;
use bothways_mapping::{Direction, Field, Mapping};
use bothways_model::planted::{self, Bug};
use bothways_model::{LinkId, LocalId, LocalRow, Mode, Observed, Record, RemoteId, Timestamp, Value};
use bothways_store::{
    FieldChange, Group, GroupMember, Guard, HistoryOp, IntentState, Key, KeyWrite, Lease, LeaseAction, Link,
    LinkBody, LinkState, LinkWrite, LocalBinding, ParkReason, RowWrite, SentField, Settled, Side, Signal,
    Subject, Unit,
};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A new link, leased under `token`.
pub(crate) fn new_link(
    pair: &crate::PairRuntime,
    id: LinkId,
    account: &ConnectionState,
    lease: Option<Lease>,
    now: Timestamp,
) -> Link {
    let (account, mode) = match account {
        ConnectionState::Ready { account, mode } => (account.clone(), *mode),
        _ => (None, Mode::Unknown),
    };
    Link {
        id,
        pair: pair.id,
        local_id: None,
        remote_id: None,
        account,
        mode,
        state: LinkState::Linked,
        body: LinkBody::default(),
        created_at: now,
        updated_at: now,
        in_step_at: None,
        lease,
    }
}

/// The fields of a row that a remote record makes, or why it cannot.
pub(crate) fn new_row(mapping: &Mapping, seen: &Seen, id: &RemoteId) -> Result<Record, NoRow> {
    if let Some((label, why)) = seen.refusals.first() {
        return Err(format!("field `{label}`: {why}").into());
    }
    let mut row = mapping.to_row(&seen.fields);
    refer_in(mapping, seen, &mut row)?;
    for (name, value) in &mapping.on_create.local {
        row.set(name.clone(), value.clone());
    }
    if let Some(field) = &mapping.identity.remote_id
        && let Some(ty) = mapping.catalog.field(field).map(|f| &f.ty)
    {
        let value = Value::from_text(ty, id.as_str()).map_err(|e| format!("field `{field}`: {e}"))?;
        row.set(field.clone(), value);
    }
    for field in &mapping.fields {
        let value = row.get(field.local_name());
        if field.required && field.direction.comes_in() && value.is_none_or(Value::is_blank) {
            return Err(format!("field `{}` is required and empty", field.label).into());
        }
    }
    for field in mapping.catalog.given_fields().filter(|field| !field.optional) {
        let mapped = mapping.fields.iter().any(|f| f.local_name() == field.name && f.direction.comes_in());
        if mapped && row.get(&field.name).is_none_or(Value::is_null) {
            return Err(format!(
                "field `{}` is not optional in catalog `{}` and empty",
                field.name, mapping.catalog.name
            )
            .into());
        }
    }
    Ok(row)
}

impl Look {
    pub(crate) async fn unlinked(&mut self) -> Result<Unit, Ended> {
        let ordered = self.order.as_ref().and_then(|order| order.subject.clone());
        let subject = ordered.or_else(|| self.taken.work.first().map(|w| w.subject.clone()));
        match subject {
            Some(Subject::Local(id)) => match self.taken.row.clone() {
                Some(row) if row.deleted_at.is_none() => self.unlinked_row(row).await,
                _ => {
                    let mut unit = self.unit();
                    unit.keys.push(KeyWrite::Drop { pair: self.pair.id, side: Side::Local, id: id.0 });
                    unit.work = self.done();
                    Ok(unit)
                }
            },
            Some(Subject::Remote(id)) => {
                let twin = self.look_at_twin().await?;
                let mut unit = self.unlinked_record(id).await?;
                unit.signals.extend(twin);
                Ok(unit)
            }
            Some(Subject::Group(_)) | None => {
                let mut unit = self.unit();
                unit.work = self.done();
                Ok(unit)
            }
        }
    }

    pub(crate) fn nothing(&self) -> Unit {
        let mut unit = self.unit();
        unit.work = self.done();
        unit
    }

    /// The key of a row or record. Numbered by this look's token.
    pub(crate) fn key(&self, side: Side, id: &str, value: Option<String>) -> KeyWrite {
        KeyWrite::Put(Key {
            pair: self.pair.id,
            side,
            id: id.to_owned(),
            value,
            seen: self.taken.token,
            content: None,
        })
    }

    async fn unlinked_row(&mut self, row: LocalRow) -> Result<Unit, Ended> {
        let mapping = self.pair.mapping.clone();
        if !mapping.local_in_scope(&row.fields) {
            return Ok(self.nothing());
        }
        if let Some(id) = crate::named::held(&self.pair, &row)
            && let Some(unit) = self.adopt_named(&row, id).await?
        {
            return Ok(unit);
        }
        if let Some(value) = mapping.match_key(&mapping.read_local(&row.fields)) {
            let put = self.key(Side::Local, row.id.as_str(), Some(value.clone()));
            let group = self.group(put, &value).await?;
            if is_linked(&group.local, row.id.as_str()) {
                return Ok(self.linked_meanwhile());
            }
            let locals = group.local.iter().filter(|m| m.key.id != row.id.0).count();
            match (locals, group.remote.as_slice()) {
                (0, []) => {}
                (0, [one]) if !one.is_linked() => {
                    let id = RemoteId(one.key.id.clone());
                    return self.adopt_record(row, id).await;
                }
                _ => return self.ambiguous(&group, &value).await,
            }
            let found = match planted::is(Bug::CreateWithoutFind) {
                true => Vec::new(),
                false => self.find(&row, &value).await?,
            };
            match found.as_slice() {
                [] => {}
                [one] => return self.adopt(row, one.clone()).await,
                _ => return self.ambiguous(&group, &value).await,
            }
        } else {
            let put = self.key(Side::Local, row.id.as_str(), None);
            self.put_key(put).await?;
        }
        match mapping.creates.from_local {
            CreatePolicy::Ignore => Ok(self.nothing()),
            CreatePolicy::Manual => {
                let mut unit = self.unit();
                unit.work = self.park(
                    ParkReason::Create,
                    "a new row; creating it remotely is left to a person",
                    "create-remote",
                );
                Ok(unit)
            }
            CreatePolicy::Create => {
                let link = LinkId(self.engine.ports.random.uuid(self.now));
                let account = self.engine.connection_state(&self.pair.connection);
                let lease = Lease { token: self.taken.token, until: self.taken.until };
                let mut link = new_link(&self.pair, link, &account, Some(lease), self.now);
                link.local_id = Some(row.id.clone());
                self.send_create(link, row, true).await
            }
        }
    }

    /// It had no link when it was taken, and has one now: the next look is at that.
    fn linked_meanwhile(&self) -> Unit {
        self.note_failure("it moved in this moment", true);
        let mut unit = self.unit();
        unit.work = self.again_soon();
        unit
    }

    pub(crate) async fn put_key(&self, put: KeyWrite) -> Result<(), Ended> {
        match self.engine.store.write_keys(std::slice::from_ref(&put)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    pub(crate) async fn group(&self, put: KeyWrite, value: &str) -> Result<Group, Ended> {
        self.put_key(put).await?;
        match self.engine.store.groups_of(self.pair.id, &[value.to_owned()]).await {
            Ok(mut groups) => {
                Ok(groups.pop().unwrap_or(Group { value: None, remote: vec![], local: vec![] }))
            }
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// One entry for the whole group, nothing linked (rule 27).
    pub(crate) async fn ambiguous(&self, group: &Group, value: &str) -> Result<Unit, Ended> {
        if self.order.is_some() {
            return Err(self.stale("there is more than one candidate by now".into()));
        }
        let parked = ambiguous_entry(group, self.now);
        match self.engine.store.park_group(self.pair.id, value, &parked).await {
            Ok(()) => Ok(self.nothing()),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    async fn unlinked_record(&mut self, id: RemoteId) -> Result<Unit, Ended> {
        let mapping = self.pair.mapping.clone();
        let observed = match self.get(&id).await? {
            Outcome::Record(observed) if !observed.gone => observed,
            Outcome::Failed(failure) => return Err(self.failed(&failure).await),
            _ => {
                let mut unit = self.nothing();
                unit.keys.push(KeyWrite::Drop { pair: self.pair.id, side: Side::Remote, id: id.0 });
                return Ok(unit);
            }
        };
        if observed.id != id {
            let mut unit = self.nothing();
            unit.signals.push(Signal {
                pair: self.pair.id,
                subject: Subject::Remote(observed.id),
                look: true,
                not_before: None,
            });
            return Ok(unit);
        }
        if !mapping.remote_in_scope(&observed.body) {
            return Ok(self.nothing());
        }
        let new = planted::is(Bug::OwnCreateTakenForNew);
        if !new && let Some(unit) = self.stamped(&observed).await? {
            return Ok(unit);
        }
        let seen = read::remote(&self.pair, &observed);
        if !new && self.awaits_create(&seen.fields).await? {
            self.note_failure("it may be what a create under way brings", true);
            let mut unit = self.unit();
            let wait = TimeDelta::from_std(self.pair.timeout()).unwrap_or(TimeDelta::seconds(30));
            unit.work = self.again_at(self.now + wait.min(TimeDelta::seconds(2)), None, None, true);
            return Ok(unit);
        }
        let seen = self.refer(seen, None, None).await?;
        let value = mapping.match_key(&seen.fields);
        let put = self.key(Side::Remote, observed.id.as_str(), value.clone());
        if let Some(value) = value {
            let group = self.group(put, &value).await?;
            if is_linked(&group.remote, observed.id.as_str()) {
                return Ok(self.linked_meanwhile());
            }
            let others = group.remote.iter().filter(|m| m.key.id != observed.id.0).count();
            match (others, group.local.as_slice()) {
                (0, []) => {}
                (0, [one]) if !one.is_linked() => {
                    return self.adopt_row(LocalId(one.key.id.clone()), observed).await;
                }
                _ => return self.ambiguous(&group, &value).await,
            }
        } else {
            self.put_key(put).await?;
        }
        match mapping.creates.from_remote {
            CreatePolicy::Ignore => Ok(self.nothing()),
            CreatePolicy::Manual => {
                let mut unit = self.unit();
                unit.work = self.park(
                    ParkReason::Create,
                    "a new record; creating its row is left to a person",
                    "create-local",
                );
                Ok(unit)
            }
            CreatePolicy::Create => {
                self.permit(|| items::create_local(&mapping, &observed.id, &seen))?;
                let account = self.engine.connection_state(&self.pair.connection);
                let link = LinkId(self.engine.ports.random.uuid(self.now));
                match insertion(
                    &self.pair,
                    &account,
                    link,
                    self.taken.token,
                    &observed,
                    &seen,
                    self.now,
                    None,
                ) {
                    Ok(mut unit) => {
                        unit.work = self.done();
                        Ok(unit)
                    }
                    Err(no) => Ok(self.no_row(no).await),
                }
            }
        }
    }

    /// Whether this record may be what a create under way is about to bring (rule 25).
    async fn awaits_create(&self, fields: &Record) -> Result<bool, Ended> {
        let intents = match self.engine.store.creates_in_flight(self.pair.id, 1000).await {
            Ok(intents) => intents,
            Err(error) => return Err(self.store_trouble(&error)),
        };
        Ok(intents.iter().any(|intent| is_awaited(&self.pair.mapping, intent, fields)))
    }

    /// Creates the remote record of a row: claim (if the link is new) and intent in one commit, then the call.
    pub(crate) async fn send_create(
        &mut self,
        mut link: Link,
        row: LocalRow,
        claim: bool,
    ) -> Result<Unit, Ended> {
        let mapping = self.pair.mapping.clone();
        let asked = Asked { local: Some(&row.fields), ..Asked::default() };
        let references = self.ask(asked).await?;
        self.permit(|| items::create_remote(&mapping, &row.id, &row.fields, &references))?;
        let referred = match refer_out(&mapping, &row.fields, &references) {
            Ok(referred) => referred,
            Err(NoRecord::Waits(label, key)) => return Ok(self.waiting(&label, Side::Local, &key).await),
            Err(NoRecord::Untold(why)) => {
                let mut unit = self.unit();
                unit.signals.extend(self.look_for_row());
                unit.work = self.park(ParkReason::Refused, why, "create-remote-refused");
                return Ok(unit);
            }
        };
        let mut body = match mapping.new_remote(&referred) {
            Ok(body) => body,
            Err(refusals) => {
                let why = refusals
                    .iter()
                    .map(|(label, why)| format!("field `{label}`: {why}"))
                    .collect::<Vec<_>>()
                    .join("; ");
                let mut unit = self.unit();
                unit.work = self.park(ParkReason::Refused, why, "create-remote-refused");
                return Ok(unit);
            }
        };
        if let Some(path) = &mapping.identity.stamp
            && !planted::is(Bug::StampNotSet)
            && let Err(error) = path.set(&mut body, serde_json::Value::String(link.id.to_string()))
        {
            let mut unit = self.unit();
            unit.work = self.park(ParkReason::Refused, error.to_string(), "create-remote-refused");
            return Ok(unit);
        }
        let number = self.taken.next_intent;
        let key = key_of(self.pair.id, link.id, number);
        let operation = Operation::Create { fields: leaves(&body), key: key.clone() };
        let prepared = self.prepare_write(operation).await?;
        let sent: Vec<SentField> = mapping
            .fields
            .iter()
            .filter(|f| f.direction != Direction::In && f.write.is_some())
            .filter_map(|f| {
                let local = local_value(f, &row.fields)?.clone();
                let value = local_value(f, &referred)?;
                let sent = f.normalize.apply(value);
                // It comes later, once what it refers to is linked.
                if f.reference.is_some() && value.is_null() && !local.is_null() {
                    return None;
                }
                Some(SentField { field: f.label.clone(), sent, local, before: None, rule: None })
            })
            .collect();
        let intent = self.intent(&link, WriteKind::Create, None, &prepared, sent.clone(), key);
        link.body.created_by_us = true;
        let mut open = if claim { Unit::new(Guard::Claim(Box::new(link.clone()))) } else { self.unit() };
        open.only_new = claim;
        if claim {
            // The claim re-checks: nothing is sent for a row that went or changed meanwhile (rule 27).
            let expect: Record = mapping
                .fields
                .iter()
                .filter_map(|f| Some((f.local_name().to_owned(), row.fields.get(f.local_name())?.clone())))
                .collect();
            open.settle = Some(Arc::new(move |now, _| Settled {
                abort: !now.is_some_and(|now| {
                    now.deleted_at.is_none()
                        && expect.iter().all(|(name, value)| now.fields.get(name) == Some(value))
                }),
                ..Settled::default()
            }));
            open.keys.push(KeyWrite::Linked { pair: self.pair.id, side: Side::Local, id: row.id.0.clone() });
            open.charges.extend(self.create_charge(&row.id).await?);
            open.work = self.deletes_before();
        } else {
            open.confirm = Some(LinkWrite { link: link.clone(), local: LocalBinding::Keep });
        }
        self.commit_intent(open, intent).await?;
        if claim {
            link = self.taken.link.clone().unwrap_or(link);
        }
        let mut told = true;
        let (id, seen) = match self.send(link.id, number, prepared).await? {
            Sent::Record(observed) => (observed.id.clone(), Some(read::remote(&self.pair, &observed))),
            Sent::Written(Some(id)) => {
                told = false;
                let seen = match self.get(&id).await {
                    Ok(Outcome::Record(observed)) if !observed.gone => {
                        Some(read::remote(&self.pair, &observed))
                    }
                    _ => None,
                };
                (id, seen)
            }
            Sent::Written(None) | Sent::Missing => {
                let why = "created, but the answer names no record".into();
                return Err(self.unsent(link, number, Sent::Uncertain(why, None)).await);
            }
            other => {
                if let Some(waits) = self.refers_to_gone((link.id, number), &other, &sent).await {
                    return Err(waits);
                }
                return Err(self.unsent(link, number, other).await);
            }
        };
        if planted::is(Bug::IntentClosedBeforeBases) {
            self.close_intent_alone(number).await?;
        }
        Ok(self.created(link, id, seen, told, &sent, number))
    }

    /// The confirmation of a create. Unless its own answer `told` what the service stored, what differs from what was sent may be
    /// somebody's change by now, and comes in.
    fn created(
        &self,
        mut link: Link,
        id: RemoteId,
        seen: Option<Seen>,
        told: bool,
        sent: &[SentField],
        number: u32,
    ) -> Unit {
        let mut unit = self.unit();
        link.remote_id = Some(id.clone());
        let mut shown = seen.as_ref().map(|seen| seen.fields.clone());
        if let Some(shown) = shown.as_mut().filter(|_| !told) {
            for sent in sent {
                let field = self.pair.mapping.field(&sent.field).filter(|f| f.direction.comes_in());
                let same = |f: &Field| shown.get(&sent.field).is_none_or(|value| f.same(value, &sent.sent));
                if field.is_some_and(|f| !same(f)) {
                    shown.0.remove(&sent.field);
                }
            }
        }
        created_bases(&mut link, sent, shown.as_ref());
        unit.intents.push(close(link.id, number, IntentState::Confirmed, "created"));
        unit.history.push(created_history(&link, sent, "a new row"));
        unit.history.extend(altered_history(&self.pair.mapping, &link, sent, shown.as_ref()));
        let value = seen.as_ref().and_then(|s| self.pair.mapping.match_key(&s.fields));
        unit.keys.push(self.key(Side::Remote, id.as_str(), value));
        unit.keys.push(KeyWrite::Linked { pair: self.pair.id, side: Side::Remote, id: id.0 });
        match seen {
            Some(seen) => unit.settle = Some(settle(Scene { tell_waits: true, ..self.scene(&seen) })),
            None => unit.signals.extend(crate::apply::again(&link, true)),
        }
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        unit.work = self.done();
        unit
    }
}

/// The unit that makes a row of an unlinked record.
///
/// # Errors
/// Why the record cannot become a row.
#[allow(clippy::too_many_arguments)]
pub(crate) fn insertion(
    pair: &crate::PairRuntime,
    account: &ConnectionState,
    id: LinkId,
    token: bothways_model::Seq,
    observed: &Observed,
    seen: &Seen,
    now: Timestamp,
    pass: Option<String>,
) -> Result<Unit, NoRow> {
    let mapping = &pair.mapping;
    let mut row = new_row(mapping, seen, &observed.id)?;
    if mapping.catalog.made_by == bothways_model::KeyMaker::Engine {
        for field in mapping.catalog.key_fields() {
            row.set(field.name.clone(), engine_key(&field.ty, id));
        }
    }
    let mut link = new_link(pair, id, account, Some(Lease { token, until: now }), now);
    link.remote_id = Some(observed.id.clone());
    let mut base_from_row = Vec::new();
    let mut fields = BTreeMap::new();
    let mut later = false;
    for field in mapping.fields.iter() {
        let Some(value) = seen.fields.get(&field.label) else { continue };
        let comes_later = field.reference.is_some()
            && field.direction.comes_in()
            && !matches!(seen.references.inward(&field.label, value), Translated::Known(_));
        if comes_later {
            later = true;
            continue;
        }
        let base = link.body.base.entry(field.label.clone()).or_default();
        base.remote = Some(value.clone());
        base_from_row.push((field.label.clone(), field.local_name().to_owned()));
        if field.direction.comes_in() {
            fields.insert(field.label.clone(), FieldChange { before: None, after: Some(value.clone()) });
        }
    }
    link.in_step_at = Some(now);
    let history =
        entry(&link, Side::Local, HistoryOp::Create, fields, vec![27], "a new remote record".into(), pass);
    let mut unit = Unit::new(Guard::Claim(Box::new(link.clone())));
    unit.only_new = true;
    unit.lease = LeaseAction::Release;
    unit.keys.push(KeyWrite::Linked { pair: pair.id, side: Side::Remote, id: observed.id.0.clone() });
    if later {
        unit.signals.push(look_at(pair.id, observed.id.clone()));
    }
    unit.settle = Some(Arc::new(move |_, _| Settled {
        row: RowWrite::Insert(row.clone()),
        link: Some(LinkWrite { link: link.clone(), local: LocalBinding::Inserted }),
        base_from_row: base_from_row.clone(),
        history: vec![history.clone()],
        ..Settled::default()
    }));
    Ok(unit)
}

/// A key made by the engine: the link's own UUID is as good as any, and makes a repeated insert collide with itself.
fn engine_key(ty: &bothways_model::FieldType, id: LinkId) -> Value {
    match ty {
        bothways_model::FieldType::Uuid => Value::Uuid(id.0),
        _ => Value::Text(id.to_string()),
    }
}

/// Whether somebody has linked a row or record of a group.
fn is_linked(members: &[GroupMember], id: &str) -> bool {
    members.iter().any(|member| member.is_linked() && member.key.id == id)
}
