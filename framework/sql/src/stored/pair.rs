//! Pairs, and the scopes of pauses.

use super::{from_json, get, mode, time};
use crate::tuple::Tuple;
use bothways_model::{PairId, Timestamp};
use bothways_store::{Pair, PairSpec, PauseScope, StoreError};

/// The columns.
pub(crate) const PAIR: &str =
    "id, catalog, connection, resource, mapping, account, mode, approval, walked_at, passed_at, retired_at";

/// Reads a row of the columns of [`PAIR`].
pub(crate) fn read_pair(row: &Tuple) -> Result<Pair, StoreError> {
    let moment =
        |index: usize| Ok::<Option<Timestamp>, StoreError>(get::<Option<i64>>(row, index)?.map(time));
    let approval = get::<Option<&str>>(row, 7)?.map(|text| from_json(text, "an approval"));
    Ok(Pair {
        id: PairId(get(row, 0)?),
        spec: PairSpec {
            catalog: get(row, 1)?,
            connection: get::<String>(row, 2)?.into(),
            resource: get(row, 3)?,
            mapping: get(row, 4)?,
        },
        account: get::<Option<String>>(row, 5)?.map(Into::into),
        mode: mode(get(row, 6)?),
        approval: approval.transpose()?,
        walked_at: moment(8)?,
        passed_at: moment(9)?,
        retired_at: moment(10)?,
    })
}

/// A scope as one text.
pub(crate) fn scope_text(scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "all".to_owned(),
        PauseScope::Connection(name) => format!("connection {name}"),
        PauseScope::Pair(id) => format!("pair {id}"),
        PauseScope::Link(id) => format!("link {id}"),
    }
}

/// Reads [`scope_text`].
pub(crate) fn scope_of_text(text: &str) -> Option<PauseScope> {
    match text.split_once(' ') {
        None => (text == "all").then_some(PauseScope::All),
        Some(("connection", name)) => Some(PauseScope::Connection(name.into())),
        Some(("pair", id)) => id.parse().ok().map(|id| PauseScope::Pair(PairId(id))),
        Some(("link", id)) => id.parse().ok().map(PauseScope::Link),
        Some(_) => None,
    }
}
