//! Outward deletes: evidence, the limit, the call (rules 6, 32, 33, 56).

use crate::apply::{again, entry};
use crate::decide::{GoneLocal, LocalSight, RecordAction};
use crate::events::look_at;
use crate::intents::{close, key_of};
use crate::look::{Ended, Look};
use crate::push::Sent;
use crate::read::Seen;
use bothways_connector::{Operation, WriteKind};
use bothways_model::Record;
use bothways_model::planted::{self, Bug};
use bothways_store::{
    FieldChange, HistoryOp, IntentState, KeyWrite, Link, LinkState, LinkWrite, LocalBinding, ParkReason,
    Settled, Side, Unit,
};
use chrono::TimeDelta;
use std::sync::Arc;

impl Look {
    /// The row is gone (or archived); the remote record is there.
    pub(crate) async fn without_row(
        &mut self,
        mut link: Link,
        seen: Seen,
        gone: GoneLocal,
        reused: bool,
    ) -> Result<Unit, Ended> {
        link.body.missing_since = None;
        let gone_keys = self.dropped_keys(&link, gone == GoneLocal::Deleted && !reused, false);
        let decision = self.decision(&link, LocalSight::Gone(gone), Some(&seen));
        self.permit_decision(&link, &decision)?;
        let digest = decision.digest();
        let stays = decision.record != RecordAction::DeleteRemote;
        let mut unit = match decision.record {
            RecordAction::Close { state, why } => {
                let mut unit = self.close(link.clone(), state, why, gone == GoneLocal::Deleted);
                if let Some(write) = &mut unit.confirm {
                    write.link.body.archived = gone == GoneLocal::Archived;
                }
                unit
            }
            RecordAction::AskDelete { state, why } => {
                let mut unit = self.ask_delete(link.clone(), state, why, &digest);
                if gone == GoneLocal::Deleted {
                    // The delete is remembered on the link, so that its fact need not stay with the work.
                    let mut kept = link.clone();
                    kept.body.former_local = kept.local_id.clone().or(kept.body.former_local);
                    if let Some(write) = &mut unit.confirm {
                        write.link.body.former_local = kept.body.former_local;
                        if reused {
                            write.local = LocalBinding::Set(None);
                            // What is signalled of the row is about another from now on: of this one, by its record.
                            unit.signals.extend(link.remote_id.clone().map(|id| look_at(self.pair.id, id)));
                        }
                    }
                }
                unit
            }
            RecordAction::Missing => {
                let why =
                    "the row is missing and no delete was captured (another database, a restore, TRUNCATE?)"
                        .to_owned();
                let mut unit = self.ask_delete(link.clone(), LinkState::Missing, why, &digest);
                unit.history.push(entry(
                    &link,
                    Side::Local,
                    HistoryOp::Unlink,
                    Default::default(),
                    vec![32],
                    "row missing".into(),
                    None,
                ));
                unit
            }
            RecordAction::DeleteRemote => self.delete_remote(link.clone(), &seen, gone, reused).await?,
            _ => {
                let mut unit = self.unit();
                unit.work = self.done();
                if gone == GoneLocal::Archived && !link.body.archived {
                    let mut link = link.clone();
                    link.body.archived = true;
                    unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
                }
                unit
            }
        };
        unit.keys.extend(gone_keys);
        unit.keys.extend(self.key_without_row(&link, &seen).filter(|_| stays));
        unit.signals.extend(self.next_of_id(reused));
        Ok(unit)
    }

    /// No merge follows the record of a row that is gone: its match key is what it holds now (rule 27). Absent is unknown (rule 17).
    fn key_without_row(&self, link: &Link, seen: &Seen) -> Option<KeyWrite> {
        let mapping = &self.pair.mapping;
        let matching = &mapping.identity.matching;
        let shown = !matching.is_empty() && matching.iter().all(|label| seen.fields.get(label).is_some());
        let id = link.remote_id.as_ref().filter(|_| shown)?;
        Some(self.key(Side::Remote, id.as_str(), mapping.match_key(&seen.fields)))
    }

    async fn delete_remote(
        &mut self,
        link: Link,
        seen: &Seen,
        gone: GoneLocal,
        reused: bool,
    ) -> Result<Unit, Ended> {
        let Some(id) = link.remote_id.clone() else {
            return Ok(self.close(
                link,
                LinkState::Tombstone,
                "deleted before it was created remotely".into(),
                true,
            ));
        };
        let at = self.engine.ports.clock.now();
        self.wait_for_capture().await?;
        self.wait_for_children(&link).await?;
        let key = key_of(self.pair.id, link.id, self.taken.next_intent);
        let number = self.taken.next_intent;
        let operation = Operation::Delete { id: id.clone(), key: key.clone(), seen: seen.body.clone() };
        let prepared = self.prepare_write(operation).await?;
        let intent = self.intent(&link, WriteKind::Delete, Some(id.clone()), &prepared, Vec::new(), key);
        let mut open = self.unit();
        // A row that is back by now is not deleted (rule 63).
        open.settle = Some(Arc::new(move |row, _| Settled {
            abort: !reused && row.is_some_and(|row| gone == GoneLocal::Deleted || row.deleted_at.is_none()),
            ..Settled::default()
        }));
        open.charges.push(self.delete_charge(link.id, Side::Remote));
        self.commit_intent(open, intent).await?;
        if !self.is_as_seen(&id, seen, at).await {
            return Err(self.outrun(link.id, number));
        }
        match self.send(link.id, number, prepared).await? {
            Sent::Record(_) | Sent::Written(_) | Sent::Missing => {
                Ok(self.deleted_remotely(link, &seen.fields, gone, number))
            }
            other => Err(self.unsent(link, number, other).await),
        }
    }

    /// The confirmation of an outward delete.
    pub(crate) fn deleted_remotely(&self, link: Link, before: &Record, gone: GoneLocal, number: u32) -> Unit {
        let fields = before
            .iter()
            .map(|(label, value)| (label.clone(), FieldChange { before: Some(value.clone()), after: None }))
            .collect();
        let history = entry(
            &link,
            Side::Remote,
            HistoryOp::Delete,
            fields,
            vec![6, 56],
            "deleted locally".into(),
            None,
        );
        let id = link.id;
        let keys = self.dropped_keys(&link, gone == GoneLocal::Deleted, true);
        let mut unit = self.close(
            link,
            LinkState::Tombstone,
            "deleted locally, then remotely".into(),
            gone == GoneLocal::Deleted,
        );
        unit.history = vec![history];
        unit.keys.extend(keys);
        unit.intents.push(close(id, number, IntentState::Confirmed, "deleted"));
        unit
    }

    /// A captured delete waits until whatever was committed before it has been relayed (rule 56).
    async fn wait_for_capture(&self) -> Result<(), Ended> {
        if planted::is(Bug::DeleteWithoutWaiting) {
            return Ok(());
        }
        let Some(bothways_store::Fact::Deleted { change, .. }) = self.deleted() else { return Ok(()) };
        if self.engine.store.drained(*change).await.unwrap_or(false) {
            return Ok(());
        }
        self.note_failure("a delete waits for earlier changes", true);
        let mut unit = self.unit();
        let due = self.now + TimeDelta::milliseconds(200);
        unit.work = self.again_at(due, None, Some("a delete waits for earlier changes".into()), true);
        Err(Box::new(unit))
    }

    /// A record answers to another id: it was merged into another one (rule 26).
    pub(crate) async fn merged(&self, mut link: Link, observed: bothways_model::Observed) -> Unit {
        let taken_by_other = match self.is_of_another(&link, &observed).await {
            Ok(taken) => taken,
            Err(ended) => return *ended,
        };
        let mut unit = self.unit();
        // It is nobody's rival any more (rule 27).
        unit.keys.extend(self.dropped_keys(&link, false, true));
        let into = observed.id.clone();
        if taken_by_other {
            let why = format!("merged remotely into `{into}`, which has a row of its own");
            link.state = LinkState::Tombstone;
            link.body.merged_into = Some(into);
            link.body.note = Some(why.clone());
            unit.history.push(entry(
                &link,
                Side::Remote,
                HistoryOp::Unlink,
                Default::default(),
                vec![26],
                why.clone(),
                None,
            ));
            if self.local_side(&link).0 == Some(GoneLocal::Deleted) {
                // Of a row that is deleted nobody is asked: the next look frees its id.
                unit.signals.extend(again(&link, true));
            }
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
            unit.work = self.park(ParkReason::Merged, why, "merged");
        } else {
            let why = format!("merged remotely into `{into}`: the link moves there");
            unit.history.push(entry(
                &link,
                Side::Remote,
                HistoryOp::Link,
                Default::default(),
                vec![26],
                why,
                None,
            ));
            link.body.moved_from = link.remote_id.replace(into);
            link.body.base.clear();
            // What was on its way to the record that it was cannot arrive in this one.
            link.body.late.clear();
            unit.work = self.again_at(self.now, None, None, true);
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        }
        unit
    }
}
