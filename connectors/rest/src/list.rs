//! Lists of records: all of them, those found by a key, those created or changed since a moment.

use crate::answer::{self, malformed};
use crate::conversation::Reader;
use crate::core::Core;
use crate::paging::{self, Seen};
use crate::place::{Place, Step};
use bothways_connector::{Outcome, Page, PageCursor, SyncToken, answer_date};
use bothways_mapping::connector::{Call, ResourceSpec};
use bothways_mapping::connector::{Find, Since};
use bothways_model::{ErrorClass, Failure, Observed, Response, Timestamp};
use serde_json::Value as Json;
use std::sync::Arc;

/// Which list of a resource.
#[derive(Clone, Copy)]
pub(crate) enum List {
    All,
    /// The lookup of this number.
    Find(usize),
    Recover,
    Since,
    /// What changed since a token.
    Delta,
    /// The call that gives the first token.
    Start,
}

impl List {
    pub(crate) fn call(self, resource: &ResourceSpec) -> Option<&Call> {
        match self {
            Self::All => resource.list.as_ref(),
            Self::Find(at) => resource.find.get(at).map(|find| &find.call),
            Self::Recover => resource.recover.as_ref().map(|recover| &recover.call),
            Self::Since => resource.since.as_ref().map(|since| &since.call),
            Self::Delta => resource.delta.as_ref().map(|delta| &delta.call),
            Self::Start => resource.delta.as_ref().and_then(|delta| delta.start.as_ref()),
        }
    }

    fn by_token(self) -> bool {
        matches!(self, Self::Delta | Self::Start)
    }

    fn single(self, resource: &ResourceSpec) -> bool {
        matches!(self, Self::Find(at) if resource.find.get(at).is_some_and(|Find { single, .. }| *single))
    }

    fn since(self, resource: &ResourceSpec) -> Option<&Since> {
        resource.since.as_ref().filter(|_| matches!(self, Self::Since))
    }
}

/// A position of a list that was asked for.
pub(crate) struct Asked {
    pub(crate) core: Arc<Core>,
    pub(crate) resource: Arc<ResourceSpec>,
    pub(crate) list: List,
    /// The URL that was asked.
    pub(crate) url: String,
    /// The position; `None` for the first page.
    pub(crate) place: Option<Place>,
    /// The moment that the list begins at, where it does.
    pub(crate) since: Option<Timestamp>,
    /// A token was sent.
    pub(crate) token: bool,
}

impl Asked {
    pub(crate) fn reader(self) -> Reader {
        Box::new(move |answer| match self.read(&answer) {
            Ok(page) => Outcome::Page(page),
            Err(failure) => Outcome::Failed(failure),
        })
    }

    fn read(&self, answer: &Response) -> Result<Page, Failure> {
        let date = answer_date(answer);
        let single = self.list.single(&self.resource);
        if !answer.is_success() {
            let mut failure = answer::failure(&self.core, answer);
            return match (failure.class, &self.place) {
                (ErrorClass::Missing, _) if single => Ok(Page { date, ..Page::default() }),
                // What is missing is the record or position that the cursor names: the list begins anew (rule 54).
                // So is a token that is too old.
                (ErrorClass::Missing, place) if place.is_some() || self.token => {
                    failure.class = ErrorClass::Expired;
                    Err(failure)
                }
                _ => Err(failure),
            };
        }
        let mut body = answer::some_json(answer)?;
        if matches!(self.list, List::Start) {
            let token = self.next_token(&body)?;
            return Ok(Page { date, token, ..Page::default() });
        }
        if single {
            // An envelope with nothing in it says that there is none.
            if !self.resource.item.is_root() && self.resource.item.first(&body).is_some_and(Json::is_null) {
                return Ok(Page { date, ..Page::default() });
            }
            let found = answer::record(&self.resource, answer, body)?;
            return Ok(Page { items: vec![found], date, ..Page::default() });
        }
        let Some(call) = self.list.call(&self.resource) else {
            return Err(malformed("the document has no such list"));
        };
        // The page's cursor may be in its last record, so it is read before the records are moved out.
        let count_and_first = page_size(&self.resource, call, &body)?;
        let next = match self.list {
            // A lookup is one page: whether there are two matches or more makes no difference.
            List::Find(_) => None,
            _ => paging::next(
                call,
                &self.core.site,
                &Seen {
                    answer,
                    body: &body,
                    asked: &self.url,
                    place: self.place.as_ref(),
                    count: count_and_first.0,
                    first: count_and_first.1.as_deref(),
                },
            )?,
        };
        // Where the list ends, it says with what the next one begins.
        let token = if next.is_none() { self.next_token(&body)? } else { None };
        let items = answer::items(&call.items, &mut body)?
            .into_iter()
            .map(|item| self.observe(item))
            .collect::<Result<Vec<_>, _>>()?;
        let next = self.capped(next, &items)?;
        Ok(Page { items, next, date, token, covered: None })
    }

    /// The token that the last page of a list by token must hold; `None` for other lists.
    fn next_token(&self, body: &Json) -> Result<Option<SyncToken>, Failure> {
        let Some(delta) = self.resource.delta.as_ref().filter(|_| self.list.by_token()) else {
            return Ok(None);
        };
        let value = delta.value.first(body).filter(|value| paging::is_position(value));
        let value = value.ok_or_else(|| malformed("the list ends without a token to go on with"))?;
        let token = match (&delta.send, value.as_str()) {
            (Some(_), _) => value.clone(),
            (None, Some(url)) => paging::follow(url, &self.url, &self.core.site)?.into(),
            (None, None) => return Err(malformed("the token to go on with is no URL")),
        };
        Ok(Some(SyncToken(Box::new(token))))
    }

    fn observe(&self, item: Json) -> Result<Observed, Failure> {
        let mut seen = answer::observe(&self.resource, item)?;
        if let (None, Some(since)) = (seen.changed_at, self.list.since(&self.resource)) {
            seen.changed_at = since.at.read(&seen.body);
        }
        Ok(seen)
    }

    /// Whether a search that is read by one page at a time has shown less than a page: what is left of its moment is then asked by number.
    fn is_short(&self, cap: u32, here: u64) -> bool {
        let size = self.list.call(&self.resource).and_then(|call| call.page_size.as_ref());
        size.is_some_and(|(_, size)| *size == cap) && here < u64::from(cap)
    }

    /// Where a search may only be read so far, the next page may have to be the first one of a search that begins later.
    fn capped(&self, next: Option<Place>, items: &[Observed]) -> Result<Option<PageCursor>, Failure> {
        let Some(mut next) = next else { return Ok(None) };
        next.since = self.place.as_ref().and_then(|p| p.since);
        if let Some(cap) = self.list.since(&self.resource).and_then(|s| s.cap) {
            let here = u64::try_from(items.len()).unwrap_or(u64::MAX);
            next.seen = self.place.as_ref().map_or(0, |p| p.seen).saturating_add(here);
            if next.seen.saturating_add(here) > u64::from(cap) {
                let last = items.last().and_then(|item| item.changed_at);
                let began = next.since.or(self.since);
                if last.is_some() && last > began {
                    next = Place { since: last, ..Place::from(Step::Again) };
                } else if !self.is_short(cap, here) {
                    // More records of one moment than one search shows: only a complete walk sees them all.
                    return Err(Failure::new(
                        ErrorClass::Expired,
                        "more records share one moment than the service shows in one search",
                    ));
                }
            }
        }
        Ok(next.cursor())
    }
}

/// How many records a page has, and the id of the first.
fn page_size(resource: &ResourceSpec, call: &Call, body: &Json) -> Result<(usize, Option<String>), Failure> {
    let items = call.items.items(body);
    let id = |item: &&Json| resource.id.read(item).ok_or_else(|| malformed("a record without an id"));
    Ok((items.len(), items.first().map(id).transpose()?))
}
