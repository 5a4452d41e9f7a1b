//! The simulator: the real engine and the real Stripe connector, 1 to 4 workers on one store, the sandbox as the service, users on
//! both sides and everything that can go wrong, all drawn from a seed and run in virtual time on an executor of its own.
//!
//! [`simulate`] runs one seed. What must hold of any run is in `check`; what can go wrong is drawn in `plan`; every kind of it has a
//! counter in [`KINDS`].

mod archive;
mod askers;
mod check;
mod counters;
mod crash;
mod dashboard;
mod dice;
mod doubts;
mod executor;
mod faults;
mod fleet;
mod kinds;
mod ledger;
mod network;
mod outside;
mod plan;
mod ports;
mod process;
mod promises;
mod queue;
mod run;
mod shown;
mod sim;
mod store;
mod table;
mod tokens;
mod trace;
mod turns;
mod users;

pub use counters::{Counters, KINDS};
pub use crash::{FLOWS, Flow};
pub use run::{Options, Outcome, simulate};
