//! The sandbox on a port: real connections, real webhooks, steering over HTTP.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bothways_connector_sandbox::{Action, Config, Fault, Running, Sandbox, Stripe, serve};
use bothways_model::Method::Post;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    serve(listener, Sandbox::new(Stripe::new(Config::default()))).await.expect("served")
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

async fn create(running: &Running, body: &'static str) -> Result<(u16, Value), reqwest::Error> {
    let request =
        client().post(format!("{}/v1/customers", running.url())).bearer_auth("sk_test_x").body(body);
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

async fn steer(running: &Running, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/_sandbox{path}", running.url());
    let response = client().post(url).body(body.to_string()).send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.expect("a body")).unwrap_or(Value::Null))
}

async fn peek(running: &Running, path: &str) -> Value {
    let url = format!("{}/_sandbox{path}", running.url());
    let text = client().get(url).send().await.expect("an answer").text().await.expect("a body");
    serde_json::from_str(&text).expect("json")
}

/// A receiver that answers with the given statuses in turn, then 200, and passes on what it got.
async fn receiver(statuses: &'static [u16]) -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let app = Router::new().route(
        "/hook",
        post(move |headers: HeaderMap, body: Bytes| {
            let at = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = tell.send((headers, body));
            async move { StatusCode::from_u16(statuses.get(at).copied().unwrap_or(200)).expect("a status") }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, told)
}

async fn next<T>(from: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(PATIENCE, from.recv()).await.expect("in time").expect("a delivery")
}

#[tokio::test]
async fn requests_are_answered_with_all_headers() {
    let running = start().await;
    let url = format!("{}/v1/customers", running.url());
    let request = client()
        .post(url)
        .basic_auth("sk_test_x", None::<&str>)
        .header("Idempotency-Key", "k")
        .body("name=Ann");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    for (name, value) in [("content-type", "application/json"), ("idempotency-key", "k")] {
        assert_eq!(response.headers()[name], value);
    }
    for name in ["request-id", "date", "stripe-version", "original-request"] {
        assert_eq!(response.headers().get_all(name).iter().count(), 1, "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn dropped_connections_break_without_a_byte() {
    let running = start().await;
    for (action, made) in [(Action::LostRequest, 0), (Action::LostAnswer, 1)] {
        running.sandbox().with(|stripe, _| stripe.inject(Fault::next(action).on(Post, "/v1/customers")));
        let error = create(&running, "name=Ann").await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(running.sandbox().with(|stripe, _| stripe.customer_count()), made);
    }
    assert_eq!(create(&running, "name=Ann").await.unwrap().0, 200);
    running.stop().await;
}

#[tokio::test]
async fn late_requests_are_executed_without_being_asked() {
    let running = start().await;
    let mut changes = running.sandbox().changes();
    running
        .sandbox()
        .with(|stripe, _| stripe.inject(Fault::next(Action::LateRequest { delay_ms: Some(60_000) })));
    assert!(create(&running, "name=Late").await.is_err());
    assert_eq!(running.sandbox().with(|stripe, _| stripe.customer_count()), 0);
    changes.borrow_and_update();
    running.sandbox().advance_ms(60_000);
    tokio::time::timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
    assert_eq!(running.sandbox().with(|stripe, _| stripe.customers()[0]["name"].clone()), "Late");
    running.stop().await;
}

#[tokio::test]
async fn webhooks_are_posted_and_repeated_until_accepted() {
    let running = start().await;
    let (url, mut hooks) = receiver(&[500, 503]).await;
    let made =
        running.sandbox().with(|stripe, now| stripe.dashboard_endpoint(&url, &["customer.created"], now));
    assert!(made.unwrap().1.starts_with("whsec_"));
    create(&running, "name=Ann").await.unwrap();
    let (headers, body) = next(&mut hooks).await;
    assert!(headers["stripe-signature"].to_str().unwrap().starts_with("t="));
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["data"]["object"]["name"], "Ann");
    for _ in 0..2 {
        // The next attempt is due on the sandbox's clock, which need not wait for ours.
        let mut nothing = true;
        while nothing {
            running.sandbox().advance_ms(1_000);
            nothing = match tokio::time::timeout(Duration::from_millis(50), hooks.recv()).await {
                Ok(again) => {
                    let again: Value = serde_json::from_slice(&again.unwrap().1).unwrap();
                    assert_eq!(again["id"], event["id"]);
                    false
                }
                Err(_) => true,
            };
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn many_deliveries_all_arrive() {
    let running = start().await;
    let (url, mut hooks) = receiver(&[]).await;
    running.sandbox().with(|stripe, now| {
        stripe.dashboard_endpoint(&url, &[], now).unwrap();
        for n in 0..300 {
            stripe.dashboard_create(&json!({"name": format!("c{n}")}), now).unwrap();
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 300 {
        let event: Value = serde_json::from_slice(&next(&mut hooks).await.1).unwrap();
        seen.insert(event["id"].to_string());
    }
    running.stop().await;
}

#[tokio::test]
async fn steering_works_from_another_process() {
    let running = start().await;
    let (_, made) = steer(&running, "/customers", json!({"name": "Ann", "metadata": {"a": "1"}})).await;
    let path = format!("/customers/{}", made["id"].as_str().unwrap());
    let (status, changed) = steer(&running, &path, json!({"email": "a@x.io", "metadata": {"a": null}})).await;
    assert_eq!((status, &changed["email"], &changed["metadata"]), (200, &json!("a@x.io"), &json!({})));
    assert_eq!(steer(&running, &path, json!({"email": "nobody"})).await.0, 400);
    assert_eq!(steer(&running, "/customers/cus_nope", json!({})).await.0, 404);
    assert_eq!(peek(&running, "/customers").await["customers"], json!([changed]));
    let url = format!("{}/_sandbox{path}", running.url());
    assert_eq!(client().delete(url).send().await.unwrap().status(), 200);
    let kinds: Vec<Value> = peek(&running, "/events").await["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["type"].clone())
        .collect();
    assert_eq!(kinds, ["customer.created", "customer.updated", "customer.deleted"]);

    let before = peek(&running, "/clock").await["unix"].as_i64().unwrap();
    let (_, clock) = steer(&running, "/clock", json!({"advance_ms": 86_400_000})).await;
    assert!(clock["unix"].as_i64().unwrap() >= before + 86_400);
    assert_eq!(steer(&running, "/clock", json!({"advance": 1})).await.0, 400);

    let fault = json!({"method": "POST", "path": "/v1/customers", "action": {"kind": "unavailable503"}});
    assert_eq!(
        steer(&running, "/faults", json!([fault.clone(), fault])).await.1["queued"].as_array().unwrap().len(),
        2
    );
    assert_eq!(create(&running, "").await.unwrap().0, 503);
    assert_eq!(peek(&running, "/faults").await["fired"]["unavailable503"], 1);
    assert_eq!(
        client().delete(format!("{}/_sandbox/faults", running.url())).send().await.unwrap().status(),
        200
    );
    assert_eq!(create(&running, "").await.unwrap().0, 200);

    let log = peek(&running, "/requests").await;
    assert_eq!((&log["counts"]["requests"], &log["counts"]["effective_writes"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&log["requests"][0]["status"], &log["requests"][0]["fault"]),
        (&json!(503), &json!("unavailable503"))
    );

    steer(&running, "/rate_limit", json!({"per_second": 0.001, "burst": 1.0})).await;
    assert_eq!(create(&running, "").await.unwrap().0, 200);
    assert_eq!(create(&running, "").await.unwrap().0, 429);
    steer(&running, "/rate_limit", json!(null)).await;
    assert_eq!(create(&running, "").await.unwrap().0, 200);
    running.stop().await;
}

#[tokio::test]
async fn changes_are_streamed_and_stopping_does_not_wait_for_listeners() {
    let running = start().await;
    let url = format!("{}/_sandbox/changes", running.url());
    let mut stream = client().get(url).send().await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains("data: 0"));
    create(&running, "name=Ann").await.unwrap();
    let second = stream.chunk().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&second).unwrap().contains("data: 1"));
    tokio::time::timeout(PATIENCE, running.stop()).await.expect("stops while a listener is connected");
}

#[tokio::test]
async fn the_records_outlive_the_server() {
    let running = start().await;
    create(&running, "name=Ann").await.unwrap();
    let (sandbox, addr) = (running.sandbox().clone(), running.addr());
    running.stop().await;
    let again = serve(TcpListener::bind(addr).await.expect("the port is free"), sandbox).await.unwrap();
    assert_eq!(peek(&again, "/customers").await["customers"][0]["name"], "Ann");
    again.stop().await;
}

#[tokio::test]
async fn only_loopback_is_served_and_only_by_its_names() {
    let open = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    assert!(serve(open, Sandbox::new(Stripe::new(Config::default()))).await.is_err());
    let running = start().await;
    for (name, value) in [("host", "evil.test"), ("origin", "https://evil.test"), ("origin", "null")] {
        let url = format!("{}/_sandbox/customers", running.url());
        let response = client().post(url).header(name, value).body("{}").send().await.unwrap();
        assert_eq!(response.status(), 421, "{name}: {value}");
    }
    assert_eq!(running.sandbox().with(|stripe, _| stripe.customer_count()), 0);
    running.stop().await;
}

#[tokio::test]
async fn salesforce_is_served_and_steered_beside_stripe() {
    let running = start().await;
    let token = client()
        .post(format!("{}/services/oauth2/token", running.url()))
        .body("grant_type=client_credentials&client_id=bothways_app&client_secret=bothways_app_secret")
        .send();
    let token: Value =
        serde_json::from_str(&token.await.expect("an answer").text().await.expect("a body")).expect("json");
    assert_eq!(token["instance_url"], running.url());
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let mut changes = running.sandbox().changes();
    changes.mark_unchanged();

    let (status, made) = steer(&running, "/salesforce/records/Contact", json!({ "LastName": "Lee" })).await;
    let id = made["Id"].as_str().expect("an id").to_owned();
    assert_eq!((status, changes.has_changed().expect("alive")), (200, true));
    let url = format!("{}/services/data/v62.0/sobjects/Contact/{id}", running.url());
    let get = |url: String| client().get(url).bearer_auth(token.clone()).send();
    let read: Value =
        serde_json::from_str(&get(url.clone()).await.expect("an answer").text().await.expect("a body"))
            .expect("json");
    assert_eq!(read["LastName"], "Lee");
    let path = format!("/salesforce/records/Contact/{id}");
    assert_eq!(steer(&running, &path, json!({ "Title": "VIP" })).await.1["Title"], "VIP");
    let (status, refused) = steer(&running, &path, json!({ "LastName": "" })).await;
    assert_eq!((status, &refused["error"]["param"]), (400, &json!("LastName")));
    let bulk = json!({ "ids": [id], "fields": { "Phone": "1" } });
    let bulk = client()
        .patch(format!("{}/_sandbox/salesforce/records/Contact", running.url()))
        .body(bulk.to_string());
    assert_eq!(bulk.send().await.expect("an answer").status(), 200);
    assert_eq!(peek(&running, "/salesforce/records/Contact").await["records"][0]["Phone"], "1");

    let fault = json!({ "method": "GET", "action": { "kind": "lost_answer" } });
    assert_eq!(
        steer(&running, "/salesforce/faults", fault).await.1["queued"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(get(url.clone()).await.is_err());
    assert_eq!(peek(&running, "/salesforce/faults").await["fired"]["lost_answer"], 1);
    assert_eq!(steer(&running, "/salesforce/settings", json!({ "colour": "red" })).await.0, 400);

    let account = steer(&running, "/salesforce/records/Account", json!({ "Name": "Acme" })).await.1;
    let other = steer(&running, "/salesforce/records/Account", json!({ "Name": "Acme Inc" })).await.1;
    let merge = format!("/salesforce/records/Account/{}/merge", other["Id"].as_str().expect("an id"));
    assert_eq!(steer(&running, &merge, json!({ "master": account["Id"] })).await.0, 200);
    let delete = client().delete(format!("{}/_sandbox{path}", running.url()));
    assert_eq!(delete.send().await.expect("an answer").status(), 200);
    assert_eq!(get(url.clone()).await.expect("an answer").status(), 404);
    assert_eq!(steer(&running, &format!("{path}/undelete"), json!({})).await.0, 200);
    assert_eq!(get(url.clone()).await.expect("an answer").status(), 200);
    let state = peek(&running, "/salesforce/state").await;
    assert_eq!(
        (&state["accounts"], &state["contacts"], &state["tokens_issued"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert!(steer(&running, "/salesforce/consent", json!({})).await.1["refresh_token"].is_string());
    let sessions = client().delete(format!("{}/_sandbox/salesforce/sessions", running.url()));
    assert_eq!(sessions.send().await.expect("an answer").status(), 200);
    assert_eq!(get(url).await.expect("an answer").status(), 401);
    running.stop().await;
}

#[tokio::test]
async fn a_late_request_to_salesforce_is_executed_when_it_is_due() {
    let running = start().await;
    let fault = json!({ "action": { "kind": "late_request", "delay_ms": 3_600_000 } });
    steer(&running, "/salesforce/faults", fault).await;
    let url = format!("{}/services/oauth2/token", running.url());
    assert!(client().post(url).body("").send().await.is_err());
    steer(&running, "/clock", json!({ "advance_ms": 3_600_000 })).await;
    let state = peek(&running, "/salesforce/state").await;
    assert_eq!((&state["late_requests"], &state["requests"]["requests"]), (&json!(0), &json!(2)));
    running.stop().await;
}
