//! What happens to two linked records as wholes: deletes, archives, tombstones (rules 31 to 34).

use super::{Sight, local_changed, remote_changed};
use bothways_mapping::mapping::{AgainstUpdate, FromLocalDelete, FromRemoteDelete};
use bothways_model::planted::{self, Bug};
use bothways_model::{LocalRow, Record, Timestamp};
use bothways_store::{DeleteChoice, LinkState};
use serde::{Deserialize, Serialize};

/// Why the row is not there, or does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneLocal {
    /// Its delete was captured.
    Deleted,
    /// Its `deleted_at` column is set; the row is still there.
    Archived,
    /// It is missing without a captured delete (rule 32).
    Unexplained,
}

/// The catalog side.
#[derive(Clone, Copy)]
pub enum LocalSight<'a> {
    /// The row.
    Row(&'a LocalRow),
    /// It is gone or archived, and what it held when that is known.
    Gone(GoneLocal),
}

impl<'a> LocalSight<'a> {
    /// The live row.
    pub fn row(&self) -> Option<&'a LocalRow> {
        match self {
            LocalSight::Row(row) => Some(row),
            LocalSight::Gone(_) => None,
        }
    }
}

/// A remote record as a look sees it.
#[derive(Clone, Copy)]
pub struct RemoteRecord<'a> {
    /// Its mapped fields, by label.
    pub fields: &'a Record,
    /// Labels of fields that hold what cannot be read, with the reason: something is there, and nobody knows what.
    pub refused: &'a [(String, String)],
    /// When it was last modified, where it says so.
    pub changed_at: Option<Timestamp>,
}

/// The remote side.
#[derive(Clone, Copy)]
pub enum RemoteSight<'a> {
    /// The record.
    Record(RemoteRecord<'a>),
    /// It is proven to be gone.
    Gone,
}

impl<'a> RemoteSight<'a> {
    /// A record that can be read, without a modification time.
    pub fn fields(fields: &'a Record) -> Self {
        RemoteSight::Record(RemoteRecord { fields, refused: &[], changed_at: None })
    }

    /// The live record.
    pub fn record(&self) -> Option<RemoteRecord<'a>> {
        match self {
            RemoteSight::Record(record) => Some(*record),
            RemoteSight::Gone => None,
        }
    }
}

/// What happens to the records as wholes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordAction {
    /// Both are there: the fields decide.
    Merge,
    /// Delete the remote record.
    DeleteRemote,
    /// Delete the row.
    DeleteLocal,
    /// Set the row's `deleted_at`.
    ArchiveLocal,
    /// Create the remote record again, under a new link.
    Recreate,
    /// Close the link: both are over, or the policy says to let the other be.
    Close {
        /// The state it gets.
        state: LinkState,
        /// Why, for people.
        why: String,
    },
    /// A person decides about a delete. The link gets this state meanwhile.
    AskDelete {
        /// The state.
        state: LinkState,
        /// What happened, for people.
        why: String,
    },
    /// The row is missing without evidence: nothing happens until a person decides.
    Missing,
    /// Nothing: the row is archived and the policy leaves the remote record alone.
    Leave,
}

pub(super) fn decide(sight: &Sight<'_>) -> RecordAction {
    let mapping = sight.mapping;
    let deletes = &mapping.deletes;
    let update_wins =
        deletes.against_update == AgainstUpdate::UpdateWins && !planted::is(Bug::DeleteIgnoresUpdate);
    let close = |state, why: &str| RecordAction::Close { state, why: why.into() };
    let ask = |state, why: &str| RecordAction::AskDelete { state, why: why.into() };
    if let Some(action) = chosen(sight) {
        return action;
    }
    match (sight.local, sight.remote) {
        (LocalSight::Row(_), RemoteSight::Record(_)) => RecordAction::Merge,
        // A person decides: a policy of deletes is not carried out on a row that outlived one, or that its user brought back.
        (LocalSight::Row(_), RemoteSight::Gone)
            if sight.state == LinkState::Detached && deletes.from_remote != FromRemoteDelete::Recreate =>
        {
            ask(
                LinkState::Detached,
                "the remote record is gone and the row goes on: its edits do not flow. Create the record again, carry the delete \
                 out here too, or keep the row as it is; `bothways link` attaches it to another record (rule 34)",
            )
        }
        // Our own delete may have arrived after it was given up: the row, which came back before that, wins (rule 24).
        (LocalSight::Row(_), RemoteSight::Gone)
            if sight.body.late_delete.is_some_and(|until| until > sight.now)
                && deletes.from_remote != FromRemoteDelete::Recreate =>
        {
            ask(
                LinkState::Detached,
                "the remote record is gone, perhaps by a delete of our own that was given up, when the row had been deleted or \
                 archived, and arrived late; the row stays (rule 24). Create the record again, carry the delete out here too, \
                 or keep the row as it is",
            )
        }
        (LocalSight::Row(row), RemoteSight::Gone) => {
            if update_wins && local_changed(mapping, &row.fields, sight.body) {
                return ask(
                    LinkState::Detached,
                    "deleted remotely while the row was changed; the row stays (rule 33)",
                );
            }
            match deletes.from_remote {
                FromRemoteDelete::Manual => {
                    ask(LinkState::Detached, "deleted remotely; the row stays until a person decides")
                }
                FromRemoteDelete::Ignore => {
                    close(LinkState::Detached, "deleted remotely; the row stays (from_remote: ignore)")
                }
                FromRemoteDelete::Unlink => {
                    close(LinkState::Unlinked, "deleted remotely (from_remote: unlink)")
                }
                FromRemoteDelete::Archive => RecordAction::ArchiveLocal,
                FromRemoteDelete::Delete => RecordAction::DeleteLocal,
                FromRemoteDelete::Recreate => RecordAction::Recreate,
            }
        }
        (LocalSight::Gone(GoneLocal::Unexplained), RemoteSight::Gone) => {
            close(LinkState::Tombstone, "gone on both sides")
        }
        (LocalSight::Gone(_), RemoteSight::Gone) => close(LinkState::Tombstone, "deleted on both sides"),
        (LocalSight::Gone(GoneLocal::Unexplained), RemoteSight::Record(_)) => RecordAction::Missing,
        (LocalSight::Gone(how), RemoteSight::Record(remote)) => {
            let archived = how == GoneLocal::Archived;
            let word = if archived { "archived" } else { "deleted" };
            if update_wins
                && deletes.from_local == FromLocalDelete::Delete
                && (!remote.refused.is_empty() || remote_changed(mapping, remote.fields, sight.body))
            {
                let why = format!(
                    "{word} locally while the remote record was changed; the remote record stays (rule 33)"
                );
                return RecordAction::AskDelete { state: LinkState::Linked, why };
            }
            match deletes.from_local {
                FromLocalDelete::Manual => RecordAction::AskDelete {
                    state: LinkState::Linked,
                    why: format!("{word} locally; the remote record stays until a person decides"),
                },
                FromLocalDelete::Ignore if archived => RecordAction::Leave,
                // Not a tombstone, which is forgotten in time: the record would come back as a row.
                FromLocalDelete::Ignore => close(
                    LinkState::Unlinked,
                    "deleted locally; the remote record stays (from_local: ignore)",
                ),
                FromLocalDelete::Unlink if archived => {
                    close(LinkState::Unlinked, "archived locally (from_local: unlink)")
                }
                FromLocalDelete::Unlink => close(LinkState::Unlinked, "deleted locally (from_local: unlink)"),
                FromLocalDelete::Delete => RecordAction::DeleteRemote,
            }
        }
    }
}

/// A person's decision about a delete (rule 33). It counts only for the situation it was made in: one side gone, the other not.
fn chosen(sight: &Sight<'_>) -> Option<RecordAction> {
    let choice = sight.body.delete_choice?;
    let keep = |state| RecordAction::Close { state, why: "a person chose to keep the other side".into() };
    match (sight.local, sight.remote) {
        (LocalSight::Row(_), RemoteSight::Gone) => Some(match choice {
            DeleteChoice::Carry if sight.mapping.catalog.deleted_at.is_some() => RecordAction::ArchiveLocal,
            DeleteChoice::Carry => RecordAction::DeleteLocal,
            DeleteChoice::Keep => keep(LinkState::Detached),
            DeleteChoice::Recreate => RecordAction::Recreate,
        }),
        (LocalSight::Gone(_), RemoteSight::Record(_)) => Some(match choice {
            DeleteChoice::Carry => RecordAction::DeleteRemote,
            DeleteChoice::Keep | DeleteChoice::Recreate => keep(LinkState::Unlinked),
        }),
        _ => None,
    }
}
