//! Limits beside the rate: so many calls a day, told by a header too; a call that may be made less often than others.
//!
//! Salesforce (`Sforce-Limit-Info: api-usage=18/5000`) and HubSpot (`X-HubSpot-RateLimit-Daily-Remaining`) count days; Zendesk's
//! incremental exports take 10 calls a minute, HubSpot's searches 5 a second.

use crate::support::connect;
use bothways_connector::{Connector, Usage};
use bothways_model::{Method, Response};
use serde_json::json;
use std::time::Duration;

const DOCUMENT: &str = r#"
connector: desk
vars: { budget: { default: "90000" }, exports: { default: 10/m } }
http:
  base_url: https://desk.example/api/v2/
  rate: { daily: "${budget}", used: { header: X-Usage, format: "calls={used}/{limit}" } }
resources:
  users:
    id: $.id
    get: GET /users/{id}.json
    since:
      call: GET /incremental/users.json?start_time={since}
      rate: "${exports}"
      cursor: { path: $.updated_at, as: iso8601, send: unix }
    find: { $.email: { call: "GET /users/by/{value}/first.json", rate: 1/s } }
"#;

#[test]
fn are_what_the_port_is_told() {
    let connector = connect(DOCUMENT, &[("DESK_BUDGET", "5000"), ("DESK_EXPORTS", "20/m")]);
    let limits = connector.limits();
    assert_eq!(limits.daily, Some(5000));
    let answer = Response::json(200, &json!({})).with_header("X-Usage", "calls=4999/5000; team=9");
    let used = limits.used.as_ref().and_then(|used| used.read(&answer));
    assert_eq!(used, Some(Usage { used: Some(4999), limit: Some(5000), left: None }));

    let paced = |path: &str| {
        let rate = limits.calls.iter().find(|call| call.covers(Method::Get, path))?;
        Some((rate.requests, rate.per))
    };
    let minute = Duration::from_secs(60);
    assert_eq!(paced("/api/v2/incremental/users.json"), Some((20, minute)));
    assert_eq!(paced("/api/v2/users/by/a%40x.io/first.json"), Some((1, Duration::from_secs(1))));
    for free in ["/api/v2/users/7.json", "/incremental/users.json", "/api/v2/users/by//first.json"] {
        assert_eq!(paced(free), None, "{free}");
    }
}
