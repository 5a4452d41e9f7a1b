//! Another program's transactions at every point of every call.

use super::model::Model;
use super::stage::{Copies, Foreign};
use super::{report, writing_in};
use bothways_store::contract::interleave::{Call, Orders, Rival, explore, writing};

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
