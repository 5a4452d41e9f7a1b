//! A whole set of checked documents.

use crate::connector::ConnectorSpec;
use crate::finding::{Finding, Severity};
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
}

impl Project {
    /// The mapping called `name`.
    pub fn mapping(&self, name: &str) -> Option<&Arc<Mapping>> {
        self.mappings.iter().find(|m| m.name == name)
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
