//! Lists that go on by a token of the service's own.

use super::Made;
use super::driver::Driver;
use super::reads::stored;
use crate::{Operation, Outcome, Resource, SyncToken};
use bothways_model::RemoteId;

/// The first list shows every record that was made, unless it starts now, and ends with a token; with that nothing is told again.
pub(super) fn first(resource: &dyn Resource, driver: &mut Driver<'_>, made: &[Made]) -> Option<SyncToken> {
    let capabilities = resource.capabilities().clone();
    if !capabilities.since_token {
        return None;
    }
    let (told, token) = read(resource, driver, None);
    for record in made.iter().filter(|_| !capabilities.since_starts_now) {
        let times = told.iter().filter(|id| **id == record.id).count();
        assert_eq!(times, 1, "the first list by token shows {} that many times", record.id);
    }
    let (again, next) = read(resource, driver, Some(token));
    assert!(again.is_empty(), "nothing happened, and the list by token tells of {again:?}");
    Some(next)
}

/// The next list shows the record that was updated, and no other.
pub(super) fn changed(resource: &dyn Resource, driver: &mut Driver<'_>, made: &[Made], token: SyncToken) {
    if !resource.capabilities().update {
        return;
    }
    let (told, _) = read(resource, driver, Some(token));
    let updated: Vec<_> = made.last().into_iter().map(|record| record.id.clone()).collect();
    let mut told = told;
    told.dedup();
    assert_eq!(told, updated, "the list by token tells of something else than what was updated");
}

/// All pages of one list, and the token that it ends with.
fn read(
    resource: &dyn Resource,
    driver: &mut Driver<'_>,
    token: Option<SyncToken>,
) -> (Vec<RemoteId>, SyncToken) {
    let mut told = Vec::new();
    let mut page = None;
    for _ in 0..10_000 {
        let operation = Operation::Delta { token: token.clone(), page: page.take() };
        let (outcome, calls) = driver.trace(resource, operation.clone());
        assert!(calls.iter().all(|call| !call.write), "{operation:?} must not be marked as a write");
        let Outcome::Page(found) = outcome else { panic!("{operation:?} ended in {outcome:?}") };
        told.extend(found.items.into_iter().map(|item| item.id));
        match (found.next, found.token) {
            (Some(next), None) => page = Some(stored(&next)),
            (None, Some(token)) => {
                let text =
                    serde_json::to_string(&token).unwrap_or_else(|e| panic!("a token cannot be stored: {e}"));
                let token = serde_json::from_str(&text)
                    .unwrap_or_else(|e| panic!("a stored token cannot be read: {e}"));
                return (told, token);
            }
            other => panic!("a page leads on, or ends with a token: {other:?}"),
        }
    }
    panic!("the list by token does not end")
}
