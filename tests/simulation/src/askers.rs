//! Who asks: a look is one task, and what goes together with others is sent by a task of its own.
//!
//! A connector is asked where a request may travel by the task that has it sent, and to make one of several by the task that sends them.
//! Both are watched here, so that each member of a call is known with the task that it is for, whatever the call is.

use crate::process::Process;
use bothways_connector::{
    Collections, Connector, Exchange, Feed, Limits, Part, Place, Resource, ResourceQuery, Tokens,
    UnknownResource, Webhook,
};
use bothways_model::{Method, Request, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// The engine's tasks of this name send for others.
pub(crate) const SENDER: &str = "collection";

/// What tells requests apart, whoever sends them.
type Key = (&'static str, String, Vec<u8>);

fn key(request: &Request) -> Key {
    (request.method.as_str(), request.url.clone(), request.body.clone())
}

/// One record's request within a call, and the tasks that wait for its answer.
pub(crate) struct Asking {
    pub(crate) request: Request,
    pub(crate) tasks: Vec<u64>,
}

/// What the tasks of one process have asked to be sent in company.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Tasks that send for others.
    senders: BTreeSet<u64>,
    /// Who waits for the answer to which request, in the order of asking.
    waiting: BTreeMap<Key, Vec<u64>>,
    /// What calls are made of.
    calls: BTreeMap<Key, Vec<Request>>,
}

impl Asked {
    /// A task sends for others.
    pub(crate) fn note_sender(&mut self, task: u64) {
        self.senders.insert(task);
    }

    fn ask(&mut self, request: &Request, task: u64) {
        let waiting = self.waiting.entry(key(request)).or_default();
        waiting.retain(|other| *other != task);
        waiting.push(task);
    }

    /// The requests that go with this one, which `task` sends: itself, where it goes alone.
    pub(crate) fn members(&mut self, request: &Request, task: u64) -> Vec<Asking> {
        if !self.senders.contains(&task) {
            return vec![Asking { request: request.clone(), tasks: vec![task] }];
        }
        let parts = self.calls.get(&key(request)).cloned().unwrap_or_else(|| vec![request.clone()]);
        parts.into_iter().map(|request| self.one(request)).collect()
    }

    /// Whoever waits for the same answer gets this one or the next; who writes is the last to have asked.
    fn one(&mut self, request: Request) -> Asking {
        let key = key(&request);
        let Some(waiting) = self.waiting.get_mut(&key) else { return Asking { request, tasks: Vec::new() } };
        let tasks = match request.method {
            Method::Get => waiting.clone(),
            _ => waiting.last().copied().into_iter().collect(),
        };
        match request.method {
            Method::Get => drop(waiting.remove(0)),
            _ => waiting.clear(),
        }
        if waiting.is_empty() {
            self.waiting.remove(&key);
        }
        Asking { request, tasks }
    }
}

/// A connector, and the process that asks it.
pub(crate) struct Watched {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) process: Arc<Process>,
}

impl Connector for Watched {
    fn name(&self) -> &str {
        self.connector.name()
    }

    fn account(&self) -> Option<Box<dyn Exchange>> {
        self.connector.account()
    }

    fn resource(&self, query: &ResourceQuery) -> Result<Arc<dyn Resource>, UnknownResource> {
        self.connector.resource(query)
    }

    fn webhook(&self) -> Option<&dyn Webhook> {
        self.connector.webhook()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.connector.feed()
    }

    fn tokens(&self) -> Option<Arc<dyn Tokens>> {
        self.connector.tokens()
    }

    fn collections(&self) -> Option<Arc<dyn Collections>> {
        let calls = self.connector.collections()?;
        Some(Arc::new(WatchedCalls { calls, process: self.process.clone() }))
    }

    fn limits(&self) -> &Limits {
        self.connector.limits()
    }
}

struct WatchedCalls {
    calls: Arc<dyn Collections>,
    process: Arc<Process>,
}

impl WatchedCalls {
    fn note(&self, note: impl FnOnce(&mut Asked)) {
        note(&mut self.process.asked.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Collections for WatchedCalls {
    fn most(&self) -> usize {
        self.calls.most()
    }

    fn place(&self, request: &Request) -> Option<Place> {
        let place = self.calls.place(request)?;
        self.note(|asked| asked.ask(request, self.process.sim.executor.this_task()));
        Some(place)
    }

    fn gather(&self, requests: &[&Request]) -> Option<Request> {
        let made = self.calls.gather(requests)?;
        let members = requests.iter().map(|request| (*request).clone()).collect();
        self.note(|asked| drop(asked.calls.insert(key(&made), members)));
        Some(made)
    }

    fn part(&self, requests: &[&Request], answer: &Response) -> Vec<Part> {
        self.calls.part(requests, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: &str) -> Request {
        Request::new(Method::Get, format!("https://x.io/{id}"))
    }

    fn write(id: &str) -> Request {
        Request::new(Method::Patch, format!("https://x.io/{id}"))
    }

    fn tasks(members: Vec<Asking>) -> Vec<Vec<u64>> {
        members.into_iter().map(|member| member.tasks).collect()
    }

    #[test]
    fn each_member_of_a_call_is_its_tasks() {
        let mut asked = Asked::default();
        asked.note_sender(9);
        for (id, task) in [("a", 1), ("b", 2), ("a", 3)] {
            asked.ask(&read(id), task);
        }
        let call = read("a,b");
        asked.calls.insert(key(&call), vec![read("a"), read("b")]);
        assert_eq!(tasks(asked.members(&call, 9)), [vec![1, 3], vec![2]]);
        assert_eq!(tasks(asked.members(&read("a"), 9)), [[3]], "its own call comes later");
        assert_eq!(tasks(asked.members(&read("a"), 3)), [[3]], "what a task sends itself is its own");
    }

    #[test]
    fn a_write_is_of_whoever_asked_for_it_last() {
        let mut asked = Asked::default();
        asked.note_sender(9);
        // The first one was told that it had waited too long.
        asked.ask(&write("a"), 1);
        asked.ask(&write("a"), 2);
        assert_eq!(tasks(asked.members(&write("a"), 9)), [[2]]);
    }
}
