//! Answers: what a status and a body say, and records out of bodies.
//!
//! Nothing of an answer is trusted. A body that is not what the document says proves nothing, neither that a record is there nor that
//! it is not, and is a failure of class `malformed`.

use crate::core::Core;
use bothways_mapping::connector::{Fact, ResourceSpec, plain_text};
use bothways_mapping::path::Query;
use bothways_model::{ErrorClass, Failure, Observed, RemoteId, Response};
use serde_json::Value as Json;
use std::sync::Arc;

/// The longest text of a service that is kept, in characters.
const LONGEST_MESSAGE: usize = 500;

/// The longest code of a service that is kept, in characters.
const LONGEST_CODE: usize = 100;

/// Refuses a page for people in the place of an answer that says nothing: something in front of the service sent it, and whether the
/// service got the request nobody knows.
pub(crate) fn not_a_page(answer: &Response) -> Result<(), Failure> {
    let mut body = answer.body.iter().copied().skip_while(u8::is_ascii_whitespace);
    if body.next() != Some(b'<') {
        return Ok(());
    }
    let mut failure = malformed("the answer is a page, not the service's");
    failure.status = Some(answer.status);
    Err(failure)
}

/// The body as JSON; `None` if it is empty.
pub(crate) fn json(answer: &Response) -> Result<Option<Json>, Failure> {
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(&answer.body).map(Some).map_err(|_| {
        let mut failure = malformed("the answer is not JSON, or cut off");
        failure.status = Some(answer.status);
        failure
    })
}

/// The body as JSON, which must be there.
pub(crate) fn some_json(answer: &Response) -> Result<Json, Failure> {
    json(answer)?.ok_or_else(|| malformed("the answer is empty"))
}

/// What an answer that is no success means.
pub(crate) fn failure(core: &Core, answer: &Response) -> Failure {
    let errors = &core.spec().http.errors;
    let body = serde_json::from_slice::<Json>(&answer.body).ok();
    let find = |query: &Option<Query>| {
        query.as_ref().zip(body.as_ref()).and_then(|(q, body)| plain_text(q.first(body)?))
    };
    let code = find(&errors.code);
    let message = find(&errors.message).map_or_else(
        || format!("the service answered {}", answer.status),
        |words| words.chars().take(LONGEST_MESSAGE).collect(),
    );
    let class = match errors.classify(answer.status, code.as_deref()) {
        // What it is about stands in the code, and nobody can read that: the request may be being carried out (rule 23). A precondition
        // that failed needs no words.
        ErrorClass::Conflict if body.is_none() && errors.code.is_some() && answer.status != 412 => {
            ErrorClass::Malformed
        }
        class => class,
    };
    // It is the service's own word: whatever it holds goes into lines of text.
    let code = code.map(|code| code.chars().filter(|c| !c.is_control()).take(LONGEST_CODE).collect());
    let mut failure =
        Failure { class, status: Some(answer.status), code, message, retry_after_ms: None, replayed: false };
    if let Some(refine) = core.vendor.refine {
        refine(answer, &mut failure);
    }
    let throttled = answer.status == 429 || failure.class == ErrorClass::Throttle;
    let asked = core.limits.retry_after(answer, throttled);
    failure.retry_after_ms = asked.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    failure
}

/// The record of an answer that is no list: out of its envelope, with the version that a header gives.
pub(crate) fn record(resource: &ResourceSpec, answer: &Response, body: Json) -> Result<Observed, Failure> {
    let body = if resource.item.is_root() {
        body
    } else {
        let item = resource.item.first(&body).cloned();
        item.ok_or_else(|| malformed(format!("the answer has no record at {}", resource.item.text())))?
    };
    let mut seen = observe(resource, body)?;
    if let Some(Fact::Header(name)) = &resource.version {
        seen.version = answer.header(name).filter(|version| !version.is_empty()).map(str::to_owned);
    }
    Ok(seen)
}

/// One record: its id, whether it is gone, when it changed.
pub(crate) fn observe(resource: &ResourceSpec, body: Json) -> Result<Observed, Failure> {
    let id = resource.id.read(&body).map(RemoteId).ok_or_else(|| malformed("a record without an id"))?;
    Ok(Observed {
        id,
        gone: resource.gone.as_ref().is_some_and(|gone| gone.matches(&body)),
        changed_at: resource.changed_at.as_ref().and_then(|at| at.read(&body)),
        version: match &resource.version {
            Some(Fact::Body(query)) => query.first(&body).and_then(plain_text),
            _ => None,
        },
        body: Arc::new(body),
    })
}

/// An id, which services write as text or as a number.
pub(crate) fn id(query: &Query, body: &Json) -> Result<RemoteId, Failure> {
    query
        .first(body)
        .and_then(plain_text)
        .filter(|id| !id.is_empty())
        .map(RemoteId)
        .ok_or_else(|| malformed("a record without an id"))
}

/// The records of a list, moved out of the answer where that is possible.
pub(crate) fn items(query: &Query, body: &mut Json) -> Result<Vec<Json>, Failure> {
    let Some(path) = query.singular() else {
        // What the query looks into must be there: else nothing found would say that there is nothing (rule 31).
        let below = query.anchor();
        return match below.get(body) {
            Some(Json::Array(_) | Json::Object(_)) => Ok(query.select(body).into_iter().cloned().collect()),
            _ => Err(malformed(format!("the answer has no list at {below}"))),
        };
    };
    match path.get_mut(body) {
        Some(Json::Array(items)) => Ok(std::mem::take(items)),
        _ => Err(malformed(format!("the answer has no list at {path}"))),
    }
}

pub(crate) fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(ErrorClass::Malformed, message)
}
