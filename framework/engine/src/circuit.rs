//! The circuit of a connection (rule 46): when most calls fail, nobody calls for a while, then one call tries. An outage parks nothing.
//! Pure: time is an argument, in whatever the clock port says.

use bothways_model::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;

/// Outcomes older than this say nothing about now.
const WINDOW: TimeDelta = TimeDelta::seconds(60);
/// Fewer calls than this prove nothing.
const CALLS: usize = 20;
/// So many of the latest are remembered.
const REMEMBERED: usize = 200;
/// How long nobody calls at first; doubled with each probe that fails, up to [`LONGEST`].
const FIRST: TimeDelta = TimeDelta::seconds(1);
/// The longest that nobody calls.
const LONGEST: TimeDelta = TimeDelta::seconds(30);
/// A probe whose end nobody reported is given up.
const PROBE: TimeDelta = TimeDelta::minutes(2);

/// What a call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Go ahead.
    Call,
    /// Go ahead: whether others may follow depends on this call.
    Probe,
    /// Not before this moment.
    Refused(Timestamp),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Closed,
    Open {
        since: Timestamp,
        until: Timestamp,
        wait: TimeDelta,
        failed: usize,
        of: usize,
    },
    Probing {
        since: Timestamp,
        began: Timestamp,
        wait: TimeDelta,
        failed: usize,
        of: usize,
    },
}

/// One connection's circuit.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    state: State,
    latest: VecDeque<(Timestamp, bool)>,
}

impl Circuit {
    /// Asks to call now.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Admission {
        match self.state {
            State::Closed => Admission::Call,
            State::Open { until, .. } if now < until => Admission::Refused(until),
            State::Probing { began, .. } if now < began + PROBE => Admission::Refused(now + FIRST),
            State::Open { since, wait, failed, of, .. } | State::Probing { since, wait, failed, of, .. } => {
                self.state = State::Probing { since, began: now, wait, failed, of };
                Admission::Probe
            }
        }
    }

    /// A call ended. `failed` means that the service is to blame: no answer, or a 5xx. Returns true if the circuit opened or closed.
    pub(crate) fn ended(&mut self, now: Timestamp, failed: bool) -> bool {
        match self.state {
            State::Closed => {
                self.latest.push_back((now, failed));
                while self.latest.front().is_some_and(|(at, _)| now - *at > WINDOW)
                    || self.latest.len() > REMEMBERED
                {
                    self.latest.pop_front();
                }
                let of = self.latest.len();
                let failures = self.latest.iter().filter(|(_, failed)| *failed).count();
                if !failed || of < CALLS || failures * 2 < of {
                    return false;
                }
                self.latest.clear();
                self.state =
                    State::Open { since: now, until: now + FIRST, wait: FIRST, failed: failures, of };
                true
            }
            // Whoever answers proves that the service is back, also a call that went out before.
            _ if !failed => {
                self.state = State::Closed;
                true
            }
            State::Probing { since, wait, failed, of, .. } => {
                let wait = (wait * 2).min(LONGEST);
                self.state = State::Open { since, until: now + wait, wait, failed, of };
                false
            }
            State::Open { .. } => false,
        }
    }

    /// Whether nobody may call, or only one to try.
    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// What `status` says of it, if it is open.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.state {
            State::Closed => None,
            State::Open { since, failed, of, .. } | State::Probing { since, failed, of, .. } => {
                Some(format!(
                    "{failed} of {of} calls within a minute failed: since {} one call at a time tries whether the service is back",
                    since.format("%Y-%m-%d %H:%M:%S")
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn half_of_twenty_open_it_and_fewer_do_not() {
        let mut circuit = Circuit::default();
        for n in 0..19 {
            assert!(!circuit.ended(at(n), true), "{n} calls prove nothing");
        }
        assert!(circuit.ended(at(19), true));
        let mut half = Circuit::default();
        for n in 0..20 {
            assert_eq!(half.ended(at(n), n % 2 == 1), n == 19, "{n}");
        }
        assert!(half.is_open());
        let mut few = Circuit::default();
        for n in 0..400 {
            few.ended(at(n), n % 3 == 0);
        }
        assert!(!few.is_open(), "a third is no outage");
    }

    #[test]
    fn old_failures_say_nothing() {
        let mut circuit = Circuit::default();
        for n in 0..100 {
            circuit.ended(at(n * 4_000), true);
        }
        assert!(!circuit.is_open());
    }

    #[test]
    fn one_call_at_a_time_tries_and_waits_grow() {
        let mut circuit = Circuit::default();
        (0..20).for_each(|_| {
            circuit.ended(at(0), true);
        });
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let Admission::Refused(until) = circuit.admit(now) else { panic!("open") };
            waits.push((until - now).num_seconds());
            now = until;
            assert_eq!(circuit.admit(now), Admission::Probe);
            assert!(matches!(circuit.admit(now), Admission::Refused(_)), "only one");
            circuit.ended(now, true);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert!(circuit.trouble().is_some_and(|text| text.starts_with("20 of 20 calls")));
        let Admission::Refused(until) = circuit.admit(now) else { panic!("open") };
        assert_eq!(circuit.admit(until), Admission::Probe);
        assert!(circuit.ended(until, false));
        assert_eq!(circuit.admit(until), Admission::Call);
        assert_eq!(circuit.trouble(), None);
        assert!(!circuit.ended(until, true), "the count begins anew");
    }

    #[test]
    fn a_probe_that_nobody_reports_on_is_given_up() {
        let mut circuit = Circuit::default();
        (0..20).for_each(|_| {
            circuit.ended(at(0), true);
        });
        assert_eq!(circuit.admit(at(1_000)), Admission::Probe);
        assert!(matches!(circuit.admit(at(120_999)), Admission::Refused(_)));
        assert_eq!(circuit.admit(at(121_000)), Admission::Probe);
    }
}
