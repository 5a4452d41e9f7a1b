//! A service of notes: JSON bodies, numeric ids, every style of paging, signed deliveries.

use base64::Engine as _;
use bothways_connector::Unverified;
use bothways_model::{Method, Request, Response, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

/// How many records a page has.
const PAGE: usize = 3;

/// The service's key and the secret of its deliveries.
pub(crate) const KEY: &str = "key_notes_1";
pub(crate) const HOOK: &str = "hook_notes_1";

/// The document, with `pages` as the service is told to do it.
pub(crate) fn document(pages: &str) -> String {
    format!(
        r#"
connector: notes
vars:
  base_url: {{ default: "https://notes.example" }}
  key: {{ secret: true }}
  hook: {{ secret: true, list: true }}
http:
  base_url: ${{base_url}}/api
  auth: {{ header: {{ name: X-Key, value: "${{key}}" }} }}
  headers: {{ X-Version: "2" }}
  idempotency: {{ header: X-Once, keeps: 1h }}
  errors: {{ message: $.why, code: $.code }}
account: {{ call: GET /me, id: $.org }}
lists:
  items: $.items
  page_size: {{ size: {PAGE} }}
  pages: {pages}
events:
  each: $.events
  id: $.id
  type: $.what
  at: {{ path: $.when, as: iso8601 }}
  id_of: $.note
  webhook:
    verify: {{ hmac: {{ secret: "${{hook}}", header: X-Sign, encoding: base64, format: "sha256={{signature}}", signs: "{{body}}" }} }}
  feed:
    call: GET /events
    query: {{ from: "{{since}}", kinds: "{{event_types}}" }}
    order: oldest_first
resources:
  notes:
    id: $.id
    list: GET /notes
    get: GET /notes/{{id}}
    find: {{ $.title: {{ call: "GET /titles/{{value}}", items: $, consistent: true }} }}
    recover: GET /notes?made_from={{since}}
    since:
      call: POST /search
      json: {{ changed_from: "{{since}}", limit: {PAGE} }}
      pages: {{ cursor: {{ json: $.after, value: $.next }} }}
      cursor: {{ path: $.changed, as: iso8601, send: unix_ms }}
    create: POST /notes
    update: PATCH /notes/{{id}}
    delete: {{ call: "DELETE /notes/{{id}}", returns: nothing }}
    gone: "@.trashed == true"
    events: {{ note.saved: upsert, note.trashed: delete, note.read: ignore }}
"#
    )
}

/// The service.
pub(crate) struct Notes {
    now: Timestamp,
    notes: Vec<Json>,
    events: Vec<Json>,
    once: BTreeMap<String, Response>,
    undelivered: usize,
}

impl Notes {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, notes: Vec::new(), events: Vec::new(), once: BTreeMap::new(), undelivered: 0 }
    }

    /// Answers one request.
    pub(crate) fn handle(&mut self, request: &Request) -> Response {
        let key = request.secret_headers.iter().find(|(name, _)| name == "x-key");
        if key.is_none_or(|(_, secret)| secret.expose() != KEY) || request.header("x-version") != Some("2") {
            return Response::json(401, &json!({"why": "who are you?", "code": "stranger"}));
        }
        let url = Url::parse(&request.url).expect("URLs are absolute");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let segments: Vec<String> = url
            .path_segments()
            .into_iter()
            .flatten()
            .map(|s| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method, segments.as_slice()) {
            (Method::Get, ["api", "me"]) => Response::json(200, &json!({"org": 7})),
            (Method::Get, ["api", "notes"]) => self.list(&url, &query),
            (Method::Get, ["api", "notes", id]) => {
                self.note(id).map_or_else(missing, |n| Response::json(200, n))
            }
            (Method::Get, ["api", "titles", title]) => {
                let found = self.notes.iter().find(|note| note["title"] == *title && note["trashed"] != true);
                found.map_or_else(missing, |note| Response::json(200, note))
            }
            (Method::Post, ["api", "search"]) => self.search(&body(request)),
            (Method::Get, ["api", "events"]) => self.page(&url, &query, &self.events, "id"),
            (Method::Post, ["api", "notes"]) => {
                self.idempotent(request, |notes| notes.create(&body(request)))
            }
            (Method::Patch, ["api", "notes", id]) => {
                self.idempotent(request, |notes| notes.update(id, &body(request)))
            }
            (Method::Delete, ["api", "notes", id]) => self.update(id, &json!({"trashed": true})),
            _ => missing(),
        }
    }

    /// What has happened since the last call, signed.
    pub(crate) fn deliveries(&mut self) -> Vec<Unverified> {
        let fresh = self.events.get(self.undelivered..).unwrap_or_default();
        let body = json!({"events": fresh}).to_string().into_bytes();
        self.undelivered = self.events.len();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(HOOK.as_bytes()).expect("any key will do");
        mac.update(&body);
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        vec![Unverified { headers: vec![("X-Sign".into(), format!("sha256={signature}"))], body }]
    }

    fn note(&self, id: &str) -> Option<&Json> {
        self.notes.iter().find(|note| flat(&note["id"]) == id)
    }

    fn idempotent(&mut self, request: &Request, write: impl FnOnce(&mut Self) -> Response) -> Response {
        let key = request.header("x-once").expect("writes carry a key").to_owned();
        if let Some(saved) = self.once.get(&key) {
            return saved.clone();
        }
        let answer = write(self);
        self.once.insert(key, answer.clone());
        answer
    }

    fn create(&mut self, fields: &Json) -> Response {
        let id = 100 + self.notes.len();
        let mut note = Map::from_iter([
            ("id".to_owned(), json!(id)),
            ("made".to_owned(), json!(self.now.to_rfc3339())),
            ("trashed".to_owned(), json!(false)),
        ]);
        note.extend(fields.as_object().cloned().unwrap_or_default());
        self.notes.push(Json::Object(note));
        self.update(&id.to_string(), &json!({}))
    }

    fn update(&mut self, id: &str, fields: &Json) -> Response {
        let changed = self.now.to_rfc3339();
        let event = self.events.len();
        let Some(note) = self.notes.iter_mut().find(|note| flat(&note["id"]) == id) else {
            return missing();
        };
        for (name, value) in fields.as_object().into_iter().flatten() {
            note[name] = value.clone();
        }
        note["changed"] = json!(changed);
        let what = if note["trashed"] == true { "note.trashed" } else { "note.saved" };
        let told = json!({"id": format!("e{event}"), "what": what, "when": changed, "note": note["id"]});
        self.events.push(told);
        Response::json(200, note)
    }

    fn list(&self, url: &Url, query: &BTreeMap<String, String>) -> Response {
        self.page(url, query, &self.notes, "id")
    }

    /// Whichever way the next page is asked for is the way it is given.
    fn page(&self, url: &Url, query: &BTreeMap<String, String>, all: &[Json], id: &str) -> Response {
        let number = |name: &str| query.get(name).and_then(|n| n.parse::<usize>().ok());
        let after =
            |value: &String| all.iter().position(|item| flat(&item[id]) == *value).map_or(0, |at| at + 1);
        let from = match (number("page"), number("skip"), query.get("after")) {
            (Some(page), _, _) => (page - 1) * PAGE,
            (_, Some(skip), _) => skip,
            (_, _, Some(value)) => after(value),
            _ => 0,
        };
        let items = all.get(from..all.len().min(from + PAGE)).unwrap_or_default();
        let more = from + items.len() < all.len();
        let mut next = url.clone();
        let last = items.last().map(|item| flat(&item[id])).unwrap_or_default();
        next.query_pairs_mut().clear().append_pair("after", &last);
        let relative = format!("{}?{}", next.path(), next.query().unwrap_or_default());
        let mut page = json!({"items": items, "more": more});
        if more {
            page["next_page"] = json!(relative);
        }
        let answer = Response::json(200, &page).with_header("Date", "Sun, 22 Nov 2026 10:00:00 GMT");
        if more { answer.with_header("Link", format!("<{next}>; rel=\"next\"")) } else { answer }
    }

    fn search(&self, asked: &Json) -> Response {
        assert!(asked["changed_from"].is_i64(), "a lone placeholder keeps its type: {asked}");
        let from = asked["after"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let limit = asked["limit"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let items = self.notes.get(from..self.notes.len().min(from + limit)).unwrap_or_default();
        let next = from + items.len();
        let next = if next < self.notes.len() { json!(next) } else { Json::Null };
        Response::json(200, &json!({"items": items, "next": next}))
    }
}

fn body(request: &Request) -> Json {
    assert_eq!(request.header("content-type"), Some("application/json"));
    serde_json::from_slice(&request.body).expect("bodies are JSON")
}

fn missing() -> Response {
    Response::json(404, &json!({"why": "no such note", "code": "unknown"}))
}

fn flat(id: &Json) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}
