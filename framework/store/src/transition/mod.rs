//! What each write does to the stored thing, as pure functions that every store shares.
//!
//! A store reads, calls these, and writes what they return. So the in-memory store and the SQL stores cannot differ in what a signal,
//! a finished look or a unit means; they differ only in how they find and keep things.

mod brake;
mod rekey;
mod unit;
mod work;

pub use brake::{
    ChargeRow, ChargeState, Ruling, SetDigest, Settled as ChargeSettled, Tally, name_approver, settled,
};
pub use rekey::displaced;
pub use unit::{Effects, Run};
pub use work::{WorkRow, deferred};
