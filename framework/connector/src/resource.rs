//! One kind of remote record.

use crate::{Exchange, Operation, Params, StoredRequest};
use bothways_model::{Capabilities, Failure, Observed, RemoteId, SingularPath};

/// Which resource, and what of it is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceQuery {
    /// Its name in the connector's document.
    pub name: String,
    /// What the mapping fills the resource's parameters with.
    pub params: Params,
    /// The paths that mappings read or write, or decide by who takes part, so that `{fields}` asks for those and no others.
    pub paths: Vec<SingularPath>,
    /// Those of them that are written: what an update sends where the service wants all of it.
    pub written: Vec<SingularPath>,
    /// Where the mapping stamps records that it creates. A service that creates by our own key (`upsert`) gets the stamp as that key.
    pub stamp: Option<SingularPath>,
}

/// One kind of remote record.
///
/// Writes are built completely by the first [`Exchange::next`]: its request is stored in an intent before it is sent, and
/// [`Resource::resume`] sends exactly that request again after a crash (rule 20).
pub trait Resource: Send + Sync {
    /// What this resource can do. Constant for the life of the connector.
    fn capabilities(&self) -> &Capabilities;

    /// Paths below which an absent key means null (rule 17).
    fn sparse(&self) -> &[SingularPath];

    /// Starts an operation.
    ///
    /// # Errors
    /// Class `invalid`, naming the reason, if the API has no such call, its `when` does not allow it now, or a value cannot be
    /// put on this wire, or an update lacks what was read of the record. Nothing has been sent then.
    fn start(&self, operation: Operation) -> Result<Box<dyn Exchange>, Failure>;

    /// Sends a stored write again, byte for byte, with today's credentials.
    fn resume(&self, stored: StoredRequest) -> Box<dyn Exchange>;

    /// Reads one record out of a payload (an event's object, a page's item): its id, whether it is gone, when it changed.
    ///
    /// # Errors
    /// Class `malformed` if it has no id.
    fn observe(&self, body: serde_json::Value) -> Result<Observed, Failure>;

    /// Whether a record that stays not found while others are found has been deleted (rule 31). Not where people merge records, and the
    /// service forgets after a while which became part of which: then a person has to say what became of it.
    fn absence_is_a_delete(&self) -> bool {
        true
    }

    /// The id under which the service answers with a record, for one that a person gave. Some services have several for one record.
    fn normal_id(&self, given: RemoteId) -> RemoteId {
        given
    }
}
