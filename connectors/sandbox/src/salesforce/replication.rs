//! Which records changed, and which went away, between two moments. Seconds of the two do not count.

use super::access::Access;
use super::call::Call;
use super::errors::ApiError;
use super::org::Salesforce;
use super::records::{Lag, Record, Table};
use super::reply::Reply;
use super::time::{read, stamp};
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde_json::{Value, json};

/// How far back a window may begin.
const LONGEST: TimeDelta = TimeDelta::days(30);
/// How long deletes are remembered, and deleted records kept in the recycle bin.
pub(crate) const BIN: TimeDelta = TimeDelta::days(15);

/// What a call asked for, and how far it can be answered.
struct Window {
    start: Timestamp,
    end: Timestamp,
    covered: Timestamp,
}

impl Window {
    fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end && at < self.covered
    }
}

impl Salesforce {
    /// `GET /sobjects/{Object}/updated/?start=&end=`: ids of records that were created or changed, and are there.
    pub(crate) fn updated(&self, call: &Call, object: &str, access: &Access<'_>) -> Result<Reply, ApiError> {
        let table = self.store.table(object)?;
        let window = self.window(call, table, access.now)?;
        let shown = table.all().filter(|_| access.shows_records(&table.object));
        let seen =
            shown.filter_map(|record| record.seen(access.now)).filter(|record| record.deleted.is_none());
        let ids: Vec<&str> = seen
            .filter(|record| window.holds(record.system_modstamp))
            .map(|record| record.id.as_str())
            .collect();
        self.check_ids(ids.len())?;
        Ok(Reply::ok(json!({ "ids": ids, "latestDateCovered": stamp(window.covered) })))
    }

    /// `GET /sobjects/{Object}/deleted/?start=&end=`: what the log of deletes still knows. A start before
    /// `earliestDateAvailable` is answered all the same, and is not complete.
    pub(crate) fn deleted(&self, call: &Call, object: &str, access: &Access<'_>) -> Result<Reply, ApiError> {
        let table = self.store.table(object)?;
        let window = self.window(call, table, access.now)?;
        let shown = table.deletes.iter().filter(|_| access.shows_records(&table.object));
        let deletes: Vec<Value> = shown
            .filter(|(at, _)| window.holds(*at))
            .map(|(at, id)| json!({ "id": id, "deletedDate": stamp(*at) }))
            .collect();
        self.check_ids(deletes.len())?;
        let kept = access.now - BIN;
        let earliest = table.deletes_since.map_or(kept, |since| since.max(kept));
        Ok(Reply::ok(json!({
            "deletedRecords": deletes,
            "earliestDateAvailable": stamp(earliest),
            "latestDateCovered": stamp(window.covered),
        })))
    }

    /// How many records queries and these calls do not show as they are yet.
    pub fn lagging(&self, now: Timestamp) -> usize {
        let tables = self.store.objects().filter_map(|object| self.store.table(object.name).ok());
        let lags = |record: &&Record| record.unseen.as_ref().is_some_and(|unseen| now < unseen.lag.until);
        tables.map(|table| table.all().filter(lags).count()).sum()
    }

    fn window(&self, call: &Call, table: &Table, now: Timestamp) -> Result<Window, ApiError> {
        let moment = |name: &str| {
            let text = call.param(name);
            let text =
                text.ok_or_else(|| ApiError::bad("MISSING_ARGUMENT", format!("Missing {name} parameter")))?;
            // A plus sign that was not escaped arrives as a space.
            let at = read(&text).or_else(|| read(&text.replace(' ', "+")));
            let at = at
                .ok_or_else(|| ApiError::bad("INVALID_REPLICATION_DATE", format!("{name} is no dateTime")))?;
            Ok(at - TimeDelta::seconds(at.timestamp().rem_euclid(60)))
        };
        let (start, end) = (moment("start")?, moment("end")?);
        if end - start < TimeDelta::minutes(1) {
            let text = "startDate must be at least one minute before endDate";
            return Err(ApiError::bad("INVALID_REPLICATION_DATE", text));
        }
        if start < now - LONGEST {
            return Err(ApiError::bad("INVALID_REPLICATION_DATE", "startDate before 30 days ago"));
        }
        // What is known to be under way still keeps the calls from promising more.
        let lags = |lag: Lag| now < lag.until && !lag.untold;
        let pending =
            table.all().filter(|record| record.unseen.as_ref().is_some_and(|unseen| lags(unseen.lag)));
        let oldest = pending.map(|record| record.system_modstamp).min();
        let behind = now - self.config.replication_lag;
        let covered = end.min(behind).min(oldest.unwrap_or(behind)).max(start);
        Ok(Window { start, end, covered })
    }

    fn check_ids(&self, count: usize) -> Result<(), ApiError> {
        if count <= self.config.replication_ids {
            return Ok(());
        }
        let text = format!("exceeded {} ids; choose a shorter time span", self.config.replication_ids);
        Err(ApiError::bad("EXCEEDED_ID_LIMIT", text))
    }
}
