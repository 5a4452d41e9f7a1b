//! HubSpot contacts: records below `properties`, changes by a search that is paged in its body and shows only so much.

use crate::hubspot::{HubSpot, TOKEN};
use crate::stage::now;
use crate::support::{connect, path};
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{Connector, FieldWrites, Operation, Outcome, Page, Resource, ResourceQuery, Step};
use bothways_model::{ErrorClass, Failure, Timestamp};
use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const DOCUMENTS: &str = include_str!("../../../examples/hubspot.yaml");

fn document() -> &'static str {
    super::connector(DOCUMENTS)
}

fn contacts() -> ResourceQuery {
    let property = |name: &str| path(&["properties", name]);
    ResourceQuery {
        name: "contacts".into(),
        paths: vec![property("email"), property("firstname"), property("lastname")],
        ..ResourceQuery::default()
    }
}

fn resource() -> Arc<dyn Resource> {
    connect(document(), &[("HUBSPOT_TOKEN", TOKEN)]).resource(&contacts()).expect("there are contacts")
}

#[test]
fn the_mapping_is_sound() {
    let project = super::project(DOCUMENTS);
    let mapping = project.mapping("hubspot-contacts").expect("it is there");
    assert!(mapping.capabilities().since && !mapping.capabilities().webhook);
}

/// Runs an operation to its end.
fn run(resource: &dyn Resource, hubspot: &mut HubSpot, operation: Operation) -> Outcome {
    let mut exchange = resource.start(operation).expect("it is sent");
    let mut answer = None;
    loop {
        match exchange.next(answer.take()) {
            Step::Done(outcome) => return outcome,
            step => {
                let Step::Call(call) = step else { panic!("a fixed token is not renewed") };
                answer = Some(hubspot.answer(&call.request));
            }
        }
    }
}

#[test]
fn conform() {
    let last_name = (path(&["properties", "lastname"]), Json::Null);
    let hubspot = conforms(document(), vec![(path(&["properties", "firstname"]), json!("new")), last_name]);
    for call in ["create", "update", "delete", "get", "list", "search"] {
        assert!(hubspot.calls.contains_key(call), "the suite made no {call}");
    }
}

/// The document without what clearing a property and a lookup's other fields need: all else is as before.
#[test]
fn its_shortest_text_conforms_as_well() {
    let mut text = document().to_owned();
    for (line, shorter) in [
        ("  null_as: \"\"                            # HubSpot clears a property with an empty text\n", ""),
        ("?idProperty=email&properties={fields}", "?idProperty=email"),
    ] {
        assert!(text.contains(line), "{line}");
        text = text.replace(line, shorter);
    }
    conforms(&text, vec![(path(&["properties", "firstname"]), json!("new"))]);
}

/// The service after the shared suite.
fn conforms(document: &str, change: FieldWrites) -> HubSpot {
    let connector = connect(document, &[("HUBSPOT_TOKEN", TOKEN)]);
    let mut hubspot = HubSpot::new(now());
    check(Bench {
        connector: &connector,
        resource: contacts(),
        send: &mut |request| Some(hubspot.answer(request)),
        deliveries: None,
        now: now(),
        // More than the hundred of a page.
        records: 120,
        record: &|n| {
            vec![
                (path(&["properties", "email"]), json!(format!("person+{n}@x.io"))),
                (path(&["properties", "firstname"]), json!(format!("Ünal {n}/&?"))),
                (path(&["properties", "lastname"]), json!("Åkerström")),
            ]
        },
        change,
    });
    hubspot
}

#[test]
fn an_email_that_is_taken_is_a_duplicate() {
    let (things, mut hubspot) = (resource(), HubSpot::new(now()));
    hubspot.person_creates(&[("email", "ann@x.io")]);
    let fields: FieldWrites = vec![(path(&["properties", "email"]), json!("Ann@x.io"))];
    let create = Operation::Create { fields, key: "k".into() };
    let Outcome::Failed(Failure { class, message, .. }) = run(&*things, &mut hubspot, create) else {
        panic!("it was created")
    };
    assert_eq!(class, ErrorClass::Duplicate);
    assert!(message.contains("Existing ID"), "{message}");
    // Looked up in any case, as the service compares.
    let find = Operation::Find { path: path(&["properties", "email"]), value: "ANN@x.io".into() };
    let Outcome::Page(found) = run(&*things, &mut hubspot, find) else { panic!("it cannot be looked up") };
    assert_eq!(found.items.len(), 1);
}

/// All pages of the search from a moment on.
fn changed(things: &dyn Resource, hubspot: &mut HubSpot, since: Timestamp) -> Result<Vec<Page>, Failure> {
    let mut pages = Vec::new();
    let mut page = None;
    loop {
        match run(things, hubspot, Operation::Since { since, page: page.take() }) {
            Outcome::Page(read) => {
                page = read.next.clone();
                pages.push(read);
            }
            Outcome::Failed(failure) => return Err(failure),
            other => panic!("the search ended in {other:?}"),
        }
        if page.is_none() {
            return Ok(pages);
        }
    }
}

#[test]
fn more_changes_than_one_search_shows_are_all_seen() {
    let (things, mut hubspot) = (resource(), HubSpot::new(now()));
    for n in 0..12_150 {
        // Some share a moment, also across the border of a search.
        hubspot.now = now() + TimeDelta::milliseconds(n / 40);
        hubspot.person_creates(&[("email", &format!("{n}@x.io"))]);
    }
    hubspot.now = now() + TimeDelta::hours(1);
    let pages = changed(&*things, &mut hubspot, now()).expect("no search asks for more than it may");
    let seen: BTreeSet<_> = pages.iter().flat_map(|page| &page.items).map(|item| item.id.0.clone()).collect();
    assert_eq!(seen, hubspot.ids().into_iter().collect());
    let shown: usize = pages.iter().map(|page| page.items.len()).sum();
    assert!(shown < 12_300, "only what shares the last moment is shown twice: {shown}");
    assert!(pages.iter().all(|page| page.date.is_some()));
}

#[test]
fn more_changes_of_one_moment_than_one_search_shows_need_a_full_pass() {
    let (things, mut hubspot) = (resource(), HubSpot::new(now()));
    for n in 0..10_001 {
        hubspot.person_creates(&[("email", &format!("{n}@x.io"))]);
    }
    let failure = changed(&*things, &mut hubspot, now()).expect_err("they cannot all be seen");
    assert_eq!(failure.class, ErrorClass::Expired);
}
