//! YAML in, findings or checked documents out; and the lenses by which values travel.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![warn(missing_docs)]

mod build;
pub mod cases;
mod check;
pub mod connector;
pub mod doc;
mod filter;
mod finding;
pub mod laws;
pub mod lens;
mod load;
pub mod mapping;
pub mod path;
mod project;
pub mod template;
pub mod tree;
mod typed;
pub mod units;
pub mod yaml;

pub use check::database::{ColumnFacts, ColumnKind, TableFacts, check_database};
pub use check::secrets::redact;
pub use connector::{ConnectorSpec, ResolvedConnector};
pub use filter::Filter;
pub use finding::{Code, Finding, Severity, Source, Span, nearest};
pub use lens::{Lens, Normalize, Refusal, RefusalKind};
pub use load::{DocumentKind, Parsed, load, load_parsed, sort};
pub use mapping::{Direction, Field, Mapping, Reading, Reference, RowLookup};
pub use path::Query;
pub use project::{Loaded, Project, SourceFile};
