//! A conditional update that was refused because of itself: the same request arrived twice, and the first arrival changed the version
//! that the second named.

use crate::look::{Ended, Look};
use crate::push::{FieldWrite, Sent};
use crate::read;
use bothways_connector::Outcome;
use bothways_model::{ErrorClass, RemoteId};

impl Look {
    /// How a sent update ended, where its condition did not hold: carried out if the record holds all that was sent, since only then
    /// nothing that the write replaced would be missing in history (rule 11).
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
        let Outcome::Record(observed) = self.get(id).await? else { return Ok(sent) };
        let shown = read::remote(&self.pair, &observed).fields;
        let holds = |write: &FieldWrite| {
            let field = self.pair.mapping.field(&write.label);
            field
                .zip(shown.get(&write.label))
                .is_some_and(|(field, shown)| field.same(shown, &write.sent().sent))
        };
        let is_there = !observed.gone && observed.id == *id && writes.iter().all(holds);
        Ok(if is_there { Sent::Written(None) } else { sent })
    }
}
