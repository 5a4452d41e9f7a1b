//! The log of deletes. It shows what is not even in the recycle bin any more, in windows with rules of their own: seconds do not count, a
//! window is at least a minute, the log may be complete only up to a moment (`latestDateCovered`), and is shortened at its beginning
//! without asking (`earliestDateAvailable`): then only a complete walk helps (rule 53).

use bothways_connector::{Exchange, Outcome, Page, PageCursor};
use bothways_connector_rest::Caller;
use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, Observed, RemoteId, Response, Timestamp};
use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The window that the last page of an incremental list asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletesPage {
    deleted_from: Timestamp,
    deleted_to: Timestamp,
}

impl DeletesPage {
    /// The window from `since` to a service's `now`, in whole minutes that hold both; `None` if it has no length.
    pub(crate) fn between(since: Timestamp, now: Timestamp) -> Option<Self> {
        let minute = TimeDelta::minutes(1);
        let deleted_from = since.duration_trunc(minute).ok()?;
        let deleted_to = now.duration_trunc(minute).ok()? + minute;
        (deleted_to > deleted_from).then_some(Self { deleted_from, deleted_to })
    }

    pub(crate) fn cursor(self) -> Option<PageCursor> {
        serde_json::to_string(&self).ok().map(PageCursor)
    }

    /// Reads [`DeletesPage::cursor`]; `None` if it is another list's.
    pub(crate) fn read(cursor: &PageCursor) -> Option<Self> {
        serde_json::from_str(&cursor.0).ok()
    }
}

/// Asks for the deletes of a window.
pub(crate) fn ask(caller: &Caller, object: &str, window: DeletesPage) -> Box<dyn Exchange> {
    let write = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (start, end) = (write(window.deleted_from), write(window.deleted_to));
    let reader = caller.clone();
    caller.get(&format!("/sobjects/{object}/deleted/"), &[("start", &start), ("end", &end)], move |answer| {
        read(&reader, window, &answer).map_or_else(Outcome::Failed, Outcome::Page)
    })
}

fn read(caller: &Caller, window: DeletesPage, answer: &Response) -> Result<Page, Failure> {
    let body = caller.json(answer)?;
    let malformed = || Failure::new(ErrorClass::Malformed, "the log of deletes cannot be read");
    let time = |name: &str| body.get(name).and_then(Json::as_str).and_then(moment).ok_or_else(malformed);
    let is_shortened = time("earliestDateAvailable")? > window.deleted_from;
    if is_shortened && !planted::is(Bug::ShortenedLogTakenAsComplete) {
        return Err(Failure::new(
            ErrorClass::Expired,
            "the log of deletes does not reach back to where it was read",
        ));
    }
    let covered = time("latestDateCovered")?;
    let deleted = body.get("deletedRecords").and_then(Json::as_array).ok_or_else(malformed)?;
    let items = deleted.iter().map(|one| {
        let id = one.get("id").and_then(Json::as_str).filter(|id| !id.is_empty()).ok_or_else(malformed)?;
        let at = one.get("deletedDate").and_then(Json::as_str).and_then(moment).ok_or_else(malformed)?;
        let body = Arc::new(json!({ "Id": id, "IsDeleted": true }));
        Ok(Observed { id: RemoteId(id.to_owned()), gone: true, changed_at: Some(at), version: None, body })
    });
    let items = items.collect::<Result<Vec<_>, _>>()?;
    let date = bothways_connector::answer_date(answer);
    Ok(Page { items, next: None, date, covered: Some(covered), token: None })
}

/// `2026-11-22T10:00:00.000+0000`.
fn moment(text: &str) -> Option<Timestamp> {
    let known = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z").ok();
    known.or_else(|| DateTime::parse_from_rfc3339(text).ok()).map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        moment(text).unwrap()
    }

    #[test]
    fn windows_are_whole_minutes_that_hold_both_ends() {
        let window =
            DeletesPage::between(at("2026-11-22T10:00:59.999+0000"), at("2026-11-22T10:01:00.000+0000"))
                .unwrap();
        assert_eq!(window.deleted_from, at("2026-11-22T10:00:00Z"));
        assert_eq!(window.deleted_to, at("2026-11-22T10:02:00Z"));
        assert_eq!(DeletesPage::read(&window.cursor().unwrap()), Some(window));
        assert_eq!(DeletesPage::read(&PageCursor("{\"url\":\"x\"}".into())), None);
        // A clock that was ahead of the service's.
        assert_eq!(DeletesPage::between(at("2026-11-22T10:05:00Z"), at("2026-11-22T10:01:00Z")), None);
    }
}
