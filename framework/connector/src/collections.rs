//! Calls that carry many records at once.
//!
//! An operation is about one record, and so is the exchange that carries it out. Where a service takes the requests of several records in
//! one call, a connector says which of them may travel together, makes the one request and takes its answer apart again, so that each
//! exchange reads an answer of its own (rule 45). Who waits for whom is the engine's business.

use bothways_model::{Request, Response};

/// The calls of one connection that carry several records.
pub trait Collections: Send + Sync {
    /// The most records of one call.
    fn most(&self) -> usize;

    /// Where a request may travel; `None` for one that goes alone.
    fn place(&self, request: &Request) -> Option<Place>;

    /// One request that does what all of these do, which are of one [`Place::call`] and each about another record. It carries the
    /// credentials of the last one. `None` if they cannot be put into one, perhaps since they are too many: each half of them is tried next.
    fn gather(&self, requests: &[&Request]) -> Option<Request>;

    /// The answer to [`Collections::gather`], taken apart: one part for each of its requests, in their order.
    fn part(&self, requests: &[&Request], answer: &Response) -> Vec<Part>;
}

/// Where a request may travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The call: requests of the same one go together.
    pub call: String,
    /// The record that the request is about, or the value that it looks for. A call holds each once.
    pub record: String,
}

/// What an answer says of one of the requests in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// What its exchange is told, as if the request had gone alone.
    Answer(Response),
    /// It was not carried out, which may be the others' fault, or a call of its own is answered in more words: it goes alone.
    Alone,
    /// Nothing that could be understood. Whether it was carried out is unknown.
    Silence,
}
