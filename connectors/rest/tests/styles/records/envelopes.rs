//! Records in envelopes both ways, ids of two numbers in nested addresses, and no update: what was said stays said.

use crate::stage::{Asked, Script, conforms, members, missing, wordless};
use crate::support::path;
use bothways_model::{Method, Request, Response};
use serde_json::{Value as Json, json};

const DOCUMENT: &str = r#"
connector: tracker
http: { base_url: "https://tracker.example/api" }
lists: { items: "$.issues[*].issue", pages: { page: { query: page } } }
resources:
  issues:
    id: [$.project.id, $.number]
    item: $.issue
    wrap: $.issues[0].issue
    list: GET /issues
    get: GET /projects/{id_1}/issues/{id_2}
    find: { $.title: { call: "GET /titled/{value}", items: $, consistent: true } }
    create: { call: POST /projects/7/issues, json: { issues: [ { notify: false, issue: { source: sync } } ] } }
    delete: DELETE /projects/{id_1}/issues/{id_2}
"#;

/// The service: issues of project 7, by number.
#[derive(Default)]
struct Tracker(Vec<Json>);

impl Tracker {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method, path.as_slice()) {
            (Method::Get, ["api", "issues"]) => {
                let page = asked.query.get("page").and_then(|n| n.parse().ok()).unwrap_or(1);
                let shown = self.0.iter().skip((page - 1) * 2).take(2);
                let shown: Vec<Json> = shown.map(|issue| json!({"issue": issue})).collect();
                Response::json(200, &json!({"issues": shown}))
            }
            (Method::Get, ["api", "titled", title]) => {
                let found = self.0.iter().find(|issue| issue["title"] == *title);
                Response::json(200, &json!({"issue": found}))
            }
            (Method::Post, ["api", "projects", "7", "issues"]) => {
                let [sent] = asked.body["issues"].as_array().expect("a list").as_slice() else {
                    return missing();
                };
                assert_eq!(sent["notify"], false, "what the document adds stands beside the record");
                assert_eq!(sent["issue"]["source"], "sync", "or in it");
                let mut issue = members(&sent["issue"]);
                issue.insert("number".into(), json!(self.0.len() + 40));
                issue.insert("project".into(), json!({"id": 7}));
                self.0.push(Json::Object(issue.clone()));
                Response::json(201, &json!({"issue": issue, "url": "https://tracker.example"}))
            }
            (method, ["api", "projects", "7", "issues", number]) => {
                let number = number.parse::<usize>().ok();
                let at = self.0.iter().position(|issue| number.is_some_and(|n| issue["number"] == n));
                match (method, at) {
                    (Method::Get, Some(at)) => Response::json(200, &json!({"issue": self.0[at]})),
                    (Method::Delete, Some(at)) => {
                        self.0.remove(at);
                        wordless(204)
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
    let mut tracker = Tracker::default();
    let script = Script {
        records: 5,
        record: &|n| {
            vec![(path(&["title"]), json!(format!("No. {n}/x?"))), (path(&["meta", "stars"]), json!(n))]
        },
        change: vec![(path(&["title"]), json!("another"))],
    };
    conforms(DOCUMENT, &[], "issues", script, &mut |request| tracker.answer(request));
}
