//! When what was seen of a linked record in bulk proves that there is nothing to do (rules 38, 50).
//!
//! Pages, feeds and payloads may only ever skip a look; they never move a base, clear a conflict or cause a write.

use crate::decide::local_changed;
use crate::named;
use crate::pairs::PairRuntime;
use bothways_mapping::{Field, Mapping};
use bothways_model::{LocalRow, Observed, Record};
use bothways_store::{Link, LinkState};

/// Whether a record, as seen in bulk, shows nothing that its link does not know.
pub(crate) fn remote(pair: &PairRuntime, link: &Link, observed: &Observed) -> bool {
    !observed.gone
        && is_calm(&pair.mapping, link)
        && pair.mapping.remote_in_scope(&observed.body)
        && shows_bases(&pair.mapping, link, &observed.body)
}

/// Whether a record, as seen in bulk, holds something else than its link knows of it, as far as that is known.
pub(crate) fn contradicts(pair: &PairRuntime, link: &Link, observed: &Observed) -> bool {
    let reading = pair.mapping.read_remote(&observed.body);
    let is_another = |field: &Field| {
        let base = link.body.base.get(&field.label).and_then(|base| base.remote.as_ref());
        let shown = reading.record.get(&field.label);
        base.zip(shown).is_some_and(|(base, shown)| !field.same(shown, base))
    };
    observed.gone
        || !pair.mapping.remote_in_scope(&observed.body)
        || !reading.refusals.is_empty()
        || pair.mapping.fields.iter().any(is_another)
}

/// Whether a row, as read in bulk, shows nothing that its link does not know.
pub(crate) fn local(pair: &PairRuntime, link: &Link, row: &LocalRow) -> bool {
    let mapping = &pair.mapping;
    row.deleted_at.is_none()
        && is_calm(mapping, link)
        && mapping.local_in_scope(&row.fields)
        && named::disagreement(pair, link, row).is_none()
        && !local_changed(mapping, &row.fields, &link.body)
}

/// Nothing is under way or open. A lease is a look under way, perhaps with an intent sent but not confirmed: what is seen meanwhile
/// may be the value from before our own write or a change after it, so it proves nothing. An uncertain intent without a lease
/// brings a GET of its own.
fn is_calm(mapping: &Mapping, link: &Link) -> bool {
    link.state == LinkState::Linked
        && link.lease.is_none()
        && link.remote_id.is_some()
        && link.local_id.is_some()
        && link.body.is_calm()
        && link.body.missing_since.is_none()
        && link.body.twin.is_none()
        && !link.body.has_choice()
        && mapping.fields.iter().all(|field| {
            link.body.base.get(&field.label).is_some_and(|base| base.local.is_some() && base.remote.is_some())
        })
}

/// A field that is null may be left out; one that had a value may not (rule 17).
fn shows_bases(mapping: &Mapping, link: &Link, body: &serde_json::Value) -> bool {
    let reading = mapping.read_remote(body);
    reading.refusals.is_empty() && equals_bases(mapping, link, &reading.record)
}

fn equals_bases(mapping: &Mapping, link: &Link, seen: &Record) -> bool {
    mapping.fields.iter().all(|field| {
        let Some(base) = link.body.base.get(&field.label).and_then(|base| base.remote.as_ref()) else {
            return false;
        };
        match seen.get(&field.label) {
            Some(value) => field.same(value, base),
            None => base.is_null(),
        }
    })
}
