//! The flap guard (rule 19): a field that engine writes carry back and forth, each undoing the one before, is parked instead of
//! being carried a fifth time.
//!
//! A user who changes their mind causes writes in one direction only; a loop (two systems that each insist) causes writes in turn.
//! So what counts is a write that goes the other way than the one before and brings back an earlier value.

use bothways_mapping::Field;
use bothways_model::planted::{self, Bug};
use bothways_model::{Timestamp, Value};
use bothways_store::{RecentWrite, Side};
use chrono::TimeDelta;

const WINDOW: TimeDelta = TimeDelta::minutes(10);
const ALTERNATIONS: usize = 3;
/// Writes remembered per field; enough to count [`ALTERNATIONS`].
const REMEMBERED: usize = 8;

/// Whether one more write of `value` to `side` would exceed the allowed alternations.
pub(crate) fn would_flap(
    recent: &[RecentWrite],
    field: &Field,
    side: Side,
    value: &Value,
    now: Timestamp,
) -> bool {
    let next = RecentWrite { field: field.label.clone(), side, value: value.clone(), at: now };
    let writes: Vec<&RecentWrite> =
        recent.iter().filter(|w| w.field == field.label && now - w.at < WINDOW).chain([&next]).collect();
    alternations(&writes) > ALTERNATIONS && !planted::is(Bug::FlapGuardOff)
}

fn alternations(writes: &[&RecentWrite]) -> usize {
    writes
        .windows(2)
        .enumerate()
        .filter(|(index, pair)| {
            let (before, this) = (pair[0], pair[1]);
            let earlier = &writes[..*index];
            before.side != this.side
                && before.value != this.value
                && earlier.iter().any(|w| w.value == this.value)
        })
        .count()
}

/// Remembers a write.
pub(crate) fn remember(
    recent: &mut Vec<RecentWrite>,
    label: &str,
    side: Side,
    value: &Value,
    now: Timestamp,
) {
    recent.retain(|w| now - w.at < WINDOW);
    recent.push(RecentWrite { field: label.to_owned(), side, value: value.clone(), at: now });
    let of_field = recent.iter().filter(|w| w.field == label).count();
    if of_field > REMEMBERED
        && let Some(oldest) = recent.iter().position(|w| w.field == label)
    {
        recent.remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(side: Side, value: &str) -> RecentWrite {
        RecentWrite {
            field: "name".into(),
            side,
            value: Value::Text(value.into()),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn count(writes: &[RecentWrite]) -> usize {
        alternations(&writes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_user_who_changes_their_mind_is_no_flap() {
        let writes: Vec<_> = ["a", "b", "a", "b", "a", "b"].map(|v| write(Side::Remote, v)).into();
        assert_eq!(count(&writes), 0);
    }

    #[test]
    fn two_systems_that_insist_are() {
        let (l, r) = (Side::Local, Side::Remote);
        let writes = [(r, "b"), (l, "a"), (r, "b"), (l, "a"), (r, "b"), (l, "a")].map(|(s, v)| write(s, v));
        assert_eq!(count(&writes), 4);
        assert!(count(&writes[..5]) <= ALTERNATIONS);
    }
}
