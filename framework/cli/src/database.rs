//! The database of an installation: which kind its URL names, how far it is set up, and setting it up.

use crate::documents::show;
use crate::opened::{FindingsShown, catalogs};
use crate::output::talk;
use anyhow::bail;
use bothways_diagnose::{Checked, summary};
use bothways_mapping::{ColumnFacts, ColumnKind, Finding, Project, Severity, TableFacts, check_database};
use bothways_model::{Catalog, Ident};
use bothways_sql::Sql;
use bothways_store::Store;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

/// How far a database is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is none.
    Missing,
    /// There is nothing in it.
    Empty,
    /// It holds something, and nothing of ours, or an older version's.
    Foreign,
    /// It is set up.
    Installed,
}

/// What setting up did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installed {
    /// Tables that were created.
    pub(crate) created: Vec<String>,
    /// Migrations that were applied.
    pub(crate) applied: Vec<String>,
    /// Catalogs whose triggers were installed.
    pub(crate) triggers: Vec<String>,
}

/// A database by its URL. Nothing is opened before it is asked for.
pub(crate) struct Database {
    url: String,
    path: PathBuf,
}

impl Database {
    /// Reads a URL.
    ///
    /// # Errors
    /// Its kind is unknown or not built yet. The error does not repeat the URL, which may hold a password.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let Some((scheme, rest)) = url.split_once(':') else {
            bail!("--database is no URL; expected for example sqlite://bothways.db");
        };
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                let path = path.split('?').next().unwrap_or_default();
                if path.is_empty() {
                    bail!("--database names no file; expected for example sqlite://bothways.db");
                }
                Ok(Self { url: url.to_owned(), path: PathBuf::from(path) })
            }
            "postgres" | "postgresql" | "mysql" | "mariadb" => {
                bail!("{scheme}:// is not built yet; use sqlite://FILE")
            }
            other => bail!("{other}:// is not a database; use sqlite://FILE"),
        }
    }

    /// Its name for people.
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Its file.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether there is a database at all.
    pub(crate) fn exists(&self) -> bool {
        self.path.is_file()
    }

    /// Opens it. Makes an empty file if there is none.
    pub(crate) async fn open(&self, catalogs: &[Arc<Catalog>]) -> anyhow::Result<Sql> {
        Ok(Sql::open(&self.url, catalogs.iter().map(|c| (**c).clone()).collect()).await?)
    }

    /// How far it is set up. Makes no file.
    pub(crate) async fn state(&self) -> anyhow::Result<State> {
        if !self.exists() {
            return Ok(State::Missing);
        }
        let sql = self.open(&[]).await?;
        Ok(match (sql.is_installed().await?, sql.is_empty().await?) {
            (true, _) => State::Installed,
            (false, true) => State::Empty,
            (false, false) => State::Foreign,
        })
    }

    /// The store of an installation that is there, for looking at it and steering it.
    ///
    /// # Errors
    /// Nothing is installed.
    pub(crate) async fn open_installed(&self, catalogs: &[Arc<Catalog>]) -> anyhow::Result<Arc<dyn Store>> {
        match self.state().await? {
            State::Missing | State::Empty => bail!(
                "nothing is set up in {} yet: `bothways run` sets an empty database up by itself (--database names another one)",
                self.shown()
            ),
            State::Foreign => bail!("{}", self.foreign()),
            State::Installed => {}
        }
        let sql = self.open(catalogs).await?;
        for catalog in sql.uninstalled_catalogs().await? {
            talk(format!("catalog `{catalog}` is new: `bothways migrate` installs its triggers"));
        }
        Ok(Arc::new(sql))
    }

    /// The store of an installation that is to work: sets up an empty database, and no other.
    ///
    /// # Errors
    /// It holds something and needs `migrate`; the documents do not fit it.
    pub(crate) async fn open_to_work(
        &self,
        project: &Project,
        checked: &Checked,
    ) -> anyhow::Result<Arc<dyn Store>> {
        match self.state().await? {
            State::Foreign => bail!("{}", self.foreign()),
            State::Missing | State::Empty => {
                let done = self.install(project, checked).await?;
                talk(format!("set up {}, created {}", self.shown(), done.created.join(", ")));
            }
            State::Installed => {}
        }
        let sql = self.open(&catalogs(project)).await?;
        let new = sql.uninstalled_catalogs().await?;
        if !new.is_empty() {
            bail!(
                "{}: no triggers are installed yet for {}. `bothways migrate` installs them",
                self.shown(),
                new.join(", ")
            );
        }
        fit(project, checked, &facts(&sql, &catalogs(project)).await?)?;
        Ok(Arc::new(sql))
    }

    fn foreign(&self) -> String {
        format!(
            "{} holds something already, and nothing is added to such a database by itself. `bothways migrate` installs tables \
             named bothways_* and triggers on the tables of your catalogs; `bothways migrate --remove` takes all of it out again. \
             `bothways plan` works without",
            self.shown()
        )
    }

    /// Sets it up, whatever it holds: creates the tables of catalogs that have none, installs our tables and the triggers.
    ///
    /// # Errors
    /// [`FindingsShown`] if a table that is there does not fit its document; the database fails.
    pub(crate) async fn install(&self, project: &Project, checked: &Checked) -> anyhow::Result<Installed> {
        let all = catalogs(project);
        let sql = self.open(&all).await?;
        fit(project, checked, &facts(&sql, &all).await?)?;
        let done = sql.set_up().await?;
        Ok(Installed { created: done.created, applied: done.applied, triggers: done.catalogs })
    }

    /// Takes everything of ours out.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        Ok(self.open(&[]).await?.remove().await?)
    }

    /// What one table is; none if there is no such table. Makes no file.
    pub(crate) async fn table(&self, table: &Ident) -> anyhow::Result<Option<TableFacts>> {
        Ok(self.open(&[]).await?.inspect(table).await?.map(|found| to_facts(&found)))
    }

    /// What the tables of these catalogs are, by catalog. Makes no file.
    pub(crate) async fn facts(
        &self,
        catalogs: &[Arc<Catalog>],
    ) -> anyhow::Result<BTreeMap<String, TableFacts>> {
        facts(&self.open(catalogs).await?, catalogs).await
    }
}

async fn facts(sql: &Sql, catalogs: &[Arc<Catalog>]) -> anyhow::Result<BTreeMap<String, TableFacts>> {
    let mut all = BTreeMap::new();
    for catalog in catalogs {
        if let Some(found) = sql.inspect(&catalog.table).await? {
            all.insert(catalog.name.clone(), to_facts(&found));
        }
    }
    Ok(all)
}

/// Shows what does not fit, and stops if it is an error.
fn fit(project: &Project, checked: &Checked, facts: &BTreeMap<String, TableFacts>) -> anyhow::Result<()> {
    let findings = check_database(project, &|catalog| facts.get(&catalog.name).cloned());
    let errors: Vec<Finding> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
    if errors.is_empty() {
        return Ok(());
    }
    talk(show(checked, &errors, std::io::stderr().is_terminal()).trim_end());
    talk(summary(&errors));
    Err(FindingsShown.into())
}

/// SQLite's facts in the words of the checks.
fn to_facts(table: &bothways_sql::TableFacts) -> TableFacts {
    let is_row_number = |name: &str| table.key_is_row_number && table.key.iter().any(|key| key == name);
    let columns = table.columns.iter().map(|column| ColumnFacts {
        name: column.name.clone(),
        declared: if column.declared.is_empty() { "without a type".into() } else { column.declared.clone() },
        kind: kind(&column.declared),
        nullable: !column.not_null && !is_row_number(&column.name),
        has_default: column.has_default || is_row_number(&column.name),
        generated: column.generated,
        folds: table
            .unique
            .iter()
            .flat_map(|unique| &unique.columns)
            .any(|one| one.name == column.name && matches!(one.collation.as_str(), "NOCASE" | "RTRIM")),
    });
    let unique = table.unique.iter().filter(|unique| unique.is_plain());
    let names = unique.map(|unique| unique.columns.iter().map(|column| column.name.clone()).collect());
    let mut cascades_to: Vec<String> = table.cascading_children().map(|child| child.table.clone()).collect();
    cascades_to.dedup();
    TableFacts {
        columns: columns.collect(),
        primary_key: table.key.clone(),
        unique: std::iter::once(table.key.clone()).chain(names).collect(),
        reuses_keys: table.key_is_row_number && !table.autoincrement,
        cascades_to,
    }
}

/// What a declared type can hold: by the words that people use, then by SQLite's own rules of affinity.
fn kind(declared: &str) -> ColumnKind {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    match () {
        () if upper.trim().is_empty() => ColumnKind::Any,
        () if has(&["BOOL"]) => ColumnKind::Bool,
        () if has(&["TIMESTAMP", "DATETIME"]) => ColumnKind::Timestamp,
        () if has(&["DATE"]) => ColumnKind::Date,
        () if has(&["UUID"]) => ColumnKind::Uuid,
        () if has(&["JSON"]) => ColumnKind::Json,
        () if has(&["INT"]) => ColumnKind::Int,
        () if has(&["CHAR", "CLOB", "TEXT"]) => ColumnKind::Text,
        () if has(&["BLOB"]) => ColumnKind::Bytes,
        () if has(&["REAL", "FLOA", "DOUB"]) => ColumnKind::Float,
        () if has(&["DEC", "NUM"]) => ColumnKind::Decimal,
        () => ColumnKind::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_kind_and_errors_keep_passwords() {
        assert_eq!(Database::parse("sqlite://a/b.db").expect("parsed").shown(), "a/b.db");
        assert_eq!(Database::parse("sqlite:///tmp/b.db?mode=rwc").expect("parsed").shown(), "/tmp/b.db");
        for url in
            ["postgres://u:geheim@h/d", "mysql://u:geheim@h/d", "geheim", "sqlite://", "redis://geheim"]
        {
            let error = Database::parse(url).err().expect("refused").to_string();
            assert!(!error.contains("geheim"), "{error}");
        }
        let error = Database::parse("postgres://h/d").err().expect("refused").to_string();
        assert!(error.contains("not built yet"), "{error}");
    }

    #[test]
    fn declared_types_are_read_as_people_mean_them() {
        for (declared, expected) in [
            ("VARCHAR(20)", ColumnKind::Text),
            ("INTEGER", ColumnKind::Int),
            ("bigint", ColumnKind::Int),
            ("BOOLEAN", ColumnKind::Bool),
            ("datetime", ColumnKind::Timestamp),
            ("date", ColumnKind::Date),
            ("NUMERIC(10,2)", ColumnKind::Decimal),
            ("double precision", ColumnKind::Float),
            ("", ColumnKind::Any),
        ] {
            assert_eq!(kind(declared), expected, "{declared}");
        }
    }
}
