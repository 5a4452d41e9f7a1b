//! Work rows.

use super::{from_json, get, json, nanos, time};
use crate::error::damaged;
use crate::statement::Arg;
use crate::tuple::Tuple;
use bothways_model::{PairId, Seq};
use bothways_store::transition::WorkRow;
use bothways_store::{Awaited, StoreError, Subject, Work, WorkId};

/// The columns, in the order of [`work_args`].
pub(crate) const WORK: &str = "id, pair, kind, subject, generation, taken, look, due, not_before, since, facts, attempts, tried_since, \
     last_error, held, reason, parked, pass, awaits, changed";

/// What follows the rows of an insert that may meet rows that are there.
pub(crate) const WORK_UPSERT: &str = "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, subject = excluded.subject, \
     generation = excluded.generation, taken = excluded.taken, look = excluded.look, due = excluded.due, \
     not_before = excluded.not_before, since = excluded.since, facts = excluded.facts, attempts = excluded.attempts, \
     tried_since = excluded.tried_since, last_error = excluded.last_error, held = excluded.held, reason = excluded.reason, \
     parked = excluded.parked, pass = excluded.pass, awaits = excluded.awaits, changed = excluded.changed";

/// A subject as the columns `kind` and `subject`.
pub(crate) fn subject_columns(subject: &Subject) -> (&'static str, &str) {
    match subject {
        Subject::Local(id) => ("local", id.as_str()),
        Subject::Remote(id) => ("remote", id.as_str()),
        Subject::Group(value) => ("group", value),
    }
}

/// A row; one without a number (0) gets the next.
pub(crate) fn work_args(row: &WorkRow) -> Vec<Arg> {
    let work = &row.work;
    let (kind, subject) = subject_columns(&work.subject);
    vec![
        if work.id.0 == 0 { Arg::Null } else { work.id.0.into() },
        work.pair.0.into(),
        kind.into(),
        subject.into(),
        work.generation.0.into(),
        row.taken.0.into(),
        work.look.into(),
        work.due.map(nanos).into(),
        row.not_before.map(nanos).into(),
        nanos(work.since).into(),
        Arg::from((!work.facts.is_empty()).then(|| json(&work.facts))),
        i64::from(work.attempts).into(),
        work.tried_since.map(nanos).into(),
        work.last_error.as_deref().into(),
        work.held.as_deref().into(),
        work.parked.as_ref().map(|p| p.reason.as_str()).into(),
        work.parked.as_ref().map(json).into(),
        work.pass.as_ref().map(json).into(),
        work.awaits.as_ref().map(Awaited::text).into(),
        work.changed.map(nanos).into(),
    ]
}

/// Reads a row of the columns of [`WORK`].
pub(crate) fn read_work(row: &Tuple) -> Result<WorkRow, StoreError> {
    let moment = |index: usize| Ok::<_, StoreError>(get::<Option<i64>>(row, index)?.map(time));
    let text: String = get(row, 3)?;
    let subject = match get::<&str>(row, 2)? {
        "local" => Subject::Local(text.into()),
        "remote" => Subject::Remote(text.into()),
        "group" => Subject::Group(text),
        _ => return Err(damaged("a work row's kind")),
    };
    let facts = match get::<Option<&str>>(row, 10)? {
        Some(text) => from_json(text, "a work row's facts")?,
        None => Vec::new(),
    };
    let parked = match get::<Option<&str>>(row, 16)? {
        Some(text) => Some(from_json(text, "parked work")?),
        None => None,
    };
    let pass = match get::<Option<&str>>(row, 17)? {
        Some(text) => Some(from_json(text, "a work row's pass")?),
        None => None,
    };
    let work = Work {
        id: WorkId(get(row, 0)?),
        pair: PairId(get(row, 1)?),
        subject,
        generation: Seq(get(row, 4)?),
        look: get(row, 6)?,
        due: moment(7)?,
        since: time(get(row, 9)?),
        facts,
        attempts: u32::try_from(get::<i64>(row, 11)?).unwrap_or(u32::MAX),
        tried_since: moment(12)?,
        last_error: get(row, 13)?,
        held: get(row, 14)?,
        parked,
        pass,
        awaits: get::<Option<&str>>(row, 18)?.and_then(Awaited::parse),
        changed: moment(19)?,
    };
    Ok(WorkRow { work, not_before: moment(8)?, taken: Seq(get(row, 5)?) })
}
