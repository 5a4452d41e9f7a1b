//! A checked mapping: which field is which, and what happens when they differ. All defaults are applied.

mod field;
mod policy;
mod read;
pub mod safety;

use crate::connector::{ConnectorSpec, ResourceSpec};
use crate::filter::Filter;
use crate::finding::Source;
use bothways_model::{Catalog, ConnectionName, FieldType, SingularPath, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

pub use field::{Direction, Field, Reference, RowLookup};
pub use policy::{
    AgainstUpdate, Check, Conflicts, CreatePolicy, Creates, Deletes, FromLocalDelete, FromRemoteDelete,
    Winner,
};
pub use read::Reading;
pub use safety::{Amount, Safety};

/// A checked mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Its name: its document's, with `@CONNECTION` where that names several connections.
    pub name: String,
    /// The name of its document.
    pub document: String,
    /// The local side.
    pub catalog: Arc<Catalog>,
    /// The remote side.
    pub remote: Remote,
    /// The connector that the remote side belongs to, variables unfilled.
    pub connector: Arc<ConnectorSpec>,
    /// Which records take part.
    pub only: Only,
    /// How records of both sides are recognised as one.
    pub identity: Identity,
    /// The fields, in document order.
    pub fields: Vec<Field>,
    /// Constants set at creation.
    pub on_create: OnCreate,
    /// Records without a counterpart.
    pub creates: Creates,
    /// One field changed on both sides.
    pub conflicts: Conflicts,
    /// Records deleted on one side.
    pub deletes: Deletes,
    /// How often remote changes are looked for.
    pub sync: Sync,
    /// Tighter brakes than the engine's own.
    pub safety: Safety,
    /// Where the document is.
    pub source: Source,
    /// Where each policy was said, by JSON pointer (`/conflicts/winner`): what `explain` points at.
    pub spans: BTreeMap<String, Source>,
}

/// The remote side.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// The connector's name.
    pub connector: String,
    /// The resource's name.
    pub resource: String,
    /// Values of the resource's parameters, one for each.
    pub params: BTreeMap<String, String>,
    /// Whose credentials.
    pub connection: ConnectionName,
}

/// Which records take part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Only {
    /// Holds for remote records that do.
    pub remote: Option<Filter>,
    /// Local fields and the value each has on rows that do.
    pub local: Vec<(String, Value)>,
}

/// How records of both sides are recognised as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Labels of the fields that make an unlinked pair one.
    pub matching: Vec<String>,
    /// Where our link's id is written on records that we create.
    pub stamp: Option<SingularPath>,
    /// The local field that holds the remote id.
    pub remote_id: Option<String>,
}

/// Constants set at creation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnCreate {
    /// Local fields and their values.
    pub local: Vec<(String, Value)>,
    /// Remote paths and their values.
    pub remote: Vec<(SingularPath, Json)>,
}

/// How often remote changes are looked for; none: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sync {
    /// The incremental list.
    pub poll: Option<Duration>,
    /// The event feed.
    pub feed: Option<Duration>,
    /// The full pass.
    pub reconcile: Option<Duration>,
}

impl Mapping {
    /// Whether a person who writes `name` means this mapping: itself, or the document that it is one of.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.document == name
    }

    /// The field called `label`.
    pub fn field(&self, label: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.label == label)
    }

    /// Whether no record can be created without the row or record that a reference refers to.
    pub fn needs(&self, field: &Field) -> bool {
        field.required || self.catalog.field(field.local_name()).is_some_and(|local| !local.optional)
    }

    /// What rows hold of a field. A reference is the key of another row there, whatever stands for it elsewhere.
    pub fn type_of<'m>(&'m self, field: &'m Field) -> &'m FieldType {
        let column = self.catalog.field(field.local_name()).filter(|_| field.reference.is_some());
        column.map_or(field.ty(), |local| &local.ty)
    }

    /// The remote resource. Checking a mapping proves that it exists; `None` only for a mapping built by hand.
    pub fn resource(&self) -> Option<&ResourceSpec> {
        self.connector.resources.get(&self.remote.resource)
    }

    /// What the remote resource can do.
    pub fn capabilities(&self) -> bothways_model::Capabilities {
        self.connector.capabilities(&self.remote.resource)
    }

    /// Indexes of the fields of one merge unit.
    pub fn unit(&self, unit: usize) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |f| f.unit == unit)
    }

    /// Where in a remote record it writes: its fields and its stamp.
    pub fn written_paths(&self) -> Vec<SingularPath> {
        let fields = self.fields.iter().filter_map(|f| f.write.as_ref());
        fields.chain(&self.identity.stamp).cloned().collect()
    }

    /// Where in a remote record it looks or writes. A field that is read from several places is below its path here.
    pub fn paths(&self) -> Vec<SingularPath> {
        let mut paths: Vec<SingularPath> = self.fields.iter().map(|f| f.read.anchor()).collect();
        paths.extend(self.written_paths());
        // `@` alone looks at no place in particular.
        let scope = self.only.remote.iter().flat_map(Filter::paths);
        paths.extend(scope.filter(|path| !path.0.is_empty()));
        paths
    }

    /// What `{fields}` lists in calls for this mapping.
    pub fn remote_fields(&self) -> Vec<String> {
        self.resource().map(|r| r.fields(&self.paths())).unwrap_or_default()
    }

    /// Where the value at `pointer` of the document was said; the whole document where it is a default.
    pub fn said_at(&self, pointer: &str) -> &Source {
        self.spans.get(pointer).unwrap_or(&self.source)
    }
}
