//! The plan: what would happen on both sides, field by field, who wins and why (rules 9, 61, 64).
//!
//! Read-only by construction: a plan holds no store and no HTTP port, only [`PlanReads`] and a [`ReadOnly`] gate that refuses every
//! call a connector marks as a write. It works on an installed database and on one where nothing is installed yet. The same pure
//! functions decide as in a run. Items are streamed; what has to be remembered goes into a scratch table of match keys that the
//! caller supplies and throws away.

pub(crate) mod file;
mod gate;
pub(crate) mod items;
mod reads;
mod saving;
mod survey;

pub use gate::ReadOnly;
pub use reads::{Installed, NotInstalled, PlanReads};
pub use saving::PlanSaver;

use crate::connections::other_account;
use crate::decide::Verdict;
use crate::pairs::PairRuntime;
use crate::reading::ReadError;
use crate::{Clock, EngineError, read};
use bothways_connector::Outcome;
use bothways_model::{AccountId, Mode};
use bothways_store::Keys;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a plan is made from.
#[derive(Clone)]
pub struct PlanSource {
    /// The pair; one that is not stored yet is bound with [`PairRuntime::bind`].
    pub pair: Arc<PairRuntime>,
    /// The database.
    pub reads: Arc<dyn PlanReads>,
    /// The service.
    pub remote: ReadOnly,
    /// An empty table for match keys, of this plan alone.
    pub scratch: Arc<dyn Keys>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

/// What would happen to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    /// Row and record are linked; fields that differ are listed.
    Link,
    /// A row is made of the record.
    CreateLocal,
    /// A record is made of the row.
    CreateRemote,
    /// Fields of linked records travel, or conflict.
    Update,
    /// A person has to say which of several candidates belong together.
    Ambiguous,
    /// The row is deleted.
    DeleteLocal,
    /// The row is marked as deleted.
    ArchiveLocal,
    /// The record is deleted.
    DeleteRemote,
    /// The link is closed; both sides stay as they are.
    Close,
    /// It waits for a person; nothing is written.
    Ask,
}

impl PlanAction {
    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            PlanAction::Link => "link",
            PlanAction::CreateLocal => "create row",
            PlanAction::CreateRemote => "create remote",
            PlanAction::Update => "update",
            PlanAction::Ambiguous => "ambiguous",
            PlanAction::DeleteLocal => "delete row",
            PlanAction::ArchiveLocal => "archive row",
            PlanAction::DeleteRemote => "delete remote",
            PlanAction::Close => "close link",
            PlanAction::Ask => "ask",
        }
    }
}

/// One thing that would happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanItem {
    /// What.
    pub action: PlanAction,
    /// The row, if there is one.
    pub local: Option<String>,
    /// The record, if there is one.
    pub remote: Option<String>,
    /// Fields that travel, conflict or are refused: with both values, the rule and the reason.
    pub fields: Vec<Verdict>,
    /// Why, for people.
    pub why: String,
}

/// Sums over all items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTotals {
    /// Remote records read.
    pub remote: u64,
    /// Rows read.
    pub local: u64,
    /// Linked records that are in step.
    pub in_step: u64,
    /// Rows and records that would be linked.
    pub link: u64,
    /// Of those, the ones with fields that differ.
    pub link_differing: u64,
    /// Rows that would be created.
    pub create_local: u64,
    /// Records that would be created.
    pub create_remote: u64,
    /// Linked records whose rows would change.
    pub update_local: u64,
    /// Linked records whose remote side would change.
    pub update_remote: u64,
    /// Records with at least one field that a person has to decide.
    pub conflicts: u64,
    /// Groups of which a person has to choose.
    pub ambiguous: u64,
    /// Rows that would be deleted or archived.
    pub delete_local: u64,
    /// Records that would be deleted.
    pub delete_remote: u64,
    /// Links that would be closed.
    pub close: u64,
    /// Other things that would wait for a person.
    pub ask: u64,
    /// Records and rows outside the mapping's scope.
    pub out_of_scope: u64,
    /// Rows that hold something their catalog does not allow.
    pub unreadable: u64,
    /// Remote reads that carrying it out needs, beside the walk.
    pub reads: u64,
    /// Remote writes that carrying it out needs.
    pub writes: u64,
    /// Requests that this plan itself made.
    pub asked: u64,
    /// A digest of all items: another one means that something else would happen (rule 62).
    pub digest: String,
}

/// Whose account a plan is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanAccount {
    /// The account; `None` where the service does not say.
    pub id: Option<AccountId>,
    /// Live or test.
    pub mode: Mode,
}

/// What takes a plan in as it is made.
pub trait PlanSink: Send {
    /// Told before any item whose account it is about.
    fn begin(&mut self, account: &PlanAccount);
    /// An item that is not "nothing".
    fn item(&mut self, item: PlanItem);
}

/// A plan without a beginning.
struct Items<'s>(&'s mut (dyn FnMut(PlanItem) + Send));

impl PlanSink for Items<'_> {
    fn begin(&mut self, _: &PlanAccount) {}

    fn item(&mut self, item: PlanItem) {
        (self.0)(item);
    }
}

/// Makes a plan: hands every item that is not "nothing" to `sink` as it is found, and returns the totals.
///
/// # Errors
/// The credentials mean another account than the pair's (rule 28): no record was read. The service or a store failed; items handed
/// over until then are not a whole plan.
pub async fn plan(
    source: &PlanSource,
    sink: &mut (dyn FnMut(PlanItem) + Send),
) -> Result<PlanTotals, EngineError> {
    plan_into(source, &mut Items(sink)).await
}

/// Makes a plan into a sink that wants to know whose account it is about.
///
/// # Errors
/// As for [`plan`].
pub async fn plan_into(source: &PlanSource, sink: &mut dyn PlanSink) -> Result<PlanTotals, EngineError> {
    let before = source.remote.sent();
    sink.begin(&account(source).await?);
    let mut hand_over = |item| sink.item(item);
    let mut totals = survey::Survey::new(source, &mut hand_over).run().await?;
    totals.asked = source.remote.sent() - before;
    Ok(totals)
}

/// Asks whose account the credentials mean, before any record is read (rule 28).
async fn account(source: &PlanSource) -> Result<PlanAccount, EngineError> {
    let pair = &source.pair;
    if pair.connector.account().is_none() {
        return Ok(PlanAccount { id: None, mode: Mode::Unknown });
    }
    let start = || pair.connector.account().ok_or_else(|| read::unexpected("an account"));
    let outcome = source.remote.read(&pair.connection, pair.timeout(), start).await?;
    let Outcome::Account { id, mode } = outcome else {
        return Err(ReadError::Failed(read::unexpected("an account")).into());
    };
    match other_account(&pair.connection, pair, id.as_ref(), mode) {
        Some(why) => Err(EngineError::Refused(why)),
        None => Ok(PlanAccount { id, mode }),
    }
}
