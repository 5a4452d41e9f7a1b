//! First contact: 500 on each side, of whom 200 are the same person, and three of one e-mail whom only a person can tell apart.

use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::patience::{EVENTUALLY, SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::sides::Sides;
use crate::real::table::Table;
use futures::{StreamExt, stream};
use reqwest::Method;

/// On each side.
const PEOPLE: usize = 500;
/// Of these, on both sides.
const SAME: usize = 200;
/// Links, rows and records in the end.
const ALL: usize = PEOPLE + PEOPLE - SAME;
const TWINS: &str = "twins@example.com";

#[tokio::test]
async fn first_contact_with_the_sandbox_links_whom_both_know() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    let table = meet(&installation, &peer, false).await;
    let before = peer.steer(Method::GET, "/state", None).await;
    contact(&installation, &peer, &table).await;
    let after = peer.steer(Method::GET, "/state", None).await;
    let creates = |state: &serde_json::Value| {
        state["requests"]["effective_creates"].as_u64().expect("a count of creates")
    };
    assert_eq!(creates(&after) - creates(&before), (PEOPLE - SAME) as u64, "one create for each of ours");
}

#[tokio::test]
async fn first_contact_with_localstripe_links_whom_both_know() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect(&peer);
    let table = meet(&installation, &peer, true).await;
    contact(&installation, &peer, &table).await;
}

/// Local people are 0 to 499, remote people 300 to 799. Nobody writes e-mails alike.
async fn meet(installation: &Installation, peer: &Peer, remote_spaces: bool) -> Table {
    let table = Table::create(&installation.file()).await;
    let local = |i: usize| match i % 3 {
        0 => format!("Person{i}@Example.com"),
        1 => format!("  person{i}@example.com "),
        _ => format!("person{i}@example.com"),
    };
    let remote = |i: usize| match i % 4 {
        0 => format!("PERSON{i}@example.com"),
        1 if remote_spaces => format!(" person{i}@example.com  "),
        _ => format!("person{i}@example.com"),
    };
    let people = (0..PEOPLE).map(|i| (format!("Person {i}"), local(i)));
    table.insert_all(people.chain([("One Twin".to_owned(), TWINS.to_owned())])).await;
    let records = (PEOPLE - SAME..ALL).map(|i| (format!("Person {i}"), remote(i), format!("+1 555 {i:04}")));
    stream::iter(records)
        .for_each_concurrent(8, async |(name, email, phone)| {
            peer.create(&[("name", &name), ("email", &email), ("phone", &phone)]).await;
        })
        .await;
    for email in [TWINS, "Twins@Example.com"] {
        peer.create(&[("name", "A Twin"), ("email", email)]).await;
    }
    table
}

async fn contact(installation: &Installation, peer: &Peer, table: &Table) {
    let migrated = installation.verb(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let mut running = installation.run().await;
    until("800 links between 800 rows and 800 records", EVENTUALLY, async || {
        Sides::read(table, peer).await.without(TWINS).in_step(ALL)
    })
    .await;
    let parked = until("one ambiguous entry", SOON, async || {
        let parked = installation.parked();
        hold(!parked.is_empty(), || "nothing is parked".into())?;
        Ok(parked)
    })
    .await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0]["reason"], "ambiguous", "{parked:#?}");
    // Another full pass finds nothing to add.
    let passed = installation.status()["passed_at"].clone();
    until("another full pass", SOON, async || {
        let now = installation.status()["passed_at"].clone();
        hold(now != passed, || format!("passed at {now}"))
    })
    .await;
    let sides = Sides::read(table, peer).await;
    let (rows, records) = sides.with_email(TWINS);
    assert_eq!((rows.len(), records.len()), (1, 2), "nobody is added to the group");
    let linked = sides.links().iter().any(|link| {
        rows.iter().any(|row| link.local_id == Some(row.id.to_string()))
            || records.iter().any(|record| link.remote_id.as_ref() == Some(&record.id))
    });
    assert!(!linked, "nobody of the group is linked");
    sides.without(TWINS).in_step(ALL).expect("still in step");
    assert_eq!(installation.parked().len(), 1);
    assert!(running.is_running());
}
