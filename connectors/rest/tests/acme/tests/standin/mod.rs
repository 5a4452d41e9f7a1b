//! Acme as a pure function from request to answer: parts with a code and a price, pages of ten, and a lock.

use bothways_model::{Method, Request, Response};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

/// What a caller has to show.
pub(crate) const TOKEN: &str = "acme-token-1";

/// How many records a page has.
const PAGE: usize = 10;

/// The service.
#[derive(Default)]
pub(crate) struct Acme {
    parts: Vec<Json>,
    locked: bool,
}

impl Acme {
    /// While somebody is taking stock nothing can be written.
    pub(crate) fn while_stock_is_taken() -> Self {
        Self { parts: Vec::new(), locked: true }
    }

    /// Answers one request.
    pub(crate) fn handle(&mut self, request: &Request) -> Response {
        let token = request.secret_headers.iter().find(|(name, _)| name == "authorization");
        if token.is_none_or(|(_, secret)| secret.expose() != format!("Bearer {TOKEN}")) {
            return fail(401, "who are you?");
        }
        if self.locked && request.method != Method::Get {
            return fail(409, "stock is being taken").with_header("X-Acme-Locked", "1");
        }
        let url = Url::parse(&request.url).expect("URLs are absolute");
        let id = url
            .path()
            .strip_prefix("/parts/")
            .map(|id| percent_encoding::percent_decode_str(id).decode_utf8_lossy().into_owned());
        let sent = || serde_json::from_slice(&request.body).expect("bodies are JSON");
        match (request.method, id) {
            (Method::Get, None) => self.list(&url.query_pairs().into_owned().collect()),
            (Method::Post, None) => {
                self.parts.push(json!({ "id": format!("part-{}", self.parts.len()) }));
                self.write(self.parts.len() - 1, &sent())
            }
            (method, Some(id)) => match (method, self.parts.iter().position(|part| part["id"] == id)) {
                (_, None) => fail(404, "no such part"),
                (Method::Patch, Some(at)) => self.write(at, &sent()),
                (Method::Delete, Some(at)) => Response::json(200, &self.parts.remove(at)),
                (_, Some(at)) => Response::json(200, &self.parts[at]),
            },
            _ => fail(405, "not that"),
        }
    }

    fn write(&mut self, at: usize, fields: &Json) -> Response {
        for (name, value) in fields.as_object().expect("an object") {
            self.parts[at][name] = value.clone();
        }
        Response::json(200, &self.parts[at])
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        let wanted = |part: &&Json| query.get("code").is_none_or(|code| part["code"] == *code);
        let all: Vec<&Json> = self.parts.iter().filter(wanted).collect();
        let after = query.get("after").and_then(|id| all.iter().position(|part| part["id"] == *id));
        let from = after.map_or(0, |at| at + 1);
        let items = &all[from..all.len().min(from + PAGE)];
        Response::json(200, &json!({ "items": items, "more": from + items.len() < all.len() }))
    }
}

fn fail(status: u16, error: &str) -> Response {
    Response::json(status, &json!({ "error": error }))
}
