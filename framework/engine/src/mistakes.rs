//! The wrong ways that take more than a line: what [`bothways_model::planted`] puts in the place of the right ones.
//!
//! Nothing here is right. In every build but one with planted bugs nothing calls it.

use crate::apply::{Scene, settle};
use crate::calls::prepare;
use crate::created::leaves;
use crate::intents::close;
use crate::look::{Ended, Look};
use crate::pairs::PairRuntime;
use crate::read::{self, Seen};
use crate::{Engine, Purpose};
use bothways_connector::{Operation, Outcome, StoredRequest, WriteKind};
use bothways_mapping::Mapping;
use bothways_model::{LinkId, Observed, Record, RemoteId, Request, Value};
use bothways_store::{
    Delivery, FieldBase, Guard, Intent, IntentState, Link, LinkWrite, LocalBinding, SentField, Signal, Unit,
};
use chrono::TimeDelta;

/// `Bug::BaseMovedOnSend`.
pub(crate) fn move_bases(link: &mut Link, sent: &[SentField]) {
    for field in sent {
        let base = FieldBase { local: Some(field.local.clone()), remote: Some(field.sent.clone()) };
        link.body.base.insert(field.field.clone(), base);
    }
}

/// `Bug::WholeAnswerAsBase`.
pub(crate) fn take_all_as_bases(link: &mut Link, view: &mut Seen, after: &Seen) {
    for (label, value) in after.fields.iter() {
        link.body.base.entry(label.clone()).or_default().remote = Some(value.clone());
        view.fields.set(label.clone(), value.clone());
    }
}

/// `Bug::AbsentTakenForNull`.
pub(crate) fn fill_with_null(mapping: &Mapping, record: &mut Record) {
    for field in &mapping.fields {
        if record.get(&field.label).is_none() {
            record.set(field.label.clone(), Value::Null);
        }
    }
}

impl Look {
    /// `Bug::IntentClosedBeforeBases`.
    pub(crate) async fn close_intent_alone(&mut self, number: u32) -> Result<(), Ended> {
        let Some(link) = self.taken.link.as_ref().map(|link| link.id) else { return Ok(()) };
        let mut unit = self.unit();
        unit.intents.push(close(link, number, IntentState::Confirmed, "confirmed"));
        self.commit_and_go_on(unit).await.map(drop)
    }

    /// `Bug::RandomKeyPerAttempt`.
    pub(crate) fn take_another_key(&self, stored: &mut StoredRequest) {
        let key = self.engine.ports.random.uuid(self.now).to_string();
        for (name, value) in &mut stored.request.headers {
            if name.eq_ignore_ascii_case("idempotency-key") {
                value.clone_from(&key);
            }
        }
    }

    /// `Bug::ConfirmedSentAgain`.
    pub(crate) async fn send_once_more(
        &mut self,
        (link, number): (LinkId, u32),
        id: &RemoteId,
        request: Request,
    ) -> Result<(), Ended> {
        let mut stored = StoredRequest { kind: WriteKind::Update, id: Some(id.clone()), request };
        self.take_another_key(&mut stored);
        if let Ok(prepared) = prepare(self.pair.resource.resume(stored)) {
            self.send(link, number, prepared).await?;
        }
        Ok(())
    }

    /// `Bug::ReplayWithNewBytes`.
    pub(crate) fn take_present_values(&self, stored: &mut StoredRequest, intent: &Intent) {
        let mapping = &self.pair.mapping;
        let Some(row) = &self.taken.row else { return };
        let key = intent.key.clone();
        let operation = match (stored.kind, &stored.id) {
            (WriteKind::Create, _) => {
                let Ok(mut body) = mapping.new_remote(&row.fields) else { return };
                if let Some(path) = &mapping.identity.stamp {
                    let _ = path.set(&mut body, serde_json::Value::String(intent.link.to_string()));
                }
                Operation::Create { fields: leaves(&body), key }
            }
            (WriteKind::Update, Some(id)) => {
                let sent = intent.fields.iter().filter_map(|sent| mapping.field(&sent.field));
                let fields = sent
                    .filter_map(|f| Some((f.write.clone()?, mapping.image(f, &row.fields).ok()?)))
                    .collect();
                Operation::Update { id: id.clone(), fields, key, seen: None, version: None }
            }
            _ => return,
        };
        if let Ok(prepared) =
            self.pair.resource.start(operation).map_err(drop).and_then(|e| prepare(e).map_err(drop))
        {
            stored.request = prepared.call.request;
        }
    }

    /// `Bug::AbsenceFromListIsADelete`.
    pub(crate) async fn is_listed(&self, id: &RemoteId) -> Result<bool, Ended> {
        let exchange = match self.pair.resource.start(Operation::List { page: None }) {
            Ok(exchange) => exchange,
            Err(failure) => return Err(self.failed(&failure).await),
        };
        let timeout = self.pair.timeout();
        match self.engine.run(&self.pair.connection, Purpose::Live, exchange, timeout).await {
            Ok(Outcome::Page(page)) => Ok(page.items.iter().any(|item| item.id == *id)),
            _ => Ok(true),
        }
    }
}

impl Engine {
    /// `Bug::EventKnownBeforeSignalled`.
    pub(crate) async fn take_in_by_two_commits(
        &self,
        deliveries: &[Delivery],
    ) -> bothways_store::Result<Vec<bool>> {
        let now = self.ports.clock.now();
        let ids: Vec<Delivery> =
            deliveries.iter().map(|delivery| Delivery { signals: Vec::new(), ..delivery.clone() }).collect();
        let new = self.store.intake(now, &ids).await?;
        let fresh = deliveries.iter().zip(&new).filter(|(_, new)| **new);
        let signals: Vec<Signal> = fresh.flat_map(|(delivery, _)| delivery.signals.iter().cloned()).collect();
        self.store.signal(now, &signals).await?;
        Ok(new)
    }

    /// `Bug::ListPageIsTheRecord`, `Bug::EventPayloadIsTheRecord`.
    pub(crate) async fn apply_all<'s>(
        &self,
        pair: &PairRuntime,
        seen: impl Iterator<Item = (Option<&'s Observed>, &'s Option<Link>)>,
    ) {
        for (observed, link) in seen {
            if let (Some(observed), Some(link)) = (observed, link)
                && link.state.is_live()
                && !observed.gone
            {
                self.apply(pair, link, observed).await;
            }
        }
    }

    async fn apply(&self, pair: &PairRuntime, link: &Link, observed: &Observed) {
        let now = self.ports.clock.now();
        let Ok(Some(taken)) = self.store.lease(link.id, now, now + TimeDelta::minutes(1)).await else {
            return;
        };
        let Some(link) = taken.link else { return };
        let seen = read::remote(pair, observed);
        let mut unit = Unit::new(Guard::Token { link: link.id, token: taken.token });
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        unit.settle = Some(settle(Scene {
            mapping: pair.mapping.clone(),
            remote: seen.fields,
            refused: seen.refusals,
            references: seen.references,
            tell_waits: true,
            changed_at: seen.changed_at,
            now,
            changed_here: None,
            pass: None,
            abort_without_row: false,
            expect: None,
            held: std::collections::BTreeSet::new(),
            may_empty: std::collections::BTreeSet::new(),
            only_on: None,
        }));
        let _ = self.commits.commit(unit).await;
    }
}
