//! Rows and records that leave the mapping's scope (`only`), and come back.
//!
//! A link whose side left is closed, never deleted from: values stay as they are on both sides. It stays known, so that it is the same
//! link again when that side is back; what both sides hold by then is compared with what they held before.

use crate::apply::{again, entry};
use crate::look::{Ended, Look};
use crate::plan::items;
use crate::read;
use bothways_connector::Outcome;
use bothways_mapping::Mapping;
use bothways_model::{LocalRow, Observed, SingularPath};
use bothways_store::{HistoryOp, Link, LinkState, LinkWrite, LocalBinding, PauseScope, Side, Unit};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Why a link is closed whose row left the scope.
pub(crate) const LEFT_HERE: &str = "the row left the scope (`only`)";
/// Why a link is closed whose record left the scope.
pub(crate) const LEFT_THERE: &str = "the remote record left the scope (`only`)";
/// Why it is a link again.
pub(crate) const BACK: &str = "it is in the scope (`only`) again";

/// Whether a row is back for which its link was closed.
pub(crate) fn is_back_here(mapping: &Mapping, link: &Link, row: &LocalRow) -> bool {
    has_left(link, Side::Local) && row.deleted_at.is_none() && mapping.local_in_scope(&row.fields)
}

/// Whether a record is back for which its link was closed.
pub(crate) fn is_back_there(mapping: &Mapping, link: &Link, observed: &Observed) -> bool {
    has_left(link, Side::Remote) && !observed.gone && mapping.remote_in_scope(&observed.body)
}

/// What a path of `only` is counted under where it is absent.
fn asked(path: &SingularPath) -> String {
    format!("only {path}")
}

fn has_left(link: &Link, side: Side) -> bool {
    link.state == LinkState::Unlinked && link.body.left_scope == Some(side)
}

impl Look {
    /// Closes a link of which a side left the scope; `deleted` frees the id of its row.
    ///
    /// # Errors
    /// An order does not allow it.
    pub(crate) fn leaves_scope(&self, mut link: Link, side: Side, deleted: bool) -> Result<Unit, Ended> {
        let why = match side {
            Side::Local => LEFT_HERE,
            Side::Remote => LEFT_THERE,
        };
        self.permit_leaving(&link, why)?;
        link.body.left_scope = Some(side);
        Ok(self.close(link, LinkState::Unlinked, why.into(), deleted))
    }

    /// Whether a linked record takes part. One that is out of scope only because it does not show what `only` asks for may well be in
    /// it: a permission or the API's version changed (rule 17). Three such answers in a row pause the mapping.
    ///
    /// # Errors
    /// Nobody knows.
    pub(crate) async fn takes_part(&self, body: &Json) -> Result<bool, Ended> {
        let mapping = &self.pair.mapping;
        let Some(filter) = &mapping.only.remote else { return Ok(true) };
        let Some(path) = mapping.scope_is_open(body) else {
            let shown: Vec<_> = filter.paths().iter().map(|path| (asked(path), false)).collect();
            self.pair.note_absent(&shown);
            return Ok(mapping.remote_in_scope(body));
        };
        if self.pair.note_absent(&[(asked(&path), true)]).is_some() {
            let why = format!(
                "`{path}`, which `only` asks for, is missing from three answers in a row: a permission or the API's version \
                 changed. If the service leaves out what is empty, declare the path `sparse` in the connector, or ask \
                 whether it exists (`@.name`) before comparing it"
            );
            self.engine.pause(PauseScope::Pair(self.pair.id), &why).await;
        }
        Err(self
            .failed(&read::unexpected(&format!("a record without `{path}`, which `only` asks for")))
            .await)
    }

    /// Whether a closed link is one again: the side that had left is back, and the other takes part as well.
    pub(crate) async fn returns_to_scope(&self, link: &Link) -> Result<bool, Ended> {
        let (Some(side), Some(id), Some(row)) = (link.body.left_scope, &link.remote_id, &self.taken.row)
        else {
            return Ok(false);
        };
        let mapping = &self.pair.mapping;
        let is_asked = match side {
            Side::Local => is_back_here(mapping, link, row),
            // An edit of the row says nothing about the record.
            Side::Remote => {
                has_left(link, side)
                    && self.wants_look()
                    && row.deleted_at.is_none()
                    && mapping.local_in_scope(&row.fields)
            }
        };
        if !is_asked || self.local_side(link).0.is_some() || self.belongs_to_another(link, id).await? {
            return Ok(false);
        }
        let returns = match self.get(id).await? {
            Outcome::Record(observed) => {
                !observed.gone && observed.id == *id && mapping.remote_in_scope(&observed.body)
            }
            Outcome::Failed(failure) => return Err(self.failed(&failure).await),
            _ => false,
        };
        if let (true, Some(local)) = (returns, &link.local_id) {
            self.permit(|| Some(items::returning(local, id, BACK)))?;
        }
        Ok(returns)
    }

    /// The unit that makes a closed link one again; what differs by then is the next look's.
    pub(crate) fn reopened(&self, mut link: Link, why: &str) -> Unit {
        let mut unit = self.unit();
        link.state = LinkState::Linked;
        link.body.left_scope = None;
        link.body.archived = false;
        link.body.note = None;
        unit.history.push(entry(
            &link,
            Side::Local,
            HistoryOp::Link,
            BTreeMap::new(),
            vec![34],
            why.into(),
            None,
        ));
        unit.signals.extend(again(&link, true));
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        unit.work = self.done();
        unit
    }
}
