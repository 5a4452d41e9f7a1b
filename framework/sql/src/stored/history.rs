//! History.

use super::{from_json, get, json, nanos, time};
use crate::error::damaged;
use crate::statement::Arg;
use crate::tuple::Tuple;
use bothways_model::{PairId, Timestamp};
use bothways_store::{History, HistoryOp, HistoryRow, Side, StoreError};

/// The columns after `id`, in the order of [`history_args`].
pub(crate) const HISTORY: &str =
    "at, pair, link, local_id, remote_id, side, op, fields, rules, cause, pass, approved_by";

pub(crate) fn history_args(at: Timestamp, entry: &History) -> Vec<Arg> {
    vec![
        nanos(at).into(),
        entry.pair.0.into(),
        entry.link.map(|id| id.to_string()).into(),
        entry.local_id.as_ref().map(|id| id.as_str()).into(),
        entry.remote_id.as_ref().map(|id| id.as_str()).into(),
        entry.side.as_str().into(),
        entry.op.as_str().into(),
        json(&entry.fields).into(),
        json(&entry.rules).into(),
        entry.cause.as_str().into(),
        entry.pass.as_deref().into(),
        entry.approved_by.as_deref().into(),
    ]
}

pub(super) fn side(text: &str) -> Result<Side, StoreError> {
    [Side::Local, Side::Remote]
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or_else(|| damaged("the name of a side"))
}

/// Reads a row of `id` and the columns of [`HISTORY`].
pub(crate) fn read_history(row: &Tuple) -> Result<HistoryRow, StoreError> {
    let link = get::<Option<&str>>(row, 3)?.map(str::parse).transpose();
    let entry = History {
        pair: PairId(get(row, 2)?),
        link: link.map_err(|_| damaged("the link of a history entry"))?,
        local_id: get::<Option<String>>(row, 4)?.map(Into::into),
        remote_id: get::<Option<String>>(row, 5)?.map(Into::into),
        side: side(get(row, 6)?)?,
        op: HistoryOp::parse(get(row, 7)?).ok_or_else(|| damaged("a history entry's operation"))?,
        fields: from_json(get(row, 8)?, "a history entry's fields")?,
        rules: from_json(get(row, 9)?, "a history entry's rules")?,
        cause: get(row, 10)?,
        pass: get(row, 11)?,
        approved_by: get(row, 12)?,
    };
    Ok(HistoryRow { id: get(row, 0)?, at: time(get(row, 1)?), entry })
}
