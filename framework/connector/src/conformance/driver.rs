//! Drives exchanges against the stand-in and checks every request on its way.

use crate::{Call, Connector, Exchange, Operation, Outcome, Resource, Step};
use bothways_model::{Request, Response, Secret};

/// No operation needs more steps than this.
const MOST_STEPS: usize = 10;

pub(super) struct Driver<'a> {
    origin: String,
    send: &'a mut dyn FnMut(&Request) -> Option<Response>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        connector: &dyn Connector,
        send: &'a mut dyn FnMut(&Request) -> Option<Response>,
    ) -> Self {
        Self { origin: connector.limits().origin.clone(), send }
    }

    /// Starts an operation and sees it through.
    pub(super) fn start(&mut self, resource: &dyn Resource, operation: Operation) -> Outcome {
        self.trace(resource, operation).0
    }

    /// The same, with the calls that were made.
    pub(super) fn trace(&mut self, resource: &dyn Resource, operation: Operation) -> (Outcome, Vec<Call>) {
        let shown = format!("{operation:?}");
        match resource.start(operation) {
            Ok(exchange) => self.run(exchange),
            Err(failure) => panic!("{shown} was refused: {failure}"),
        }
    }

    /// Sees an exchange through.
    pub(super) fn run(&mut self, mut exchange: Box<dyn Exchange>) -> (Outcome, Vec<Call>) {
        let mut calls = Vec::new();
        let mut answer = None;
        for _ in 0..MOST_STEPS {
            match exchange.next(answer.take()) {
                Step::Done(outcome) => {
                    let mut writes =
                        calls.iter().filter(|call: &&Call| call.write).map(|call| stored(&call.request));
                    let first = writes.next();
                    assert!(
                        writes.all(|again| Some(again) == first),
                        "an exchange made two different writes"
                    );
                    return (outcome, calls);
                }
                Step::Call(call) => {
                    check_request(&self.origin, &call.request);
                    let Some(response) = (self.send)(&call.request) else {
                        panic!("the stand-in dropped {} {}", call.request.method, call.request.url)
                    };
                    answer = Some(response);
                    calls.push(call);
                }
            }
        }
        panic!("an exchange did not end within {MOST_STEPS} steps")
    }
}

/// The first call of an exchange, without anything being sent.
pub(super) fn first_call(mut exchange: Box<dyn Exchange>) -> Call {
    match exchange.next(None) {
        Step::Call(call) => call,
        Step::Done(outcome) => panic!("an exchange ended before its first call, in {outcome:?}"),
    }
}

/// A request as an intent holds it.
pub(super) fn stored(request: &Request) -> String {
    serde_json::to_string(request).unwrap_or_else(|e| panic!("a request cannot be stored: {e}"))
}

fn check_request(origin: &str, request: &Request) {
    let rest = request.url.strip_prefix(origin);
    assert!(
        rest.is_some_and(|rest| rest.starts_with(['/', '?']) || rest.is_empty()),
        "a request leaves the origin {origin}: {}",
        request.url
    );
    for (name, _) in &request.headers {
        assert_eq!(*name, name.to_ascii_lowercase(), "header names are in lower case");
    }
    // What is stored of a request must not hold what is secret about it (rule 20).
    let stored = serde_json::to_string(request).unwrap_or_else(|e| panic!("a request cannot be stored: {e}"));
    let shown = format!("{request:?}");
    for secret in secrets(request) {
        assert!(!stored.contains(secret.expose()), "a stored request holds a credential");
        assert!(!shown.contains(secret.expose()), "a printed request shows a credential");
    }
}

fn secrets(request: &Request) -> impl Iterator<Item = &Secret> {
    let named = request.secret_headers.iter().chain(&request.secret_query).map(|(_, secret)| secret);
    named.chain(&request.secret_body)
}
