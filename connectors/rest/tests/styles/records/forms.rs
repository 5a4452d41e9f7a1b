//! Form bodies, ids that are numbers, null as the text `null`, nested names in brackets, and no delete.

use crate::stage::{Asked, Script, conforms, members, missing};
use crate::support::path;
use bothways_model::{Method, Request, Response};
use serde_json::{Value as Json, json};

const DOCUMENT: &str = r#"
connector: club
http:
  base_url: https://club.example
  body: form
  null_as: "null"
lists: { items: $.members, pages: { page: { query: page } } }
resources:
  members:
    id: $.number
    list: GET /members
    get: GET /members/{id}
    find: { $.email: { call: "GET /members?email={value}", consistent: true } }
    create: POST /members
    update: POST /members/{id}
"#;

/// The service: records by their number, which is their position and one.
#[derive(Default)]
struct Club(Vec<Json>);

impl Club {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        match (asked.call(), asked.query.get("email")) {
            ((Method::Get, path), Some(email)) if path == ["members"] => {
                let found: Vec<&Json> = self.0.iter().filter(|m| m["email"] == email.as_str()).collect();
                Response::json(200, &json!({"members": found}))
            }
            ((Method::Get, path), None) if path == ["members"] => {
                let page = asked.query.get("page").and_then(|n| n.parse().ok()).unwrap_or(1);
                let shown: Vec<&Json> = self.0.iter().skip((page - 1) * 3).take(3).collect();
                Response::json(200, &json!({"members": shown}))
            }
            ((Method::Post, path), _) if path == ["members"] => {
                self.0.push(json!({"number": self.0.len() + 1, "address": {}}));
                self.write(self.0.len() - 1, &asked.body)
            }
            ((method, path), _) if path.len() == 2 => {
                let at = path[1].parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                match (method, at.filter(|at| *at < self.0.len())) {
                    (Method::Get, Some(at)) => Response::json(200, &self.0[at]),
                    (Method::Post, Some(at)) => self.write(at, &asked.body),
                    _ => missing(),
                }
            }
            _ => missing(),
        }
    }

    fn write(&mut self, at: usize, form: &Json) -> Response {
        for (name, value) in members(form) {
            let value = if value == "null" { Json::Null } else { value };
            match name.strip_prefix("address[").and_then(|rest| rest.strip_suffix(']')) {
                Some(part) => self.0[at]["address"][part] = value,
                None => self.0[at][name] = value,
            }
        }
        Response::json(200, &self.0[at])
    }
}

#[test]
fn conform() {
    let mut club = Club::default();
    let script = Script {
        records: 7,
        record: &|n| {
            vec![
                (path(&["email"]), json!(format!("a+{n}&b=c@club.example"))),
                (path(&["address", "city"]), json!("Köln/Süd")),
            ]
        },
        change: vec![(path(&["phone"]), json!("+49 1")), (path(&["address", "city"]), Json::Null)],
    };
    conforms(DOCUMENT, &[], "members", script, &mut |request| club.answer(request));
}
