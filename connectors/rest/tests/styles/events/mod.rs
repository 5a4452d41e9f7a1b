//! How services tell of changes, beyond one event in one body (that is in `tests/events.rs`).

mod headers;
