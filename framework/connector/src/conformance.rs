//! The suite that every connector runs against a stand-in of its service.
//!
//! It drives one resource through everything its capabilities promise, and panics with a sentence that names the promise that was
//! broken. What a resource cannot do is not asked of it.

mod deltas;
mod driver;
mod events;
mod hostile;
mod reads;
mod writes;

use crate::{Connector, FieldWrites, Outcome, Resource, ResourceQuery, Unverified};
use bothways_model::{Observed, RemoteId, Request, Response, SingularPath, Timestamp};
use driver::Driver;
use std::sync::Arc;

/// A connector, a stand-in, and what to write into it. The stand-in must be empty.
pub struct Bench<'a> {
    /// The connector under test.
    pub connector: &'a dyn Connector,
    /// The resource to drive.
    pub resource: ResourceQuery,
    /// Carries a request to the stand-in; `None` if it drops the connection.
    pub send: &'a mut dyn FnMut(&Request) -> Option<Response>,
    /// Genuine deliveries of what has happened since the last call; `None` where there is no webhook.
    pub deliveries: Option<&'a mut dyn FnMut() -> Vec<Unverified>>,
    /// The stand-in's clock.
    pub now: Timestamp,
    /// How many records to create: more than one page of them.
    pub records: usize,
    /// The fields of record number n. Values must come back as they were sent; those that the resource can find by must be distinct.
    pub record: &'a dyn Fn(usize) -> FieldWrites,
    /// A change of a record, to fields that `record` sets or others.
    pub change: FieldWrites,
}

/// Runs the whole suite.
///
/// # Panics
/// If the connector breaks a promise.
pub fn check(bench: Bench<'_>) {
    let Bench { connector, resource, send, deliveries, now, records, record, change } = bench;
    let mut driver = Driver::new(connector, now, send);
    account(connector, &mut driver);
    let unknown = ResourceQuery { name: "no such resource".into(), ..resource.clone() };
    assert!(connector.resource(&unknown).is_err(), "a resource that the document lacks must be refused");
    let name = resource.name.clone();
    let of_many_kinds = !resource.params.is_empty();
    let bound = connector.resource(&resource).unwrap_or_else(|e| panic!("the resource cannot be had: {e}"));

    reads::before(&*bound, &mut driver);
    let mut made = writes::create(&*bound, &mut driver, records, record);
    reads::all(&*bound, &mut driver, &made, now, of_many_kinds);
    let token = deltas::first(&*bound, &mut driver, &made);
    writes::update(&*bound, &mut driver, &made, &change);
    if let Some(token) = token {
        deltas::changed(&*bound, &mut driver, &made, token);
    }
    events::pulled(connector, &name, &mut driver, &made, now);
    if let Some(deliveries) = deliveries {
        events::pushed(connector, &name, deliveries(), &made, now);
    }
    hostile::ids(&*bound, &mut driver, &made);
    hostile::answers(&*bound, &change);
    writes::delete(&*bound, &mut driver, &mut made);
}

/// A record that the suite created.
struct Made {
    id: RemoteId,
    fields: FieldWrites,
}

impl Made {
    /// The text that was written at `path`.
    fn text(&self, path: &SingularPath) -> Option<&str> {
        self.fields.iter().find(|(p, _)| p == path).and_then(|(_, value)| value.as_str())
    }
}

fn account(connector: &dyn Connector, driver: &mut Driver<'_>) {
    let Some(exchange) = connector.account() else { return };
    let (outcome, sent) = driver.run(exchange);
    assert!(matches!(outcome, Outcome::Account { .. }), "the account exchange ended in {outcome:?}");
    assert!(sent.iter().all(|call| !call.write), "asking for the account must not write");
}

/// Reads one record, which must be there.
fn get(resource: &dyn Resource, driver: &mut Driver<'_>, id: &RemoteId) -> Arc<serde_json::Value> {
    observe(resource, driver, id).body
}

/// The same, with what is known of the record beside its body.
fn observe(resource: &dyn Resource, driver: &mut Driver<'_>, id: &RemoteId) -> Observed {
    match driver.start(resource, crate::Operation::Get { id: id.clone() }) {
        Outcome::Record(seen) => {
            assert_eq!(seen.id, *id, "GET answered another record");
            assert!(!seen.gone, "a live record reads as gone");
            seen
        }
        other => panic!("GET of a live record ended in {other:?}"),
    }
}
