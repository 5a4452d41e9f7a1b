//! SOQL, as far as a synchroniser writes it: fields of one object, conditions, an order, a limit.

mod evaluate;
mod lex;
mod parse;

pub(crate) use evaluate::run;
pub(crate) use parse::parse;

use super::errors::ApiError;

/// One query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) fields: Vec<Name>,
    /// `SELECT COUNT()`: how many rows, and no row.
    pub(crate) counts: bool,
    pub(crate) object: Name,
    pub(crate) condition: Option<Condition>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// A name and where it stands in the query, for errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) field: Name,
    pub(crate) descending: bool,
    /// Null sorts first unless asked otherwise.
    pub(crate) nulls_last: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare { field: Name, operator: Operator, value: Literal },
    In { field: Name, negated: bool, values: Vec<Literal> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Like,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    /// A quoted text with its escapes undone; in a LIKE pattern, `\%` and `\_` are still escaped.
    Text(String),
    Number(f64),
    Boolean(bool),
    Date(chrono::NaiveDate),
    DateTime(bothways_model::Timestamp),
    Null,
}

/// An error that shows where in the query it is.
fn fault(code: &'static str, query: &str, at: usize, what: &str) -> ApiError {
    let column = query.get(..at).map_or(at, |before| before.chars().count()) + 1;
    let near: String = query.chars().skip(column.saturating_sub(20)).take(60).collect();
    ApiError::bad(code, format!("\n{near}\n^\nERROR at Row:1:Column:{column}\n{what}"))
}
