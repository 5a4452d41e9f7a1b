//! Statements: the one place that vouches for SQL text made at run time, and bulk statements of few, cached shapes.
//!
//! Text made at run time consists of this crate's own literals and of names that went through [`bothways_model::Ident`];
//! values are always bound. Whatever is done for many records is done with multi-row statements; their sizes are few, so that the
//! database finds them prepared.

use crate::connection::{Connection, Wanted};
use crate::error::Failure;
use crate::tuple::Tuple;
use sqlx::{AssertSqlSafe, SqlSafeStr};
use std::borrow::Cow;

/// The sizes of multi-row statements.
const SIZES: [usize; 4] = [32, 8, 2, 1];
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

/// A count; more than SQLite can hold is the most it can hold.
impl From<usize> for Arg {
    fn from(value: usize) -> Self {
        Arg::Int(i64::try_from(value).unwrap_or(i64::MAX))
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

/// Text for the database: a literal of ours, or text made from such literals and checked names.
pub(crate) trait Statement: Send {
    /// The text.
    fn text(self) -> Cow<'static, str>;
}

impl Statement for &'static str {
    fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}

impl Statement for String {
    fn text(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

/// Text that came through [`Statement`], for sqlx.
pub(crate) fn vouched(sql: &str) -> impl SqlSafeStr + use<> {
    AssertSqlSafe(sql.to_owned())
}

/// Runs a statement and says how many rows it changed.
pub(crate) async fn execute(
    connection: &mut Connection,
    sql: impl Statement,
    args: impl IntoIterator<Item = Arg>,
) -> Result<u64, Failure> {
    let (sql, args) = (sql.text(), args.into_iter().collect());
    Ok(connection.run(&sql, args, Wanted::All).await?.changed)
}

/// Runs a query.
pub(crate) async fn fetch(
    connection: &mut Connection,
    sql: impl Statement,
    args: impl IntoIterator<Item = Arg>,
) -> Result<Vec<Tuple>, Failure> {
    let (sql, args) = (sql.text(), args.into_iter().collect());
    Ok(connection.run(&sql, args, Wanted::All).await?.rows)
}

/// Runs a query for at most one row.
pub(crate) async fn fetch_optional(
    connection: &mut Connection,
    sql: impl Statement,
    args: impl IntoIterator<Item = Arg>,
) -> Result<Option<Tuple>, Failure> {
    let (sql, args) = (sql.text(), args.into_iter().collect());
    Ok(connection.run(&sql, args, Wanted::First).await?.rows.pop())
}

/// Runs several statements without values, for migrations and triggers.
pub(crate) async fn script(connection: &mut Connection, sql: impl Statement) -> Result<(), Failure> {
    connection.script(&sql.text()).await
}

/// A list of columns with the name of their table before each.
pub(crate) fn columns_of(table: &str, columns: &str) -> String {
    columns.split(',').map(|column| format!("{table}.{}", column.trim())).collect::<Vec<_>>().join(", ")
}

/// Statements that go to the connection together, so that a database at the other end of a wire is asked once. Parameters are plain
/// `?`, bound in order.
#[derive(Default)]
pub(crate) struct Joint(Vec<(String, Vec<Arg>)>);

impl Joint {
    /// Adds a statement.
    pub(crate) fn then(mut self, sql: &str, args: impl IntoIterator<Item = Arg>) -> Self {
        self.0.push((sql.to_owned(), args.into_iter().collect()));
        self
    }

    /// Adds all statements of another.
    pub(crate) fn and(mut self, other: Joint) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds a statement for a list of rows.
    fn bulk(mut self, bulk: &Bulk<'_>, rows: Vec<Vec<Arg>>) -> Self {
        for chunk in chunks(rows, bulk.width) {
            self = self.then(&bulk.text(chunk.len()), chunk.into_iter().flatten());
        }
        self
    }

    /// Runs all of them, in order, and gives what each of the last `N` returns.
    pub(crate) async fn fetch<const N: usize>(
        self,
        connection: &mut Connection,
    ) -> Result<[Vec<Tuple>; N], Failure> {
        let mut all = [const { Vec::new() }; N];
        let silent = self.0.len().saturating_sub(N);
        for (at, (sql, args)) in self.0.into_iter().enumerate() {
            let rows = connection.run(&sql, args, Wanted::All).await?.rows;
            if let Some(place) = at.checked_sub(silent).and_then(|at| all.get_mut(at)) {
                *place = rows;
            }
        }
        Ok(all)
    }
}

/// Rows of one list that still go together with other statements. Longer lists have statements of their own, so that the texts to
/// prepare stay few.
const FEW: usize = 4;

/// Writes of one transaction, handed over together with the next that asks for something, or at the end.
pub(crate) struct Writes<'c> {
    connection: &'c mut Connection,
    waiting: Joint,
}

impl<'c> Writes<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Self {
        Self { connection, waiting: Joint::default() }
    }

    /// Adds a statement.
    pub(crate) fn put(&mut self, sql: &str, args: impl IntoIterator<Item = Arg>) {
        self.waiting = std::mem::take(&mut self.waiting).then(sql, args);
    }

    /// Adds a statement for a list of rows; a long one is carried out at once.
    pub(crate) async fn bulk(&mut self, bulk: &Bulk<'_>, rows: Vec<Vec<Arg>>) -> Result<(), Failure> {
        if rows.len() > FEW {
            let connection = self.connection().await?;
            return bulk.run(connection, rows).await;
        }
        self.waiting = std::mem::take(&mut self.waiting).bulk(bulk, rows);
        Ok(())
    }

    /// Carries out what waits, and asks.
    pub(crate) async fn fetch<const N: usize>(
        &mut self,
        questions: Joint,
    ) -> Result<[Vec<Tuple>; N], Failure> {
        debug_assert_eq!(questions.0.len(), N);
        std::mem::take(&mut self.waiting).and(questions).fetch(self.connection).await
    }

    /// Carries out what waits; then the connection is free for other statements.
    pub(crate) async fn connection(&mut self) -> Result<&mut Connection, Failure> {
        std::mem::take(&mut self.waiting).fetch::<0>(self.connection).await?;
        Ok(self.connection)
    }
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
    pub(crate) async fn run(&self, connection: &mut Connection, rows: Vec<Vec<Arg>>) -> Result<(), Failure> {
        for chunk in chunks(rows, self.width) {
            let text = self.text(chunk.len());
            execute(connection, text, chunk.into_iter().flatten()).await?;
        }
        Ok(())
    }

    /// Runs it for all rows, in order, and gives what it returns, chunk after chunk.
    pub(crate) async fn returning(
        &self,
        connection: &mut Connection,
        rows: Vec<Vec<Arg>>,
    ) -> Result<Vec<Tuple>, Failure> {
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
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 32, 2, 2]);
        assert_eq!(cut.concat(), (0..100).collect::<Vec<_>>());
        let wide = chunks((0..100).collect::<Vec<_>>(), 1_000);
        assert!(wide.iter().all(|chunk| chunk.len() <= 32));
        assert!(chunks(Vec::<i32>::new(), 1).is_empty());
    }

    #[tokio::test]
    async fn joint_statements_run_in_order_and_keep_their_answers_apart() {
        let mut c = Connection::Writing(rusqlite::Connection::open_in_memory().unwrap());
        script(&mut c, "CREATE TABLE t (a INTEGER, b TEXT)").await.unwrap();
        let bulk = Bulk { head: "INSERT INTO t (a, b) VALUES", width: 2, tail: "" };
        let rows = |numbers: std::ops::Range<i64>| numbers.map(|n| vec![n.into(), format!("b{n}").into()]);
        let mut writes = Writes::new(&mut c);
        writes.bulk(&bulk, rows(0..2).collect()).await.unwrap();
        writes.bulk(&bulk, rows(2..20).collect()).await.unwrap();
        writes.bulk(&bulk, Vec::new()).await.unwrap();
        writes.bulk(&bulk, rows(20..22).collect()).await.unwrap();
        writes.put("UPDATE t SET b = ? WHERE a = ?", ["x".into(), 21_i64.into()]);
        let question = Joint::default().then("SELECT count(*) FROM t WHERE a < ?", [10_i64.into()]);
        let [count] = writes.fetch(question).await.unwrap();
        assert_eq!(count[0].get::<i64>(0), Ok(10));
        writes.put("DELETE FROM t WHERE a = ?", [3_i64.into()]);
        writes.connection().await.unwrap();
        writes.connection().await.unwrap();
        let joint = Joint::default()
            .then("SELECT a FROM t WHERE b = ?", ["x".into()])
            .then("UPDATE t SET b = ? WHERE a = ?", ["y".into(), 20_i64.into()])
            .then("SELECT count(*), max(b) FROM t WHERE a >= ?", [2_i64.into()]);
        let [first, none, last] = joint.fetch(&mut c).await.unwrap();
        assert_eq!(first.iter().map(|row| row.get::<i64>(0).unwrap()).collect::<Vec<_>>(), [21]);
        assert!(none.is_empty());
        assert_eq!(last.len(), 1);
        assert_eq!((last[0].get::<i64>(0), last[0].get::<&str>(1)), (Ok(19), Ok("y")));
    }

    #[test]
    fn bulk_text_has_a_place_for_every_value() {
        let bulk = Bulk { head: "INSERT INTO t (a, b) VALUES", width: 2, tail: "RETURNING a" };
        assert_eq!(bulk.text(2), "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) RETURNING a");
    }
}
