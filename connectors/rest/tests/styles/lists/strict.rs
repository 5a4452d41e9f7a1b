//! Numbered pages where asking for one too many is an error, so that the end has to be read from the answer.
//!
//! Django REST framework answers 404 beyond its last page; others count pages (`page < pages`) or say `has_more`.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, conforms, missing};
use bothways_model::{Method, Response};
use serde_json::json;

fn document(pages: &str) -> String {
    format!(
        r#"
connector: depot
http: {{ base_url: "https://depot.example" }}
lists: {{ items: $.things, page_size: {{ per_page: 3 }}, pages: {pages} }}
resources:
  things:{CALLS}
    list: GET /things
"#
    )
}

fn list(shelf: &Shelf, asked: &Asked) -> Response {
    assert_eq!(asked.query.get("per_page").map(String::as_str), Some("3"));
    let number = |name: &str| asked.query.get(name).and_then(|n| n.parse::<usize>().ok());
    let from = number("page").map(|page| (page - 1) * 3).or(number("skip")).unwrap_or(0);
    if from > 0 && from >= shelf.things.len() {
        return missing();
    }
    let things = shelf.some(from, 3);
    let more = from + things.len() < shelf.things.len();
    let pages = shelf.things.len().div_ceil(3);
    // The next URL is there even at the end, where it leads beyond.
    let next = format!("/things?per_page=3&skip={}", from + 3);
    let about =
        json!({"things": things, "page": from / 3 + 1, "pages": pages, "has_more": more, "next": next});
    Response::json(200, &about)
}

fn conform(pages: &str) {
    let mut shelf = Shelf::default();
    conforms(&document(pages), &[], "things", script(), &mut |request| {
        let asked = Asked::read(request);
        match asked.call() {
            (Method::Get, path) if path == ["things"] => list(&shelf, &asked),
            _ => shelf.answer(&asked),
        }
    });
}

#[test]
fn that_are_counted() {
    conform(r#"{ page: { query: page, while: "@.page < @.pages" } }"#);
}

#[test]
fn with_a_next_url_that_is_always_there() {
    conform(r#"{ next_url: { path: $.next, while: "@.has_more == true" } }"#);
}

#[test]
fn with_an_offset_and_a_flag() {
    conform(r#"{ offset: { query: skip, while: "@.has_more == true" } }"#);
}
