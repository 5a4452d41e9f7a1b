//! What can be typed for making an integration: say what a connector can do, write new documents, test them, record a service.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The connector; one that is compiled in needs no documents
    pub(crate) connector: String,
    /// Only this resource
    pub(crate) resource: Option<String>,
}

/// `test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only this mapping
    pub(crate) mapping: Option<String>,
    /// Where the generated values start from: the same number, the same values
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// So many values of each field
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) values: u32,
}

/// `record`.
#[derive(Debug, Args)]
pub(crate) struct RecordReads {
    /// Only this mapping, or all of this connection
    #[arg(value_name = "MAPPING|CONNECTION")]
    pub(crate) what: Option<String>,
    /// Replace the texts of records, each by the same other one of its form; numbers, times and ids stay
    #[arg(long)]
    pub(crate) anonymise: bool,
    /// So many records of each page
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) records: usize,
}

/// `new`.
#[derive(Debug, Subcommand)]
pub(crate) enum New {
    /// A catalog: what one table holds
    Catalog(NewCatalog),
    /// A connector: how to talk to an API, as a working skeleton with comments
    Connector(NewConnector),
    /// A mapping: which field is which, paired by names and types
    Mapping(NewMapping),
}

/// `new catalog`.
#[derive(Debug, Args)]
pub(crate) struct NewCatalog {
    /// The catalog's name, and its file's
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Read the table's key, types and what may be null from the database
    #[arg(long)]
    pub(crate) from_database: bool,
    /// The table, if it is called otherwise
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// `new connector`.
#[derive(Debug, Args)]
pub(crate) struct NewConnector {
    /// The connector's name, and its file's
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// Where the API is
    #[arg(long, value_name = "URL", default_value = "https://api.example.com", value_parser = one_line)]
    pub(crate) base_url: String,
    /// How calls prove who is calling
    #[arg(long, value_name = "KIND", default_value = "bearer")]
    pub(crate) auth: AuthKind,
    /// How one page of a list leads to the next
    #[arg(long, value_name = "KIND", default_value = "cursor")]
    pub(crate) paging: PagingKind,
    /// Where the records of a list are in the answer, such as $.data
    #[arg(long, value_name = "PATH", value_parser = one_line)]
    pub(crate) items: Option<String>,
    /// A kind of record, such as customers (repeatable)
    #[arg(long = "resource", value_name = "NAME", value_parser = name)]
    pub(crate) resources: Vec<String>,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// How calls prove who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthKind {
    /// Not at all
    None,
    /// A token in `Authorization: Bearer`
    Bearer,
    /// HTTP Basic
    Basic,
    /// A key in a header of the service's own
    Header,
    /// A key in the query
    Query,
    /// OAuth 2.0 client credentials
    Oauth2,
}

/// How one page leads to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PagingKind {
    /// One page is all there is
    None,
    /// A value of the answer asks for the next page
    #[value(name = "cursor")]
    Cursor,
    /// The answer holds the next page's URL
    #[value(name = "next_url")]
    NextUrl,
    /// The Link header names the next page
    #[value(name = "link_header")]
    LinkHeader,
    /// Numbered pages
    Page,
    /// The number of records read so far
    Offset,
}

/// `new mapping`.
#[derive(Debug, Args)]
pub(crate) struct NewMapping {
    /// The mapping's name, and its file's
    #[arg(value_parser = name)]
    pub(crate) name: String,
    /// The catalog
    #[arg(long, value_name = "CATALOG")]
    pub(crate) local: String,
    /// The remote records, such as stripe/customers
    #[arg(long, value_name = "CONNECTOR/RESOURCE")]
    pub(crate) remote: String,
    /// A value for one of the resource's parameters (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = one_line)]
    pub(crate) with: Vec<String>,
    /// One record as the service answers it; its fields are matched by their names and types
    #[arg(long, value_name = "FILE.json")]
    pub(crate) sample: Option<PathBuf>,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// A name that a document and a file may have: no path.
fn name(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        Ok(text.to_owned())
    } else {
        Err("a name is letters, digits, `_` and `-`, not starting with a digit".into())
    }
}

/// A text that goes into one line of a document.
fn one_line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) { Err("one line, please".into()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        assert!(name("shop-customers_2").is_ok());
        for bad in ["", "2shop", "../shop", "a/b", "a b", "a.yaml"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
