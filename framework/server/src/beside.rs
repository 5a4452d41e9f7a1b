//! What the demo shows beside a catalog: the other system's records, as a person at its own dashboard would see and edit them.
//!
//! The server knows no service and reaches none; whoever runs the demo implements [`Beside`] over its stand-in.

use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio::sync::watch;

/// One column of both panes.
#[derive(Clone, Debug)]
pub struct BesideColumn {
    /// The field's name in [`BesideRecord::fields`], such as `email`.
    pub name: String,
    /// What people call it, such as `Email`.
    pub label: String,
    /// The catalog field shown in the left pane.
    pub local: String,
}

/// One record of the other system.
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

/// The other system's records, seen and edited behind the engine's back.
#[async_trait]
pub trait Beside: Send + Sync {
    /// The right pane's heading, such as `Stripe (sandbox)`.
    fn title(&self) -> String;

    /// The catalog of the left pane.
    fn catalog(&self) -> String;

    /// The mapping between the two, which the page can pause and resume.
    fn mapping(&self) -> String;

    /// One more sentence for the top of the page, such as how to change the table by another program.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The columns of both panes; the first names a record.
    fn columns(&self) -> Vec<BesideColumn>;

    /// All records, newest first.
    async fn list(&self) -> Result<Vec<BesideRecord>, BesideError>;

    /// Creates a record and returns its id. Columns that are not named stay empty.
    async fn create(&self, fields: BTreeMap<String, String>) -> Result<String, BesideError>;

    /// Sets the named columns of a record; empty text clears.
    async fn update(&self, id: &str, fields: BTreeMap<String, String>) -> Result<(), BesideError>;

    /// Deletes a record.
    async fn delete(&self, id: &str) -> Result<(), BesideError>;

    /// A receiver that changes whenever a record there was written, by whomever.
    fn changed(&self) -> watch::Receiver<u64>;
}
