//! A storm of webhooks: every event ten times over, the newest first, all of one second. Each delivery is answered 2xx, each event has one
//! effect, the backlog drains, and both sides are equal.
//!
//! `BOTHWAYS_STORM` says how many deliveries there are.

use crate::real::again::watch_writes;
use crate::real::canaries::assert_silent;
use crate::real::draw::number;
use crate::real::installation::{Installation, WEBHOOKS_ALONE};
use crate::real::patience::{EVENTUALLY, SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::sides::{Sides, wait_until_in_step};
use crate::real::table::Table;
use futures::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use std::time::Instant;

/// The variable that says how many deliveries there are, and what is usual.
const STORM: (&str, u64) = ("BOTHWAYS_STORM", 10_000);
/// How often each event is delivered.
const TIMES: usize = 10;
/// Deliveries at once.
const AT_ONCE: usize = 64;
const SECRET: &str = "whsec_kanari_of_the_storm";
const TOKEN: &str = "bw_kanari_token_of_the_storm";

#[tokio::test]
#[allow(clippy::print_stderr, reason = "read in the output of a test")]
async fn every_event_of_a_storm_has_one_effect() {
    let events = number(STORM.0, STORM.1) as usize / TIMES;
    // Of each four events three are about somebody whom both sides know, and one is about somebody new.
    let people = events / 4;
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    installation.set("STRIPE_WEBHOOK_SECRET", SECRET);
    installation.set("BOTHWAYS_TOKEN", TOKEN);
    let table = Table::create(&installation.file()).await;
    watch_writes(&table).await;
    let ids: Vec<String> =
        stream::iter(0..people).map(|i| peer.create_person(i)).buffered(16).collect().await;
    assert_eq!(installation.verb(&["migrate"]).code, Some(0));
    let mut running = installation.run().await;
    wait_until_in_step(&table, &peer, people, EVENTUALLY).await;

    stream::iter(ids.iter().enumerate())
        .for_each_concurrent(16, async |(i, id)| {
            for round in 0..3 {
                let (name, phone) = (format!("Kanari {i} of round {round}"), format!("+1 {i} {round}"));
                peer.update(id, &[("name", &name), ("phone", &phone)]).await;
            }
            peer.create_person(people + i).await;
        })
        .await;
    let bodies = deliveries(&peer, people).await;
    assert_eq!(bodies.len(), events / 4 * 4);
    peer.steer(Method::DELETE, "/requests", None).await;
    table.execute("delete from touches").await;

    let start = Instant::now();
    // Five times the whole list, the newest first; then each event five times in a row.
    let whole = std::iter::repeat_n(&bodies, TIMES / 2).flat_map(|all| all.iter().rev());
    let in_a_row = bodies.iter().rev().flat_map(|one| std::iter::repeat_n(one, TIMES / 2));
    let client = Client::new();
    let url = installation.hooks_url();
    stream::iter(whole.chain(in_a_row))
        .for_each_concurrent(AT_ONCE, async |body| {
            let request =
                client.post(&url).header("stripe-signature", signature(SECRET, body)).body(body.clone());
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
        })
        .await;
    let accepted = start.elapsed();
    until("the backlog is drained", EVENTUALLY.max(SOON * (events as u32 / 2_000)), async || {
        let changes = table.number("select count(*) from bothways_changes").await;
        let work = table.number("select count(*) from bothways_work").await;
        hold(changes + work == 0, || format!("{changes} changes, {work} pieces of work"))
    })
    .await;
    let count = bodies.len() * TIMES;
    eprintln!("{count} deliveries taken in {accepted:?}, all work done after {:?}", start.elapsed());

    Sides::read(&table, &peer).await.in_step(2 * people).expect("in step after the storm");
    let updates = table.number("select count(*) from touches where what = 'update'").await;
    let inserts = table.number("select count(*) from touches where what = 'insert'").await;
    assert_eq!((updates, inserts), (people as i64, people as i64), "each row is written once");
    let counts = &peer.steer(Method::GET, "/state", None).await["requests"];
    assert_eq!(counts["writes"], 0, "no echo reaches the service: {counts}");
    let metrics = metrics(&mut running).await;
    let outcome = |outcome: &str| {
        let name = format!("bothways_events_total{{connection=\"stripe\",outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse::<usize>().expect("a count"))
    };
    assert_eq!(outcome("accepted"), bodies.len(), "{metrics}");
    assert_eq!(outcome("duplicate"), bodies.len() * (TIMES - 1), "{metrics}");
    assert!(running.is_running());
}

/// The bodies of all events after those of the first people, oldest first, all of them in one second.
async fn deliveries(peer: &Peer, first: usize) -> Vec<String> {
    let mut events = peer.steer(Method::GET, "/events", None).await;
    let events: &mut Vec<Json> = events["events"].as_array_mut().expect("events");
    let now = chrono::Utc::now().timestamp();
    let of_one_second = |event: &mut Json| {
        event["created"] = json!(now);
        event.to_string()
    };
    events.iter_mut().skip(first).map(of_one_second).collect()
}

/// What `secret` signs `body` with.
fn signature(secret: &str, body: &str) -> String {
    let now = chrono::Utc::now().timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(format!("{now}.{body}").as_bytes());
    format!("t={now},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// What `/metrics` shows.
async fn metrics(running: &mut crate::real::program::Process) -> String {
    let url = running.page().await;
    let answer =
        Client::new().get(format!("{url}/metrics")).bearer_auth(TOKEN).send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    assert_silent("what is measured", &text);
    text
}
