//! The hand-written program's table: twelve columns, written by id.

use rusqlite::{Connection, Statement, params};
use serde::Deserialize;
use std::path::Path;

/// The twelve fields that are mapped, and nothing else of the answer.
#[derive(Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) balance: i64,
    pub(crate) tax_exempt: Option<String>,
    pub(crate) address: Option<Address>,
}

#[derive(Deserialize, Default)]
pub(crate) struct Address {
    pub(crate) line1: Option<String>,
    pub(crate) line2: Option<String>,
    pub(crate) city: Option<String>,
    pub(crate) postal_code: Option<String>,
    pub(crate) country: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) data: Vec<Customer>,
    pub(crate) has_more: bool,
}

/// Opens a database as durable as the measured program's.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS customers(
            id TEXT PRIMARY KEY, email TEXT, name TEXT, phone TEXT, description TEXT, balance INTEGER, tax_exempt TEXT,
            line1 TEXT, line2 TEXT, city TEXT, postal_code TEXT, country TEXT) WITHOUT ROWID",
    )
}

pub(crate) fn upsert(connection: &Connection) -> rusqlite::Result<Statement<'_>> {
    connection.prepare(
        "INSERT INTO customers VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) ON CONFLICT(id) DO UPDATE SET
            email=excluded.email, name=excluded.name, phone=excluded.phone, description=excluded.description,
            balance=excluded.balance, tax_exempt=excluded.tax_exempt, line1=excluded.line1, line2=excluded.line2,
            city=excluded.city, postal_code=excluded.postal_code, country=excluded.country",
    )
}

pub(crate) fn write(statement: &mut Statement<'_>, customer: &Customer) -> rusqlite::Result<()> {
    let none = Address::default();
    let address = customer.address.as_ref().unwrap_or(&none);
    statement.execute(params![
        customer.id,
        customer.email,
        customer.name,
        customer.phone,
        customer.description,
        customer.balance,
        customer.tax_exempt,
        address.line1,
        address.line2,
        address.city,
        address.postal_code,
        address.country,
    ])?;
    Ok(())
}
