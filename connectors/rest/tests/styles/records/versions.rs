//! Conditional writes: the version in a header while the whole record is put, and in the body beside all mapped fields.

use crate::stage::{Asked, Script, conforms, members, missing, wordless};
use crate::support::{connect, path, request, resource};
use bothways_connector::{Operation, Outcome};
use bothways_model::{ErrorClass, Method, Request, Response};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// The version is a header, and a PUT replaces everything.
const BY_HEADER: &str = r#"
connector: shelf
http: { base_url: "https://shelf.example", errors: { message: $.error, code: $.code } }
lists: { items: $.books, pages: { page: { query: page } } }
resources:
  books:
    id: $.isbn
    version: { header: ETag }
    list: GET /books
    get: GET /books/{id}
    find: { $.title: { call: "GET /books?title={value}", consistent: true } }
    create: POST /books
    update: { call: "PUT /books/{id}", sends: whole, if_match: { header: If-Match } }
"#;

/// The version is a number in the record, ids are in the body, and what an update does not name is refused where it is required.
const BY_BODY: &str = r#"
connector: shelf
http: { base_url: "https://shelf.example" }
lists: { items: $.books, pages: { page: { query: page } } }
resources:
  books:
    id: $.isbn
    version: $.sys.revision
    wrap: $.book
    list: GET /books
    get: GET /books/{id}
    find: { $.title: { call: "GET /books?title={value}", consistent: true } }
    create: POST /books
    update: { call: POST /changes, json: { isbn: "{id}" }, sends: mapped, if_match: $.sys.revision, returns: nothing }
"#;

/// The service. Every record has a revision, which each change moves on.
#[derive(Default)]
struct Shelf {
    books: Vec<Json>,
}

impl Shelf {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method, path.as_slice()) {
            (Method::Get, ["books"]) => {
                let title = asked.query.get("title");
                let all =
                    self.books.iter().filter(|b| title.is_none_or(|title| b["title"] == title.as_str()));
                let page = asked.query.get("page").and_then(|n| n.parse().ok()).unwrap_or(1);
                let shown: Vec<&Json> = all.skip((page - 1) * 3).take(3).collect();
                Response::json(200, &json!({"books": shown}))
            }
            (Method::Post, ["books"]) => {
                let sent = if asked.body.get("book").is_some() { &asked.body["book"] } else { &asked.body };
                let mut book = members(sent);
                book.insert("isbn".into(), json!(format!("b{}", self.books.len())));
                book.insert("sys".into(), json!({"revision": 1, "owner": "library"}));
                self.books.push(Json::Object(book));
                self.shown(self.books.len() - 1)
            }
            (method, ["books", isbn]) => match (method, self.at(isbn)) {
                (Method::Get, Some(at)) => self.shown(at),
                (Method::Put, Some(at)) if request.header("if-match") == Some(&etag(&self.books[at])) => {
                    let sys = self.books[at]["sys"].clone();
                    self.books[at] = json!({"isbn": isbn, "sys": sys});
                    self.change(at, members(&asked.body))
                }
                // Nothing in the body: a precondition that failed needs no words.
                (Method::Put, Some(_)) => wordless(412),
                _ => missing(),
            },
            (Method::Post, ["changes"]) => {
                let Some(at) = asked.body["isbn"].as_str().and_then(|isbn| self.at(isbn)) else {
                    return missing();
                };
                let book = members(&asked.body["book"]);
                if !book.contains_key("title") {
                    return Response::json(400, &json!({"error": "a book has a title"}));
                }
                if book.get("sys").and_then(|sys| sys.get("revision"))
                    != Some(&self.books[at]["sys"]["revision"])
                {
                    return Response::json(409, &json!({"error": "somebody else was faster"}));
                }
                self.change(at, book)
            }
            _ => missing(),
        }
    }

    fn at(&self, isbn: &str) -> Option<usize> {
        self.books.iter().position(|book| book["isbn"] == isbn)
    }

    fn change(&mut self, at: usize, fields: Map<String, Json>) -> Response {
        let book = &mut self.books[at];
        for (name, value) in fields.into_iter().filter(|(name, _)| name != "sys") {
            book[name] = value;
        }
        book["sys"]["revision"] = json!(book["sys"]["revision"].as_u64().map_or(0, |revision| revision + 1));
        self.shown(at)
    }

    fn shown(&self, at: usize) -> Response {
        let book = &self.books[at];
        Response::json(200, book).with_header("ETag", etag(book))
    }
}

fn etag(book: &Json) -> String {
    format!("\"r{}\"", book["sys"]["revision"])
}

fn conform(document: &str) {
    let mut shelf = Shelf::default();
    let script = Script {
        records: 7,
        record: &|n| {
            vec![
                (path(&["title"]), json!(format!("Title {n}"))),
                (path(&["tags"]), json!(["a", {"b": null}])),
            ]
        },
        change: vec![(path(&["pages"]), json!(300))],
    };
    conforms(document, &[], "books", script, &mut |request| shelf.answer(request));
}

#[test]
fn conform_by_header() {
    conform(BY_HEADER);
}

#[test]
fn conform_by_body() {
    conform(BY_BODY);
}

fn update(seen: Option<Json>, version: Option<&str>) -> Operation {
    Operation::Update {
        id: "b0".into(),
        fields: vec![(path(&["title"]), json!("New"))],
        key: "k".into(),
        seen: seen.map(Arc::new),
        version: version.map(str::to_owned),
    }
}

#[test]
fn what_a_mapping_does_not_know_goes_back_as_it_was_read() {
    let connector = connect(BY_HEADER, &[]);
    let seen = json!({"isbn": "b0", "title": "Old", "notes": [null, {"x": 1.5}], "sys": {"revision": 4}, "blurb": null});
    let sent = request(
        resource(&connector, "books").start(update(Some(seen.clone()), Some("\"r4\""))).expect("sent"),
    );
    let body: Json = serde_json::from_slice(&sent.body).expect("JSON");
    let mut expected = seen;
    expected["title"] = json!("New");
    assert_eq!(body, expected);
    assert_eq!(sent.header("if-match"), Some("\"r4\""));
}

#[test]
fn nothing_is_sent_without_what_it_depends_on() {
    for document in [BY_HEADER, BY_BODY] {
        let connector = connect(document, &[]);
        let books = resource(&connector, "books");
        for operation in [update(None, Some("1")), update(Some(json!({"isbn": "b0"})), None)] {
            let refused = books.start(operation).err().map(|failure| failure.class);
            assert_eq!(refused, Some(ErrorClass::Invalid));
        }
    }
}

#[test]
fn a_failed_precondition_is_a_conflict_even_without_words() {
    let connector = connect(BY_HEADER, &[]);
    let exchange =
        resource(&connector, "books").start(update(Some(json!({"isbn": "b0"})), Some("1"))).expect("sent");
    let answer = wordless(412);
    match crate::support::answered(exchange, answer) {
        Outcome::Failed(failure) => assert_eq!(failure.class, ErrorClass::Conflict),
        other => panic!("{other:?}"),
    }
}
