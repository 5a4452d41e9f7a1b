//! Drives exchanges against the stand-in and checks every request on its way.

use crate::{Call, Connector, Exchange, Operation, Outcome, Renewal, Resource, Step};
use bothways_model::{Request, Response, Secret, Timestamp};

/// No operation needs more steps than this.
const MOST_STEPS: usize = 10;

pub(super) struct Driver<'a> {
    origin: String,
    now: Timestamp,
    send: &'a mut dyn FnMut(&Request) -> Option<Response>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        connector: &dyn Connector,
        now: Timestamp,
        send: &'a mut dyn FnMut(&Request) -> Option<Response>,
    ) -> Self {
        Self { origin: connector.limits().origin.clone(), now, send }
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
                Step::Renew(renewal) => self.renew(&renewal),
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

    /// Renews credentials at the stand-in. Nothing is kept: the first token is good for as long as the stand-in takes it.
    fn renew(&mut self, renewal: &Renewal) {
        let tokens = &*renewal.tokens;
        let request =
            tokens.request(None, self.now).unwrap_or_else(|e| panic!("no token can be asked for: {e}"));
        let Some(answer) = (self.send)(&request) else { panic!("the stand-in dropped {}", request.url) };
        let grant = tokens.read(&answer, None).unwrap_or_else(|e| panic!("the stand-in gave no token: {e}"));
        let shown = format!("{request:?} {grant:?}");
        assert!(!shown.contains(grant.access.expose()), "a printed grant shows its token");
        tokens.install(&grant, renewal.used.map_or(0, |used| used + 1));
        assert_ne!(tokens.in_use(), renewal.used, "an installed grant is not in use");
    }
}

/// The first call of an exchange, without anything being sent.
pub(super) fn first_call(mut exchange: Box<dyn Exchange>) -> Call {
    match exchange.next(None) {
        Step::Call(call) => call,
        Step::Done(outcome) => panic!("an exchange ended before its first call, in {outcome:?}"),
        Step::Renew(_) => panic!("a write asked for credentials before its first call"),
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
