//! Records that a create of ours made after it was given up: a request may leave long after it was decided, when the machine sleeps
//! in between (rule 41).

use crate::apply::{again, entry};
use crate::created::{created_bases, created_history};
use crate::decide::GoneLocal;
use crate::intents::close;
use crate::look::{Ended, Look};
use crate::uncertain::Lookup;
use bothways_model::{LinkId, Observed, RemoteId, Value};
use bothways_store::{
    FieldChange, Guard, HistoryOp, Intent, IntentState, Link, LinkState, LinkWrite, LocalBinding, ParkReason,
    Side, Unit, UnitOutcome,
};
use chrono::TimeDelta;

impl Look {
    /// The record belongs to its link although that was closed, since its row was deleted before (rules 23, 25): the link is opened
    /// again, and what becomes of the record is decided as if it had been there all along.
    pub(crate) async fn take_orphan(&self, link: Link, observed: &Observed) -> Result<Unit, Ended> {
        let store = &self.engine.store;
        let now = self.engine.ports.clock.now();
        let Some(create) = self.last_create(link.id).await? else { return Ok(self.nothing()) };
        let taken = match store.lease(link.id, now, now + TimeDelta::seconds(30)).await {
            Ok(taken) => taken,
            Err(error) => return Err(self.store_trouble(&error)),
        };
        let Some((token, mut link)) = taken.and_then(|taken| Some((taken.token, taken.link?))) else {
            let mut unit = self.unit();
            unit.work = self.again_soon();
            return Err(Box::new(unit));
        };
        // What we know of it is what we sent; the rest is a remote change.
        let sent = create.fields.iter().map(|field| (field.field.clone(), field.sent.clone())).collect();
        created_bases(&mut link, &create.fields, Some(&sent));
        link.remote_id = Some(observed.id.clone());
        link.state = LinkState::Linked;
        link.body.note = Some("created after its row was deleted".into());
        let change =
            |sent: &bothways_store::SentField| FieldChange { before: None, after: Some(sent.sent.clone()) };
        let fields = create.fields.iter().map(|sent| (sent.field.clone(), change(sent))).collect();
        let why = "an earlier create arrived after it was given up".to_owned();
        let mut unit = Unit::new(Guard::Token { link: link.id, token });
        unit.history.push(entry(&link, Side::Remote, HistoryOp::Create, fields, vec![23, 25], why, None));
        unit.signals.extend(again(&link, true));
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        match self.engine.commits.commit(unit).await {
            Ok(UnitOutcome::Done { .. }) => Ok(self.nothing()),
            Ok(_) => {
                let mut unit = self.unit();
                unit.work = self.again_soon();
                Err(Box::new(unit))
            }
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// Binds what the last create of a link without a record made, though it was proven not to have arrived before: its request left
    /// after that (rules 25, 41). `None` if there is no such record.
    pub(crate) async fn bind_late(&mut self, link: &Link) -> Result<Option<Link>, Ended> {
        let Some(create) = self.last_create(link.id).await? else { return Ok(None) };
        let Lookup::Found(observed) = self.look_up(link, &create).await? else { return Ok(None) };
        let mut link = link.clone();
        // It is no echo that may yet come.
        let is_its = |field: &str, value: &Value| {
            create.fields.iter().any(|sent| sent.field == field && sent.sent == *value)
        };
        link.body.late.retain(|late| !is_its(&late.field, &late.value));
        let why = "an earlier create arrived after it was given up";
        self.bind_found(link, &create, observed, why).await.map(Some)
    }

    async fn last_create(&self, link: LinkId) -> Result<Option<Intent>, Ended> {
        match self.engine.store.intents(link, 100).await {
            Ok(intents) => Ok(intents.into_iter().find(|intent| intent.kind == Intent::CREATE)),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// What an earlier create made is linked to another row by now. If its own row is deleted nobody has to choose: the record stays
    /// with the row that has it, and the id of the one that went is free (rules 23, 30).
    pub(crate) fn made_for_another(&self, link: Link, create: &Intent, id: &RemoteId) -> Unit {
        let (gone, reused) = self.local_side(&link);
        if gone != Some(GoneLocal::Deleted) || !self.row_went_after(create) {
            let mut unit = self.unit();
            let why = format!("the record created for this row, `{id}`, is linked to another row");
            unit.work = self.park(ParkReason::Duplicate, why, "created-but-linked");
            return unit;
        }
        let how = "an earlier create was found carried out";
        let made = Link { remote_id: Some(id.clone()), ..link.clone() };
        let keys = self.dropped_keys(&link, !reused, false);
        let why = format!("deleted; the record created for it, `{id}`, is linked to another row");
        let mut unit = self.close(link, LinkState::Tombstone, why, true);
        unit.history.insert(0, created_history(&made, &create.fields, how));
        unit.intents.push(close(made.id, create.number, IntentState::Confirmed, how));
        unit.keys.extend(keys);
        unit.signals.extend(self.next_of_id(reused));
        unit
    }
}
