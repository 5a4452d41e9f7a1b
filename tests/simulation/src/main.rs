//! `tests/simulate`: runs seeds, on all cores, and says which of them broke a promise.

mod planted;

use bothways_simulation::{Counters, FLOWS, Flow, Options, Outcome, simulate};
use clap::Parser;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs the engine under simulation.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// So many workers in every seed; else 1 to 4, as the seed says.
    #[arg(long)]
    workers: Option<usize>,
    /// On SQLite (or not) in every seed; else in 1 of 100.
    #[arg(long)]
    sqlite: Option<bool>,
    /// Instead of seeds: kill at every point of the canonical flows.
    #[arg(long)]
    crash_points: bool,
    /// With `--crash-points`: kill twice, at every pair of points so many apart.
    #[arg(long)]
    pairs: Option<u64>,
    /// With `--crash-points`: only the flow whose name begins so.
    #[arg(long)]
    flow: Option<String>,
    /// With `--crash-points`: only this point.
    #[arg(long)]
    point: Option<u64>,
    /// Every seed twice, which must be the same run; else 1 of 100.
    #[arg(long)]
    twice: bool,
    /// Tell what happens.
    #[arg(long)]
    trace: bool,
    /// Threads; as many as there are cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Begin no further seed after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    #[command(flatten)]
    planted: planted::Planted,
}

/// What all threads add to.
#[derive(Default)]
struct Tally {
    counters: Counters,
    seeds: u64,
    steps: u64,
    failed: Vec<(u64, Vec<String>)>,
}

#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.trace {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .without_time()
            .with_target(false)
            .init();
    } else {
        // A panic is caught where it happens and told as a violation.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let threads = match (arguments.trace, arguments.threads) {
        (true, _) => 1,
        (_, Some(threads)) => threads.max(1),
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    if arguments.crash_points {
        return crash_points(&arguments, threads);
    }
    let options = Options { workers: arguments.workers, sqlite: arguments.sqlite, trace: arguments.trace };
    if let Some(code) = arguments.planted.run(options, threads, guarded) {
        return code;
    }
    let tally = Mutex::new(Tally::default());
    let next = AtomicU64::new(arguments.from);
    let end = Instant::now() + Duration::from_secs(arguments.seconds.unwrap_or(u64::from(u32::MAX)));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&arguments, &next, end, &tally));
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    conclude(&arguments, &mut tally)
}

fn work(arguments: &Arguments, next: &AtomicU64, end: Instant, tally: &Mutex<Tally>) {
    let options = Options { workers: arguments.workers, sqlite: arguments.sqlite, trace: arguments.trace };
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= arguments.from.saturating_add(arguments.seeds) || Instant::now() >= end {
            return;
        }
        let outcome = run(seed, options, arguments.twice);
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.seeds += 1;
        tally.steps += outcome.steps;
        tally.counters.merge(&outcome.counters);
        if !outcome.violations.is_empty() {
            say(&format!(
                "seed {seed} failed; replay: tests/simulate --from {seed} --seeds 1 --trace{}",
                replay(arguments)
            ));
            for violation in &outcome.violations {
                say(&format!("    {violation}"));
            }
            tally.failed.push((seed, outcome.violations));
        }
    }
}

/// One seed; some of them twice, which must be the same.
fn run(seed: u64, options: Options, twice: bool) -> Outcome {
    let mut outcome = guarded(seed, options);
    if (twice || seed % 100 == 7) && !options.trace {
        let again = guarded(seed, options);
        if again.trace_hash != outcome.trace_hash {
            outcome.violations.push(format!(
                "the same seed ran differently: {:016x} and {:016x}",
                outcome.trace_hash, again.trace_hash
            ));
        }
    }
    outcome
}

fn guarded(seed: u64, options: Options) -> Outcome {
    std::panic::catch_unwind(|| simulate(seed, options)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = format!("the simulator panicked: {}", words.unwrap_or_default());
        Outcome { violations: vec![violation], ..Outcome::default() }
    })
}

fn replay(arguments: &Arguments) -> String {
    let workers = arguments.workers.map(|n| format!(" --workers {n}")).unwrap_or_default();
    let sqlite = arguments.sqlite.map(|yes| format!(" --sqlite {yes}")).unwrap_or_default();
    workers + &sqlite
}

fn conclude(arguments: &Arguments, tally: &mut Tally) -> ExitCode {
    for (kind, times) in tally.counters.iter() {
        say(&format!("{times:>10}  {kind}"));
    }
    let mut violations: u64 = tally.failed.iter().map(|(_, all)| all.len() as u64).sum();
    let silent = tally.counters.silent();
    if tally.seeds >= 2_000 && !silent.is_empty() && arguments.workers.is_none() {
        say(&format!("never fired: {}", silent.join(", ")));
        violations += silent.len() as u64;
    }
    tally.failed.sort();
    if !tally.failed.is_empty() {
        let seeds: Vec<String> = tally.failed.iter().map(|(seed, _)| seed.to_string()).collect();
        say(&format!("failed seeds: {}", seeds.join(" ")));
    }
    say(&format!("{} steps", tally.steps));
    say(&format!("simulated {} seeds, {violations} violations", tally.seeds));
    if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// One crash to be tried: at this point, with edits while down or not, and a second one.
type Crash<'f> = (&'f Flow, u64, bool, Option<u64>);

fn crash_points(arguments: &Arguments, threads: usize) -> ExitCode {
    let mut crashes: Vec<Crash<'_>> = Vec::new();
    let mut violations = 0;
    for flow in FLOWS {
        if arguments.flow.as_ref().is_some_and(|wanted| !flow.name.starts_with(wanted.as_str())) {
            continue;
        }
        match flow.points() {
            Ok(points) => {
                say(&format!("{points:>5} points  {}", flow.name));
                let chosen = (1..=points).filter(|point| arguments.point.is_none_or(|only| only == *point));
                for point in chosen {
                    let seconds: Vec<Option<u64>> = match arguments.pairs {
                        Some(step) => (1..=points)
                            .step_by(usize::try_from(step).unwrap_or(1).max(1))
                            .map(Some)
                            .collect(),
                        None => vec![None],
                    };
                    for again in seconds {
                        crashes.extend([(flow, point, false, again), (flow, point, true, again)]);
                    }
                }
            }
            Err(error) => {
                say(&error);
                violations += 1;
            }
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new((violations, 0_usize));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((flow, point, edits, again)) = crashes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = std::panic::catch_unwind(|| flow.crash(*point, *edits, *again, arguments.trace));
                    let outcome = tried.unwrap_or_else(|_| Outcome {
                        violations: vec!["the simulator panicked".to_owned()],
                        ..Outcome::default()
                    });
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.1 += 1;
                    if outcome.violations.is_empty() {
                        continue;
                    }
                    found.0 += outcome.violations.len();
                    say(&format!(
                        "{} killed at point {point}{}{} failed; replay: tests/simulate --crash-points --flow '{}' --point {point} --trace",
                        flow.name,
                        if *edits { ", edited while down" } else { "" },
                        again.map(|again| format!(", killed again at {again}")).unwrap_or_default(),
                        flow.name,
                    ));
                    for violation in &outcome.violations {
                        say(&format!("    {violation}"));
                    }
                }
            });
        }
    });
    let (violations, tried) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    say(&format!("tried {tried} crashes, {violations} violations"));
    if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
