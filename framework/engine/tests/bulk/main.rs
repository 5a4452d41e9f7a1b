//! Reading in bulk: webhooks, feed and full passes, each alone, together, killed, refused and lied to.

#[path = "../harness/mod.rs"]
mod harness;

mod alone;
mod first_contact;
mod gaps;
mod intake;
mod listed;
mod passes;
mod plans;
mod refused;
