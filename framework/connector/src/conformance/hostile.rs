//! Odd ids, and answers that no service should give: nothing of them may panic, and none may pass for knowledge.

use super::Made;
use super::driver::{Driver, first_call};
use crate::{Exchange, FieldWrites, Grant, Operation, Outcome, Resource, Step, StoredRequest, WriteKind};
use bothways_model::{ErrorClass, RemoteId, Response, Secret, Timestamp};

/// An id never leads to anything but the record of that id.
pub(super) fn ids(resource: &dyn Resource, driver: &mut Driver<'_>, made: &[Made]) {
    let known = made.first().map(|m| m.id.as_str()).unwrap_or_default();
    let list: Vec<String> = [
        "conformance-no-such-record",
        "",
        ".",
        "..",
        "../..",
        "a b",
        "a/b",
        "a%2Fb",
        "ä€😀",
        "a\nb",
        "a\0b",
        "{id}",
    ]
    .iter()
    .map(|id| (*id).to_owned())
    .chain([
        format!("{known}?"),
        format!("{known}#x"),
        format!("{known}/"),
        format!("../{known}"),
        format!("{known}%00"),
    ])
    .collect();
    for id in list {
        let operation = Operation::Get { id: RemoteId(id.clone()) };
        // Refused before anything is sent is as good as not found.
        let Ok(exchange) = resource.start(operation) else { continue };
        match driver.run(exchange).0 {
            Outcome::Missing => {}
            Outcome::Failed(failure) => {
                assert_ne!(failure.class, ErrorClass::Malformed, "GET of {id:?}: {failure}")
            }
            other => panic!("GET of {id:?} ended in {other:?}"),
        }
    }
}

/// Feeds each operation each kind of nonsense.
pub(super) fn answers(resource: &dyn Resource, change: &FieldWrites) {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [&[u8]; 14] = [
        b"<!doctype html><title>Sign in</title>",
        br#"{"data": [{"id": "x"}, {"#,
        b"",
        b" \n",
        b"null",
        b"\xff\xfe",
        deep.as_bytes(),
        b"{}",
        b"[]",
        b"0",
        br#""x""#,
        br#"{"id":{}}"#,
        br#"{"data":[null]}"#,
        br#"{"data":[{"id":null}],"has_more":true}"#,
    ];
    // The first seven are not JSON records in any service's eyes.
    for (n, body) in bodies.into_iter().enumerate() {
        for status in [200, 201, 302, 400, 404, 500] {
            let answer = Response { status, headers: Vec::new(), body: body.to_vec() };
            for (name, exchange) in exchanges(resource, change) {
                let is_read = matches!(name, "get" | "list" | "recover" | "since");
                let outcome = feed(exchange, &answer);
                let knows = matches!(outcome, Outcome::Record(_) | Outcome::Page(_) | Outcome::Missing);
                let nonsense = (status < 300 && n < 7) || status == 302;
                assert!(
                    !(is_read && nonsense && knows),
                    "{name} takes {status} with {:?} for {outcome:?}",
                    String::from_utf8_lossy(&body[..body.len().min(40)])
                );
            }
        }
    }
    for (status, classes) in [
        (401, &[ErrorClass::Auth][..]),
        (429, &[ErrorClass::Throttle, ErrorClass::Retry]),
        (500, &[ErrorClass::Retry]),
        (503, &[ErrorClass::Retry]),
    ] {
        let answer = Response { status, headers: vec![("retry-after".into(), "7".into())], body: Vec::new() };
        for (name, exchange) in exchanges(resource, change) {
            match feed(exchange, &answer) {
                Outcome::Failed(failure) => {
                    assert!(classes.contains(&failure.class), "{name}: {status} is classed as {failure}");
                    assert_eq!(failure.retry_after_ms, Some(7000), "{name}: Retry-After is not heeded");
                }
                other => panic!("{name}: {status} ended in {other:?}"),
            }
        }
    }
}

/// One exchange of each operation that the resource has.
fn exchanges(resource: &dyn Resource, change: &FieldWrites) -> Vec<(&'static str, Box<dyn Exchange>)> {
    let id = || RemoteId("conformance".into());
    let capabilities = resource.capabilities();
    let since = Timestamp::UNIX_EPOCH;
    let create = Operation::Create { fields: change.clone(), key: "k".into() };
    let seen = Some(std::sync::Arc::default());
    let update = Operation::Update {
        id: id(),
        fields: change.clone(),
        key: "k".into(),
        seen: seen.clone(),
        version: Some("1".into()),
    };
    let mut all = vec![("get", Operation::Get { id: id() })];
    let mut also = |can: bool, name, operation| {
        if can {
            all.push((name, operation));
        }
    };
    also(capabilities.list, "list", Operation::List { page: None });
    also(capabilities.recover, "recover", Operation::Recover { since, page: None });
    also(capabilities.since && !capabilities.since_token, "since", Operation::Since { since, page: None });
    let token = Some(crate::SyncToken(Box::new("conformance".into())));
    also(capabilities.since_token, "delta", Operation::Delta { token: None, page: None });
    also(capabilities.since_token, "delta with a token", Operation::Delta { token, page: None });
    also(capabilities.update, "update", update);
    also(capabilities.delete, "delete", Operation::Delete { id: id(), key: "k".into(), seen });
    also(capabilities.create && !capabilities.upsert, "create", create.clone());
    if let Some(find) = capabilities.find.first() {
        also(true, "find", Operation::Find { path: find.path.clone(), value: "x".into() });
    }
    let mut exchanges: Vec<_> = all
        .into_iter()
        .filter_map(|(name, operation)| Some((name, resource.start(operation).ok()?)))
        .collect();
    if let Ok(exchange) = resource.start(create) {
        let request = first_call(exchange).request;
        let stored = StoredRequest { kind: WriteKind::Create, id: None, request };
        exchanges.push(("resume", resource.resume(stored)));
    }
    exchanges
}

/// Gives the same answer to whatever is asked, until the exchange ends.
fn feed(mut exchange: Box<dyn Exchange>, answer: &Response) -> Outcome {
    let mut given = None;
    for _ in 0..10 {
        match exchange.next(given.take()) {
            Step::Done(outcome) => return outcome,
            Step::Call(_) => given = Some(answer.clone()),
            // As if the service gave another token each time.
            Step::Renew(renewal) => {
                let grant = Grant { access: Secret::new("conformance"), refresh: None };
                renewal.tokens.install(&grant, renewal.used.map_or(0, |used| used + 1));
            }
        }
    }
    panic!("an exchange goes on asking whatever it is answered")
}
