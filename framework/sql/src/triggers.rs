//! The capture triggers of the installed catalogs: made, compared with what is there, put back (rule 36).

use crate::connect::{savepoint, undo};
use crate::connection::Connection;
use crate::dialect::{PREFIX, Trigger, key_columns, quoted, trigger_prefix, triggers};
use crate::error::{Failure, ours, refused};
use crate::inspect::TableFacts;
use crate::statement::{execute, fetch, script};
use bothways_model::{Catalog, Track};
use bothways_store::Result;
use std::collections::BTreeMap;

/// Trigger names with their text and table, as they are in the database.
async fn present(c: &mut Connection) -> Result<BTreeMap<String, String>> {
    let rows =
        fetch(c, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'", []).await.map_err(ours)?;
    rows.iter()
        .map(|row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)))
        .filter(|one| one.as_ref().map_or(true, |(name, _)| name.starts_with(PREFIX)))
        .collect::<std::result::Result<_, Failure>>()
        .map_err(ours)
}

/// The catalogs that `migrate` was asked to install.
pub(crate) async fn installed(c: &mut Connection) -> Result<Vec<String>> {
    let rows = fetch(c, "SELECT catalog FROM bothways_catalogs ORDER BY catalog", []).await.map_err(ours)?;
    rows.iter().map(|row| row.get(0).map_err(ours)).collect()
}

/// Whether writes to the table can be prepared with this trigger on it: a trigger that cannot be would make the user's writes fail.
async fn is_understood(c: &mut Connection, catalog: &Catalog, text: &str, drop: &str) -> Result<bool> {
    let table = catalog.table.quoted();
    let same = key_columns(catalog).into_iter().map(|column| format!("{0} = {0}", column.quoted()));
    let same = same.collect::<Vec<_>>().join(", ");
    savepoint(c).await?;
    let all = async {
        execute(c, drop.to_owned(), []).await?;
        script(c, text.to_owned()).await?;
        execute(c, format!("EXPLAIN INSERT INTO {table} DEFAULT VALUES"), []).await?;
        execute(c, format!("EXPLAIN UPDATE {table} SET {same}"), []).await
    };
    let understood = all.await.is_ok();
    undo(c).await?;
    Ok(understood)
}

/// Makes the triggers of these catalogs what they should be, and removes ours that belong to none of them. Names the catalogs that had
/// to be changed. Catalogs without facts are skipped, since their table is gone or does not fit: whoever reads them says so.
pub(crate) async fn put_right(
    c: &mut Connection,
    catalogs: &[(&Catalog, Option<&TableFacts>)],
) -> Result<Vec<String>> {
    let mut there = present(c).await?;
    let mut changed = Vec::new();
    for (catalog, facts) in catalogs {
        let Some(facts) = facts.filter(|_| catalog.track == Track::Trigger) else { continue };
        if facts.view {
            return Err(refused(format!("`{}` is a view: changes to it cannot be captured", catalog.table)));
        }
        let mut wrong = false;
        for Trigger { name, text, tried } in triggers(catalog, facts) {
            if there.remove(&name).as_deref() == Some(text.as_str()) {
                continue;
            }
            let drop = format!("DROP TRIGGER IF EXISTS {}", quoted(&name));
            if tried && !is_understood(c, catalog, &text, &drop).await? {
                tracing::info!(catalog = %catalog.name, "a unique index is not understood: full passes alone find rows that REPLACE displaces through it");
                continue;
            }
            wrong = true;
            execute(c, drop, []).await.map_err(ours)?;
            script(c, text).await.map_err(ours)?;
        }
        if wrong {
            changed.push(catalog.name.clone());
        }
    }
    // Triggers of unique indexes that are gone, and of catalogs that are no longer tracked.
    for name in there.into_keys() {
        let is_of = |(catalog, facts): &(&Catalog, Option<&TableFacts>)| {
            facts.is_some() && name.starts_with(&trigger_prefix(catalog))
        };
        if catalogs.iter().any(is_of) {
            execute(c, format!("DROP TRIGGER IF EXISTS {}", quoted(&name)), []).await.map_err(ours)?;
        }
    }
    Ok(changed)
}
