//! The engine: notices, decides, carries out.
//!
//! Reconciles state instead of replaying events: every signal says only "look at this record"; a look sees both sides as they are
//! now, compares each with what was last known of it and writes the difference. See `framework/ARCHITECTURE.md`.
//!
//! Time, tasks, randomness and HTTP are reached through [`Ports`] only; store and queue through their own traits.

mod access;
mod adopt;
mod apply;
mod approve;
mod brakes;
mod calls;
mod carry;
mod catch_up;
mod circuit;
mod collections;
mod commits;
mod conflicts;
mod connections;
mod contact;
mod create;
mod created;
mod dangling;
pub mod decide;
mod delete;
mod detached;
mod drift;
mod engine;
mod error;
mod events;
mod evidence;
mod explain;
mod feed;
mod flap;
mod forget;
mod freshen;
mod gone;
mod intake;
mod intents;
mod items;
mod look;
mod lookups;
mod match_keys;
mod measure;
mod mistakes;
mod named;
mod operations;
mod order;
mod orphan;
mod pairs;
mod pass;
mod pauses;
mod plan;
mod poll;
mod ports;
mod push;
mod quiet;
mod read;
mod readers;
mod reading;
mod records;
mod references;
mod refusals;
mod renewal;
mod repeated;
mod retry;
mod revert;
mod reverted;
mod scope;
mod scratch;
mod sealed;
mod settings;
mod spent;
mod stamp;
mod terms;
mod troubles;
mod uncertain;
mod unfinished;
mod unmet;
mod vault;
mod walk;
mod work;

pub use bothways_connector::Unverified;
pub use brakes::{BrakeRecord, BrakeStatus};
pub use carry::{ApplyItem, ApplyOutcome, ApplyReport, OpenPlan};
pub use conflicts::{ConflictSet, DecidedSet};
pub use connections::ConnectionState;
pub use drift::DriftReport;
pub use engine::Engine;
pub use error::EngineError;
pub use explain::{ExplainedEvent, ExplainedField, ExplainedIntent, ExplainedWrite, Explanation, show_value};
pub use feed::PollReport;
pub use intake::{Intake, Received};
pub use items::{ConflictView, Item};
pub use operations::{KeepText, Operations, PairStatus, Resolution};
pub use pairs::{Loaded, PairRuntime, spec_of};
pub use pass::{PassCounts, PassOptions, PassProgress, PassReport, PassStage, Progress};
pub use plan::file::{
    PlanFileError, PlanHead, PlanWriter, PlannedField, PlannedItem, VerifiedPlan, verify_plan,
};
pub use plan::{
    Installed, NotInstalled, PlanAccount, PlanAction, PlanItem, PlanReads, PlanSaver, PlanSink, PlanSource,
    PlanTotals, ReadOnly, plan, plan_into,
};
pub use ports::{Clock, HourOfCalls, Http, Ports, Purpose, Quota, Random, SendError, Tasks};
pub use records::{Obstacle, RecordLink, Records};
pub use renewal::Renewer;
pub use retry::RetryPolicy;
pub use reverted::{RevertField, RevertItem, RevertOutcome, RevertTarget, RevertTotals};
pub use scratch::{Scratch, Scratches};
pub use settings::Settings;
pub use terms::HeldChange;
pub use vault::{BadKeys, Vault};

/// What the store remembers, for those who may not import the store: the server above all.
pub mod stored {
    pub use bothways_store::{
        ApiToken, AuditEntry, Conflict, DeleteChoice, FieldChange, HistoryFilter, HistoryOp, HistoryRow,
        LinkState, PairCounts, Parked, PauseScope, RowPage, Side, StoreErrorKind, TokenScope, UnreadableRow,
        WithheldSet,
    };
}
