//! What one record looks like, and how it is written.

mod elements;
mod envelopes;
mod forms;
mod lookups;
mod queries;
mod sparse;
mod versions;
mod written_once;
