//! What the engine needs remembered: the traits, their data, an in-memory store and the contract suite for every store.
//!
//! Every method is one transaction. The engine hands whole decisions over ([`Unit`]) and the store carries many of them out in
//! one commit, because hand-offs cost more than SQL. Nothing here decides anything about records; the one callback,
//! [`unit::Settle`], is a pure function that the store runs on a row it holds locked.

mod brake;
mod capture;
#[cfg(feature = "testkit")]
pub mod contract;
mod credentials;
mod erasure;
mod error;
mod history;
mod intake;
mod intent;
mod keys;
mod link;
mod memory;
mod operator;
mod pair;
mod rows;
pub mod transition;
pub mod unit;
mod work;

pub use brake::{
    Brake, BrakeApproval, BrakeApproved, BrakeId, BrakeKind, BrakeName, Brakes, Charge, ChargeKey, Judged,
    Limit, Ripening, Settlement, Withheld, WithheldSet,
};
pub use capture::{Capture, Relayed};
pub use credentials::{CredentialState, Credentials, KeptGrant, RenewalAsk, RenewalEnd, Sealed, Turn};
pub use erasure::Erased;
pub use error::{StoreError, StoreErrorKind};
pub use history::{FieldChange, History, HistoryFilter, HistoryOp, HistoryRow, Side};
pub use intake::{About, Cursor, Delivery, Intake, PageCommit, TakenEvent};
pub use intent::{Intent, IntentState, SentField};
pub use keys::{Group, GroupMember, Key, KeyWrite, Keys};
pub use link::{
    Choice, Conflict, DeleteChoice, FieldBase, Keep, LateEcho, Lease, Link, LinkBody, LinkFilter, LinkState,
    Links, RecentWrite,
};
pub use memory::{Foreign, Held, MemoryStore};
pub use operator::{ApiToken, AuditEntry, Operator, Pause, PauseScope, TokenScope};
pub use pair::{Approval, Pair, PairCounts, PairSpec, Pairs};
pub use rows::{RowPage, RowUpdate, Rows, UnreadableRow};
pub use unit::{
    Guard, IntentWrite, LeaseAction, LinkWrite, LocalBinding, RowWrite, Settle, Settled, Unit, UnitOutcome,
    WorkWrite,
};
pub use work::{
    Awaited, Fact, ParkReason, Parked, ParkedFilter, PassMark, Signal, Subject, Take, Taken, Work, WorkId,
    WorkQueue,
};

/// The result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Everything together, for whoever runs a whole engine. Parts of the engine ask for the narrow traits.
pub trait Store:
    Capture + WorkQueue + Links + Keys + Intake + Pairs + Rows + Brakes + Operator + Credentials
{
}

impl<T: Capture + WorkQueue + Links + Keys + Intake + Pairs + Rows + Brakes + Operator + Credentials> Store
    for T
{
}
