//! Brakes (rules 56 to 60, 63): what may not happen in bulk without a person's word.
//!
//! [`table`] holds the numbers, [`charges`] says what is charged for what; both are pure. The store counts and judges inside the
//! transaction that would do it. [`hold`] is what a look does when a brake says no, [`approve`] what a person can do about it,
//! [`relook`] what a full pass does.
//! No worker can lift a brake: the only way is [`crate::Operations::approve_brake`].

mod approve;
mod charges;
mod hold;
mod named;
mod relook;
pub(crate) mod table;

pub use approve::{BrakeRecord, BrakeStatus};
pub(crate) use charges::{blanks, empty_side};
pub(crate) use hold::Holds;
pub(crate) use named::Named;
