//! Names for ids: what a record holds as the id of an entry of another list is read and written as the entry's name.
//!
//! The list is read again with what begins a walk, with each lookup, with each record whose names are written, and whenever it does not
//! show an id. Reads of a record come right before its writes, so a name becomes an id by a list that is as fresh as the record. Nothing
//! is guessed: what the list does not say, or says twice, is refused.

use crate::answer::malformed;
use crate::core::Core;
use crate::request::invalid;
use crate::resource::RestResource;
use bothways_connector::{
    Exchange, FieldWrites, Operation, Outcome, Page, Params, Resource as _, ResourceQuery, Step,
};
use bothways_mapping::connector::{Lookup, ResourceSpec, plain_text};
use bothways_model::{ErrorClass, Failure, Observed, Response};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most pages of lists that are read along with one operation.
const MOST_PAGES: usize = 8;

/// The lists that were read, by what they are lists of.
#[derive(Debug, Default)]
pub(crate) struct Tables(Mutex<BTreeMap<Key, Arc<Table>>>);

/// A resource, its parameters, and where its entries have their names.
type Key = (String, Params, String);

impl Tables {
    fn get(&self, key: &Key) -> Option<Arc<Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: &Key, table: Table) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Arc::new(table));
    }
}

/// The entries of a list, in its order.
#[derive(Debug, Default)]
struct Table(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// As the list writes it: text or a number.
    id: Json,
    name: String,
    /// The list calls it deleted: old records may still hold its id, and no record gets it.
    gone: bool,
}

impl Table {
    fn add(&mut self, lookup: &Lookup, list: &ResourceSpec, seen: &Observed) {
        let id = list.id.0.first().and_then(|id| id.first(&seen.body)).cloned();
        // An entry without a name is there, and cannot be meant by one.
        if let (Some(id), Some(name)) = (id, lookup.name.first(&seen.body).and_then(plain_text)) {
            self.0.push(Entry { id, name, gone: seen.gone });
        }
    }

    /// Services write one id here as a number and there as text.
    fn name_of(&self, id: &Json) -> Option<&str> {
        let id = plain_text(id)?;
        let is_it = |entry: &&Entry| plain_text(&entry.id).as_ref() == Some(&id);
        self.0.iter().find(is_it).map(|entry| entry.name.as_str())
    }
}

/// A name that mappings use.
struct Used {
    lookup: Lookup,
    list: Arc<RestResource>,
    spec: ResourceSpec,
    key: Key,
    written: bool,
}

/// The names of one resource that mappings use.
pub(crate) struct Names {
    core: Arc<Core>,
    used: Arc<[Used]>,
}

impl Names {
    pub(crate) fn new(core: &Arc<Core>, spec: &ResourceSpec, query: &ResourceQuery) -> Self {
        let used = spec.lookups.iter().filter(|lookup| query.paths.contains(&lookup.path));
        let used = used.filter_map(|lookup| {
            let list = core.spec().resources.get(&lookup.resource)?;
            let fits = |(name, _): &(&String, &String)| list.params.contains(name);
            let params: Params =
                query.params.iter().filter(fits).map(|(n, v)| (n.clone(), v.clone())).collect();
            let key = (list.name.clone(), params.clone(), lookup.name.text().to_owned());
            let asked = ResourceQuery { name: list.name.clone(), params, ..ResourceQuery::default() };
            Some(Used {
                lookup: lookup.clone(),
                list: Arc::new(RestResource::new(core, list, &asked)),
                spec: list.clone(),
                key,
                written: query.written.contains(&lookup.path),
            })
        });
        Self { used: used.collect(), core: Arc::clone(core) }
    }

    /// Whether a mapping writes any.
    pub(crate) fn are_written(&self) -> bool {
        self.used.iter().any(|used| used.written)
    }

    /// A read whose records get their names. `fresh`: by lists read after the records.
    pub(crate) fn read(&self, exchange: Box<dyn Exchange>, fresh: bool) -> Box<dyn Exchange> {
        self.with(exchange, if fresh { Reading::Again } else { Reading::AsNeeded })
    }

    /// A write whose answer gets its names. Where they are not known the record is left out, and read.
    pub(crate) fn written(&self, exchange: Box<dyn Exchange>) -> Box<dyn Exchange> {
        self.with(exchange, Reading::Never)
    }

    fn with(&self, exchange: Box<dyn Exchange>, reading: Reading) -> Box<dyn Exchange> {
        if self.used.is_empty() {
            return exchange;
        }
        let (core, used) = (Arc::clone(&self.core), Arc::clone(&self.used));
        let stage = Stage::Records(exchange);
        Box::new(Naming { core, used, reading, stage, outcome: None, next: 0, pages: 0 })
    }

    /// The fields with ids in the place of names.
    ///
    /// # Errors
    /// Class `invalid` if the list shows no such name, or more than one; `retry` if it was not read yet.
    pub(crate) fn ids(&self, fields: FieldWrites) -> Result<FieldWrites, Failure> {
        let id = |(path, value): (_, Json)| match self.used.iter().find(|used| used.lookup.path == path) {
            None => Ok((path, value)),
            Some(used) => Ok((used.lookup.from.clone(), self.id(used, &value)?)),
        };
        fields.into_iter().map(id).collect()
    }

    fn id(&self, used: &Used, name: &Json) -> Result<Json, Failure> {
        let Lookup { path, from, resource, .. } = &used.lookup;
        if name.is_null() {
            return Ok(Json::Null);
        }
        let unread = || Failure::new(ErrorClass::Retry, format!("the list `{resource}` was not read yet"));
        let table = self.core.tables.get(&used.key).ok_or_else(unread)?;
        let is_it = |entry: &&Entry| !entry.gone && name.as_str() == Some(&entry.name);
        let mut named = table.0.iter().filter(is_it);
        match (named.next(), named.next()) {
            (Some(entry), None) => Ok(entry.id.clone()),
            (None, _) => Err(invalid(format!(
                "the list `{resource}` shows no entry with the name for {path}: add it at the service, or correct the row"
            ))),
            (Some(_), Some(_)) => Err(invalid(format!(
                "the list `{resource}` shows several entries with the name for {path}, and which one is meant nobody can tell: rename them at the service, or map the id itself ({from})"
            ))),
        }
    }

    /// Takes the names out of a record, which the service does not know.
    pub(crate) fn take_out(&self, record: &mut Json) {
        for used in &*self.used {
            if let (Some(members), Some(name)) = (record.as_object_mut(), used.lookup.member()) {
                members.remove(name);
            }
        }
    }
}

/// Whether lists are read along.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Again,
    AsNeeded,
    Never,
}

/// An exchange, and then the lists that its records' names are in.
struct Naming {
    core: Arc<Core>,
    used: Arc<[Used]>,
    reading: Reading,
    stage: Stage,
    /// What the exchange ended in.
    outcome: Option<Outcome>,
    /// The list to look at next.
    next: usize,
    pages: usize,
}

enum Stage {
    Records(Box<dyn Exchange>),
    /// A page of the list, and what was read of it before.
    List(Box<dyn Exchange>, Table),
    Between,
}

impl Exchange for Naming {
    fn next(&mut self, mut answer: Option<Response>) -> Step {
        loop {
            let step = match &mut self.stage {
                Stage::Records(exchange) | Stage::List(exchange, _) => exchange.next(answer.take()),
                Stage::Between => match self.open() {
                    Ok(true) => continue,
                    Ok(false) => return Step::Done(self.named()),
                    Err(failure) => return Step::Done(Outcome::Failed(failure)),
                },
            };
            let Step::Done(outcome) = step else { return step };
            match (std::mem::replace(&mut self.stage, Stage::Between), outcome) {
                (Stage::List(_, table), Outcome::Page(page)) => {
                    if let Err(failure) = self.take(table, page) {
                        return Step::Done(Outcome::Failed(failure));
                    }
                }
                (Stage::List(..), Outcome::Failed(failure)) => {
                    return Step::Done(Outcome::Failed(self.about_the_list(failure)));
                }
                (Stage::List(..), _) => {
                    return Step::Done(Outcome::Failed(malformed("a list ended in no page")));
                }
                (_, outcome @ (Outcome::Record(_) | Outcome::Page(_))) => self.outcome = Some(outcome),
                (_, outcome) => return Step::Done(outcome),
            }
        }
    }
}

impl Naming {
    /// Begins to read the next list that has to be; false if there is none.
    fn open(&mut self) -> Result<bool, Failure> {
        while let Some(used) = self.used.get(self.next) {
            if self.has_to_read(used) {
                self.stage = Stage::List(used.list.start(Operation::List { page: None })?, Table::default());
                return Ok(true);
            }
            self.next += 1;
        }
        Ok(false)
    }

    fn has_to_read(&self, used: &Used) -> bool {
        if self.reading != Reading::AsNeeded {
            return self.reading == Reading::Again;
        }
        let table = self.core.tables.get(&used.key);
        let is_known = |id: &Json| table.as_ref().is_some_and(|table| table.name_of(id).is_some());
        let ids = self.records().iter().filter_map(|seen| used.lookup.from.get(&seen.body));
        ids.filter(|id| !id.is_null()).any(|id| !is_known(id))
    }

    fn records(&self) -> &[Observed] {
        match &self.outcome {
            Some(Outcome::Record(seen)) => std::slice::from_ref(seen),
            Some(Outcome::Page(page)) => &page.items,
            _ => &[],
        }
    }

    /// A page of the list: either it goes on, or it is whole.
    fn take(&mut self, mut table: Table, page: Page) -> Result<(), Failure> {
        let Some(used) = self.used.get(self.next) else { return Ok(()) };
        for entry in &page.items {
            table.add(&used.lookup, &used.spec, entry);
        }
        self.pages += 1;
        match page.next {
            Some(_) if self.pages >= MOST_PAGES => {
                let resource = &used.lookup.resource;
                return Err(invalid(format!(
                    "the list `{resource}` is too long to be read with each record: give it a catalog and a mapping of its own, and refer to it (`ref: …`)"
                )));
            }
            Some(next) => {
                let next = used.list.start(Operation::List { page: Some(next) })?;
                self.stage = Stage::List(next, table);
            }
            None => {
                self.core.tables.put(&used.key, table);
                self.next += 1;
            }
        }
        Ok(())
    }

    /// A list that cannot be read says nothing about the record.
    fn about_the_list(&self, mut failure: Failure) -> Failure {
        let resource = self.used.get(self.next).map_or("", |used| used.lookup.resource.as_str());
        if failure.class == ErrorClass::Missing {
            failure.class = ErrorClass::Invalid;
        }
        failure.message = format!("the list `{resource}` cannot be read: {}", failure.message);
        failure
    }

    /// What the exchange ended in, with names.
    fn named(&mut self) -> Outcome {
        match self.outcome.take() {
            Some(Outcome::Record(mut seen)) => match (self.name(&mut seen), self.reading) {
                (false, Reading::Never) => Outcome::Written { id: Some(seen.id) },
                _ => Outcome::Record(seen),
            },
            Some(Outcome::Page(mut page)) => {
                for seen in &mut page.items {
                    self.name(seen);
                }
                Outcome::Page(page)
            }
            other => other.unwrap_or_else(|| Outcome::Failed(malformed("the exchange ended in nothing"))),
        }
    }

    /// Puts the names into a record; false if one is not known.
    fn name(&self, seen: &mut Observed) -> bool {
        let mut all = true;
        for used in &*self.used {
            let (Some(id), Some(member)) = (used.lookup.from.get(&seen.body), used.lookup.member()) else {
                continue;
            };
            let table = self.core.tables.get(&used.key);
            let name = match table.as_ref().and_then(|table| table.name_of(id)) {
                _ if id.is_null() => Json::Null,
                Some(name) => Json::from(name),
                None => {
                    all = false;
                    used.lookup.unlisted()
                }
            };
            if let Some(members) = Arc::make_mut(&mut seen.body).as_object_mut() {
                members.insert(member.to_owned(), name);
            }
        }
        all
    }
}
