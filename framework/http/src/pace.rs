//! How often one connection may call: an even rate with bursts, and pauses that the service asked for.
//!
//! The rate is a generic cell rate algorithm that hands out *reservations*: each call learns at once when its turn is, so callers
//! queue in order and nobody polls.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Turns that are nearer than this are taken at once: a timer cannot wait so briefly, and the debt is carried on.
const TIMER: Duration = Duration::from_millis(1);

/// What a 429 without `Retry-After` costs; doubled with each further one in a row, up to [`LONGEST`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause of a whole connection. A service may ask for more: then what met the refusal waits for as long as it says, and
/// the rest tries again after this.
const LONGEST: Duration = Duration::from_secs(300);

/// The longest pause that we choose ourselves.
const LONGEST_OWN: Duration = Duration::from_secs(30);

/// The pace of one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Time between two calls at the even rate.
    interval: Duration,
    /// How far ahead of the even rate calls may run.
    tolerance: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next call is due at the even rate.
    due: Option<Instant>,
    paused_until: Option<Instant>,
    /// Refusals in a row.
    refusals: u32,
}

impl Pace {
    /// `requests` per `per`, of which `burst` may go out at once.
    pub(crate) fn new(requests: u32, per: Duration, burst: u32) -> Self {
        let interval = per / requests.max(1);
        Self { interval, tolerance: interval * burst.saturating_sub(1), state: Mutex::default() }
    }

    /// Takes the next turn and says when it is; `None`: now.
    ///
    /// # Errors
    /// It comes after `by`, and no turn is taken.
    pub(crate) fn reserve(&self, now: Instant, by: Instant) -> Result<Option<Instant>, ()> {
        let mut state = self.lock();
        let from = state.paused_until.map_or(now, |until| until.max(now));
        let due = state.due.map_or(from, |due| due.max(from));
        // Early by at most the tolerance: that is what a burst is.
        let turn = due.checked_sub(self.tolerance).map_or(from, |turn| turn.max(from));
        if turn > by.max(now) {
            return Err(());
        }
        state.due = Some(due + self.interval);
        Ok((turn.saturating_duration_since(now) >= TIMER).then_some(turn))
    }

    /// The service refused a call (429, or 503 with `Retry-After`): nobody calls for a while.
    pub(crate) fn refused(&self, now: Instant, retry_after: Option<Duration>) {
        let mut state = self.lock();
        let own = FIRST_PAUSE.saturating_mul(1 << state.refusals.min(10)).min(LONGEST_OWN);
        let until = now + retry_after.unwrap_or(own).min(LONGEST);
        state.refusals = state.refusals.saturating_add(1);
        state.paused_until = Some(state.paused_until.map_or(until, |old| old.max(until)));
    }

    /// The service accepted a call.
    pub(crate) fn accepted(&self) {
        self.lock().refusals = 0;
    }

    /// Until when nobody calls, if that is after `now`.
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.lock().paused_until.filter(|until| *until > now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic cannot leave these numbers half-written.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// The next turn of somebody who waits however long.
    fn turn(pace: &Pace, now: Instant) -> Option<Instant> {
        pace.reserve(now, now + SECOND * 3600).unwrap()
    }

    #[test]
    fn a_burst_goes_out_and_then_the_even_rate_holds() {
        let pace = Pace::new(10, SECOND, 3);
        let now = Instant::now();
        let turns: Vec<_> = (0..6).map(|_| turn(&pace, now).map_or(ms(0), |turn| turn - now)).collect();
        assert_eq!(turns, [ms(0), ms(0), ms(0), ms(100), ms(200), ms(300)]);
        // After a rest the burst is there again, and not more of it.
        let later = now + SECOND * 10;
        let free = (0..6).filter(|_| turn(&pace, later).is_none()).count();
        assert_eq!(free, 3);
    }

    #[test]
    fn very_high_rates_do_not_wait_for_timers_but_hold_on_average() {
        let pace = Pace::new(20_000, SECOND, 1);
        let now = Instant::now();
        let last = (0..20_000).filter_map(|_| turn(&pace, now)).max().unwrap() - now;
        assert!(last > ms(990) && last <= ms(1000), "{last:?}");
        assert_eq!(turn(&Pace::new(20_000, SECOND, 1), now), None);
    }

    #[test]
    fn a_pause_holds_everybody_and_the_burst_is_not_doubled_after_it() {
        let pace = Pace::new(10, SECOND, 2);
        let now = Instant::now();
        pace.refused(now, Some(SECOND * 2));
        let turns: Vec<_> = (0..4).map(|_| turn(&pace, now).unwrap() - now).collect();
        assert_eq!(turns, [ms(2000), ms(2000), ms(2100), ms(2200)]);
        assert_eq!(pace.paused_until(now), Some(now + SECOND * 2));
        assert_eq!(pace.paused_until(now + SECOND * 2), None);
    }

    #[test]
    fn a_turn_that_comes_too_late_is_not_taken() {
        let pace = Pace::new(6, SECOND * 60, 1);
        let now = Instant::now();
        let by = now + SECOND * 15;
        assert_eq!(pace.reserve(now, by), Ok(None));
        assert_eq!(pace.reserve(now, by), Ok(Some(now + SECOND * 10)));
        assert_eq!(pace.reserve(now, by), Err(()));
        let later = now + SECOND * 5;
        assert_eq!(pace.reserve(later, later + SECOND * 15), Ok(Some(now + SECOND * 20)));
        // Nor one after a pause that lasts too long.
        pace.refused(later, Some(SECOND * 60));
        assert_eq!(pace.reserve(later, later + SECOND * 59), Err(()));
    }

    #[test]
    fn pauses_grow_until_a_call_is_accepted() {
        let pace = Pace::new(10, SECOND, 1);
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pace.refused(now, None);
            pauses.push(pace.paused_until(now).unwrap() - now);
            now += LONGEST;
        }
        assert_eq!(pauses[..4], [ms(250), ms(500), ms(1000), ms(2000)]);
        assert_eq!(pauses[8], LONGEST_OWN);
        pace.accepted();
        pace.refused(now, None);
        assert_eq!(pace.paused_until(now).unwrap() - now, ms(250));
        // A shorter wish does not shorten a longer pause; an absurd one is capped.
        pace.refused(now, Some(SECOND * 60));
        pace.refused(now, Some(SECOND));
        assert_eq!(pace.paused_until(now).unwrap() - now, SECOND * 60);
        pace.refused(now, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(pace.paused_until(now).unwrap() - now, LONGEST);
    }
}
