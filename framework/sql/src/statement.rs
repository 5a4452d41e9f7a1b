//! Statements: the one place that vouches for SQL text made at run time, and bulk statements of few, cached shapes.
//!
//! Text made at run time consists of this crate's own literals and of names that went through [`bothways_model::Ident`];
//! values are always bound. Every statement is a hand-off to the connection's thread, which costs more than the SQL itself, so whatever
//! is done for many records is done with multi-row statements. Their sizes are few, so that SQLite finds them prepared.

use sqlx::sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, SqlSafeStr, Sqlite, SqliteConnection};

/// The sizes of multi-row statements.
const SIZES: [usize; 4] = [64, 16, 4, 1];
/// SQLite takes 32,766 values at most in one statement.
const VALUES: usize = 32_000;

/// A bound value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arg {
    Null,
    Int(i64),
    Text(String),
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Arg::Int(value)
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Arg::Int(i64::from(value))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Arg::Text(value)
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Arg::Text(value.to_owned())
    }
}

impl<T: Into<Arg>> From<Option<T>> for Arg {
    fn from(value: Option<T>) -> Self {
        value.map_or(Arg::Null, Into::into)
    }
}

fn arguments(values: impl IntoIterator<Item = Arg>) -> Result<SqliteArguments, sqlx::Error> {
    let mut args = SqliteArguments::default();
    for value in values {
        match value {
            Arg::Null => args.add(None::<i64>),
            Arg::Int(number) => args.add(number),
            Arg::Text(text) => args.add(text),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(args)
}

/// Text for the database: a literal of ours, or text made from such literals and checked names.
pub(crate) trait Statement: Send {
    /// As sqlx wants it.
    fn text(self) -> sqlx::SqlStr;
}

impl Statement for &'static str {
    fn text(self) -> sqlx::SqlStr {
        self.into_sql_str()
    }
}

impl Statement for String {
    fn text(self) -> sqlx::SqlStr {
        AssertSqlSafe(self).into_sql_str()
    }
}

/// Runs a statement.
pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    sql: impl Statement,
    args: impl IntoIterator<Item = Arg>,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query_with::<Sqlite, _>(sql.text(), arguments(args)?).execute(connection).await
}

/// Runs a query.
pub(crate) async fn fetch(
    connection: &mut SqliteConnection,
    sql: impl Statement,
    args: impl IntoIterator<Item = Arg>,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    sqlx::query_with::<Sqlite, _>(sql.text(), arguments(args)?).fetch_all(connection).await
}

/// Runs a query for at most one row.
pub(crate) async fn fetch_optional(
    connection: &mut SqliteConnection,
    sql: impl Statement,
    args: impl IntoIterator<Item = Arg>,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    sqlx::query_with::<Sqlite, _>(sql.text(), arguments(args)?).fetch_optional(connection).await
}

/// Runs several statements without values, for migrations and triggers.
pub(crate) async fn script(
    connection: &mut SqliteConnection,
    sql: impl Statement,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql.text()).execute(connection).await.map(drop)
}

/// A statement that takes a list of rows: `head (?, ?), (?, ?) tail`.
pub(crate) struct Bulk<'a> {
    /// Up to and including `VALUES`.
    pub(crate) head: &'a str,
    /// How many values a row has.
    pub(crate) width: usize,
    /// What follows the rows.
    pub(crate) tail: &'a str,
}

impl Bulk<'_> {
    fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.width].join(", "));
        format!("{} {} {}", self.head, vec![row.as_str(); rows].join(", "), self.tail)
    }

    /// Runs it for all rows, in order.
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        rows: Vec<Vec<Arg>>,
    ) -> Result<(), sqlx::Error> {
        for chunk in chunks(rows, self.width) {
            let text = self.text(chunk.len());
            execute(connection, text, chunk.into_iter().flatten()).await?;
        }
        Ok(())
    }

    /// Runs it for all rows, in order, and gives what it returns, chunk after chunk.
    pub(crate) async fn returning(
        &self,
        connection: &mut SqliteConnection,
        rows: Vec<Vec<Arg>>,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut all = Vec::with_capacity(rows.len());
        for chunk in chunks(rows, self.width) {
            let text = self.text(chunk.len());
            all.extend(fetch(connection, text, chunk.into_iter().flatten()).await?);
        }
        Ok(all)
    }
}

/// Cuts rows of `width` values into chunks of the cached sizes.
fn chunks<T>(rows: Vec<T>, width: usize) -> Vec<Vec<T>> {
    let most = VALUES / width.max(1);
    let mut all = Vec::new();
    let mut rest = rows.into_iter();
    while rest.len() > 0 {
        let size = SIZES.into_iter().find(|size| *size <= rest.len().min(most)).unwrap_or(1);
        all.push(rest.by_ref().take(size).collect());
    }
    all
}

/// A JSON array of numbers or texts, for `IN (SELECT value FROM json_each(?))`.
pub(crate) fn list<T: serde::Serialize>(values: &[T]) -> Arg {
    Arg::Text(serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes_in_order() {
        let cut = chunks((0..100).collect::<Vec<_>>(), 17);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [64, 16, 16, 4]);
        assert_eq!(cut.concat(), (0..100).collect::<Vec<_>>());
        let wide = chunks((0..100).collect::<Vec<_>>(), 1_000);
        assert!(wide.iter().all(|chunk| chunk.len() <= 16));
        assert!(chunks(Vec::<i32>::new(), 1).is_empty());
    }

    #[test]
    fn bulk_text_has_a_place_for_every_value() {
        let bulk = Bulk { head: "INSERT INTO t (a, b) VALUES", width: 2, tail: "RETURNING a" };
        assert_eq!(bulk.text(2), "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) RETURNING a");
    }
}
