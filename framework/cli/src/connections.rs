//! Connections: the connectors this binary knows, each bound to the variables of one set of credentials.

use bothways_connector::Connector;
use bothways_connector_rest::{BadBaseUrl, RestConnector, Vendor};
use bothways_mapping::connector::{ResolvedConnector, VarProblem, Verify};
use bothways_mapping::{Mapping, Project, SourceFile};
use bothways_model::{ConnectionName, Mode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fewest characters of a secret that webhooks are signed with.
const SHORTEST_SECRET: usize = 24;

/// A connector that is compiled in: its document, and the code for what the document cannot say.
struct BuiltIn {
    name: &'static str,
    document_name: &'static str,
    document: &'static str,
    open: fn(ResolvedConnector) -> Result<Arc<dyn Connector>, BadBaseUrl>,
    mode: fn(&ResolvedConnector) -> Mode,
}

/// All of them. Any other connector runs from its document alone.
const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "salesforce",
        document_name: bothways_connector_salesforce::DOCUMENT_NAME,
        document: bothways_connector_salesforce::DOCUMENT,
        open: |resolved| Ok(Arc::new(bothways_connector_salesforce::connector(resolved)?)),
        mode: |resolved| bothways_connector_salesforce::mode(&resolved.base_url),
    },
    BuiltIn {
        name: "stripe",
        document_name: bothways_connector_stripe::DOCUMENT_NAME,
        document: bothways_connector_stripe::DOCUMENT,
        open: |resolved| Ok(Arc::new(bothways_connector_stripe::connector(resolved)?)),
        mode: |resolved| bothways_connector_stripe::mode(&resolved.auth),
    },
];

/// The documents of the compiled-in connectors.
pub(crate) fn built_in_documents() -> Vec<SourceFile> {
    BUILT_IN.iter().map(|one| SourceFile::new(one.document_name, one.document)).collect()
}

/// A connection that can be used.
pub(crate) struct Connection {
    /// The connector.
    pub(crate) connector: Arc<dyn Connector>,
    /// What keeps its webhook off.
    pub(crate) webhook_off: Vec<VarProblem>,
    /// Whether its webhook believes anybody.
    pub(crate) unsigned: bool,
    /// Whether its credentials mean real customers, where their form tells.
    pub(crate) mode: Mode,
}

/// A connection without the variables it needs.
#[derive(Clone, Debug)]
pub(crate) struct LeftOut {
    /// Its name.
    pub(crate) name: ConnectionName,
    /// The mappings that do not run for lack of it.
    pub(crate) mappings: Vec<String>,
    /// What is missing.
    pub(crate) missing: Vec<VarProblem>,
}

impl LeftOut {
    /// One line about it.
    pub(crate) fn line(&self) -> String {
        let missing: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        format!(
            "connection `{}` is left out: {}; mapping {} does not run",
            self.name,
            missing.join(", "),
            self.mappings.join(", ")
        )
    }
}

/// The connections of all mappings.
#[derive(Default)]
pub(crate) struct Connections {
    /// Those that can be used.
    pub(crate) open: BTreeMap<ConnectionName, Connection>,
    /// Those that cannot.
    pub(crate) left_out: Vec<LeftOut>,
}

impl Connections {
    /// Binds the connection of every mapping to its variables.
    ///
    /// # Errors
    /// A variable is set to something that cannot be used.
    pub(crate) fn open(project: &Project, lookup: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let mut by_name: BTreeMap<&ConnectionName, Vec<&Mapping>> = BTreeMap::new();
        for mapping in &project.mappings {
            by_name.entry(&mapping.remote.connection).or_default().push(mapping);
        }
        let mut all = Self::default();
        for (name, mappings) in by_name {
            let Some(first) = mappings.first() else { continue };
            match first.connector.resolve(name, lookup) {
                Ok(resolved) => {
                    check_webhook_secrets(&resolved)?;
                    all.open.insert(name.clone(), open_one(&first.remote.connector, resolved)?);
                }
                Err(problems) => {
                    let wrong: Vec<&VarProblem> = problems
                        .iter()
                        .filter(|p| lookup(&p.env).is_some_and(|v| !v.trim().is_empty()))
                        .collect();
                    if !wrong.is_empty() {
                        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
                        anyhow::bail!("connection `{name}`: {}", wrong.join("; "));
                    }
                    all.left_out.push(LeftOut {
                        name: name.clone(),
                        mappings: mappings.iter().map(|m| m.name.clone()).collect(),
                        missing: problems,
                    });
                }
            }
        }
        Ok(all)
    }
}

/// Refuses webhook secrets that could be guessed (`RULES.md` S2).
fn check_webhook_secrets(resolved: &ResolvedConnector) -> anyhow::Result<()> {
    let secrets = match resolved.webhook.as_ref().map(|webhook| &webhook.verify) {
        Some(Verify::Hmac { secrets, .. }) => secrets.as_slice(),
        Some(Verify::Token { values, .. }) => values.as_slice(),
        Some(Verify::None) | None => &[],
    };
    anyhow::ensure!(
        secrets.iter().all(|secret| secret.expose().len() >= SHORTEST_SECRET),
        "connection `{}`: a webhook secret has fewer than {SHORTEST_SECRET} characters and could be guessed; set a longer one",
        resolved.connection
    );
    Ok(())
}

fn open_one(connector: &str, resolved: ResolvedConnector) -> Result<Connection, BadBaseUrl> {
    let built_in = BUILT_IN.iter().find(|one| one.name == connector);
    let webhook_off = resolved.webhook_off.clone();
    let unsigned = resolved.webhook.as_ref().is_some_and(|w| matches!(w.verify, Verify::None));
    let mode = built_in.map_or(Mode::Unknown, |one| (one.mode)(&resolved));
    let connector = match built_in {
        Some(one) => (one.open)(resolved)?,
        None => Arc::new(RestConnector::new(resolved, Vendor::default())?),
    };
    Ok(Connection { connector, webhook_off, unsigned, mode })
}
