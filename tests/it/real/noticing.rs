//! Creates and updates in each direction, with one way of noticing remote changes at a time: webhooks, full passes, the event feed.
//! Local changes are plain SQL of another program.

use crate::real::installation::{FEED_ALONE, Installation, PASSES_ALONE, WEBHOOKS_ALONE};
use crate::real::patience::SOON;
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;

#[tokio::test]
async fn by_webhook_alone_against_the_sandbox() {
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    both_directions(&installation, &peer).await;
}

#[tokio::test]
async fn by_signed_webhook_alone_against_localstripe() {
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    both_directions(&installation, &peer).await;
}

#[tokio::test]
async fn by_full_pass_alone_against_the_sandbox() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    both_directions(&installation, &peer).await;
}

#[tokio::test]
async fn by_full_pass_alone_against_localstripe() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect(&peer);
    both_directions(&installation, &peer).await;
}

#[tokio::test]
async fn by_event_feed_alone_against_the_sandbox() {
    let mut installation = Installation::new(FEED_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    both_directions(&installation, &peer).await;
}

/// Each step has to be seen before the next one, so that none of them can stand in for another.
async fn both_directions(installation: &Installation, peer: &Peer) {
    let mut running = installation.run().await;
    let table = installation.table().await;
    // A record that the first walk finds proves that the walk is over: what comes later is not found by it.
    peer.create(&[("name", "First"), ("email", "first@example.com")]).await;
    table.insert("Second", "second@example.com").await;
    wait_until_in_step(&table, peer, 2, SOON).await;

    table.insert("Ada", "ada@example.com").await;
    let ada =
        peer.wait_for("a local insert arrives", "ada@example.com", |c| c.name.as_deref() == Some("Ada"));
    let ada = ada.await;
    table.rename("ada@example.com", "Ada Lovelace").await;
    peer.wait_for("a local update arrives", "ada@example.com", |c| {
        c.id == ada.id && c.name.as_deref() == Some("Ada Lovelace")
    })
    .await;

    let grace = peer.create(&[("name", "Grace"), ("email", "grace@example.com")]).await;
    let row = table
        .wait_for("a remote create arrives", "grace@example.com", |r| r.name.as_deref() == Some("Grace"))
        .await;
    peer.update(&grace, &[("name", "Grace Hopper"), ("phone", "+1 202 555 0134")]).await;
    table
        .wait_for("a remote update arrives", "grace@example.com", |r| {
            r.id == row.id
                && r.name.as_deref() == Some("Grace Hopper")
                && r.phone.as_deref() == Some("+1 202 555 0134")
        })
        .await;

    // What was created on one side is changed on the other.
    peer.update(&ada.id, &[("name", "Countess Lovelace")]).await;
    table
        .wait_for("a remote update of our own record arrives", "ada@example.com", |r| {
            r.name.as_deref() == Some("Countess Lovelace")
        })
        .await;
    table.rename("grace@example.com", "Admiral Hopper").await;
    peer.wait_for("a local update of their record arrives", "grace@example.com", |c| {
        c.id == grace && c.name.as_deref() == Some("Admiral Hopper")
    })
    .await;
    wait_until_in_step(&table, peer, 4, SOON).await;
    assert!(running.is_running());
}
