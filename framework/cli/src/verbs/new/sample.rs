//! What is known of a remote record: the places in a sample of it, or the paths that documents name.

use anyhow::{Context, bail};
use bothways_mapping::connector::ResourceSpec;
use bothways_mapping::{ConnectorSpec, Project};
use bothways_model::{Segment, SingularPath};
use serde_json::Value as Json;
use std::path::Path;

/// Deeper places are not paired: nobody means them by a bare name.
const DEEPEST: usize = 4;

/// A place in a remote record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Where.
    pub(crate) path: SingularPath,
    /// What a sample has there; none where only documents name the place.
    pub(crate) value: Option<Json>,
}

impl Place {
    /// The last name on the way there.
    pub(crate) fn name(&self) -> &str {
        match self.path.0.last() {
            Some(Segment::Name(name)) => name,
            _ => "",
        }
    }
}

/// The places in the record of this file: a record, or an answer of the service that holds one.
pub(crate) fn of_file(
    path: &Path,
    connector: &ConnectorSpec,
    resource: &ResourceSpec,
) -> anyhow::Result<Vec<Place>> {
    let show = path.display();
    let text = crate::documents::read(path)?;
    let json: Json = serde_json::from_str(&text).with_context(|| format!("{show} is no JSON"))?;
    let Some(record) = record(&json, resource) else {
        bail!(
            "{show} holds no record of {}/{}: nothing in it has an id at {}",
            connector.name,
            resource.name,
            resource.id.text()
        );
    };
    let mut places = Vec::new();
    gather(record, &mut Vec::new(), &mut places);
    places.retain(|place| !resource.id.is_at(&place.path));
    let under = &resource.fields_under;
    if places.iter().any(|place| place.path.starts_with(under)) {
        places.retain(|place| place.path.starts_with(under));
    }
    Ok(places)
}

/// The record in an answer: itself, the first of a list, or what an envelope holds.
fn record<'a>(json: &'a Json, resource: &ResourceSpec) -> Option<&'a Json> {
    let has_id = |json: &Json| resource.id.read(json).is_some();
    if json.is_object() && has_id(json) {
        return Some(json);
    }
    if let Some(item) = resource.item.first(json).filter(|item| has_id(item)) {
        return Some(item);
    }
    if let Some(list) = &resource.list
        && let Some(first) = list.items.items(json).into_iter().find(|item| has_id(item))
    {
        return Some(first);
    }
    let inner: Vec<&Json> = match json {
        Json::Array(items) => items.iter().collect(),
        Json::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().find(|one| one.is_object() && has_id(one))
}

fn gather(json: &Json, way: &mut Vec<Segment>, places: &mut Vec<Place>) {
    match json {
        Json::Object(members) if !members.is_empty() && way.len() < DEEPEST => {
            for (name, value) in members {
                way.push(Segment::Name(name.clone()));
                gather(value, way, places);
                way.pop();
            }
        }
        // A list of records is another resource, or none.
        Json::Array(items) if items.iter().any(Json::is_object) => {}
        _ => places.push(Place { path: SingularPath(way.clone()), value: Some(json.clone()) }),
    }
}

/// The places that documents name: lookups of the resource, and what other mappings of it read.
pub(crate) fn of_documents(
    project: &Project,
    connector: &ConnectorSpec,
    resource: &ResourceSpec,
) -> Vec<Place> {
    let finds = resource.find.iter().map(|find| find.path.clone());
    let mapped = project
        .mappings
        .iter()
        .filter(|mapping| {
            mapping.remote.connector == connector.name && mapping.remote.resource == resource.name
        })
        .flat_map(|mapping| &mapping.fields)
        .filter_map(|field| field.read.singular().cloned());
    let mut places: Vec<Place> = Vec::new();
    for path in finds.chain(mapped) {
        if !places.iter().any(|place| place.path == path) {
            places.push(Place { path, value: None });
        }
    }
    places
}
