//! Lists that are searches: the position of the next page is part of a JSON body, as a number, an offset or a cursor.
//!
//! So do HubSpot's search (`after`), Notion (`start_cursor`), Elasticsearch (`from`), ServiceTitan and many reporting APIs (`page`).

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, conforms};
use bothways_model::{Method, Response};
use serde_json::{Value as Json, json};

fn document(pages: &str) -> String {
    format!(
        r#"
connector: depot
http: {{ base_url: "https://depot.example" }}
lists: {{ items: $.found, page_size: {{ size: 3 }} }}
resources:
  things:{CALLS}
    list:
      call: POST /search
      json: {{ where: {{}}, page: {{ size: 3 }} }}
      pages: {pages}
"#
    )
}

/// Whichever way the next page is asked for is the way it is given.
fn search(shelf: &Shelf, asked: &Asked) -> Response {
    assert!(asked.query.is_empty(), "a search says its page size in its body: {:?}", asked.query);
    let page = &asked.body["page"];
    assert_eq!(page["size"], json!(3), "what the document says of the body stays in it: {page}");
    let number = |name: &str| page[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let from = match (number("number"), number("from"), page["after"].as_str()) {
        (Some(number), _, _) => number * 3,
        (_, Some(from), _) => from,
        (_, _, Some(after)) => {
            shelf.things.iter().position(|thing| thing["id"] == *after).map_or(0, |at| at + 1)
        }
        _ => 0,
    };
    let found = shelf.some(from, 3);
    let next =
        if from + found.len() < shelf.things.len() { found.last().map(|t| t["id"].clone()) } else { None };
    Response::json(200, &json!({"found": found, "next": next.unwrap_or(Json::Null)}))
}

fn conform(pages: &str) {
    let mut shelf = Shelf::default();
    conforms(&document(pages), &[], "things", script(), &mut |request| {
        let asked = Asked::read(request);
        match asked.call() {
            (Method::Post, path) if path == ["search"] => search(&shelf, &asked),
            _ => shelf.answer(&asked),
        }
    });
}

#[test]
fn numbered() {
    conform("{ page: { json: $.page.number, first: 0 } }");
}

#[test]
fn by_offset() {
    conform("{ offset: { json: $.page.from } }");
}

#[test]
fn by_cursor() {
    conform("{ cursor: { json: $.page.after, value: $.next } }");
}
