//! Other tools at the user's table: a row displaced by REPLACE, the table rebuilt under the engine's eyes and behind its back.

use crate::real::installation::{Installation, WEBHOOKS_ALONE};
use crate::real::patience::{EVENTUALLY, SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::sides::wait_until_in_step;
use crate::real::table::Table;

/// How other tools alter a table in SQLite: a new one, a copy, the old one away, the new one in its place. All triggers go with the old
/// one. An edit in the same transaction is seen by nobody.
const REBUILD: &str = "begin immediate; \
    create table new_customers (id integer primary key autoincrement, name text, email text not null, phone text, \
        archived_at text, shoe_size integer, added text); \
    insert into new_customers (id, name, email, phone, archived_at) \
        select id, name, email, phone, archived_at from customers; \
    drop table customers; \
    alter table new_customers rename to customers; \
    create unique index one_email on customers(email); \
    update customers set name = 'Bob, unseen' where email = 'bob@example.com'; \
    commit";

const OUR_TRIGGERS: &str = "select count(*) from sqlite_schema where type = 'trigger' and tbl_name = 'customers' and name like 'bothways%'";

async fn triggers_are_there(table: &Table, least: i64) {
    until("the triggers are there", SOON, async || {
        let there = table.number(OUR_TRIGGERS).await;
        hold(there >= least, || format!("{there} triggers"))
    })
    .await;
}

#[tokio::test]
async fn p33_a_displaced_row_and_a_rebuilt_table_are_noticed_and_repaired() {
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    let table = Table::create(&installation.file()).await;
    table.execute("create unique index one_email on customers(email)").await;
    for (name, email) in [("Ann", "ann@example.com"), ("Bob", "bob@example.com"), ("Cyd", "cyd@example.com")]
    {
        table.insert(name, email).await;
    }
    assert_eq!(installation.verb(&["migrate"]).code, Some(0));
    let mut running = installation.run().await;
    wait_until_in_step(&table, &peer, 3, SOON).await;
    let triggers = table.number(OUR_TRIGGERS).await;

    // Rebuilt while the engine runs.
    table.execute_all(REBUILD).await;
    triggers_are_there(&table, triggers).await;
    peer.wait_for("an edit nobody saw is found by the pass", "bob@example.com", |c| {
        c.name.as_deref() == Some("Bob, unseen")
    })
    .await;
    table.rename("cyd@example.com", "Cyd, seen").await;
    wait_until_in_step(&table, &peer, 3, SOON).await;

    // A trigger dropped.
    table
        .execute_all(
            "drop trigger bothways_on_customers__update; \
             update customers set name = 'Ann, unseen' where email = 'ann@example.com'",
        )
        .await;
    triggers_are_there(&table, triggers).await;
    peer.wait_for("an edit without a trigger is found", "ann@example.com", |c| {
        c.name.as_deref() == Some("Ann, unseen")
    })
    .await;

    // Rebuilt while it is away.
    running.kill();
    table.execute_all(&REBUILD.replace("Bob, unseen", "Bob, unseen again")).await;
    table.insert("Dot", "dot@example.com").await;
    let mut running = installation.run().await;
    triggers_are_there(&table, triggers).await;
    peer.wait_for("an edit behind its back is found", "bob@example.com", |c| {
        c.name.as_deref() == Some("Bob, unseen again")
    })
    .await;
    wait_until_in_step(&table, &peer, 4, EVENTUALLY).await;

    // A linked row displaced through another unique index: no trigger says that it is gone, and that is no evidence of a delete.
    let displaced = table.number("select id from customers where email = 'ann@example.com'").await;
    table.execute("insert or replace into customers(name, email) values ('Ann II', 'ann@example.com')").await;
    until("the displaced row's link says so", SOON, async || {
        let links = table.links().await;
        let link = links.iter().find(|l| l.local_id.as_deref() == Some(displaced.to_string().as_str()));
        hold(link.is_some_and(|l| l.state == "missing"), || format!("{link:?}"))
    })
    .await;
    let customers = peer.customers().await;
    assert_eq!(customers.len(), 4, "nothing was deleted or doubled: {customers:?}");
    // The row that was there comes back: in step again, and the one that took its place is gone.
    table
        .execute_all(&format!(
            "begin immediate; delete from customers where email = 'ann@example.com'; \
             insert into customers(id, name, email) values ({displaced}, 'Ann III', 'ann@example.com'); commit"
        ))
        .await;
    wait_until_in_step(&table, &peer, 4, EVENTUALLY).await;
    peer.wait_for("the row that is back is linked again", "ann@example.com", |c| {
        c.name.as_deref() == Some("Ann III")
    })
    .await;
    assert!(running.is_running());
}
