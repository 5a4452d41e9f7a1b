//! A checked catalog: what one local table holds, with names proven safe for SQL.

use crate::{Ident, PrimaryKey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of a catalog field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldType {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// An exact decimal with at most `scale` digits after the point.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// True or false.
    Bool,
    /// A moment, UTC.
    Timestamp,
    /// A calendar date.
    Date,
    /// A UUID.
    Uuid,
    /// Any JSON.
    Json,
    /// One of these words.
    Enum(Vec<String>),
    /// A list, stored as a JSON array.
    List(Box<FieldType>),
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldType::Text => f.write_str("text"),
            FieldType::Int => f.write_str("int"),
            FieldType::Decimal { scale } => write!(f, "decimal({scale})"),
            FieldType::Bool => f.write_str("bool"),
            FieldType::Timestamp => f.write_str("timestamp"),
            FieldType::Date => f.write_str("date"),
            FieldType::Uuid => f.write_str("uuid"),
            FieldType::Json => f.write_str("json"),
            FieldType::Enum(_) => f.write_str("enum"),
            FieldType::List(item) => write!(f, "list of {item}"),
        }
    }
}

/// Who makes the key of a new row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyMaker {
    /// The database: an identity or auto-increment column.
    Database,
    /// The engine: a UUIDv7.
    Engine,
    /// Whoever inserts the row gives its key along with the rest of it.
    Inserter,
}

/// How local changes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// By triggers, in the writer's own transaction (rule 36).
    Trigger,
    /// Only by full passes.
    None,
}

/// One field of a catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogField {
    /// The name that mappings use.
    pub name: String,
    /// The column; the name unless the document says otherwise.
    pub column: Ident,
    /// The type by which values are compared.
    pub ty: FieldType,
    /// Whether null is allowed.
    pub optional: bool,
    /// The catalog whose rows it refers to by their key; `ty` is the type of that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The author's note.
    pub doc: Option<String>,
}

/// One catalog, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Its name.
    pub name: String,
    /// The schema the table is in, where the database has schemas.
    pub schema: Option<Ident>,
    /// The table.
    pub table: Ident,
    /// The primary key: one or several of `fields`.
    pub key: PrimaryKey,
    /// Who makes keys.
    pub made_by: KeyMaker,
    /// A timestamp column whose non-null value means "deleted".
    pub deleted_at: Option<Ident>,
    /// How local changes are seen.
    pub track: Track,
    /// All fields, the key included, in document order.
    pub fields: Vec<CatalogField>,
}

impl Catalog {
    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&CatalogField> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// The table's columns that the catalog names: of its fields, and the one that marks a deleted row. One may come twice.
    pub fn columns(&self) -> impl Iterator<Item = &Ident> {
        self.fields.iter().map(|field| &field.column).chain(&self.deleted_at)
    }
}
