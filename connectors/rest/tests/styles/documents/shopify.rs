//! Shopify customers: envelopes both ways, `Link` headers, facts of events in headers.

use super::{connector, project};
use crate::shopify::{SECRET, Shopify, TOKEN};
use crate::stage::now;
use crate::support::{connect, path, resource};
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{Operation, Outcome, ResourceQuery, Step};
use bothways_model::ErrorClass;
use serde_json::{Value as Json, json};
use std::cell::RefCell;

const DOCUMENTS: &str = include_str!("../../../examples/shopify.yaml");
const VARS: [(&str, &str); 3] =
    [("SHOPIFY_SHOP", "acme"), ("SHOPIFY_TOKEN", TOKEN), ("SHOPIFY_WEBHOOK_SECRET", SECRET)];

#[test]
fn conform() {
    let connector = connect(connector(DOCUMENTS), &VARS);
    let shopify = RefCell::new(Shopify::new(now()));
    let fields = ["email", "first_name", "last_name", "note"].map(|name| path(&[name]));
    check(Bench {
        connector: &connector,
        resource: ResourceQuery {
            name: "customers".into(),
            paths: fields.to_vec(),
            ..ResourceQuery::default()
        },
        send: &mut |request| Some(shopify.borrow_mut().answer(request)),
        deliveries: Some(&mut || shopify.borrow_mut().deliveries()),
        now: now(),
        // More than the 250 of a page.
        records: 260,
        record: &|n| {
            vec![
                (path(&["email"]), json!(format!("a\"b\\{n}+c@x.io"))),
                (path(&["first_name"]), json!(format!("Zoë {n}"))),
                (path(&["note"]), json!("line\nline")),
            ]
        },
        change: vec![(path(&["last_name"]), json!("O'Neil")), (path(&["note"]), Json::Null)],
    });
}

#[test]
fn an_email_that_is_taken_is_a_duplicate() {
    let connector = connect(connector(DOCUMENTS), &VARS);
    let customers = resource(&connector, "customers");
    let mut shopify = Shopify::new(now());
    let mut create = |key: &str| {
        let fields = vec![(path(&["email"]), json!("ann@x.io"))];
        let mut exchange =
            customers.start(Operation::Create { fields, key: key.into() }).expect("it is sent");
        let mut answer = None;
        loop {
            match exchange.next(answer.take()) {
                Step::Done(outcome) => return outcome,
                step => {
                    let Step::Call(call) = step else { panic!("a fixed token is not renewed") };
                    answer = Some(shopify.answer(&call.request));
                }
            }
        }
    };
    assert!(matches!(create("one"), Outcome::Record(_)));
    let Outcome::Failed(failure) = create("two") else { panic!("it was created twice") };
    assert_eq!(failure.class, ErrorClass::Duplicate);
}

#[test]
fn the_mapping_is_sound() {
    let project = project(DOCUMENTS);
    let mapping = project.mapping("shopify-customers").expect("it is there");
    assert!(mapping.capabilities().webhook && mapping.capabilities().recover);
}
