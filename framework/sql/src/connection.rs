//! The two kinds of connections, and running one statement on either.
//!
//! Whoever only reads does so through sqlx, whose connections each have a thread: a long answer holds nobody up. The one that writes is
//! used in place, without a thread in between. A write is many short statements, and the hand-off there and back costs more than most
//! of them: it made up nearly all of the time from a change to the call it leads to. Both kinds are the same SQLite library (two copies
//! in one process would release each other's locks); Cargo's `links` keeps a second one out.

use crate::error::Failure;
use crate::statement::{Arg, vouched};
use crate::step::{Step, before};
use crate::tuple::{Cell, Tuple};
use futures::TryStreamExt;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments, Either, Executor, SqlSafeStr, SqliteConnection, Transaction};
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};

/// A connection.
pub(crate) enum Connection {
    /// Reads on a thread of its own.
    Reading(PoolConnection<Sqlite>),
    /// The same, in one state of the database.
    Snapshot(Transaction<'static, Sqlite>),
    /// Writes in place.
    Writing(rusqlite::Connection),
}

/// What a statement came to.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The rows it returned.
    pub(crate) rows: Vec<Tuple>,
    /// How many rows it changed, if it is one that changes rows.
    pub(crate) changed: u64,
}

/// How many of a statement's rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    First,
}

impl Connection {
    /// Runs one statement.
    pub(crate) async fn run(&mut self, sql: &str, args: Vec<Arg>, wanted: Wanted) -> Result<Answer, Failure> {
        before(Step::Statement(sql)).await;
        match self {
            Connection::Reading(c) => read(c, sql, args, wanted).await,
            Connection::Snapshot(c) => read(c, sql, args, wanted).await,
            // Outside a transaction a write is one: it may wait for another program, and for the disk.
            Connection::Writing(c) if c.is_autocommit() && !is_brief(sql) => {
                in_place(|| write(c, sql, &args, wanted))
            }
            Connection::Writing(c) => write(c, sql, &args, wanted),
        }
    }

    /// Runs several statements without values.
    pub(crate) async fn script(&mut self, sql: &str) -> Result<(), Failure> {
        before(Step::Statement(sql)).await;
        let text = vouched(sql);
        match self {
            Connection::Reading(c) => run_script(c, text).await,
            Connection::Snapshot(c) => run_script(c, text).await,
            Connection::Writing(c) => Ok(in_place(|| c.execute_batch(sql))?),
        }
    }

    /// Sets something of the writer's alone, which neither waits nor changes anything: no step of its own.
    pub(crate) fn set(&mut self, pragma: &str) -> Result<(), Failure> {
        match self {
            Connection::Writing(c) => write(c, pragma, &[], Wanted::All).map(drop),
            Connection::Reading(_) | Connection::Snapshot(_) => Ok(()),
        }
    }

    fn in_transaction(&self) -> bool {
        matches!(self, Connection::Writing(c) if !c.is_autocommit())
    }

    /// Begins a transaction that may write, at once. What keeps other programs' transactions away is waited for elsewhere.
    pub(crate) async fn begin(&mut self, patience: Duration) -> Result<(), Failure> {
        before(Step::Begin).await;
        let sql = "BEGIN IMMEDIATE";
        let Connection::Writing(c) = self else {
            return Err(Failure::Column("a reader cannot write".to_owned()));
        };
        c.busy_timeout(Duration::ZERO)?;
        let first = write(c, sql, &[], Wanted::All);
        c.busy_timeout(patience)?;
        match first {
            Err(failure) if failure.is_busy() => in_place(|| write(c, sql, &[], Wanted::All)).map(drop),
            other => other.map(drop),
        }
    }

    /// Commits. One that waits for the disk lets the runtime's other tasks go on meanwhile.
    pub(crate) async fn commit(&mut self, durable: bool) -> Result<(), Failure> {
        before(Step::Commit).await;
        let Connection::Writing(c) = self else { return Ok(()) };
        let commit = || write(c, "COMMIT", &[], Wanted::All).map(drop);
        if durable { in_place(commit) } else { commit() }
    }

    /// Copies the log into the database and has the next write begin it anew, if whoever reads an older state ends in time.
    pub(crate) fn restart_log(&mut self, readers: Duration, patience: Duration) {
        let Connection::Writing(c) = self else { return };
        let done = in_place(|| {
            c.busy_timeout(readers)?;
            let done = write(c, "PRAGMA wal_checkpoint(RESTART)", &[], Wanted::All);
            c.busy_timeout(patience)?;
            done
        });
        if let Err(error) = done {
            tracing::debug!(error = %error.words(), "the log goes on");
        }
    }

    /// Undoes what is not committed.
    pub(crate) fn roll_back(&mut self) {
        if self.in_transaction()
            && let Connection::Writing(c) = self
            && let Err(error) = write(c, "ROLLBACK", &[], Wanted::All)
        {
            tracing::warn!(error = %error.words(), "a transaction could not be rolled back");
        }
    }
}

/// Whether a statement outside a transaction waits for nobody.
fn is_brief(sql: &str) -> bool {
    sql.starts_with("SELECT")
}

/// Runs what may wait for the disk or for another program, while the runtime's other tasks go on.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Arg::Null => ValueRef::Null,
            Arg::Int(number) => ValueRef::Integer(*number),
            Arg::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn write(c: &rusqlite::Connection, sql: &str, args: &[Arg], wanted: Wanted) -> Result<Answer, Failure> {
    let mut statement = c.prepare_cached(sql)?;
    for (index, arg) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, arg)?;
    }
    let mut answer = Answer::default();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let width = row.as_ref().column_count();
        let cells = (0..width).map(|index| Ok(Cell::from(row.get_ref(index)?)));
        answer.rows.push(cells.collect::<rusqlite::Result<_>>()?);
        if wanted == Wanted::First {
            break;
        }
    }
    answer.changed = c.changes();
    Ok(answer)
}

async fn read(
    c: &mut SqliteConnection,
    sql: &str,
    args: Vec<Arg>,
    wanted: Wanted,
) -> Result<Answer, Failure> {
    let mut bound = SqliteArguments::default();
    for arg in args {
        match arg {
            Arg::Null => bound.add(None::<i64>),
            Arg::Int(number) => bound.add(number),
            Arg::Text(text) => bound.add(text),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    let query = sqlx::query_with::<Sqlite, _>(vouched(sql), bound);
    let mut answer = Answer::default();
    if wanted == Wanted::First {
        answer.rows.extend(c.fetch_optional(query).await?.as_ref().map(Tuple::try_from).transpose()?);
        return Ok(answer);
    }
    let mut found = c.fetch_many(query);
    while let Some(one) = found.try_next().await? {
        match one {
            Either::Left(done) => answer.changed = done.rows_affected(),
            Either::Right(row) => answer.rows.push(Tuple::try_from(&row)?),
        }
    }
    drop(found);
    Ok(answer)
}

async fn run_script(c: &mut SqliteConnection, sql: impl SqlSafeStr) -> Result<(), Failure> {
    Ok(sqlx::raw_sql(sql).execute(c).await.map(drop)?)
}
