//! The user's table, through a connection that has nothing to do with Bothways, and the links beside it.

use crate::real::patience::{SOON, until};
use bothways_store::{HistoryOp, Side};
use serde_json::Value as Json;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions};
use std::path::Path;
use std::time::Duration;

/// A row of `customers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
}

/// A row of `invoices`, with the e-mail of the customer that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invoice {
    pub(crate) email: String,
    pub(crate) currency: String,
    pub(crate) status: String,
    pub(crate) total: Option<String>,
    pub(crate) memo: Option<String>,
}

/// A live link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) local_id: Option<String>,
    pub(crate) remote_id: Option<String>,
    pub(crate) state: String,
}

/// An entry of the history.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) link: Option<String>,
    pub(crate) side: Side,
    pub(crate) op: HistoryOp,
    /// By field: `before` and `after`.
    pub(crate) fields: Json,
    pub(crate) rules: Vec<u16>,
    /// For people who read the failure of a test.
    #[allow(dead_code, reason = "shown by `Debug`")]
    pub(crate) cause: String,
}

/// A connection that holds the database's lock.
pub(crate) struct Lock(SqliteConnection);

impl Lock {
    /// Any statement without values.
    pub(crate) async fn execute(&mut self, sql: &'static str) {
        sqlx::query(sql).execute(&mut self.0).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// A connection of another program.
pub(crate) struct Table {
    pool: SqlitePool,
}

impl Table {
    /// Opens the file, which must be there.
    pub(crate) async fn open(file: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        Self { pool: pool.expect("the database opens") }
    }

    /// Makes a file with the table of a user who has not heard of Bothways.
    pub(crate) async fn create(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let table = Self { pool: pool.expect("the database opens") };
        table
            .execute(
                "create table customers (id integer primary key autoincrement, name text, email text not null, phone text, \
                 archived_at text, shoe_size integer)",
            )
            .await;
        table
    }

    /// The database's lock, held by one more program, until it says `commit`.
    pub(crate) async fn lock(&self) -> Lock {
        let options = SqliteConnectOptions::clone(&self.pool.connect_options());
        let mut lock = Lock(options.connect().await.expect("the database opens"));
        lock.execute("begin immediate").await;
        lock
    }

    /// Any statement without values.
    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Several statements without values.
    pub(crate) async fn execute_all(&self, sql: &str) {
        let text = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(text).execute(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn insert(&self, name: &str, email: &str) -> i64 {
        let done = sqlx::query("insert into customers(name, email) values (?, ?)")
            .bind(name)
            .bind(email)
            .execute(&self.pool)
            .await
            .expect("inserted");
        done.last_insert_rowid()
    }

    /// Many rows in one transaction.
    pub(crate) async fn insert_all(&self, people: impl Iterator<Item = (String, String)>) {
        let mut transaction = self.pool.begin().await.expect("a transaction");
        for (name, email) in people {
            sqlx::query("insert into customers(name, email) values (?, ?)")
                .bind(name)
                .bind(email)
                .execute(&mut *transaction)
                .await
                .expect("inserted");
        }
        transaction.commit().await.expect("committed");
    }

    pub(crate) async fn rename(&self, email: &str, name: &str) {
        let done = sqlx::query("update customers set name = ? where email = ?")
            .bind(name)
            .bind(email)
            .execute(&self.pool)
            .await
            .expect("updated");
        assert_eq!(done.rows_affected(), 1, "one row has the email {email}");
    }

    /// An invoice by its key.
    pub(crate) async fn invoice(&self, id: i64) -> Option<Invoice> {
        type Columns = (String, String, String, Option<String>, Option<String>);
        let sql = "select email, currency, status, cast(total as text) as total, memo from invoices \
                   join customers on customers.id = customer_id where invoices.id = ?";
        let row: Option<Columns> =
            sqlx::query_as(sql).bind(id).fetch_optional(&self.pool).await.expect("an invoice");
        let (email, currency, status, total, memo) = row?;
        Some(Invoice { email, currency, status, total, memo })
    }

    pub(crate) async fn set_memo(&self, invoice: i64, memo: &str) {
        let sql = "update invoices set memo = ? where id = ?";
        let done = sqlx::query(sql).bind(memo).bind(invoice).execute(&self.pool).await.expect("updated");
        assert_eq!(done.rows_affected(), 1, "one invoice is {invoice}");
    }

    /// Sets fields of one row in one transaction.
    pub(crate) async fn set(&self, id: i64, fields: &[(&str, String)]) {
        let mut transaction = self.pool.begin_with("begin immediate").await.expect("a transaction");
        for (field, value) in fields {
            let sql = match *field {
                "name" => "update customers set name = ? where id = ?",
                "email" => "update customers set email = ? where id = ?",
                "phone" => "update customers set phone = ? where id = ?",
                other => panic!("no such field: {other}"),
            };
            let done =
                sqlx::query(sql).bind(value).bind(id).execute(&mut *transaction).await.expect("updated");
            assert_eq!(done.rows_affected(), 1, "one row is {id}");
        }
        transaction.commit().await.expect("committed");
    }

    /// The keys of all rows.
    pub(crate) async fn ids(&self) -> Vec<i64> {
        sqlx::query_scalar("select id from customers order by id").fetch_all(&self.pool).await.expect("keys")
    }

    /// All rows, by key.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let rows: Vec<(i64, String, Option<String>, Option<String>)> =
            sqlx::query_as("select id, email, name, phone from customers order by id")
                .fetch_all(&self.pool)
                .await
                .expect("rows");
        rows.into_iter().map(|(id, email, name, phone)| Row { id, email, name, phone }).collect()
    }

    /// All live links, in no order.
    pub(crate) async fn links(&self) -> Vec<Link> {
        let links: Vec<(String, Option<String>, Option<String>, String)> =
            sqlx::query_as("select id, local_id, remote_id, state from bothways_links where live = 1")
                .fetch_all(&self.pool)
                .await
                .expect("links");
        links
            .into_iter()
            .map(|(id, local_id, remote_id, state)| Link { id, local_id, remote_id, state })
            .collect()
    }

    /// The whole history, oldest first.
    pub(crate) async fn history(&self) -> Vec<Entry> {
        type Columns = (Option<String>, String, String, String, String, String);
        let rows: Vec<Columns> =
            sqlx::query_as("select link, side, op, fields, rules, cause from bothways_history order by id")
                .fetch_all(&self.pool)
                .await
                .expect("the history");
        rows.into_iter()
            .map(|(link, side, op, fields, rules, cause)| Entry {
                link,
                side: if side == "local" { Side::Local } else { Side::Remote },
                op: HistoryOp::parse(&op).expect("an operation"),
                fields: serde_json::from_str(&fields).expect("fields"),
                rules: serde_json::from_str(&rules).expect("rules"),
                cause,
            })
            .collect()
    }

    /// The intents of a link, for people who read the failure of a test.
    pub(crate) async fn intents(&self, link: &str) -> Vec<String> {
        let sql = "select number || ' ' || kind || ' ' || state || ' ' || coalesce(outcome, '-') || ' ' || fields \
                   from bothways_intents where link = ? order by number";
        sqlx::query_scalar(sql).bind(link).fetch_all(&self.pool).await.expect("intents")
    }

    /// Waits for the one row with this e-mail that `fits`.
    pub(crate) async fn wait_for(&self, what: &str, email: &str, fits: impl Fn(&Row) -> bool) -> Row {
        until(what, SOON, async || {
            let all = self.rows().await;
            let found: Vec<&Row> = all.iter().filter(|row| row.email == email).collect();
            match found.as_slice() {
                [one] if fits(one) => Ok((*one).clone()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// The text of the schema, object by object, with everything SQLite keeps about it.
    pub(crate) async fn schema(&self) -> Vec<(String, String, String, Option<String>)> {
        sqlx::query_as("select type, name, tbl_name, sql from sqlite_schema order by type, name")
            .fetch_all(&self.pool)
            .await
            .expect("the schema")
    }

    /// One number.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// One text.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Lets go of the file.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }
}
