//! Capture of whatever plain SQL does, and triggers that stay what they should be (rules 29, 36).

use crate::foreign::{Program, at, pair};
use bothways_model::{Record, Value};
use bothways_sql::Sql;
use bothways_store::contract::catalogs;
use bothways_store::{Capture, Fact, PairSpec, Pairs, Rows, Subject, WorkQueue};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::time::{Duration, Instant};

/// What the change log says, oldest first: `operation key old`.
pub(crate) async fn log(program: &Program) -> Vec<String> {
    let mut c = program.connection.lock().await;
    let sql = "SELECT op || ' ' || key || coalesce(' ' || old_key, '') FROM bothways_changes ORDER BY id";
    let all = sqlx::query_scalar(sql).fetch_all(&mut *c).await.unwrap();
    sqlx::query("DELETE FROM bothways_changes").execute(&mut *c).await.unwrap();
    all
}

const PLAIN: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE, balance TEXT,
        level TEXT, joined TEXT, deleted_at TEXT, UNIQUE (name, level));
    CREATE TABLE tags (code TEXT PRIMARY KEY, label TEXT);";

#[tokio::test]
async fn every_kind_of_write_is_logged() {
    let program = Program::with_tables(PLAIN).await;
    program.sql("INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b')").await;
    assert_eq!(log(&program).await, ["insert 1", "insert 2"]);
    program.sql("UPDATE customers SET name = name || 'x'").await;
    assert_eq!(log(&program).await, ["update 1", "update 2"]);
    program.sql("UPDATE customers SET id = 7 WHERE id = 1").await;
    assert_eq!(log(&program).await, ["rekey 7 1"]);
    program.sql("INSERT INTO customers (id, name) VALUES (7, 'c') ON CONFLICT (id) DO UPDATE SET name = excluded.name").await;
    assert_eq!(log(&program).await, ["update 7"]);
    program.sql("DELETE FROM customers").await;
    assert_eq!(log(&program).await, ["delete 2", "delete 7"]);
    program.sql("BEGIN; INSERT INTO customers (id, name) VALUES (8, 'gone'); ROLLBACK").await;
    assert_eq!(log(&program).await, Vec::<String>::new());
    // A null key is SQLite's oddity; it must not make the writer fail.
    program.sql("INSERT INTO tags (code) VALUES (NULL); UPDATE tags SET label = 'x'; DELETE FROM tags").await;
    assert_eq!(log(&program).await, Vec::<String>::new());
}

#[tokio::test]
async fn victims_of_replace_are_logged_per_unique_index() {
    let program = Program::with_tables(PLAIN).await;
    program.sql("INSERT INTO customers (id, name, email, level) VALUES (1, 'a', 'a@', 'x'), (2, 'b', 'b@', 'x'), (3, 'c', 'c@', 'x')").await;
    log(&program).await;
    program.sql("REPLACE INTO customers (id, name, email, level) VALUES (9, 'b', 'a@', 'x')").await;
    let mut seen = log(&program).await;
    seen.sort();
    assert_eq!(seen, ["insert 9", "victim 1", "victim 2"]);
    program.sql("UPDATE OR REPLACE customers SET email = 'a@' WHERE id = 3").await;
    assert_eq!(log(&program).await, ["victim 9", "update 3"]);
    program.sql("INSERT INTO customers (id, name) VALUES (4, 'd')").await;
    log(&program).await;
    program.sql("UPDATE OR REPLACE customers SET id = 3 WHERE id = 4").await;
    assert_eq!(log(&program).await, ["victim 3", "rekey 3 4"]);
    // Null is never equal to null; a row is not its own victim.
    program.sql("INSERT INTO customers (id, name) VALUES (5, NULL), (6, NULL)").await;
    program.sql("UPDATE customers SET email = email, level = level WHERE id = 3").await;
    assert_eq!(log(&program).await, ["insert 5", "insert 6", "update 3"]);
    program.sql("INSERT OR IGNORE INTO customers (id, name) VALUES (3, 'z')").await;
    assert_eq!(log(&program).await, Vec::<String>::new());
}

#[tokio::test]
async fn victims_of_replace_are_logged_for_indexes_over_some_rows_and_over_expressions() {
    let program = Program::with_tables(PLAIN).await;
    program
        .sql(
            "CREATE UNIQUE INDEX some ON customers (balance) WHERE deleted_at IS NULL AND customers.level <> 'x,(';
             CREATE UNIQUE INDEX folded ON customers (lower(trim(joined)) COLLATE NOCASE DESC, level);
             CREATE UNIQUE INDEX not_read ON customers (joined /* and */, id + 0)",
        )
        .await;
    assert_eq!(program.store.repair().await.unwrap(), ["customers"]);
    assert_eq!(program.store.repair().await.unwrap(), Vec::<String>::new());
    program.sql("CREATE TABLE elsewhere (a)").await;
    assert_eq!(
        program.store.repair().await.unwrap(),
        Vec::<String>::new(),
        "what cannot be had is not missed"
    );
    program
        .sql(
            "INSERT INTO customers (id, balance, level, joined, deleted_at) VALUES
             (1, 'b', 'y', ' Mon', NULL), (2, 'b', 'y', 'tue', 'gone'), (3, 'c', 'z', 'wed', NULL)",
        )
        .await;
    log(&program).await;
    // Through the first: only rows that are not deleted count, on either side.
    program.sql("REPLACE INTO customers (id, balance, level) VALUES (11, 'b', 'w')").await;
    assert_eq!(log(&program).await, ["victim 1", "insert 11"]);
    program.sql("INSERT INTO customers (id, balance, level, deleted_at) VALUES (12, 'b', 'w', 'gone')").await;
    assert_eq!(log(&program).await, ["insert 12"]);
    program.sql("UPDATE OR REPLACE customers SET deleted_at = NULL WHERE id = 2").await;
    assert_eq!(log(&program).await, ["victim 11", "update 2"]);
    // Through the second.
    program.sql("REPLACE INTO customers (id, level, joined) VALUES (13, 'y', 'TUE ')").await;
    assert_eq!(log(&program).await, ["victim 2", "insert 13"]);
    program.sql("UPDATE OR REPLACE customers SET joined = 'Tue', level = 'y' WHERE id = 3").await;
    assert_eq!(log(&program).await, ["victim 13", "update 3"]);
    assert_eq!(
        program.number("SELECT 100 * min(id) + max(id) FROM customers").await,
        312,
        "3 and 12 are left"
    );
    // They use the index: no look at every row for each that is written.
    let mut c = program.connection.lock().await;
    let plan = "EXPLAIN QUERY PLAN SELECT 1 FROM customers WHERE (lower(trim(joined)) COLLATE NOCASE) = 'x' COLLATE NOCASE AND customers.level = 'y'";
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(plan).fetch_all(&mut *c).await.unwrap();
    assert!(steps[0].3.contains("USING") && steps[0].3.contains("folded"), "{steps:?}");
}

#[tokio::test]
async fn p33_a_table_rebuilt_by_another_tool_is_noticed_and_repaired() {
    let program = Program::with_tables(PLAIN).await;
    assert_eq!(program.store.repair().await.unwrap(), Vec::<String>::new());
    let rebuild = "BEGIN;
        CREATE TABLE new_customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT,
            deleted_at TEXT, added TEXT);
        INSERT INTO new_customers SELECT *, NULL FROM customers;
        DROP TABLE customers;
        ALTER TABLE new_customers RENAME TO customers;
        COMMIT;";
    program.sql(rebuild).await;
    program.sql("INSERT INTO customers (id, name) VALUES (1, 'unseen')").await;
    assert_eq!(log(&program).await, Vec::<String>::new(), "its triggers went with the old table");
    assert_eq!(program.store.repair().await.unwrap(), ["customers"]);
    assert_eq!(program.store.repair().await.unwrap(), Vec::<String>::new());
    program.sql("UPDATE customers SET name = 'seen'").await;
    assert_eq!(log(&program).await, ["update 1"]);
    // A unique index that comes or goes changes what REPLACE can displace.
    program.sql("CREATE UNIQUE INDEX by_name ON customers (name)").await;
    assert_eq!(program.store.repair().await.unwrap(), ["customers"]);
    program.sql("REPLACE INTO customers (id, name) VALUES (2, 'seen')").await;
    assert_eq!(log(&program).await, ["victim 1", "insert 2"]);
    program.sql("DROP INDEX by_name").await;
    program.store.repair().await.unwrap();
    program.sql("DROP TRIGGER bothways_on_customers__delete").await;
    assert_eq!(program.store.repair().await.unwrap(), ["customers"]);
    program.sql("DROP TABLE customers").await;
    assert_eq!(program.store.repair().await.unwrap(), Vec::<String>::new(), "there is nothing to repair");
}

/// Other programs run the trigger text with their own SQLite.
#[tokio::test]
async fn trigger_text_is_plain() {
    let program = Program::with_tables(PLAIN).await;
    let mut c = program.connection.lock().await;
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'bothways%'";
    let all: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *c).await.unwrap();
    assert!(all.len() >= 10, "{}", all.len());
    for text in all {
        for newer in ["->", "RETURNING", "json", "unixepoch", "iif(", "IS DISTINCT", "FILTER"] {
            assert!(!text.contains(newer), "{newer} in {text}");
        }
    }
}

#[tokio::test]
async fn keys_that_differ_in_case_are_two_keys() {
    let program = Program::new().await;
    let spec = PairSpec {
        catalog: "tags".into(),
        connection: "a".into(),
        resource: "r".into(),
        mapping: "m".into(),
    };
    let pair = program.store.ensure_pair(&spec).await.unwrap().id;
    program.sql("INSERT INTO tags (code) VALUES ('red'); UPDATE tags SET code = 'RED'").await;
    assert_eq!(log(&program).await, ["insert red", "rekey RED red"]);
    program.sql("UPDATE tags SET label = 'x' WHERE code = 'red'").await;
    program.store.relay(at(0), 100).await.unwrap();
    let work = program.store.work_of(pair, Some(&"RED".into()), None).await.unwrap();
    assert_eq!(work[0].subject, Subject::Local("RED".into()));
    assert!(program.store.work_of(pair, Some(&"red".into()), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_time_of_a_delete_is_its_own() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    program.sql("INSERT INTO customers (id, name) VALUES (5, 'a'); DELETE FROM customers").await;
    program.store.relay(at(0), 100).await.unwrap();
    let work = program.store.work_of(pair, Some(&"5".into()), None).await.unwrap();
    let bothways_store::Fact::Deleted { at: captured, .. } = work[0].facts[0];
    let age = (chrono::Utc::now() - captured).num_seconds();
    assert!((0..60).contains(&age), "{captured}");
}

/// The generous bound is for busy machines; the usual time is below a millisecond.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_commit_wakes_quickly() {
    let program = Program::new().await;
    program.store.changed().await;
    let mut times = Vec::new();
    for n in 0..40 {
        // Until nothing is left of what came before.
        while tokio::time::timeout(Duration::from_millis(30), program.store.changed()).await.is_ok() {}
        let text = format!("INSERT INTO customers (name) VALUES ('n{n}')");
        let waiting = program.store.changed();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        program.sql(&text).await;
        let committed = Instant::now();
        waiting.await;
        times.push(committed.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(20), "median {median:?} of {times:?}");
}

#[tokio::test]
async fn each_handle_notices_for_itself() {
    let program = Program::new().await;
    let (one, two) = (program.store.clone(), program.store.clone());
    one.changed().await;
    two.changed().await;
    program.sql("INSERT INTO customers (name) VALUES ('a')").await;
    one.changed().await;
    two.changed().await;
    assert_eq!(catalogs().len(), 2);
}

/// Closing any handle to a file takes every POSIX lock that this process has on it, SQLite's own too: nothing but SQLite may open the
/// database's files ("How To Corrupt An SQLite Database File", 2.2).
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_watch_that_ends_takes_nobodys_locks() {
    let watches = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("bothways-watch")).count()
    };
    let program = Program::new().await;
    let other = Sql::open(&program.url, catalogs()).await.unwrap();
    other.changed().await;
    program.sql("INSERT INTO customers (name) VALUES ('seen')").await;
    other.changed().await;
    // A thread gives itself its name a moment after it has begun.
    while watches() != 1 {
        tokio::task::yield_now().await;
    }
    program.sql("BEGIN IMMEDIATE; INSERT INTO customers (name) VALUES ('held')").await;
    drop(other);
    while watches() > 0 {
        tokio::task::yield_now().await;
    }
    let file = program.url.trim_start_matches("sqlite://");
    let wrote =
        std::process::Command::new("sqlite3").args([file, "BEGIN IMMEDIATE; ROLLBACK"]).output().unwrap();
    let said = String::from_utf8_lossy(&wrote.stderr).into_owned();
    assert!(said.contains("locked"), "another program could write beside an open transaction: {said}");
    program.sql("COMMIT").await;
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

/// Somebody who reads an old state keeps the log from beginning anew; afterwards it does not go on growing.
#[tokio::test]
async fn a_long_log_is_begun_anew_when_readers_let_it() {
    let program = Program::new().await;
    let log = format!("{}-wal", program.url.trim_start_matches("sqlite://"));
    let size = || std::fs::metadata(&log).unwrap().len();
    let long = "x".repeat(100_000);
    let one = Record::from_iter([("name", Value::Text(long))]);
    let mut reader = another(&program).await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM customers").execute(&mut reader).await.unwrap();
    while size() < 20_000_000 {
        program.store.insert_row("customers", &one).await.unwrap();
    }
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    for _ in 0..20 {
        program.store.insert_row("customers", &one).await.unwrap();
    }
    let grown = size();
    for _ in 0..60 {
        program.store.insert_row("customers", &one).await.unwrap();
    }
    assert_eq!(size(), grown, "what follows is written from the log's beginning");
}
