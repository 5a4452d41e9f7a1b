//! One record as a service shows and takes it: its id, its version, what an update sends.

use super::Call;
use crate::path::Query;
use bothways_model::{SingularPath, key};
use serde_json::Value as Json;

/// Where a record's id is: one place, or several whose values make it together.
#[derive(Clone, Debug, PartialEq)]
pub struct IdSpec(pub Vec<Query>);

impl IdSpec {
    /// How many values make the id.
    pub fn parts(&self) -> usize {
        self.0.len()
    }

    /// The paths as they were written.
    pub fn text(&self) -> String {
        self.0.iter().map(Query::text).collect::<Vec<_>>().join(", ")
    }

    /// Whether this place is the id, or part of it.
    pub fn is_at(&self, path: &SingularPath) -> bool {
        self.0.iter().any(|query| query.singular() == Some(path))
    }

    /// The id of a record, text or numbers; `None` where any of it is missing. Several values are joined by `/`, and a `/` or `%` in one
    /// of them is percent-encoded, so that [`IdSpec::split`] gives them back.
    pub fn read(&self, record: &Json) -> Option<String> {
        let part = |query: &Query| query.first(record).and_then(plain_text).filter(|part| !part.is_empty());
        match self.0.as_slice() {
            [one] => part(one),
            several => several.iter().map(part).collect::<Option<Vec<_>>>().map(|parts| key::join(&parts)),
        }
    }

    /// The values that make `id`; `None` if it is not made of as many.
    pub fn split(&self, id: &str) -> Option<Vec<String>> {
        if self.0.len() == 1 {
            return Some(vec![id.to_owned()]);
        }
        let parts = key::split(id);
        let whole = parts.len() == self.0.len() && parts.iter().all(|part| !part.is_empty());
        whole.then_some(parts)
    }
}

/// Text or a number, as text: services write ids, versions and codes as either. `None` for anything else.
pub fn plain_text(node: &Json) -> Option<String> {
    match node {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Where the version goes in a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum IfMatch {
    /// A place in the record that is sent.
    Record(SingularPath),
    /// This header, in lower case.
    Header(String),
}

/// What an update sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sends {
    /// The mapped fields that changed.
    #[default]
    Changed,
    /// All mapped fields, those that did not change as they were read.
    Mapped,
    /// The whole record as it was read, with the changes in it.
    Whole,
}

/// A changing call.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The call.
    pub call: Call,
    /// What its body holds.
    pub sends: Sends,
    /// Where the version goes that makes it conditional.
    pub if_match: Option<IfMatch>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn ids_of_several_values_come_back(a in "[a-z/%2F5é]{1,6}", b in "[a-z/%2F5é]{1,6}", n in any::<i64>()) {
            let query = |path: &str| Query::parse(path).unwrap();
            let spec = IdSpec(vec![query("$.a"), query("$.b.c"), query("$.n")]);
            let id = spec.read(&json!({"a": a, "b": {"c": b}, "n": n})).unwrap();
            prop_assert_eq!(spec.split(&id), Some(vec![a, b, n.to_string()]));
        }
    }

    #[test]
    fn nothing_else_is_such_an_id() {
        let spec = IdSpec(vec![Query::parse("$.a").unwrap(), Query::parse("$.b").unwrap()]);
        for other in ["", "a", "/", "a/", "/b", "a/b/c", "a%2Fb"] {
            assert_eq!(spec.split(other), None, "{other}");
        }
        for record in [json!({"a": "x"}), json!({"a": "x", "b": null}), json!({"a": "x", "b": ""})] {
            assert_eq!(spec.read(&record), None);
        }
        assert_eq!(IdSpec(vec![Query::parse("$.a").unwrap()]).read(&json!({"a": "x/y"})), Some("x/y".into()));
    }
}
