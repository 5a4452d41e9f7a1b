//! Another program's transactions at every point of every call, and what SQLite itself rules out.

use super::model::Model;
use super::stage::{Copies, Foreign};
use super::{report, writing_in};
use crate::foreign::{Program, at, pair};
use bothways_store::contract::interleave::{Call, Orders, Rival, explore, writing};
use bothways_store::{Capture, Fact, WorkQueue};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::time::Duration;

/// Row 2 is the one in somebody's hands.
const EDITS: &[Foreign] = &[
    ("insert", &["INSERT INTO customers (name, email) VALUES ('Gus', 'nine@x.test')"]),
    (
        "two updates",
        &[
            "BEGIN",
            "UPDATE customers SET name = 'Bobby' WHERE id = 2",
            "UPDATE customers SET email = 'ann@b.test' WHERE id = 1",
            "COMMIT",
        ],
    ),
    ("delete", &["DELETE FROM customers WHERE id = 2"]),
    ("replace by key", &["REPLACE INTO customers (id, name, email) VALUES (2, 'Bob II', 'bob@x.test')"]),
    (
        "replace by another index",
        &["INSERT OR REPLACE INTO customers (id, name, email) VALUES (20, 'Bob III', 'bob@x.test')"],
    ),
    ("update or replace", &["UPDATE OR REPLACE customers SET email = 'bob@x.test' WHERE id = 1"]),
    ("new key", &["UPDATE customers SET id = 40 WHERE id = 2"]),
    (
        "swap of keys",
        &[
            "BEGIN",
            "UPDATE customers SET id = 900 WHERE id = 1",
            "UPDATE customers SET id = 1 WHERE id = 2",
            "UPDATE customers SET id = 2 WHERE id = 900",
            "COMMIT",
        ],
    ),
    (
        "id used again",
        &[
            "BEGIN IMMEDIATE",
            "DELETE FROM customers WHERE id = 2",
            "INSERT INTO customers (id, name, email) VALUES (2, 'Somebody else', 'else@x.test')",
            "COMMIT",
        ],
    ),
];

/// What changes the database more than its rows.
const UPHEAVALS: &[Foreign] = &[
    (
        "rebuild",
        &[
            "BEGIN",
            "CREATE TABLE new_customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT UNIQUE, balance TEXT, \
             level TEXT NOT NULL DEFAULT 'basic', joined TEXT, deleted_at TEXT, added TEXT)",
            "INSERT INTO new_customers SELECT *, NULL FROM customers",
            "DROP TABLE customers",
            "ALTER TABLE new_customers RENAME TO customers",
            "UPDATE customers SET name = 'unseen' WHERE id = 6",
            "COMMIT",
        ],
    ),
    ("a trigger dropped", &["DROP TRIGGER bothways_on_customers__update"]),
    ("another table", &["CREATE TABLE extra (a)"]),
    ("VACUUM", &["VACUUM"]),
    ("a checkpoint", &["PRAGMA wal_checkpoint(TRUNCATE)"]),
    ("a journal mode", &["PRAGMA journal_mode = DELETE"]),
    (
        "a lock for long, given up",
        &["BEGIN EXCLUSIVE", "UPDATE customers SET name = 'x'", "DELETE FROM customers", "ROLLBACK"],
    ),
];

/// What the in-memory store's other program can do as well.
const MODELLED: [&str; 7] = [
    "insert",
    "two updates",
    "delete",
    "replace by another index",
    "new key",
    "swap of keys",
    "id used again",
];

/// Every one of these transactions against every one of these calls.
async fn against(calls: &[Call], foreign: &'static [Foreign], fresh: bool) {
    let mut copies = Copies::of(foreign).await;
    copies.fresh = fresh;
    let (mut pairs, mut all) = (0, 0);
    for call in calls {
        for (name, _) in foreign {
            let rivals = [Rival::Call(*call), Rival::Foreign(name)];
            let orders = Orders::of(&copies, &rivals).await;
            if MODELLED.contains(name) {
                let model = Orders::of(&Model, &rivals).await;
                orders.agree(&model).unwrap_or_else(|why| panic!("`{}` and `{name}`: {why}", call.name));
            }
            all += explore(&copies, &rivals, &orders).await.unwrap_or_else(|why| panic!("{why}"));
            pairs += 1;
        }
    }
    report(&format!("{pairs} pairs of a call and another program's transaction, {all} interleavings"));
}

#[tokio::test]
async fn edits_against_the_queue() {
    against(&[writing_in("queue"), writing_in("leases")].concat(), EDITS, false).await;
}

#[tokio::test]
async fn edits_against_commits() {
    against(&[writing_in("looks"), writing_in("links")].concat(), EDITS, false).await;
}

#[tokio::test]
async fn edits_against_everything_else() {
    against(&writing_in("rest"), EDITS, false).await;
}

#[tokio::test]
async fn upheavals_against_calls() {
    let names = ["take all", "relay all", "commit: batch", "commit: insert", "lease", "intake", "repair"];
    let calls: Vec<Call> = writing().into_iter().filter(|call| names.contains(&call.name)).collect();
    assert_eq!(calls.len(), names.len());
    against(&calls, UPHEAVALS, true).await;
}

async fn another(program: &Program) -> SqliteConnection {
    let path = program.url.trim_start_matches("sqlite://");
    SqliteConnectOptions::new().filename(path).busy_timeout(Duration::ZERO).connect().await.unwrap()
}

/// SQLite gives a change its number under the one write lock, so that nobody can take number 11 while number 10 is not committed: the
/// second writer is told that the database is busy, however it begins, and numbers are in the order of commits.
#[tokio::test]
async fn p15_on_sqlite_numbers_are_in_the_order_of_commits() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    program.sql("INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b')").await;
    program.store.relay(at(0), 100).await.unwrap();
    let number = "SELECT coalesce(max(id), 0) FROM bothways_changes";
    let mut second = another(&program).await;
    for end in ["ROLLBACK", "COMMIT"] {
        program.sql("BEGIN; DELETE FROM customers WHERE id = 1").await;
        let first = program.number(number).await;
        assert!(first > 0, "the first transaction has its number");
        for attempt in [
            "DELETE FROM customers WHERE id = 2",
            "BEGIN IMMEDIATE",
            "BEGIN EXCLUSIVE",
            "BEGIN; DELETE FROM customers WHERE id = 2",
        ] {
            let error = sqlx::raw_sql(attempt).execute(&mut second).await.unwrap_err();
            let code = error.as_database_error().unwrap().code().unwrap().parse::<i32>().unwrap();
            assert_eq!(code & 0xff, 5, "{attempt}: {error}");
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut second).await;
        }
        assert_eq!(program.store.relay(at(1), 100).await.unwrap().entries, 0, "nothing is committed");
        program.sql(end).await;
        if end == "ROLLBACK" {
            // The number was never seen; whoever is next gets it.
            program.sql("BEGIN; UPDATE customers SET name = 'c' WHERE id = 1").await;
            assert_eq!(program.number(number).await, first);
            program.sql("ROLLBACK").await;
            continue;
        }
        sqlx::raw_sql("DELETE FROM customers WHERE id = 2").execute(&mut second).await.unwrap();
        assert_eq!(program.number(number).await, first + 1);
        assert_eq!(program.store.relay(at(2), 100).await.unwrap().entries, 2);
        for (row, number) in [("1", first), ("2", first + 1)] {
            let work = program.store.work_of(pair, Some(&row.into()), None).await.unwrap();
            assert_eq!(work[0].facts.iter().map(Fact::change).collect::<Vec<_>>(), [number]);
        }
    }
}
