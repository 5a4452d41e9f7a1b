//! Adoption: an unlinked row and an unlinked record that are one, by their match values or by name (rule 27).

use crate::apply::{Scene, again, entry, settle};
use crate::create::new_link;
use crate::look::{Ended, Look};
use crate::{ConnectionState, read};
use bothways_connector::{Operation, Outcome};
use bothways_model::{LinkId, LocalId, LocalRow, Observed, RemoteId, SingularPath, Timestamp, Value};
use bothways_store::{Group, Guard, HistoryOp, KeyWrite, Lease, LinkState, ParkReason, Parked, Side, Unit};
use std::collections::BTreeMap;

impl Look {
    /// Records that `find` shows for a row: the last look before a create (rule 27).
    pub(crate) async fn find(&self, row: &LocalRow, value: &str) -> Result<Vec<Observed>, Ended> {
        let mapping = &self.pair.mapping;
        let mut found: Vec<Observed> = Vec::new();
        for field in mapping.fields.iter().filter(|f| mapping.identity.matching.contains(&f.label)) {
            let Some(path) = field.read.singular() else { continue };
            if self.pair.capabilities().find_on(path).is_none() {
                continue;
            }
            let mut spellings = vec![];
            if let Ok(serde_json::Value::String(wire)) = mapping.image(field, &row.fields) {
                spellings.push(wire);
            }
            // The normalised spelling goes out; the row's own may be how the record is spelt there.
            if let Some(Value::Text(text)) = row.fields.get(field.local_name())
                && !spellings.contains(text)
            {
                spellings.push(text.clone());
            }
            for spelling in spellings {
                let shown = self.find_one(path, spelling).await?;
                for observed in shown {
                    let key = mapping.match_key(&mapping.read_remote(&observed.body).record);
                    let known = found.iter().any(|f| f.id == observed.id);
                    if !observed.gone && !known && key.as_deref() == Some(value) {
                        found.push(observed);
                    }
                }
            }
        }
        Ok(found)
    }

    pub(crate) async fn find_one(&self, path: &SingularPath, value: String) -> Result<Vec<Observed>, Ended> {
        let exchange = match self.pair.resource.start(Operation::Find { path: path.clone(), value }) {
            Ok(exchange) => exchange,
            Err(failure) => return Err(self.failed(&failure).await),
        };
        match self.engine.run(&self.pair.connection, self.purpose(), exchange, self.pair.timeout()).await {
            Ok(Outcome::Page(page)) => Ok(page.items),
            Ok(Outcome::Missing) => Ok(Vec::new()),
            Ok(Outcome::Failed(failure)) => Err(self.failed(&failure).await),
            Ok(_) => Err(self.failed(&read::unexpected("a lookup")).await),
            Err(error) => Err(self.silent(&error).await),
        }
    }

    pub(crate) async fn adopt_record(&mut self, row: LocalRow, id: RemoteId) -> Result<Unit, Ended> {
        match self.get(&id).await? {
            Outcome::Record(observed) if !observed.gone && observed.id == id => {
                self.adopt(row, observed).await
            }
            Outcome::Failed(failure) => Err(self.failed(&failure).await),
            _ => {
                // It is gone: without it the row may be alone.
                let drop = KeyWrite::Drop { pair: self.pair.id, side: Side::Remote, id: id.0 };
                self.put_key(drop).await?;
                let mut unit = self.unit();
                unit.work = self.again_at(self.now, None, None, true);
                Ok(unit)
            }
        }
    }

    /// A row that names its record itself (`identity.remote_id`).
    pub(crate) async fn adopt_named(&mut self, row: &LocalRow, id: RemoteId) -> Result<Option<Unit>, Ended> {
        match self.get(&id).await? {
            Outcome::Record(observed) if !observed.gone && observed.id == id => {
                let holder =
                    match self.engine.store.links_of_remote(self.pair.id, std::slice::from_ref(&id)).await {
                        Ok(links) => links.into_iter().flatten().any(|l| l.state.is_live()),
                        Err(error) => return Err(self.store_trouble(&error)),
                    };
                if holder {
                    let mut unit = self.unit();
                    let why = format!("the row names record `{id}`, which is linked to another row");
                    unit.work = self.park(ParkReason::Duplicate, why, "remote-id-taken");
                    return Ok(Some(unit));
                }
                self.adoption_of(row, &observed, false).await.map(Some)
            }
            Outcome::Failed(failure) => Err(self.failed(&failure).await),
            _ => {
                let mut unit = self.unit();
                let why = format!("the row names record `{id}`, which does not exist");
                unit.work = self.park(ParkReason::Error, why, "remote-id-unknown");
                Ok(Some(unit))
            }
        }
    }

    /// Links an unlinked row and an unlinked record. Bases start unknown: equal values set them (rule 18).
    pub(crate) async fn adopt(&mut self, row: LocalRow, observed: Observed) -> Result<Unit, Ended> {
        let mapping = &self.pair.mapping;
        let values = [mapping.read_local(&row.fields), mapping.read_remote(&observed.body).record]
            .map(|fields| mapping.match_key(&fields));
        if values[0] != values[1] {
            // One of them was changed since its key was stored: they do not match any more.
            let [local, remote] = values;
            self.put_key(self.key(Side::Local, row.id.as_str(), local)).await?;
            self.put_key(self.key(Side::Remote, observed.id.as_str(), remote)).await?;
            let mut unit = self.unit();
            unit.work = self.again_soon();
            return Ok(unit);
        }
        let holder =
            self.engine.store.links_of_remote(self.pair.id, std::slice::from_ref(&observed.id)).await;
        // A create of ours made it, even if its answer never came (rule 25).
        let made_for = self.link_of_stamp(&observed).await?;
        if made_for.is_some() || matches!(&holder, Ok(links) if links.iter().flatten().next().is_some()) {
            // It has a link, perhaps since a moment ago, or had one: linked candidates count (rule 27).
            let mapping = &self.pair.mapping;
            let value = mapping.match_key(&mapping.read_local(&row.fields)).unwrap_or_default();
            let group =
                self.group(self.key(Side::Remote, observed.id.as_str(), Some(value.clone())), &value).await?;
            let mut unit = self.ambiguous(&group, &value).await?;
            unit.signals.extend(made_for.iter().flat_map(|link| again(link, true)));
            return Ok(unit);
        }
        self.adoption_of(&row, &observed, true).await
    }

    /// `only_new`: not if one of them had a link before. Where the row names its record nobody else is meant.
    async fn adoption_of(&self, row: &LocalRow, observed: &Observed, only_new: bool) -> Result<Unit, Ended> {
        let seen = self.refer(read::remote(&self.pair, observed), Some(&row.fields), None).await?;
        self.permit_adoption(row, &seen, &observed.id)?;
        let account = self.engine.connection_state(&self.pair.connection);
        let id = LinkId(self.engine.ports.random.uuid(self.now));
        let mut scene = Scene { tell_waits: true, ..self.scene(&seen) };
        scene.only_on = self.only_on(row, true);
        let mut unit = adoption(scene, &self.pair, &account, id, self.taken.token, row, observed);
        unit.only_new = only_new;
        unit.work = self.done();
        Ok(unit)
    }

    pub(crate) async fn adopt_row(&mut self, id: LocalId, observed: Observed) -> Result<Unit, Ended> {
        match self.engine.store.row(&self.pair.mapping.catalog.name, &id).await {
            Ok(Some(row)) if row.deleted_at.is_none() => {
                // The service may hold more records like this one that nobody has told us of yet: exactly one candidate (rule 27).
                let value = self
                    .pair
                    .mapping
                    .match_key(&self.pair.mapping.read_local(&row.fields))
                    .unwrap_or_default();
                let others = self.find(&row, &value).await?;
                if others.iter().any(|other| other.id != observed.id) {
                    for other in &others {
                        self.put_key(self.key(Side::Remote, other.id.as_str(), Some(value.clone()))).await?;
                    }
                    let put = self.key(Side::Remote, observed.id.as_str(), Some(value.clone()));
                    let group = self.group(put, &value).await?;
                    return self.ambiguous(&group, &value).await;
                }
                self.adopt(row, observed).await
            }
            Ok(_) => {
                self.put_key(KeyWrite::Drop { pair: self.pair.id, side: Side::Local, id: id.0 }).await?;
                let mut unit = self.unit();
                unit.work = self.again_at(self.now, None, None, true);
                Ok(unit)
            }
            Err(error) => Err(self.store_trouble(&error)),
        }
    }
}

/// The entry of an ambiguous group. Names ids, no values.
pub(crate) fn ambiguous_entry(group: &Group, now: Timestamp) -> Parked {
    let ids = |members: &[bothways_store::GroupMember]| {
        let names: Vec<String> = members
            .iter()
            .map(|m| match m.link {
                None => m.key.id.clone(),
                Some(LinkState::Linked) => format!("{} (linked)", m.key.id),
                Some(state) => format!("{} (its link is {})", m.key.id, state.as_str()),
            })
            .collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let message = format!(
        "more than one candidate: rows {}; records {}. Link the right ones (`bothways link`) or change the values",
        ids(&group.local),
        ids(&group.remote)
    );
    Parked { reason: ParkReason::Ambiguous, digest: message.clone(), message, at: now }
}

/// The unit that links a row and a record, both unlinked, on what the record showed.
pub(crate) fn adoption(
    mut scene: Scene,
    pair: &crate::PairRuntime,
    account: &ConnectionState,
    id: LinkId,
    token: bothways_model::Seq,
    row: &LocalRow,
    observed: &Observed,
) -> Unit {
    let now = scene.now;
    let mut link = new_link(pair, id, account, Some(Lease { token, until: now }), now);
    link.local_id = Some(row.id.clone());
    link.remote_id = Some(observed.id.clone());
    let mut unit = Unit::new(Guard::Claim(Box::new(link.clone())));
    unit.only_new = true;
    let why = "the match fields are equal and unique".to_owned();
    unit.history.push(entry(
        &link,
        Side::Local,
        HistoryOp::Link,
        BTreeMap::new(),
        vec![27],
        why,
        scene.pass.clone(),
    ));
    let matched = pair.mapping.fields.iter().filter(|f| pair.mapping.identity.matching.contains(&f.label));
    scene.expect = Some(
        matched
            .filter_map(|f| Some((f.local_name().to_owned(), row.fields.get(f.local_name())?.clone())))
            .collect(),
    );
    scene.abort_without_row = true;
    unit.settle = Some(settle(scene));
    unit.keys.push(KeyWrite::Linked { pair: pair.id, side: Side::Local, id: row.id.0.clone() });
    unit.keys.push(KeyWrite::Linked { pair: pair.id, side: Side::Remote, id: observed.id.0.clone() });
    unit
}
