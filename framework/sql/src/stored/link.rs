//! Links.

use super::{from_json, get, json, mode, nanos, time};
use crate::error::damaged;
use crate::statement::Arg;
use crate::tuple::Tuple;
use bothways_model::{LinkId, PairId, Seq};
use bothways_store::{Lease, Link, LinkState, StoreError};

/// The columns, in the order of [`link_args`].
pub(crate) const LINK: &str = "id, pair, local_id, remote_id, account, mode, state, live, body, conflicts, choice, created_at, \
     updated_at, in_step_at, token, lease_until, intents";

/// What follows the rows of an insert that may meet links that are there.
pub(crate) const LINK_UPSERT: &str = "ON CONFLICT (id) DO UPDATE SET local_id = excluded.local_id, remote_id = excluded.remote_id, \
     account = excluded.account, mode = excluded.mode, state = excluded.state, live = excluded.live, body = excluded.body, \
     conflicts = excluded.conflicts, choice = excluded.choice, updated_at = excluded.updated_at, in_step_at = excluded.in_step_at, \
     token = excluded.token, lease_until = excluded.lease_until, intents = excluded.intents";

/// A link with the number of its last intent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredLink {
    pub(crate) link: Link,
    pub(crate) intents: u32,
}

pub(crate) fn link_args(stored: &StoredLink) -> Vec<Arg> {
    let link = &stored.link;
    vec![
        link.id.to_string().into(),
        link.pair.0.into(),
        link.local_id.as_ref().map(|id| id.as_str()).into(),
        link.remote_id.as_ref().map(|id| id.as_str()).into(),
        link.account.as_ref().map(|id| id.as_str()).into(),
        link.mode.as_str().into(),
        link.state.as_str().into(),
        link.state.is_live().into(),
        json(&link.body).into(),
        (!link.body.conflicts.is_empty()).into(),
        link.body.has_choice().into(),
        nanos(link.created_at).into(),
        nanos(link.updated_at).into(),
        link.in_step_at.map(nanos).into(),
        link.lease.map(|lease| lease.token.0).into(),
        link.lease.map(|lease| nanos(lease.until)).into(),
        i64::from(stored.intents).into(),
    ]
}

/// Reads a row of the columns of [`LINK`].
pub(crate) fn read_link(row: &Tuple) -> Result<StoredLink, StoreError> {
    let id: LinkId = get::<&str>(row, 0)?.parse().map_err(|_| damaged("a link's id"))?;
    let text = |index: usize| get::<Option<String>>(row, index);
    let lease = match (get::<Option<i64>>(row, 14)?, get::<Option<i64>>(row, 15)?) {
        (Some(token), Some(until)) => Some(Lease { token: Seq(token), until: time(until) }),
        _ => None,
    };
    let link = Link {
        id,
        pair: PairId(get(row, 1)?),
        local_id: text(2)?.map(Into::into),
        remote_id: text(3)?.map(Into::into),
        account: text(4)?.map(Into::into),
        mode: mode(get(row, 5)?),
        state: LinkState::parse(get(row, 6)?).ok_or_else(|| damaged("a link's state"))?,
        body: from_json(get(row, 8)?, "a link's body")?,
        created_at: time(get(row, 11)?),
        updated_at: time(get(row, 12)?),
        in_step_at: get::<Option<i64>>(row, 13)?.map(time),
        lease,
    };
    let intents = u32::try_from(get::<i64>(row, 16)?).map_err(|_| damaged("a link's intents"))?;
    Ok(StoredLink { link, intents })
}
