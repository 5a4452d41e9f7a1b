//! What the answers to writes mean.

use crate::answer::{self, malformed};
use crate::conversation::Reader;
use crate::core::Core;
use bothways_connector::{Outcome, WriteKind};
use bothways_mapping::connector::{Call, ResourceSpec, Returns};
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, Response};
use std::sync::Arc;

/// The call that a kind of write is made by. Creating falls back on creating or updating by our own key.
pub(crate) fn call(resource: &ResourceSpec, kind: WriteKind) -> Option<&Call> {
    match kind {
        WriteKind::Create => resource.create.as_ref().or(resource.upsert.as_ref()),
        WriteKind::Update => resource.update.as_ref().map(|update| &update.call),
        WriteKind::Delete => resource.delete.as_ref().map(|delete| &delete.call),
    }
}

pub(crate) fn reader(core: &Arc<Core>, resource: &Arc<ResourceSpec>, kind: WriteKind) -> Reader {
    let (core, resource) = (Arc::clone(core), Arc::clone(resource));
    Box::new(move |answer| read(&core, &resource, kind, &answer).unwrap_or_else(Outcome::Failed))
}

fn read(
    core: &Core,
    resource: &ResourceSpec,
    kind: WriteKind,
    answer: &Response,
) -> Result<Outcome, Failure> {
    if !answer.is_success() {
        let failure = answer::failure(core, answer);
        return match failure.class {
            // A record that is to be created cannot be missing; what it refers to can.
            ErrorClass::Missing if kind != WriteKind::Create => Ok(Outcome::Missing),
            _ => Err(failure),
        };
    }
    let returns = call(resource, kind).map_or(&Returns::Record, |call| &call.returns);
    if *returns == Returns::Nothing {
        if !planted::is(Bug::PageTakenForAnswer) {
            answer::not_a_page(answer)?;
        }
        return Ok(Outcome::Written { id: None });
    }
    let body = answer::json(answer)?;
    match (kind, returns, body) {
        // 204 and the like: accepted, and nothing said about the record.
        (WriteKind::Update | WriteKind::Delete, _, None) => Ok(Outcome::Written { id: None }),
        (WriteKind::Create, Returns::Id(_), None) if answer.status == 204 => {
            Ok(Outcome::Written { id: None })
        }
        (_, _, None) => Err(malformed("the answer is empty")),
        (WriteKind::Delete, _, Some(_)) => Ok(Outcome::Written { id: None }),
        (_, Returns::Id(query), Some(body)) => Ok(Outcome::Written { id: Some(answer::id(query, &body)?) }),
        (_, _, Some(body)) => answer::record(resource, answer, body).map(Outcome::Record),
    }
}
