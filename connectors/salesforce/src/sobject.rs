//! One object: what its document's calls do, and what they cannot.

use crate::deletes::{self, DeletesPage};
use crate::ids;
use bothways_connector::{Exchange, Operation, Outcome, PageCursor, Resource, Step, StoredRequest};
use bothways_connector_rest::Caller;
use bothways_model::planted::{self, Bug};
use bothways_model::{
    Capabilities, ErrorClass, Failure, Observed, RemoteId, Response, SingularPath, Timestamp,
};
use chrono::{DurationRound, TimeDelta};
use serde_json::Value as Json;
use std::sync::Arc;

/// Objects whose records people merge; only these say into which.
const MERGED: [&str; 4] = ["Account", "Case", "Contact", "Lead"];

/// How many merges in a row are followed to the record that is left. More are no history of people, but a circle.
const MERGES: usize = 8;

pub(crate) struct SObject {
    inner: Arc<dyn Resource>,
    caller: Caller,
    object: Arc<str>,
}

impl SObject {
    pub(crate) fn new(inner: Arc<dyn Resource>, caller: Caller, object: String) -> Self {
        Self { inner, caller, object: object.into() }
    }

    fn get(&self, id: RemoteId) -> Result<Box<dyn Exchange>, Failure> {
        let first = self.inner.start(Operation::Get { id: id.clone() })?;
        if !ids::is_id(id.as_str()) {
            return Ok(first);
        }
        Ok(Box::new(Looking {
            step: Looked::Record(first),
            inner: self.inner.clone(),
            caller: self.caller.clone(),
            object: self.object.clone(),
            id,
            merged: None,
            followed: 0,
        }))
    }

    fn since(&self, since: Timestamp, page: Option<PageCursor>) -> Result<Box<dyn Exchange>, Failure> {
        if let Some(log) = page.as_ref().and_then(DeletesPage::read) {
            return Ok(deletes::ask(&self.caller, &self.object, log));
        }
        // The query language knows no finer times than milliseconds.
        let since = since.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(since);
        let pages = self.inner.start(Operation::Since { since, page })?;
        Ok(Box::new(Changes { pages, since }))
    }
}

impl Resource for SObject {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    /// The recycle bin tells a delete from a merge, for as long as it keeps the record: usually 15 days.
    fn absence_is_a_delete(&self) -> bool {
        !is_merged(&self.object) || planted::is(Bug::MergedTakenForDeleted)
    }

    fn normal_id(&self, given: RemoteId) -> RemoteId {
        ids::normal(&given)
    }

    fn sparse(&self) -> &[SingularPath] {
        self.inner.sparse()
    }

    fn start(&self, operation: Operation) -> Result<Box<dyn Exchange>, Failure> {
        let mut operation = operation;
        if let Operation::Update { id, .. } | Operation::Delete { id, .. } = &mut operation {
            *id = ids::normal(id);
        }
        match operation {
            Operation::Get { id } => self.get(ids::normal(&id)),
            Operation::Since { since, page } => self.since(since, page),
            other => self.inner.start(other),
        }
    }

    fn resume(&self, stored: StoredRequest) -> Box<dyn Exchange> {
        self.inner.resume(stored)
    }

    fn observe(&self, body: Json) -> Result<Observed, Failure> {
        self.inner.observe(body)
    }
}

/// The changed records, and behind them the log of deletes.
struct Changes {
    pages: Box<dyn Exchange>,
    since: Timestamp,
}

impl Exchange for Changes {
    fn next(&mut self, answer: Option<Response>) -> Step {
        let mut step = self.pages.next(answer);
        if let Step::Done(Outcome::Page(page)) = &mut step
            && page.next.is_none()
            && let Some(now) = page.date
        {
            page.next = DeletesPage::between(self.since, now).and_then(|log| log.cursor());
        }
        step
    }
}

/// A look at one record; if it is not there, at what the recycle bin says of it; if it was merged, at what it was merged into, which
/// may have been merged as well.
struct Looking {
    step: Looked,
    inner: Arc<dyn Resource>,
    caller: Caller,
    object: Arc<str>,
    /// The record that is looked at now.
    id: RemoteId,
    /// The record that was asked for, if it was merged.
    merged: Option<Observed>,
    /// How many merges were followed.
    followed: usize,
}

enum Looked {
    Record(Box<dyn Exchange>),
    Bin(Box<dyn Exchange>),
}

impl Exchange for Looking {
    fn next(&mut self, answer: Option<Response>) -> Step {
        let mut answer = answer;
        loop {
            let (Looked::Record(exchange) | Looked::Bin(exchange)) = &mut self.step;
            let step = exchange.next(answer.take());
            match (step, &self.step) {
                (Step::Done(Outcome::Missing), Looked::Record(_)) => self.step = Looked::Bin(self.bin()),
                (Step::Done(Outcome::Record(seen)), Looked::Bin(_)) => match master(&seen) {
                    // The answer to a look at a merged record is the record that it was merged into (rule 26).
                    Some(master) => {
                        self.merged.get_or_insert(seen);
                        if let Err(failure) = self.follow(master) {
                            return Step::Done(Outcome::Failed(failure));
                        }
                    }
                    // Merged into something that was deleted: so is the record itself.
                    None => return Step::Done(Outcome::Record(self.merged.take().unwrap_or(seen))),
                },
                (step, _) => return step,
            }
        }
    }
}

/// Whether people merge records of an object.
fn is_merged(object: &str) -> bool {
    MERGED.iter().any(|merged| merged.eq_ignore_ascii_case(object))
}

/// The record that this one was merged into.
fn master(seen: &Observed) -> Option<RemoteId> {
    let id =
        seen.body.get("MasterRecordId")?.as_str().filter(|_| !planted::is(Bug::MergedTakenForDeleted))?;
    ids::is_id(id).then(|| RemoteId(id.to_owned()))
}

impl Looking {
    /// Goes on with the record that this one was merged into.
    fn follow(&mut self, master: RemoteId) -> Result<(), Failure> {
        if self.followed == MERGES {
            let why = format!("the record was merged more than {MERGES} times, or into itself");
            return Err(Failure::new(ErrorClass::Malformed, why));
        }
        self.followed += 1;
        self.step = Looked::Record(self.inner.start(Operation::Get { id: master.clone() })?);
        self.id = master;
        Ok(())
    }

    /// Asks for the record wherever it is. Object and id are checked, so that they are nothing but what they look like.
    fn bin(&self) -> Box<dyn Exchange> {
        let merged = if is_merged(&self.object) { ", MasterRecordId" } else { "" };
        let query = format!(
            "SELECT Id, IsDeleted, SystemModstamp{merged} FROM {} WHERE Id = '{}'",
            self.object,
            self.id.as_str()
        );
        let (caller, inner, id) = (self.caller.clone(), self.inner.clone(), self.id.clone());
        self.caller.get("/queryAll", &[("q", &query)], move |answer| {
            caller.json(&answer).map_or_else(Outcome::Failed, |body| in_bin(&*inner, &id, body))
        })
    }
}

fn in_bin(inner: &dyn Resource, id: &RemoteId, mut body: Json) -> Outcome {
    let Some(records) = body.get_mut("records").and_then(Json::as_array_mut) else {
        return Outcome::Failed(Failure::new(ErrorClass::Malformed, "the answer holds no records"));
    };
    let Some(record) = records.pop() else { return Outcome::Missing };
    match inner.observe(record) {
        Ok(seen) if seen.id != *id => {
            Outcome::Failed(Failure::new(ErrorClass::Malformed, "the answer is about another record"))
        }
        // It is there after all: it came back in this moment, or may be queried and not read. Missing could be taken for a delete.
        Ok(seen) if !seen.gone => {
            Outcome::Failed(Failure::new(ErrorClass::Malformed, "the record is not found, and not deleted"))
        }
        Ok(seen) => Outcome::Record(seen),
        Err(failure) => Outcome::Failed(failure),
    }
}
