//! How many calls a connection may make in a day (rule 47).
//!
//! Two counts, and both must have room: our own of the last 24 hours, also by processes before this one, whose calls the engine keeps and
//! tells again; and what the service last said, whoever called. What
//! it said is believed for a quarter of an hour beyond our calls since: then one call asks anew, so a day that has begun is noticed.
//!
//! Our own calls are counted by the hour, and an hour is forgotten a day after it ended: of some calls the count knows up to an hour
//! too long, of none too briefly.

use bothways_connector::{Limits, Usage, UsedHeader};
use bothways_engine::{HourOfCalls, Purpose, Quota};
use bothways_model::{Response, Timestamp};
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// An hour's calls count until a day after the last of them.
const COUNTS: Duration = DAY.saturating_add(HOUR);

/// How long what the service said is believed.
const BELIEVED: Duration = Duration::from_secs(900);

/// The budget of one connection.
#[derive(Debug)]
pub(crate) struct Budget {
    daily: Option<u64>,
    header: Option<UsedHeader>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The hours of processes before this one: until when their calls count, and how many they were.
    earlier: Vec<(Instant, u64)>,
    /// When an hour began, and the calls in it; the newest last.
    hours: VecDeque<(Instant, u64)>,
    told: Option<Told>,
}

/// What the service said.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    used: u64,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { daily: limits.daily, header: limits.used.clone(), state: Mutex::default() }
    }

    /// Whether a call for this purpose may go out now.
    pub(crate) fn has_room(&self, now: Instant, purpose: Purpose) -> bool {
        self.quotas(now).into_iter().flatten().all(|quota| quota.has_room(purpose))
    }

    /// The count that is nearer to its limit.
    pub(crate) fn quota(&self, now: Instant) -> Option<Quota> {
        let used = |quota: &Quota| u128::from(quota.used) * 1_000_000 / u128::from(quota.limit.max(1));
        self.quotas(now).into_iter().flatten().max_by_key(used)
    }

    /// Our own count and the service's, where there are any.
    fn quotas(&self, now: Instant) -> [Option<Quota>; 2] {
        if self.daily.is_none() && self.header.is_none() {
            return [None; 2];
        }
        let state = self.lock();
        let own = state.hours.iter().filter(|(began, _)| now - *began < COUNTS).map(|(_, calls)| calls);
        let earlier = state.earlier.iter().filter(|(until, _)| now < *until).map(|(_, calls)| calls);
        let own = own.chain(earlier).fold(0, |sum: u64, calls| sum.saturating_add(*calls));
        let told = state.told.filter(|told| now - told.at < BELIEVED);
        [
            self.daily.map(|limit| Quota { used: own, limit }),
            told.map(|told| Quota { used: told.used, limit: told.limit }),
        ]
    }

    /// A call goes out.
    pub(crate) fn count(&self, now: Instant) {
        if self.daily.is_none() && self.header.is_none() {
            return;
        }
        let mut state = self.lock();
        while state.hours.front().is_some_and(|(began, _)| now - *began >= COUNTS) {
            state.hours.pop_front();
        }
        match state.hours.back_mut() {
            Some((began, calls)) if now - *began < HOUR => *calls += 1,
            _ => state.hours.push_back((now, 1)),
        }
        if let Some(told) = &mut state.told {
            told.used = told.used.saturating_add(1);
        }
    }

    /// The calls that count at `now`, which is `clock` on the clock, oldest first.
    pub(crate) fn calls(&self, now: Instant, clock: Timestamp) -> Vec<HourOfCalls> {
        if self.daily.is_none() {
            return Vec::new();
        }
        let state = self.lock();
        let before = |ago: Duration| clock - TimeDelta::from_std(ago).unwrap_or_default();
        let earlier = state.earlier.iter().filter(|(until, _)| now < *until);
        let earlier = earlier.map(|(until, calls)| (before(COUNTS.saturating_sub(*until - now)), *calls));
        let own = state.hours.iter().filter(|(began, _)| now - *began < COUNTS);
        let own = own.map(|(began, calls)| (before(now - *began), *calls));
        earlier.chain(own).map(|(began, calls)| HourOfCalls { began, calls }).collect()
    }

    /// Counts the calls of processes before this one as well. What a clock that was set back dates into the future counts from now.
    pub(crate) fn recall(&self, now: Instant, clock: Timestamp, calls: &[HourOfCalls]) {
        let earlier = calls.iter().filter_map(|hour| {
            let left = COUNTS.checked_sub((clock - hour.began).to_std().unwrap_or_default())?;
            Some((now + left, hour.calls))
        });
        self.lock().earlier.extend(earlier);
    }

    /// Takes note of what an answer says.
    pub(crate) fn note(&self, now: Instant, answer: &Response) {
        let Some(usage) = self.header.as_ref().and_then(|header| header.read(answer)) else { return };
        let Usage { used, left, limit } = usage;
        let Some(limit) = limit.or(self.daily) else { return };
        let Some(used) = used.or(left.map(|left| limit.saturating_sub(left))) else { return };
        self.lock().told = Some(Told { at: now, used, limit });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic cannot leave these numbers half-written.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_connector::UsedPart;
    use serde_json::json;

    const ALL: [Purpose; 4] = [Purpose::Live, Purpose::Told, Purpose::Background, Purpose::Reconcile];

    fn budget(daily: Option<u64>, format: Option<Vec<UsedPart>>) -> Budget {
        let header = format.map(|format| UsedHeader { header: "x-used".into(), format });
        Budget { daily, header, state: Mutex::default() }
    }

    fn room(budget: &Budget, now: Instant) -> [bool; 4] {
        ALL.map(|purpose| budget.has_room(now, purpose))
    }

    #[test]
    fn bulk_stops_first_then_what_was_told_then_everything() {
        let budget = budget(Some(100), None);
        let now = Instant::now();
        for used in 0..100 {
            assert_eq!(room(&budget, now), [used < 95, used < 90, used < 80, used < 80], "{used}");
            budget.count(now);
        }
        assert_eq!(room(&budget, now + DAY - HOUR), [false; 4]);
        assert_eq!(room(&budget, now + DAY + HOUR), [true; 4]);
    }

    #[test]
    fn no_call_is_forgotten_within_a_day() {
        let budget = budget(Some(100), None);
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        budget.count(now);
        let last = now + HOUR - minute;
        for _ in 0..99 {
            budget.count(last);
        }
        assert_eq!(room(&budget, last + DAY - minute), [false; 4], "they are of the last 24 hours");
        budget.count(last + DAY - minute);
        assert_eq!(room(&budget, last + DAY - minute), [false; 4], "also once a new hour has begun");
        assert_eq!(room(&budget, now + DAY + HOUR), [true; 4]);
    }

    #[test]
    fn what_the_service_says_counts_whoever_called() {
        let salesforce = vec![UsedPart::Used, UsedPart::Text("/".into()), UsedPart::Limit];
        let budget = budget(Some(1_000_000), Some(salesforce));
        let now = Instant::now();
        let said = |value: &str| Response::json(200, &json!({})).with_header("X-Used", value);
        assert_eq!(room(&budget, now), [true; 4]);
        budget.note(now, &said("899/1000"));
        assert_eq!(room(&budget, now), [true, true, false, false]);
        budget.count(now);
        assert_eq!(room(&budget, now), [true, false, false, false], "our own calls since are added");
        budget.note(now, &said("960/1000"));
        assert_eq!(room(&budget, now), [false; 4]);
        budget.note(now, &said("nonsense"));
        assert_eq!(room(&budget, now), [false; 4]);
        assert_eq!(room(&budget, now + BELIEVED), [true; 4], "after a while somebody asks anew");
    }

    #[test]
    fn what_is_left_is_measured_by_the_days_calls() {
        let budget = budget(Some(500), Some(vec![UsedPart::Left]));
        let now = Instant::now();
        budget.note(now, &Response::json(200, &json!({})).with_header("x-used", "90"));
        assert_eq!(room(&budget, now), [true, true, false, false]);
    }

    #[test]
    fn a_restart_forgets_no_call_of_the_day() {
        let (before, after) = (budget(Some(100), None), budget(Some(100), None));
        let (now, clock) = (Instant::now(), Timestamp::UNIX_EPOCH + TimeDelta::days(20_000));
        (0..60).for_each(|_| before.count(now));
        (0..30).for_each(|_| before.count(now + HOUR * 5));
        let kept = before.calls(now + HOUR * 6, clock + TimeDelta::hours(6));
        assert_eq!(kept.iter().map(|hour| hour.calls).collect::<Vec<_>>(), [60, 30]);

        // Two hours later, in a process whose clock of its own began at another time.
        let begun = now + HOUR;
        after.recall(begun, clock + TimeDelta::hours(8), &kept);
        assert_eq!(room(&after, begun), [true, false, false, false], "90 of 100");
        (0..5).for_each(|_| after.count(begun));
        assert_eq!(room(&after, begun), [false; 4]);
        let again = after.calls(begun, clock + TimeDelta::hours(8));
        assert_eq!(
            again,
            [&kept[..], &[HourOfCalls { began: clock + TimeDelta::hours(8), calls: 5 }]].concat()
        );
        assert_eq!(
            room(&after, begun + HOUR * 16),
            [false; 4],
            "the first are 24 hours old, and of an hour's calls"
        );
        assert_eq!(room(&after, begun + HOUR * 17), [true; 4], "they are of the day before");
        let later = after.calls(begun + HOUR * 17, clock + TimeDelta::hours(25));
        assert_eq!(later.iter().map(|hour| hour.calls).collect::<Vec<_>>(), [30, 5]);
        let unlimited = budget(None, None);
        unlimited.count(begun);
        assert!(unlimited.calls(begun, clock).is_empty());
    }

    #[test]
    fn what_is_shown_is_the_count_nearer_to_its_limit() {
        let salesforce = vec![UsedPart::Used, UsedPart::Text("/".into()), UsedPart::Limit];
        let budget = budget(Some(10), Some(salesforce));
        let now = Instant::now();
        budget.count(now);
        assert_eq!(budget.quota(now), Some(Quota { used: 1, limit: 10 }));
        budget.note(now, &Response::json(200, &json!({})).with_header("x-used", "850/1000"));
        let shown = budget.quota(now).unwrap();
        assert_eq!(shown, Quota { used: 850, limit: 1000 });
        assert_eq!(shown.to_string(), "850 of the day's 1000 calls are used: reading in bulk has stopped");
    }

    #[test]
    fn without_a_daily_limit_nothing_is_counted() {
        let budget = budget(None, None);
        let now = Instant::now();
        assert_eq!(budget.quota(now), None);
        budget.count(now);
        assert_eq!(room(&budget, now), [true; 4]);
        assert!(budget.lock().hours.is_empty());
    }
}
