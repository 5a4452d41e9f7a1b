//! Who is let in: tokens, sessions, form tokens, host names, origins (`RULES.md` S7, S8, S10, S12).

use crate::world::{SECRET, World};
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use bothways_engine::Clock as _;
use bothways_engine::stored::TokenScope;
use bothways_server::Settings;
use chrono::TimeDelta;
use futures::{poll, stream};
use serde_json::json;
use std::convert::Infallible;

#[tokio::test]
async fn nothing_is_shown_without_a_token() {
    let world = World::new().await;
    for path in [
        "/api/catalogs",
        "/api/status",
        "/api/parked",
        "/api/history",
        "/api/events",
        "/metrics",
        "/openapi.json",
    ] {
        let answer = world.request("GET", path).send().await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.problem(), "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for path in ["/", "/records", "/records/things", "/waiting", "/history", "/status"] {
        let answer = world.request("GET", path).send().await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/login"), "{path}");
    }
    for path in ["/healthz", "/readyz", "/login"] {
        assert_eq!(world.request("GET", path).send().await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
    let world = World::new().await;
    let later = world.clock.now() + TimeDelta::minutes(5);
    world.token("brief", "a-brief-secret", TokenScope::Read, Some(later)).await;
    world.token("taken", "a-taken-secret", TokenScope::Read, None).await;
    let ask = |header: &str| world.request("GET", "/api/catalogs").header("authorization", header).send();
    assert_eq!(ask("Bearer a-brief-secret").await.status, StatusCode::OK);
    assert_eq!(ask("bearer  a-taken-secret").await.status, StatusCode::OK);
    world.clock.advance(TimeDelta::minutes(5));
    assert!(world.operations.revoke_token("taken", "test").await.unwrap());
    let mut answers = Vec::new();
    for header in [
        "Bearer nobody-has-this",
        "Bearer a-brief-secret",
        "Bearer a-taken-secret",
        "Bearer",
        "Basic YTpi",
        "Bearer ",
    ] {
        let answer = ask(header).await;
        answers.push((answer.status, answer.headers.clone(), answer.text));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_does_what_its_scope_allows() {
    let world = World::new().await;
    world.token("looker", "looker-secret", TokenScope::Read, None).await;
    world.token("worker", "worker-secret", TokenScope::Operate, None).await;
    let status = async |secret: &str, method: &str, path: &str| {
        let call = world.request(method, path).header("authorization", &format!("Bearer {secret}"));
        let body = if path.ends_with("/things") { json!({ "name": "x" }) } else { json!({}) };
        let call = if method == "POST" { call.json(&body) } else { call };
        call.send().await.status
    };
    assert_eq!(status("looker-secret", "GET", "/api/catalogs/things").await, StatusCode::OK);
    assert_eq!(status("looker-secret", "POST", "/api/catalogs/things").await, StatusCode::FORBIDDEN);
    assert_eq!(status("worker-secret", "POST", "/api/catalogs/things").await, StatusCode::CREATED);
    assert_eq!(status("worker-secret", "POST", "/api/mappings/x/approve").await, StatusCode::FORBIDDEN);
    assert_eq!(status(SECRET, "POST", "/api/mappings/x/approve").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn tokens_note_when_they_were_used() {
    let world = World::new().await;
    world.call("GET", "/api/catalogs").send().await;
    let used = world.operations.tokens().await.unwrap()[0].used_at;
    assert_eq!(used.map(|at| (world.clock.now() - at).num_seconds()), Some(0));
}

#[tokio::test]
async fn whoever_tries_tokens_is_slowed_down_and_nobody_else() {
    let world = World::new().await;
    let try_one = || world.request("GET", "/api/catalogs").header("authorization", "Bearer wrong").send();
    for _ in 0..20 {
        assert_eq!(try_one().await.status, StatusCode::UNAUTHORIZED);
    }
    let slowed = try_one().await;
    assert_eq!((slowed.status, slowed.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    assert_eq!(world.call("GET", "/api/catalogs").send().await.status, StatusCode::OK);
    let elsewhere = world.request("GET", "/api/catalogs").header("authorization", "Bearer wrong");
    assert_eq!(elsewhere.from("127.0.0.9:1").send().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_printed_address_logs_in_once() {
    let world = World::new().await;
    let url = world.server.login_url();
    let path = url.strip_prefix("http://127.0.0.1:7171").unwrap();
    assert!(path.starts_with("/login?token="));
    let first = world.request("GET", path).send().await;
    assert_eq!(first.status, StatusCode::OK);
    let set = first.header("set-cookie");
    assert!(
        set.starts_with("bothways_7171=") && set.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    let second = world.request("GET", path).send().await;
    assert_eq!((second.status, second.cookie()), (StatusCode::UNAUTHORIZED, None));
}

#[tokio::test]
async fn an_api_token_logs_in_and_its_end_ends_the_session() {
    let world = World::new().await;
    world.token("worker", "worker-secret", TokenScope::Operate, None).await;
    let refused = world.request("POST", "/login").form(&[("token", "wrong")]).send().await;
    assert_eq!((refused.status, refused.cookie()), (StatusCode::UNAUTHORIZED, None));
    let answer = world.request("POST", "/login").form(&[("token", "worker-secret")]).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    let cookie = answer.cookie().unwrap();
    let look = || world.request("GET", "/records/things").header("cookie", &cookie).send();
    assert_eq!(look().await.status, StatusCode::OK);
    world.operations.revoke_token("worker", "test").await.unwrap();
    assert_eq!(look().await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn logins_whose_body_does_not_come_take_no_place_from_others() {
    let world = World::new().await;
    let mut waiting = Vec::new();
    for _ in 0..128 {
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let mut login = Box::pin(world.request("POST", "/login").body(body).open());
        assert!(poll!(&mut login).is_pending());
        waiting.push(login);
    }
    assert_eq!(world.call("GET", "/api/catalogs").send().await.status, StatusCode::OK);
    let login = world.request("POST", "/login").form(&[("token", SECRET)]).send().await;
    assert_eq!(login.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_is_short() {
    let world = World::new().await;
    let long = world.request("POST", "/login").form(&[("token", &"x".repeat(8 * 1024))]).send().await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let world = World::new().await;
    let browser = world.browser().await;
    let answer = browser.submit("/logout", &[]).await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.request("GET", "/records/things").send().await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let world = World::new().await;
    let browser = world.browser().await;
    let csrf = browser.csrf().await;
    let post = |token: &str| {
        browser.request("POST", "/records/things").form(&[("csrf", token), ("field.name", "Ada")]).send()
    };
    for wrong in ["", "0000", &csrf[1..], &csrf.replace(&csrf[..1], "z")] {
        assert_eq!(post(wrong).await.status, StatusCode::FORBIDDEN, "{wrong}");
    }
    let api = browser.request("POST", "/api/catalogs/things").json(&json!({ "name": "Ada" })).send().await;
    assert_eq!((api.status, api.problem()), (StatusCode::FORBIDDEN, "csrf".to_owned()));
    assert_eq!(world.records.count("things").await.unwrap(), 0);
    assert_eq!(post(&csrf).await.status, StatusCode::SEE_OTHER);
    let api = browser.request("POST", "/api/catalogs/things").header("x-csrf-token", &csrf);
    assert_eq!(api.json(&json!({ "name": "Bob" })).send().await.status, StatusCode::CREATED);
    assert_eq!(world.records.count("things").await.unwrap(), 2);
}

#[tokio::test]
async fn another_sessions_form_token_is_worth_nothing() {
    let world = World::new().await;
    let (mine, yours) = (world.browser().await, world.browser().await);
    let fields = [("csrf", &*yours.csrf().await), ("field.name", "Ada")];
    let answer = mine.request("POST", "/records/things").form(&fields).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn foreign_hosts_and_pages_are_turned_away_even_with_a_token() {
    let world = World::new().await;
    let rebound = world.server.router();
    let request = axum::http::Request::builder()
        .uri("/api/catalogs")
        .header("host", "rebound.example:7171")
        .header("authorization", format!("Bearer {SECRET}"))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(rebound, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    for (name, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        let call = world.call("POST", "/api/catalogs/things").header(name, value);
        let answer = call.json(&json!({ "name": "Ada" })).send().await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::FORBIDDEN, "foreign_origin".to_owned()),
            "{value}"
        );
    }
    let own = world.call("POST", "/api/catalogs/things").header("origin", "http://127.0.0.1:7171");
    assert_eq!(own.json(&json!({ "name": "Ada" })).send().await.status, StatusCode::CREATED);
    assert_eq!(
        world.call("GET", "/api/catalogs").header("origin", "http://127.0.0.1:3000").send().await.status,
        403
    );
}

#[tokio::test]
async fn an_open_server_lets_loopback_in_and_keeps_every_other_check() {
    let world = World::with(|settings| Settings { open: true, ..settings }).await;
    let page = world.request("GET", "/records/things").send().await;
    assert_eq!(page.status, StatusCode::OK);
    let cookie = page.cookie().unwrap();
    let form = [("field.name", "Ada")];
    let forged = world.request("POST", "/records/things").form(&form).send().await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "no session, no form");
    let forged = world.request("POST", "/records/things").header("cookie", &cookie).form(&form).send().await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "a session, but no token");
    let api = |call: crate::world::Call| call.json(&json!({ "name": "Ada" })).send();
    assert_eq!(api(world.request("POST", "/api/catalogs/things")).await.status, StatusCode::CREATED);
    let foreign = world.request("POST", "/api/catalogs/things").header("origin", "https://evil.example");
    assert_eq!(api(foreign).await.status, StatusCode::FORBIDDEN);
    let remote = world.request("GET", "/api/catalogs").from("192.168.1.9:4000").send().await;
    assert_eq!(remote.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_answer_carries_the_protective_headers() {
    let world = World::new().await;
    let csp = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
               frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    let hooks = world.server.hooks_router();
    let bare = |path: &str| axum::http::Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
    let unknown = tower::ServiceExt::oneshot(hooks, bare("/nowhere")).await.unwrap();
    let mut all = vec![unknown.headers().clone()];
    for path in ["/login", "/healthz", "/api/catalogs", "/nowhere", "/assets/page.css"] {
        all.push(world.request("GET", path).send().await.headers);
    }
    all.push(world.request("GET", "/").header("origin", "https://evil.example").send().await.headers);
    all.push(world.call("GET", "/api/catalogs").send().await.headers);
    for headers in all {
        assert_eq!(headers["content-security-policy"], csp);
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
}
