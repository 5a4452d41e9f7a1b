//! The shared vocabulary: values, records, checked catalogs, capabilities, identities, error classes and plain HTTP messages.
//!
//! Everything here is data. Nothing in this crate does I/O, is async, or knows YAML or SQL, so that every other crate
//! may depend on it and it depends on none of them.

mod capability;
mod catalog;
mod failure;
mod http;
mod ident;
mod identity;
pub mod key;
mod observation;
mod path;
pub mod planted;
mod record;
mod secret;
mod stored;
mod value;

pub use capability::{Capabilities, FindCapability, Idempotency};
pub use catalog::{Catalog, CatalogField, FieldType, KeyMaker, Track};
pub use failure::{ErrorClass, Failure};
pub use http::{Method, Request, Response, header};
pub use ident::{BadIdent, Ident};
pub use identity::{AccountId, ConnectionName, LinkId, LocalId, Mode, PairId, RemoteId, Seq};
pub use key::{KeyPart, PrimaryKey};
pub use observation::{Event, EventEffect, EventSubject, Observed};
pub use path::{PathError, Segment, SingularPath};
pub use record::{LocalRow, Record};
pub use secret::Secret;
pub use value::{Value, ValueError};

/// A moment, always UTC. Comparisons between two sides' clocks are never made with it (rule 51); ordering uses [`Seq`].
pub type Timestamp = chrono::DateTime<chrono::Utc>;
