//! `tests/simulate --crash-points`: kills at the points of the canonical flows, once or twice, and says how to replay what failed.

use bothways_simulation::{FLOWS, Flow, Outcome};
use clap::Args;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which crashes are tried.
#[derive(Debug, Args)]
pub(crate) struct Crashes {
    /// Instead of seeds: kill at every point of the canonical flows.
    #[arg(long)]
    crash_points: bool,
    /// With `--crash-points`: kill twice, at every pair of points so many apart.
    #[arg(long)]
    pairs: Option<u64>,
    /// With `--crash-points`: only the flow of this name, or those whose names begin so.
    #[arg(long)]
    flow: Option<String>,
    /// With `--crash-points`: only this point.
    #[arg(long)]
    point: Option<u64>,
    /// With `--crash-points`: kill the next process as well, at this point of its own.
    #[arg(long)]
    again: Option<u64>,
    /// With `--crash-points`: only with edits while the engine is down, or only without.
    #[arg(long)]
    edits: Option<bool>,
}

/// One crash: of a flow, at this point, with edits while down or not, and perhaps a second one.
#[derive(Clone, Copy, Debug)]
struct Crash {
    flow: &'static Flow,
    point: u64,
    edits: bool,
    again: Option<u64>,
}

impl Crash {
    /// The line that tries this crash alone, and tells what happens.
    fn replay(&self) -> String {
        let again = self.again.map(|again| format!(" --again {again}")).unwrap_or_default();
        format!(
            "tests/simulate --crash-points --flow '{}' --point {}{again} --edits {} --trace",
            self.flow.name, self.point, self.edits
        )
    }

    fn try_it(&self, trace: bool) -> Outcome {
        let tried = std::panic::catch_unwind(|| self.flow.crash(self.point, self.edits, self.again, trace));
        tried.unwrap_or_else(|_| Outcome {
            violations: vec!["the simulator panicked".to_owned()],
            ..Outcome::default()
        })
    }
}

impl Crashes {
    /// Tries the crashes that were asked for. `None` if none were.
    pub(crate) fn run(&self, threads: usize, trace: bool) -> Option<ExitCode> {
        if !self.crash_points {
            return None;
        }
        let mut crashes = Vec::new();
        let mut violations = 0;
        for flow in self.flows() {
            match flow.points() {
                Ok(points) => {
                    crate::say(&format!("{points:>5} points  {}", flow.name));
                    crashes.extend(self.of(flow, points));
                }
                Err(error) => {
                    crate::say(&error);
                    violations += 1;
                }
            }
        }
        let next = AtomicUsize::new(0);
        let found = Mutex::new((violations, 0_usize));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(crash) = crashes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = crash.try_it(trace);
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.0 += outcome.violations.len();
                        found.1 += 1;
                        if !outcome.violations.is_empty() {
                            crate::say(&format!("{} failed; replay: {}", crash.flow.name, crash.replay()));
                        }
                        for violation in &outcome.violations {
                            crate::say(&format!("    {violation}"));
                        }
                    }
                });
            }
        });
        let (violations, tried) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        crate::say(&format!("tried {tried} crashes, {violations} violations"));
        // Who asks for a point that no flow has any more is not told that all is well.
        Some(if violations > 0 || tried == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The flow of that name, else those whose names begin so; all if none was named.
    fn flows(&self) -> Vec<&'static Flow> {
        let Some(wanted) = &self.flow else { return FLOWS.iter().collect() };
        match FLOWS.iter().find(|flow| flow.name == wanted) {
            Some(flow) => vec![flow],
            None => FLOWS.iter().filter(|flow| flow.name.starts_with(wanted.as_str())).collect(),
        }
    }

    /// The crashes of a flow that has so many points.
    fn of(&self, flow: &'static Flow, points: u64) -> Vec<Crash> {
        let seconds: Vec<Option<u64>> = match (self.again, self.pairs) {
            (Some(again), _) => vec![Some(again)],
            (None, Some(step)) => {
                (1..=points).step_by(usize::try_from(step).unwrap_or(1).max(1)).map(Some).collect()
            }
            (None, None) => vec![None],
        };
        let chosen = (1..=points).filter(|point| self.point.is_none_or(|only| only == *point));
        let edits = [false, true].into_iter().filter(|edits| self.edits.is_none_or(|only| only == *edits));
        let both: Vec<bool> = edits.collect();
        let mut crashes = Vec::new();
        for point in chosen {
            for again in &seconds {
                crashes.extend(both.iter().map(|edits| Crash { flow, point, edits: *edits, again: *again }));
            }
        }
        crashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;
    use clap::Parser;

    /// The words of a line as a shell takes them.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in line.split('\'').enumerate() {
            match number % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    #[test]
    fn the_line_of_a_crash_replays_that_crash_alone() {
        const POINTS: u64 = 9;
        for flow in FLOWS {
            for (edits, again) in [(false, None), (true, None), (false, Some(4)), (true, Some(9))] {
                let crash = Crash { flow, point: 3, edits, again };
                let asked =
                    Arguments::try_parse_from(words(&crash.replay())).map_err(|error| error.to_string());
                let asked = asked.unwrap_or_else(|error| panic!("{error}"));
                assert!(asked.trace && asked.crashes.crash_points);
                let flows = asked.crashes.flows();
                let tried: Vec<Crash> =
                    flows.iter().flat_map(|flow| asked.crashes.of(flow, POINTS)).collect();
                let lines: Vec<String> = tried.iter().map(Crash::replay).collect();
                assert_eq!(lines, [crash.replay()]);
            }
        }
    }
}
