//! Intents.

use super::{from_json, get, json, nanos, time};
use crate::error::damaged;
use crate::statement::Arg;
use crate::tuple::Tuple;
use bothways_model::PairId;
use bothways_store::{Intent, IntentState, StoreError};

/// The columns, in the order of [`intent_args`].
pub(crate) const INTENT: &str =
    "link, number, pair, kind, request, fields, key, state, pending, at, sent_at, outcome, service_at";

pub(crate) fn intent_args(intent: &Intent) -> Vec<Arg> {
    vec![
        intent.link.to_string().into(),
        i64::from(intent.number).into(),
        intent.pair.0.into(),
        intent.kind.as_str().into(),
        json(&intent.request).into(),
        json(&intent.fields).into(),
        intent.key.as_str().into(),
        intent.state.as_str().into(),
        intent.state.is_pending().into(),
        nanos(intent.at).into(),
        nanos(intent.sent_at).into(),
        intent.outcome.as_deref().into(),
        intent.service_at.map(nanos).into(),
    ]
}

/// Reads a row of the columns of [`INTENT`].
pub(crate) fn read_intent(row: &Tuple) -> Result<Intent, StoreError> {
    Ok(Intent {
        link: get::<&str>(row, 0)?.parse().map_err(|_| damaged("an intent's link"))?,
        number: u32::try_from(get::<i64>(row, 1)?).map_err(|_| damaged("an intent's number"))?,
        pair: PairId(get(row, 2)?),
        kind: get(row, 3)?,
        request: from_json(get(row, 4)?, "an intent's request")?,
        fields: from_json(get(row, 5)?, "an intent's fields")?,
        key: get(row, 6)?,
        state: IntentState::parse(get(row, 7)?).ok_or_else(|| damaged("an intent's state"))?,
        at: time(get(row, 9)?),
        sent_at: time(get(row, 10)?),
        outcome: get(row, 11)?,
        service_at: get::<Option<i64>>(row, 12)?.map(time),
    })
}
