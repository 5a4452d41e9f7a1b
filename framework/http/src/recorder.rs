//! Recording: a port in front of the port that keeps what went through it, and takes the secrets out before anything is stored.

use async_trait::async_trait;
use bothways_engine::{HourOfCalls, Http, Purpose, Quota, SendError};
use bothways_model::{ConnectionName, Request, Response, Secret, Timestamp};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Headers of an answer that say something about how to go on. All others are dropped: cookies, accounts, addresses, traces.
const TELLING: [&str; 7] =
    ["content-type", "date", "etag", "last-modified", "link", "location", "retry-after"];

/// Headers that are dropped even where a document names them.
const NEVER: [&str; 4] = ["set-cookie", "authorization", "www-authenticate", "proxy-authenticate"];

/// Keys, without case and punctuation, below which services answer credentials.
const CREDENTIALS: [&str; 10] = [
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "sessiontoken",
    "sessionid",
    "clientsecret",
    "apikey",
    "password",
    "secret",
    "csrftoken",
];

/// What stands in the place of a credential that an answer held.
pub const RECORDED_TOKEN: &str = "recorded-token";

/// Text that is shorter is in everything, and no secret.
const SHORTEST_SECRET: usize = 4;

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What was sent, credentials in its secret parts.
    pub request: Request,
    /// What came back, as it came.
    pub response: Response,
}

/// A port that keeps every request that got an answer.
pub struct Recorder {
    inner: Arc<dyn Http>,
    kept: Mutex<Vec<Recorded>>,
}

impl Recorder {
    /// In front of this port.
    pub fn new(inner: Arc<dyn Http>) -> Self {
        Self { inner, kept: Mutex::default() }
    }

    /// What went through since the last time, in the order of the answers.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Http for Recorder {
    async fn send(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        let sent = request.clone();
        let response = self.inner.send(connection, purpose, request, deadline).await?;
        let recorded = Recorded { request: sent, response: response.clone() };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        Ok(response)
    }

    fn calls_of_day(&self, connection: &ConnectionName, now: Timestamp) -> Vec<HourOfCalls> {
        self.inner.calls_of_day(connection, now)
    }

    fn quota(&self, connection: &ConnectionName) -> Option<Quota> {
        self.inner.quota(connection)
    }

    fn recall(&self, connection: &ConnectionName, now: Timestamp, calls: &[HourOfCalls]) {
        self.inner.recall(connection, now, calls);
    }
}

/// Takes secrets out of answers: the declared ones, those that requests carried, and those that the service gave.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// A secret, and what stands in its place.
    secrets: Vec<(Secret, String)>,
    /// Further headers that are kept, in lower case.
    headers: BTreeSet<String>,
}

impl Scrubber {
    /// Knows the secrets by what shall stand in their place, and the headers that documents read.
    pub fn new(
        secrets: impl IntoIterator<Item = (Secret, String)>,
        headers: impl IntoIterator<Item = String>,
    ) -> Self {
        let headers = headers.into_iter().map(|name| name.to_ascii_lowercase());
        Self { secrets: secrets.into_iter().collect(), headers: headers.collect() }
    }

    /// Learns the credentials that a request carried, such as a session's.
    pub fn learn(&mut self, request: &Request) {
        for (_, value) in request.secret_headers.iter().chain(&request.secret_query) {
            let text = value.expose();
            // `Bearer TOKEN`, `Token token="TOKEN"`, and the token alone.
            let quoted = text.trim_end_matches(['"', '=']).rsplit(['"', '=', ' ']);
            for part in [Some(text), text.rsplit(' ').next(), quoted.into_iter().next()].into_iter().flatten()
            {
                if !self.secrets.iter().any(|(known, _)| known.expose() == part) {
                    self.secrets.push((Secret::new(part), RECORDED_TOKEN.into()));
                }
            }
        }
    }

    /// The answer without secrets. A body that is no JSON is searched as text.
    pub fn clean(&self, response: &Response) -> Response {
        let keeps = |name: &str| {
            let name = name.to_ascii_lowercase();
            !NEVER.contains(&name.as_str())
                && (TELLING.contains(&name.as_str()) || self.headers.contains(&name))
        };
        let headers = response.headers.iter().filter(|(name, _)| keeps(name));
        let headers = headers.map(|(name, value)| (name.clone(), self.text(value))).collect();
        let body = match serde_json::from_slice::<Json>(&response.body) {
            Ok(mut json) => {
                self.json(&mut json);
                json.to_string().into_bytes()
            }
            Err(_) => self.text(&String::from_utf8_lossy(&response.body)).into_bytes(),
        };
        Response { status: response.status, headers, body }
    }

    fn json(&self, json: &mut Json) {
        match json {
            Json::String(text) => *text = self.text(text),
            Json::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Json::Object(members) => {
                for (name, value) in members {
                    if value.is_string() && is_credential(name) {
                        *value = RECORDED_TOKEN.into();
                    } else {
                        self.json(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for (secret, instead) in &self.secrets {
            let secret = secret.expose();
            if secret.len() >= SHORTEST_SECRET && clean.contains(secret) {
                clean = clean.replace(secret, instead);
            }
        }
        clean
    }
}

fn is_credential(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    CREDENTIALS.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::Method;
    use serde_json::json;

    #[test]
    fn no_secret_is_left_in_an_answer() {
        let mut scrubber =
            Scrubber::new([(Secret::new("sk_live_1"), "recorded-api_key".into())], ["X-Next".into()]);
        let mut request = Request::new(Method::Get, "https://api.example/things");
        request.secret_headers.push(("authorization".into(), Secret::new("Bearer session_7")));
        request.secret_headers.push(("x-session".into(), Secret::new("Token token=\"quoted_6\"")));
        request.secret_query.push(("key".into(), Secret::new("query_8")));
        scrubber.learn(&request);
        let told = json!({ "echo": "key sk_live_1 with session_7 or quoted_6", "access_token": "fresh_9", "nextToken": "page_2", "at": [{ "q": "?key=query_8" }] });
        let answer = Response::json(200, &told)
            .with_header("Set-Cookie", "sid=cookie_1")
            .with_header("X-Account", "acct_1")
            .with_header("X-Next", "2 sk_live_1")
            .with_header("ETag", "v1");
        let clean = scrubber.clean(&answer);
        let text = format!("{:?} {}", clean.headers, String::from_utf8_lossy(&clean.body));
        for secret in ["sk_live_1", "session_7", "quoted_6", "fresh_9", "query_8", "cookie_1", "acct_1"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("page_2") && clean.header("etag") == Some("v1"), "{text}");
        assert_eq!(clean.header("x-next"), Some("2 recorded-api_key"));
        let html = Response { status: 502, headers: Vec::new(), body: b"<p>sk_live_1</p>".to_vec() };
        assert_eq!(scrubber.clean(&html).body, b"<p>recorded-api_key</p>");
    }
}
