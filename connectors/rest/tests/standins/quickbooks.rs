//! A stand-in of QuickBooks Online's customers, in the shape that its Accounting API 3 documents: lists by a query language that counts
//! from 1, sparse updates that name the token of the version they are about, display names that are unique, records that are made
//! inactive and renamed instead of deleted, and no trace of what is empty. Access tokens come of a refresh token that is replaced after a
//! day.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use bothways_model::{Method, Request, Response, Timestamp};
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use url::Url;

pub(crate) const REALM: &str = "4620816365";
pub(crate) const CLIENT: (&str, &str) = ("client", "client-secret");
pub(crate) const REFRESH: &str = "refresh-0";

/// The most records of one answer.
const MOST: usize = 1000;

/// The service.
pub(crate) struct QuickBooks {
    pub(crate) now: Timestamp,
    customers: Vec<Json>,
    /// Answers by the key of their request.
    answered: BTreeMap<String, Response>,
    /// Operation and customer of what happened since it was last delivered.
    told: Vec<(&'static str, String, String)>,
    /// How many access tokens were given; the last one is good.
    pub(crate) tokens: usize,
    /// The number of the refresh token, and since when it is the one.
    refresh: (usize, Timestamp),
    /// Queries, as they were asked.
    pub(crate) queries: Vec<String>,
}

impl QuickBooks {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            customers: Vec::new(),
            answered: BTreeMap::new(),
            told: Vec::new(),
            tokens: 0,
            refresh: (0, now),
            queries: Vec::new(),
        }
    }

    /// Answers one request.
    pub(crate) fn answer(&mut self, request: &Request) -> Response {
        let url = Url::parse(&request.url).expect("URLs are absolute");
        if url.path() == "/oauth2/v1/tokens/bearer" {
            return self.token(request);
        }
        let good = format!("Bearer access-{}", self.tokens);
        let token = request.secret_headers.iter().find(|(name, _)| name == "authorization");
        if self.tokens == 0 || token.is_none_or(|(_, value)| value.expose() != good) {
            return fault(401, "3200", "message=AuthenticationFailed; errorCode=003200; statusCode=401");
        }
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = url.path().strip_prefix(&format!("/v3/company/{REALM}/"));
        match (request.method, path) {
            (Method::Get, Some("query")) => self.query(query.get("query").map_or("", String::as_str)),
            (Method::Post, Some("customer")) => {
                let key = query.get("requestid").cloned();
                if let Some(answer) = key.as_ref().and_then(|key| self.answered.get(key)) {
                    return answer.clone();
                }
                let answer = self.write(&body(request));
                self.answered.extend(key.map(|key| (key, answer.clone())));
                answer
            }
            (Method::Get, Some(path)) => match path.strip_prefix("customer/").and_then(|id| self.at(id)) {
                Some(at) => self.shown(at),
                None => fault(400, "610", "Object Not Found"),
            },
            _ => fault(404, "120", "Authorization Failure"),
        }
    }

    /// Each answer brings the refresh token that is the one from now on.
    fn token(&mut self, request: &Request) -> Response {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1)));
        let client = request.secret_headers.iter().find(|(name, _)| name == "authorization");
        if client.is_none_or(|(_, value)| value.expose() != basic) {
            return Response::json(401, &json!({"error": "invalid_client"}));
        }
        let form = request.secret_body.as_ref().map(|body| body.expose().as_bytes()).unwrap_or_default();
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(form).into_owned().collect();
        let expected = format!("refresh-{}", self.refresh.0);
        if form.get("grant_type").is_none_or(|kind| kind != "refresh_token")
            || form.get("refresh_token") != Some(&expected)
        {
            return Response::json(400, &json!({"error": "invalid_grant"}));
        }
        self.tokens += 1;
        if self.now - self.refresh.1 >= TimeDelta::days(1) {
            self.refresh = (self.refresh.0 + 1, self.now);
        }
        let (access, refresh) = (format!("access-{}", self.tokens), format!("refresh-{}", self.refresh.0));
        Response::json(
            200,
            &json!({
                "token_type": "bearer", "expires_in": 3600, "access_token": access,
                "refresh_token": refresh, "x_refresh_token_expires_in": 8_726_400,
            }),
        )
    }

    /// Somebody makes or changes a customer in the service itself.
    pub(crate) fn person_writes(&mut self, id: Option<&str>, fields: Json) -> String {
        let mut sent = fields;
        if let Some(at) = id.and_then(|id| self.at(id)) {
            for name in ["Id", "SyncToken"] {
                sent[name] = self.customers[at][name].clone();
            }
            sent["sparse"] = json!(true);
        }
        let answer = self.write(&sent);
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
        let shown: Json = serde_json::from_slice(&answer.body).expect("answers are JSON");
        shown["Customer"]["Id"].as_str().expect("an id").to_owned()
    }

    /// What has happened since the last call, in one batch.
    pub(crate) fn notification(&mut self) -> Json {
        let entity = |(operation, id, at): (&str, String, String)| json!({"name": "Customer", "id": id, "operation": operation, "lastUpdated": at});
        let mut entities: Vec<Json> = self.told.drain(..).map(entity).collect();
        entities.push(json!({"name": "Invoice", "id": "1", "operation": "Create", "lastUpdated": "2026-11-22T10:00:00Z"}));
        json!({"eventNotifications": [{"realmId": REALM, "dataChangeEvent": {"entities": entities}}]})
    }

    /// The customers that are active.
    pub(crate) fn active(&self) -> Vec<&Json> {
        self.customers.iter().filter(|customer| customer["Active"] == true).collect()
    }

    pub(crate) fn customer(&self, id: &str) -> &Json {
        &self.customers[self.at(id).expect("it is there")]
    }

    fn at(&self, id: &str) -> Option<usize> {
        self.customers.iter().position(|customer| customer["Id"] == id)
    }

    /// Times are written with an offset, and each write has its own.
    fn tick(&mut self) -> String {
        self.now += TimeDelta::milliseconds(100);
        let offset = FixedOffset::west_opt(8 * 3600).expect("an offset");
        self.now.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Millis, false)
    }

    /// Creates what has no id, and changes what has one.
    fn write(&mut self, sent: &Json) -> Response {
        let Some(given) = sent.as_object() else { return fault(400, "2010", "Request has invalid property") };
        let at = match given.get("Id") {
            None => None,
            Some(id) => match id.as_str().and_then(|id| self.at(id)) {
                None => return fault(400, "610", "Object Not Found"),
                Some(at) => Some(at),
            },
        };
        if let Some(at) = at {
            assert_eq!(
                given.get("sparse"),
                Some(&json!(true)),
                "a full update would empty what it does not name"
            );
            match given.get("SyncToken") {
                None => {
                    return fault(400, "2020", "Required param missing, need to supply the required value");
                }
                Some(token) if *token != self.customers[at]["SyncToken"] => {
                    return fault(400, "5010", "Stale Object Error");
                }
                Some(_) => {}
            }
        }
        let name = given.get("DisplayName").and_then(Json::as_str);
        let is_other = |(other, _): &(usize, &Json)| Some(*other) != at;
        if let Some(name) = name {
            let same = |known: &Json| {
                known.as_str().is_some_and(|known| known.to_lowercase() == name.to_lowercase())
            };
            if self.customers.iter().enumerate().filter(is_other).any(|(_, c)| same(&c["DisplayName"])) {
                return fault(400, "6240", "Duplicate Name Exists Error");
            }
        }
        let time = self.tick();
        let at = at.unwrap_or_else(|| {
            let id = (self.customers.len() + 1).to_string();
            self.customers.push(json!({
                "domain": "QBO", "sparse": false, "Id": id, "Active": true, "Balance": 0,
                "MetaData": { "CreateTime": time, "LastUpdatedTime": time }
            }));
            self.customers.len() - 1
        });
        let customer = self.customers[at].as_object_mut().expect("an object");
        let operation = if customer.contains_key("SyncToken") { "Update" } else { "Create" };
        let version =
            customer.get("SyncToken").and_then(Json::as_str).and_then(|token| token.parse::<u32>().ok());
        for (name, value) in given.iter().filter(|(name, _)| !matches!(name.as_str(), "Id" | "sparse")) {
            match shown(value) {
                Some(value) => customer.insert(name.clone(), value),
                None => customer.remove(name),
            };
        }
        if given.get("Active") == Some(&json!(false)) {
            let name = customer["DisplayName"].as_str().unwrap_or_default();
            let name = format!("{} (deleted)", name.trim_end_matches(" (deleted)"));
            customer.insert("DisplayName".into(), name.into());
        }
        customer.insert("SyncToken".into(), version.map_or(0, |version| version + 1).to_string().into());
        customer["MetaData"]["LastUpdatedTime"] = json!(time);
        let id = customer["Id"].as_str().expect("an id").to_owned();
        self.told.push((operation, id, time));
        self.shown(at)
    }

    fn shown(&self, at: usize) -> Response {
        Response::json(200, &json!({"Customer": self.customers[at], "time": "2026-11-22T02:00:00.000-08:00"}))
    }

    fn query(&mut self, text: &str) -> Response {
        self.queries.push(text.to_owned());
        let Some(query) = Query::parse(text) else { return fault(400, "4000", "Error parsing query") };
        let mut found: Vec<&Json> = self.customers.iter().filter(|customer| query.holds(customer)).collect();
        if query.order.as_deref() == Some("MetaData.LastUpdatedTime") {
            found.sort_by_key(|customer| time(&customer["MetaData"]["LastUpdatedTime"]));
        }
        let page: Vec<&Json> = found.into_iter().skip(query.start - 1).take(query.most.min(MOST)).collect();
        let mut response = json!({});
        if !page.is_empty() {
            response = json!({"Customer": page, "startPosition": query.start, "maxResults": page.len()});
        }
        Response::json(200, &json!({"QueryResponse": response, "time": "2026-11-22T02:00:00.000-08:00"}))
    }
}

/// What the service shows of a value: nothing of what is empty.
fn shown(value: &Json) -> Option<Json> {
    match value {
        Json::Null => None,
        Json::String(text) if text.is_empty() => None,
        Json::Object(members) => {
            let members: Map<String, Json> =
                members.iter().filter_map(|(name, value)| Some((name.clone(), shown(value)?))).collect();
            (!members.is_empty()).then_some(Json::Object(members))
        }
        other => Some(other.clone()),
    }
}

/// `select * from Customer [where …] [orderby …] [startposition n] [maxresults n]`.
struct Query {
    /// All of them hold: a field, and what it is compared with.
    conditions: Vec<(String, Condition)>,
    order: Option<String>,
    start: usize,
    most: usize,
}

enum Condition {
    Is(String),
    IsAnyOf(Vec<String>),
    NotBefore(Timestamp),
}

impl Query {
    fn parse(text: &str) -> Option<Self> {
        let mut words = words(text)?.into_iter().peekable();
        for expected in ["select", "*", "from", "Customer"] {
            words.next().filter(|word| *word == Word::Plain(expected.into()))?;
        }
        // Without a word about it, inactive customers are left out.
        let mut query = Self { conditions: Vec::new(), order: None, start: 1, most: 100 };
        while let Some(word) = words.next() {
            match word.plain()?.as_str() {
                "where" | "and" => {
                    let field = words.next()?.plain()?;
                    let condition = match words.next()?.plain()?.as_str() {
                        "=" => Condition::Is(words.next()?.literal()?),
                        ">=" => Condition::NotBefore(words.next()?.literal()?.parse().ok()?),
                        "in" => {
                            words.next().filter(|word| *word == Word::Plain("(".into()))?;
                            let mut any = Vec::new();
                            loop {
                                match words.next()? {
                                    Word::Plain(word) if word == ")" => break,
                                    Word::Plain(word) if word == "," => {}
                                    Word::Plain(word) | Word::Text(word) => any.push(word),
                                }
                            }
                            Condition::IsAnyOf(any)
                        }
                        _ => return None,
                    };
                    query.conditions.push((field, condition));
                }
                "orderby" => query.order = Some(words.next()?.plain()?),
                "startposition" => query.start = words.next()?.plain()?.parse().ok().filter(|n| *n > 0)?,
                "maxresults" => query.most = words.next()?.plain()?.parse().ok()?,
                _ => return None,
            }
        }
        if !query.conditions.iter().any(|(field, _)| field == "Active") {
            query.conditions.push(("Active".into(), Condition::Is("true".into())));
        }
        Some(query)
    }

    fn holds(&self, customer: &Json) -> bool {
        self.conditions.iter().all(|(field, condition)| {
            let value = field.split('.').fold(customer, |node, name| &node[name]);
            let text = match value {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            match condition {
                Condition::Is(is) => text == *is,
                Condition::IsAnyOf(any) => any.contains(&text),
                Condition::NotBefore(min) => time(value).is_some_and(|at| at >= *min),
            }
        })
    }
}

#[derive(PartialEq)]
enum Word {
    Plain(String),
    Text(String),
}

impl Word {
    fn plain(self) -> Option<String> {
        if let Self::Plain(word) = self { Some(word) } else { None }
    }

    fn literal(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Words, brackets and texts in single quotes, in which a backslash stands before quotes.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            '(' | ')' | ',' => words.push(Word::Plain(c.into())),
            '\'' => {
                let mut literal = String::new();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        '\\' => literal.push(chars.next()?),
                        c => literal.push(c),
                    }
                }
                words.push(Word::Text(literal));
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !matches!(c, ' ' | '(' | ')' | ',' | '\'')) {
                    word.push(c);
                }
                words.push(Word::Plain(word));
            }
        }
    }
    Some(words)
}

fn time(value: &Json) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
    Some(time.to_utc())
}

fn body(request: &Request) -> Json {
    assert_eq!(request.header("content-type"), Some("application/json"));
    serde_json::from_slice(&request.body).expect("bodies are JSON")
}

fn fault(status: u16, code: &str, message: &str) -> Response {
    let kind = if status == 401 { "AUTHENTICATION" } else { "ValidationFault" };
    let error = json!({"Message": message, "Detail": message, "code": code, "element": ""});
    Response::json(
        status,
        &json!({"Fault": {"Error": [error], "type": kind}, "time": "2026-11-22T02:00:00.000-08:00"}),
    )
}
