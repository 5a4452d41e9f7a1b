//! The connections to one database: exactly one that writes, a few that read, and one that watches (see [`crate::connection`]).
//!
//! Several writers on SQLite are slower than one and fail in more ways. Every write of the engine is `BEGIN IMMEDIATE` on the one
//! writer, and a write that is dropped half way rolls back.

use crate::connection::Connection;
use crate::error::{Failure, ours, unknown};
use crate::inspect::{TableFacts, inspect};
use crate::statement::{Arg, execute, fetch, fetch_optional};
use crate::step::{Step, before};
use crate::stored::get;
use crate::table::Table;
use crate::tuple::Tuple;
use crate::watch::{OwnWrites, Watch};
use bothways_model::{Catalog, PairId};
use bothways_store::{Result, StoreError, StoreErrorKind};
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, SqlitePool};
use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// How long a statement waits for another program's transaction.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Rows that may be on their way from a connection to whoever asked: a batch, so that neither waits for the other in between.
const ROWS: usize = 256;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;
/// A log of so many bytes is begun anew at the next chance; SQLite itself does so from 4 MB on, if it can.
const LONG_LOG: u64 = 16 * 1024 * 1024;
/// How long that waits for whoever reads.
const READERS_END: Duration = Duration::from_millis(100);
/// The writer's page cache: KiB, negative as SQLite wants it.
const WRITER_CACHE: i64 = -1_500;
/// Connections that only read.
const READERS: u32 = 4;

/// The one connection that writes.
struct Writer {
    connection: Connection,
    /// Whether its commits reach the disk before they return; `None` while that is being changed.
    durable: Option<bool>,
    own: Arc<OwnWrites>,
    log: Log,
    patience: Duration,
}

/// The write-ahead log, as a file to look at, never to open.
struct Log {
    path: PathBuf,
    /// Durable commits since its size was looked at.
    commits: u32,
}

impl Log {
    /// Whether it has grown beyond what SQLite's own checkpoints leave. They copy it, but begin it anew only at a moment when nobody reads,
    /// and in a first full pass somebody always does; a long log costs memory for its index, and time for every commit.
    fn is_long(&mut self) -> bool {
        self.commits += 1;
        if self.commits < 16 {
            return false;
        }
        self.commits = 0;
        std::fs::metadata(&self.path).is_ok_and(|log| log.len() > LONG_LOG)
    }
}

/// The writer, held.
pub(crate) struct Held<'d>(MutexGuard<'d, Writer>);

impl Held<'_> {
    /// Makes commits durable, or quick.
    async fn set_durable(&mut self, durable: bool) -> Result<()> {
        if self.0.durable != Some(durable) {
            self.0.durable = None;
            let sql = if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.0.connection.set(sql).map_err(ours)?;
            self.0.durable = Some(durable);
        }
        Ok(())
    }

    /// Begins a transaction, as durable as the writer was asked for.
    pub(crate) async fn begin(&mut self) -> Result<Writing<'_>> {
        let Writer { connection, durable, own, log, patience } = &mut *self.0;
        connection.begin(*patience).await.map_err(ours)?;
        own.begin();
        Ok(Writing { connection, durable: *durable != Some(false), own, log, patience: *patience })
    }
}

impl Deref for Held<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.0.connection
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0.connection
    }
}

/// A transaction that writes. What is not committed is undone when this is dropped.
pub(crate) struct Writing<'h> {
    connection: &'h mut Connection,
    durable: bool,
    own: &'h OwnWrites,
    log: &'h mut Log,
    patience: Duration,
}

impl Writing<'_> {
    /// Commits.
    pub(crate) async fn commit(self) -> std::result::Result<(), Failure> {
        self.connection.commit(self.durable).await?;
        if self.durable && self.log.is_long() {
            self.connection.restart_log(READERS_END, self.patience);
        }
        Ok(())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.connection.roll_back();
        self.own.end();
    }
}

impl Deref for Writing<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection
    }
}

/// What the tables of all catalogs turned out to be, by catalog, or why one cannot be used. A catalog whose table is missing is not
/// there.
type Tables = BTreeMap<String, std::result::Result<Arc<Table>, String>>;

/// One open database.
pub(crate) struct Database {
    pub(crate) catalogs: Vec<Catalog>,
    options: SqliteConnectOptions,
    /// How long a statement waits for another program's transaction.
    patience: Duration,
    writer: Mutex<Writer>,
    readers: SqlitePool,
    tables: RwLock<Arc<Tables>>,
    catalog_of: std::sync::Mutex<Arc<HashMap<PairId, String>>>,
    /// The schema's version when the tables were last looked at for a commit.
    known: AtomicI64,
    /// The schema's version when the triggers were last checked.
    pub(crate) checked: AtomicI64,
    /// Told when the writer writes.
    pub(crate) own: Arc<OwnWrites>,
    /// Whether the database keeps a write-ahead log. Without one, no commit may do without being synced.
    logs_ahead: AtomicBool,
    pub(crate) watch: OnceCell<Watch>,
    pub(crate) arrivals: crate::intake::Arrivals,
}

impl Database {
    pub(crate) async fn open(url: &str, catalogs: Vec<Catalog>, patience: Duration) -> Result<Self> {
        if !url.starts_with("sqlite:") {
            let message = "the database's URL must begin with `sqlite://`";
            return Err(StoreError::new(StoreErrorKind::Broken, message));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            let message = "a database in memory cannot be shared with other programs: name a file";
            return Err(StoreError::new(StoreErrorKind::Broken, message));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(ours)?
            .create_if_missing(true)
            .busy_timeout(patience)
            .foreign_keys(true)
            .row_buffer_size(ROWS)
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        let writer = Connection::Writing(direct(&options, patience).map_err(ours)?);
        let reading = options.clone().pragma("query_only", "ON").pragma("cache_size", "-500");
        let pool = SqlitePoolOptions::new().max_connections(READERS).min_connections(0);
        let own = Arc::new(OwnWrites::new());
        let log = Log { path: format!("{}-wal", options.get_filename().display()).into(), commits: 0 };
        let database = Self {
            catalogs,
            own: own.clone(),
            readers: pool.connect_lazy_with(reading),
            options,
            patience,
            writer: Mutex::new(Writer { connection: writer, durable: Some(true), own, log, patience }),
            tables: RwLock::default(),
            catalog_of: std::sync::Mutex::default(),
            known: AtomicI64::new(-1),
            checked: AtomicI64::new(-1),
            logs_ahead: AtomicBool::new(false),
            watch: OnceCell::new(),
            arrivals: crate::intake::Arrivals::default(),
        };
        let mut writer = database.writer().await?;
        let facts = database.facts(&mut writer).await?;
        database.set_tables(&facts);
        database.log_ahead(&mut writer).await?;
        drop(writer);
        Ok(database)
    }

    /// Puts a database that was set up back to write-ahead logging: a copy made by `VACUUM INTO` has lost it, and another tool may have
    /// changed it while nobody had the file open. Where that cannot be done now, everything is slower and nothing less safe.
    async fn log_ahead(&self, c: &mut Connection) -> Result<()> {
        let set_up = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'bothways_migrations'";
        if fetch_optional(c, set_up, []).await.map_err(ours)?.is_some()
            && let Err(error) = execute(c, "PRAGMA journal_mode = WAL", []).await
        {
            tracing::warn!(error = %ours(error), "the database has no write-ahead log, and cannot get one now");
        }
        self.see_log(c).await?;
        // Whoever has read keeps the log open, so that nobody can take it away meanwhile.
        self.schema_version(c).await.map(drop)
    }

    /// Finds out whether there is a write-ahead log.
    pub(crate) async fn see_log(&self, c: &mut Connection) -> Result<()> {
        let mode = fetch_optional(c, "PRAGMA journal_mode", []).await.map_err(ours)?;
        let mode: String = mode.map_or(Ok(String::new()), |row| get(&row, 0))?;
        self.logs_ahead.store(mode.eq_ignore_ascii_case("wal"), Ordering::Relaxed);
        Ok(())
    }

    /// The one connection that writes, when it is free. Its commits are on the disk when they return.
    pub(crate) async fn writer(&self) -> Result<Held<'_>> {
        self.writing(true).await
    }

    /// The same, for what nobody has been promised: leases, numbers, and moving captured changes on. See [`crate::durability`].
    pub(crate) async fn quick_writer(&self) -> Result<Held<'_>> {
        self.writing(false).await
    }

    async fn writing(&self, durable: bool) -> Result<Held<'_>> {
        let durable = durable || !self.logs_ahead.load(Ordering::Relaxed);
        before(Step::Turn { durable }).await;
        let mut held = Held(self.writer.lock().await);
        held.set_durable(durable).await?;
        Ok(held)
    }

    /// A connection for a question so short that it is asked on the writer, if that is free.
    pub(crate) fn free_writer(&self) -> Option<Held<'_>> {
        self.writer.try_lock().ok().map(Held)
    }

    /// A connection that reads.
    pub(crate) async fn reader(&self) -> Result<Connection> {
        self.readers.acquire().await.map(Connection::Reading).map_err(ours)
    }

    /// A connection that reads one state of the database.
    pub(crate) async fn snapshot(&self) -> Result<Connection> {
        self.readers.begin().await.map(Connection::Snapshot).map_err(ours)
    }

    pub(crate) async fn close_readers(&self) {
        self.readers.close().await;
    }

    /// A connection of its own, for watching.
    pub(crate) fn watcher(&self) -> Result<rusqlite::Connection> {
        let connection = direct(&self.options, self.patience).map_err(ours)?;
        connection.pragma_update(None, "query_only", "ON").map_err(ours)?;
        Ok(connection)
    }

    /// The database's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.options.get_filename().to_owned()
    }

    /// What the tables of all catalogs are now, in their order.
    pub(crate) async fn facts(&self, c: &mut Connection) -> Result<Vec<Option<TableFacts>>> {
        let mut all = Vec::with_capacity(self.catalogs.len());
        for catalog in &self.catalogs {
            all.push(inspect(c, &catalog.table).await?);
        }
        Ok(all)
    }

    pub(crate) fn set_tables(&self, facts: &[Option<TableFacts>]) {
        let tables = self
            .catalogs
            .iter()
            .zip(facts)
            .filter_map(|(catalog, facts)| {
                let facts = facts.as_ref()?;
                let table = match facts.lacks(catalog) {
                    None => Ok(Arc::new(Table::new(catalog.clone(), facts))),
                    Some(why) => Err(why),
                };
                Some((catalog.name.clone(), table))
            })
            .collect();
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables);
    }

    /// The tables of all catalogs, by catalog.
    pub(crate) fn tables(&self) -> Arc<Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The table of a catalog.
    pub(crate) fn table(&self, catalog: &str) -> Result<Arc<Table>> {
        table_of(&self.tables(), catalog)
    }

    /// The version that every change of the schema raises.
    pub(crate) async fn schema_version(&self, c: &mut Connection) -> Result<i64> {
        let row = fetch_optional(c, SCHEMA_VERSION, []).await.map_err(ours)?;
        row.map_or(Ok(0), |row| get(&row, 0))
    }

    /// Looks at the tables again if the schema, whose version was asked for with [`SCHEMA_VERSION`], is not the one they were last seen
    /// in: a trigger made since by somebody else changes what can be read back of a write (rule 15).
    pub(crate) async fn know_tables(&self, c: &mut Connection, version: &[Tuple]) -> Result<()> {
        let version = version.first().map_or(Ok(0), |row| get(row, 0))?;
        if self.known.load(Ordering::Relaxed) != version {
            let facts = self.facts(c).await?;
            self.set_tables(&facts);
            self.known.store(version, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The tables of pairs, if all of them have been asked for before.
    pub(crate) fn known_tables(
        &self,
        pairs: impl IntoIterator<Item = PairId>,
    ) -> Option<Result<HashMap<PairId, Arc<Table>>>> {
        let known = self.catalog_of.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tables = self.tables();
        pairs
            .into_iter()
            .map(|pair| {
                let catalog = known.get(&pair)?;
                Some(table_of(&tables, catalog).map(|table| (pair, table)))
            })
            .collect()
    }

    /// The tables of pairs. A pair never changes its catalog, so it is asked for once.
    pub(crate) async fn tables_of(
        &self,
        c: &mut Connection,
        pairs: impl IntoIterator<Item = PairId>,
    ) -> Result<HashMap<PairId, Arc<Table>>> {
        let pairs: Vec<PairId> = pairs.into_iter().collect();
        if let Some(known) = self.known_tables(pairs.iter().copied()) {
            return known;
        }
        let rows = fetch(c, "SELECT id, catalog FROM bothways_pairs", []).await.map_err(ours)?;
        let read: Result<HashMap<PairId, String>> =
            rows.iter().map(|row| Ok((PairId(get(row, 0)?), get(row, 1)?))).collect();
        *self.catalog_of.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(read?);
        self.known_tables(pairs.iter().copied()).unwrap_or_else(|| Err(unknown("there is no such pair")))
    }
}

fn table_of(tables: &Tables, catalog: &str) -> Result<Arc<Table>> {
    match tables.get(catalog) {
        Some(Ok(table)) => Ok(table.clone()),
        Some(Err(why)) => Err(StoreError::new(StoreErrorKind::Broken, why.clone())),
        None => Err(unknown(format!("there is no table for catalog `{catalog}`"))),
    }
}

/// Asks for the version that every change of the schema raises.
pub(crate) const SCHEMA_VERSION: &str = "PRAGMA schema_version";

/// Opens a connection that is used in place.
fn direct(options: &SqliteConnectOptions, patience: Duration) -> rusqlite::Result<rusqlite::Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(options.get_filename(), flags)?;
    connection.busy_timeout(patience)?;
    // Else a statement whose plan may depend on a bound value is planned again for each value, which takes longer than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    Ok(connection)
}

/// Draws as many numbers as its parameter says; its answer is for [`first_drawn`].
pub(crate) const DRAW: &str = "UPDATE bothways_counter SET value = value + ? RETURNING value";

/// The first of `count` numbers that were drawn (rule 41).
pub(crate) fn first_drawn(answer: &[Tuple], count: usize) -> Result<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let last: i64 = match answer.first() {
        Some(row) => get(row, 0)?,
        None => return Err(crate::error::damaged("the counter")),
    };
    Ok(last - count + 1)
}

/// Draws `count` numbers and returns the first (rule 41).
pub(crate) async fn draw(c: &mut Connection, count: usize) -> Result<i64> {
    let answer = fetch(c, DRAW, [Arg::from(count)]).await.map_err(ours)?;
    first_drawn(&answer, count)
}

/// Marks the place to go back to.
pub(crate) async fn savepoint(c: &mut Connection) -> Result<()> {
    execute(c, "SAVEPOINT step", []).await.map(drop).map_err(ours)
}

/// Goes back to the last savepoint and forgets it.
pub(crate) async fn undo(c: &mut Connection) -> Result<()> {
    execute(c, "ROLLBACK TO step", []).await.map_err(ours)?;
    release(c).await
}

/// Forgets the last savepoint and keeps what was done.
pub(crate) async fn release(c: &mut Connection) -> Result<()> {
    execute(c, "RELEASE step", []).await.map(drop).map_err(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_promised_is_always_synced() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("s.db").display());
        let database = Database::open(&url, Vec::new(), PATIENCE).await.unwrap();
        // Without a log nothing is left to chance.
        assert_eq!(database.quick_writer().await.unwrap().0.durable, Some(true));
        database.migrate(true).await.unwrap();
        drop(database);
        let database = Database::open(&url, Vec::new(), PATIENCE).await.unwrap();
        async fn mode(c: &mut Connection) -> i64 {
            get(&fetch_optional(c, "PRAGMA synchronous", []).await.unwrap().unwrap(), 0).unwrap()
        }
        assert_eq!(mode(&mut database.writer().await.unwrap()).await, 2);
        assert_eq!(mode(&mut database.quick_writer().await.unwrap()).await, 1);
        // A caller that gives up while the mode changes leaves no doubt behind.
        let mut dropped = Box::pin(database.writer());
        let _ = futures::poll!(&mut dropped);
        drop(dropped);
        assert_eq!(mode(&mut database.quick_writer().await.unwrap()).await, 1);
        assert_eq!(mode(&mut database.writer().await.unwrap()).await, 2);
    }
}
