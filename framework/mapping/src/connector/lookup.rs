//! Names for ids, out of other lists of the service.

use crate::path::Query;
use bothways_model::{Segment, SingularPath};
use serde_json::{Value as Json, json};

/// What a record shows in the place of a name that is not known. No service writes it.
const UNLISTED: &str = "bothways:unlisted";

/// A name that records are given for an id that they hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// Where the name is read and written.
    pub path: SingularPath,
    /// Where the record holds the id.
    pub from: SingularPath,
    /// The resource whose `list` shows the entries.
    pub resource: String,
    /// Where an entry has its name.
    pub name: Query,
}

impl Lookup {
    /// The member of the record that the name is.
    pub fn member(&self) -> Option<&str> {
        match self.path.0.as_slice() {
            [Segment::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// What a record shows whose id the list does not: no lens reads it, so that it parks what needs the name (never a guess, never a
    /// null).
    pub fn unlisted(&self) -> Json {
        let (resource, from) = (&self.resource, &self.from);
        json!({ UNLISTED: format!("the record holds an id that the list `{resource}` does not show: put the entry back at the service, choose another one there, or map the id itself ({from})") })
    }
}

/// Why a node is no name, where it is what [`Lookup::unlisted`] puts there.
pub(crate) fn unlisted(node: &Json) -> Option<&str> {
    node.get(UNLISTED).and_then(Json::as_str)
}
