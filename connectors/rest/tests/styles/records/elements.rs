//! Lists whose elements are told apart by a word in them: one is written, the others stay.

use crate::stage::{Asked, Script, conforms, members, missing};
use crate::support::{connect, path, request, resource};
use bothways_connector::{Operation, Resource, ResourceQuery};
use bothways_model::{ErrorClass, Method, Request, Response, Segment, SingularPath};
use serde_json::{Value as Json, json};
use std::sync::Arc;

const DOCUMENT: &str = r#"
connector: book
http: { base_url: "https://book.example" }
lists: { items: $.cards, pages: { page: { query: page } } }
resources:
  cards:
    id: $.id
    wrap: $.card
    item: $.card
    list: GET /cards
    get: GET /cards/{id}
    find: { $.name: { call: "GET /cards?name={value}", consistent: true } }
    create: POST /cards
    update: PATCH /cards/{id}
"#;

/// `$.phones[?@.type == kind].number`
fn phone(kind: &str) -> SingularPath {
    SingularPath(vec![
        Segment::Name("phones".into()),
        Segment::Element { name: "type".into(), is: kind.into() },
        Segment::Name("number".into()),
    ])
}

/// The service: what a request names is replaced, lists as a whole.
#[derive(Default)]
struct Book(Vec<Json>);

impl Book {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method, path.as_slice()) {
            (Method::Get, ["cards"]) => {
                let name = asked.query.get("name");
                let all = self.0.iter().filter(|card| name.is_none_or(|name| card["name"] == name.as_str()));
                let page = asked.query.get("page").and_then(|n| n.parse().ok()).unwrap_or(1);
                let shown: Vec<&Json> = all.skip((page - 1) * 2).take(2).collect();
                Response::json(200, &json!({"cards": shown}))
            }
            (Method::Post, ["cards"]) => {
                let mut card = members(&asked.body["card"]);
                card.insert("id".into(), json!(self.0.len()));
                self.0.push(Json::Object(card.clone()));
                Response::json(201, &json!({"card": card}))
            }
            (method, ["cards", id]) => {
                let id = id.parse::<usize>().ok();
                let card = self.0.iter_mut().find(|card| id.is_some_and(|id| card["id"] == id));
                match (method, card) {
                    (Method::Get, Some(card)) => Response::json(200, &json!({"card": card})),
                    (Method::Patch, Some(card)) => {
                        for (name, value) in members(&asked.body["card"]) {
                            card[name] = value;
                        }
                        Response::json(200, &json!({"card": card}))
                    }
                    _ => missing(),
                }
            }
            _ => missing(),
        }
    }
}

#[test]
fn conform() {
    let mut book = Book::default();
    let script = Script {
        records: 5,
        record: &|n| {
            vec![
                (path(&["name"]), json!(format!("Card {n}"))),
                (phone("home"), json!(format!("1{n}"))),
                (phone("work"), json!(format!("2{n}"))),
            ]
        },
        change: vec![(phone("work"), json!("9")), (phone("fax"), json!("7"))],
    };
    conforms(DOCUMENT, &[], "cards", script, &mut |request| book.answer(request));
    let last = book.0.last().expect("there are cards");
    let phones = json!([{"type": "home", "number": "14"}, {"type": "work", "number": "9"}, {"type": "fax", "number": "7"}]);
    assert_eq!(last["phones"], phones);
}

fn cards() -> Arc<dyn Resource> {
    use bothways_connector::Connector;
    let query =
        ResourceQuery { name: "cards".into(), written: vec![phone("work")], ..ResourceQuery::default() };
    connect(DOCUMENT, &[]).resource(&query).expect("it is there")
}

fn update(seen: Option<Json>) -> Operation {
    let fields = vec![(phone("work"), json!("9"))];
    Operation::Update { id: "1".into(), fields, key: "k".into(), seen: seen.map(Arc::new), version: None }
}

#[test]
fn the_other_elements_go_along_as_they_were_read() {
    assert!(cards().capabilities().update_overwrites, "so that they are read again right before");
    let seen = json!({"id": 1, "name": "x", "phones": [{"type": "home", "number": "1", "x": null}, "odd", {"type": "work"}]});
    let sent = request(cards().start(update(Some(seen))).expect("sent"));
    let body: Json = serde_json::from_slice(&sent.body).expect("JSON");
    let phones = json!([{"type": "home", "number": "1", "x": null}, "odd", {"type": "work", "number": "9"}]);
    assert_eq!(body, json!({"card": {"phones": phones}}));
    let emptied = request(cards().start(update(Some(json!({"phones": null})))).expect("sent"));
    assert_eq!(emptied.body, br#"{"card":{"phones":[{"type":"work","number":"9"}]}}"#);
}

#[test]
fn nothing_is_put_in_the_place_of_a_list_that_was_not_shown() {
    for seen in [None, Some(json!({"id": 1})), Some(json!({"phones": "none"}))] {
        let refused = cards().start(update(seen)).err().map(|failure| failure.class);
        assert_eq!(refused, Some(ErrorClass::Invalid));
    }
    let sparse = DOCUMENT.replace("wrap: $.card", "wrap: $.card\n    sparse: [$]");
    let sent = resource(&connect(&sparse, &[]), "cards").start(update(Some(json!({"id": 1}))));
    assert!(sent.is_ok(), "here an absent list is an empty one");
}
