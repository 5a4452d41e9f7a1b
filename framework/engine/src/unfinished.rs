//! Rows that a table refused when they were to be made of records: the claim stands, the row is tried again.

use crate::create::insertion;
use crate::look::{Ended, Look};
use bothways_model::{Observed, RemoteId};
use bothways_store::{Guard, Link, LinkState, ParkReason, Unit};
use std::sync::Arc;

impl Look {
    /// Whether a link has never had a row: the table refused it. One that lost its row remembers which.
    pub(crate) fn never_had_row(&self, link: &Link) -> bool {
        link.local_id.is_none() && link.body.former_local.is_none() && link.remote_id.is_some()
    }

    /// Makes the row of a record whose link never had one, from the record as it is now.
    pub(crate) async fn insert_again(&mut self, link: Link, id: RemoteId) -> Result<Unit, Ended> {
        let Some(seen) = self.see(&link, &id).await? else {
            let why = "deleted remotely before its row could be made".to_owned();
            return Ok(self.close(link, LinkState::Tombstone, why, true));
        };
        let account = self.engine.connection_state(&self.pair.connection);
        let observed = Observed {
            id,
            body: seen.body.clone().unwrap_or_else(|| Arc::new(serde_json::Value::Null)),
            gone: false,
            changed_at: seen.changed_at,
        };
        let token = self.taken.token;
        match insertion(&self.pair, &account, link.id, token, &observed, &seen, self.now, None) {
            Ok(mut unit) => {
                unit.guard = Guard::Token { link: link.id, token };
                unit.work = self.done();
                Ok(unit)
            }
            Err(why) => {
                let mut unit = self.unit();
                unit.work = self.park(ParkReason::Refused, why, "create-local-refused");
                Ok(unit)
            }
        }
    }
}
