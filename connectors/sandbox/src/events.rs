//! The event log: what happened, as snapshots, kept for 30 days and listed newest first.

use crate::errors::ApiError;
use crate::form::Params;
use crate::list::{Key, ListQuery, Page, Slip};
use crate::objects::Text;
use crate::params::{Given, Reader};
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How long Stripe keeps events.
const RETENTION: TimeDelta = TimeDelta::days(30);
/// How many types one list may ask for.
const MAX_TYPES: usize = 20;

/// Who caused a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cause {
    /// The API request, or none for a change made in the dashboard or by an automation.
    pub(crate) request_id: Option<String>,
    /// The idempotency key of that request.
    pub(crate) key: Option<String>,
}

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct EventRecord {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) created: i64,
    pub(crate) api_version: String,
    pub(crate) object: Text,
    pub(crate) previous: Option<Value>,
    pub(crate) cause: Cause,
    /// Deliveries that have not succeeded yet.
    pub(crate) pending: u32,
    /// Whether a delivery was given up.
    pub(crate) undelivered: bool,
}

#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    object: &'static str,
    api_version: &'a str,
    created: i64,
    data: Data<'a>,
    livemode: bool,
    pending_webhooks: u32,
    request: RequestView<'a>,
    r#type: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    object: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_attributes: Option<&'a Value>,
}

#[derive(Serialize)]
struct RequestView<'a> {
    id: Option<&'a str>,
    idempotency_key: Option<&'a str>,
}

impl EventRecord {
    /// The event as the API and the deliveries show it; `version` overrides the version it was made under.
    pub(crate) fn text(&self, version: Option<&str>) -> Text {
        let view = View {
            id: &self.id,
            object: "event",
            api_version: version.unwrap_or(&self.api_version),
            created: self.created,
            data: Data { object: &self.object, previous_attributes: self.previous.as_ref() },
            livemode: false,
            pending_webhooks: self.pending,
            request: RequestView {
                id: self.cause.request_id.as_deref(),
                idempotency_key: self.cause.key.as_deref(),
            },
            r#type: &self.kind,
        };
        match serde_json::value::to_raw_value(&view) {
            Ok(text) => text.into(),
            Err(_) => RawValue::NULL.to_owned().into(),
        }
    }
}

/// All events of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    log: BTreeMap<Key, EventRecord>,
    ids: BTreeMap<String, Key>,
    seq: u64,
}

impl Events {
    pub(crate) fn push(&mut self, event: EventRecord) {
        let key = Key { created: event.created, seq: self.seq };
        self.seq += 1;
        self.ids.insert(event.id.clone(), key);
        self.log.insert(key, event);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&EventRecord> {
        self.ids.get(id).and_then(|key| self.log.get(key))
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut EventRecord> {
        self.ids.get(id).and_then(|key| self.log.get_mut(key))
    }

    /// All events, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &EventRecord> {
        self.log.values()
    }

    /// Forgets what is older than 30 days.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        let oldest = (now - RETENTION).timestamp();
        while let Some(entry) = self.log.first_entry()
            && entry.key().created < oldest
        {
            let event = entry.remove();
            self.ids.remove(&event.id);
        }
    }

    /// `GET /v1/events`.
    pub(crate) fn list(&self, params: Params, slip: Slip) -> Result<Page<Text>, ApiError> {
        let mut reader = Reader::new(params);
        let query = ListQuery::read(&mut reader)?;
        let kind = reader.solid_text("type", 255)?;
        let kinds = reader.texts("types")?.and_then(Given::into_option);
        let delivered = reader.boolean("delivery_success")?;
        reader.finish()?;
        if kind.is_some() && kinds.is_some() {
            return Err(
                ApiError::invalid("You may only specify one of these parameters: type, types.").of("type")
            );
        }
        if kinds.as_ref().is_some_and(|kinds| kinds.len() > MAX_TYPES) {
            return Err(ApiError::invalid(format!("You may list at most {MAX_TYPES} types.")).of("types"));
        }
        let at = match query.cursor() {
            None => None,
            Some((id, param)) => {
                let key = self.ids.get(id).ok_or_else(|| ApiError::missing_cursor("event", id, param))?;
                Some(*key)
            }
        };
        let wanted = |event: &EventRecord| {
            kind.as_ref().is_none_or(|kind| kind_matches(kind, &event.kind))
                && kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
                && delivered.is_none_or(|delivered| delivered == (event.pending == 0 && !event.undelivered))
        };
        let found = query.range(&self.log, at, slip).filter(|(_, event)| wanted(event));
        let page = query.page(found, at, slip);
        let items = page.items.into_iter().map(|event| event.text(None)).collect();
        Ok(Page { items, has_more: page.has_more })
    }
}

/// `customer.*` means every event of customers.
fn kind_matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => pattern == kind,
    }
}

/// What `previous_attributes` shows: the old values of what differs, in nested hashes only the keys that differ, null for
/// what was not there, lists whole. `None` where nothing differs.
pub(crate) fn previous_attributes(before: &Map<String, Value>, after: &Map<String, Value>) -> Option<Value> {
    let mut previous = Map::new();
    for (name, new) in after {
        match before.get(name) {
            Some(old) if old == new => {}
            Some(Value::Object(old)) if new.is_object() => {
                if let Some(inner) = new.as_object().and_then(|new| previous_attributes(old, new)) {
                    previous.insert(name.clone(), inner);
                }
            }
            old => {
                previous.insert(name.clone(), old.cloned().unwrap_or(Value::Null));
            }
        }
    }
    for (name, old) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        previous.insert(name.clone(), old.clone());
    }
    if previous.is_empty() { None } else { Some(Value::Object(previous)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn previous(before: Value, after: Value) -> Option<Value> {
        previous_attributes(before.as_object().unwrap(), after.as_object().unwrap())
    }

    #[test]
    fn previous_attributes_show_only_what_differs() {
        let before = json!({"a": 1, "b": "x", "h": {"p": 1, "q": 2, "r": 3}, "l": [1, 2], "n": null});
        let after = json!({"a": 1, "b": "y", "h": {"p": 1, "q": 5, "s": 4}, "l": [1, 2, 3], "n": {"z": 1}});
        let expected = json!({"b": "x", "h": {"q": 2, "s": null, "r": 3}, "l": [1, 2], "n": null});
        assert_eq!(previous(before.clone(), after), Some(expected));
        assert_eq!(previous(before.clone(), before), None);
    }

    #[test]
    fn types_match_exactly_or_by_group() {
        assert!(kind_matches("customer.*", "customer.updated"));
        assert!(kind_matches("*", "customer.updated"));
        assert!(!kind_matches("customer.updated", "customer.updated.x"));
        assert!(!kind_matches("invoice.*", "customer.updated"));
    }
}
