//! Changes by a token of the service's own (rules 52, 53): stored with the work that its list brought, and when it is lost a full pass finds
//! what it would have told.

use crate::harness::service::{Service, ServiceWorld};
use bothways_model::{Method, Request, Response, Timestamp, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn documents(start: &str) -> String {
    format!(
        r#"
connector: registry
http: {{ base_url: "https://registry.example" }}
lists: {{ items: $.people }}
resources:
  people:
    id: $.id
    list: GET /people
    get: GET /people/{{id}}
    find: {{ $.name: {{ call: "GET /people?name={{value}}", consistent: true }} }}
    create: POST /people
    update: PATCH /people/{{id}}
    since: {{ call: GET /changes, token: {{ query: token, value: $.token{start} }} }}
---
catalog: people
table: people
key: id
fields: {{ id: int, name: text, city: text? }}
---
mapping: registry-people
local: people
remote: registry/people
identity: {{ match: [name] }}
fields: {{ name: $.name, city: $.city }}
sync: {{ poll: 10s, reconcile: never }}
"#
    )
}

/// The service: people, and a log of whoever was written. A token is a generation and a place in the log.
#[derive(Default)]
struct Registry {
    people: Vec<Json>,
    log: Vec<usize>,
    generation: usize,
    walks: usize,
    /// Changes that were asked for from the very beginning.
    beginnings: usize,
}

impl Registry {
    fn write(&mut self, at: usize, city: &str) {
        self.people[at]["city"] = json!(city);
        self.log.push(at);
    }

    fn add(&mut self, name: &str) -> usize {
        let id = format!("p{}", self.people.len());
        self.people.push(json!({"id": id, "name": name, "city": null}));
        self.log.push(self.people.len() - 1);
        self.people.len() - 1
    }

    fn token(&self) -> Json {
        json!(format!("{}.{}", self.generation, self.log.len()))
    }

    fn changes(&mut self, token: Option<&str>) -> Response {
        let from = match token {
            None => {
                self.beginnings += 1;
                0
            }
            Some(token) => match token.split_once('.') {
                Some((generation, at)) if self.generation.to_string() == generation => {
                    at.parse().expect("a token of ours")
                }
                _ => return Response::json(410, &json!({})),
            },
        };
        let people: Vec<&Json> = self.log.iter().skip(from).map(|at| &self.people[*at]).collect();
        Response::json(200, &json!({"people": people, "token": self.token()}))
    }
}

impl Service for Registry {
    fn answer(&mut self, request: &Request, _: Timestamp) -> Response {
        let path = request.url.strip_prefix("https://registry.example").expect("the base URL");
        let known = path.strip_prefix("/people/p").and_then(|id| id.parse::<usize>().ok());
        let body = || serde_json::from_slice::<Json>(&request.body).expect("a body");
        match (request.method, path, known) {
            (Method::Get, "/changes/now", _) => Response::json(200, &json!({"token": self.token()})),
            (Method::Get, "/people", _) => {
                self.walks += 1;
                Response::json(200, &json!({"people": self.people}))
            }
            (Method::Get, _, None) if path.starts_with("/changes") => {
                self.changes(path.strip_prefix("/changes?token="))
            }
            (Method::Get, _, None) => {
                let name = path.strip_prefix("/people?name=").expect("a lookup");
                let found: Vec<&Json> = self.people.iter().filter(|p| p["name"] == name).collect();
                Response::json(200, &json!({"people": found}))
            }
            (Method::Get, _, Some(at)) => Response::json(200, &self.people[at]),
            (Method::Post, ..) => {
                let name = body()["name"].as_str().expect("a name").to_owned();
                let at = self.add(&name);
                Response::json(201, &self.people[at])
            }
            (Method::Patch, _, Some(at)) => {
                for (name, value) in body().as_object().expect("fields") {
                    self.people[at][name] = value.clone();
                }
                self.log.push(at);
                Response::json(200, &self.people[at])
            }
            _ => Response::json(404, &json!({})),
        }
    }
}

async fn world(start: &str) -> ServiceWorld<Registry> {
    let world = ServiceWorld::stopped(&documents(start), &[], Registry::default()).await;
    world.there(|r| r.add("Ann"));
    world.insert(&[("id", "1"), ("name", "Bob")]);
    world.start().await;
    world
        .until("first contact", 10 * MINUTE, async |w: &ServiceWorld<Registry>| {
            w.rows().await.len() == 2 && w.there(|r| r.people.len()) == 2
        })
        .await;
    world
}

async fn lives_in(world: &ServiceWorld<Registry>, name: &str, city: &str) {
    world
        .until(&format!("{name} lives in {city}"), 2 * MINUTE, async |w: &ServiceWorld<Registry>| {
            let row = w.row_with("name", name).await;
            row.is_some_and(|row| row.fields.get("city") == Some(&Value::Text(city.into())))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_list_goes_on_from_its_token_and_a_lost_one_leads_to_a_full_pass() {
    let world = world("").await;
    let ann = world.there(|r| {
        let ann = r.people.iter().position(|p| p["name"] == "Ann").expect("she is there");
        r.write(ann, "Ulm");
        ann
    });
    lives_in(&world, "Ann", "Ulm").await;
    world.there(|r| r.add("Cy"));
    world
        .until("the new one is here", 2 * MINUTE, async |w: &ServiceWorld<Registry>| {
            w.row_with("name", "Cy").await.is_some()
        })
        .await;
    world.wait(5 * MINUTE).await;
    let (walks, beginnings) = world.there(|r| (r.walks, r.beginnings));
    assert_eq!(beginnings, 1, "everything is listed once, then what the token leaves");

    // The service forgets its tokens, and with them a change that nobody was told of.
    world.there(|r| {
        r.people[ann]["city"] = json!("Bonn");
        (r.log, r.generation) = (Vec::new(), r.generation + 1);
    });
    lives_in(&world, "Ann", "Bonn").await;
    assert!(world.there(|r| r.walks) > walks, "a full pass found it");
    // And it goes on from a new one.
    world.there(|r| r.write(ann, "Jena"));
    lives_in(&world, "Ann", "Jena").await;
    assert_eq!(world.there(|r| r.beginnings), 2);
    assert_eq!(world.parked().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_first_token_that_stands_for_now_is_followed_by_a_full_pass() {
    let world = world(", start: GET /changes/now").await;
    world
        .until("a pass after the token", 10 * MINUTE, async |w: &ServiceWorld<Registry>| {
            w.there(|r| r.walks) > 1
        })
        .await;
    world.wait(2 * MINUTE).await;
    let walks = world.there(|r| r.walks);
    world.there(|r| r.write(0, "Ulm"));
    lives_in(&world, "Ann", "Ulm").await;
    world.wait(10 * MINUTE).await;
    assert_eq!(world.there(|r| (r.walks, r.beginnings)), (walks, 0), "one pass, and no list of everything");
}
