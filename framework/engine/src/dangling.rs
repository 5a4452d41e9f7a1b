//! References to records that are not there any more, as a refused write shows: they wait for what becomes of those, and nothing else
//! does.

use crate::decide::Decision;
use crate::events::look_at;
use crate::intents::close;
use crate::look::{Ended, Look};
use crate::pairs::PairRuntime;
use crate::push::{FieldWrite, Sent};
use crate::references::PATIENCE;
use bothways_connector::{Operation, Outcome};
use bothways_model::{ErrorClass, LinkId, RemoteId};
use bothways_store::{IntentState, SentField, Unit, WorkWrite};
use chrono::TimeDelta;
use std::collections::BTreeSet;

impl Look {
    /// The unit after a write that the service refused, if something that it refers to is not there any more though its link says so: that
    /// link is looked at, and the write waits for what comes of it. It was never this record's fault, and is no attempt. `None` if all that
    /// it refers to is there, or cannot be asked for: then the refusal is about something else.
    pub(crate) async fn refers_to_gone(
        &self,
        sent: (LinkId, u32),
        answer: &Sent,
        fields: &[SentField],
    ) -> Option<Ended> {
        let (_, held, mut unit) = self.names_gone(sent, answer, fields).await?;
        unit.work = self.wait_for_gone(held);
        Some(Box::new(unit))
    }

    /// After such a refusal of an update: the reference stays out of it, and everything else flows, since what becomes of the record
    /// that is gone may be withheld, or a person's to say, for long (rule 63). Returns its label.
    pub(crate) async fn leave_out_gone(
        &mut self,
        sent: (LinkId, u32),
        answer: &Sent,
        fields: &[SentField],
    ) -> Result<Option<String>, Ended> {
        let Some((label, held, unit)) = self.names_gone(sent, answer, fields).await else { return Ok(None) };
        self.commit_and_go_on(unit).await?;
        self.dangling.insert(label.clone(), held);
        Ok(Some(label))
    }

    /// Soon, since the link of what is gone is looked at now; later, where that is paused or waits for a person.
    pub(crate) fn wait_for_gone(&self, held: String) -> Vec<WorkWrite> {
        self.wait(self.later(TimeDelta::seconds(1), PATIENCE), held, None)
    }

    /// The reference of a refused write that names what is not there any more, that in words for people, and the unit that closes the
    /// intent and has its link looked at.
    async fn names_gone(
        &self,
        (link, number): (LinkId, u32),
        answer: &Sent,
        fields: &[SentField],
    ) -> Option<(String, String, Unit)> {
        let refused = match answer {
            Sent::Refused(failure) if matches!(failure.class, ErrorClass::Invalid | ErrorClass::Missing) => {
                failure.to_string()
            }
            Sent::Missing => "the record is not there, or what it refers to".to_owned(),
            _ => return None,
        };
        let parents = self.engine.parents(&self.pair);
        for field in fields.iter().filter(|field| !field.sent.is_null()) {
            let catalog = self.catalog_of(&field.field);
            let parent = parents.get(&catalog).and_then(|id| self.engine.pairs.get(id));
            let id = RemoteId(field.sent.to_text());
            let Some(parent) = parent else { continue };
            if !self.is_gone(&parent, &id).await {
                continue;
            }
            let (label, row) = (&field.field, field.local.to_text());
            let held =
                format!("`{label}`: the record of row {row} of `{catalog}` is not found there any more");
            self.note_failure(&held, true);
            let mut unit = self.unit();
            unit.intents.push(close(link, number, IntentState::Refused, &refused));
            unit.signals.push(look_at(parent.id, id));
            return Some((label.clone(), held, unit));
        }
        None
    }

    /// Whether a record of another pair is not there, or part of another by now. What cannot be told is none of that.
    async fn is_gone(&self, pair: &PairRuntime, id: &RemoteId) -> bool {
        let Ok(exchange) = pair.resource.start(Operation::Get { id: id.clone() }) else { return false };
        match self.engine.run(&pair.connection, self.purpose(), exchange, pair.timeout()).await {
            Ok(Outcome::Record(observed)) => observed.gone || observed.id != *id,
            Ok(Outcome::Missing) => true,
            _ => false,
        }
    }

    /// Labels of what was to go out and did not: to look again at once would end the same.
    pub(crate) fn stayed(
        &self,
        decision: &Decision,
        sent: &[FieldWrite],
        refused: &[(String, String)],
    ) -> BTreeSet<String> {
        let refuses = |label: &str| refused.iter().any(|(other, _)| other == label);
        let labels = decision.pushes().map(|v| &v.label);
        labels
            .filter(|label| !sent.iter().any(|write| write.label == **label))
            // What a reference stands for is asked by the next look.
            .filter(|label| {
                refuses(label)
                    || self.dangling.contains_key(*label)
                    || self.pair.mapping.field(label).is_some_and(|f| f.reference.is_none())
            })
            .cloned()
            .collect()
    }
}
