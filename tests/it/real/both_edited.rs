//! Both sides edited while nobody looked: different fields merge, the same field waits for a person, whose choice is carried out.

use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::patience::{SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;
use crate::real::table::Table;
use serde_json::Value as Json;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

#[tokio::test]
async fn both_sides_edited_at_once_against_the_sandbox() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    edit_both(&installation, &peer).await;
}

#[tokio::test]
async fn both_sides_edited_at_once_against_localstripe() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect(&peer);
    edit_both(&installation, &peer).await;
}

async fn edit_both(installation: &Installation, peer: &Peer) {
    let mut running = installation.run().await;
    let table = installation.table().await;
    for (name, email) in [("Ada", ADA), ("Bob", BOB)] {
        table.insert(name, email).await;
    }
    wait_until_in_step(&table, peer, 2, SOON).await;
    running.kill();
    let ids: Vec<String> = {
        let all = peer.customers().await;
        [ADA, BOB].map(|email| all.iter().find(|c| c.email == email).expect("it is there").id.clone()).into()
    };

    // Ada: different fields. Bob: the same field on both sides, and another one on one.
    table.rename(ADA, "Ada Lovelace").await;
    peer.update(&ids[0], &[("phone", "+44 1")]).await;
    table.rename(BOB, "Local Bob").await;
    peer.update(&ids[1], &[("name", "Remote Bob"), ("phone", "+44 2")]).await;
    let mut running = installation.run().await;
    table
        .wait_for("different fields merge here", ADA, |row| {
            row.name.as_deref() == Some("Ada Lovelace") && row.phone.as_deref() == Some("+44 1")
        })
        .await;
    peer.wait_for("different fields merge there", ADA, |customer| {
        customer.name.as_deref() == Some("Ada Lovelace") && customer.phone.as_deref() == Some("+44 1")
    })
    .await;
    table
        .wait_for("other fields flow past the conflict", BOB, |row| row.phone.as_deref() == Some("+44 2"))
        .await;
    let item = the_conflict(installation, |name| name["local"] == "Local Bob").await;
    let name = &item["fields"]["name"];
    assert_eq!((&name["base"], &name["remote"]), (&"Bob".into(), &"Remote Bob".into()), "{item:#}");
    still(&table, peer, "Local Bob", "Remote Bob").await;

    // What is chosen is carried out.
    resolve(installation, &item, &["--keep", "remote"], Some(0));
    table.wait_for("the remote name is kept", BOB, |row| row.name.as_deref() == Some("Remote Bob")).await;
    wait_until_in_step(&table, peer, 2, SOON).await;
    until("nothing waits any more", SOON, async || {
        let parked = installation.parked();
        hold(parked.is_empty(), || format!("{parked:?}"))
    })
    .await;

    // A choice about values that have moved since they were shown is refused.
    running.kill();
    table.rename(BOB, "Bob A").await;
    peer.update(&ids[1], &[("name", "Bob B")]).await;
    let _running = installation.run().await;
    let shown = the_conflict(installation, |name| name["local"] == "Bob A").await;
    table.rename(BOB, "Bob C").await;
    let now = the_conflict(installation, |name| name["local"] == "Bob C").await;
    assert_ne!(shown["digest"], now["digest"]);
    resolve(installation, &shown, &["--keep", "remote"], Some(1));
    still(&table, peer, "Bob C", "Bob B").await;
    resolve(installation, &now, &["--field", "name=value:Robert"], Some(0));
    table
        .wait_for("the value that was typed is here", BOB, |row| row.name.as_deref() == Some("Robert"))
        .await;
    peer.wait_for("the value that was typed is there", BOB, |c| c.name.as_deref() == Some("Robert")).await;
    wait_until_in_step(&table, peer, 2, SOON).await;
}

/// Waits for the one thing that is parked, until its name `fits`.
async fn the_conflict(installation: &Installation, fits: impl Fn(&Json) -> bool) -> Json {
    until("one conflict, about the name", SOON, async || {
        let parked = installation.parked();
        match parked.as_slice() {
            [item] if item["reason"] == "conflict" && fits(&item["fields"]["name"]) => Ok(item.clone()),
            _ => Err(format!("{parked:?}")),
        }
    })
    .await
}

fn resolve(installation: &Installation, item: &Json, choice: &[&str], code: Option<i32>) {
    let text = |name: &str| item[name].as_str().expect("a text");
    let words = [&["parked", "resolve", text("id"), "--digest", text("digest")], choice].concat();
    let done = installation.verb(&words);
    assert_eq!(done.code, code, "{done:?}");
}

/// Nobody has touched Bob's names.
async fn still(table: &Table, peer: &Peer, local: &str, remote: &str) {
    let rows = table.rows().await;
    let row = rows.iter().find(|row| row.email == BOB).expect("the row");
    assert_eq!(row.name.as_deref(), Some(local));
    let customers = peer.customers().await;
    let customer = customers.iter().find(|customer| customer.email == BOB).expect("the record");
    assert_eq!(customer.name.as_deref(), Some(remote));
}
