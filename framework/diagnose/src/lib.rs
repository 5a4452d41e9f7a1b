//! Findings for people: the shape pass over the published JSON Schemas, snippets with carets, JSON, and a page for each code.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![warn(missing_docs)]

mod check;
mod editor;
mod json;
mod pages;
mod render;
mod schema;
mod shape;

pub use check::{Checked, check};
pub use editor::{FoundSchema, StaleSchemas, check_schemas, stale_schemas};
pub use json::{findings_to_json, summary};
pub use pages::page;
pub use render::{Style, render};
pub use schema::{SchemaFile, Workspace, modeline, schemas, workspace_schemas};
