//! Conditional requests, which exist for accounts alone and not for deletes.

use super::call::Call;
use super::errors::ApiError;
use super::objects::Object;
use super::records::Record;
use super::time;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bothways_model::Method;
use sha2::{Digest, Sha256};

/// The record's entity tag, if its object has any.
pub(crate) fn etag(object: &Object, record: &Record) -> Option<String> {
    let hash = Sha256::digest(format!("{}:{}", record.id, record.version));
    (object.name == "Account").then(|| format!("\"{}--gzip\"", STANDARD.encode(hash)))
}

/// Whether the request's preconditions let it through: 412 or, for a GET of what is known already, none.
pub(crate) fn check(call: &Call, object: &Object, record: &Record) -> Result<Option<Unchanged>, ApiError> {
    let Some(tag) = etag(object, record).filter(|_| call.method != Method::Delete) else { return Ok(None) };
    let is_read = call.method == Method::Get;
    let names = |header: &str| {
        call.header(header).map(|list| list.split(',').any(|one| [&*tag, "*"].contains(&one.trim())))
    };
    let since = |header: &str| match call.header(header).map(time::read_http_date) {
        Some(None) if !is_read => {
            Err(ApiError::bad("INVALID_HEADER_VALUE", format!("{header} is not a date")))
        }
        Some(at) => Ok(at.map(|at| record.modified <= at)),
        None => Ok(None),
    };
    if names("if-match") == Some(false) || since("if-unmodified-since")? == Some(false) {
        return Err(ApiError::precondition());
    }
    let known = names("if-none-match").or(since("if-modified-since")?) == Some(true);
    match (known, is_read) {
        (false, _) => Ok(None),
        (true, true) => Ok(Some(Unchanged)),
        (true, false) => Err(ApiError::precondition()),
    }
}

/// The caller has the record as it is: 304.
pub(crate) struct Unchanged;
