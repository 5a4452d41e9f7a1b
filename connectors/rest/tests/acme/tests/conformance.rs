//! The shared suite against a stand-in, and what only Acme does.

mod standin;

use bothways_connector::conformance::{Bench, check};
use bothways_connector::{Connector, Operation, Outcome, ResourceQuery, Step};
use bothways_connector_rest::RestConnector;
use bothways_mapping::SourceFile;
use bothways_model::{ErrorClass, Segment, SingularPath};
use serde_json::json;
use standin::{Acme, TOKEN};

fn connector() -> RestConnector {
    let file = SourceFile::new(bothways_connector_acme::DOCUMENT_NAME, bothways_connector_acme::DOCUMENT);
    let loaded = bothways_mapping::load(&[], &[file]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let lookup = |name: &str| (name == "ACME_TOKEN").then(|| TOKEN.to_owned());
    let resolved = project.connectors["acme"].resolve(&"acme".into(), &lookup).expect("the token is set");
    bothways_connector_acme::connector(resolved).expect("the base URL is one")
}

fn parts() -> ResourceQuery {
    ResourceQuery { name: "parts".into(), ..ResourceQuery::default() }
}

fn path(name: &str) -> SingularPath {
    SingularPath(vec![Segment::Name(name.into())])
}

#[test]
fn parts_conform() {
    let mut acme = Acme::default();
    check(Bench {
        connector: &connector(),
        resource: parts(),
        send: &mut |request| Some(acme.handle(request)),
        deliveries: None,
        now: chrono::DateTime::from_timestamp(1_795_000_000, 0).expect("a moment"),
        records: 25,
        record: &|n| vec![(path("code"), json!(format!("Ü {n}/{n}?&#%"))), (path("price"), json!(n))],
        change: vec![(path("price"), json!(null)), (path("note"), json!("new"))],
    });
}

#[test]
fn a_lock_is_tried_again() {
    let mut acme = Acme::while_stock_is_taken();
    let connector = connector();
    let parts = connector.resource(&parts()).expect("the document has parts");
    let fields = vec![(path("code"), json!("A"))];
    let mut exchange =
        parts.start(Operation::Create { fields, key: "k1".into() }).expect("parts are created");
    let Step::Call(call) = exchange.next(None) else { panic!("nothing is sent") };
    match exchange.next(Some(acme.handle(&call.request))) {
        Step::Done(Outcome::Failed(failure)) => assert_eq!(failure.class, ErrorClass::Retry),
        other => panic!("ended in {other:?}"),
    }
}
