//! A recording against the documents as they are now: is each stored request still what the connector sends, and does each stored
//! answer still read?

use super::file::{Call, Exchange, Read, Recording};
use super::play::{Player, offline, read, resource};
use anyhow::{bail, ensure};
use bothways_connector::Resource;
use bothways_mapping::{Mapping, Project};
use bothways_model::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What checking a recording gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Checked {
    /// Exchanges that are as they were.
    pub(crate) held: usize,
    /// What is no longer so, one line each.
    pub(crate) broken: Vec<String>,
    /// What to know of the recording, one line each.
    pub(crate) notes: Vec<String>,
}

/// Plays all of a recording.
pub(crate) fn check(project: &Project, mapping: &Arc<Mapping>, recording: &Recording) -> Checked {
    let mut checked = Checked::default();
    let opened = offline(project, mapping, recording).and_then(|connector| resource(&*connector, mapping));
    let resource = match opened {
        Ok(resource) => resource,
        Err(error) => {
            checked.broken.push(error.to_string());
            return checked;
        }
    };
    for exchange in &recording.exchanges {
        let problems = play(mapping, &*resource, exchange);
        if problems.is_empty() {
            checked.held += 1;
        }
        checked
            .broken
            .extend(problems.into_iter().map(|problem| format!("{}: {problem}", exchange.operation.shown())));
    }
    checked.absent(mapping, recording);
    checked
}

impl Checked {
    /// Fields that no recorded record has: a path that is wrong looks just like this.
    fn absent(&mut self, mapping: &Mapping, recording: &Recording) {
        let records: Vec<&Read> =
            recording.exchanges.iter().flat_map(|one| &one.records).filter(|r| !r.gone).collect();
        if records.is_empty() {
            self.notes.push("no record was recorded, so nothing is known of the fields".into());
            return;
        }
        for field in &mapping.fields {
            let known = |record: &&&Read| {
                record.fields.contains_key(&field.label) || record.refused.contains_key(&field.label)
            };
            if !records.iter().any(|record| known(&record)) {
                let message = format!(
                    "`{}` ({}) is in none of {} records",
                    field.label,
                    field.read.text(),
                    records.len()
                );
                if field.required { self.broken.push(message) } else { self.notes.push(message) }
            }
        }
    }
}

/// What is no longer so in one exchange.
fn play(mapping: &Mapping, resource: &dyn Resource, exchange: &Exchange) -> Vec<String> {
    let mut calls = exchange.calls.iter();
    let mut problems = Vec::new();
    let outcomes = Player::new(resource, &exchange.operation).play(|request| {
        let Some(call) = calls.next() else {
            bail!("also sends {} {}, which was not recorded", request.method, request.url);
        };
        problems = compare(call, &request);
        ensure!(problems.is_empty(), "the answer is to another request");
        Ok(call.answer.response())
    });
    if !problems.is_empty() {
        return problems;
    }
    let read = outcomes.and_then(|outcomes| read(mapping, &outcomes));
    let records = match read {
        Ok(records) => records,
        Err(error) => return vec![error.to_string()],
    };
    if let Some(call) = calls.next() {
        problems.push(format!("no longer sends {} {}", call.request.method, call.request.url));
    }
    problems.extend(differences(mapping, &exchange.records, &records));
    problems
}

/// How a request differs from the recorded one.
fn compare(call: &Call, now: &Request) -> Vec<String> {
    let was = &call.request;
    let mut problems = Vec::new();
    if (was.method, &was.url) != (now.method, &now.url) {
        problems
            .push(format!("sends {} {}, and recorded is {} {}", now.method, now.url, was.method, was.url));
    }
    let sorted = |request: &Request| request.headers.iter().cloned().collect::<BTreeSet<_>>();
    let (before, after) = (sorted(was), sorted(now));
    for (name, value) in after.difference(&before) {
        problems.push(format!("sends the header `{name}: {value}`, which is not recorded so"));
    }
    for (name, _) in before.iter().filter(|(name, _)| !after.iter().any(|(other, _)| other == name)) {
        problems.push(format!("no longer sends the header `{name}`"));
    }
    if was.body != now.body {
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        problems.push(format!("sends the body `{}`, and recorded is `{}`", text(&now.body), text(&was.body)));
    }
    problems
}

/// How records read otherwise than when they were recorded. Fields that the mapping had not then are new, and no difference.
fn differences(mapping: &Mapping, before: &[Read], now: &[Read]) -> Vec<String> {
    let mut problems = Vec::new();
    let ids = |records: &[Read]| records.iter().map(|record| record.id.clone()).collect::<Vec<_>>();
    if ids(before) != ids(now) {
        problems.push(format!(
            "reads the records {}, and recorded are {}",
            ids(now).join(", "),
            ids(before).join(", ")
        ));
        return problems;
    }
    // One line a field, with the first record that shows it.
    let mut said: BTreeMap<&str, String> = BTreeMap::new();
    for (was, is) in before.iter().zip(now) {
        if was.gone != is.gone {
            let word = if is.gone { "reads as deleted now" } else { "no longer reads as deleted" };
            problems.push(format!("{} {word}", is.id));
            continue;
        }
        for field in &mapping.fields {
            let label = field.label.as_str();
            let difference = match (
                was.fields.get(label),
                was.refused.get(label),
                is.fields.get(label),
                is.refused.get(label),
            ) {
                (None, None, _, None) => None,
                (None, None, _, Some(kind)) => Some(format!("cannot be read ({kind})")),
                (Some(_), _, None, None) => Some("is absent now".to_owned()),
                (Some(_), _, _, Some(kind)) => Some(format!("cannot be read any longer ({kind})")),
                (Some(a), _, Some(b), None) if a != b => Some("reads as another value".to_owned()),
                (None, Some(a), _, Some(b)) if a != b => {
                    Some(format!("is refused otherwise ({b}, before {a})"))
                }
                (None, Some(_), Some(_), None) => {
                    Some("could not be read and can be now: record it again".to_owned())
                }
                (None, Some(_), None, None) => Some("could not be read and is absent now".to_owned()),
                _ => None,
            };
            if let Some(difference) = difference {
                said.entry(label).or_insert_with(|| format!("`{label}` of {} {difference}", is.id));
            }
        }
    }
    problems.extend(said.into_values());
    problems
}
