//! YAML in, findings or checked documents out; and the lenses by which values travel.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![warn(missing_docs)]

pub mod connector;
pub mod doc;
mod finding;
pub mod lens;
pub mod mapping;
pub mod path;
mod project;
pub mod template;
pub mod units;

pub use connector::{ConnectorSpec, ResolvedConnector};
pub use finding::{Code, Finding, Severity, Source, Span, nearest};
pub use lens::{Lens, Normalize, Refusal, RefusalKind};
pub use mapping::{Direction, Field, Mapping, Reading};
pub use path::{Filter, Query};
pub use project::{Loaded, Project, SourceFile};
