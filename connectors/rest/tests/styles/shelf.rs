//! A shelf of things: what most stand-ins do alike, so that a style shows only what is its own.

use crate::stage::{Asked, Script, members, missing};
use crate::support::path;
use bothways_model::{Method, Response};
use serde_json::{Value as Json, json};

/// The calls of a shelf, for a document's resource.
pub(crate) const CALLS: &str = "
    id: $.id
    get: GET /things/{id}
    create: POST /things
    update: PATCH /things/{id}
    delete: DELETE /things/{id}";

/// Records in the order in which they were made.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) things: Vec<Json>,
    /// Ids that were taken away.
    pub(crate) gone: Vec<Json>,
    made: usize,
}

impl Shelf {
    /// Answers what the calls of [`CALLS`] ask.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Response {
        let (method, path) = asked.call();
        let at = match path.as_slice() {
            ["things"] if method == Method::Post => {
                self.made += 1;
                let mut thing = members(&asked.body);
                thing.insert("id".into(), json!(format!("t{}", self.made)));
                self.things.push(Json::Object(thing));
                self.things.len() - 1
            }
            ["things", id] => match self.things.iter().position(|thing| thing["id"] == **id) {
                Some(at) => at,
                None => return missing(),
            },
            _ => return missing(),
        };
        match method {
            Method::Patch => {
                for (name, value) in members(&asked.body) {
                    self.things[at][name] = value;
                }
            }
            Method::Delete => {
                let thing = self.things.remove(at);
                self.gone.push(thing["id"].clone());
                return Response { status: 204, headers: Vec::new(), body: Vec::new() };
            }
            _ => {}
        }
        Response::json(200, &self.things[at])
    }

    /// At most `count` things, beginning with number `from`.
    pub(crate) fn some(&self, from: usize, count: usize) -> Vec<&Json> {
        self.things.iter().skip(from).take(count).collect()
    }
}

/// Things to put on the shelf: more than two pages of three.
pub(crate) fn script() -> Script<'static> {
    Script {
        records: 7,
        record: &|n| vec![(path(&["name"]), json!(format!("Ding {n}&?#/%")))],
        change: vec![(path(&["colour"]), json!("red"))],
    }
}
