//! Lists, lookups and the lists that begin at a moment.

use super::Made;
use super::driver::Driver;
use crate::{Operation, Outcome, Page, PageCursor, Resource};
use bothways_model::{RemoteId, SingularPath, Timestamp};
use chrono::TimeDelta;
use std::collections::BTreeMap;

/// A page cursor that no service ever gave.
const FOREIGN: &str = "not a cursor";

/// Nothing is created before something was read (rule 27): what a connector needs to know of the service for its writes, it learns there.
pub(super) fn before(resource: &dyn Resource, driver: &mut Driver<'_>) {
    if resource.capabilities().list {
        page(resource, driver, Operation::List { page: None });
    }
}

pub(super) fn all(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    made: &[Made],
    now: Timestamp,
    of_many_kinds: bool,
) {
    let capabilities = resource.capabilities().clone();
    let since = now - TimeDelta::seconds(1);
    if capabilities.list {
        let pages = walk(resource, driver, &|page| Operation::List { page });
        assert!(pages > 1, "the suite needs more records than one page holds, and a list that goes on");
        each_once(resource, driver, made, &|page| Operation::List { page });
        resumed(resource, driver);
    }
    if capabilities.recover {
        each_once(resource, driver, made, &|page| Operation::Recover { since, page });
    }
    if capabilities.since && !capabilities.since_token {
        each_once(resource, driver, made, &|page| Operation::Since { since, page });
    }
    let mut found = 0;
    for find in &capabilities.find {
        // A resource of many kinds of records has lookups that this kind has no field for.
        if made.iter().any(|record| record.text(&find.path).is_some()) {
            lookup(resource, driver, made, &find.path);
            found += 1;
        }
    }
    let needed = match (capabilities.find.is_empty(), of_many_kinds) {
        (true, _) => 0,
        (_, true) => 1,
        _ => capabilities.find.len(),
    };
    assert!(found >= needed, "the suite's records hold nothing by which they could be found");
}

/// How many pages there are.
fn walk(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    operation: &dyn Fn(Option<PageCursor>) -> Operation,
) -> usize {
    let mut pages = 0;
    each_page(resource, driver, operation, &mut |_| pages += 1);
    pages
}

/// Every record that was made is listed exactly once.
fn each_once(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    made: &[Made],
    operation: &dyn Fn(Option<PageCursor>) -> Operation,
) {
    let mut seen: BTreeMap<RemoteId, usize> = BTreeMap::new();
    each_page(resource, driver, operation, &mut |page| {
        for item in &page.items {
            *seen.entry(item.id.clone()).or_default() += 1;
        }
    });
    for record in made {
        let times = seen.get(&record.id).copied().unwrap_or_default();
        assert_eq!(times, 1, "{:?} shows {} that many times", operation(None), record.id);
    }
}

fn each_page(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    operation: &dyn Fn(Option<PageCursor>) -> Operation,
    on_page: &mut dyn FnMut(&Page),
) {
    let mut cursor = None;
    for _ in 0..10_000 {
        let page = page(resource, driver, operation(cursor));
        on_page(&page);
        match page.next {
            Some(next) => cursor = Some(stored(&next)),
            None => return,
        }
    }
    panic!("{:?} does not end", operation(None))
}

/// A list goes on from a stored cursor as it would have without the interruption.
fn resumed(resource: &dyn Resource, driver: &mut Driver<'_>) {
    let first = page(resource, driver, Operation::List { page: None });
    let Some(next) = first.next else { return };
    let once = page(resource, driver, Operation::List { page: Some(next.clone()) });
    let again = page(resource, driver, Operation::List { page: Some(stored(&next)) });
    assert_eq!(once.items, again.items, "a stored page cursor leads elsewhere");
    assert!(
        once.items.iter().all(|item| first.items.iter().all(|other| other.id != item.id)),
        "the second page repeats the first"
    );
    let foreign = Operation::List { page: Some(PageCursor(FOREIGN.into())) };
    assert!(resource.start(foreign).is_err(), "a page cursor of somebody else must be refused");
}

/// A lookup finds the record that holds the value, and nothing for a value that none holds.
fn lookup(resource: &dyn Resource, driver: &mut Driver<'_>, made: &[Made], path: &SingularPath) {
    let find = |value: &str| Operation::Find { path: path.clone(), value: value.into() };
    for record in made.iter().take(5) {
        let Some(value) = record.text(path) else { continue };
        let found = page(resource, driver, find(value));
        let ids: Vec<_> = found.items.iter().map(|item| &item.id).collect();
        assert_eq!(ids, [&record.id], "the lookup by {path} found something else");
        assert_eq!(found.next, None, "a lookup is one page");
    }
    let none = page(resource, driver, find("nobody+%26&=?#/@conformance.invalid"));
    assert!(none.items.is_empty(), "a lookup of what is not there found {:?}", none.items);
}

fn page(resource: &dyn Resource, driver: &mut Driver<'_>, operation: Operation) -> Page {
    let (outcome, calls) = driver.trace(resource, operation.clone());
    assert!(calls.iter().all(|call| !call.write), "{operation:?} must not be marked as a write");
    match outcome {
        Outcome::Page(page) => page,
        other => panic!("{operation:?} ended in {other:?}"),
    }
}

/// The cursor as it comes back from the store.
pub(super) fn stored(cursor: &PageCursor) -> PageCursor {
    let text = serde_json::to_string(cursor).unwrap_or_else(|e| panic!("a cursor cannot be stored: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("a stored cursor cannot be read: {e}"))
}
