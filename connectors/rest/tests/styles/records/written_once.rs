//! Records that are written once: what is entered is read and taken away, and never changed.

use crate::shelf::{Shelf, script};
use crate::stage::{Asked, conforms};
use crate::support::connect;
use bothways_connector::{Connector, ResourceQuery};
use bothways_model::{Method, Response};
use serde_json::json;

const DOCUMENT: &str = "
connector: journal
http: { base_url: \"https://journal.example\" }
lists: { items: $.things, pages: { offset: { query: from } } }
resources:
  things:
    id: $.id
    list: GET /things
    get: GET /things/{id}
    create: POST /things
    delete: DELETE /things/{id}
";

#[test]
fn conform() {
    let mut shelf = Shelf::default();
    conforms(DOCUMENT, &[], "things", script(), &mut |request| {
        let asked = Asked::read(request);
        match asked.call() {
            (Method::Get, path) if path == ["things"] => {
                let from = asked.query.get("from").and_then(|from| from.parse().ok()).unwrap_or(0);
                Response::json(200, &json!({ "things": shelf.some(from, 3) }))
            }
            (Method::Patch, _) => panic!("an entry is changed"),
            _ => shelf.answer(&asked),
        }
    });
}

#[test]
fn nothing_is_offered_that_the_service_cannot_do() {
    let connector = connect(DOCUMENT, &[]);
    let query = ResourceQuery { name: "things".into(), ..ResourceQuery::default() };
    let things = connector.resource(&query).expect("the document has them");
    let can = things.capabilities();
    assert!(can.create && can.delete && !can.update);
}
