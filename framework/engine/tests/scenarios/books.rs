//! QuickBooks, which is a document alone, both ways: a query language, versions that each write names, records that are made inactive, what
//! is empty not shown, refresh tokens that are replaced.

use crate::harness::service::{Service, ServiceWorld};
use crate::quickbooks::{CLIENT, QuickBooks, REALM, REFRESH};
use bothways_model::{LocalRow, Request, Response, Timestamp, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

const DOCUMENTS: &str = include_str!("../../../../connectors/rest/examples/quickbooks.yaml");
const VARS: [(&str, &str); 5] = [
    ("QUICKBOOKS_REALM", REALM),
    ("QUICKBOOKS_CLIENT_ID", CLIENT.0),
    ("QUICKBOOKS_CLIENT_SECRET", CLIENT.1),
    ("QUICKBOOKS_REFRESH_TOKEN", REFRESH),
    ("QUICKBOOKS_VERIFIER", "verifier-token"),
];
const MINUTE: Duration = Duration::from_secs(60);

type World = ServiceWorld<QuickBooks>;

impl Service for QuickBooks {
    fn answer(&mut self, request: &Request, now: Timestamp) -> Response {
        self.now = self.now.max(now);
        QuickBooks::answer(self, request)
    }
}

/// Customers on both sides, one of them known to both.
async fn world(policies: &str) -> World {
    let documents = DOCUMENTS.replace("sync: { poll: 1m", &format!("{policies}\nsync: {{ poll: 1m"));
    let world = ServiceWorld::stopped(&documents, &VARS, QuickBooks::new(Timestamp::UNIX_EPOCH)).await;
    let now = world.now();
    world.there(|books| {
        books.now = now;
        books
            .person_writes(None, json!({"DisplayName": "Acme's", "PrimaryEmailAddr": {"Address": "a@x.io"}}));
        books.person_writes(None, json!({"DisplayName": "Bolt", "PrimaryPhone": {"FreeFormNumber": "555"}}));
    });
    world.insert(&[("id", "1"), ("name", "Acme's"), ("email", "a@x.io")]);
    world.insert(&[("id", "2"), ("name", "Cask"), ("phone", "777")]);
    world.start().await;
    world
        .until("first contact", 10 * MINUTE, async |w: &World| {
            w.rows().await.len() == 3 && w.there(|books| books.active().len()) == 3
        })
        .await;
    world
}

/// The id of the active customer of this name, if there is one.
fn named(world: &World, name: &str) -> Option<String> {
    let is = |customer: &&&Json| customer["DisplayName"] == name;
    world.there(|books| Some(books.active().iter().find(is)?["Id"].as_str()?.to_owned()))
}

fn text(row: &LocalRow, field: &str) -> Option<String> {
    match row.fields.get(field) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_quickbooks_example_goes_both_ways() {
    let world = world("").await;
    let bolt = world.row_with("name", "Bolt").await.expect("it is here");
    assert_eq!((text(&bolt, "phone").as_deref(), text(&bolt, "email")), (Some("555"), None));
    let (acme, cask) = (named(&world, "Acme's").expect("there"), named(&world, "Cask").expect("there"));

    // Different fields of one customer on each side, a field that is cleared on each, a new one on each.
    let here = world.row_with("name", "Acme's").await.expect("it is here");
    world.update(&here.id, &[("phone", "111")]);
    world.there(|books| books.person_writes(Some(&acme), json!({"DisplayName": "Acme"})));
    world.update(&world.row_with("name", "Cask").await.expect("it is here").id, &[("phone", "")]);
    let there = named(&world, "Bolt").expect("there");
    world.there(|books| books.person_writes(Some(&there), json!({"PrimaryPhone": Json::Null})));
    world.insert(&[("id", "7"), ("name", "Dune")]);
    world.there(|books| books.person_writes(None, json!({"DisplayName": "Elm"})));
    world
        .until("all of it on both sides", 5 * MINUTE, async |w: &World| {
            let acme_here = w.row_with("name", "Acme").await;
            let bolt_here = w.row_with("name", "Bolt").await;
            acme_here.is_some_and(|row| text(&row, "phone").as_deref() == Some("111"))
                && bolt_here.is_some_and(|row| text(&row, "phone").is_none())
                && w.row_with("name", "Elm").await.is_some()
                && named(w, "Dune").is_some()
                && w.there(|books| {
                    books.customer(&acme)["PrimaryPhone"]["FreeFormNumber"] == "111"
                        && books.customer(&cask).get("PrimaryPhone").is_none()
                })
        })
        .await;

    // The query shows our own writes as well, and nothing follows from them.
    let versions = |books: &mut QuickBooks| -> Vec<String> {
        books.active().iter().map(|customer| customer["SyncToken"].to_string()).collect()
    };
    let before = world.there(versions);
    world.wait(20 * MINUTE).await;
    assert_eq!(world.there(versions), before, "an echo was answered");
    assert_eq!(world.parked().await, []);
    assert_eq!((world.rows().await.len(), world.there(|books| books.active().len())), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_here_is_made_inactive_there_and_the_other_way_round() {
    let world = world("deletes: { from_remote: delete, from_local: delete }").await;
    let (acme, bolt) = (named(&world, "Acme's").expect("there"), named(&world, "Bolt").expect("there"));
    let here = world.row_with("name", "Acme's").await.expect("it is here").id;
    assert!(world.store.foreign().delete("customers", &here, world.now()).unwrap());
    world.there(|books| books.person_writes(Some(&bolt), json!({"Active": false})));
    world
        .until("both are gone", 10 * MINUTE, async |w: &World| {
            w.row_with("name", "Bolt").await.is_none() && named(w, "Acme's").is_none()
        })
        .await;
    assert_eq!(world.there(|books| books.customer(&acme)["Active"].clone()), json!(false));
    assert_eq!((world.rows().await.len(), world.there(|books| books.active().len())), (1, 1));
    assert_eq!(world.parked().await, []);
}
