//! Links whose other side was never made: the table refused the row, the service refused the create or was not reached. The claim
//! stands and is tried again with what the record holds by then; if that matches something else by now, the claim is let go. What a
//! create of it made since is nothing else.

use crate::create::insertion;
use crate::look::{Ended, Look};
use crate::named;
use crate::scope::LEFT_THERE;
use bothways_mapping::mapping::CreatePolicy;
use bothways_model::{LocalRow, Observed, RemoteId};
use bothways_store::{Guard, Link, LinkState, Side, Unit};
use std::sync::Arc;

/// Why a claim is let go.
const MATCHES: &str = "never made on the other side, where something else matches by now";
const NOT_WANTED: &str = "never made on the other side, and not to be made any more (`creates`)";

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
        if seen.body.as_ref().is_some_and(|body| !self.pair.mapping.remote_in_scope(body)) {
            return self.let_go(link, LEFT_THERE);
        }
        if self.pair.mapping.creates.from_remote != CreatePolicy::Create {
            return self.let_go(link, NOT_WANTED);
        }
        let value = self.pair.mapping.match_key(&seen.fields);
        let put = self.key(Side::Remote, id.as_str(), value.clone());
        if let Some(value) = value {
            let group = self.group(put, &value).await?;
            if !group.local.is_empty() || group.remote.iter().any(|m| m.key.id != id.0) {
                return self.let_go(link, MATCHES);
            }
        } else {
            self.put_key(put).await?;
        }
        let seen = self.refer(seen, None, None).await?;
        let account = self.engine.connection_state(&self.pair.connection);
        let observed = Observed {
            id,
            body: seen.body.clone().unwrap_or_else(|| Arc::new(serde_json::Value::Null)),
            gone: false,
            changed_at: seen.changed_at,
            version: seen.version.clone(),
        };
        let token = self.taken.token;
        match insertion(&self.pair, &account, link.id, token, &observed, &seen, self.now, None) {
            Ok(mut unit) => {
                unit.guard = Guard::Token { link: link.id, token };
                unit.work = self.done();
                Ok(unit)
            }
            Err(no) => Ok(self.no_row(no).await),
        }
    }
    /// Makes the record of a row whose link never had one, from the row as it is now. That nothing matches the row was found out
    /// when its link was claimed, which may be long ago: it is asked again (rule 27).
    pub(crate) async fn create_again(&mut self, link: Link, row: LocalRow) -> Result<Unit, Ended> {
        let mapping = self.pair.mapping.clone();
        if mapping.creates.from_local != CreatePolicy::Create {
            return self.let_go(link, NOT_WANTED);
        }
        if named::held(&self.pair, &row).is_some() {
            return self.let_go(link, "never made at the service; the row names its record itself by now");
        }
        let value = mapping.match_key(&mapping.read_local(&row.fields));
        let put = self.key(Side::Local, row.id.as_str(), value.clone());
        if let Some(value) = value {
            let group = self.group(put, &value).await?;
            let is_alone = group.remote.is_empty() && group.local.iter().all(|m| m.key.id == row.id.0);
            if !is_alone || !self.find(&row, &value).await?.is_empty() {
                return match self.bind_late(&link).await? {
                    Some(_) => Ok(self.nothing()),
                    None => self.let_go(link, MATCHES),
                };
            }
        } else {
            self.put_key(put).await?;
        }
        self.send_create(link, row, false).await
    }

    /// Closes a claim so that its row or record has never been linked, as far as matching goes; it is looked at as a new one next.
    fn let_go(&self, link: Link, why: &str) -> Result<Unit, Ended> {
        if self.order.is_some() {
            return Err(self.stale(why.to_owned()));
        }
        let mut unit = self.close(link, LinkState::Unlinked, why.to_owned(), true);
        if let Some(write) = &mut unit.confirm {
            write.link.remote_id = None;
            write.link.body.base.clear();
        }
        unit.work = self.again_soon();
        Ok(unit)
    }
}
