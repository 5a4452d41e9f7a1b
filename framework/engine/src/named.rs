//! Rows that name their record themselves (`identity.remote_id`).

use crate::pairs::PairRuntime;
use bothways_mapping::Mapping;
use bothways_model::{LocalRow, Record, RemoteId, Value};
use bothways_store::Link;

/// The remote id that a row itself names.
pub(crate) fn held(pair: &PairRuntime, row: &LocalRow) -> Option<RemoteId> {
    Some(pair.remote_id(&as_written(&pair.mapping, row)?))
}

fn as_written(mapping: &Mapping, row: &LocalRow) -> Option<String> {
    let field = mapping.identity.remote_id.as_ref()?;
    let value = row.fields.get(field).filter(|v| !v.is_blank())?;
    Some(value.to_text())
}

/// What to tell a person if a row names another record than the one it is linked to. Whoever is right, no value may flow.
pub(crate) fn disagreement(pair: &PairRuntime, link: &Link, row: &LocalRow) -> Option<String> {
    let field = pair.mapping.identity.remote_id.as_ref()?;
    let linked = link.remote_id.as_ref()?;
    let held = held(pair, row)?;
    let agrees = held == *linked || link.body.moved_from.as_ref() == Some(&held);
    (!agrees).then(|| {
        format!(
            "the row names record `{held}` in `{field}`, but it is linked to `{linked}`: put `{linked}` back there, or take the link apart \
             (`bothways unlink {linked}`) and link the row to the record that it names (`bothways link {} {held}`)",
            row.id
        )
    })
}

/// Writes the id of a row's record into the field that the mapping keeps it in: if it is empty there, or holds that of a record that
/// was merged into this one.
pub(crate) fn write(mapping: &Mapping, link: &Link, row: &LocalRow, update: &mut Record) {
    let (Some(field), Some(id)) = (&mapping.identity.remote_id, &link.remote_id) else { return };
    let Some(ty) = mapping.catalog.field(field).map(|f| &f.ty) else { return };
    let held = as_written(mapping, row);
    let is_old = held.is_some() && held.as_deref() == link.body.moved_from.as_ref().map(RemoteId::as_str);
    if (is_old || row.fields.get(field).is_none_or(Value::is_null))
        && let Ok(value) = Value::from_text(ty, id.as_str())
    {
        update.set(field, value);
    }
}
