//! Match keys.

use super::history::side;
use super::{from_json, get, json};
use crate::statement::Arg;
use crate::tuple::Tuple;
use bothways_model::{PairId, Seq};
use bothways_store::{Key, StoreError};

/// The columns, in the order of [`key_args`].
pub(crate) const KEY: &str = "pair, side, id, value, seen, content";

pub(crate) fn key_args(key: &Key) -> Vec<Arg> {
    vec![
        key.pair.0.into(),
        key.side.as_str().into(),
        key.id.as_str().into(),
        key.value.as_deref().into(),
        key.seen.0.into(),
        key.content.as_ref().map(json).into(),
    ]
}

/// Reads a row of the columns of [`KEY`].
pub(crate) fn read_key(row: &Tuple) -> Result<Key, StoreError> {
    let content = get::<Option<&str>>(row, 5)?.map(|text| from_json(text, "a match key's content"));
    Ok(Key {
        pair: PairId(get(row, 0)?),
        side: side(get(row, 1)?)?,
        id: get(row, 2)?,
        value: get(row, 3)?,
        seen: Seq(get(row, 4)?),
        content: content.transpose()?,
    })
}
