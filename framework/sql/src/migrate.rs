//! Setting a database up, and taking everything out again. Nothing is ever installed by itself in a database that is not empty.

use crate::connect::Database;
use crate::connection::Connection;
use crate::dialect::{PREFIX, create_table, quoted};
use crate::error::{ours, refused};
use crate::inspect::{TableFacts, inspect};
use crate::statement::{execute, fetch, fetch_optional, script};
use crate::stored::get;
use crate::triggers::put_right;
use bothways_model::{Catalog, Ident};
use bothways_store::{Result, StoreError, StoreErrorKind};

/// The migrations, in order. Released ones never change.
const MIGRATIONS: [(&str, &str); 9] = [
    ("0001_engine", include_str!("../../../migrations/sqlite/0001_engine.sql")),
    ("0002_brakes", include_str!("../../../migrations/sqlite/0002_brakes.sql")),
    ("0003_secret", include_str!("../../../migrations/sqlite/0003_secret.sql")),
    ("0004_service_time", include_str!("../../../migrations/sqlite/0004_service_time.sql")),
    ("0005_awaited", include_str!("../../../migrations/sqlite/0005_awaited.sql")),
    ("0006_credentials", include_str!("../../../migrations/sqlite/0006_credentials.sql")),
    ("0007_changed", include_str!("../../../migrations/sqlite/0007_changed.sql")),
    ("0008_former_origins", include_str!("../../../migrations/sqlite/0008_former_origins.sql")),
    ("0009_told", include_str!("../../../migrations/sqlite/0009_told.sql")),
];

/// What `migrate` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Tables that were created now.
    pub created: Vec<String>,
    /// Names of the migrations that were applied now.
    pub applied: Vec<String>,
    /// Catalogs whose triggers were installed or changed now.
    pub catalogs: Vec<String>,
}

/// Names of the migrations a database has; `None` if it was never set up.
async fn applied(c: &mut Connection) -> Result<Option<Vec<String>>> {
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'bothways_migrations'";
    if fetch_optional(c, table, []).await.map_err(ours)?.is_none() {
        return Ok(None);
    }
    let rows = fetch(c, "SELECT name FROM bothways_migrations ORDER BY name", []).await.map_err(ours)?;
    rows.iter().map(|row| get(row, 0)).collect::<Result<_>>().map(Some)
}

/// Whether every migration is applied.
///
/// # Errors
/// `Broken` if the database was set up by a newer version.
pub(crate) async fn is_installed(c: &mut Connection) -> Result<bool> {
    let Some(names) = applied(c).await? else { return Ok(false) };
    if let Some(newer) = names.iter().find(|name| MIGRATIONS.iter().all(|(known, _)| known != name)) {
        let message = format!("the database was set up by a newer version (migration {newer})");
        return Err(StoreError::new(StoreErrorKind::Broken, message));
    }
    Ok(names.len() == MIGRATIONS.len())
}

impl Database {
    /// Whether there is nothing at all in the database.
    pub(crate) async fn is_empty(&self) -> Result<bool> {
        let mut c = self.reader().await?;
        let any = fetch_optional(&mut c, "SELECT 1 FROM sqlite_schema LIMIT 1", []).await.map_err(ours)?;
        Ok(any.is_none())
    }

    /// See [`crate::Sql::migrate`], and with `tables` [`crate::Sql::set_up`].
    pub(crate) async fn migrate(&self, tables: bool) -> Result<Migrated> {
        let mut writer = self.writer().await?;
        let before = fetch_optional(&mut writer, "PRAGMA journal_mode", []).await.map_err(ours)?;
        let before: String = before.map_or(Ok(String::new()), |row| get(&row, 0))?;
        // Outside a transaction, as SQLite wants it. Readers and the writer do not wait for each other in this mode.
        execute(&mut writer, "PRAGMA journal_mode = WAL", []).await.map_err(ours)?;
        self.see_log(&mut writer).await?;
        let mut tx = writer.begin().await?;
        is_installed(&mut tx).await?;
        let mut done = Migrated::default();
        let names = applied(&mut tx).await?;
        if names.is_none() {
            let table = "CREATE TABLE bothways_migrations (name TEXT NOT NULL PRIMARY KEY, at TEXT NOT NULL, journal_mode TEXT)";
            script(&mut tx, table).await.map_err(ours)?;
        }
        let names = names.unwrap_or_default();
        for (name, text) in MIGRATIONS {
            if names.iter().any(|n| n == name) {
                continue;
            }
            script(&mut tx, text).await.map_err(ours)?;
            let note = "INSERT INTO bothways_migrations (name, at, journal_mode) \
                        VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?)";
            execute(&mut tx, note, [name.into(), before.as_str().into()]).await.map_err(ours)?;
            done.applied.push(name.to_owned());
        }
        let mut facts = self.facts(&mut tx).await?;
        if tables && facts.iter().any(Option::is_none) {
            for (catalog, _) in self.catalogs.iter().zip(&facts).filter(|(_, facts)| facts.is_none()) {
                script(&mut tx, create_table(catalog)).await.map_err(ours)?;
                done.created.push(catalog.table.to_string());
            }
            facts = self.facts(&mut tx).await?;
        }
        for (catalog, facts) in self.catalogs.iter().zip(&facts) {
            if facts.is_none() {
                let message =
                    format!("table `{}` of catalog `{}` does not exist", catalog.table, catalog.name);
                return Err(refused(message));
            }
            let note = "INSERT INTO bothways_catalogs (catalog, table_name) VALUES (?, ?) \
                        ON CONFLICT (catalog) DO UPDATE SET table_name = excluded.table_name";
            execute(&mut tx, note, [catalog.name.as_str().into(), catalog.table.as_str().into()])
                .await
                .map_err(ours)?;
        }
        let all: Vec<_> = self.catalogs.iter().zip(facts.iter().map(Option::as_ref)).collect();
        done.catalogs = put_right(&mut tx, &all).await?;
        tx.commit().await.map_err(ours)?;
        self.set_tables(&facts);
        Ok(done)
    }

    /// See [`crate::Sql::remove`].
    pub(crate) async fn remove(&self) -> Result<()> {
        let mut writer = self.writer().await?;
        if applied(&mut writer).await?.is_none() {
            return Ok(());
        }
        let row =
            fetch_optional(&mut writer, "SELECT journal_mode FROM bothways_migrations ORDER BY name", [])
                .await;
        let before: Option<String> = row.map_err(ours)?.map_or(Ok(None), |row| get(&row, 0))?;
        let mut tx = writer.begin().await?;
        for kind in ["trigger", "table"] {
            let ours_are = "SELECT name FROM sqlite_schema WHERE type = ? AND substr(name, 1, length(?)) = ?";
            let names =
                fetch(&mut tx, ours_are, [kind.into(), PREFIX.into(), PREFIX.into()]).await.map_err(ours)?;
            for row in names {
                let name: String = get(&row, 0)?;
                execute(&mut tx, format!("DROP {kind} {}", quoted(&name)), []).await.map_err(ours)?;
            }
        }
        tx.commit().await.map_err(ours)?;
        // As it was found. Best effort: another program may have the database open, and the mode harms nobody.
        self.close_readers().await;
        let restore = match before.as_deref() {
            Some("delete") => "PRAGMA journal_mode = DELETE",
            Some("truncate") => "PRAGMA journal_mode = TRUNCATE",
            Some("persist") => "PRAGMA journal_mode = PERSIST",
            _ => return Ok(()),
        };
        if let Err(error) = execute(&mut writer, restore, []).await {
            tracing::info!(error = %ours(error), "the journal mode stays WAL");
        }
        Ok(())
    }

    /// See [`crate::Sql::create_table`].
    pub(crate) async fn create_table(&self, catalog: &Catalog) -> Result<()> {
        let mut writer = self.writer().await?;
        if inspect(&mut writer, &catalog.table).await?.is_some() {
            return Err(refused(format!("table `{}` exists already", catalog.table)));
        }
        script(&mut writer, create_table(catalog)).await.map_err(ours)?;
        let facts = self.facts(&mut writer).await?;
        self.set_tables(&facts);
        Ok(())
    }

    /// See [`crate::Sql::inspect`].
    pub(crate) async fn inspect(&self, table: &Ident) -> Result<Option<TableFacts>> {
        let mut c = self.reader().await?;
        inspect(&mut c, table).await
    }
}
