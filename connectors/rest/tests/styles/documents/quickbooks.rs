//! QuickBooks customers: a query language that counts its pages from 1, writes that name the version they are about, records that are
//! made inactive, keys of writes in the query, refresh tokens that are replaced.

use super::{connector, project};
use crate::quickbooks::{CLIENT, QuickBooks, REALM, REFRESH};
use crate::stage::now;
use crate::support::{connect, path};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{
    Connector, FieldWrites, Operation, Outcome, Resource, ResourceQuery, Step, Unverified,
};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, RemoteId, SingularPath};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::sync::Arc;

const DOCUMENTS: &str = include_str!("../../../examples/quickbooks.yaml");
const VARS: [(&str, &str); 6] = [
    ("QUICKBOOKS_REALM", REALM),
    ("QUICKBOOKS_CLIENT_ID", CLIENT.0),
    ("QUICKBOOKS_CLIENT_SECRET", CLIENT.1),
    ("QUICKBOOKS_REFRESH_TOKEN", REFRESH),
    ("QUICKBOOKS_VERIFIER", VERIFIER),
    ("QUICKBOOKS_API", "https://quickbooks.example"),
];

const VERIFIER: &str = "verifier-token";

fn signed(notification: &Json) -> Unverified {
    let body = notification.to_string().into_bytes();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(VERIFIER.as_bytes()).expect("any key will do");
    mac.update(&body);
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    Unverified { headers: vec![("intuit-signature".into(), signature)], body }
}

fn query() -> ResourceQuery {
    ResourceQuery { name: "customers".into(), paths: vec![name(), email()], ..ResourceQuery::default() }
}

fn name() -> SingularPath {
    path(&["DisplayName"])
}

fn email() -> SingularPath {
    path(&["PrimaryEmailAddr", "Address"])
}

#[test]
fn conform() {
    let connector = connect(connector(DOCUMENTS), &VARS);
    let quickbooks = RefCell::new(QuickBooks::new(now()));
    check(Bench {
        connector: &connector,
        resource: query(),
        send: &mut |request| Some(quickbooks.borrow_mut().answer(request)),
        deliveries: Some(&mut || vec![signed(&quickbooks.borrow_mut().notification())]),
        now: now(),
        // More than the 400 of a page.
        records: 405,
        record: &|n| {
            vec![
                (name(), json!(format!("O'Neil & \"Sons\" \\ {n} (100%)"))),
                (email(), json!(format!("a{n}@x.io"))),
            ]
        },
        change: vec![
            (path(&["Notes"]), Json::Null),
            (path(&["PrimaryPhone", "FreeFormNumber"]), json!("555")),
        ],
    });
    let quickbooks = quickbooks.into_inner();
    for position in ["startposition 1 ", "startposition 401 "] {
        assert!(quickbooks.queries.iter().any(|query| query.contains(position)), "{position}");
    }
}

/// A connection to the stand-in, with its customers.
struct Desk {
    quickbooks: QuickBooks,
    customers: Arc<dyn Resource>,
    _connector: RestConnector,
}

impl Desk {
    fn new() -> Self {
        let connector = connect(connector(DOCUMENTS), &VARS);
        let customers = connector.resource(&query()).expect("it is there");
        Self { quickbooks: QuickBooks::new(now()), customers, _connector: connector }
    }

    fn run(&mut self, operation: Operation) -> Outcome {
        let mut exchange = self.customers.start(operation).expect("it is sent");
        let mut answer = None;
        loop {
            match exchange.next(answer.take()) {
                Step::Done(outcome) => return outcome,
                Step::Call(call) => answer = Some(self.quickbooks.answer(&call.request)),
                Step::Renew(renewal) => {
                    let request = renewal.tokens.request(None, now()).expect("a token can be asked for");
                    let answer = self.quickbooks.answer(&request);
                    let grant = renewal.tokens.read(&answer, None).expect("there is a token");
                    renewal.tokens.install(&grant, 1);
                }
            }
        }
    }

    fn create(&mut self, display: &str, key: &str) -> Outcome {
        let fields: FieldWrites = vec![(name(), json!(display))];
        self.run(Operation::Create { fields, key: key.into() })
    }

    fn seen(&mut self, id: &RemoteId) -> Arc<Json> {
        match self.run(Operation::Get { id: id.clone() }) {
            Outcome::Record(seen) => seen.body,
            other => panic!("ended in {other:?}"),
        }
    }
}

fn class(outcome: Outcome) -> ErrorClass {
    match outcome {
        Outcome::Failed(failure) => failure.class,
        other => panic!("ended in {other:?}"),
    }
}

#[test]
fn a_display_name_is_there_once_and_a_repeated_create_makes_one() {
    let mut desk = Desk::new();
    let first = desk.create("Acme", "k1");
    assert_eq!(desk.create("Acme", "k1"), first, "the answer to the same key");
    assert_eq!(class(desk.create("ACME", "k2")), ErrorClass::Duplicate);
    assert_eq!(desk.quickbooks.active().len(), 1);
}

#[test]
fn what_changed_meanwhile_is_neither_overwritten_nor_deleted() {
    let mut desk = Desk::new();
    let Outcome::Record(made) = desk.create("Acme", "k1") else { panic!("it is created") };
    let seen = desk.seen(&made.id);
    desk.quickbooks.person_writes(Some(made.id.as_str()), json!({"DisplayName": "Acme & Co"}));
    let version = seen["SyncToken"].as_str().map(str::to_owned);
    let update = |seen: Arc<Json>, key: &str| Operation::Update {
        id: made.id.clone(),
        fields: vec![(email(), json!("ann@x.io"))],
        key: key.into(),
        seen: Some(seen),
        version: version.clone(),
    };
    let delete = |seen: Arc<Json>, key: &str| Operation::Delete {
        id: made.id.clone(),
        key: key.into(),
        seen: Some(seen),
    };
    assert_eq!(class(desk.run(update(seen.clone(), "k2"))), ErrorClass::Conflict);
    assert_eq!(class(desk.run(delete(seen, "k3"))), ErrorClass::Conflict);
    let seen = desk.seen(&made.id);
    assert!(matches!(desk.run(update(seen, "k4")), Outcome::Record(_)));
    let seen = desk.seen(&made.id);
    assert_eq!(
        (&seen["DisplayName"], &seen["PrimaryEmailAddr"]["Address"]),
        (&json!("Acme & Co"), &json!("ann@x.io"))
    );
    let clear = Operation::Update {
        id: made.id.clone(),
        fields: vec![(email(), Json::Null)],
        key: "clear".into(),
        seen: Some(seen),
        version: None,
    };
    assert!(matches!(desk.run(clear), Outcome::Record(_)));
    let customer = desk.quickbooks.customer(made.id.as_str());
    assert_eq!(customer.get("PrimaryEmailAddr"), None, "what is empty is not shown");
    let seen = desk.seen(&made.id);
    assert!(matches!(desk.run(delete(seen, "k5")), Outcome::Written { .. }));
    assert!(desk.quickbooks.active().is_empty());
    match desk.run(Operation::Get { id: made.id.clone() }) {
        Outcome::Record(seen) => assert!(seen.gone, "it stays readable"),
        other => panic!("ended in {other:?}"),
    }
    assert_eq!(desk.run(Operation::Get { id: "999".into() }), Outcome::Missing);
}

#[test]
fn the_mapping_is_sound() {
    let project = project(DOCUMENTS);
    let mapping = project.mapping("quickbooks-customers").expect("it is there");
    let can = mapping.capabilities();
    assert!(can.webhook && can.update_is_conditional && can.idempotency.is_some() && can.changed_at);
    let row = mapping.to_row(&mapping.read_remote(&json!({"DisplayName": "Acme"})).record);
    assert!(row.get("email").is_some_and(bothways_model::Value::is_null), "what is not shown is empty");
}
