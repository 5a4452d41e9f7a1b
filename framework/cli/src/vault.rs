//! The keys that rotating tokens are encrypted with: from the environment, never from the database they protect.

use crate::database::{Database, State};
use crate::environment::Variables;
use crate::opened::catalogs;
use crate::settings::Settings;
use anyhow::Context as _;
use bothways_engine::{Ports, Renewer, Vault};
use bothways_mapping::Project;
use bothways_store::Credentials;
use std::sync::Arc;

/// The variable that holds them.
const VARIABLE: &str = "BOTHWAYS_KEY";

/// The keys, if there are any.
///
/// # Errors
/// The variable, or the file that it names, holds something else.
pub(crate) fn vault() -> anyhow::Result<Option<Vault>> {
    let variables = Variables::default();
    let keys = variables.secret(VARIABLE);
    let problems = variables.problems();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    keys.map(|keys| Vault::parse(&keys).context(VARIABLE)).transpose()
}

/// Renews credentials without an engine; rotating ones only where something is installed that keeps them.
///
/// # Errors
/// The keys or the database cannot be read.
pub(crate) async fn renewer(
    settings: &Settings,
    project: &Project,
    ports: &Ports,
) -> anyhow::Result<Renewer> {
    let database = Database::parse(&settings.database)?;
    let store = match database.state().await? {
        State::Installed => Some(Arc::new(database.open(&catalogs(project)).await?) as Arc<dyn Credentials>),
        _ => None,
    };
    renewer_over(ports, store)
}

/// The same over a store that is open already; without one, rotating credentials are not renewed.
///
/// # Errors
/// The keys cannot be read.
pub(crate) fn renewer_over(ports: &Ports, store: Option<Arc<dyn Credentials>>) -> anyhow::Result<Renewer> {
    let renewer = Renewer::new(ports, store);
    if let Some(vault) = vault()? {
        renewer.set_vault(vault);
    }
    Ok(renewer)
}
