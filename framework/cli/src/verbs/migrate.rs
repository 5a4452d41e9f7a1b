//! `migrate`: installs in a database that is not empty, and takes everything out again. This is the only verb that adds to a database
//! that holds something already.

use crate::cli::Migrate;
use crate::database::{Database, State};
use crate::engine_lock::EngineLock;
use crate::opened::{catalogs, read_project};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Migrate, out: Output) -> anyhow::Result<Ended> {
    let database = Database::parse(&settings.database)?;
    if args.remove { remove(&database, out).await } else { install(settings, &database, out).await }
}

async fn install(settings: &Settings, database: &Database, out: Output) -> anyhow::Result<Ended> {
    let (project, checked) = read_project(settings)?;
    let done = database.install(&project, &checked).await?;
    if out.is_json() {
        out.json(&json!({
            "database": database.shown(), "created": done.created, "applied": done.applied, "triggers": done.triggers,
        }))?;
        return Ok(Ended::Well);
    }
    for table in &done.created {
        talk(format!("created the table {table}"));
    }
    for catalog in &done.triggers {
        talk(format!("installed triggers for the catalog {catalog}"));
    }
    if done.applied.is_empty() && done.triggers.is_empty() && done.created.is_empty() {
        talk(format!("{} is up to date ({} catalogs)", database.shown(), catalogs(&project).len()));
    } else {
        talk(format!("{} is ready", database.shown()));
    }
    Ok(Ended::Well)
}

async fn remove(database: &Database, out: Output) -> anyhow::Result<Ended> {
    let was_installed = match database.state().await? {
        State::Missing | State::Empty | State::Foreign => false,
        State::Installed => {
            if !EngineLock::remove(database.path(), async || database.remove().await).await? {
                talk(format!("an engine runs on {}: stop it first", database.shown()));
                return Ok(Ended::Waiting);
            }
            true
        }
    };
    if out.is_json() {
        out.json(&json!({ "database": database.shown(), "removed": was_installed }))?;
    } else if was_installed {
        talk(format!(
            "took everything out of {}: triggers, links, history, work. Your tables and their rows are as they were",
            database.shown()
        ));
    } else {
        talk(format!("nothing is installed in {}", database.shown()));
    }
    Ok(Ended::Well)
}
