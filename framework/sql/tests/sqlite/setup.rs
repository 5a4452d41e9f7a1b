//! Nothing is installed unasked, everything can be taken out again, and what the database is can be asked.

use crate::foreign::{Program, TABLES, at, pair};
use bothways_model::{Catalog, Ident, KeyMaker};
use bothways_sql::Sql;
use bothways_store::contract::catalogs;
use bothways_store::{Capture, Rows, StoreErrorKind, WorkQueue};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

#[tokio::test]
async fn an_empty_database_says_so_and_gets_tables_from_documents() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("new.db").display());
    let store = Sql::open(&url, catalogs()).await.unwrap();
    assert!(store.is_empty().await.unwrap());
    assert!(!store.is_installed().await.unwrap());
    assert_eq!(store.missing_tables().await.unwrap(), ["customers", "tags"]);
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    assert!(store.is_empty().await.unwrap(), "a refused set-up leaves nothing");
    for catalog in catalogs() {
        store.create_table(&catalog).await.unwrap();
        assert_eq!(store.create_table(&catalog).await.unwrap_err().kind, StoreErrorKind::Refused);
    }
    let done = store.migrate().await.unwrap();
    assert_eq!((done.applied.len(), done.catalogs), (9, vec!["customers".to_owned(), "tags".to_owned()]));
    assert_eq!(store.migrate().await.unwrap(), Default::default(), "again changes nothing");
    assert!(store.is_installed().await.unwrap());
    let facts = store.inspect(&ident("customers")).await.unwrap().unwrap();
    assert!(facts.autoincrement && facts.key_is_row_number);
    assert!(facts.column("name").unwrap().not_null && !facts.column("email").unwrap().not_null);
    assert_eq!(facts.column("deleted_at").unwrap().declared, "TEXT");
    // A key is never used twice, even the highest.
    let row = |name: &str| {
        [("name", crate::foreign::text(name)), ("level", crate::foreign::text("gold"))].into_iter().collect()
    };
    let first = store.insert_row("customers", &row("a")).await.unwrap().id;
    assert!(store.delete_row("customers", &first).await.unwrap());
    assert_ne!(store.insert_row("customers", &row("b")).await.unwrap().id, first);
}

#[tokio::test]
async fn setting_up_creates_tables_and_installs_everything_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("new.db").display());
    let store = Sql::open(&url, catalogs()).await.unwrap();
    let done = store.set_up().await.unwrap();
    assert_eq!(done.created, ["customers", "tags"]);
    assert_eq!(done.catalogs, ["customers", "tags"]);
    assert_eq!(store.set_up().await.unwrap(), Default::default(), "again changes nothing");
    assert!(store.is_installed().await.unwrap());

    // The second table is no table: the first one is not left behind.
    let file = folder.path().join("view.db");
    let mut other =
        SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    sqlx::query("CREATE VIEW tags AS SELECT 1 AS id").execute(&mut other).await.unwrap();
    let store = Sql::open(&format!("sqlite://{}", file.display()), catalogs()).await.unwrap();
    assert_eq!(store.set_up().await.unwrap_err().kind, StoreErrorKind::Refused);
    assert_eq!(store.missing_tables().await.unwrap(), ["customers"]);
    assert!(!store.is_installed().await.unwrap());
}

#[tokio::test]
async fn without_migrate_a_database_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let mut user =
        SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(TABLES)).execute(&mut user).await.unwrap();
    let store = Sql::open(&format!("sqlite://{}", path.display()), catalogs()).await.unwrap();
    assert!(!store.is_empty().await.unwrap());
    assert!(!store.is_installed().await.unwrap());
    assert_eq!(store.repair().await.unwrap(), Vec::<String>::new());
    let error = store.relay(at(0), 1).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Broken);
    assert!(error.to_string().contains("bothways migrate"), "{error}");
    assert_eq!(store.count_rows("customers").await.unwrap(), 0, "its tables can be read all the same");
    let count = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bothways%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut user).await.unwrap(), 0);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut user).await.unwrap();
    assert_eq!(mode, "delete");
}

#[tokio::test]
async fn remove_takes_everything_out() {
    let program = Program::new().await;
    let before = program.number("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%bothways%'").await;
    pair(&program.store).await;
    program.store.remove().await.unwrap();
    assert_eq!(program.number("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%bothways%'").await, 0);
    assert_eq!(program.number("SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%bothways%'").await, 0);
    assert_eq!(program.number("SELECT count(*) FROM sqlite_schema").await, before);
    program.sql("INSERT INTO customers (name) VALUES ('still works')").await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let program = Program::new().await;
    program.sql("INSERT INTO bothways_migrations (name, at) VALUES ('9999_future', '')").await;
    let newer = Sql::open(&program.url, catalogs()).await.unwrap();
    assert_eq!(newer.is_installed().await.unwrap_err().kind, StoreErrorKind::Broken);
    assert_eq!(newer.migrate().await.unwrap_err().kind, StoreErrorKind::Broken);
}

#[tokio::test]
async fn a_new_catalog_waits_for_migrate() {
    let program = Program::new().await;
    program.sql("CREATE TABLE more (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT, deleted_at TEXT)").await;
    let mut all = catalogs();
    let more = Catalog { name: "more".into(), table: ident("more"), ..all[0].clone() };
    all.push(more);
    let store = Sql::open(&program.url, all).await.unwrap();
    assert_eq!(store.uninstalled_catalogs().await.unwrap(), ["more"]);
    assert_eq!(store.repair().await.unwrap(), Vec::<String>::new());
    let triggers = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'more'";
    assert_eq!(program.number(triggers).await, 0);
    assert_eq!(store.migrate().await.unwrap().catalogs, ["more"]);
    assert!(program.number(triggers).await > 0);
    assert!(store.uninstalled_catalogs().await.unwrap().is_empty());
}

#[tokio::test]
async fn tables_are_inspected() {
    let program = Program::with_tables(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, email TEXT, balance NUMERIC DEFAULT 0 NOT NULL,
            level TEXT, joined INTEGER, deleted_at TEXT, shout TEXT AS (upper(name)) STORED, UNIQUE (name, email));
         CREATE UNIQUE INDEX lower_email ON customers (lower(email));
         CREATE UNIQUE INDEX some ON customers (email) WHERE deleted_at IS NULL;
         CREATE INDEX plain ON customers (level);
         CREATE TABLE tags (code TEXT PRIMARY KEY COLLATE NOCASE, label TEXT) WITHOUT ROWID;
         CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES Customers (id) ON DELETE CASCADE);
         CREATE TABLE notes (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id));
         CREATE TRIGGER mine AFTER INSERT ON customers BEGIN SELECT 1; END;
         CREATE VIEW gold AS SELECT * FROM customers WHERE level = 'gold';",
    )
    .await;
    let facts = program.store.inspect(&ident("CUSTOMERS")).await.unwrap().unwrap();
    assert_eq!((facts.table.as_str(), facts.view, facts.autoincrement), ("customers", false, false));
    assert!(facts.key_is_row_number);
    assert_eq!(facts.key, ["id"]);
    assert!(facts.column("shout").unwrap().generated);
    assert!(facts.column("balance").unwrap().has_default && facts.column("joined").unwrap().is_integer());
    let unique: Vec<_> = facts
        .unique
        .iter()
        .map(|u| {
            (
                u.columns
                    .iter()
                    .map(|c| format!("{} {}", c.name, c.collation))
                    .collect::<Vec<_>>()
                    .join(", "),
                u.is_plain(),
            )
        })
        .collect();
    assert!(unique.contains(&("name NOCASE, email BINARY".into(), true)), "{unique:?}");
    assert!(unique.contains(&("email BINARY".into(), false)), "partial: {unique:?}");
    assert!(unique.contains(&(" BINARY".into(), false)), "expression: {unique:?}");
    assert_eq!(unique.len(), 3);
    assert_eq!(facts.cascading_children().map(|c| c.table.as_str()).collect::<Vec<_>>(), ["orders"]);
    assert_eq!(facts.children.len(), 2);
    assert_eq!(facts.triggers, ["mine"]);
    let tags = program.store.inspect(&ident("tags")).await.unwrap().unwrap();
    assert!(tags.key_ignores_case() && !tags.key_is_row_number);
    assert!(program.store.inspect(&ident("gold")).await.unwrap().unwrap().view);
    assert_eq!(program.store.inspect(&ident("nobody")).await.unwrap(), None);
}

#[tokio::test]
async fn wrong_urls_are_errors() {
    for url in ["sqlite::memory:", "sqlite:///no/such/folder/x.db", "postgres://localhost/x", "nonsense"] {
        let error = Sql::open(url, catalogs()).await.err().map(|e| e.kind);
        assert_eq!(error, Some(StoreErrorKind::Broken), "{url}");
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    let signal = bothways_store::Signal {
        pair,
        subject: bothways_store::Subject::Remote("cus_1".into()),
        look: true,
        not_before: Some(at(5) + chrono::TimeDelta::nanoseconds(123)),
    };
    program.store.signal(at(1), &[signal]).await.unwrap();
    let again = Sql::open(&program.url, catalogs()).await.unwrap();
    let due = again.next_due(&[pair]).await.unwrap();
    assert_eq!(due, Some(at(5) + chrono::TimeDelta::nanoseconds(123)), "to the nanosecond");
    assert_eq!(catalogs()[0].made_by, KeyMaker::Database);
}
