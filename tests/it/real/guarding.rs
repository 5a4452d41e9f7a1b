//! What must not happen: a webhook that nobody signed counts, or two processes on one database do things twice.

use crate::real::installation::{Installation, WEBHOOKS_ALONE};
use crate::real::patience::{SOON, until};
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;
use reqwest::{Client, Method};

#[tokio::test]
async fn a_webhook_with_a_bad_signature_is_401_and_leaves_nothing() {
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    let _running = installation.run().await;
    let table = installation.table().await;
    peer.create(&[("name", "Ada"), ("email", "ada@example.com")]).await;
    wait_until_in_step(&table, &peer, 1, SOON).await;
    // A first full pass that is under way may bring it before its event does.
    let inbox = until("what is signed is noted", SOON, async || {
        let noted = table.number("select count(*) from bothways_inbox").await;
        if noted > 0 { Ok(noted) } else { Err("no event yet".to_owned()) }
    })
    .await;
    let body = r#"{"id":"evt_1","object":"event","type":"customer.created","created":1700000000,
        "data":{"object":{"id":"cus_nobody","object":"customer","email":"nobody@example.com","name":"Nobody"}}}"#;
    let now = chrono::Utc::now().timestamp();
    let signatures = [
        Some(format!("t={now},v1={}", "0".repeat(64))),
        Some(format!("t={now},v1=")),
        Some("nonsense".to_owned()),
        None,
    ];
    for signature in signatures {
        let mut request = Client::new().post(installation.hooks_url()).body(body);
        if let Some(signature) = &signature {
            request = request.header("stripe-signature", signature);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{signature:?}");
        let text = answer.text().await.expect("a text");
        assert!(text.len() < 100 && !text.contains("evt_1"), "no detail: {text}");
    }
    assert_eq!(table.number("select count(*) from bothways_inbox").await, inbox);
    assert_eq!(table.number("select count(*) from bothways_work where subject like '%nobody%'").await, 0);
    // What is signed still counts, so the four have stopped nothing.
    peer.create(&[("name", "Bob"), ("email", "bob@example.com")]).await;
    wait_until_in_step(&table, &peer, 2, SOON).await;
}

#[tokio::test]
async fn two_processes_on_one_database_do_everything_once() {
    let mut installation = Installation::new("sync: { feed: 5s, reconcile: 10s }");
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    let mut first = installation.run().await;
    let elsewhere = installation.with_other_ports();
    let mut second = elsewhere.start(&["run", "--approve"]);
    second.hear("that it is ready", |line| (line == "ready").then_some(())).await;
    let table = installation.table().await;
    for i in 0..50 {
        table.insert(&format!("Local {i}"), &format!("local{i}@example.com")).await;
        peer.create(&[("name", &format!("Remote {i}")), ("email", &format!("remote{i}@example.com"))]).await;
    }
    wait_until_in_step(&table, &peer, 100, SOON).await;
    for i in 0..50 {
        table.rename(&format!("remote{i}@example.com"), &format!("Renamed {i}")).await;
    }
    wait_until_in_step(&table, &peer, 100, SOON).await;
    let state = peer.steer(Method::GET, "/state", None).await;
    let counts = &state["requests"];
    assert_eq!(counts["effective_creates"], 100, "50 were ours, 50 the test's: {counts}");
    assert!(first.is_running() && second.is_running());
    // Whoever is left goes on.
    first.kill();
    table.insert("Late", "late@example.com").await;
    wait_until_in_step(&table, &peer, 101, SOON).await;
}
