//! The catalog's own tables, for the records API, the page and full passes.

use crate::Result;
use async_trait::async_trait;
use bothways_model::{LocalId, LocalRow, Record, Value};

/// A page of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowPage {
    /// The rows, in key order.
    pub rows: Vec<LocalRow>,
    /// Rows of this page that hold something their catalog does not allow, in key order.
    pub unreadable: Vec<UnreadableRow>,
    /// The key to go on after; `None` at the end.
    pub next: Option<LocalId>,
}

/// A row that holds something its catalog's types do not allow (a text where a number belongs, a word that is not in the enum).
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadableRow {
    /// Its key.
    pub id: LocalId,
    /// Which column, and what it should hold; never the value.
    pub message: String,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq)]
pub enum RowUpdate {
    /// Done; the row as the table holds it.
    Done(LocalRow),
    /// Not done: the row does not hold what was expected any more. As it is now.
    Moved(LocalRow),
    /// There is no such row.
    Gone,
}

/// Rows. Writes here are a user's writes: triggers see them and sync carries them.
#[async_trait]
pub trait Rows: Send + Sync {
    /// One row. `Refused` if it holds something its catalog does not allow.
    async fn row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>>;

    /// Rows in key order after `after`; with `search`, only those with that text in a text field or as key, in any case.
    async fn rows(
        &self,
        catalog: &str,
        search: Option<&str>,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<RowPage>;

    /// What the rows with these keys hold in `field`, in the order asked, archived rows too: `None` where there is no such row, null also
    /// where a row holds there what its catalog does not allow.
    async fn held_by(&self, catalog: &str, field: &str, keys: &[LocalId]) -> Result<Vec<Option<Value>>>;

    /// The keys of the rows that hold each of these texts or whole numbers in `field`, in the order asked: of those that are not archived,
    /// and at most two for each, which tells one from several. Texts are compared by bytes, whatever the column's collation; nothing
    /// holds null.
    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>>;

    /// How many rows there are.
    async fn count_rows(&self, catalog: &str) -> Result<u64>;

    /// Inserts a row and returns it as the table holds it.
    async fn insert_row(&self, catalog: &str, fields: &Record) -> Result<LocalRow>;

    /// Sets fields of a row, if it still holds what is expected: null where a field of `expected` is null. Nothing is expected of fields
    /// that are not in there.
    async fn update_row(
        &self,
        catalog: &str,
        id: &LocalId,
        expected: &Record,
        fields: &Record,
    ) -> Result<RowUpdate>;

    /// Deletes a row. False if there is no such row.
    async fn delete_row(&self, catalog: &str, id: &LocalId) -> Result<bool>;
}
