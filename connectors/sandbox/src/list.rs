//! Lists as Stripe gives them: newest first, paged by object cursors, filtered by `created`.

use crate::errors::ApiError;
use crate::form::Params;
use crate::params::{Given, Reader};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

/// Where an object stands in a list: by `created` in seconds, then by the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) created: i64,
    pub(crate) seq: u64,
}

/// What every list accepts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListQuery {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<Cursor>,
    low: Bound<i64>,
    high: Bound<i64>,
}

/// The object a page is next to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cursor {
    /// Older than this one.
    After(String),
    /// Newer than this one, and nearest to it.
    Before(String),
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) has_more: bool,
}

/// How a broken list may differ from a correct one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Slip {
    /// The page that ended at the cursor comes again.
    pub(crate) repeat: bool,
    /// One page is left out.
    pub(crate) skip: bool,
}

impl ListQuery {
    /// Takes the paging parameters out of `reader`.
    pub(crate) fn read(reader: &mut Reader) -> Result<Self, ApiError> {
        let limit = match reader.integer("limit")?.unwrap_or(10) {
            limit @ 1..=100 => limit as usize,
            limit => {
                let bound =
                    if limit < 1 { "greater than or equal to 1" } else { "less than or equal to 100" };
                let text = format!("This value must be {bound} (it currently is '{limit}').");
                return Err(ApiError::invalid(text).of("limit"));
            }
        };
        let cursor =
            match (reader.solid_text("starting_after", 255)?, reader.solid_text("ending_before", 255)?) {
                (None, None) => None,
                (Some(id), None) => Some(Cursor::After(id)),
                (None, Some(id)) => Some(Cursor::Before(id)),
                (Some(_), Some(_)) => {
                    let text = "You may only specify one of these parameters: starting_after, ending_before.";
                    return Err(ApiError::invalid(text).of("starting_after"));
                }
            };
        let (low, high) = read_created(reader)?;
        Ok(Self { limit, cursor, low, high })
    }

    /// The cursor's id and the name of its parameter.
    pub(crate) fn cursor(&self) -> Option<(&str, &'static str)> {
        match self.cursor.as_ref()? {
            Cursor::After(id) => Some((id, "starting_after")),
            Cursor::Before(id) => Some((id, "ending_before")),
        }
    }

    fn created_matches(&self, created: i64) -> bool {
        (self.low, self.high).contains(&created)
    }

    /// The page of `items` (oldest first) that this query asks for. `at` is where the cursor's object stands.
    pub(crate) fn page<T>(
        &self,
        items: impl DoubleEndedIterator<Item = (Key, T)>,
        at: Option<Key>,
        slip: Slip,
    ) -> Page<T> {
        let wanted = items.filter(|(key, _)| self.created_matches(key.created));
        match (&self.cursor, at) {
            (Some(Cursor::After(_)), Some(at)) if slip.repeat => {
                self.upwards(wanted.filter(|(key, _)| *key >= at), true)
            }
            (Some(Cursor::Before(_)), Some(at)) => self.upwards(wanted.filter(|(key, _)| *key > at), false),
            (_, at) => {
                let older = wanted.rev().filter(|(key, _)| at.is_none_or(|at| *key < at));
                let skipped = if slip.skip { self.limit } else { 0 };
                let mut items: Vec<T> =
                    older.skip(skipped).take(self.limit + 1).map(|(_, item)| item).collect();
                let has_more = items.len() > self.limit;
                items.truncate(self.limit);
                Page { items, has_more }
            }
        }
    }

    fn upwards<T>(&self, newer: impl Iterator<Item = (Key, T)>, has_older: bool) -> Page<T> {
        let mut items: Vec<T> = newer.take(self.limit + 1).map(|(_, item)| item).collect();
        let has_more = items.len() > self.limit || has_older;
        items.truncate(self.limit);
        items.reverse();
        Page { items, has_more }
    }

    /// The part of an ordered collection that can hold what this query asks for, so that long lists stay fast.
    pub(crate) fn range<'a, T>(
        &self,
        items: &'a BTreeMap<Key, T>,
        at: Option<Key>,
        slip: Slip,
    ) -> impl DoubleEndedIterator<Item = (Key, &'a T)> + use<'a, T> {
        let (low, high) = match (&self.cursor, at) {
            _ if slip.repeat => (Bound::Unbounded, Bound::Unbounded),
            (Some(Cursor::After(_)), Some(at)) => (Bound::Unbounded, Bound::Excluded(at)),
            (Some(Cursor::Before(_)), Some(at)) => (Bound::Excluded(at), Bound::Unbounded),
            _ => (Bound::Unbounded, Bound::Unbounded),
        };
        let floor = match self.low {
            Bound::Included(created) => Bound::Included(Key { created, seq: 0 }),
            Bound::Excluded(created) => Bound::Excluded(Key { created, seq: u64::MAX }),
            Bound::Unbounded => Bound::Unbounded,
        };
        let low = tighter(low, floor);
        let range = if is_empty(low, high) { None } else { Some(items.range((low, high))) };
        range.into_iter().flatten().map(|(key, item)| (*key, item))
    }
}

/// The higher of two lower bounds.
fn tighter(a: Bound<Key>, b: Bound<Key>) -> Bound<Key> {
    match (a, b) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other,
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            if x > y || (x == y && matches!(a, Bound::Excluded(_))) { a } else { b }
        }
    }
}

/// `BTreeMap::range` panics on a range that runs backwards.
fn is_empty(low: Bound<Key>, high: Bound<Key>) -> bool {
    match (low, high) {
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low >= high
        }
        _ => false,
    }
}

/// `created=N`, or a hash of `gt`, `gte`, `lt`, `lte`.
fn read_created(reader: &mut Reader) -> Result<(Bound<i64>, Bound<i64>), ApiError> {
    if reader.is_text("created") {
        return Ok(match reader.integer("created")? {
            Some(exact) => (Bound::Included(exact), Bound::Included(exact)),
            None => (Bound::Unbounded, Bound::Unbounded),
        });
    }
    let Some(Given::Value(mut bounds)) = reader.hash("created")? else {
        return Ok((Bound::Unbounded, Bound::Unbounded));
    };
    let (gt, gte) = (bounds.integer("gt")?, bounds.integer("gte")?);
    let (lt, lte) = (bounds.integer("lt")?, bounds.integer("lte")?);
    bounds.finish()?;
    let low = match (gt, gte) {
        (Some(gt), gte) if gte.is_none_or(|gte| gt >= gte) => Bound::Excluded(gt),
        (_, Some(gte)) => Bound::Included(gte),
        _ => Bound::Unbounded,
    };
    let high = match (lt, lte) {
        (Some(lt), lte) if lte.is_none_or(|lte| lt <= lte) => Bound::Excluded(lt),
        (_, Some(lte)) => Bound::Included(lte),
        _ => Bound::Unbounded,
    };
    Ok((low, high))
}

/// The list envelope.
#[derive(Serialize)]
pub(crate) struct ListView<'a, T> {
    object: &'static str,
    data: &'a [T],
    has_more: bool,
    url: &'a str,
}

impl<T: Serialize> Page<T> {
    /// The page as a body, under the path it was asked at.
    pub(crate) fn body(&self, url: &str) -> Vec<u8> {
        let view = ListView { object: "list", data: &self.items, has_more: self.has_more, url };
        serde_json::to_vec(&view).unwrap_or_default()
    }
}

/// The paging parameters alone, for lists that take no others.
pub(crate) fn plain_query(params: Params) -> Result<ListQuery, ApiError> {
    let mut reader = Reader::new(params);
    let query = ListQuery::read(&mut reader)?;
    reader.finish()?;
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> BTreeMap<Key, u64> {
        // Two objects a second, numbered in the order of creation.
        (0..20).map(|seq| (Key { created: 100 + (seq / 2) as i64, seq }, seq)).collect()
    }

    fn run(query: &str, at: Option<u64>, slip: Slip) -> (Vec<u64>, bool) {
        let query = plain_query(Params::decode(query).unwrap()).unwrap();
        let items = items();
        let at = at.map(|seq| Key { created: 100 + (seq / 2) as i64, seq });
        let page = query.page(query.range(&items, at, slip), at, slip);
        (page.items.into_iter().copied().collect(), page.has_more)
    }

    #[test]
    fn pages_are_newest_first_and_meet_at_the_cursor() {
        let none = Slip::default();
        assert_eq!(run("limit=3", None, none), (vec![19, 18, 17], true));
        assert_eq!(run("limit=3&starting_after=x", Some(17), none), (vec![16, 15, 14], true));
        assert_eq!(run("limit=3&starting_after=x", Some(3), none), (vec![2, 1, 0], false));
        assert_eq!(run("limit=3&ending_before=x", Some(10), none), (vec![13, 12, 11], true));
        assert_eq!(run("limit=9&ending_before=x", Some(10), none), ((11..20).rev().collect(), false));
        assert_eq!(run("", None, none).0.len(), 10);
    }

    #[test]
    fn created_bounds_hold_with_and_without_cursor() {
        let none = Slip::default();
        assert_eq!(run("created[gte]=108", None, none), (vec![19, 18, 17, 16], false));
        assert_eq!(run("created[gt]=108", None, none), (vec![19, 18], false));
        assert_eq!(run("created[lt]=101", None, none), (vec![1, 0], false));
        assert_eq!(run("created[lte]=101&created[gt]=100", None, none), (vec![3, 2], false));
        assert_eq!(run("created=104", None, none), (vec![9, 8], false));
        assert_eq!(run("created[gte]=108&starting_after=x", Some(18), none), (vec![17, 16], false));
        assert_eq!(run("created[gt]=108&starting_after=x", Some(2), none), (vec![], false));
        assert_eq!(run("created[gte]=108&ending_before=x", Some(2), none), (vec![19, 18, 17, 16], false));
    }

    #[test]
    fn slips_repeat_and_skip_whole_pages() {
        let repeat = Slip { repeat: true, ..Slip::default() };
        assert_eq!(run("limit=3&starting_after=x", Some(14), repeat), (vec![16, 15, 14], true));
        let skip = Slip { skip: true, ..Slip::default() };
        assert_eq!(run("limit=3&starting_after=x", Some(17), skip), (vec![13, 12, 11], true));
    }

    #[test]
    fn limits_and_cursors_are_checked() {
        for (query, param) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=ten", "limit"),
            ("starting_after=a&ending_before=b", "starting_after"),
            ("created[after]=1", "created[after]"),
            ("created[gt]=soon", "created[gt]"),
        ] {
            let error = plain_query(Params::decode(query).unwrap()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(param)), "{query}");
        }
    }
}
