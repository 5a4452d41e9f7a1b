//! Rows without their records: those that are archived no more, and those whose edits go nowhere (rules 33, 34).
//!
//! A row that was archived is live again once its `deleted_at` is cleared. If archiving it was what closed its link, that is one
//! again where the record lives; where it does not, the row is detached. Edits of a detached row do not flow, so each of them is
//! shown to a person once: what they have seen and left alone is not shown again.

use crate::apply::again;
use crate::decide::{local_changed, local_value};
use crate::look::{Ended, Look};
use crate::plan::items;
use bothways_mapping::Mapping;
use bothways_model::{LocalRow, Record, RemoteId};
use bothways_store::{Link, LinkState, LinkWrite, LocalBinding, ParkReason, Side, Signal, Subject, Unit};
use sha2::{Digest, Sha256};

/// Why it is a link again.
pub(crate) const LIVE_AGAIN: &str = "the row was archived and is live again";

/// Whether a row is live again whose link was closed, or whose record was given up, while it was archived.
pub(crate) fn is_live_again(mapping: &Mapping, link: &Link, row: &LocalRow) -> bool {
    let by_archive = match link.state {
        LinkState::Tombstone => link.body.merged_into.is_none(),
        LinkState::Unlinked => link.body.archived,
        _ => false,
    };
    by_archive
        && link.local_id.as_ref() == Some(&row.id)
        && row.deleted_at.is_none()
        && mapping.local_in_scope(&row.fields)
}

/// Whether a row that has lost its record holds edits which nobody was shown.
pub(crate) fn has_unseen_edits(mapping: &Mapping, link: &Link, row: &LocalRow) -> bool {
    row.deleted_at.is_none()
        && local_changed(mapping, &row.fields, &link.body)
        && link.body.shown.as_ref() != Some(&digest(mapping, &row.fields))
}

/// Of what a row holds in the fields of a mapping.
fn digest(mapping: &Mapping, row: &Record) -> String {
    let held: Vec<_> = mapping.fields.iter().map(|field| (&field.label, local_value(field, row))).collect();
    let text = serde_json::to_string(&held).unwrap_or_default();
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

impl Look {
    /// The row of a closed link, if it is live again.
    pub(crate) fn live_again(&self, link: &Link) -> Option<LocalRow> {
        let row = self.taken.row.as_ref().filter(|row| is_live_again(&self.pair.mapping, link, row))?;
        let (gone, _) = self.local_side(link);
        gone.is_none().then(|| row.clone())
    }

    /// A row that was archived is live again.
    ///
    /// # Errors
    /// Whether its record lives could not be told, or an order does not allow what follows.
    pub(crate) async fn comes_back(&mut self, mut link: Link, row: LocalRow) -> Result<Unit, Ended> {
        let Some(id) = link.remote_id.clone() else { return Ok(self.closed(link)) };
        if self.has_another_link(&link, &row).await? {
            return Ok(self.closed(link));
        }
        if self.belongs_to_another(&link, &id).await? {
            let why = format!("{LIVE_AGAIN}; `{id}` belongs to another row by now");
            let mut unit = self.close(link, LinkState::Unlinked, why, true);
            let subject = Subject::Local(row.id);
            unit.signals.push(Signal { pair: self.pair.id, subject, look: true, not_before: None });
            return Ok(unit);
        }
        if let Some(seen) = self.see(&link, &id).await? {
            self.permit(|| Some(items::returning(&row.id, &id, LIVE_AGAIN)))?;
            let mapping = self.pair.mapping.clone();
            let local = mapping.match_key(&mapping.read_local(&row.fields));
            let remote = mapping.match_key(&seen.fields);
            let mut unit = self.reopened(link, LIVE_AGAIN);
            unit.keys.push(self.key(Side::Local, row.id.as_str(), local));
            unit.keys.push(self.key(Side::Remote, id.as_str(), remote));
            return Ok(unit);
        }
        link.state = LinkState::Detached;
        self.without_remote(link, Some(row), None).await
    }

    /// Whether a row has got another link since this one was closed.
    async fn has_another_link(&self, link: &Link, row: &LocalRow) -> Result<bool, Ended> {
        match self.engine.store.links_of_local(self.pair.id, std::slice::from_ref(&row.id)).await {
            Ok(links) => Ok(links.into_iter().flatten().any(|l| l.id != link.id && l.state.is_live())),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// Whether a record has a live link other than this one.
    ///
    /// # Errors
    /// The links cannot be read.
    pub(crate) async fn belongs_to_another(&self, link: &Link, id: &RemoteId) -> Result<bool, Ended> {
        match self.engine.store.links_of_remote(self.pair.id, std::slice::from_ref(id)).await {
            Ok(links) => Ok(links.into_iter().flatten().any(|l| l.id != link.id && l.state.is_live())),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// Notes what a person is shown of a row, or has seen and left alone; what they have not seen is looked at again.
    pub(crate) fn note_shown(&self, unit: &mut Unit, row: &LocalRow, asks: bool, chosen: bool) {
        let mapping = &self.pair.mapping;
        let Some(write) = unit.confirm.as_mut().filter(|write| write.link.state == LinkState::Detached)
        else {
            return;
        };
        let known = write.link.body.shown.take().filter(|_| !asks);
        write.link.body.shown = known.or_else(|| (asks || chosen).then(|| digest(mapping, &row.fields)));
        if has_unseen_edits(mapping, &write.link, row) {
            unit.signals.extend(again(&write.link, true));
        }
    }

    /// The record became part of another one, which has a row of its own, and this row goes on: each edit of it is shown (rule 26).
    pub(crate) fn stays_merged(&self, mut link: Link, row: &LocalRow) -> Unit {
        let mut unit = self.unit();
        unit.work = self.still_parked_or_done();
        if has_unseen_edits(&self.pair.mapping, &link, row) {
            link.body.shown = Some(digest(&self.pair.mapping, &row.fields));
            let why = link.body.note.clone().unwrap_or_else(|| "merged remotely".to_owned());
            unit.work = self.park(ParkReason::Merged, why, "merged");
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        }
        unit
    }
}
