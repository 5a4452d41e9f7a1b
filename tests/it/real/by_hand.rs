//! A row typed into the sqlite3 command line appears in localstripe, and an edit there comes back.

use crate::real::installation::{Installation, WEBHOOKS_ALONE};
use crate::real::peer::Peer;
use std::process::Command;

#[tokio::test]
async fn an_insert_by_sqlite3_appears_in_localstripe_and_an_edit_there_comes_back() {
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    let _running = installation.run().await;
    let sql = "insert into customers(name,email) values('Ada Lovelace','ada@example.com')";
    // Alone, the tool would give up at once where it meets another writer in the same millisecond.
    let typed =
        Command::new("sqlite3").args(["-cmd", ".timeout 30000"]).arg(installation.file()).arg(sql).output();
    let typed = typed.unwrap_or_else(|error| panic!("sqlite3 (Debian package sqlite3): {error}"));
    assert!(typed.status.success(), "{}", String::from_utf8_lossy(&typed.stderr));
    let ada = peer
        .wait_for("the row appears in localstripe", "ada@example.com", |c| {
            c.name.as_deref() == Some("Ada Lovelace")
        })
        .await;
    peer.update(&ada.id, &[("phone", "+44 20 7946 0101")]).await;
    let table = installation.table().await;
    table
        .wait_for("the edit comes back", "ada@example.com", |row| {
            row.phone.as_deref() == Some("+44 20 7946 0101")
        })
        .await;
}
