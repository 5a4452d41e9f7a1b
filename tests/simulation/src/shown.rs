//! What the pages of polls and events have shown: a cursor goes on, and an event is known, together with the work that comes of it
//! (rules 48, 52).

use crate::kinds::{Kind, MATCH, Place, WAY, text};
use crate::plan::{Plan, Way};
use bothways_model::{PairId, Response};
use bothways_store::{Link, LinkState, Signal, Subject};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The last page that each task of a process was shown, and the full passes that it has asked for.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pages: BTreeMap<u64, Shot>,
    /// Where the poll of each task stands, as it last read or wrote that.
    stands: BTreeMap<u64, Json>,
    asked: BTreeSet<(u64, PairId)>,
}

#[derive(Debug, Default)]
struct Shot {
    records: Vec<Json>,
    /// When the last of them was changed.
    end: Option<String>,
}

impl Shown {
    /// A task was shown a page. Whether it begins with the moment that the page before ended with.
    pub(crate) fn note(&mut self, task: u64, answer: &Response, is_later: bool) -> bool {
        let mut body: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let stamp = |record: &Json| record["SystemModstamp"].as_str().map(str::to_owned);
        let records = match body.get_mut("records").map(Json::take) {
            Some(Json::Array(records)) => records,
            _ => Vec::new(),
        };
        let (start, end) = (records.first().and_then(stamp), records.last().and_then(stamp));
        let before = self.pages.insert(task, Shot { records, end }).unwrap_or_default();
        is_later && start.is_some() && start == before.end
    }

    /// What a task was shown since this was last asked.
    pub(crate) fn take(&mut self, task: u64) -> Vec<Json> {
        self.pages.get_mut(&task).map(|shot| std::mem::take(&mut shot.records)).unwrap_or_default()
    }

    /// The poll of a task stands here. If it stood elsewhere before, another process has moved it on, and has told of what it was shown
    /// itself: it need not go on with the page that this task was shown and gave up.
    pub(crate) fn stand(&mut self, task: u64, position: Json) {
        let stood = self.stands.insert(task, position);
        if stood.is_some() && stood.as_ref() != self.stands.get(&task) {
            self.take(task);
        }
    }

    /// A task has asked for a full pass.
    pub(crate) fn ask(&mut self, task: u64, pair: PairId) {
        self.asked.insert((task, pair));
    }

    /// Whether it has since this was last asked.
    pub(crate) fn has_asked(&mut self, task: u64, pair: PairId) -> bool {
        self.asked.remove(&(task, pair))
    }
}

/// What a page or an event showed that a link does not know, and is still so, and of which `signals`, which are stored with it, tell
/// nobody. `now` are the records as they are.
pub(crate) fn untold(
    (plan, place): (&Plan, &Place),
    shown: &[Json],
    links: &[Option<Link>],
    now: &[Json],
    signals: &[Signal],
) -> Vec<String> {
    let mut findings = Vec::new();
    for (record, link) in shown.iter().zip(links) {
        let id = place.id(record);
        let is_it = |subject: &Subject| matches!(subject, Subject::Remote(remote) if remote.as_str() == id);
        let is_told = signals.iter().any(|signal| is_it(&signal.subject));
        let link = link.as_ref().filter(|link| link.state == LinkState::Linked && !is_told);
        let (Some(link), Some(now)) = (link, now.iter().find(|record| place.id(record) == id)) else {
            continue;
        };
        let (was, is) = (place.cells(record), place.cells(now));
        let news = (0..was.len()).find(|field| {
            let base = link.body.base.get(place.kind.labels[*field]).and_then(|base| base.remote.as_ref());
            let travels = *field != WAY || plan.way != Way::Out;
            let is_so = place.shows(record, *field) && was[*field] == is[*field];
            let same = |base| same(place.kind, *field, was[*field].as_deref(), text(base).as_deref());
            travels && is_so && base.is_some() && !same(base)
        });
        findings.extend(
            news.map(|field| format!("the new {} of record {id} is told nobody", place.names[field])),
        );
    }
    findings
}

fn same(kind: &Kind, field: usize, one: Option<&str>, other: Option<&str>) -> bool {
    let folded = |value: Option<&str>| value.map(|value| value.trim().to_lowercase());
    one == other || (field == MATCH && kind.is_matched && folded(one) == folded(other))
}
