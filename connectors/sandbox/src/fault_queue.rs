//! Faults: what a test can make go wrong, when, and how often it did, whatever the service.
//!
//! A fault is a matcher and an action. Of the actions that replace or cut an answer only the first that matches is used
//! up by a request; the others, which shape what the service does or shows, all apply.

use crate::faults::Action;
use crate::transit::Transit;
use bothways_model::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scope {
    /// Replaces, cuts or repeats the answer: one of these for each request.
    Answer,
    /// Changes what the service does or shows while it answers.
    Shape,
    /// Concerns something that happens inside the service: an event of Stripe, the write of a row at Salesforce.
    Event,
}

/// A service's menu of what can go wrong.
pub(crate) trait Mishap: Clone {
    /// Every kind there is.
    fn kinds() -> &'static [&'static str];

    /// The name under which firings are counted, which is also its `kind` in JSON.
    fn kind(&self) -> &'static str;

    fn scope(&self) -> Scope;

    /// What the action needs of a request beyond the matcher, so that it cannot be used up without effect.
    fn concerns(&self, seen: &Seen<'_>) -> bool;

    /// What it does to the answer on its way, if it is of that sort.
    fn transit(&self) -> Option<Transit>;
}

/// A matcher and what happens to what it matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault<A = Action> {
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Only requests whose path begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only events whose type begins so, such as `customer.` of Stripe or `Contact.update` of Salesforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// It begins with the nth match, counted from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// For so many matches; 0 is until the faults are cleared.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens.
    pub action: A,
}

fn one() -> u32 {
    1
}

impl<A> Fault<A> {
    /// Happens to the next request, or event, it can happen to.
    pub fn next(action: A) -> Self {
        Self { method: None, path: None, event: None, nth: 1, times: 1, action }
    }

    /// Happens to everything it can happen to until the faults are cleared.
    pub fn always(action: A) -> Self {
        Self { times: 0, ..Self::next(action) }
    }

    /// Only to requests with this method and a path that begins so.
    pub fn on(mut self, method: Method, path: impl Into<String>) -> Self {
        self.method = Some(method);
        self.path = Some(path.into());
        self
    }

    /// Only to events whose type begins so.
    pub fn on_event(mut self, kind: impl Into<String>) -> Self {
        self.event = Some(kind.into());
        self
    }

    /// Beginning with the nth match, counted from 1.
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// For so many matches.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

/// What a fault can see of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) is_list: bool,
    pub(crate) has_cursor: bool,
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawn<A> {
    pub(crate) answer: Option<A>,
    pub(crate) shapes: Vec<A>,
}

impl<A> Default for Drawn<A> {
    fn default() -> Self {
        Self { answer: None, shapes: Vec::new() }
    }
}

#[derive(Clone, Debug)]
struct Queued<A> {
    fault: Fault<A>,
    seen: u32,
}

impl<A: Mishap> Queued<A> {
    /// Counts a match; the action, if it is this match's turn.
    fn fire(&mut self) -> Option<A> {
        self.seen += 1;
        let turn = self.seen >= self.fault.nth && !self.is_past(self.seen - 1);
        turn.then(|| self.fault.action.clone())
    }

    /// Whether every turn has been had.
    fn is_spent(&self) -> bool {
        self.is_past(self.seen)
    }

    fn is_past(&self, seen: u32) -> bool {
        let last = (self.fault.nth.max(1) - 1).saturating_add(self.fault.times);
        self.fault.times != 0 && seen >= last
    }
}

/// The queue of faults and their counters.
#[derive(Clone, Debug)]
pub(crate) struct Faults<A> {
    queue: Vec<Queued<A>>,
    fired: BTreeMap<&'static str, u64>,
}

impl<A> Default for Faults<A> {
    fn default() -> Self {
        Self { queue: Vec::new(), fired: BTreeMap::new() }
    }
}

impl<A: Mishap> Faults<A> {
    pub(crate) fn add(&mut self, fault: Fault<A>) {
        self.queue.push(Queued { fault, seen: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }

    pub(crate) fn queued(&self) -> impl Iterator<Item = &Fault<A>> {
        self.queue.iter().map(|q| &q.fault)
    }

    /// How often each kind has fired, with 0 for those that have not.
    pub(crate) fn fired(&self) -> BTreeMap<&'static str, u64> {
        A::kinds().iter().map(|kind| (*kind, self.fired.get(kind).copied().unwrap_or(0))).collect()
    }

    /// Draws what happens to a request. Shapes are counted by [`Faults::count`] when they take effect.
    pub(crate) fn draw(&mut self, seen: &Seen<'_>) -> Drawn<A> {
        let mut drawn = Drawn::default();
        for queued in &mut self.queue {
            let fault = &queued.fault;
            let scope = fault.action.scope();
            let matches = fault.method.is_none_or(|method| method == seen.method)
                && fault.path.as_ref().is_none_or(|path| seen.path.starts_with(path.as_str()))
                && fault.action.concerns(seen);
            match scope {
                Scope::Answer if matches && drawn.answer.is_none() => drawn.answer = queued.fire(),
                Scope::Shape if matches => drawn.shapes.extend(queued.fire()),
                _ => {}
            }
        }
        self.queue.retain(|queued| !queued.is_spent());
        if let Some(action) = &drawn.answer {
            self.count(action.kind());
        }
        drawn
    }

    /// Draws what happens to an event of this type, and counts it.
    pub(crate) fn draw_for_event(&mut self, kind: &str) -> Vec<A> {
        let mut drawn = Vec::new();
        for queued in &mut self.queue {
            let fault = &queued.fault;
            let matches = fault.event.as_ref().is_none_or(|prefix| kind.starts_with(prefix.as_str()));
            if matches && fault.action.scope() == Scope::Event {
                drawn.extend(queued.fire());
            }
        }
        self.queue.retain(|queued| !queued.is_spent());
        for action in &drawn {
            self.count(action.kind());
        }
        drawn
    }

    /// Counts one firing.
    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.fired.entry(kind).or_default() += 1;
    }
}
