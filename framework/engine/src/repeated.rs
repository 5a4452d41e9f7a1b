//! A conditional update that was refused because of itself: the same request arrived twice, and the first arrival changed the version
//! that the second named.

use crate::look::{Ended, Look};
use crate::push::{FieldWrite, Sent};
use crate::read;
use bothways_connector::Outcome;
use bothways_model::{ErrorClass, Failure, RemoteId, Value};
use bothways_store::SentField;

/// What is known of it as long as the record does not tell.
const UNTOLD: &str = "its condition did not hold, perhaps because the same request had arrived before";

impl Look {
    /// How a sent update ended, where its condition did not hold: carried out if the record holds all that was sent, since only then
    /// nothing that the write replaced would be missing in history (rule 11). Where the record cannot be read, or holds a part of it,
    /// nobody knows yet: the next look finds out before anything is decided (rules 20, 23), as of any write whose answer got lost.
    pub(crate) async fn unless_repeated(
        &self,
        sent: Sent,
        id: &RemoteId,
        writes: &[FieldWrite],
    ) -> Result<Sent, Ended> {
        let overtaken = matches!(&sent, Sent::Refused(failure) if failure.class == ErrorClass::Conflict);
        if !overtaken || !self.pair.capabilities().update_is_conditional {
            return Ok(sent);
        }
        let untold = || Sent::Uncertain(UNTOLD.into(), Some(Failure::new(ErrorClass::Conflict, UNTOLD)));
        let observed = match self.get(id).await? {
            Outcome::Record(observed) if !observed.gone && observed.id == *id => observed,
            Outcome::Failed(failure) => return Ok(Sent::Uncertain(UNTOLD.into(), Some(failure))),
            // Gone, missing or merged: history names what the write replaced if it was carried out before.
            _ => return Ok(untold()),
        };
        let shown = read::remote(&self.pair, &observed).fields;
        let holds = |label: &str, value: &Value| {
            let field = self.pair.mapping.field(label);
            field.zip(shown.get(label)).is_some_and(|(field, shown)| field.same(shown, value))
        };
        let fields: Vec<SentField> = writes.iter().map(FieldWrite::sent).collect();
        if fields.iter().all(|f| holds(&f.field, &f.sent)) {
            return Ok(Sent::Written(None));
        }
        let is_ours = |f: &SentField| {
            holds(&f.field, &f.sent) && f.before.as_ref().is_none_or(|before| !holds(&f.field, before))
        };
        Ok(if fields.iter().any(is_ours) { untold() } else { sent })
    }
}
