//! What a remote record shows a mapping.

use crate::decide::{References, RemoteRecord, RemoteSight};
use crate::pairs::PairRuntime;
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, Observed, Record, Timestamp};
use std::sync::Arc;

/// A remote record as one mapping sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Mapped fields by label, normalised; absent ones are missing.
    pub fields: Record,
    /// Labels whose value the lens refuses, with the reason (without values).
    pub refusals: Vec<(String, String)>,
    /// When it was last modified, where it says so.
    pub changed_at: Option<Timestamp>,
    /// What the links say of its references, as far as they were asked.
    pub references: Arc<References>,
    /// Its version, where it shows one.
    pub version: Option<String>,
    /// The whole record; `None` if the bases stand in for a read.
    pub body: Option<Arc<serde_json::Value>>,
}

impl Seen {
    /// What a decision is made on.
    pub(crate) fn sight(&self) -> RemoteSight<'_> {
        let Self { fields, refusals: refused, changed_at, .. } = self;
        RemoteSight::Record(RemoteRecord { fields, refused, changed_at: *changed_at })
    }
}

/// Reads a record.
pub(crate) fn remote(pair: &PairRuntime, observed: &Observed) -> Seen {
    let mut reading = pair.mapping.read_remote(&observed.body);
    if planted::is(Bug::AbsentTakenForNull) {
        crate::mistakes::fill_with_null(&pair.mapping, &mut reading.record);
    }
    Seen {
        fields: reading.record,
        refusals: reading.refusals.into_iter().map(|(label, refusal)| (label, refusal.to_string())).collect(),
        changed_at: observed.changed_at,
        references: Arc::default(),
        version: observed.version.clone(),
        body: Some(observed.body.clone()),
    }
}

/// A connector ended an operation in a way that operation does not end in.
pub(crate) fn unexpected(what: &str) -> Failure {
    Failure::new(ErrorClass::Malformed, format!("{what} was answered with something else"))
}
