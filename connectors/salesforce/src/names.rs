//! Names of objects and fields. They stand in queries as they are, so that nothing but a name may get there (`RULES.md` S19).

use bothways_connector::ResourceQuery;
use bothways_model::{Segment, SingularPath};

/// The longest name of the platform: 40 characters, with a package's prefix and the suffix of its kind.
const LONGEST: usize = 80;

/// Checks every name that a mapping brings.
///
/// # Errors
/// Says which name is none.
pub(crate) fn check(query: &ResourceQuery) -> Result<(), String> {
    for (param, name) in &query.params {
        if !is_name(name) {
            return Err(format!("{param} called `{name}`"));
        }
    }
    for path in query.paths.iter().chain(&query.stamp) {
        if !first(path).is_some_and(is_name) {
            return Err(format!("field at `{path}`"));
        }
    }
    match &query.stamp {
        Some(stamp) if stamp.0.len() != 1 => {
            Err(format!("external id at `{stamp}`: it is a field of the record itself"))
        }
        _ => Ok(()),
    }
}

/// The field that a path begins with.
fn first(path: &SingularPath) -> Option<&str> {
    match path.0.first() {
        Some(Segment::Name(name)) => Some(name),
        _ => None,
    }
}

/// `Account`, `Bothways_Id__c`, `npsp__Level__c`: letters, digits and single or double underscores, a letter first.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(object: &str, field: &str) -> ResourceQuery {
        ResourceQuery {
            name: "sobject".into(),
            params: [("object".to_owned(), object.to_owned())].into(),
            paths: vec![SingularPath(vec![Segment::Name(field.into())])],
            written: Vec::new(),
            stamp: None,
        }
    }

    #[test]
    fn only_names_get_into_a_query() {
        for good in ["Account", "Bothways_Id__c", "npsp__Level__c", "A1"] {
            assert_eq!(check(&query(good, good)), Ok(()), "{good}");
        }
        for bad in
            ["", "1a", "_a", "Name FROM User", "Name--", "Name,Id", "Näme", "(SELECT Id FROM Cases)", "a'b"]
        {
            assert!(check(&query(bad, "Name")).unwrap_err().contains("object"), "{bad}");
            assert!(check(&query("Account", bad)).unwrap_err().contains("field"), "{bad}");
        }
        let nested = SingularPath(vec![Segment::Name("A".into()), Segment::Name("b".into())]);
        assert!(check(&ResourceQuery { stamp: Some(nested), ..query("Account", "Name") }).is_err());
    }
}
