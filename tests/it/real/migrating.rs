//! What `migrate` installs, `migrate --remove` takes out without a trace.

use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::patience::SOON;
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;
use crate::real::table::Table;

#[tokio::test]
async fn migrate_and_remove_leave_the_schema_as_it_was() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    let table = Table::create(&installation.file()).await;
    table.execute("create index by_name on customers(name)").await;
    table
        .execute("create table notes (id integer primary key, customer integer references customers(id))")
        .await;
    table
        .execute("create trigger keep_notes after insert on notes begin update notes set customer = 1; end")
        .await;
    table.insert("Ada", "ada@example.com").await;
    let before = facts(&table).await;

    let refused = installation.verb(&["run", "--approve"]);
    assert_ne!(refused.code, Some(0), "nothing is added to such a database by itself");
    assert!(refused.talk.contains("bothways migrate"), "{refused:?}");
    assert_eq!(facts(&table).await, before);

    let migrated = installation.verb(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    assert_ne!(table.schema().await, before.0);
    let again = installation.verb(&["migrate"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let mut running = installation.run().await;
    wait_until_in_step(&table, &peer, 1, SOON).await;
    running.kill();

    // The file can go back to how it was kept only while nobody else has it open.
    table.close().await;
    let removed = installation.verb(&["migrate", "--remove"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let table = installation.table().await;
    assert_eq!(facts(&table).await, before);
    let left = table.number("select count(*) from sqlite_sequence where name like 'bothways%'").await;
    assert_eq!(left, 0, "no counter of ours is left");
    // Nothing that was installed can hinder the user's own work.
    table.insert("Bob", "bob@example.com").await;
    assert_eq!(peer.customers().await.len(), 1, "records stay where they are");
}

/// The schema, the rows, and how the file is kept.
async fn facts(
    table: &Table,
) -> (Vec<(String, String, String, Option<String>)>, Vec<crate::real::table::Row>, String) {
    (table.schema().await, table.rows().await, table.text("pragma journal_mode").await)
}
