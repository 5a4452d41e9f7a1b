//! Creating, updating, deleting; and sending a stored write again.

use super::driver::{Driver, first_call, stored};
use super::{Made, get, observe};
use crate::{FieldWrites, Operation, Outcome, Resource, StoredRequest, WriteKind};
use bothways_model::{ErrorClass, Observed, RemoteId, Segment, SingularPath};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Creates the records, checks that each holds what was written, and that a create can be sent again.
pub(super) fn create(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    records: usize,
    record: &dyn Fn(usize) -> FieldWrites,
) -> Vec<Made> {
    let capabilities = resource.capabilities();
    assert!(capabilities.create || capabilities.upsert, "the suite needs a resource that can create");
    assert!(resource.capabilities().get, "the suite needs a resource that can be read by id");
    let mut made = Vec::new();
    let mut first = None;
    for n in 0..records {
        let fields = record(n);
        let operation = Operation::Create { fields: fields.clone(), key: format!("conformance-create-{n}") };
        let (outcome, calls) = driver.trace(resource, operation);
        let id = written_id(outcome);
        let write = calls.into_iter().find(|call| call.write);
        let write = write.unwrap_or_else(|| panic!("a create must be marked as a write"));
        first.get_or_insert(write.request);
        made.push(Made { id, fields });
    }
    let distinct: BTreeSet<_> = made.iter().map(|m| &m.id).collect();
    assert_eq!(distinct.len(), made.len(), "two creates gave one record");
    for record in made.iter().take(3) {
        holds(resource, driver, &record.id, &record.fields);
    }
    if let (Some(request), Some(record)) = (first, made.first()) {
        again(resource, driver, request, record);
    }
    made
}

/// A stored write is sent byte for byte, with credentials, and under the same key makes nothing new.
fn again(resource: &dyn Resource, driver: &mut Driver<'_>, request: bothways_model::Request, made: &Made) {
    let operation = || Operation::Create { fields: made.fields.clone(), key: "conformance-create-0".into() };
    let same = resource.start(operation()).unwrap_or_else(|e| panic!("a second create was refused: {e}"));
    let same = first_write(same);
    // Credentials may have changed since: a token that was refused is replaced.
    assert_eq!(stored(&same), stored(&request), "one operation must always make the same request");

    let kept = StoredRequest { kind: WriteKind::Create, id: None, request };
    let text = serde_json::to_string(&kept).unwrap_or_else(|e| panic!("a write cannot be stored: {e}"));
    let kept: StoredRequest =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("a stored write cannot be read: {e}"));
    assert!(kept.request.secret_headers.is_empty() && kept.request.secret_query.is_empty());
    let resumed = first_write(resource.resume(kept.clone()));
    assert_eq!(resumed, same, "a resumed write must be the same request, with credentials");

    // Under a key that the service remembers for a while, or under our own, which it keeps with the record.
    let capabilities = resource.capabilities();
    if capabilities.idempotency.is_some() || (capabilities.upsert && !capabilities.create) {
        let (outcome, _) = driver.run(resource.resume(kept));
        assert_eq!(written_id(outcome), made.id, "a create under the same key made another record");
    }
}

/// The write that an exchange begins with: an intent stores it before anything is sent.
fn first_write(exchange: Box<dyn crate::Exchange>) -> bothways_model::Request {
    let call = first_call(exchange);
    assert!(call.write, "a write must begin with its request");
    call.request
}

/// Updates a record twice and checks that nothing but the change has changed: under one key, or where updates are conditional each time
/// on what was read last.
pub(super) fn update(resource: &dyn Resource, driver: &mut Driver<'_>, made: &[Made], change: &FieldWrites) {
    if !resource.capabilities().update {
        return;
    }
    let Some(record) = made.last() else { return };
    let conditional = resource.capabilities().update_is_conditional;
    let update = |seen: &Observed, key: &str| Operation::Update {
        id: record.id.clone(),
        fields: change.clone(),
        key: key.to_owned(),
        seen: Some(seen.body.clone()),
        version: seen.version.clone(),
    };
    let before = observe(resource, driver, &record.id);
    let mut operation = update(&before, "conformance-update");
    for _ in 0..2 {
        let (outcome, calls) = driver.trace(resource, operation.clone());
        match outcome {
            Outcome::Record(seen) => assert_eq!(seen.id, record.id, "an update answered another record"),
            Outcome::Written { .. } => {
                assert!(!resource.capabilities().update_returns_record, "an update promised the record")
            }
            other => panic!("an update ended in {other:?}"),
        }
        assert!(calls.last().is_some_and(|call| call.write), "an update must be marked as a write");
        if conditional {
            operation = update(&observe(resource, driver, &record.id), "conformance-update-again");
        }
    }
    holds(resource, driver, &record.id, change);
    let kept: FieldWrites = record
        .fields
        .iter()
        .filter(|(path, _)| !change.iter().any(|(changed, _)| changed.overlaps(path)))
        .cloned()
        .collect();
    holds(resource, driver, &record.id, &kept);
    let after = observe(resource, driver, &record.id);
    for name in before.body.as_object().into_iter().flat_map(|members| members.keys()) {
        let cleared = |(path, value): &(SingularPath, Json)| {
            value.is_null() && matches!(path.0.as_slice(), [Segment::Name(field)] if field == name)
        };
        let there = after.body.get(name).is_some() || change.iter().any(cleared);
        assert!(there, "an update of other fields lost `{name}`");
    }
    if conditional {
        assert!(
            before.version.is_some() && before.version != after.version,
            "an update must change the version"
        );
        match driver.start(resource, update(&before, "conformance-stale")) {
            Outcome::Failed(failure) if failure.class == ErrorClass::Conflict => {}
            other => panic!("an update of what has changed meanwhile ended in {other:?}"),
        }
        let now = observe(resource, driver, &record.id);
        assert_eq!(now.version, after.version, "a refused update has changed the record");
    }
}

/// Deletes a record, which must then be missing or gone; a second delete must not be an error.
pub(super) fn delete(resource: &dyn Resource, driver: &mut Driver<'_>, made: &mut Vec<Made>) {
    if !resource.capabilities().delete {
        return;
    }
    let Some(record) = made.pop() else { return };
    for round in 0..2 {
        let operation = Operation::Delete {
            id: record.id.clone(),
            key: format!("conformance-delete-{round}"),
            seen: Some(get_or_last(resource, driver, &record.id)),
        };
        match (round, driver.start(resource, operation)) {
            (_, Outcome::Written { .. }) | (1, Outcome::Missing) => {}
            (_, other) => panic!("a delete ended in {other:?}"),
        }
    }
    match driver.start(resource, Operation::Get { id: record.id.clone() }) {
        Outcome::Missing => {}
        Outcome::Record(seen) => assert!(seen.gone, "a deleted record does not read as gone"),
        other => panic!("GET of a deleted record ended in {other:?}"),
    }
}

fn get_or_last(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    id: &RemoteId,
) -> std::sync::Arc<serde_json::Value> {
    match driver.start(resource, Operation::Get { id: id.clone() }) {
        Outcome::Record(seen) => seen.body,
        _ => std::sync::Arc::default(),
    }
}

fn written_id(outcome: Outcome) -> RemoteId {
    match outcome {
        Outcome::Record(seen) => seen.id,
        Outcome::Written { id: Some(id) } => id,
        other => panic!("a create ended in {other:?}"),
    }
}

/// Whether the record holds these values. A field that was set to null may be absent below a sparse path only: anywhere else absent is
/// unknown (rule 17), and nobody would ever see that it was cleared.
fn holds(resource: &dyn Resource, driver: &mut Driver<'_>, id: &RemoteId, fields: &FieldWrites) {
    let body = get(resource, driver, id);
    for (path, value) in fields {
        let found = path.get(&body).filter(|found| !found.is_null());
        assert_eq!(found, Some(value).filter(|v| !v.is_null()), "{path} did not come back as it was written");
        let is_sparse =
            resource.sparse().iter().any(|s| path != s && path.starts_with(s) && s.get(&body).is_some());
        assert!(
            found.is_some() || is_sparse || is_null(path, &body),
            "{path} was cleared and is absent, and not `sparse`"
        );
    }
}

/// Whether there is a null at this path, or on the way to it. An element that a list does not have is one as well.
fn is_null(path: &SingularPath, body: &Json) -> bool {
    let mut way = SingularPath::default();
    for segment in &path.0 {
        match (segment, way.get(body)) {
            (_, Some(Json::Null)) => return true,
            (Segment::Element { .. }, Some(Json::Array(items))) if segment.position(items).is_none() => {
                return true;
            }
            _ => way.0.push(segment.clone()),
        }
    }
    way.get(body).is_some_and(Json::is_null)
}
