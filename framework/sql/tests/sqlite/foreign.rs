//! Another program that writes the same tables with plain SQL, and short ways to what the tests need.

use async_trait::async_trait;
use bothways_model::{Catalog, LinkId, LocalId, LocalRow, Mode, PairId, Record, Seq, Timestamp, Value};
use bothways_sql::Sql;
use bothways_store::contract::{Bench, catalogs};
use bothways_store::{
    Guard, Lease, LeaseAction, Link, LinkBody, LinkState, LinkWrite, LocalBinding, PairSpec, Pairs, RowWrite,
    Settled, Store, Unit, UnitOutcome,
};
use chrono::TimeDelta;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Row, SqliteConnection};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::Mutex;

/// The user's tables, as a user would make them.
pub(crate) const TABLES: &str = "
    CREATE TABLE customers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        email TEXT UNIQUE,
        balance TEXT,
        level TEXT NOT NULL DEFAULT 'basic',
        joined TEXT,
        deleted_at TEXT
    );
    CREATE TRIGGER trim_insert AFTER INSERT ON customers WHEN NEW.name <> trim(NEW.name)
        BEGIN UPDATE customers SET name = trim(NEW.name) WHERE id = NEW.id; END;
    CREATE TRIGGER trim_update AFTER UPDATE OF name ON customers WHEN NEW.name <> trim(NEW.name)
        BEGIN UPDATE customers SET name = trim(NEW.name) WHERE id = NEW.id; END;
    CREATE TRIGGER forbid_insert BEFORE INSERT ON customers WHEN NEW.name = 'forbidden'
        BEGIN SELECT RAISE(ABORT, 'this name is not allowed'); END;
    CREATE TRIGGER forbid_update BEFORE UPDATE ON customers WHEN NEW.name = 'forbidden'
        BEGIN SELECT RAISE(ABORT, 'this name is not allowed'); END;
    CREATE TABLE tags (code TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, label TEXT);
";

/// A table whose key is two columns.
pub(crate) const SEATS: &str = "
    CREATE TABLE seats (
        code TEXT NOT NULL COLLATE NOCASE,
        holder TEXT,
        tenant INTEGER NOT NULL,
        badge TEXT UNIQUE,
        PRIMARY KEY (tenant, code COLLATE BINARY)
    );
";

/// A store on a database of its own, and the other program.
pub(crate) struct Program {
    pub(crate) store: Sql,
    pub(crate) connection: Mutex<SqliteConnection>,
    pub(crate) url: String,
    _folder: TempDir,
}

impl Program {
    pub(crate) async fn new() -> Self {
        Self::with_tables(TABLES).await
    }

    pub(crate) async fn with_tables(tables: &str) -> Self {
        Self::of(tables, catalogs()).await
    }

    pub(crate) async fn of(tables: &str, catalogs: Vec<Catalog>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let url = format!("sqlite://{}", path.display());
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(tables.to_owned())).execute(&mut connection).await.unwrap();
        let store = Sql::open(&url, catalogs).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, connection: Mutex::new(connection), url, _folder: folder }
    }

    /// Runs plain SQL, several statements if need be.
    pub(crate) async fn sql(&self, text: &str) {
        let mut c = self.connection.lock().await;
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut *c).await.unwrap();
    }

    /// Runs plain SQL that the table may refuse.
    pub(crate) async fn try_sql(&self, text: &str) {
        let mut c = self.connection.lock().await;
        let _ = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut *c).await;
    }

    /// The first column of the first row of a query, as a number.
    pub(crate) async fn number(&self, text: &str) -> i64 {
        let mut c = self.connection.lock().await;
        sqlx::query_scalar(AssertSqlSafe(text.to_owned())).fetch_one(&mut *c).await.unwrap()
    }

    async fn put(&self, verb: &str, catalog: &str, fields: Record) -> LocalId {
        let (names, values): (Vec<&String>, Vec<&Value>) = fields.iter().unzip();
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        let marks = vec!["?"; values.len()].join(", ");
        let key = match catalog {
            "tags" => "code",
            "seats" => "tenant || '/' || code",
            _ => "id",
        };
        let sql = format!(
            "{verb} INTO {catalog} ({}) VALUES ({marks}) RETURNING CAST({key} AS TEXT)",
            names.join(", ")
        );
        let mut c = self.connection.lock().await;
        let row = sqlx::query_with(AssertSqlSafe(sql), bind(values)).fetch_one(&mut *c).await.unwrap();
        LocalId(row.get(0))
    }
}

fn bind(values: Vec<&Value>) -> SqliteArguments {
    let mut args = SqliteArguments::default();
    for value in values {
        match value {
            Value::Null => args.add(None::<String>),
            Value::Int(number) => args.add(*number),
            other => args.add(other.to_text()),
        }
        .unwrap();
    }
    args
}

fn key(catalog: &str, id: &LocalId) -> String {
    match catalog {
        "tags" => format!("code = '{id}' COLLATE BINARY"),
        "seats" => seat(id, " AND "),
        _ => format!("id = {id}"),
    }
}

/// The key columns of a seat, equal to those of a plain id or set to them.
fn seat(id: &LocalId, between: &str) -> String {
    let (tenant, code) = id.as_str().split_once('/').unwrap();
    format!("tenant = {tenant}{between}code = '{code}'")
}

#[async_trait]
impl Bench for Program {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn insert(&self, catalog: &str, fields: Record) -> LocalId {
        self.put("INSERT", catalog, fields).await
    }

    async fn update(&self, catalog: &str, id: &LocalId, fields: Record) {
        let (names, values): (Vec<&String>, Vec<&Value>) = fields.iter().unzip();
        let set: Vec<String> = names.into_iter().map(|name| format!("{name} = ?")).collect();
        let sql = format!("UPDATE {catalog} SET {} WHERE {}", set.join(", "), key(catalog, id));
        let mut c = self.connection.lock().await;
        let done = sqlx::query_with(AssertSqlSafe(sql), bind(values)).execute(&mut *c).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }

    async fn delete(&self, catalog: &str, id: &LocalId) {
        self.sql(&format!("DELETE FROM {catalog} WHERE {}", key(catalog, id))).await;
    }

    async fn replace(&self, catalog: &str, fields: Record) -> LocalId {
        self.put("REPLACE", catalog, fields).await
    }

    async fn rekey(&self, catalog: &str, old: &LocalId, new: &LocalId) {
        let set = match catalog {
            "tags" => format!("code = '{new}'"),
            "seats" => seat(new, ", "),
            _ => format!("id = {new}"),
        };
        self.sql(&format!("UPDATE {catalog} SET {set} WHERE {}", key(catalog, old))).await;
    }

    async fn swap(&self, catalog: &str, a: &LocalId, b: &LocalId, spare: &LocalId) {
        let set = |id: &LocalId| if catalog == "seats" { seat(id, ", ") } else { format!("id = {id}") };
        let step = |from: &LocalId, to: &LocalId| {
            format!("UPDATE {catalog} SET {} WHERE {}", set(to), key(catalog, from))
        };
        self.sql(&format!("BEGIN; {}; {}; {}; COMMIT", step(a, spare), step(b, a), step(spare, b))).await;
    }

    async fn lose(&self, catalog: &str, id: &LocalId) {
        // As another database file would have it: without what the trigger logged.
        let delete = format!("DELETE FROM {catalog} WHERE {}", key(catalog, id));
        self.sql(&format!("BEGIN; {delete}; DELETE FROM bothways_changes WHERE op = 'delete'; COMMIT")).await;
    }

    async fn spoil(&self, id: &LocalId) {
        self.sql(&format!("UPDATE customers SET balance = 'a lot' WHERE id = {id}")).await;
    }
}

/// A folder in memory where there is one: what is written again and again need not reach a disk.
pub(crate) fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A fixed moment plus so many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// The pair of customers.
pub(crate) async fn pair(store: &Sql) -> PairId {
    let spec = PairSpec {
        catalog: "customers".into(),
        connection: "stripe".into(),
        resource: "customers".into(),
        mapping: "m".into(),
    };
    store.ensure_pair(&spec).await.unwrap().id
}

/// A claim of a record without a row, leased for long.
pub(crate) fn claim(pair: PairId, n: u128, token: Seq) -> Link {
    Link {
        id: LinkId(uuid::Uuid::from_u128(n)),
        pair,
        local_id: None,
        remote_id: Some(format!("cus_{n}").into()),
        account: None,
        mode: Mode::Test,
        state: LinkState::Linked,
        body: LinkBody::default(),
        created_at: at(0),
        updated_at: at(0),
        in_step_at: None,
        lease: Some(Lease { token, until: at(1_000) }),
    }
}

/// Claims `count` records, each with a row of its own made by `fields`.
pub(crate) fn inserting(
    pair: PairId,
    count: u128,
    fields: impl Fn(u128) -> Record + Send + Sync + Clone + 'static,
) -> Vec<Unit> {
    let unit = |n: u128| {
        let mut unit = Unit::new(Guard::Claim(Box::new(claim(pair, n, Seq(1)))));
        let fields = fields.clone();
        unit.settle = Some(Arc::new(move |_, link| Settled {
            row: RowWrite::Insert(fields(n)),
            link: Some(LinkWrite { link: link.clone(), local: LocalBinding::Inserted }),
            base_from_row: vec![("name".into(), "name".into())],
            ..Settled::default()
        }));
        unit.lease = LeaseAction::Renew(at(1_000));
        unit
    };
    (1..=count).map(unit).collect()
}

/// The link and the row of a unit that is done.
#[track_caller]
pub(crate) fn done(outcome: UnitOutcome) -> (Link, Option<LocalRow>) {
    match outcome {
        UnitOutcome::Done { link: Some(link), row } => (*link, row),
        other => panic!("not done: {other:?}"),
    }
}
