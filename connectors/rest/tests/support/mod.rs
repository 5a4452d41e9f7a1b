//! A connector from a document, and a small service for it to talk to.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub(crate) mod notes;

use bothways_connector::{Call, Connector, Exchange, Grant, Outcome, Renewal, Resource, ResourceQuery, Step};
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_mapping::ConnectorSpec;
use bothways_model::{Request, Response, Segment, SingularPath};
use std::sync::Arc;

/// The checked document.
pub(crate) fn spec(yaml: &str) -> Arc<ConnectorSpec> {
    let loaded = bothways_mapping::load(&[bothways_mapping::SourceFile::new("test.yaml", yaml)], &[]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    project.connectors.into_values().next().expect("the document is a connector")
}

/// A connection with these environment variables.
pub(crate) fn connect(yaml: &str, vars: &[(&str, &str)]) -> RestConnector {
    let spec = spec(yaml);
    let lookup = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    let resolved = spec.resolve(&spec.name.as_str().into(), &lookup).expect("all variables are set");
    RestConnector::new(resolved, Vendor::default()).expect("the base URL is one")
}

pub(crate) fn resource(connector: &RestConnector, name: &str) -> Arc<dyn Resource> {
    connector.resource(&ResourceQuery { name: name.into(), ..ResourceQuery::default() }).expect("it is there")
}

/// `$.a.b` from `["a", "b"]`.
pub(crate) fn path(names: &[&str]) -> SingularPath {
    SingularPath(names.iter().map(|n| Segment::Name((*n).into())).collect())
}

/// The next call of an exchange.
pub(crate) fn call(exchange: &mut Box<dyn Exchange>, answer: Option<Response>) -> Call {
    match exchange.next(answer) {
        Step::Call(call) => call,
        step => panic!("goes on with {step:?}"),
    }
}

/// The renewal that an exchange asks for next.
pub(crate) fn renewal(exchange: &mut Box<dyn Exchange>, answer: Option<Response>) -> Renewal {
    match exchange.next(answer) {
        Step::Renew(renewal) => renewal,
        step => panic!("goes on with {step:?}"),
    }
}

/// What is asked of the token endpoint.
pub(crate) fn token_request(renewal: &Renewal, kept: Option<&Grant>) -> Request {
    let now = chrono::DateTime::from_timestamp(1_795_000_000, 0).expect("a moment");
    renewal.tokens.request(kept, now).expect("a token can be asked for")
}

/// Carries a renewal out, as whoever runs exchanges does.
pub(crate) fn renew(renewal: &Renewal, token: &str) {
    let answer = Response::json(200, &serde_json::json!({"access_token": token, "token_type": "bearer"}));
    let grant = renewal.tokens.read(&answer, None).expect("there is a token");
    renewal.tokens.install(&grant, renewal.used.map_or(0, |used| used + 1));
}

/// The end of an exchange.
pub(crate) fn end(exchange: &mut Box<dyn Exchange>, answer: Response) -> Outcome {
    match exchange.next(Some(answer)) {
        Step::Done(outcome) => outcome,
        step => panic!("goes on with {step:?}"),
    }
}

/// The only request of an exchange.
pub(crate) fn request(mut exchange: Box<dyn Exchange>) -> Request {
    call(&mut exchange, None).request
}

/// What one answer to the only request of an exchange makes of it.
pub(crate) fn answered(mut exchange: Box<dyn Exchange>, answer: Response) -> Outcome {
    call(&mut exchange, None);
    end(&mut exchange, answer)
}
