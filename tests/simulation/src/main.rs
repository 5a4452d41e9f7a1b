//! `tests/simulate`: runs seeds, on all cores, and says which of them broke a promise.

mod crashes;
mod planted;

use bothways_simulation::{Counters, Options, Outcome, simulate};
use clap::Parser;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A seed allocates millions of small things: a sixth of its time goes elsewhere with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    crashes: crashes::Crashes,
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
    if let Some(code) = arguments.crashes.run(threads, arguments.trace) {
        return code;
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
