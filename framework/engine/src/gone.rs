//! A remote record that is proven to be gone, and links that are over (rules 31 to 34).

use crate::apply::{again, entry};
use crate::decide::{
    GoneLocal, LocalSight, RecordAction, References, RemoteSight, Sight, decide, local_value,
};
use crate::detached::has_unseen_edits;
use crate::look::{Ended, Look};
use bothways_model::LocalRow;
use bothways_store::{
    Fact, HistoryOp, KeyWrite, Link, LinkState, LinkWrite, LocalBinding, ParkReason, RowWrite, Settled, Side,
    Signal, Subject, Unit, WorkWrite,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Look {
    /// The remote record is proven to be gone.
    pub(crate) async fn without_remote(
        &mut self,
        link: Link,
        row: Option<LocalRow>,
        gone: Option<GoneLocal>,
    ) -> Result<Unit, Ended> {
        let local = match (&row, gone) {
            (Some(row), _) => LocalSight::Row(row),
            (None, gone) => LocalSight::Gone(gone.unwrap_or(GoneLocal::Unexplained)),
        };
        let decision = self.decision(&link, local, None);
        self.permit_decision(&link, &decision)?;
        let digest = decision.digest();
        let stored = self.taken.link.as_ref().map(|link| link.state);
        let mut parked = self.taken.work.iter().filter_map(|work| work.parked.as_ref());
        let nothing_new = stored == Some(LinkState::Detached)
            && link.body.delete_choice.is_none()
            // A look that failed may have put its own trouble in the question's place.
            && parked.all(|parked| parked.reason == ParkReason::Delete)
            && !row.as_ref().is_some_and(|row| has_unseen_edits(&self.pair.mapping, &link, row));
        let chosen = link.body.delete_choice.is_some();
        // What is archived keeps its link: it may be live again.
        let free = row.is_none() && gone != Some(GoneLocal::Archived);
        let asks = matches!(decision.record, RecordAction::AskDelete { .. });
        let stays = asks || matches!(decision.record, RecordAction::Close { .. });
        let gone_keys = self.dropped_keys(&link, row.is_none(), true);
        let deletes_row = decision.record == RecordAction::DeleteLocal;
        let mut unit = match decision.record {
            RecordAction::AskDelete { .. } if nothing_new => {
                // A person knows; edits of a detached row do not flow (rule 34).
                let mut unit = self.unit();
                unit.work = self.still_parked_or_done();
                unit
            }
            RecordAction::AskDelete { state, why } => self.ask_delete(link, state, why, &digest),
            RecordAction::Close { state, why } => self.close(link, state, why, free),
            RecordAction::ArchiveLocal | RecordAction::DeleteLocal => {
                let charge = self.delete_charge(link.id, Side::Local);
                let mut unit = self.carry_delete_in(link, decision.record);
                unit.charges.push(charge);
                unit
            }
            RecordAction::Recreate => self.recreate(link).await?,
            RecordAction::Merge
            | RecordAction::DeleteRemote
            | RecordAction::Missing
            | RecordAction::Leave => {
                let mut unit = self.unit();
                unit.work = self.done();
                unit
            }
        };
        unit.keys.extend(gone_keys);
        if let Some(row) = row.as_ref().filter(|_| stays) {
            self.note_shown(&mut unit, row, asks, chosen);
        }
        if let (Some(row), false) = (&row, deletes_row) {
            // The row stays: whoever matches it is told from it (rule 27).
            let value = self.pair.mapping.match_key(&self.pair.mapping.read_local(&row.fields));
            unit.keys.push(self.key(Side::Local, row.id.as_str(), value));
        }
        Ok(unit)
    }

    /// Match keys of records that are gone: nothing must match them any more.
    pub(crate) fn dropped_keys(&self, link: &Link, local: bool, remote: bool) -> Vec<KeyWrite> {
        let drop = |side, id: &str| KeyWrite::Drop { pair: self.pair.id, side, id: id.to_owned() };
        let local = link.local_id.as_ref().filter(|_| local).map(|id| drop(Side::Local, id.as_str()));
        let remote = link.remote_id.as_ref().filter(|_| remote).map(|id| drop(Side::Remote, id.as_str()));
        local.into_iter().chain(remote).collect()
    }

    /// Parked work stays parked when nothing new came of the look; other work is done.
    pub(crate) fn still_parked_or_done(&self) -> Vec<WorkWrite> {
        self.taken
            .work
            .iter()
            .map(|w| match &w.parked {
                Some(parked) => {
                    WorkWrite::Park { id: w.id, generation: w.generation, parked: parked.clone() }
                }
                None => WorkWrite::Done {
                    id: w.id,
                    generation: w.generation,
                    facts: w.facts.iter().map(Fact::change).collect(),
                },
            })
            .collect()
    }

    /// A person has to decide about a delete.
    pub(crate) fn ask_delete(&self, mut link: Link, state: LinkState, why: String, digest: &str) -> Unit {
        let mut unit = self.unit();
        link.state = state;
        link.body.note = Some(why.clone());
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        unit.work = self.park(ParkReason::Delete, why, digest);
        unit
    }

    /// Closes the link. `free` gives the row's id free for another record.
    pub(crate) fn close(&self, mut link: Link, state: LinkState, why: String, free: bool) -> Unit {
        let mut unit = self.unit();
        link.state = state;
        link.body.note = Some(why.clone());
        link.body.conflicts.clear();
        link.body.delete_choice = None;
        link.body.archived = false;
        unit.history.push(entry(&link, Side::Local, HistoryOp::Unlink, BTreeMap::new(), vec![34], why, None));
        let local = if free {
            link.body.former_local = link.local_id.clone().or(link.body.former_local);
            LocalBinding::Set(None)
        } else {
            LocalBinding::Keep
        };
        unit.confirm = Some(LinkWrite { link, local });
        unit.work = self.done();
        unit
    }

    /// Deletes or archives the row, if the decision still holds for the row as it is then.
    fn carry_delete_in(&self, link: Link, wanted: RecordAction) -> Unit {
        let mapping = self.pair.mapping.clone();
        let now = self.now;
        let mut unit = self.unit();
        unit.work = self.done();
        if wanted == RecordAction::DeleteLocal {
            unit.keys.extend(self.dropped_keys(&link, true, true));
        }
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        unit.settle = Some(Arc::new(move |row, link| {
            let Some(row) = row.filter(|r| r.deleted_at.is_none()) else {
                return Settled { signals: again(link, true), ..Settled::default() };
            };
            let sight = Sight {
                mapping: &mapping,
                local: LocalSight::Row(row),
                remote: RemoteSight::Gone,
                references: &References::default(),
                body: &link.body,
                state: link.state,
                now,
            };
            if decide(&sight).record != wanted {
                return Settled { signals: again(link, true), ..Settled::default() };
            }
            let before = mapping
                .fields
                .iter()
                .map(|f| {
                    let change = bothways_store::FieldChange {
                        before: local_value(f, &row.fields).cloned(),
                        after: None,
                    };
                    (f.label.clone(), change)
                })
                .collect();
            let archive = wanted == RecordAction::ArchiveLocal;
            let mut link = link.clone();
            let why = if archive { "deleted remotely: archived" } else { "deleted remotely" };
            let history = entry(&link, Side::Local, HistoryOp::Delete, before, vec![6, 31], why.into(), None);
            link.state = LinkState::Tombstone;
            link.body.note = Some(why.into());
            link.body.delete_choice = None;
            let local = if archive {
                LocalBinding::Keep
            } else {
                link.body.former_local = link.local_id.clone();
                LocalBinding::Set(None)
            };
            Settled {
                row: if archive { RowWrite::Archive(now) } else { RowWrite::Delete },
                link: Some(LinkWrite { link, local }),
                history: vec![history],
                ..Settled::default()
            }
        }));
        unit
    }

    /// The record was deleted remotely and is wanted back: the old link becomes a tombstone, the row is a new record.
    async fn recreate(&mut self, link: Link) -> Result<Unit, Ended> {
        let Some(local_id) = link.local_id.clone() else {
            return Ok(self.close(link, LinkState::Tombstone, "gone on both sides".into(), true));
        };
        let filter = bothways_store::HistoryFilter {
            pair: Some(self.pair.id),
            local_id: Some(local_id.clone()),
            op: Some(HistoryOp::Create),
            ..Default::default()
        };
        let created = self.engine.store.history(&filter, None, 8).await.unwrap_or_default();
        let recent = created
            .iter()
            .filter(|h| h.entry.side == Side::Remote && self.now - h.at < chrono::TimeDelta::minutes(10));
        if recent.count() > 3 {
            let why = "recreated more than 3 times in 10 minutes, deleted again each time".to_owned();
            let mut unit = self.ask_delete(link, LinkState::Detached, why.clone(), "recreation-flap");
            unit.work = self.park(ParkReason::Flapping, why, "recreation-flap");
            return Ok(unit);
        }
        let mut unit = self.close(link, LinkState::Tombstone, "deleted remotely: recreated".into(), true);
        unit.signals.push(Signal {
            pair: self.pair.id,
            subject: Subject::Local(local_id),
            look: true,
            not_before: None,
        });
        Ok(unit)
    }
}
