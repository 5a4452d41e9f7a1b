//! An operation under way: a small state machine that is fed answers and says what to send next.

use crate::Renewal;
use bothways_model::{AccountId, Event, Failure, Mode, Observed, RemoteId, Request, Response, Timestamp};
use serde::{Deserialize, Serialize};

/// One operation under way. The caller sends what it asks for and feeds back the answer, until it is done.
///
/// If a request gets no answer the caller drops the exchange; whether the request was carried out is then unknown, and only the
/// caller's intent can tell later (rule 23).
pub trait Exchange: Send {
    /// The next step. `answer` is `None` at the first call and after a [`Step::Renew`] that was carried out, and the answer to the last
    /// request otherwise. Not called again after [`Step::Done`], nor after a renewal that failed.
    fn next(&mut self, answer: Option<Response>) -> Step;
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send this.
    Call(Call),
    /// See to it that there are credentials newer than these, then go on.
    Renew(Renewal),
    /// The operation is over.
    Done(Outcome),
}

/// One request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The request, credentials in its secret parts.
    pub request: Request,
    /// Whether it changes the remote system. At most one request of an exchange does; it is the first one, and may come again after
    /// the service refused its credentials and so did not carry it out.
    pub write: bool,
}

/// Where to go on in a list. Opaque outside the connector; stored between pages, so that a killed walk resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageCursor(pub String);

/// Up to where a service has told of changes, in its own words. Opaque outside the connector; stored between polls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SyncToken(pub Box<serde_json::Value>);

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records, in the service's order.
    pub items: Vec<Observed>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<PageCursor>,
    /// The service's clock (`Date` header) when it answered.
    pub date: Option<Timestamp>,
    /// For the last page of an [`crate::Operation::Delta`]: the token to go on with.
    pub token: Option<SyncToken>,
    /// Of an incremental list: up to when the service promises that it shows everything, where it says so. The next one begins there at
    /// the latest.
    pub covered: Option<Timestamp>,
}

/// One page of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The events, in the service's order.
    pub events: Vec<Event>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<PageCursor>,
    /// The service's clock when it answered.
    pub date: Option<Timestamp>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A record: what was read, or what a write returned. `gone` in it is a proof of deletion (rule 31).
    Record(Observed),
    /// A write was accepted; the answer carries no record.
    Written {
        /// The id of a created record.
        id: Option<RemoteId>,
    },
    /// The record is not there (404, 410): a hint of deletion, not a proof (rule 31).
    Missing,
    /// A page of records.
    Page(Page),
    /// A page of events.
    Events(EventPage),
    /// The account behind the credentials.
    Account {
        /// Its id; `None` where the service refuses to say.
        id: Option<AccountId>,
        /// Live or test.
        mode: Mode,
    },
    /// The service answered with an error.
    Failed(Failure),
}
