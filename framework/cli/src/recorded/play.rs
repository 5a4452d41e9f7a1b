//! Exchanges played offline: the connector of a mapping with placeholders for its secrets, and a driver that is fed answers.

use super::file::{Asked, Read, Recording};
use crate::connections::Connections;
use anyhow::bail;
use bothways_connector::{
    Connector, Exchange, Grant, Outcome, PageCursor, Renewal, Resource, ResourceQuery, Step,
};
use bothways_mapping::{Mapping, Project};
use bothways_model::{Observed, Request, Response, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands in the place of a secret variable.
pub(crate) fn placeholder(var: &str) -> String {
    // As long as webhook secrets have to be.
    format!("recorded-{var}-recorded-recorded")
}

/// The connector of a mapping as it was when it was recorded, without its secrets.
///
/// # Errors
/// A variable is needed now that the recording does not know.
pub(crate) fn offline(
    project: &Project,
    mapping: &Arc<Mapping>,
    recording: &Recording,
) -> anyhow::Result<Arc<dyn Connector>> {
    let connection = &mapping.remote.connection;
    let lookup = |name: &str| {
        let var = mapping.connector.vars.iter().find(|var| var.env(connection.as_str()) == name)?;
        if (var.secret && !var.webhook_only) || var.alternative {
            return Some(placeholder(&var.name));
        }
        recording.variables.get(&var.name).cloned()
    };
    let mut only = project.clone();
    only.mappings = vec![mapping.clone()];
    let mut connections = Connections::open(&only, &lookup)?;
    match connections.open.remove(connection) {
        Some(open) => Ok(open.connector),
        None => {
            let missing = connections.left_out.iter().flat_map(|one| &one.missing);
            let missing: Vec<&str> = missing.map(|problem| problem.var.as_str()).collect();
            bail!("the recording does not know {}; record it again", missing.join(", "))
        }
    }
}

/// The resource of a mapping, bound to the paths that it uses.
///
/// # Errors
/// The connector has no such resource.
pub(crate) fn resource(connector: &dyn Connector, mapping: &Mapping) -> anyhow::Result<Arc<dyn Resource>> {
    let query = ResourceQuery {
        name: mapping.remote.resource.clone(),
        params: mapping.remote.params.clone(),
        paths: mapping.paths(),
        written: mapping.written_paths(),
        stamp: mapping.identity.stamp.clone(),
    };
    Ok(connector.resource(&query)?)
}

/// One thing that was asked, on its way through as many exchanges as it has pages.
pub(crate) struct Player<'a> {
    resource: &'a dyn Resource,
    asked: &'a Asked,
    exchange: Option<Box<dyn Exchange>>,
    outcomes: Vec<Outcome>,
}

/// What a player wants.
pub(crate) enum Turn {
    /// An answer to this.
    Send(Request),
    /// A token, and then to go on without an answer. Neither is recorded.
    Renew(Renewal),
    /// Nothing more: how it ended, page by page.
    Over(Vec<Outcome>),
}

impl<'a> Player<'a> {
    pub(crate) fn new(resource: &'a dyn Resource, asked: &'a Asked) -> Self {
        Self { resource, asked, exchange: None, outcomes: Vec::new() }
    }

    /// Goes through all of it offline: `answer` says what came back for each request, and a placeholder is the token.
    ///
    /// # Errors
    /// As for [`Player::next`], or `answer` has none.
    pub(crate) fn play(
        mut self,
        mut answer: impl FnMut(Request) -> anyhow::Result<Response>,
    ) -> anyhow::Result<Vec<Outcome>> {
        let mut turn = self.next(None)?;
        loop {
            let answered = match turn {
                Turn::Over(outcomes) => return Ok(outcomes),
                Turn::Renew(renewal) => {
                    let grant = Grant { access: Secret::new(placeholder("token")), refresh: None };
                    renewal.tokens.install(&grant, renewal.used.map_or(0, |used| used + 1));
                    None
                }
                Turn::Send(request) => Some(answer(request)?),
            };
            turn = self.next(answered)?;
        }
    }

    fn start(&self, page: Option<PageCursor>) -> anyhow::Result<Box<dyn Exchange>> {
        let operation = self.asked.operation(page)?;
        self.resource.start(operation).map_err(|failure| anyhow::anyhow!("{}", failure.message))
    }

    /// Goes on, with the answer to what was sent last.
    ///
    /// # Errors
    /// The connector cannot do it, or would write.
    pub(crate) fn next(&mut self, answer: Option<Response>) -> anyhow::Result<Turn> {
        let mut exchange = match self.exchange.take() {
            Some(exchange) => exchange,
            None => self.start(None)?,
        };
        let mut step = exchange.next(answer);
        loop {
            match step {
                Step::Call(call) if call.write => bail!("{} would write", self.asked.shown()),
                Step::Call(call) => {
                    self.exchange = Some(exchange);
                    return Ok(Turn::Send(call.request));
                }
                Step::Renew(renewal) => {
                    self.exchange = Some(exchange);
                    return Ok(Turn::Renew(renewal));
                }
                Step::Done(outcome) => {
                    let next = match &outcome {
                        Outcome::Page(page) => page.next.clone(),
                        _ => None,
                    };
                    self.outcomes.push(outcome);
                    match next.filter(|_| self.outcomes.len() < self.asked.pages()) {
                        Some(page) => {
                            exchange = self.start(Some(page))?;
                            step = exchange.next(None);
                        }
                        None => return Ok(Turn::Over(std::mem::take(&mut self.outcomes))),
                    }
                }
            }
        }
    }
}

/// The records that these outcomes show, as the mapping reads them.
///
/// # Errors
/// The service answered with an error, in its own words.
pub(crate) fn read(mapping: &Mapping, outcomes: &[Outcome]) -> anyhow::Result<Vec<Read>> {
    let mut records = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Record(observed) => records.push(read_one(mapping, observed)),
            Outcome::Page(page) => {
                records.extend(page.items.iter().map(|observed| read_one(mapping, observed)))
            }
            Outcome::Missing => {}
            Outcome::Failed(failure) => bail!("the service answers: {}", failure.message),
            _ => bail!("the answer is no record"),
        }
    }
    Ok(records)
}

fn read_one(mapping: &Mapping, observed: &Observed) -> Read {
    let id = observed.id.to_string();
    if observed.gone {
        return Read { id, gone: true, fields: BTreeMap::new(), refused: BTreeMap::new() };
    }
    let reading = mapping.read_remote(&observed.body);
    let fields = mapping
        .fields
        .iter()
        .filter_map(|field| Some((field.label.clone(), reading.record.get(&field.label)?.to_plain_json())));
    let refused =
        reading.refusals.into_iter().map(|(label, refusal)| (label, refusal.kind.as_str().to_owned()));
    Read { id, gone: false, fields: fields.collect(), refused: refused.collect() }
}
