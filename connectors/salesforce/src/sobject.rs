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

/// A look at one record; if it is not there, at what the recycle bin says of it; if it was merged, at what it was merged into.
struct Looking {
    step: Looked,
    inner: Arc<dyn Resource>,
    caller: Caller,
    object: Arc<str>,
    id: RemoteId,
}

enum Looked {
    Record(Box<dyn Exchange>),
    Bin(Box<dyn Exchange>),
    Master(Box<dyn Exchange>),
}

impl Exchange for Looking {
    fn next(&mut self, answer: Option<Response>) -> Step {
        let mut answer = answer;
        loop {
            let (Looked::Record(exchange) | Looked::Bin(exchange) | Looked::Master(exchange)) =
                &mut self.step;
            let step = exchange.next(answer.take());
            match (step, &self.step) {
                (Step::Done(Outcome::Missing), Looked::Record(_)) => self.step = Looked::Bin(self.bin()),
                (Step::Done(Outcome::Record(seen)), Looked::Bin(_)) => match master(&seen) {
                    // The answer to a look at a merged record is the record that it was merged into (rule 26).
                    Some(master) => match self.inner.start(Operation::Get { id: master }) {
                        Ok(exchange) => self.step = Looked::Master(exchange),
                        Err(failure) => return Step::Done(Outcome::Failed(failure)),
                    },
                    None => return Step::Done(Outcome::Record(seen)),
                },
                // Merged into something that is gone by now: what is known of the record itself is that it is gone.
                (Step::Done(Outcome::Missing), Looked::Master(_)) => return Step::Done(Outcome::Missing),
                (step, _) => return step,
            }
        }
    }
}

/// The record that this one was merged into.
fn master(seen: &Observed) -> Option<RemoteId> {
    let id =
        seen.body.get("MasterRecordId")?.as_str().filter(|_| !planted::is(Bug::MergedTakenForDeleted))?;
    ids::is_id(id).then(|| RemoteId(id.to_owned()))
}

impl Looking {
    /// Asks for the record wherever it is. Object and id are checked, so that they are nothing but what they look like.
    fn bin(&self) -> Box<dyn Exchange> {
        let merged = if MERGED.contains(&&*self.object) { ", MasterRecordId" } else { "" };
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
        // It is there after all: it came back in this moment, or may be queried and not read. Nothing is proven.
        Ok(seen) if !seen.gone => Outcome::Missing,
        Ok(seen) => Outcome::Record(seen),
        Err(failure) => Outcome::Failed(failure),
    }
}
