//! A client without a network, on a clock that moves only when told.

use bothways_connector_sandbox::{Answer, Config, Stripe};
use bothways_model::{Method, Request, Response, Secret, Timestamp};
use chrono::TimeDelta;
use serde_json::Value;

/// A sandbox and its caller.
pub(crate) struct Caller {
    pub(crate) stripe: Stripe,
    pub(crate) now: Timestamp,
}

/// An answer, read.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) response: Response,
}

impl Got {
    pub(crate) fn id(&self) -> String {
        self.json["id"].as_str().expect("an object with an id").to_owned()
    }

    /// The ids of a list.
    pub(crate) fn ids(&self) -> Vec<String> {
        let data = self.json["data"].as_array().expect("a list");
        data.iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub(crate) fn error(&self, field: &str) -> &str {
        self.json["error"][field].as_str().unwrap_or_default()
    }
}

impl Caller {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            stripe: Stripe::new(config),
            now: Timestamp::from_timestamp(1_800_000_000, 0).expect("a moment"),
        }
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    /// A request with credentials.
    pub(crate) fn request(method: Method, path: &str, body: &str, key: Option<&str>) -> Request {
        let mut request = Request::new(method, format!("http://sandbox.test{path}"));
        request.secret_headers.push(("authorization".into(), Secret::new("Bearer sk_test_caller")));
        request.body = body.as_bytes().to_vec();
        if let Some(key) = key {
            request = request.with_header("Idempotency-Key", key);
        }
        request
    }

    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        self.stripe.handle(request, self.now)
    }

    pub(crate) fn call(&mut self, method: Method, path: &str, body: &str, key: Option<&str>) -> Got {
        let answer = self.send(&Self::request(method, path, body, key));
        let response = answer.response().expect("an answer");
        let json = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        Got { status: response.status, json, response }
    }

    pub(crate) fn get(&mut self, path: &str) -> Got {
        self.call(Method::Get, path, "", None)
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> Got {
        self.call(Method::Post, path, body, None)
    }

    pub(crate) fn delete(&mut self, path: &str) -> Got {
        self.call(Method::Delete, path, "", None)
    }

    /// A new customer's id.
    pub(crate) fn customer(&mut self, body: &str) -> String {
        self.post("/v1/customers", body).id()
    }
}
