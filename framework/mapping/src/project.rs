//! A whole set of checked documents.

use crate::connector::ConnectorSpec;
use crate::finding::{Finding, Severity, Source};
use crate::load::Places;
use crate::mapping::Mapping;
use bothways_model::Catalog;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One file as its reader found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name that findings show, usually a path.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A file.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// Checked documents, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    /// Connectors, compiled-in ones included.
    pub connectors: BTreeMap<String, Arc<ConnectorSpec>>,
    /// Catalogs.
    pub catalogs: BTreeMap<String, Arc<Catalog>>,
    /// Mappings, in the order of their names.
    pub mappings: Vec<Arc<Mapping>>,
    /// Where everything in each catalog's document was said.
    pub(crate) places: Places,
}

impl Project {
    /// The mapping called `name`.
    pub fn mapping(&self, name: &str) -> Option<&Arc<Mapping>> {
        self.mappings.iter().find(|m| m.is_called(name))
    }

    /// Where the value at `pointer` of a catalog's document is; the document's name where it is not there.
    pub fn catalog_place(&self, catalog: &str, pointer: &str) -> Option<Source> {
        let places = self.places.get(catalog)?;
        places.get(pointer).or_else(|| places.get("/catalog")).cloned()
    }
}

/// What loading gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The documents, unless a finding is an error.
    pub project: Option<Project>,
    /// Everything there is to say, by file and place.
    pub findings: Vec<Finding>,
}

impl Loaded {
    /// True if any finding is an error; there is no project then.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}
