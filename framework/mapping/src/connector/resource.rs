//! A kind of remote record and the calls it has.

use super::{Call, CursorPlace, EventRule, Fact, IdSpec, IfMatch, Lookup, TimeAt, TimeFormat, Update};
use crate::filter::Filter;
use crate::finding::Source;
use crate::lens::Normalizer;
use crate::path::Query;
use bothways_model::SingularPath;
use std::time::Duration;

/// A kind of remote record.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceSpec {
    /// Its name.
    pub name: String,
    /// Names that a mapping fills.
    pub params: Vec<String>,
    /// Where the id is; text or numbers.
    pub id: IdSpec,
    /// Where one record is in an answer that is no list.
    pub item: Query,
    /// Where a record goes in a request; an index is 0, and makes a list of one.
    pub wrap: SingularPath,
    /// A version that is another one after each change; in a header, that of the answer to a read.
    pub version: Option<Fact>,
    /// Where fields live.
    pub fields_under: SingularPath,
    /// Names that `{fields}` always holds.
    pub extra_fields: Vec<String>,
    /// Below these an absent key is null; elsewhere absent is unknown.
    pub sparse: Vec<SingularPath>,
    /// When a record was last modified, by the service's clock.
    pub changed_at: Option<TimeAt>,
    /// Names for ids, in document order.
    pub lookups: Vec<Lookup>,
    /// Lists all records.
    pub list: Option<Call>,
    /// Reads one.
    pub get: Option<Call>,
    /// Creates one.
    pub create: Option<Call>,
    /// Changes one.
    pub update: Option<Update>,
    /// Deletes one.
    pub delete: Option<Delete>,
    /// Creates or updates by our own key.
    pub upsert: Option<Call>,
    /// Lookups, in document order.
    pub find: Vec<Find>,
    /// A consistent list that proves whether an uncertain create arrived.
    pub recover: Option<Recover>,
    /// Lists what changed, by the times of its records.
    pub since: Option<Since>,
    /// Lists what changed, by the service's own token.
    pub delta: Option<Delta>,
    /// Holds for a deleted record. Asked before any field is read.
    pub gone: Option<Filter>,
    /// What event types mean, in document order.
    pub events: Vec<(String, EventRule)>,
    /// Where the resource is written.
    pub source: Source,
}

impl ResourceSpec {
    /// What `{fields}` lists for a mapping that reads `paths`: the names below `fields_under`, each once, `extra_fields` first. For a name
    /// that is looked up it is the id.
    pub fn fields<'a>(&self, paths: impl IntoIterator<Item = &'a SingularPath>) -> Vec<String> {
        let depth = self.fields_under.0.len();
        let mut names = self.extra_fields.clone();
        for path in paths {
            let path = self.held_at(path);
            if !path.starts_with(&self.fields_under) {
                continue;
            }
            if let Some(bothways_model::Segment::Name(name)) = path.0.get(depth)
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// Where the service holds what a mapping reads or writes at `path`: for a name that is looked up, where its id is.
    pub fn held_at<'a>(&'a self, path: &'a SingularPath) -> &'a SingularPath {
        self.lookups.iter().find(|lookup| lookup.path == *path).map_or(path, |lookup| &lookup.from)
    }

    /// All its calls.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        let plain = [&self.list, &self.get, &self.create, &self.upsert];
        let deltas = self.delta.iter().flat_map(|d| std::iter::once(&d.call).chain(&d.start));
        plain
            .into_iter()
            .flatten()
            .chain(self.update.iter().map(|u| &u.call))
            .chain(self.delete.iter().map(|d| &d.call))
            .chain(self.find.iter().map(|f| &f.call))
            .chain(self.recover.iter().map(|r| &r.call))
            .chain(self.since.iter().map(|s| &s.call))
            .chain(deltas)
    }

    /// The lookup on `path`, if there is one.
    pub fn find_on(&self, path: &SingularPath) -> Option<&Find> {
        self.find.iter().find(|f| f.path == *path)
    }
}

/// A deleting call.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// The call.
    pub call: Call,
    /// The service cannot undo it.
    pub irreversible: bool,
    /// Where the record's version goes along.
    pub if_match: Option<IfMatch>,
}

/// A lookup by natural key.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// The record's path that is looked up.
    pub path: SingularPath,
    /// The call.
    pub call: Call,
    /// `items: $`: the answer is one record, and an error of class `missing` means none.
    pub single: bool,
    /// What the service folds when it compares.
    pub folds: Vec<Normalizer>,
    /// It sees the service's own latest writes.
    pub consistent: bool,
}

/// A list that proves whether an uncertain create arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Recover {
    /// The call.
    pub call: Call,
    /// How `{since}` is written in it: as `since`, `changed_at` or `events.at` is, whichever comes first; else ISO 8601.
    pub send: TimeFormat,
}

/// An incremental list.
#[derive(Clone, Debug, PartialEq)]
pub struct Since {
    /// The call.
    pub call: Call,
    /// When a record changed.
    pub at: TimeAt,
    /// How `{since}` is written in the call.
    pub send: TimeFormat,
    /// What orders records of one moment.
    pub tie: Option<Query>,
    /// How late a change may become visible.
    pub lag: Duration,
    /// The most results of one search.
    pub cap: Option<u32>,
}

/// An incremental list that goes on by the service's own token.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The call, which takes the token.
    pub call: Call,
    /// Where the token goes; none: it is the URL to ask.
    pub send: Option<CursorPlace>,
    /// Where the next token is in the last page.
    pub value: Query,
    /// The call that gives the first token; none: `call` without a token, which shows everything.
    pub start: Option<Call>,
}
