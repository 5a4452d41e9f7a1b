//! A client of the sandbox Salesforce without a network, on a clock that moves only when told.

use bothways_connector_sandbox::Answer;
use bothways_connector_sandbox::salesforce::{Action, Config, Fault, Salesforce};
use bothways_model::Method::{Delete, Get, Patch, Post};
use bothways_model::{Method, Request, Response, Secret, Timestamp};
use chrono::TimeDelta;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// An organisation and its caller.
pub(crate) struct Caller {
    pub(crate) org: Salesforce,
    pub(crate) now: Timestamp,
    pub(crate) token: String,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) response: Response,
}

impl Got {
    /// The status and the code of the one error.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.json[0]["errorCode"].as_str().unwrap_or_default())
    }

    /// One field of every record of a query's page.
    pub(crate) fn column(&self, field: &str) -> Vec<&str> {
        let records = self.json["records"].as_array().expect("a page of records");
        records.iter().map(|record| record[field].as_str().unwrap_or_default()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.header(name).unwrap_or_default()
    }
}

impl Caller {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Timestamp::from_timestamp(1_800_000_000, 0).expect("a moment");
        let mut caller = Self { org: Salesforce::new(config), now, token: String::new() };
        caller.log_in();
        caller
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    pub(crate) fn inject(&mut self, action: Action) {
        self.org.inject(Fault::next(action));
    }

    /// Gets an access token by client credentials.
    pub(crate) fn log_in(&mut self) {
        let form = "grant_type=client_credentials&client_id=bothways_app&client_secret=bothways_app_secret";
        let got = self.send(&Self::plain(Post, "/services/oauth2/token", form));
        self.token = got.json["access_token"].as_str().expect("a token").to_owned();
    }

    /// A request without credentials.
    pub(crate) fn plain(method: Method, path: &str, body: &str) -> Request {
        let mut request = Request::new(method, format!("http://sandbox.test{path}"));
        request.body = body.as_bytes().to_vec();
        request
    }

    /// A request for data, with credentials.
    pub(crate) fn request(&self, method: Method, path: &str, body: &Value) -> Request {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Self::plain(method, &format!("/services/data/v62.0{path}"), &body);
        request.secret_headers.push(("authorization".into(), Secret::new(format!("Bearer {}", self.token))));
        request
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Answer {
        self.org.handle(request, self.now)
    }

    pub(crate) fn send(&mut self, request: &Request) -> Got {
        let response = self.answer(request).response().expect("an answer");
        let json = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        Got { status: response.status, json, response }
    }

    pub(crate) fn call(&mut self, method: Method, path: &str, body: &Value) -> Got {
        let request = self.request(method, path, body);
        self.send(&request)
    }

    pub(crate) fn get(&mut self, path: &str) -> Got {
        self.call(Get, path, &Value::Null)
    }

    pub(crate) fn post(&mut self, path: &str, body: Value) -> Got {
        self.call(Post, path, &body)
    }

    pub(crate) fn patch(&mut self, path: &str, body: Value) -> Got {
        self.call(Patch, path, &body)
    }

    pub(crate) fn delete(&mut self, path: &str) -> Got {
        self.call(Delete, path, &Value::Null)
    }

    pub(crate) fn query(&mut self, soql: &str) -> Got {
        self.get(&format!("/query?q={}", utf8_percent_encode(soql, NON_ALPHANUMERIC)))
    }

    pub(crate) fn query_all(&mut self, soql: &str) -> Got {
        self.get(&format!("/queryAll?q={}", utf8_percent_encode(soql, NON_ALPHANUMERIC)))
    }

    /// A new contact's id.
    pub(crate) fn contact(&mut self, last_name: &str) -> String {
        self.contact_with(json!({ "LastName": last_name }))
    }

    pub(crate) fn contact_with(&mut self, fields: Value) -> String {
        self.made("Contact", fields)
    }

    /// A new account's id.
    pub(crate) fn account(&mut self, name: &str) -> String {
        self.made("Account", json!({ "Name": name }))
    }

    fn made(&mut self, object: &str, fields: Value) -> String {
        let got = self.post(&format!("/sobjects/{object}"), fields);
        assert_eq!(got.status, 201, "{:?}", got.json);
        got.json["id"].as_str().expect("an id").to_owned()
    }
}
