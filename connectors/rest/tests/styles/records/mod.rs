//! What one record looks like, and how it is written.

mod envelopes;
mod forms;
mod queries;
mod versions;
