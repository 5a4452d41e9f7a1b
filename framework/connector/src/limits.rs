//! What one connection may do to its service.

use crate::{retry_after, retry_after_in};
use bothways_model::{Method, Response, SingularPath};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The budget and borders of one connection, enforced by the HTTP port.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The only origin that requests may go to, and answers may point to: scheme, host and port of the base URL.
    pub origin: String,
    /// True if the operator set the base URL by a variable: then a loopback or literal private address is allowed (S14).
    pub origin_from_operator: bool,
    /// A second origin that requests may go to: where access tokens come from, if that is elsewhere.
    pub token_origin: Option<String>,
    /// Requests per period.
    pub requests: u32,
    /// The period of `requests`.
    pub per: Duration,
    /// Requests that may go out at once after a pause.
    pub burst: u32,
    /// Requests under way at the same time.
    pub concurrent: usize,
    /// The deadline of one call.
    pub timeout: Duration,
    /// Which refusals are about the rate: they slow the whole connection down.
    pub throttling: Throttling,
    /// The header that says how long to wait after too many requests, in lower case; none: `retry-after`.
    pub retry_header: Option<String>,
    /// Calls that may be made less often than others, those with the fewest holes first.
    pub calls: Vec<CallRate>,
    /// So many requests in any 24 hours (rule 47).
    pub daily: Option<u64>,
    /// Where answers say how much of a day's calls is used.
    pub used: Option<UsedHeader>,
}

impl Limits {
    /// How many requests may go out in this time at the even rate.
    pub fn turns_within(&self, time: Duration) -> usize {
        let turns = time.as_nanos() * u128::from(self.requests) / self.per.as_nanos().max(1);
        usize::try_from(turns).unwrap_or(usize::MAX)
    }

    /// How long an answer asks us to wait; `None` if it does not say so readably. A header of the service's own counts only where the
    /// answer was `throttled`: many services tell in all answers when the next requests are free.
    pub fn retry_after(&self, answer: &Response, throttled: bool) -> Option<Duration> {
        match self.retry_header.as_ref().filter(|_| throttled) {
            Some(header) => retry_after_in(answer, header),
            None => retry_after(answer),
        }
    }
}

/// Which refusals say that there were too many requests. A 429 does, unless its code says otherwise: it may be about a lock on one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Throttling {
    /// Where the service's code is in an error's JSON body.
    pub code: SingularPath,
    /// Codes, and whether each says so. They count first.
    pub codes: BTreeMap<String, bool>,
    /// Other statuses that say so.
    pub statuses: Vec<u16>,
}

impl Throttling {
    /// Whether this answer says so.
    pub fn is_said_by(&self, answer: &Response) -> bool {
        if answer.is_success() {
            return false;
        }
        let by_status = || answer.status == 429 || self.statuses.contains(&answer.status);
        self.by_code(answer).unwrap_or_else(by_status)
    }

    fn by_code(&self, answer: &Response) -> Option<bool> {
        if self.codes.is_empty() {
            return None;
        }
        let body: Json = serde_json::from_slice(&answer.body).ok()?;
        let code = match self.code.get(&body)? {
            Json::String(code) => code.clone(),
            Json::Number(code) => code.to_string(),
            _ => return None,
        };
        self.codes.get(&code).copied()
    }
}

/// How often a call may be made.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRate {
    /// The call's method.
    pub method: Method,
    /// The segments of its whole path.
    pub path: Vec<PathSegment>,
    /// Requests per period.
    pub requests: u32,
    /// The period of `requests`.
    pub per: Duration,
}

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSegment {
    /// This text.
    Text(String),
    /// Any text between these two.
    Hole {
        /// What it begins with.
        before: String,
        /// What it ends with.
        after: String,
    },
}

impl CallRate {
    /// Whether a request with this method and path, as it is in a URL, is such a call.
    pub fn covers(&self, method: Method, path: &str) -> bool {
        let mut given = path.split('/');
        self.method == method
            && self.path.iter().all(|segment| given.next().is_some_and(|text| segment.fits(text)))
            && given.next().is_none()
    }

    /// How many segments are not fixed.
    pub fn holes(&self) -> usize {
        self.path.iter().filter(|segment| matches!(segment, PathSegment::Hole { .. })).count()
    }
}

impl PathSegment {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Text(fixed) => fixed == text,
            Self::Hole { before, after } => {
                let rest =
                    text.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                rest.is_some_and(|value| !value.is_empty())
            }
        }
    }
}

/// Where answers say how much of a day's calls is used.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedHeader {
    /// The header.
    pub header: String,
    /// What it looks like. What stands behind it is ignored, and what stands before it where it begins with text.
    pub format: Vec<UsedPart>,
}

/// A piece of such a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsedPart {
    /// Text as it stands.
    Text(String),
    /// How many calls are used.
    Used,
    /// How many are left.
    Left,
    /// How many there are.
    Limit,
}

/// What a service says of a day's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// So many are used.
    pub used: Option<u64>,
    /// So many are left.
    pub left: Option<u64>,
    /// So many there are.
    pub limit: Option<u64>,
}

impl UsedHeader {
    /// Reads an answer; `None` if it does not say, or not like this.
    pub fn read(&self, answer: &Response) -> Option<Usage> {
        let mut rest = answer.header(&self.header)?;
        let mut usage = Usage::default();
        for (at, part) in self.format.iter().enumerate() {
            let number = match part {
                UsedPart::Text(text) if at == 0 => {
                    rest = rest.split_once(text.as_str())?.1;
                    continue;
                }
                UsedPart::Text(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                UsedPart::Used => &mut usage.used,
                UsedPart::Left => &mut usage.left,
                UsedPart::Limit => &mut usage.limit,
            };
            let rest_of = rest.trim_start();
            let end = rest_of.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest_of.len());
            let (digits, after) = rest_of.split_at_checked(end)?;
            *number = Some(digits.parse().ok()?);
            rest = after;
        }
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(text: &str) -> PathSegment {
        PathSegment::Text(text.into())
    }

    #[test]
    fn a_call_is_known_by_its_path() {
        let hole = PathSegment::Hole { before: String::new(), after: ".json".into() };
        let rate = CallRate {
            method: Method::Get,
            path: vec![text(""), text("users"), hole],
            requests: 10,
            per: Duration::from_secs(60),
        };
        assert!(rate.covers(Method::Get, "/users/7.json"));
        assert!(rate.covers(Method::Get, "/users/a%2Fb.json"));
        assert_eq!(rate.holes(), 1);
        for other in
            ["/users", "/users/", "/users/.json", "/users/7", "/users/7.json/x", "/x/7.json", "users/7.json"]
        {
            assert!(!rate.covers(Method::Get, other), "{other}");
        }
        assert!(!rate.covers(Method::Post, "/users/7.json"));
    }

    #[test]
    fn used_calls_are_read_out_of_what_services_write() {
        let read = |format: &[UsedPart], value: &str| {
            let header = UsedHeader { header: "x-used".into(), format: format.to_vec() };
            header.read(&Response::json(200, &json!({})).with_header("X-Used", value))
        };
        let salesforce = [
            UsedPart::Text("api-usage=".into()),
            UsedPart::Used,
            UsedPart::Text("/".into()),
            UsedPart::Limit,
        ];
        let usage = Usage { used: Some(18), left: None, limit: Some(5000) };
        assert_eq!(read(&salesforce, "api-usage=18/5000"), Some(usage));
        assert_eq!(
            read(&salesforce, "x=1, api-usage=18/5000, per-app-api-usage=17/250(appName=a)"),
            Some(usage)
        );
        assert_eq!(read(&[UsedPart::Left], " 249 "), Some(Usage { left: Some(249), ..Usage::default() }));
        for bad in [
            "",
            "api-usage=/5000",
            "api-usage=18",
            "18/5000",
            "api-usage=18/",
            "api-usage=99999999999999999999/1",
        ] {
            assert_eq!(read(&salesforce, bad), None, "{bad}");
        }
        let header = UsedHeader { header: "x-used".into(), format: vec![UsedPart::Used] };
        assert_eq!(header.read(&Response::json(200, &json!({}))), None);
    }
}
