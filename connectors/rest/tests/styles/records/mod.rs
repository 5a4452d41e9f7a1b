//! What one record looks like, and how it is written.

mod forms;
mod queries;
