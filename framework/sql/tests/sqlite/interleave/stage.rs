//! Copies of one prepared database, each with two stores and another program's connection on it.

use crate::foreign::{Program, TABLES};
use async_trait::async_trait;
use bothways_sql::{Sql, gated};
use bothways_store::contract::catalogs;
use bothways_store::contract::interleave::{Call, Gate, Point, Scene, Stage, Theatre, prepare};
use bothways_store::{Result, Store, StoreError, StoreErrorKind};
use futures::future::BoxFuture;
use rusqlite::ErrorCode;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Mutex;

/// A transaction of another program: its statements, in order.
pub(crate) type Foreign = (&'static str, &'static [&'static str]);

/// A prepared database, and copies of it.
pub(crate) struct Copies {
    folder: TempDir,
    scene: Scene,
    dump: String,
    /// Statements that put everything back.
    reset: Vec<String>,
    foreign: &'static [Foreign],
    made: AtomicUsize,
    kept: std::sync::Mutex<Option<Arc<Opened>>>,
    /// Each run gets a file of its own; else one is put back to how it was, which is quicker and undoes no change of the schema.
    pub(crate) fresh: bool,
    /// Both rivals use one store.
    pub(crate) shared: bool,
    /// How long a store waits for the database.
    pub(crate) patience: Duration,
}

impl Copies {
    /// Prepares it.
    pub(crate) async fn of(foreign: &'static [Foreign]) -> Self {
        let program = Program::with_tables(TABLES).await;
        let scene = prepare(&program).await;
        let (dump, reset) = (dump_text(&program).await, reset_text(&program).await);
        let folder = crate::foreign::quick_folder();
        // A file of its own, whole, without a log beside it.
        let whole = folder.path().join("prepared.db");
        program.sql(&format!("VACUUM INTO '{}'", whole.display())).await;
        let mut mode = connect(&whole).await;
        sqlx::query("PRAGMA journal_mode = WAL").execute(&mut mode).await.expect("write-ahead logging");
        mode.close().await.expect("closed");
        Self {
            folder,
            scene,
            dump,
            reset,
            foreign,
            made: AtomicUsize::new(0),
            kept: std::sync::Mutex::default(),
            fresh: false,
            shared: false,
            patience: Duration::ZERO,
        }
    }

    /// Makes a call while another program has done this, until the call has begun, and then commits; what it answered, and what is stored.
    pub(crate) async fn run_beside(&self, call: Call, open: Option<&'static str>) -> (String, String) {
        let (copy, scene) = (Arc::new(self.copy().await), self.scene.clone());
        if let Some(open) = open {
            sqlx::raw_sql(open).execute(&mut *copy.other.lock().await).await.expect("a transaction");
        }
        let gate = Gate::always_open();
        let (passed, store) = (gate.clone(), copy.stores[0].clone());
        let mut task = tokio::spawn(gated(passed, async move { (call.run)(&store, &scene).await }));
        while open.is_some() && !gate.has_begun() {
            assert!(!task.is_finished(), "{} began no transaction", call.name);
            tokio::task::yield_now().await;
        }
        if open.is_some() {
            assert!(futures::poll!(&mut task).is_pending(), "{} did not wait", call.name);
            sqlx::raw_sql("COMMIT").execute(&mut *copy.other.lock().await).await.expect("a commit");
        }
        let answer = task.await.expect("no panic");
        let stage = self.on_stage(copy);
        (answer.unwrap_or_else(|error| format!("{:?}", error.kind)), stage.stored().await)
    }

    fn on_stage(&self, copy: Arc<Opened>) -> OnStage {
        OnStage {
            copy,
            scene: self.scene.clone(),
            dump: self.dump.clone(),
            foreign: self.foreign,
            shared: self.shared,
        }
    }

    async fn copy(&self) -> Opened {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}.db"));
        std::fs::copy(self.prepared(), &path).expect("a copy");
        let url = format!("sqlite://{}", path.display());
        let open = || Sql::open_with_patience(&url, catalogs(), self.patience);
        let first = open().await.expect("a store");
        let second = if self.shared { first.clone() } else { open().await.expect("another store") };
        let other = Mutex::new(connect(&path).await);
        let keeper = Keeper::of(&path, &self.prepared());
        Opened { stores: [first, second], other, keeper, path }
    }

    fn prepared(&self) -> PathBuf {
        self.folder.path().join("prepared.db")
    }
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::ZERO)
        .connect()
        .await
        .expect("a connection")
}

/// A query that gives every row of every table as one line, but for what the database's own clock says.
async fn dump_text(program: &Program) -> String {
    let mut c = program.connection.lock().await;
    let sql = "SELECT s.name, group_concat('quote(' || '\"' || x.name || '\")', ' || '' '' || ') \
               FROM sqlite_schema AS s, pragma_table_info(s.name) AS x \
               WHERE s.type = 'table' AND NOT (s.name IN ('bothways_changes', 'bothways_migrations') AND x.name = 'at') \
               AND NOT (s.name = 'bothways_work' AND x.name = 'changed') \
               GROUP BY s.name ORDER BY s.name";
    let tables: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut *c).await.expect("tables");
    let parts = tables.iter().map(|(name, columns)| {
        format!("SELECT * FROM (SELECT '{name}: ' || {columns} FROM \"{name}\" ORDER BY 1)")
    });
    parts.collect::<Vec<_>>().join(" UNION ALL ")
}

/// Statements that put every table back to how it was prepared. What the triggers make of that is put back with the change log.
async fn reset_text(program: &Program) -> Vec<String> {
    let mut c = program.connection.lock().await;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
               ORDER BY name LIKE 'bothways%', name";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *c).await.expect("tables");
    let mut statements = vec!["BEGIN IMMEDIATE".to_owned()];
    for name in tables.iter().map(String::as_str).chain(["sqlite_sequence"]) {
        statements.push(format!("DELETE FROM main.{name}"));
        statements.push(format!("INSERT INTO main.{name} SELECT * FROM prepared.{name}"));
    }
    statements.push("COMMIT".to_owned());
    statements
}

#[async_trait]
impl Theatre for Copies {
    async fn stage(&self) -> Box<dyn Stage> {
        let kept = self.kept.lock().expect("nobody panicked").clone().filter(|_| !self.fresh);
        let copy = match kept {
            Some(copy) => {
                copy.put_back(&self.reset).await;
                copy
            }
            None => {
                let copy = Arc::new(self.copy().await);
                *self.kept.lock().expect("nobody panicked") = Some(copy.clone());
                copy
            }
        };
        Box::new(self.on_stage(copy))
    }
}

/// A copy with everybody's connections.
struct Opened {
    stores: [Sql; 2],
    other: Mutex<SqliteConnection>,
    keeper: Keeper,
    path: PathBuf,
}

impl Opened {
    async fn put_back(&self, reset: &[String]) {
        // What the run before left to be rolled back is rolled back in a moment.
        for _ in 0..1_000 {
            match self.keeper.put_back(reset) {
                Ok(()) => return,
                Err(error) => {
                    let code = error.sqlite_error_code();
                    let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
                    assert!(code.is_some_and(|code| busy.contains(&code)), "{error}");
                    tokio::task::yield_now().await;
                }
            }
        }
        panic!("somebody keeps the lock");
    }
}

/// The connection that puts a copy back and reads all of it, tens of thousands of times: its statements are prepared once.
struct Keeper(std::sync::Mutex<rusqlite::Connection>);

impl Keeper {
    fn of(path: &Path, prepared: &Path) -> Self {
        let connection = rusqlite::Connection::open(path).expect("a connection");
        connection.busy_timeout(Duration::ZERO).expect("no patience");
        connection.set_prepared_statement_cache_capacity(256);
        let prepared = prepared.to_str().expect("a path in UTF-8");
        connection.execute("ATTACH ?1 AS prepared", [prepared]).expect("attached");
        Self(std::sync::Mutex::new(connection))
    }

    fn put_back(&self, reset: &[String]) -> rusqlite::Result<()> {
        let c = self.0.lock().expect("nobody panicked");
        let all = || reset.iter().try_for_each(|sql| c.prepare_cached(sql)?.execute([]).map(drop));
        all().inspect_err(|_| {
            let _ = c.execute_batch("ROLLBACK");
        })
    }

    fn lines(&self, sql: &str) -> rusqlite::Result<Vec<String>> {
        let c = self.0.lock().expect("nobody panicked");
        c.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(name);
        }
    }
}

struct OnStage {
    copy: Arc<Opened>,
    scene: Scene,
    dump: String,
    foreign: &'static [Foreign],
    shared: bool,
}

#[async_trait]
impl Stage for OnStage {
    fn store(&self, actor: usize) -> &dyn Store {
        &self.copy.stores[actor]
    }

    fn scene(&self) -> &Scene {
        &self.scene
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn gated<'a>(
        &'a self,
        gate: Arc<Gate>,
        call: BoxFuture<'a, Result<String>>,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(gated(gate, call))
    }

    fn foreign<'a>(&'a self, gate: Arc<Gate>, name: &'a str) -> BoxFuture<'a, Result<String>> {
        let statements = self.foreign.iter().find(|(known, _)| *known == name).expect("a known one").1;
        Box::pin(async move {
            let mut c = self.copy.other.lock().await;
            let answer = transaction(&mut c, &gate, statements).await;
            if answer.is_err() {
                let _ = sqlx::query("ROLLBACK").execute(&mut *c).await;
            }
            answer
        })
    }

    async fn stored(&self) -> String {
        let lines = self.copy.keeper.lines(&self.dump).expect("a dump");
        lines.iter().map(|line| without_times(line)).collect::<Vec<_>>().join("\n")
    }

    async fn pause(&self) {
        tokio::task::yield_now().await;
    }
}

/// The time of a captured delete is the other program's.
fn without_times(line: &str) -> String {
    let mut rest = line;
    let mut out = String::with_capacity(line.len());
    while let Some((before, after)) = rest.split_once("\"deleted\":{") {
        out.push_str(before);
        let (fact, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(fact.split("\"at\"").next().unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Statements as another program runs them: its first write takes the lock, and when it is told that the database is busy it rolls back.
async fn transaction(c: &mut SqliteConnection, gate: &Gate, statements: &[&'static str]) -> Result<String> {
    let mut waits_for_lock = false;
    for sql in statements {
        let point = match *sql {
            "BEGIN" => Point::Statement("PRAGMA (BEGIN)".to_owned()),
            "COMMIT" | "ROLLBACK" => Point::Commit,
            sql if sql.starts_with("BEGIN ") => Point::Begin,
            _ if waits_for_lock => Point::Begin,
            sql => Point::Statement(sql.to_owned()),
        };
        waits_for_lock = *sql == "BEGIN";
        gate.pass(point).await;
        if let Err(error) = sqlx::raw_sql(*sql).execute(&mut *c).await {
            let code = error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<i32>().ok());
            return match code.map(|code| code & 0xff) {
                // Nobody can change this while others have the file open.
                Some(5 | 6) if sql.starts_with("PRAGMA journal_mode") => Ok("refused".to_owned()),
                Some(5 | 6) => Err(StoreError::new(StoreErrorKind::Retry, error.to_string())),
                _ => Ok("refused".to_owned()),
            };
        }
    }
    Ok("done".to_owned())
}
