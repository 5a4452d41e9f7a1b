//! `sync` killed half way goes on where it was.

use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::patience::{SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::sides::Sides;
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value as Json, json};

/// Enough for 30 pages.
const RECORDS: usize = 3_000;

#[tokio::test]
async fn sync_killed_half_way_goes_on_where_it_was() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    stream::iter(0..RECORDS)
        .for_each_concurrent(16, async |i| {
            peer.create(&[("name", &format!("Person {i}")), ("email", &format!("person{i}@example.com"))])
                .await;
        })
        .await;
    // An installation whose mapping is approved, and that has seen nothing yet.
    assert_eq!(installation.verb(&["migrate"]).code, Some(0));
    let approved = installation.verb(&["approve"]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    peer.steer(Method::DELETE, "/requests", None).await;
    let slow = json!({ "method": "GET", "path": "/v1/customers", "times": 0,
        "action": { "kind": "slow_answer", "millis": 100 } });
    peer.steer(Method::POST, "/faults", Some(slow)).await;

    let mut first = installation.start(&["sync"]);
    until("half of the pages", SOON, async || {
        let pages = pages(&peer).await;
        assert!(pages < 28, "the pass is over before it could be killed: {pages}");
        hold(pages >= 12, || format!("{pages} pages"))
    })
    .await;
    first.kill();
    let before = pages(&peer).await;
    peer.steer(Method::DELETE, "/faults", None).await;

    let second = installation.verb(&["sync", "--format", "json"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    let after = pages(&peer).await - before;
    assert!(after <= 30 - 10, "{after} of 30 pages were read again after {before}");
    let table = installation.table().await;
    Sides::read(&table, &peer).await.in_step(RECORDS).expect("in step at the end of `sync`");

    let third = installation.verb(&["sync", "--format", "json"]);
    assert_eq!(third.code, Some(0), "{third:?}");
    let state = peer.steer(Method::GET, "/state", None).await;
    assert_eq!(state["requests"]["writes"], 0, "records in step are not written to: {state}");
}

/// How many pages of the list have been read.
async fn pages(peer: &Peer) -> usize {
    let log = peer.steer(Method::GET, "/requests", None).await;
    let requests: &Vec<Json> = log["requests"].as_array().expect("a log");
    requests.iter().filter(|r| r["method"] == "GET" && r["path"] == "/v1/customers").count()
}
