//! A database that was restored from a copy: what SECURITY.md says to do about it, done (S29).

use crate::real::installation::{FEED_ALONE, Installation};
use crate::real::patience::{EVENTUALLY, SOON};
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;
use crate::real::table::Table;

#[tokio::test]
async fn a_restored_database_is_looked_at_before_it_acts() {
    let mut installation = Installation::with_winners(FEED_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    let table = Table::create(&installation.file()).await;
    for (name, email) in [("Ann", "ann@example.com"), ("Bob", "bob@example.com")] {
        table.insert(name, email).await;
    }
    assert_eq!(installation.verb(&["migrate"]).code, Some(0));
    let mut running = installation.run().await;
    wait_until_in_step(&table, &peer, 2, SOON).await;
    let copy = installation.folder().join("copy.db");
    table.execute_all(&format!("vacuum into '{}'", copy.display())).await;

    // After the copy: an edit on either side, a new row and a new record, all in step.
    table.rename("ann@example.com", "Ann, later").await;
    table.insert("Cyd", "cyd@example.com").await;
    peer.create(&[("email", "dot@example.com"), ("name", "Dot")]).await;
    let bob = peer.customers().await.into_iter().find(|c| c.email == "bob@example.com").expect("there");
    peer.update(&bob.id, &[("phone", "555")]).await;
    wait_until_in_step(&table, &peer, 4, SOON).await;
    let before = peer.customers().await;

    running.kill();
    table.close().await;
    for rest in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{rest}", installation.file().display()));
    }
    std::fs::copy(&copy, installation.file()).expect("restored");
    assert_eq!(installation.verb(&["pause", "all", "--reason", "restored"]).code, Some(0));
    let mut running = installation.run().await;
    let planned = installation.verb(&["plan"]);
    assert!(planned.out.contains("Ann, later") && planned.out.contains("dot@example.com"), "{planned:?}");
    assert_eq!(peer.customers().await, before, "something was sent while it was paused");
    assert_eq!(installation.verb(&["resume", "all"]).code, Some(0));

    // Nothing is lost there, doubled or undone: what the rows lack comes back.
    let table = installation.table().await;
    wait_until_in_step(&table, &peer, 4, EVENTUALLY).await;
    let mut after = peer.customers().await;
    let mut before = before;
    for customers in [&mut before, &mut after] {
        customers.sort_by(|a, b| a.id.cmp(&b.id));
    }
    let shown =
        |c: &crate::real::peer::Customer| (c.id.clone(), c.email.clone(), c.name.clone(), c.phone.clone());
    assert_eq!(after.iter().map(shown).collect::<Vec<_>>(), before.iter().map(shown).collect::<Vec<_>>());
    assert!(running.is_running());
}
