//! A stand-in of HubSpot's contacts, in the shape that its CRM API v3 documents: records under `properties`, of which only those asked for
//! come back; a list with a cursor; a search by POST that shows 10,000 results at most and sees writes late; emails in lower case and once;
//! a property is cleared by an empty text, and null means nothing.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use bothways_model::{Method, Request, Response, Timestamp};
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

/// The token that it accepts.
pub(crate) const TOKEN: &str = "pat-standin";

/// The most results of one search.
const MOST: usize = 10_000;

/// The most records of a page.
const PAGE: usize = 100;

struct Contact {
    id: u64,
    properties: BTreeMap<String, String>,
    made: Timestamp,
    changed: Timestamp,
}

/// The service.
pub(crate) struct HubSpot {
    pub(crate) now: Timestamp,
    /// How long the search does not see a write.
    pub(crate) lag: TimeDelta,
    contacts: BTreeMap<u64, Contact>,
    next_id: u64,
    /// How often each kind of call was made.
    pub(crate) calls: BTreeMap<&'static str, usize>,
}

impl HubSpot {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, lag: TimeDelta::zero(), contacts: BTreeMap::new(), next_id: 1001, calls: BTreeMap::new() }
    }

    /// Answers one request.
    pub(crate) fn answer(&mut self, request: &Request) -> Response {
        let bearer = request.secret_headers.iter().find(|(name, _)| name == "authorization");
        if bearer.is_none_or(|(_, value)| value.expose() != format!("Bearer {TOKEN}")) {
            return error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found");
        }
        let url = Url::parse(&request.url).expect("URLs are absolute");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = url.path().strip_prefix("/crm/v3/objects/contacts").map(str::to_owned);
        let Some(path) = path else { return error(404, "OBJECT_NOT_FOUND", "no such path") };
        let one = path.strip_prefix('/').map(decoded);
        let answer = match (request.method, one.as_deref()) {
            (Method::Get, None) => self.list(&query),
            (Method::Post, None) => self.create(&body(request)),
            (Method::Post, Some("search")) => {
                assert!(query.is_empty(), "the search has no query parameters: {query:?}");
                self.search(&body(request))
            }
            (method, Some(id)) => match (method, self.known(id, query.get("idProperty"))) {
                (Method::Get, Some(id)) => {
                    *self.calls.entry("get").or_default() += 1;
                    let wanted = names(query.get("properties"));
                    Response::json(200, &self.show(&self.contacts[&id], &wanted))
                }
                (Method::Patch, Some(id)) => self.update(id, &body(request)),
                (Method::Delete, id) => {
                    *self.calls.entry("delete").or_default() += 1;
                    id.and_then(|id| self.contacts.remove(&id));
                    Response { status: 204, headers: Vec::new(), body: Vec::new() }
                }
                _ => error(404, "OBJECT_NOT_FOUND", "Object not found"),
            },
            _ => error(405, "METHOD_NOT_ALLOWED", "method not allowed"),
        };
        answer.with_header("date", self.now.to_rfc2822().replace("+0000", "GMT"))
    }

    /// What a person does in HubSpot's own pages.
    pub(crate) fn person_creates(&mut self, properties: &[(&str, &str)]) -> String {
        let id = self.next_id;
        self.next_id += 1;
        let contact = Contact { id, properties: BTreeMap::new(), made: self.now, changed: self.now };
        self.contacts.insert(id, contact);
        self.person_updates(&id.to_string(), properties);
        id.to_string()
    }

    pub(crate) fn person_updates(&mut self, id: &str, properties: &[(&str, &str)]) {
        let now = self.now;
        let contact = id.parse().ok().and_then(|id: u64| self.contacts.get_mut(&id)).expect("it is there");
        for (name, value) in properties {
            let value = if *name == "email" { value.to_lowercase() } else { (*value).to_owned() };
            contact.properties.insert((*name).to_owned(), value);
        }
        contact.properties.retain(|_, value| !value.is_empty());
        contact.changed = now;
    }

    pub(crate) fn person_deletes(&mut self, id: &str) {
        id.parse().ok().and_then(|id: u64| self.contacts.remove(&id)).expect("it is there");
    }

    /// The property of a contact; `None` if it has none.
    pub(crate) fn property(&self, id: &str, name: &str) -> Option<String> {
        let contact = id.parse().ok().and_then(|id: u64| self.contacts.get(&id))?;
        contact.properties.get(name).cloned()
    }

    /// The ids of all contacts.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.contacts.keys().map(u64::to_string).collect()
    }

    /// The contact that a path names, by its id or by its email.
    fn known(&self, name: &str, by: Option<&String>) -> Option<u64> {
        match by.map(String::as_str) {
            None => name.parse().ok().filter(|id| self.contacts.contains_key(id)),
            Some(property) => {
                let name = name.to_lowercase();
                self.contacts.values().find(|c| c.properties.get(property) == Some(&name)).map(|c| c.id)
            }
        }
    }

    fn create(&mut self, body: &Json) -> Response {
        *self.calls.entry("create").or_default() += 1;
        let given = match properties(body) {
            Ok(given) => given,
            Err(refused) => return refused,
        };
        let email = given.iter().find(|(name, _)| name == "email").map(|(_, value)| value.to_lowercase());
        if let Some(id) = email.and_then(|email| self.known(&email, Some(&"email".to_owned()))) {
            return error(409, "CONFLICT", &format!("Contact already exists. Existing ID: {id}"));
        }
        let given: Vec<(&str, &str)> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let id = self.person_creates(&given).parse().expect("ids are numbers");
        Response::json(201, &self.show(&self.contacts[&id], &[]))
    }

    fn update(&mut self, id: u64, body: &Json) -> Response {
        *self.calls.entry("update").or_default() += 1;
        match properties(body) {
            Ok(given) => {
                let given: Vec<(&str, &str)> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                self.person_updates(&id.to_string(), &given);
                Response::json(200, &self.show(&self.contacts[&id], &[]))
            }
            Err(refused) => refused,
        }
    }

    /// A record as it is shown: what was asked for, null where there is nothing. Writes answer with everything that is set.
    fn show(&self, contact: &Contact, wanted: &[String]) -> Json {
        let iso = |time: &Timestamp| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut shown = Map::new();
        if wanted.is_empty() {
            shown.extend(contact.properties.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        for name in wanted {
            shown.insert(name.clone(), json!(contact.properties.get(name)));
        }
        shown.insert("hs_object_id".into(), json!(contact.id.to_string()));
        shown.insert("createdate".into(), json!(iso(&contact.made)));
        shown.insert("lastmodifieddate".into(), json!(iso(&contact.changed)));
        json!({
            "id": contact.id.to_string(),
            "properties": shown,
            "createdAt": iso(&contact.made),
            "updatedAt": iso(&contact.changed),
            "archived": false,
        })
    }

    fn list(&mut self, query: &BTreeMap<String, String>) -> Response {
        *self.calls.entry("list").or_default() += 1;
        let limit = query.get("limit").and_then(|n| n.parse().ok()).unwrap_or(10);
        assert!(limit <= PAGE, "a page has at most {PAGE} records");
        let after = query.get("after").and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
        let wanted = names(query.get("properties"));
        let page: Vec<_> = self.contacts.range(after..).take(limit + 1).map(|(_, contact)| contact).collect();
        let results: Vec<Json> = page.iter().take(limit).map(|contact| self.show(contact, &wanted)).collect();
        let mut answer = json!({"results": results});
        if let Some(next) = page.get(limit) {
            let link = format!("https://api.hubapi.com/crm/v3/objects/contacts?after={}", next.id);
            answer["paging"] = json!({"next": {"after": next.id.to_string(), "link": link}});
        }
        Response::json(200, &answer)
    }

    fn search(&mut self, asked: &Json) -> Response {
        *self.calls.entry("search").or_default() += 1;
        let filter = &asked["filterGroups"][0]["filters"][0];
        let sort = &asked["sorts"][0];
        assert_eq!(
            (&filter["propertyName"], &filter["operator"]),
            (&json!("lastmodifieddate"), &json!("GTE"))
        );
        assert_eq!(
            (&sort["propertyName"], &sort["direction"]),
            (&json!("lastmodifieddate"), &json!("ASCENDING"))
        );
        let number = |value: &Json| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let Some(from) = number(&filter["value"]) else {
            return error(400, "VALIDATION_ERROR", "a time is written in milliseconds");
        };
        let limit = number(&asked["limit"]).and_then(|n| usize::try_from(n).ok()).unwrap_or(10).min(PAGE);
        let at = number(&asked["after"]).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if at + limit > MOST {
            return error(400, "VALIDATION_ERROR", "a search shows 10000 results at most");
        }
        let wanted: Vec<String> = asked["properties"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect();
        let seen = self.now - self.lag;
        let mut found: Vec<&Contact> = self
            .contacts
            .values()
            .filter(|c| c.changed.timestamp_millis() >= from && c.changed <= seen)
            .collect();
        found.sort_by_key(|contact| (contact.changed, contact.id));
        let total = found.len();
        let results: Vec<Json> =
            found.into_iter().skip(at).take(limit).map(|contact| self.show(contact, &wanted)).collect();
        let next = at + results.len();
        let mut answer = json!({"total": total, "results": results});
        if next < total {
            answer["paging"] = json!({"next": {"after": next.to_string()}});
        }
        Response::json(200, &answer)
    }
}

/// The properties of a write, which are texts.
fn properties(body: &Json) -> Result<Vec<(String, String)>, Response> {
    let Some(given) = body["properties"].as_object() else {
        return Err(error(400, "VALIDATION_ERROR", "properties are missing"));
    };
    let mut read = Vec::new();
    for (name, value) in given {
        match value {
            Json::String(text) => read.push((name.clone(), text.clone())),
            Json::Number(number) => read.push((name.clone(), number.to_string())),
            Json::Bool(truth) => read.push((name.clone(), truth.to_string())),
            // What is null is left as it was.
            Json::Null => {}
            _ => return Err(error(400, "VALIDATION_ERROR", &format!("{name} is no text"))),
        }
    }
    Ok(read)
}

fn names(list: Option<&String>) -> Vec<String> {
    list.into_iter().flat_map(|list| list.split(',')).filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

fn body(request: &Request) -> Json {
    assert_eq!(request.header("content-type"), Some("application/json"));
    serde_json::from_slice(&request.body).expect("bodies are JSON")
}

fn error(status: u16, category: &str, message: &str) -> Response {
    Response::json(
        status,
        &json!({"status": "error", "message": message, "correlationId": "standin", "category": category}),
    )
}

/// A path segment as it was before it was encoded.
fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
