//! Zendesk users: created by our own key, an export with a pace of its own, deleted users that stay readable.

use super::{connector, project};
use crate::stage::now;
use crate::support::{connect, path};
use crate::zendesk::{EMAIL, SECRET, TOKEN, Zendesk};
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{Connector, ResourceQuery};
use bothways_model::Method;
use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use std::cell::RefCell;

const DOCUMENTS: &str = include_str!("../../../examples/zendesk.yaml");
const VARS: [(&str, &str); 4] = [
    ("ZENDESK_SUBDOMAIN", "acme"),
    ("ZENDESK_EMAIL", EMAIL),
    ("ZENDESK_TOKEN", TOKEN),
    ("ZENDESK_WEBHOOK_SECRET", SECRET),
];

#[test]
fn conform() {
    let connector = connect(connector(DOCUMENTS), &VARS);
    let zendesk = RefCell::new(Zendesk::new(now() - TimeDelta::minutes(5)));
    let stamp = path(&["external_id"]);
    let fields = ["name", "email", "phone"].map(|name| path(&[name]));
    check(Bench {
        connector: &connector,
        resource: ResourceQuery {
            name: "users".into(),
            paths: fields.to_vec(),
            stamp: Some(stamp.clone()),
            ..ResourceQuery::default()
        },
        send: &mut |request| {
            let mut zendesk = zendesk.borrow_mut();
            // What the export is asked for lies a minute back.
            if request.url.contains("/incremental/") {
                zendesk.now = now();
            }
            Some(zendesk.answer(request))
        },
        deliveries: Some(&mut || zendesk.borrow_mut().deliveries()),
        now: now() - TimeDelta::minutes(5),
        // More than the hundred of a page.
        records: 110,
        record: &|n| {
            vec![
                (stamp.clone(), json!(format!("0193-{n}"))),
                (path(&["email"]), json!(format!("a\"b\\{n}@x.io"))),
                (path(&["name"]), json!(format!("Zoë {n}"))),
            ]
        },
        change: vec![(path(&["name"]), json!("new")), (path(&["phone"]), Json::Null)],
    });
    let limits = connector.limits();
    let export =
        limits.calls.iter().find(|call| call.covers(Method::Get, "/api/v2/incremental/users/cursor.json"));
    assert_eq!(export.map(|call| call.requests), Some(8), "the export has a pace of its own");
}

#[test]
fn the_mapping_is_sound() {
    let project = project(DOCUMENTS);
    let mapping = project.mapping("zendesk-users").expect("it is there");
    assert!(mapping.capabilities().webhook && mapping.capabilities().upsert);
}
