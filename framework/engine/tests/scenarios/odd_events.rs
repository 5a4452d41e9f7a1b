//! Events that do not say what they are about: the others still count, and what nobody can name is looked for.

use crate::harness::service::{Service, ServiceWorld};
use bothways_model::{Request, Response, Timestamp, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

const DOCUMENTS: &str = r#"
connector: town
http: { base_url: "http://127.0.0.1:1", rate: { limit: 100000/s } }
lists: { items: $.list }
events:
  id: $.n
  type: $.type
  id_of: $.who
  at: { path: $.t, as: unix }
  feed: { call: GET /events, order: oldest_first, query: { from: "{since}" } }
resources:
  people:
    id: $.id
    list: GET /people
    get: GET /people/{id}
    update: PATCH /people/{id}
    events: { moved: upsert }
---
catalog: people
table: people
key: id
fields: { id: int, email: text?, name: text? }
---
mapping: town-people
local: people
remote: town/people
identity: { match: [email] }
creates: { from_local: ignore }
fields: { email: $.email, name: $.name }
sync: { feed: 30s, reconcile: never }
"#;

struct Town {
    people: Vec<Json>,
    events: Vec<Json>,
    lists: usize,
}

impl Service for Town {
    fn answer(&mut self, request: &Request, now: Timestamp) -> Response {
        let path = request.url.trim_start_matches("http://127.0.0.1:1/");
        let answer = match path.split_once('/') {
            Some((_, id)) => match self.people.iter().find(|person| person["id"] == id) {
                Some(person) => Response::json(200, person),
                None => Response::json(404, &json!({})),
            },
            None if path.starts_with("events") => Response::json(200, &json!({ "list": self.events })),
            None => {
                self.lists += 1;
                Response::json(200, &json!({ "list": self.people }))
            }
        };
        answer.with_header("date", now.to_rfc2822().replace("+0000", "GMT"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_hides_no_change() {
    let person = |id: &str| json!({ "id": id, "email": format!("{id}@x.io"), "name": "Old" });
    let town = Town { people: vec![person("ann"), person("bob")], events: Vec::new(), lists: 0 };
    let world = ServiceWorld::stopped(DOCUMENTS, &[], town).await;
    world.start().await;
    let both = async |w: &ServiceWorld<Town>| w.rows().await.len() == 2;
    world.until("first contact", 10 * MINUTE, both).await;
    world.wait(2 * MINUTE).await;

    // Bob's event is behind one that names nobody, which was Ann's.
    let now = world.now().timestamp();
    world.there(|town| {
        for person in &mut town.people {
            person["name"] = json!("New");
        }
        town.events = vec![
            json!({ "n": "1", "type": "moved", "t": now }),
            json!({ "n": "2", "type": "moved", "t": now, "who": "bob" }),
        ];
    });
    let new = Some(Value::Text("New".into()));
    world
        .until("both changes are here", 5 * MINUTE, async |w: &ServiceWorld<Town>| {
            w.rows().await.iter().all(|row| row.fields.get("name") == new.as_ref())
        })
        .await;

    // One that is known brings nothing more, and others of the kind no pass after another.
    let lists = world.there(|town| town.lists);
    world.wait(10 * MINUTE).await;
    world.there(|town| town.events.push(json!({ "n": "3", "type": "moved", "t": now + 1 })));
    world.wait(10 * MINUTE).await;
    assert_eq!(world.there(|town| town.lists), lists);
}
