//! How calls prove who is calling, beyond a fixed credential (those are in `tests/tokens.rs`).

mod sessions;
