//! A stand-in of Zendesk's users, in the shape that its Support API documents: envelopes, create or update by external id or email, a list
//! with cursors, an export of what changed that leaves the last minute out and names the next URL even at its end, deleted users that stay
//! readable and inactive, and webhooks that name a user and are signed with their timestamp.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bothways_connector::Unverified;
use bothways_model::{Method, Request, Response, Timestamp};
use chrono::{SecondsFormat, TimeDelta};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

pub(crate) const EMAIL: &str = "admin@acme.io";
pub(crate) const TOKEN: &str = "zen-token";
pub(crate) const SECRET: &str = "zen-secret";
const BASE: &str = "https://acme.zendesk.com/api/v2";

/// The service.
pub(crate) struct Zendesk {
    pub(crate) now: Timestamp,
    users: BTreeMap<u64, Json>,
    told: Vec<(&'static str, u64)>,
    delivered: usize,
}

impl Zendesk {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, users: BTreeMap::new(), told: Vec::new(), delivered: 0 }
    }

    /// Answers one request.
    pub(crate) fn answer(&mut self, request: &Request) -> Response {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{EMAIL}/token:{TOKEN}")));
        let given = request.secret_headers.iter().find(|(name, _)| name == "authorization");
        if given.is_none_or(|(_, value)| value.expose() != basic) {
            return error(401, "Couldn't authenticate you", "", Json::Null);
        }
        let url = Url::parse(&request.url).expect("URLs are absolute");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = request.url.strip_prefix(BASE).map(|rest| rest.split('?').next().unwrap_or_default());
        let one = path.and_then(|path| path.strip_prefix("/users/")?.strip_suffix(".json"));
        let id = one.and_then(|id| id.parse::<u64>().ok()).filter(|id| self.users.contains_key(id));
        match (request.method, path, id) {
            (Method::Get, Some("/users.json"), _) => self.list(&query),
            (Method::Get, Some("/users/search.json"), _) => self.search(&query),
            (Method::Get, Some("/incremental/users/cursor.json"), _) => self.export(&query),
            (Method::Post, Some("/users/create_or_update.json"), _) => self.upsert(&body(request)),
            (Method::Get, _, Some(id)) => Response::json(200, &json!({"user": self.users[&id]})),
            (Method::Put, _, Some(id)) => self.write(id, &body(request), "name_changed", 200),
            (Method::Delete, _, Some(id)) => {
                self.write(id, &json!({"user": {"active": false}}), "active_changed", 200)
            }
            _ => error(404, "RecordNotFound", "Not found", Json::Null),
        }
    }

    /// What has happened since the last call, signed.
    pub(crate) fn deliveries(&mut self) -> Vec<Unverified> {
        let time = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut all = Vec::new();
        for (what, id) in self.told.drain(..) {
            self.delivered += 1;
            let body = json!({
                "account_id": 22_129_848, "id": format!("cbe4028c-7239-495d-b020-{:012}", self.delivered), "time": time,
                "type": format!("zen:event-type:user.{what}"), "subject": format!("zen:user:{id}"),
                "zendesk_event_version": "2022-06-20", "event": {},
                "detail": {"id": id.to_string(), "email": self.users[&id]["email"], "role": "end-user"},
            });
            let body = body.to_string().into_bytes();
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
            mac.update(time.as_bytes());
            mac.update(&body);
            let headers = vec![
                ("X-Zendesk-Webhook-Signature".into(), BASE64_STANDARD.encode(mac.finalize().into_bytes())),
                ("X-Zendesk-Webhook-Signature-Timestamp".into(), time.clone()),
            ];
            all.push(Unverified { headers, body });
        }
        all
    }

    /// A user of this external id or, without one, of this email is updated; else one is made.
    fn upsert(&mut self, body: &Json) -> Response {
        let given = &body["user"];
        let known = |name: &str| {
            let wanted = given[name].as_str()?;
            let same =
                |user: &&Json| user[name].as_str().is_some_and(|text| text.eq_ignore_ascii_case(wanted));
            self.users.values().find(same).and_then(|user| user["id"].as_u64())
        };
        if let Some(id) = known("external_id").or_else(|| known("email")) {
            return self.write(id, body, "name_changed", 200);
        }
        let id = 35_436 + self.users.len() as u64;
        let time = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let blank = json!({
            "id": id, "name": null, "email": null, "phone": null, "external_id": null, "role": "end-user", "active": true,
            "created_at": time, "updated_at": time, "url": format!("{BASE}/users/{id}.json"),
        });
        self.users.insert(id, blank);
        let answer = self.write(id, body, "created", 201);
        if !answer.is_success() {
            self.users.remove(&id);
        }
        answer
    }

    fn write(&mut self, id: u64, body: &Json, what: &'static str, status: u16) -> Response {
        let given: Map<String, Json> = body["user"].as_object().cloned().unwrap_or_default();
        let email = given.get("email").and_then(Json::as_str);
        let taken = |email: &str| {
            let same =
                |user: &Json| user["email"].as_str().is_some_and(|other| other.eq_ignore_ascii_case(email));
            self.users.iter().any(|(other, user)| *other != id && same(user))
        };
        if let Some(email) = email.filter(|email| taken(email)) {
            let description = format!("Email: {email} is already being used by another user");
            let details = json!({"email": [{"description": description, "error": "DuplicateValue"}]});
            return error(422, "RecordInvalid", "Record validation errors", details);
        }
        let time = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let user = self.users.get_mut(&id).expect("it is there");
        for (name, value) in given {
            user[name] = value;
        }
        user["updated_at"] = json!(time);
        let shown = user.clone();
        self.told.push((what, id));
        Response::json(status, &json!({"user": shown}))
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        let size: usize =
            query.get("page[size]").and_then(|n| n.parse().ok()).expect("pages by cursor name their size");
        assert!(size <= 100, "a page has at most 100 records");
        let after: u64 =
            query.get("page[after]").map_or(0, |text| text.trim_end_matches('=').parse().expect("a cursor"));
        let live: Vec<&Json> = self
            .users
            .range(after + 1..)
            .map(|(_, user)| user)
            .filter(|user| user["active"] == true)
            .collect();
        let page = &live[..live.len().min(size)];
        let cursor = page.last().map(|user| format!("{}==", user["id"]));
        let meta = json!({"has_more": live.len() > size, "after_cursor": cursor, "before_cursor": null});
        Response::json(200, &json!({"users": page, "meta": meta, "links": {}}))
    }

    /// Users in the order of their changes; the last minute is left out.
    fn export(&self, query: &BTreeMap<String, String>) -> Response {
        let number = |name: &str| query.get(name).and_then(|n| n.parse::<i64>().ok());
        let from = match (query.get("cursor"), number("start_time")) {
            (Some(cursor), None) => {
                let (time, id) = cursor.split_once('|').expect("a cursor");
                (time.parse().expect("a time"), id.parse().expect("an id"))
            }
            (None, Some(start)) => {
                assert!(start <= self.now.timestamp() - 60, "the start lies at least a minute back");
                (start - 1, u64::MAX)
            }
            other => panic!("an export begins at a time or goes on from a cursor: {other:?}"),
        };
        let until = self.now - TimeDelta::minutes(1);
        let place = |user: &Json| {
            let time =
                user["updated_at"].as_str().and_then(|text| text.parse::<Timestamp>().ok()).expect("a time");
            (time, user["id"].as_u64().expect("an id"))
        };
        let mut changed: Vec<((i64, u64), &Json)> = self
            .users
            .values()
            .map(|user| (place(user), user))
            .filter(|((time, _), _)| *time <= until)
            .map(|((time, id), user)| ((time.timestamp(), id), user))
            .filter(|(place, _)| *place > from)
            .collect();
        changed.sort_by_key(|(place, _)| *place);
        // The page size is a wish.
        let size = usize::try_from(number("per_page").unwrap_or(1000)).expect("a size").min(5);
        let (last, _) = changed.iter().take(size).next_back().copied().unwrap_or((from, &Json::Null));
        let users: Vec<&Json> = changed.iter().take(size).map(|(_, user)| *user).collect();
        let cursor = format!("{}|{}", last.0, last.1);
        let mut next = Url::parse(&format!("{BASE}/incremental/users/cursor.json")).expect("a URL");
        next.query_pairs_mut().append_pair("cursor", &cursor);
        let end = changed.len() <= size;
        let page =
            json!({"users": users, "after_cursor": cursor, "after_url": next.as_str(), "end_of_stream": end});
        Response::json(200, &page)
    }

    fn search(&self, query: &BTreeMap<String, String>) -> Response {
        let asked = query.get("query").and_then(|q| q.strip_prefix("email:\"")?.strip_suffix('"'));
        let asked =
            asked.expect("one email is asked for, in quotes").replace("\\\"", "\"").replace("\\\\", "\\");
        let same =
            |user: &&Json| user["email"].as_str().is_some_and(|email| email.eq_ignore_ascii_case(&asked));
        let found: Vec<&Json> =
            self.users.values().filter(|user| user["active"] == true).filter(same).collect();
        Response::json(200, &json!({"users": found, "count": found.len(), "next_page": null}))
    }
}

fn body(request: &Request) -> Json {
    assert_eq!(request.header("content-type"), Some("application/json"));
    serde_json::from_slice(&request.body).expect("bodies are JSON")
}

fn error(status: u16, error: &str, description: &str, details: Json) -> Response {
    Response::json(status, &json!({"error": error, "description": description, "details": details}))
}
