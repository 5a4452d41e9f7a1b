//! `run`: what it says, what it serves, whom it lets in, and how it ends.

use crate::service::{Nobody, serve};
use crate::shop::{DESK_MAPPING, MAPPING, Shop, until};
use serde_json::{Value as Json, json};

async fn get(url: &str, token: Option<&str>) -> (u16, String) {
    let mut request = reqwest::Client::new().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn post(url: &str, token: &str, body: &Json) -> u16 {
    let request =
        reqwest::Client::new().post(url).bearer_auth(token).header("content-type", "application/json");
    request.body(body.to_string()).send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn both_directions_work_until_it_is_asked_to_end() {
    let shop = Shop::new().await;
    let engine = shop.start(&["--approve"]);
    let said = engine.says("ready").await;
    assert!(said.contains("set up bothways.db, created customers"), "{said}");
    assert!(said.contains("STRIPE_WEBHOOK_SECRET is not set"), "{said}");
    shop.sql("INSERT INTO customers (name, email) VALUES ('Ada', 'ada@example.com')").await;
    until("the row appears there", async || shop.remote("ada@example.com", "id")).await;
    shop.customer("Grace", "grace@example.com");
    until("the record appears here", async || {
        shop.sql("SELECT email FROM customers WHERE email = 'grace@example.com'").await
    })
    .await;
    // Another process looks while it runs.
    until("both are linked", async || {
        let status = shop.run(&["status", "--format", "json"]).await.ended(0).json();
        (status["mappings"][0]["counts"]["links"]["linked"] == 2).then_some(())
    })
    .await;
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn status_beside_a_running_engine_says_that_the_service_is_away() {
    let mut shop = Shop::new().await;
    let here = shop.address();
    let nobody = Nobody::listens();
    shop.set("STRIPE_BASE_URL", Some(&nobody.url()));
    let engine = shop.start(&["--approve"]);
    engine.says("ready").await;
    let away = until("status says so", async || {
        let status = shop.run(&["status"]).await;
        status.err.contains("account/stripe").then_some(status)
    })
    .await;
    assert_eq!(away.code, 1, "{away:?}");
    assert_eq!(get(&format!("{}/readyz", engine.base("page ")), None).await.0, 200, "it can take deliveries");
    assert_eq!(engine.stop().await, 0);

    shop.set("STRIPE_BASE_URL", Some(&here));
    let engine = shop.start(&[]);
    until("it is back", async || (shop.run(&["status"]).await.code == 0).then_some(())).await;
    assert_eq!(get(&format!("{}/readyz", engine.base("page ")), None).await.0, 200);
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn what_missing_triggers_did_not_tell_of_is_no_sign_of_lost_events() {
    let shop = Shop::new().await;
    let engine = shop.start(&["--approve"]);
    engine.says("ready").await;
    shop.sql("INSERT INTO customers (name, email) VALUES ('Ada', 'ada@example.com')").await;
    until("the row appears there", async || shop.remote("ada@example.com", "id")).await;
    let triggers = "SELECT group_concat('DROP TRIGGER \"' || name || '\"', ';') FROM sqlite_schema WHERE type = 'trigger'";
    let drop = shop.sql(triggers).await.expect("there are some");
    shop.sql(&format!("{drop}; UPDATE customers SET name = 'Ada L'")).await;
    until("the change is found", async || {
        shop.remote("ada@example.com", "name").filter(|name| name == "Ada L")
    })
    .await;
    let drift = until("the pass has ended", async || {
        let status = shop.run(&["status", "--format", "json"]).await.json();
        Some(status["mappings"][0]["drift"].clone()).filter(|drift| drift["drifted"] == 1)
    })
    .await;
    assert_eq!(drift["alert"], false, "{drift}");
    shop.run(&["status"]).await.ended(0);
    assert_eq!(engine.stop().await, 0);
}

/// What a service says of an error may hold anything, such as the record that it is about.
#[tokio::test]
async fn a_services_words_are_told_to_people_and_to_no_log() {
    for (refuses, status, log) in [("/me", 401, "must not be used"), ("/people", 403, "paused")] {
        let (address, serving) = serve(move |asked| match asked.target() {
            target if target == refuses => (status, Vec::new(), json!({ "text": "kanari may not" })),
            "/me" => (200, Vec::new(), json!({ "id": "d1" })),
            _ => (200, Vec::new(), json!({ "items": [] })),
        })
        .await;
        let mut shop = Shop::with_table().await;
        shop.write(
            "mappings/desk.yaml",
            r#"connector: desk
vars: { url: {}, token: { secret: true } }
http: { base_url: "${url}", auth: { bearer: "${token}" }, errors: { message: $.text } }
account: { call: GET /me, id: $.id }
lists: { items: $.items }
resources:
  people: { id: $.id, list: GET /people, get: "GET /people/{id}", update: "PATCH /people/{id}" }
"#,
        );
        shop.write("mappings/desk-people.yaml", DESK_MAPPING);
        shop.set("DESK_URL", Some(&address));
        shop.set("DESK_TOKEN", Some("the-token-of-the-desk"));
        shop.run(&["migrate"]).await.ended(0);
        let engine = shop.start(&["--approve"]);
        engine.says(log).await;
        let told = until("a person is told", async || {
            let status = shop.run(&["status"]).await;
            let told = format!("{}{}", status.out, status.err);
            told.contains("kanari").then_some(told)
        });
        told.await;
        let said = engine.said();
        assert!(!said.contains("kanari"), "{said}");
        assert_eq!(engine.stop().await, 0);
        serving.abort();
    }
}

#[tokio::test]
async fn a_new_mapping_observes_and_an_approval_reaches_a_running_engine() {
    let shop = Shop::new().await;
    shop.customer("Grace", "grace@example.com");
    let engine = shop.start(&[]);
    let said = engine.says("ready").await;
    assert!(said.contains("bothways approve stripe-customers"), "{said}");
    shop.sql("INSERT INTO customers (name, email) VALUES ('Ada', 'ada@example.com')").await;
    shop.run(&["approve"]).await.ended(0);
    until("the row appears there", async || shop.remote("ada@example.com", "id")).await;
    assert_eq!(engine.stop().await, 0);
    let approved: Json = shop.run(&["status", "--format", "json"]).await.ended(0).json();
    assert_eq!(approved["mappings"][0]["approved_by"], "tester");
}

#[tokio::test]
async fn the_token_is_shown_at_the_first_start_only() {
    let shop = Shop::new().await;
    let engine = shop.start_at_terminal();
    engine.says("ready").await;
    let token = engine.word("token ");
    let api = format!("{}/api/status", engine.base("page "));
    assert_eq!(get(&api, None).await.0, 401);
    assert_eq!(get(&api, Some("bw_wrong")).await.0, 401);
    let (status, body) = get(&api, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    let records = format!("{}/api/catalogs/customers", engine.base("page "));
    assert_eq!(post(&records, &token, &serde_json::json!({ "email": "a@example.com" })).await, 201);
    engine.kill().await;

    let engine = shop.start_at_terminal();
    let said = engine.says("ready").await;
    assert!(!said.contains("bw_"), "{said}");
    let base = engine.base("page ");
    assert_eq!(get(&format!("{base}/api/status"), Some(&token)).await.0, 200);
    assert_eq!(shop.sql("SELECT email FROM customers").await.as_deref(), Some("a@example.com"));
    let read = shop.run(&["token", "new", "reader", "--scope", "read"]).await.ended(0).out;
    assert_eq!(get(&format!("{base}/api/status"), Some(read.trim())).await.0, 200);
    let records = format!("{base}/api/catalogs/customers");
    assert_eq!(post(&records, read.trim(), &serde_json::json!({ "email": "b@example.com" })).await, 403);
    shop.run(&["token", "revoke", "reader"]).await.ended(0);
    assert_eq!(get(&format!("{base}/api/status"), Some(read.trim())).await.0, 401);
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn what_lets_anybody_in_is_said_to_a_terminal_alone() {
    let shop = Shop::new().await;
    let engine = shop.start(&[]);
    let said = engine.says("ready").await;
    assert!(!said.contains("bw_") && !said.contains("token="), "{said}");
    assert!(said.contains("bothways token new"), "{said}");
    let token = shop.run(&["token", "new", "me", "--scope", "admin"]).await.ended(0).out;
    assert_eq!(get(&format!("{}/api/status", engine.base("page ")), Some(token.trim())).await.0, 200);
    assert_eq!(engine.stop().await, 0);

    let engine = shop.start_at_terminal();
    let said = engine.says("ready").await;
    let login = engine.word("page ");
    assert!(login.contains("/login?token="), "{said}");
    assert_eq!(get(&login, None).await.0, 200);
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn a_token_from_the_environment_is_the_token() {
    let mut shop = Shop::new().await;
    shop.set("BOTHWAYS_TOKEN", Some("short"));
    let ran = shop.run(&["run", "--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"]).await.ended(2);
    assert!(ran.err.contains("BOTHWAYS_TOKEN"), "{ran:?}");
    let token = "a-token-of-my-own-that-is-long-enough";
    shop.set("BOTHWAYS_TOKEN", Some(token));
    let engine = shop.start(&[]);
    let said = engine.says("ready").await;
    assert!(!said.contains(token) && !said.contains("bw_"), "{said}");
    assert_eq!(get(&format!("{}/api/status", engine.base("page ")), Some(token)).await.0, 200);
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn webhooks_have_a_port_of_their_own() {
    let mut shop = Shop::new().await;
    shop.set("STRIPE_WEBHOOK_SECRET", Some("whsec_of_the_shop_on_the_corner"));
    let token = "a-token-of-my-own-that-is-long-enough";
    shop.set("BOTHWAYS_TOKEN", Some(token));
    let engine = shop.start(&[]);
    engine.says("ready").await;
    let hook = engine.word("webhooks ");
    let forged =
        reqwest::Client::new().post(&hook).header("stripe-signature", "t=1,v1=00").body("{}").send().await;
    assert_eq!(forged.expect("an answer").status().as_u16(), 401);
    let hooks = engine.base("webhooks ");
    assert_eq!(get(&format!("{hooks}/api/status"), None).await.0, 404);
    assert_eq!(get(&format!("{}/readyz", engine.base("page ")), None).await.0, 200);
    let metrics = format!("{}/metrics", engine.base("page "));
    assert_eq!(get(&metrics, None).await.0, 401);
    let (status, text) = get(&metrics, Some(token)).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn links_without_their_connection_make_it_unready() {
    let mut shop = Shop::new().await;
    shop.customer("Grace", "grace@example.com");
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    shop.set("STRIPE_API_KEY", None);
    let engine = shop.start(&[]);
    let said = engine.says("ready").await;
    assert!(said.contains("NOT READY"), "{said}");
    assert_eq!(get(&format!("{}/readyz", engine.base("page ")), None).await.0, 503);
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn what_is_not_safe_does_not_start() {
    let shop = Shop::new().await;
    for flag in ["--listen", "--hooks-listen"] {
        let ran = shop.run(&["run", flag, "0.0.0.0:0"]).await.ended(2);
        assert!(ran.err.contains("--behind-proxy"), "{ran:?}");
    }
    let document = "connector: notes
vars: { base_url: {}, rate: { default: 10/s } }
http: { base_url: \"${base_url}\", rate: { limit: \"${rate}\" } }
events: { object: $.object, webhook: { verify: none } }
resources:
  notes: { id: $.id, list: GET /notes, get: \"GET /notes/{id}\", events: { changed: upsert } }
";
    shop.write("mappings/notes.yaml", document);
    let mapping = "mapping: notes\nlocal: customers\nremote: notes/notes\nfields: { phone: { remote: $.text, direction: in } }
creates: { from_local: ignore, from_remote: manual }\n";
    shop.write("mappings/notes-mapping.yaml", mapping);
    let mut shop = shop;
    let url = shop.stripe.url();
    shop.set("NOTES_BASE_URL", Some(&url));
    let ran = shop.run(&["run", "--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"]).await.ended(2);
    assert!(ran.err.contains("--allow-unsigned"), "{ran:?}");
    shop.set("STRIPE_WEBHOOK_SECRET", Some("whsec_good_enough_and_longer,whsec_short"));
    let ran = shop.run(&["run", "--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"]).await.ended(2);
    assert!(ran.err.contains("fewer than 24") && !ran.err.contains("whsec_"), "{ran:?}");
    shop.set("STRIPE_WEBHOOK_SECRET", None);
    let engine = shop.start(&["--allow-unsigned"]);
    engine.says("ready").await;
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn a_live_key_is_named_before_anything_moves() {
    let mut shop = Shop::new().await;
    shop.write("mappings/stripe-customers.yaml", &MAPPING.replace("feed: 1s", "feed: never"));
    shop.set("STRIPE_API_KEY", Some("sk_live_of_the_shop"));
    let engine = shop.start(&[]);
    let said = engine.says("ready").await;
    assert!(said.contains("LIVE") && !said.contains("sk_live_of_the_shop"), "{said}");
    assert_eq!(engine.stop().await, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_running_process_leaves_no_core() {
    let shop = Shop::new().await;
    let engine = shop.start(&[]);
    engine.says("ready").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", engine.id())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit of cores");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(engine.stop().await, 0);
}

#[tokio::test]
async fn a_column_that_is_renamed_meanwhile_stops_its_mapping_and_sends_nothing() {
    let shop = Shop::with_table().await;
    shop.run(&["migrate"]).await.ended(0);
    let engine = shop.start(&["--approve"]);
    engine.says("ready").await;
    shop.sql("INSERT INTO customers (name, email, phone) VALUES ('Ada', 'ada@example.com', '+1')").await;
    until("the row appears there", async || shop.remote("ada@example.com", "id")).await;
    shop.sql("ALTER TABLE customers RENAME COLUMN phone TO tel").await;
    shop.sql("UPDATE customers SET name = 'Ada L.'").await;
    until("status tells", async || {
        let status = shop.run(&["status"]).await;
        (status.code == 1 && status.err.contains("has no column `phone`")).then_some(())
    })
    .await;
    assert_eq!(shop.remote("ada@example.com", "phone").as_deref(), Some("+1"));
    assert_eq!(shop.remote("ada@example.com", "name").as_deref(), Some("Ada"));
    shop.sql("ALTER TABLE customers RENAME COLUMN tel TO phone").await;
    shop.run(&["resume", "mapping", "stripe-customers"]).await.ended(0);
    until("it goes on", async || shop.remote("ada@example.com", "name").filter(|name| name == "Ada L."))
        .await;
    assert_eq!(shop.remote("ada@example.com", "phone").as_deref(), Some("+1"));
    assert_eq!(engine.stop().await, 0);
}
