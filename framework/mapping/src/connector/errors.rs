//! What an error answer means.

use crate::path::Query;
use bothways_model::ErrorClass;
use std::collections::BTreeMap;

/// How to read errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    /// The service's own words.
    pub message: Option<Query>,
    /// The service's code.
    pub code: Option<Query>,
    /// Classes of codes; they count first.
    pub codes: BTreeMap<String, ErrorClass>,
    /// Classes of statuses, where they differ from the usual.
    pub statuses: BTreeMap<u16, ErrorClass>,
    /// The header that says how long to wait after too many requests, in lower case; none: `retry-after`.
    pub retry_header: Option<String>,
}

impl Errors {
    /// The class of an answer with this status and code. 403 is `forbidden`: it is about the resource, not the credentials.
    pub fn classify(&self, status: u16, code: Option<&str>) -> ErrorClass {
        let by_code = code.and_then(|c| self.codes.get(c)).copied();
        by_code.or_else(|| self.statuses.get(&status).copied()).unwrap_or(match status {
            408 | 500..=599 => ErrorClass::Retry,
            429 => ErrorClass::Throttle,
            401 => ErrorClass::Auth,
            403 => ErrorClass::Forbidden,
            404 | 410 => ErrorClass::Missing,
            409 | 412 => ErrorClass::Conflict,
            400..=499 => ErrorClass::Invalid,
            _ => ErrorClass::Malformed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_then_status_then_the_usual() {
        let errors = Errors {
            codes: [("resource_missing".to_owned(), ErrorClass::Missing)].into(),
            statuses: [(400, ErrorClass::Conflict)].into(),
            ..Errors::default()
        };
        assert_eq!(errors.classify(400, Some("resource_missing")), ErrorClass::Missing);
        assert_eq!(errors.classify(400, Some("other")), ErrorClass::Conflict);
        assert_eq!(errors.classify(422, None), ErrorClass::Invalid);
        assert_eq!(errors.classify(503, None), ErrorClass::Retry);
        assert_eq!(errors.classify(204, None), ErrorClass::Malformed);
    }
}
