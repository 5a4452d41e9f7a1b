//! Another program that holds the database for a minute.

use crate::real::installation::{FEED_ALONE, Installation};
use crate::real::patience::{EVENTUALLY, SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;
use crate::real::table::Table;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any statement of ours waits for its turn.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lock_that_is_held_for_a_minute_is_outlasted() {
    let mut installation = Installation::new(FEED_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    let table = Table::create(&installation.file()).await;
    table.insert("Ann", "ann@example.com").await;
    assert_eq!(installation.verb(&["migrate"]).code, Some(0));
    let mut running = installation.run().await;
    wait_until_in_step(&table, &peer, 1, SOON).await;

    // It holds the lock, and writes under it.
    let mut lock = table.lock().await;
    lock.execute("insert into customers(name, email) values ('Bob', 'bob@example.com')").await;
    let start = Instant::now();
    let ann = peer.customers().await.remove(0);
    peer.update(&ann.id, &[("phone", "777")]).await;
    until("the lock was held for a minute", 2 * MINUTE, async || {
        assert!(running.is_running(), "it gave up while the database was locked");
        hold(start.elapsed() >= MINUTE, || format!("{:?}", start.elapsed()))
    })
    .await;
    let rows = table.rows().await;
    assert!(rows.len() == 1 && rows[0].phone.is_none(), "something was written past a lock: {rows:?}");
    assert_eq!(peer.customers().await.len(), 1, "a row that is not committed went out");
    lock.execute("commit").await;

    wait_until_in_step(&table, &peer, 2, EVENTUALLY).await;
    table
        .wait_for("what was changed meanwhile came in", "ann@example.com", |row| {
            row.phone.as_deref() == Some("777")
        })
        .await;
    assert!(running.is_running());
}
