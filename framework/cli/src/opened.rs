//! Puts an installation together: settings to documents, connections, store, queue, HTTP port and engine.

use crate::connections::Connections;
use crate::database::Database;
use crate::documents::{check_folders, show};
use crate::engine_lock::EngineLock;
use crate::environment::Variables;
use crate::output::talk;
use crate::ports::{TokioTasks, tokio_ports};
use crate::scratch::InFiles;
use crate::settings::Settings;
use crate::vault::vault;
use anyhow::bail;
use bothways_diagnose::{Checked, summary};
use bothways_engine::{Engine, EngineError, Loaded, Operations, PairRuntime, Vault};
use bothways_http::HttpPort;
use bothways_mapping::Project;
use bothways_model::{Catalog, ConnectionName, LocalId};
use bothways_queue::{MemoryQueue, Queue};
use bothways_store::{Link, Store};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

/// The documents cannot be used, and the person has been shown why.
#[derive(Debug, thiserror::Error)]
#[error("the documents have errors")]
pub(crate) struct FindingsShown;

/// Who acts, for the audit log.
pub(crate) fn person() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "command line".into())
}

/// Reads and checks the documents; shows findings if they cannot be used.
///
/// # Errors
/// [`FindingsShown`], or a folder cannot be read.
pub(crate) fn read_project(settings: &Settings) -> anyhow::Result<(Project, Checked)> {
    let mut checked = check_folders(&settings.mappings)?;
    match checked.project.take() {
        Some(project) => Ok((project, checked)),
        None => {
            talk(show(&checked, &checked.findings, std::io::stderr().is_terminal()).trim_end());
            talk(summary(&checked.findings));
            Err(FindingsShown.into())
        }
    }
}

/// The connections of the project, from the environment.
///
/// # Errors
/// A variable or its file cannot be used.
pub(crate) fn connect(project: &Project) -> anyhow::Result<Connections> {
    let variables = Variables::default();
    let connections = Connections::open(project, &|name| variables.get(name))?;
    let problems = variables.problems();
    if !problems.is_empty() {
        bail!("{}", problems.join("; "));
    }
    Ok(connections)
}

/// All catalogs, for a store.
pub(crate) fn catalogs(project: &Project) -> Vec<Arc<Catalog>> {
    project.catalogs.values().cloned().collect()
}

/// The mappings whose connections can be used.
pub(crate) fn runnable(project: &Project, connections: &Connections) -> Vec<Loaded> {
    let one = |mapping: &Arc<bothways_mapping::Mapping>| {
        let name = &mapping.remote.connection;
        connections.open.get(name).map(|open| Loaded {
            mapping: mapping.clone(),
            connection: name.clone(),
            connector: open.connector.clone(),
        })
    };
    project.mappings.iter().filter_map(one).collect()
}

/// The HTTP port with every connection's limits.
///
/// # Errors
/// A base URL is not allowed (`RULES.md` S14).
pub(crate) fn http_port(connections: &Connections) -> anyhow::Result<HttpPort> {
    let limits = connections.open.iter().map(|(name, open)| (name.clone(), open.connector.limits()));
    Ok(HttpPort::new(limits, bothways_http::Settings::default())?)
}

/// An installation's database, for commands that need no documents.
pub(crate) struct Stored {
    /// The store.
    pub(crate) store: Arc<dyn Store>,
}

impl Stored {
    /// Opens the database.
    ///
    /// # Errors
    /// Nothing is installed there, or it cannot be opened.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let database = Database::parse(&settings.database)?;
        Ok(Self { store: database.open_installed(&[]).await? })
    }
}

/// An engine that is open; it does nothing by itself before it is started.
pub(crate) struct Opened {
    /// Everything a person can do.
    pub(crate) operations: Operations,
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// The connections.
    pub(crate) connections: Connections,
    /// The documents.
    pub(crate) project: Project,
    tasks: TokioTasks,
    /// Held while this process may run an engine.
    _lock: Option<EngineLock>,
}

impl Opened {
    /// Opens an installation to look at or steer it; whether its engine runs does not matter.
    ///
    /// # Errors
    /// The documents have errors, nothing is installed, or something cannot be opened.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let (project, _) = read_project(settings)?;
        let database = Database::parse(&settings.database)?;
        let store = database.open_installed(&catalogs(&project)).await?;
        let connections = connect(&project)?;
        let pace = bothways_engine::Settings::default();
        let vault = vault()?;
        let queue = listening_queue(settings).await;
        Self::assemble(project, connections, (store, vault), queue, pace).await
    }

    /// Puts the parts together; tokens that are replaced are kept in the store, encrypted, if there is a vault.
    ///
    /// # Errors
    /// The store fails, or a base URL is not allowed.
    pub(crate) async fn assemble(
        project: Project,
        connections: Connections,
        (store, vault): (Arc<dyn Store>, Option<Vault>),
        queue: Arc<dyn Queue>,
        pace: bothways_engine::Settings,
    ) -> anyhow::Result<Self> {
        let tasks = TokioTasks::default();
        let ports = tokio_ports(Arc::new(http_port(&connections)?), &tasks);
        let loaded = runnable(&project, &connections);
        let engine = Engine::open(store.clone(), queue, ports, &loaded, &catalogs(&project), pace).await?;
        engine.set_scratches(Arc::new(InFiles));
        if let Some(vault) = vault {
            engine.set_vault(vault);
        }
        Ok(Self { operations: Operations::new(engine), store, connections, project, tasks, _lock: None })
    }

    /// Opens an installation to work. An empty database is set up, after everything else was found right.
    ///
    /// # Errors
    /// As for [`Opened::open`]; `check` objects; the database holds something and nothing of ours.
    pub(crate) async fn open_to_work(
        settings: &Settings,
        pace: bothways_engine::Settings,
        check: impl FnOnce(&Connections) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let (project, checked) = read_project(settings)?;
        let database = Database::parse(&settings.database)?;
        let connections = connect(&project)?;
        check(&connections)?;
        for left_out in &connections.left_out {
            talk(left_out.line());
        }
        let vault = vault()?;
        let queue = bothways_brokers::open(&settings.queue).await?;
        let store = database.open_to_work(&project, &checked).await?;
        let mut opened = Self::assemble(project, connections, (store, vault), queue, pace).await?;
        let engine = opened.engine().clone();
        let alone = async move || Ok(engine.take_over().await.map(drop)?);
        opened._lock = Some(EngineLock::take(database.path(), alone).await?);
        Ok(opened)
    }

    /// Starts the engine; it is stopped by [`Running::stop`].
    pub(crate) fn start(&self) -> Running {
        let running = Running {
            engine: self.engine().clone(),
            tasks: self.tasks.clone(),
            before: self.tasks.running(),
        };
        self.engine().start();
        running
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.operations.engine()
    }

    /// How many records this process is looking at.
    pub(crate) fn looks(&self) -> usize {
        self.tasks.running_as("look")
    }

    /// The pairs of one mapping, or all.
    ///
    /// # Errors
    /// There is no such mapping.
    pub(crate) fn pairs(&self, mapping: Option<&str>) -> Result<Vec<Arc<PairRuntime>>, EngineError> {
        match mapping {
            Some(name) => Ok(vec![self.operations.pair(Some(name))?]),
            None => Ok(self.engine().pairs().collect()),
        }
    }

    /// A connection by name.
    ///
    /// # Errors
    /// No mapping uses it.
    pub(crate) fn connection(&self, name: &str) -> Result<ConnectionName, EngineError> {
        let name = ConnectionName::from(name);
        let is_known = self.project.mappings.iter().any(|m| m.remote.connection == name);
        if is_known { Ok(name) } else { Err(EngineError::NotFound(format!("connection `{name}`"))) }
    }

    /// The live link of a record, by its local or remote id.
    ///
    /// # Errors
    /// There is none, or several mappings have one.
    pub(crate) async fn live_link(&self, mapping: Option<&str>, id: &str) -> anyhow::Result<Link> {
        let mut found: Vec<(String, Link)> = Vec::new();
        for pair in self.pairs(mapping)? {
            let by_local = self.store.links_of_local(pair.id, &[LocalId::from(id)]).await?;
            let by_remote = self.store.links_of_remote(pair.id, &[pair.remote_id(id)]).await?;
            let mut links: Vec<Link> = by_local.into_iter().chain(by_remote).flatten().collect();
            links.retain(|link| link.state.is_live());
            links.dedup_by_key(|link| link.id);
            found.extend(links.into_iter().map(|link| (pair.mapping.name.clone(), link)));
        }
        let mappings: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        match mappings.as_slice() {
            [] => Err(EngineError::NotFound(format!("live link of a record `{id}`")).into()),
            [_] => match found.pop() {
                Some((_, link)) => Ok(link),
                None => Err(EngineError::NotFound(format!("live link of a record `{id}`")).into()),
            },
            many => Err(EngineError::Refused(format!(
                "`{id}` is linked more than once: name the mapping ({})",
                many.join(", ")
            ))
            .into()),
        }
    }
}

/// A started engine.
pub(crate) struct Running {
    engine: Arc<Engine>,
    tasks: TokioTasks,
    before: usize,
}

impl Running {
    /// Stops the engine: calls under way may end, everything else is found again by the next start.
    pub(crate) async fn stop(self) {
        self.engine.stop();
        self.tasks.wind_down(self.before, Duration::from_secs(10)).await;
    }
}

/// The queue that a running engine listens to, if its address is known; without one its watch and its sweep notice.
async fn listening_queue(settings: &Settings) -> Arc<dyn Queue> {
    if has_port(&settings.queue) {
        match bothways_brokers::open(&settings.queue).await {
            Ok(queue) => return queue,
            Err(error) => tracing::debug!(%error, "no nudge is sent"),
        }
    }
    Arc::new(MemoryQueue::default())
}

fn has_port(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_without_a_port_is_nobodys_address() {
        assert!(has_port("zeromq://127.0.0.1:7555"));
        assert!(has_port("amqp://user:secret@host:5672/"));
        assert!(!has_port("zeromq://127.0.0.1"));
        assert!(!has_port("zeromq://127.0.0.1:0"));
        assert!(!has_port("zeromq://[::1]"));
    }
}
