//! Errors that mean more than their code says.

use bothways_model::{ErrorClass, Failure, Response};
use serde_json::Value as Json;

/// The most records that a message names.
const NAMED: usize = 5;

/// Corrects a failure by the rest of its answer.
pub(crate) fn refine(answer: &Response, failure: &mut Failure) {
    match failure.code.as_deref() {
        // A field or object that is not there any more, or not for this user: nothing of the mapping works until somebody sees to it, and
        // the message names the field (rule 17).
        Some("INVALID_FIELD" | "INVALID_TYPE") => failure.class = ErrorClass::Forbidden,
        Some("DUPLICATES_DETECTED") => name(failure, &alike(answer)),
        None if answer.status == 300 => {
            failure.message = "several records have this external id, and nothing was written".into();
            name(failure, &several(answer));
        }
        _ => {}
    }
}

fn name(failure: &mut Failure, ids: &[String]) {
    if !ids.is_empty() {
        let more = if ids.len() > NAMED { ", …" } else { "" };
        let ids: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
        failure.message = format!("{} ({}{more})", failure.message, ids.join(", "));
    }
}

/// The ids of the records that a duplicate rule found.
fn alike(answer: &Response) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Json>(&answer.body) else { return Vec::new() };
    // The name is misspelt by the service; perhaps not for ever.
    let result =
        body.get(0).and_then(|error| error.get("duplicateResut").or_else(|| error.get("duplicateResult")));
    let lists = result.and_then(|r| r.get("matchResults")).and_then(Json::as_array).into_iter().flatten();
    let records = lists.filter_map(|list| list.get("matchRecords")?.as_array()).flatten();
    records.filter_map(|found| found.get("record")?.get("Id")?.as_str().map(str::to_owned)).collect()
}

/// The ids behind the addresses of a 300.
fn several(answer: &Response) -> Vec<String> {
    let Ok(Json::Array(urls)) = serde_json::from_slice::<Json>(&answer.body) else { return Vec::new() };
    urls.iter().filter_map(|url| url.as_str()?.rsplit('/').next().map(str::to_owned)).collect()
}
