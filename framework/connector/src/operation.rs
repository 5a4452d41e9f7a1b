//! What the engine asks of a resource.

use crate::{PageCursor, SyncToken};
use bothways_model::{RemoteId, Request, SingularPath, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Values to write, in order: where in the remote record, and what (JSON null means "set to null").
pub type FieldWrites = Vec<(SingularPath, serde_json::Value)>;

/// One thing to do. Reads may repeat; writes carry the idempotency key of their intent.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Read one record. Ends in `Record`, `Missing` or `Failed`.
    Get {
        /// Which.
        id: RemoteId,
    },
    /// One page of all records. Ends in `Page` or `Failed`.
    List {
        /// Where to go on; `None` for the first page.
        page: Option<PageCursor>,
    },
    /// Look records up by a natural key. Ends in `Page` (all matches, at most one page) or `Failed`.
    Find {
        /// The record path to look up, one of the capabilities' `find`.
        path: SingularPath,
        /// The value on the wire.
        value: String,
    },
    /// One page of the consistent list of records created since a moment. Ends in `Page` or `Failed`.
    Recover {
        /// Created at or after.
        since: Timestamp,
        /// Where to go on.
        page: Option<PageCursor>,
    },
    /// One page of the records changed since a moment, oldest first. Ends in `Page` or `Failed`.
    Since {
        /// Changed at or after; the overlap of rule 52 is already taken off.
        since: Timestamp,
        /// Where to go on.
        page: Option<PageCursor>,
    },
    /// One page of the records changed since the service gave a token; everything there is without one, unless the capabilities say that
    /// the list starts now. The last page brings the next token. Ends in `Page` or `Failed`; class `expired` if the token is too old.
    Delta {
        /// The token; `None` for the first time.
        token: Option<SyncToken>,
        /// Where to go on.
        page: Option<PageCursor>,
    },
    /// Create a record. Ends in `Record`, `Written` with an id, or `Failed`.
    Create {
        /// Its fields, the stamp included.
        fields: FieldWrites,
        /// The idempotency key.
        key: String,
    },
    /// Change some fields of a record. Ends in `Record`, `Written`, `Missing` or `Failed`.
    Update {
        /// Which.
        id: RemoteId,
        /// What.
        fields: FieldWrites,
        /// The idempotency key.
        key: String,
        /// The record as last seen under the lease: for a call's `when`, and for what an update sends unchanged.
        seen: Option<Arc<serde_json::Value>>,
        /// The version that the record had then, for a conditional write.
        version: Option<String>,
    },
    /// Delete a record. Ends in `Written`, `Missing` (which is success too) or `Failed`.
    Delete {
        /// Which.
        id: RemoteId,
        /// The idempotency key.
        key: String,
        /// The record as last seen under the lease, for a call's `when`.
        seen: Option<Arc<serde_json::Value>>,
    },
}

/// The kinds of remote writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteKind {
    /// Creates a record.
    Create,
    /// Changes a record.
    Update,
    /// Deletes a record.
    Delete,
}

/// A write as its intent holds it: enough to send it again and to read the answer. Credentials are not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRequest {
    /// What the request does.
    pub kind: WriteKind,
    /// The record it concerns; `None` for a create.
    pub id: Option<RemoteId>,
    /// The request, byte for byte.
    pub request: Request,
}
