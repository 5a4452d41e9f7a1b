//! What the demo shows beside catalogs: the other systems' records, as a person at their own dashboards would see and edit them.
//!
//! The server knows no service and reaches none; whoever runs the demo implements [`Beside`] over its stand-ins.

use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// One kind of record that is on both sides: a page of its own.
#[derive(Clone, Debug)]
pub struct BesideKind {
    /// The mapping between the two, which the page can pause and resume.
    pub mapping: String,
    /// The catalog of the left pane.
    pub catalog: String,
    /// The system of the right pane, such as `Stripe (sandbox)`.
    pub system: String,
    /// What its records are called there, such as `sobject Account`.
    pub resource: String,
    /// One more sentence for the top of the page, for what the documents do not say.
    pub hint: Option<String>,
    /// The columns of both panes, in the order in which they are shown.
    pub columns: Vec<BesideColumn>,
}

/// One column of both panes.
#[derive(Clone, Debug)]
pub struct BesideColumn {
    /// The key of [`BesideRecord::fields`]: the field's name in the mapping, such as `email`.
    pub name: String,
    /// The catalog field of the left pane.
    pub local: String,
    /// What the other system calls it, such as `Email`.
    pub remote: String,
    /// When a row's value can be set by hand.
    pub here: Editable,
    /// When a record's value can be set by hand.
    pub there: Editable,
    /// All values that a record may have in it; empty where there are too many to name.
    pub words: Vec<String>,
    /// What to type in the right pane, where that is not plain.
    pub placeholder: Option<&'static str>,
    /// The mapping of what it refers to: a row's key on the left, a record's id on the right.
    pub refers_to: Option<String>,
}

impl BesideColumn {
    /// Whether it is a name, or a part of one: what people call the record by.
    pub fn names_it(&self) -> bool {
        self.local.split('_').any(|word| word == "name")
    }
}

/// When a value can be set by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editable {
    /// At any time.
    Always,
    /// Only while the record is made.
    AtCreation,
    /// Only once the record is there.
    Later,
    /// Others set it.
    Never,
}

impl Editable {
    /// Whether a form offers it: the one for a new record, or the one of a record.
    pub(crate) fn is_offered(self, creating: bool) -> bool {
        match self {
            Editable::Always => true,
            Editable::AtCreation => creating,
            Editable::Later => !creating,
            Editable::Never => false,
        }
    }
}

/// One record of another system.
#[derive(Clone, Debug, PartialEq)]
pub struct BesideRecord {
    /// Its id there.
    pub id: String,
    /// Its values as text, by column name; empty text where there is none.
    pub fields: BTreeMap<String, String>,
}

/// The other system refused an edit; the text is shown to the person who made it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BesideError(pub String);

/// The other systems' records, seen and edited behind the engine's back. A kind is named by its mapping.
#[async_trait]
pub trait Beside: Send + Sync {
    /// What there is, at least one; the first is shown first.
    fn kinds(&self) -> &[BesideKind];

    /// All records of a kind, newest first.
    async fn list(&self, mapping: &str) -> Result<Vec<BesideRecord>, BesideError>;

    /// Creates a record and returns its id. Columns that are not named stay empty.
    async fn create(&self, mapping: &str, fields: BTreeMap<String, String>) -> Result<String, BesideError>;

    /// Sets the named columns of a record; empty text clears.
    async fn update(
        &self,
        mapping: &str,
        id: &str,
        fields: BTreeMap<String, String>,
    ) -> Result<(), BesideError>;

    /// Deletes a record.
    async fn delete(&self, mapping: &str, id: &str) -> Result<(), BesideError>;

    /// A receiver that changes whenever a record there was written, by whomever.
    fn changed(&self) -> watch::Receiver<u64>;
}
