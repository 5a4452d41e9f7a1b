//! Setting a database up, and taking everything out again.

use crate::shop::{Shop, TABLE};

/// The schema without our part, as text.
const SCHEMA: &str = "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)) FROM \
                      (SELECT * FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name)";

#[tokio::test]
async fn a_database_that_holds_something_is_left_alone_until_migrate() {
    let shop = Shop::with_table().await;
    let before = shop.sql(SCHEMA).await;
    for verb in ["run", "sync", "status", "history", "approve"] {
        let ran = shop.run(&[verb]).await.ended(2);
        assert!(ran.err.contains("`bothways migrate`"), "{verb}: {ran:?}");
    }
    assert_eq!(shop.sql(SCHEMA).await, before);
}

#[tokio::test]
async fn migrate_and_its_removal_are_a_round_trip() {
    let shop = Shop::with_table().await;
    shop.sql("CREATE INDEX by_name ON customers (name)").await;
    shop.sql("INSERT INTO customers (name, email) VALUES ('Ada', 'ada@example.com')").await;
    let before = shop.sql(SCHEMA).await;

    let first = shop.run(&["migrate", "--format", "json"]).await.ended(0).json();
    assert_eq!(first["triggers"], serde_json::json!(["customers"]));
    assert_eq!(first["created"], serde_json::json!([]));
    let installed = shop.sql(SCHEMA).await;
    assert_ne!(installed, before);
    let again = shop.run(&["migrate", "--format", "json"]).await.ended(0).json();
    assert_eq!((&again["applied"], &again["triggers"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(shop.sql(SCHEMA).await, installed);
    shop.run(&["history"]).await.ended(0);

    assert_eq!(shop.run(&["migrate", "--remove", "--format", "json"]).await.ended(0).json()["removed"], true);
    assert_eq!(shop.sql(SCHEMA).await, before);
    assert_eq!(shop.sql("SELECT name FROM customers").await.as_deref(), Some("Ada"));
    shop.sql("UPDATE customers SET name = 'Ada L'").await;
    assert_eq!(
        shop.run(&["migrate", "--remove", "--format", "json"]).await.ended(0).json()["removed"],
        false
    );
}

#[tokio::test]
async fn nothing_is_taken_out_under_a_running_engine() {
    let shop = Shop::new().await;
    let engine = shop.start(&[]);
    engine.says("ready").await;
    let ran = shop.run(&["migrate", "--remove"]).await.ended(1);
    assert!(ran.err.contains("stop it first"), "{ran:?}");
    assert_eq!(engine.stop().await, 0);
    shop.run(&["migrate", "--remove"]).await.ended(0);
    assert!(!shop.path("bothways.db-engine").exists());
    assert_eq!(
        shop.sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bothways%'").await.as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_made_from_its_document() {
    let shop = Shop::new().await;
    shop.run(&["migrate", "--remove"]).await.ended(0);
    assert!(!shop.path("bothways.db").exists());
    let made = shop.run(&["migrate", "--format", "json"]).await.ended(0).json();
    assert_eq!(made["created"], serde_json::json!(["customers"]));
    shop.sql("INSERT INTO customers (email) VALUES ('a@example.com')").await;
    assert_eq!(shop.sql("SELECT count(*) FROM bothways_changes").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_not_touched() {
    let shop = Shop::new().await;
    shop.sql(&TABLE.replace("phone TEXT", "telephone TEXT")).await;
    let before = shop.sql(SCHEMA).await;
    let ran = shop.run(&["migrate"]).await.ended(1);
    assert!(ran.err.contains("M501") && ran.err.contains("`phone`"), "{ran:?}");
    assert_eq!(shop.sql(SCHEMA).await, before);
}

#[tokio::test]
async fn a_new_catalog_waits_for_migrate() {
    let shop = Shop::new().await;
    shop.run(&["migrate"]).await.ended(0);
    shop.write(
        "mappings/people.yaml",
        "catalog: people\ntable: people\nkey: id\nfields: { id: int, name: text? }\n",
    );
    let ran = shop.run(&["sync"]).await.ended(2);
    assert!(ran.err.contains("people") && ran.err.contains("`bothways migrate`"), "{ran:?}");
    shop.run(&["migrate"]).await.ended(0);
    // It runs now; that nobody approved the mapping is another matter.
    shop.run(&["sync"]).await.ended(1);
}

#[tokio::test]
async fn other_databases_and_queues_say_what_they_are() {
    let shop = Shop::new().await;
    let ran = shop.run(&["status", "--database", "postgres://u:geheim@h/d"]).await.ended(2);
    assert!(ran.err.contains("not built yet") && !ran.err.contains("geheim"), "{ran:?}");
    let ran = shop.run(&["sync", "--queue", "kafka://h:9092"]).await.ended(2);
    assert!(ran.err.contains("not built yet"), "{ran:?}");
    let ran = shop.run(&["status"]).await.ended(2);
    assert!(ran.err.contains("nothing is set up"), "{ran:?}");
}
