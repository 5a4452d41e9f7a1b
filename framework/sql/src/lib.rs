//! The store on SQL: SQLite now, shaped so that PostgreSQL and MySQL can join (`dialect.rs` is the seam).
//!
//! Every write is one `BEGIN IMMEDIATE` transaction of few statements, whatever the number of records: the rows, links and work it is
//! about are read as sets, the shared transitions of `bothways_store` run in memory, and the results are written as sets. Only
//! what a table refuses is done row by row.

mod brakes;
mod capture;
mod cell;
mod commit;
mod connect;
mod connection;
mod credentials;
mod dialect;
mod durability;
mod erasure;
mod error;
mod index_text;
mod inspect;
mod intake;
mod keys;
mod links;
mod migrate;
mod operator;
mod pairs;
mod queue;
mod relay;
mod row_write;
mod rows;
mod statement;
mod step;
mod stored;
mod table;
mod triggers;
mod tuple;
mod watch;
mod work_book;

pub use inspect::{ChildFacts, ColumnFacts, TableFacts, UniqueColumn, UniqueFacts};
pub use migrate::Migrated;
#[cfg(feature = "testkit")]
pub use step::gated;

use bothways_model::{Catalog, Ident};
use bothways_store::Result;
use connect::{Database, PATIENCE};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A store on an SQL database. Clones share its connections, but each notices changes for itself
/// ([`bothways_store::Capture::changed`]).
pub struct Sql {
    database: Arc<Database>,
    seen: AtomicU64,
}

impl Clone for Sql {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), seen: AtomicU64::new(0) }
    }
}

impl Sql {
    /// Opens the database at `url` (`sqlite://path`, relative or absolute), creating an empty file if there is none. Installs nothing.
    ///
    /// # Errors
    /// `Broken` if the URL, the file or its rights are wrong.
    pub async fn open(url: &str, catalogs: Vec<Catalog>) -> Result<Self> {
        let database = Database::open(url, catalogs, PATIENCE).await?;
        Ok(Self { database: Arc::new(database), seen: AtomicU64::new(0) })
    }

    /// The same, but how long it waits for another program's transaction is said here: a test need not wait for long, or at all.
    ///
    /// # Errors
    /// As for [`Sql::open`].
    #[cfg(feature = "testkit")]
    pub async fn open_with_patience(
        url: &str,
        catalogs: Vec<Catalog>,
        patience: std::time::Duration,
    ) -> Result<Self> {
        let database = Database::open(url, catalogs, patience).await?;
        Ok(Self { database: Arc::new(database), seen: AtomicU64::new(0) })
    }

    /// Whether there is nothing at all in the database: only then may it be set up without being asked.
    pub async fn is_empty(&self) -> Result<bool> {
        self.database.is_empty().await
    }

    /// Whether the engine's tables are there, in this version's form.
    ///
    /// # Errors
    /// `Broken` if a newer version set the database up.
    pub async fn is_installed(&self) -> Result<bool> {
        let mut c = self.database.reader().await?;
        migrate::is_installed(&mut c).await
    }

    /// Names of the catalogs whose table does not exist.
    pub async fn missing_tables(&self) -> Result<Vec<String>> {
        let mut c = self.database.reader().await?;
        let facts = self.database.facts(&mut c).await?;
        let missing = self.database.catalogs.iter().zip(facts).filter(|(_, facts)| facts.is_none());
        Ok(missing.map(|(catalog, _)| catalog.name.clone()).collect())
    }

    /// Names of the catalogs that [`Sql::migrate`] was never run for.
    pub async fn uninstalled_catalogs(&self) -> Result<Vec<String>> {
        let mut c = self.database.reader().await?;
        let known = triggers::installed(&mut c).await?;
        let all = self.database.catalogs.iter().map(|c| c.name.clone());
        Ok(all.filter(|name| !known.contains(name)).collect())
    }

    /// Creates a catalog's table from its document. Keys that the database makes are never reused (rule 30).
    ///
    /// # Errors
    /// `Refused` if the table exists.
    pub async fn create_table(&self, catalog: &Catalog) -> Result<()> {
        self.database.create_table(catalog).await
    }

    /// Sets the database up, or brings it up to date, and installs the triggers of all catalogs, in one transaction; switches
    /// it to write-ahead logging. Running it again changes nothing.
    ///
    /// # Errors
    /// `Refused` if a catalog's table does not exist or is a view.
    pub async fn migrate(&self) -> Result<Migrated> {
        self.database.migrate(false).await
    }

    /// [`Sql::migrate`] that first creates the tables that are missing, in the same transaction: a database that was empty is set up
    /// completely or is still empty, whenever the process is killed.
    ///
    /// # Errors
    /// `Refused` if a catalog's table is a view.
    pub async fn set_up(&self) -> Result<Migrated> {
        self.database.migrate(true).await
    }

    /// Takes everything out again: triggers and tables whose names begin with `bothways_`, and write-ahead logging if it was not there before.
    /// The store cannot be used afterwards.
    pub async fn remove(&self) -> Result<()> {
        self.database.remove().await
    }

    /// What a table really is; `None` if there is none of this name.
    pub async fn inspect(&self, table: &Ident) -> Result<Option<TableFacts>> {
        self.database.inspect(table).await
    }
}
