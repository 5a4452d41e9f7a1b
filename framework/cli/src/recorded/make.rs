//! Making a recording out of what went over the wire: answers are scrubbed, cut and, if that is wanted, anonymised; then the connector
//! plays them with placeholders for its secrets, and what it sends is what is stored. A secret therefore cannot get into a request.

use super::anonymise::Anonymiser;
use super::file::{Answer, Asked, Call, Exchange, Recording};
use super::play::{Player, offline, read, resource};
use anyhow::bail;
use bothways_connector::Outcome;
use bothways_mapping::connector::ResourceSpec;
use bothways_mapping::{Mapping, Project};
use bothways_model::{Observed, Timestamp};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often what a codec refuses is put back before it is given up.
const TRIES: usize = 5;

/// What was asked, and the answers without secrets.
pub(crate) struct Heard {
    pub(crate) asked: Asked,
    pub(crate) answers: Vec<Answer>,
}

/// The parts of a recording that do not come over the wire.
pub(crate) struct About<'a> {
    pub(crate) project: &'a Project,
    pub(crate) mapping: &'a Arc<Mapping>,
    pub(crate) at: Timestamp,
    pub(crate) variables: BTreeMap<String, String>,
    /// The text of the connector's, the catalog's and the mapping's documents.
    pub(crate) documents: String,
}

/// Leaves so many records of each page of a list.
pub(crate) fn cut(heard: &mut Heard, resource: &ResourceSpec, most: usize) {
    let call = match heard.asked {
        Asked::List { .. } => resource.list.as_ref(),
        Asked::Since { .. } => resource.since.as_ref().map(|since| &since.call),
        Asked::Get { .. } | Asked::Find { .. } => None,
    };
    let Some(path) = call.and_then(|call| call.items.singular()) else { return };
    for answer in &mut heard.answers {
        if let Some(Json::Array(items)) = path.get_mut(&mut answer.body) {
            items.truncate(most);
        }
    }
}

/// The recording as it is stored.
///
/// # Errors
/// An answer does not read, the service answered with an error, or a codec takes nothing but the original text.
pub(crate) fn make(about: &About<'_>, heard: &[Heard], salt: Option<[u8; 16]>) -> anyhow::Result<Recording> {
    let (plain, outcomes) = settle(about, heard, false)?;
    let Some(salt) = salt else { return Ok(plain) };
    let mut keep: BTreeSet<String> = observed(&outcomes).map(|one| one.id.to_string()).collect();
    for _ in 0..TRIES {
        let mut anonymiser = Anonymiser::new(salt, about.documents.clone(), keep.clone(), origins(&plain));
        let replaced = replace(&mut anonymiser, heard);
        let (recording, _) = settle(about, &replaced, true)?;
        let refused = newly_refused(about.mapping, &plain, &recording);
        if refused.is_empty() {
            if shape(&plain) != shape(&recording) {
                bail!("the answers mean something else without their texts; record them as they are");
            }
            return Ok(recording);
        }
        keep.extend(originals(about.mapping, &outcomes, &refused));
    }
    bail!("some texts are refused in every other form; record them as they are")
}

/// The same with other texts. An address may hold what stands as a text in a later answer: all texts come first.
fn replace(anonymiser: &mut Anonymiser, heard: &[Heard]) -> Vec<Heard> {
    let mut bodies: Vec<Vec<Answer>> = heard.iter().map(|one| one.answers.clone()).collect();
    bodies.iter_mut().flatten().for_each(|answer| anonymiser.texts(&mut answer.body));
    for answer in bodies.iter_mut().flatten() {
        anonymiser.addresses(&mut answer.body);
        answer.headers.iter_mut().for_each(|(name, value)| *value = anonymiser.header(name, value));
    }
    let asked = |anonymiser: &mut Anonymiser, asked: &Asked| match asked {
        Asked::Find { path, value } => Asked::Find { path: path.clone(), value: anonymiser.text(value) },
        other => other.clone(),
    };
    let all = heard.iter().zip(bodies);
    all.map(|(one, answers)| Heard { asked: asked(anonymiser, &one.asked), answers }).collect()
}

/// The services that were asked: scheme, host and port.
fn origins(recording: &Recording) -> BTreeSet<String> {
    let calls = recording.exchanges.iter().flat_map(|one| &one.calls);
    let urls = calls.filter_map(|call| url::Url::parse(&call.request.url).ok());
    urls.map(|url| url.origin().ascii_serialization()).collect()
}

/// Plays the answers and stores what the connector sends for them.
fn settle(about: &About<'_>, heard: &[Heard], anonymised: bool) -> anyhow::Result<(Recording, Vec<Outcome>)> {
    let mut recording =
        Recording { at: about.at, anonymised, variables: about.variables.clone(), exchanges: Vec::new() };
    let connector = offline(about.project, about.mapping, &recording)?;
    let resource = resource(&*connector, about.mapping)?;
    let mut all = Vec::new();
    for one in heard {
        let mut answers = one.answers.iter();
        let mut calls = Vec::new();
        let outcomes = Player::new(&*resource, &one.asked).play(|request| {
            let Some(answer) = answers.next() else {
                bail!("{}: more is asked for than was answered", one.asked.shown());
            };
            calls.push(Call { request, answer: answer.clone() });
            Ok(answer.response())
        })?;
        let records = read(about.mapping, &outcomes)?;
        recording.exchanges.push(Exchange { operation: one.asked.clone(), calls, records });
        all.extend(outcomes);
    }
    Ok((recording, all))
}

fn observed(outcomes: &[Outcome]) -> impl Iterator<Item = &Observed> {
    outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::Page(page) => page.items.as_slice(),
        Outcome::Record(one) => std::slice::from_ref(one),
        _ => &[],
    })
}

/// Which records there are, and which of them are gone.
fn shape(recording: &Recording) -> Vec<Vec<(&str, bool)>> {
    recording
        .exchanges
        .iter()
        .map(|exchange| exchange.records.iter().map(|read| (read.id.as_str(), read.gone)).collect())
        .collect()
}

/// Merge units of fields that read before their texts were replaced, and do not now.
fn newly_refused(mapping: &Mapping, before: &Recording, now: &Recording) -> BTreeSet<usize> {
    let records = |recording: &Recording| -> Vec<BTreeSet<String>> {
        recording
            .exchanges
            .iter()
            .flat_map(|one| &one.records)
            .map(|read| read.refused.keys().cloned().collect())
            .collect()
    };
    let pairs = records(before).into_iter().zip(records(now));
    let labels: BTreeSet<String> =
        pairs.flat_map(|(was, is)| is.difference(&was).cloned().collect::<Vec<_>>()).collect();
    mapping.fields.iter().filter(|field| labels.contains(&field.label)).map(|field| field.unit).collect()
}

/// The texts of all fields in these units.
fn originals(mapping: &Mapping, outcomes: &[Outcome], units: &BTreeSet<usize>) -> BTreeSet<String> {
    let fields: Vec<_> = mapping.fields.iter().filter(|field| units.contains(&field.unit)).collect();
    let mut texts = BTreeSet::new();
    for one in observed(outcomes) {
        for field in &fields {
            let nodes = field.read.select(&one.body);
            texts.extend(nodes.into_iter().filter_map(Json::as_str).map(str::to_owned));
        }
    }
    texts
}
