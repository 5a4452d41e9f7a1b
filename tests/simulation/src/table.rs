//! The user's table, written by other programs: in memory, or a real SQLite file.

use crate::kinds::Kind;
use bothways_model::{Catalog, LocalId, LocalRow, Record, Timestamp, Value};
use bothways_sql::Sql;
use bothways_store::{MemoryStore, Rows, Store};
use futures::FutureExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The user's tables, by their catalogs, as another program reaches them. Every call is one transaction of that program.
pub(crate) trait Table: Send + Sync {
    /// All rows, by key.
    fn rows(&self, of: &str) -> Vec<LocalRow>;
    /// Inserts; `None` if the table refuses.
    fn insert(&self, of: &str, fields: Record, at: Timestamp) -> Option<LocalId>;
    /// Sets fields. False if there is no such row, or it is refused.
    fn update(&self, of: &str, id: &LocalId, fields: Record, at: Timestamp) -> bool;
    /// Archives a row at that time, or takes it back out. False if there is no such row.
    fn archive(&self, of: &str, id: &LocalId, archived: Option<Timestamp>, at: Timestamp) -> bool;
    /// Deletes. False if there is no such row.
    fn delete(&self, of: &str, id: &LocalId, at: Timestamp) -> bool;
    /// Changes a key. False if that is refused.
    fn rekey(&self, of: &str, old: &LocalId, new: &LocalId, at: Timestamp) -> bool;
    /// Swaps two keys in one transaction. False if that is refused.
    fn swap(&self, of: &str, a: &LocalId, b: &LocalId, spare: &LocalId, at: Timestamp) -> bool;
    /// A store for one more process.
    fn store(&self) -> Backing;
    /// What was captured since the last call was captured now.
    fn stamp(&self, _at: Timestamp) {}
    /// Waits until more is captured than was `seen`. Only for a store that would watch its file in real time.
    fn captured(&self, _seen: &AtomicI64, _waker: &Waker) -> bool {
        true
    }
}

/// A store, and how a call of it is carried out within one step.
#[derive(Clone)]
pub(crate) struct Backing {
    pub(crate) store: Arc<dyn Store>,
    /// What drives it, where its calls really wait for something.
    pub(crate) runtime: Option<Arc<Runtime>>,
}

impl Backing {
    /// Carries a call out, at once.
    pub(crate) fn run<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        match &self.runtime {
            Some(runtime) => Some(runtime.block_on(call)),
            None => call.now_or_never(),
        }
    }
}

/// The in-memory store's table.
pub(crate) struct InMemory {
    store: MemoryStore,
}

impl InMemory {
    pub(crate) fn new(catalogs: Vec<Catalog>) -> Self {
        Self { store: MemoryStore::new(catalogs) }
    }
}

impl Table for InMemory {
    fn rows(&self, of: &str) -> Vec<LocalRow> {
        let page = self.store.rows(of, None, None, 10_000).now_or_never();
        page.and_then(Result::ok).map(|page| page.rows).unwrap_or_default()
    }

    fn insert(&self, of: &str, fields: Record, at: Timestamp) -> Option<LocalId> {
        self.store.foreign().insert(of, fields, at).ok()
    }

    fn update(&self, of: &str, id: &LocalId, fields: Record, at: Timestamp) -> bool {
        self.store.foreign().update(of, id, fields, at).unwrap_or(false)
    }

    fn archive(&self, of: &str, id: &LocalId, archived: Option<Timestamp>, at: Timestamp) -> bool {
        self.store.foreign().archive(of, id, archived, at).unwrap_or(false)
    }

    fn delete(&self, of: &str, id: &LocalId, at: Timestamp) -> bool {
        self.store.foreign().delete(of, id, at).unwrap_or(false)
    }

    fn rekey(&self, of: &str, old: &LocalId, new: &LocalId, at: Timestamp) -> bool {
        self.store.foreign().rekey(of, old, new, at).unwrap_or(false)
    }

    fn swap(&self, of: &str, a: &LocalId, b: &LocalId, spare: &LocalId, at: Timestamp) -> bool {
        self.store.foreign().swap(of, a, b, spare, at).is_ok()
    }

    fn store(&self) -> Backing {
        Backing { store: Arc::new(self.store.clone()), runtime: None }
    }
}

/// A SQLite file of its own, with a connection of another program.
pub(crate) struct InSqlite {
    runtime: Arc<Runtime>,
    sql: Sql,
    user: Mutex<SqliteConnection>,
    /// The last captured change whose time is that of the run: triggers know the real one only.
    stamped: AtomicI64,
    waiting: Mutex<Vec<Waker>>,
    _folder: TempDir,
}

impl InSqlite {
    /// Makes the file and installs the engine's tables and triggers.
    ///
    /// # Errors
    /// The database cannot be made; in words.
    pub(crate) fn new(kinds: &[&Kind], catalogs: Vec<Catalog>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime for SQLite: {error}"))?;
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.map_err(|error| format!("no folder for SQLite: {error}"))?;
        let path = folder.path().join("simulated.db");
        let (sql, user) = runtime
            .block_on(async {
                let options = SqliteConnectOptions::new()
                    .filename(&path)
                    .create_if_missing(true)
                    .busy_timeout(std::time::Duration::from_secs(5));
                let mut user = options.connect().await.map_err(|error| error.to_string())?;
                for kind in kinds {
                    sqlx::raw_sql(kind.table).execute(&mut user).await.map_err(|error| error.to_string())?;
                }
                for catalog in catalogs.iter().filter(|catalog| catalog.deleted_at.is_some()) {
                    let add = format!("ALTER TABLE {} ADD COLUMN archived_at TEXT", catalog.table);
                    let added = sqlx::raw_sql(AssertSqlSafe(add)).execute(&mut user).await;
                    added.map_err(|error| error.to_string())?;
                }
                let sql = Sql::open(&format!("sqlite://{}", path.display()), catalogs)
                    .await
                    .map_err(|error| error.to_string())?;
                sql.migrate().await.map_err(|error| error.to_string())?;
                Ok::<_, String>((sql, user))
            })
            .map_err(|error| format!("SQLite: {error}"))?;
        let (user, stamped, waiting) = (Mutex::new(user), AtomicI64::new(0), Mutex::default());
        Ok(Self { runtime: Arc::new(runtime), sql, user, stamped, waiting, _folder: folder })
    }

    /// Carries statements out; how many rows the last changed, `None` if one is refused.
    fn execute(&self, statements: &str, at: Timestamp) -> Option<u64> {
        let done = self.run(statements);
        self.stamp(at);
        done
    }

    fn run(&self, statements: &str) -> Option<u64> {
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *user);
        self.runtime.block_on(done).ok().map(|done| done.rows_affected())
    }

    fn number(&self, question: &str) -> Option<i64> {
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        let asked =
            sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(question.to_owned())).fetch_one(&mut *user);
        self.runtime.block_on(asked).ok().flatten()
    }
}

/// A value as SQL. The users of this file write text and whole numbers.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(number) => number.to_string(),
        other => format!("'{}'", other.to_text().replace('\'', "''")),
    }
}

impl Table for InSqlite {
    fn rows(&self, of: &str) -> Vec<LocalRow> {
        let page = self.runtime.block_on(self.sql.rows(of, None, None, 10_000));
        page.map(|page| page.rows).unwrap_or_default()
    }

    fn insert(&self, of: &str, fields: Record, at: Timestamp) -> Option<LocalId> {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let values: Vec<String> = fields.iter().map(|(_, value)| literal(value)).collect();
        let statement = format!("INSERT INTO {of} ({}) VALUES ({})", names.join(", "), values.join(", "));
        self.execute(&statement, at)?;
        let named = fields.get("id").map(|value| LocalId(value.to_text()));
        named.or_else(|| self.number(&format!("SELECT max(id) FROM {of}")).map(|id| LocalId(id.to_string())))
    }

    fn update(&self, of: &str, id: &LocalId, fields: Record, at: Timestamp) -> bool {
        let sets: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name} = {}", literal(value))).collect();
        let statement = format!("UPDATE {of} SET {} WHERE id = {}", sets.join(", "), id.as_str());
        self.execute(&statement, at).is_some_and(|changed| changed > 0)
    }

    fn archive(&self, of: &str, id: &LocalId, archived: Option<Timestamp>, at: Timestamp) -> bool {
        let archived = archived.map_or(Value::Null, Value::Timestamp);
        self.update(of, id, Record::from_iter([("archived_at", archived)]), at)
    }

    fn delete(&self, of: &str, id: &LocalId, at: Timestamp) -> bool {
        self.execute(&format!("DELETE FROM {of} WHERE id = {}", id.as_str()), at)
            .is_some_and(|changed| changed > 0)
    }

    fn rekey(&self, of: &str, old: &LocalId, new: &LocalId, at: Timestamp) -> bool {
        let statement = format!("UPDATE {of} SET id = {} WHERE id = {}", new.as_str(), old.as_str());
        self.execute(&statement, at).is_some_and(|changed| changed > 0)
    }

    fn swap(&self, of: &str, a: &LocalId, b: &LocalId, spare: &LocalId, at: Timestamp) -> bool {
        let (a, b, spare) = (a.as_str(), b.as_str(), spare.as_str());
        let swap = format!(
            "BEGIN IMMEDIATE; UPDATE {of} SET id = {spare} WHERE id = {a}; UPDATE {of} SET id = {a} WHERE id = {b};
             UPDATE {of} SET id = {b} WHERE id = {spare}; COMMIT"
        );
        let done = self.execute(&swap, at);
        if done.is_none() {
            self.run("ROLLBACK");
        }
        done.is_some()
    }

    fn store(&self) -> Backing {
        Backing { store: Arc::new(self.sql.clone()), runtime: Some(self.runtime.clone()) }
    }

    fn stamp(&self, at: Timestamp) {
        let Some(last) = self.number("SELECT max(id) FROM bothways_changes") else { return };
        let stamped = self.stamped.swap(last, Ordering::Relaxed);
        if stamped < last {
            let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            self.run(&format!("UPDATE bothways_changes SET at = '{at}' WHERE id > {stamped}"));
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn captured(&self, seen: &AtomicI64, waker: &Waker) -> bool {
        let stamped = self.stamped.load(Ordering::Relaxed);
        if seen.swap(stamped, Ordering::Relaxed) != stamped {
            return true;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|other| !other.will_wake(waker));
        waiting.push(waker.clone());
        false
    }
}
