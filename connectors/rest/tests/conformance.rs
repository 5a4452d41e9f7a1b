//! The shared suite, for a service that is described by a document alone, in each style of paging.

// The example of connectors/README.md, as a crate of its own would have it.
extern crate self as bothways_connector_acme;

#[allow(unreachable_pub, reason = "a crate of its own, which is compiled in here")]
#[path = "acme/src/lib.rs"]
mod acme;
#[path = "acme/tests/conformance.rs"]
mod acme_conformance;
mod support;

pub(crate) use acme::{DOCUMENT, DOCUMENT_NAME, connector};

use bothways_connector::ResourceQuery;
use bothways_connector::conformance::{Bench, check};
use serde_json::json;
use std::cell::RefCell;
use support::notes::{HOOK, KEY, Notes, document};
use support::{connect, path};

fn conforms(pages: &str) {
    let now = chrono::DateTime::from_timestamp(1_795_000_000, 0).expect("a moment");
    let connector = connect(&document(pages), &[("NOTES_KEY", KEY), ("NOTES_HOOK", HOOK)]);
    let notes = RefCell::new(Notes::new(now));
    check(Bench {
        connector: &connector,
        resource: ResourceQuery { name: "notes".into(), ..ResourceQuery::default() },
        send: &mut |request| Some(notes.borrow_mut().handle(request)),
        deliveries: Some(&mut || notes.borrow_mut().deliveries()),
        now,
        records: 10,
        record: &|n| {
            vec![
                (path(&["title"]), json!(format!("Über {n}/{n}?&#%"))),
                (path(&["meta", "stars"]), json!(n)),
                (path(&["meta", "tags"]), json!(["a", "b"])),
            ]
        },
        change: vec![(path(&["text"]), json!("new")), (path(&["meta"]), json!(null))],
    });
}

#[test]
fn with_cursors() {
    conforms(r#"{ cursor: { query: after, value: "$.items[-1].id", while: "@.more == true" } }"#);
}

#[test]
fn with_the_next_pages_url() {
    conforms("{ next_url: $.next_page }");
}

#[test]
fn with_link_headers() {
    conforms("link_header");
}

#[test]
fn with_numbered_pages() {
    conforms("{ page: { query: page } }");
}

#[test]
fn with_offsets() {
    conforms("{ offset: { query: skip } }");
}
