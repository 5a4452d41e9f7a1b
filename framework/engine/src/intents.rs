//! Intents of writes: their keys, how they end, what they leave behind (rules 20 to 24).

use crate::apply::entry;
use bothways_mapping::Mapping;
use bothways_model::{Idempotency, LinkId, PairId, Record, Timestamp, Value};
use bothways_store::{
    FieldChange, History, HistoryOp, Intent, IntentState, IntentWrite, LateEcho, Link, SentField, Side,
};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How long after an uncertain write its value may still be our own late echo (rule 24).
const LATE: TimeDelta = TimeDelta::hours(24);

/// The idempotency key of a link's intent (rule 22).
pub(crate) fn key_of(pair: PairId, link: LinkId, number: u32) -> String {
    let digest = Sha256::digest(format!("{pair}/{link}/{number}").as_bytes());
    format!("bothways-{}", hex::encode(&digest[..20]))
}

/// Closes an intent.
pub(crate) fn close(link: LinkId, number: u32, state: IntentState, outcome: &str) -> IntentWrite {
    let outcome: String = outcome.chars().take(300).collect();
    IntentWrite::Close { link, number, state, outcome }
}

/// The history entry of what the service stored otherwise than it was sent (rule 15); `None` if there is nothing of the kind.
pub(crate) fn altered_history(
    mapping: &Mapping,
    link: &Link,
    sent: &[SentField],
    shown: Option<&Record>,
) -> Option<History> {
    let shown = shown?;
    let altered: BTreeMap<String, FieldChange> = sent
        .iter()
        .filter_map(|sent| {
            let (field, stored) = (mapping.field(&sent.field)?, shown.get(&sent.field)?);
            let change = FieldChange { before: Some(sent.sent.clone()), after: Some(stored.clone()) };
            (!field.same(stored, &sent.sent)).then(|| (sent.field.clone(), change))
        })
        .collect();
    let why = "the service stored another value than was sent".to_owned();
    (!altered.is_empty()).then(|| entry(link, Side::Remote, HistoryOp::Altered, altered, vec![15], why, None))
}

/// Values of an abandoned uncertain write that may still arrive (rule 24).
pub(crate) fn late_echoes(intent: &Intent, now: Timestamp) -> Vec<LateEcho> {
    intent
        .fields
        .iter()
        .map(|f| LateEcho { field: f.field.clone(), value: f.sent.clone(), until: now + LATE })
        .collect()
}

/// Notes that a delete was given up which may arrive yet, and returns what history says of it: what it takes along if it does (rule 24).
pub(crate) fn delete_given_up(link: &mut Link, shown: &Record, now: Timestamp) -> History {
    link.body.late_delete = Some(now + LATE);
    let taken = |value: &Value| FieldChange { before: Some(value.clone()), after: None };
    let fields = shown.iter().map(|(label, value)| (label.clone(), taken(value))).collect();
    let why = "a delete was given up; this is what it takes along if it arrives late".to_owned();
    entry(link, Side::Remote, HistoryOp::Echo, fields, vec![24], why, None)
}

/// Whether the service still remembers an intent's key, with a margin of an hour (rule 23).
pub(crate) fn key_is_kept(intent: &Intent, idempotency: Option<&Idempotency>, now: Timestamp) -> bool {
    let Some(keeps) = idempotency.map(|i| i.keeps_ms.saturating_sub(3_600_000)) else { return false };
    (now - intent.at).num_milliseconds().unsigned_abs() < keeps
}
