//! One field of a mapping.

use super::Winner;
use crate::finding::Source;
use crate::lens::{Lens, Normalize, Refusal, RefusalKind};
use crate::path::Query;
use bothways_model::planted::{self, Bug};
use bothways_model::{FieldType, SingularPath, Value};

/// Which way a field travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    Both,
    /// From the remote to the table.
    In,
    /// From the table to the remote.
    Out,
}

impl Direction {
    /// Whether the table's value is ever sent.
    pub fn goes_out(self) -> bool {
        self != Direction::In
    }

    /// Whether the remote's value is ever stored.
    pub fn comes_in(self) -> bool {
        self != Direction::Out
    }

    /// The word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Both => "both",
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// What stands for a row on the remote side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The id of the record that the row is linked with, by the links of this catalog on the same connection.
    Link(String),
    /// What the row itself holds.
    Lookup(RowLookup),
}

/// A field of another catalog that stands for its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLookup {
    /// The catalog.
    pub catalog: String,
    /// Its field.
    pub by: String,
}

/// One field of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name in the mapping: the key of records that [`super::Mapping::read_remote`] and
    /// [`super::Mapping::read_local`] give. Usually also the local field's name, but not always.
    pub label: String,
    /// The local fields it is made of. Every codec there is takes exactly one.
    pub local: Vec<String>,
    /// Where the remote value is.
    pub read: Query,
    /// Where it is written; none for `direction: in`.
    pub write: Option<SingularPath>,
    /// Which way it travels.
    pub direction: Direction,
    /// How it travels.
    pub lens: Lens,
    /// What is made alike on both sides.
    pub normalize: Normalize,
    /// Stored where the remote value is null.
    pub default: Option<Value>,
    /// A change without it parks.
    pub required: bool,
    /// It travels only at creation; a later change parks.
    pub immutable: bool,
    /// Who wins a conflict: the field's own word, else the mapping's.
    pub winner: Winner,
    /// The rows that it refers to, if it does. On the local side the field reads as the key of such a row, on the remote side as
    /// what stands for it there.
    pub reference: Option<Reference>,
    /// Its merge unit: fields with the same number change together.
    pub unit: usize,
    /// Where the field is written.
    pub source: Source,
    /// Where its winner was said, if it was.
    pub winner_source: Option<Source>,
}

impl Field {
    /// The local field's name.
    pub fn local_name(&self) -> &str {
        self.local.first().map_or(self.label.as_str(), String::as_str)
    }

    /// The catalog whose links say which record stands for the row that it refers to.
    pub fn linked(&self) -> Option<&String> {
        match &self.reference {
            Some(Reference::Link(catalog)) => Some(catalog),
            _ => None,
        }
    }

    /// What of another catalog's row stands for it.
    pub fn lookup(&self) -> Option<&RowLookup> {
        match &self.reference {
            Some(Reference::Lookup(lookup)) => Some(lookup),
            _ => None,
        }
    }

    /// The type of its values, as they are compared; of a reference, that of what stands for the row on the remote side.
    pub fn ty(&self) -> &FieldType {
        self.lens.local_type()
    }

    /// Equal once both are made alike.
    pub fn same(&self, a: &Value, b: &Value) -> bool {
        a == b || (self.normalize.apply(a) == self.normalize.apply(b) && !planted::is(Bug::ComparedByBytes))
    }

    /// Refuses null where something is required: asked before a value is stored or sent.
    pub fn check_required(&self, value: &Value) -> Result<(), Refusal> {
        if self.required && value.is_null() {
            return Err(Refusal::new(RefusalKind::Required, format!("`{}` must not be empty", self.label)));
        }
        Ok(())
    }
}
