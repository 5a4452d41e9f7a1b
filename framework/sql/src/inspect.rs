//! What a table really is: columns, keys, unique indexes, who depends on it, whose triggers it has.

use crate::connection::Connection;
use crate::dialect::PREFIX;
use crate::error::{Failure, ours};
use crate::index_text;
use crate::statement::fetch;
use bothways_model::{Catalog, Ident};
use bothways_store::Result;
use std::collections::BTreeSet;

/// A column as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// Its type as declared; empty if none is.
    pub declared: String,
    /// Whether null is refused.
    pub not_null: bool,
    /// Whether an insert may leave it out although null is refused.
    pub has_default: bool,
    /// Computed by the database; cannot be written.
    pub generated: bool,
}

impl ColumnFacts {
    /// Whether SQLite treats it as an integer column.
    pub fn is_integer(&self) -> bool {
        self.declared.to_ascii_uppercase().contains("INT")
    }
}

/// A column of a unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueColumn {
    /// Its name; empty for an expression.
    pub name: String,
    /// How the index compares it: `BINARY`, `NOCASE`, `RTRIM` or one of the application's own.
    pub collation: String,
    /// The expression, as the user wrote it, if it is one and its text is understood.
    pub expression: Option<String>,
}

/// A unique index or constraint, the primary key's included unless it is the row number itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueFacts {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<UniqueColumn>,
    /// It covers only some rows.
    pub partial: bool,
    /// Which rows, as the user wrote it, if its text is understood.
    pub filter: Option<String>,
}

impl UniqueFacts {
    /// Whether it is over all rows and plain columns.
    pub fn is_plain(&self) -> bool {
        !self.partial && self.columns.iter().all(|c| !c.name.is_empty())
    }

    /// Whether all of it is known. Victims of REPLACE through other indexes are found by full passes alone.
    pub fn is_known(&self) -> bool {
        self.partial == self.filter.is_some()
            && self.columns.iter().all(|c| !c.name.is_empty() || c.expression.is_some())
    }

    /// Whether it is the key's own, so that whoever it displaces has the id of the new row.
    pub(crate) fn is_key(&self, key: &[&Ident]) -> bool {
        let is = |column: &UniqueColumn, key: &Ident| column.name.eq_ignore_ascii_case(key.as_str());
        match key {
            [only] => matches!(&self.columns[..], [one] if is(one, only)),
            // Texts that are equal to the table may differ as ids.
            key => {
                self.columns.len() == key.len()
                    && key.iter().all(|k| self.columns.iter().any(|c| is(c, k) && c.collation == "BINARY"))
            }
        }
    }
}

/// A foreign key of another table that refers to this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildFacts {
    /// The other table.
    pub table: String,
    /// Its column.
    pub column: String,
    /// What a delete here does there: `CASCADE`, `SET NULL`, `NO ACTION`, …
    pub on_delete: String,
}

/// What a table really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    /// Its name as the database writes it.
    pub table: String,
    /// True for a view, which has no triggers of the kind we need.
    pub view: bool,
    /// Its columns, in order.
    pub columns: Vec<ColumnFacts>,
    /// The columns of the primary key, in key order.
    pub key: Vec<String>,
    /// Whether the key is an alias of the row number, so that the database makes it.
    pub key_is_row_number: bool,
    /// Whether keys are never reused (`AUTOINCREMENT`).
    pub autoincrement: bool,
    /// Unique indexes and constraints.
    pub unique: Vec<UniqueFacts>,
    /// Tables that refer to it.
    pub children: Vec<ChildFacts>,
    /// Names of its triggers that are not ours.
    pub triggers: Vec<String>,
}

impl TableFacts {
    /// Why the table cannot be used for this catalog: columns that it has not, or has no longer.
    pub(crate) fn lacks(&self, catalog: &Catalog) -> Option<String> {
        let missing: BTreeSet<String> = catalog
            .columns()
            .filter(|column| self.column(column.as_str()).is_none())
            .map(|column| format!("`{column}`"))
            .collect();
        let missing: Vec<String> = missing.into_iter().collect();
        (!missing.is_empty()).then(|| {
            format!(
                "the table `{}` has no column {}, which the catalog `{}` names; `bothways validate` says where",
                catalog.table,
                missing.join(", "),
                catalog.name
            )
        })
    }

    /// A column by name, in any case.
    pub fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// Whether the database compares the key without regard to case. Ids are compared by bytes all the same.
    pub fn key_ignores_case(&self) -> bool {
        self.unique.iter().filter(|u| u.columns.len() == self.key.len()).any(|u| {
            u.columns.iter().zip(&self.key).all(|(c, key)| c.name == *key)
                && u.columns.iter().any(|c| c.collation == "NOCASE")
        })
    }

    /// Tables whose rows go with a row of this one.
    pub fn cascading_children(&self) -> impl Iterator<Item = &ChildFacts> {
        self.children.iter().filter(|c| c.on_delete == "CASCADE")
    }
}

/// Reads the facts of a table or view; `None` if there is none of this name.
pub(crate) async fn inspect(connection: &mut Connection, table: &Ident) -> Result<Option<TableFacts>> {
    read(connection, table).await.map_err(ours)
}

async fn read(c: &mut Connection, table: &Ident) -> std::result::Result<Option<TableFacts>, Failure> {
    let found = fetch(
        c,
        "SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
        [table.as_str().into()],
    )
    .await?;
    let Some(found) = found.first() else { return Ok(None) };
    let name: String = found.get(0)?;
    let sql: String = found.get::<String>(2)?.to_ascii_uppercase();
    let mut facts = TableFacts {
        view: found.get::<String>(1)? == "view",
        autoincrement: sql.contains("AUTOINCREMENT"),
        table: name.clone(),
        columns: Vec::new(),
        key: Vec::new(),
        key_is_row_number: false,
        unique: Vec::new(),
        children: Vec::new(),
        triggers: Vec::new(),
    };
    let mut key = Vec::new();
    let rows = fetch(
        c,
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?)",
        [name.clone().into()],
    )
    .await?;
    for row in rows {
        let column = ColumnFacts {
            name: row.get(0)?,
            declared: row.get(1)?,
            not_null: row.get(2)?,
            has_default: row.get(3)?,
            generated: row.get::<i64>(5)? >= 2,
        };
        let position: i64 = row.get(4)?;
        if position > 0 {
            key.push((position, column.name.clone(), column.declared.eq_ignore_ascii_case("INTEGER")));
        }
        facts.columns.push(column);
    }
    key.sort();
    facts.key_is_row_number = matches!(&key[..], [(_, _, true)]) && !sql.contains("WITHOUT ROWID");
    facts.key = key.into_iter().map(|(_, name, _)| name).collect();
    let indexes = fetch(
        c,
        "SELECT l.name, l.partial, coalesce(x.name, ''), x.coll, coalesce(s.sql, ''), x.seqno \
         FROM pragma_index_list(?) AS l CROSS JOIN pragma_index_xinfo(l.name) AS x \
         LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name \
         WHERE l.\"unique\" = 1 AND x.key = 1 ORDER BY l.name, x.seqno",
        [name.clone().into()],
    )
    .await?;
    for row in indexes {
        let index: String = row.get(0)?;
        let text = index_text::read(&row.get::<String>(4)?).unwrap_or_default();
        let place = usize::try_from(row.get::<i64>(5)?).unwrap_or(usize::MAX);
        let name: String = row.get(2)?;
        let expression = text.columns.into_iter().nth(place).filter(|_| name.is_empty());
        let column = UniqueColumn { name, collation: row.get(3)?, expression };
        match facts.unique.last_mut().filter(|u| u.name == index) {
            Some(unique) => unique.columns.push(column),
            None => {
                let partial = row.get(1)?;
                let filter = text.filter;
                facts.unique.push(UniqueFacts { name: index, columns: vec![column], partial, filter });
            }
        }
    }
    let children = fetch(
        c,
        "SELECT s.name, f.\"from\", f.on_delete FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f \
         WHERE s.type = 'table' AND f.\"table\" = ? COLLATE NOCASE ORDER BY s.name, f.id, f.seq",
        [name.clone().into()],
    )
    .await?;
    for row in children {
        let child = ChildFacts { table: row.get(0)?, column: row.get(1)?, on_delete: row.get(2)? };
        facts.children.push(child);
    }
    let triggers = fetch(
        c,
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name",
        [name.into()],
    )
    .await?;
    for row in triggers {
        let trigger: String = row.get(0)?;
        if !trigger.starts_with(PREFIX) {
            facts.triggers.push(trigger);
        }
    }
    Ok(Some(facts))
}
