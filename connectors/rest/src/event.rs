//! Events, pushed or pulled: one decoder.

use crate::answer::{self, malformed};
use bothways_mapping::connector::{ConnectorSpec, EventRule, Events};
use bothways_model::{Event, EventSubject, Failure};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// The type of every event of a service that does not tell types apart.
pub(crate) const ONLY_TYPE: &str = "*";

/// Reads one event.
///
/// # Errors
/// Class `malformed` if it is of a type that matters here and does not say which record it is about.
pub(crate) fn read(spec: &ConnectorSpec, events: &Events, event: &Json) -> Result<Event, Failure> {
    let text = |query: &bothways_mapping::Query| answer::id(query, event).ok().map(|id| id.0);
    let kind = match &events.kind {
        Some(query) => text(query).ok_or_else(|| malformed("an event without a type"))?,
        None => ONLY_TYPE.to_owned(),
    };
    let rule = spec.event(&kind).find_map(|(resource, rule)| match rule {
        EventRule::Effect(effect) => Some((resource.to_owned(), effect)),
        EventRule::Ignore => None,
    });
    let subject = match rule {
        None => None,
        Some((resource, effect)) => {
            let known = spec.resources.get(&resource);
            let object = events.object.as_ref().and_then(|query| query.first(event));
            let object =
                known.zip(object).map(|(r, object)| answer::observe(r, object.clone())).transpose()?;
            let id = match (&object, &events.id_of) {
                (Some(object), _) => object.id.clone(),
                (None, Some(query)) => answer::id(query, event)?,
                (None, None) => return Err(malformed("an event without a record")),
            };
            Some(EventSubject { resource, id, effect, object })
        }
    };
    Ok(Event {
        id: events.id.as_ref().and_then(text).unwrap_or_else(|| digest(event)),
        kind,
        at: events.at.as_ref().and_then(|at| at.read(event)),
        subject,
    })
}

/// What an event without an id is recognised by: equal events are one event.
fn digest(event: &Json) -> String {
    hex::encode(Sha256::digest(event.to_string()))
}
