//! Something that a message says, in its body or in a header.

use crate::path::Query;

/// Where it is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// In the body.
    Body(Query),
    /// In the header of this name, in lower case.
    Header(String),
}

impl Fact {
    /// The header's name, if it is said in one.
    pub fn header(&self) -> Option<&str> {
        if let Fact::Header(name) = self { Some(name) } else { None }
    }
}
