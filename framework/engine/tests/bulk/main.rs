//! Reading in bulk: webhooks, feed and full passes, each alone, together, killed, refused and lied to.
// A world binds the ports to tokio's virtual clock; the bans are for the engine.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../harness/mod.rs"]
mod harness;

mod alone;
mod applies;
mod decided;
mod first_contact;
mod gaps;
mod intake;
mod listed;
mod passes;
mod plans;
mod policies;
mod refused;
