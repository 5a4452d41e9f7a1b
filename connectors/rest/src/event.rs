//! Events, pushed or pulled: one decoder.

use crate::answer::{self, malformed};
use bothways_mapping::connector::{ConnectorSpec, EventRule, Events, Fact};
use bothways_model::{Event, EventSubject, Failure, header};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// The type of every event of a service that does not tell types apart.
pub(crate) const ONLY_TYPE: &str = "*";

/// What an event came in.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin<'a> {
    /// The headers of its delivery; none where it was pulled.
    pub(crate) headers: &'a [(String, String)],
    /// How many events the delivery has.
    pub(crate) of: usize,
}

/// Reads one event. One that does not say what it is about says that it cannot be read, and spoils no other.
pub(crate) fn read(spec: &ConnectorSpec, events: &Events, event: &Json, from: &Origin<'_>) -> Event {
    told(spec, events, event, from).unwrap_or_else(|_| {
        let (id, kind) = (digest(event), String::new());
        // Known by what it holds: it leads to a full pass, and once is enough.
        Event { id, has_id: true, kind, at: None, subject: None, unreadable: true }
    })
}

/// # Errors
/// Class `malformed` if it is of a type that matters here and does not say which record it is about.
fn told(spec: &ConnectorSpec, events: &Events, event: &Json, from: &Origin<'_>) -> Result<Event, Failure> {
    let text = |fact: &Fact| match fact {
        Fact::Body(query) => answer::id(query, event).ok().map(|id| id.0),
        Fact::Header(name) => header(from.headers, name).map(|text| text.trim().to_owned()),
    };
    let kind = match events.kind.as_slice() {
        [] => ONLY_TYPE.to_owned(),
        facts => {
            let words = facts.iter().map(text).collect::<Option<Vec<_>>>();
            words.ok_or_else(|| malformed("an event without a type"))?.join(".")
        }
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
            // It holds ids where a mapping wants names: it is a hint, and the record is read.
            let by_name = known.is_some_and(|resource| !resource.lookups.is_empty());
            let id = match (&object, &events.id_of) {
                (Some(object), _) => object.id.clone(),
                (None, Some(query)) => answer::id(query, event)?,
                (None, None) => return Err(malformed("an event without a record")),
            };
            Some(EventSubject { resource, id, effect, object: object.filter(|_| !by_name) })
        }
    };
    let id = events.id.as_ref().and_then(|fact| {
        let id = text(fact).filter(|id| !id.is_empty())?;
        // A header speaks of the whole delivery: what stands in it is not enough to tell its events apart.
        Some(if fact.header().is_some() && from.of > 1 { format!("{id}/{}", digest(event)) } else { id })
    });
    Ok(Event {
        has_id: id.is_some(),
        id: id.unwrap_or_else(|| digest(event)),
        kind,
        at: events.at.as_ref().and_then(|at| match &at.place {
            Fact::Body(query) => at.format.read(query.first(event)?),
            Fact::Header(name) => at.format.read(&header(from.headers, name)?.trim().into()),
        }),
        subject,
        unreadable: false,
    })
}

/// What stands for the id of an event without one.
fn digest(event: &Json) -> String {
    hex::encode(Sha256::digest(event.to_string()))
}
