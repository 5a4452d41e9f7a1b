//! A stand-in of Shopify's customers, in the shape that its Admin REST API documents: records in envelopes, numeric ids, pages by `Link`
//! headers whose URLs allow nothing beside them, times with an offset, an email once, events whose facts stand in headers. Its search sees
//! writes late, its lists do not.

use bothways_connector::Unverified;
use bothways_model::{Method, Request, Response, Timestamp};
use chrono::FixedOffset;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

pub(crate) const TOKEN: &str = "shpat-standin";
pub(crate) const SECRET: &str = "app-secret";
const BASE: &str = "https://acme.myshopify.com/admin/api/2025-01";

/// The service.
pub(crate) struct Shopify {
    pub(crate) now: Timestamp,
    customers: BTreeMap<u64, Json>,
    /// Topic and body of what happened since it was last delivered.
    told: Vec<(&'static str, Json)>,
    delivered: usize,
}

impl Shopify {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, customers: BTreeMap::new(), told: Vec::new(), delivered: 0 }
    }

    /// Answers one request.
    pub(crate) fn answer(&mut self, request: &Request) -> Response {
        let token = request.secret_headers.iter().find(|(name, _)| name == "x-shopify-access-token");
        if token.is_none_or(|(_, value)| value.expose() != TOKEN) {
            return errors(
                401,
                json!("[API] Invalid API key or access token (unrecognized login or wrong password)"),
            );
        }
        let url = Url::parse(&request.url).expect("URLs are absolute");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = request.url.strip_prefix(BASE).map(|rest| rest.split('?').next().unwrap_or_default());
        let one = path.and_then(|path| path.strip_prefix("/customers/")?.strip_suffix(".json"));
        let id = one.and_then(|id| id.parse::<u64>().ok()).filter(|id| self.customers.contains_key(id));
        match (request.method, path, id) {
            (Method::Get, Some("/shop.json"), _) => {
                Response::json(200, &json!({"shop": {"id": 548_380_009, "name": "Acme"}}))
            }
            (Method::Get, Some("/customers.json"), _) => self.list(&query),
            (Method::Get, Some("/customers/search.json"), _) => self.search(&query),
            (Method::Post, Some("/customers.json"), _) => self.create(&body(request)),
            (Method::Get, _, Some(id)) => Response::json(200, &json!({"customer": self.customers[&id]})),
            (Method::Put, _, Some(id)) => self.update(id, &body(request), "customers/update", 200),
            (Method::Delete, _, Some(id)) => {
                self.customers.remove(&id);
                self.told.push(("customers/delete", json!({"id": id})));
                Response::json(200, &json!({}))
            }
            _ => errors(404, json!("Not Found")),
        }
    }

    /// What has happened since the last call, signed.
    pub(crate) fn deliveries(&mut self) -> Vec<Unverified> {
        let mut all = Vec::new();
        for (topic, body) in self.told.drain(..) {
            self.delivered += 1;
            let body = body.to_string().into_bytes();
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
            mac.update(&body);
            let signature =
                base64::Engine::encode(&base64::prelude::BASE64_STANDARD, mac.finalize().into_bytes());
            let headers = vec![
                ("X-Shopify-Topic".into(), topic.into()),
                ("X-Shopify-Hmac-Sha256".into(), signature),
                ("X-Shopify-Webhook-Id".into(), format!("b54557e4-bdd9-4b37-8a5f-{:012}", self.delivered)),
                ("X-Shopify-Shop-Domain".into(), "acme.myshopify.com".into()),
            ];
            all.push(Unverified { headers, body });
        }
        all
    }

    /// Times are written with the shop's own offset.
    fn time(&self) -> String {
        let offset = FixedOffset::west_opt(5 * 3600).expect("an offset");
        self.now.with_timezone(&offset).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    fn create(&mut self, body: &Json) -> Response {
        let id = 207_119_551 + self.customers.len() as u64;
        let time = self.time();
        let blank = json!({
            "id": id, "email": null, "first_name": null, "last_name": null, "phone": null, "note": null,
            "created_at": time, "updated_at": time, "orders_count": 0, "state": "disabled", "tags": "",
        });
        self.customers.insert(id, blank);
        let answer = self.update(id, body, "customers/create", 201);
        if !answer.is_success() {
            self.customers.remove(&id);
        }
        answer
    }

    fn update(&mut self, id: u64, body: &Json, topic: &'static str, status: u16) -> Response {
        let Some(given) = body["customer"].as_object() else {
            return errors(400, json!({"customer": "Required parameter missing or invalid"}));
        };
        let given: Map<String, Json> = given.clone();
        if let Some(email) = given.get("email").and_then(Json::as_str) {
            let taken = |(other, customer): (&u64, &Json)| *other != id && same(&customer["email"], email);
            if self.customers.iter().any(taken) {
                return errors(422, json!({"email": ["has already been taken"]}));
            }
        }
        let time = self.time();
        let customer = self.customers.get_mut(&id).expect("it is there");
        for (name, value) in given {
            customer[name] = value;
        }
        customer["updated_at"] = json!(time);
        let shown = customer.clone();
        self.told.push((topic, shown.clone()));
        Response::json(status, &json!({"customer": shown}))
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        let limit: usize = query.get("limit").and_then(|n| n.parse().ok()).unwrap_or(50);
        assert!(limit <= 250, "a page has at most 250 records");
        let mut from = query.clone();
        if let Some(page) = query.get("page_info") {
            assert!(
                query.keys().all(|name| name == "page_info" || name == "limit"),
                "nothing stands beside a page: {query:?}"
            );
            from = url::form_urlencoded::parse(page.as_bytes()).into_owned().collect();
        }
        let time =
            |name: &str| from.get(name).map(|text| text.parse::<Timestamp>().expect("times are ISO 8601"));
        let after: u64 = from.get("since_id").and_then(|id| id.parse().ok()).unwrap_or(0);
        let not_before = |customer: &Json, field: &str, min: Option<Timestamp>| {
            let at =
                customer[field].as_str().and_then(|text| text.parse::<chrono::DateTime<FixedOffset>>().ok());
            min.is_none_or(|min| at.is_some_and(|at| at >= min))
        };
        let (updated, created) = (time("updated_at_min"), time("created_at_min"));
        let found: Vec<&Json> = self
            .customers
            .range(after + 1..)
            .map(|(_, customer)| customer)
            .filter(|c| not_before(c, "updated_at", updated) && not_before(c, "created_at", created))
            .collect();
        let page = &found[..found.len().min(limit)];
        let answer = Response::json(200, &json!({"customers": page}));
        match page.last().filter(|_| found.len() > limit) {
            None => answer,
            Some(last) => {
                from.insert("since_id".into(), last["id"].to_string());
                from.remove("page_info");
                let info = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&from).finish();
                let mut next = Url::parse(&format!("{BASE}/customers.json")).expect("a URL");
                next.query_pairs_mut()
                    .append_pair("limit", &limit.to_string())
                    .append_pair("page_info", &info);
                answer.with_header("Link", format!("<{next}>; rel=\"next\""))
            }
        }
    }

    fn search(&self, query: &BTreeMap<String, String>) -> Response {
        let asked = query.get("query").and_then(|q| q.strip_prefix("email:\"")?.strip_suffix('"'));
        let asked =
            asked.expect("one email is asked for, in quotes").replace("\\\"", "\"").replace("\\\\", "\\");
        let found: Vec<&Json> = self.customers.values().filter(|c| same(&c["email"], &asked)).collect();
        Response::json(200, &json!({"customers": found}))
    }
}

fn same(email: &Json, other: &str) -> bool {
    email.as_str().is_some_and(|email| email.eq_ignore_ascii_case(other))
}

fn body(request: &Request) -> Json {
    assert_eq!(request.header("content-type"), Some("application/json"));
    serde_json::from_slice(&request.body).expect("bodies are JSON")
}

fn errors(status: u16, errors: Json) -> Response {
    Response::json(status, &json!({"errors": errors}))
}
