//! Rates, percentiles, and what a process used according to the operating system.

use anyhow::Context;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A name for the line that is printed.
    #[arg(long, default_value = "measure")]
    what: String,
    /// The program and its arguments; its stdout is shown on stderr.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct UsageOptions {
    pid: u32,
}

/// Prints a rate, with this process's own peak memory.
pub(crate) fn report(what: &str, records: u64, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    let mut line = json!({ "what": what, "records": records, "seconds": seconds, "per_second": records as f64 / seconds });
    if let Some(usage) = used(std::process::id()) {
        line["peak_rss_mib"] = usage.peak_rss_mib.into();
        line["cpu_seconds"] = usage.cpu_seconds.into();
    }
    println!("{line}");
}

/// Adds the median, the 99th percentile and the maximum, in milliseconds.
pub(crate) fn add_percentiles(line: &mut Value, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len().saturating_sub(1)) as f64 * share).round() as usize;
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    line["p50_ms"] = at(0.5).into();
    line["p99_ms"] = at(0.99).into();
    line["max_ms"] = at(1.0).into();
}

/// Runs a program to its end.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let (program, arguments) = options.command.split_first().context("no program")?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let mut last = Usage::default();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // The peak is kept by the system; looking often only narrows what the last moments may have added.
        last = used(child.id()).unwrap_or(last);
        std::thread::sleep(Duration::from_millis(5));
    };
    let line = json!({
        "what": options.what,
        "seconds": started.elapsed().as_secs_f64(),
        "cpu_seconds": last.cpu_seconds,
        "peak_rss_mib": last.peak_rss_mib,
        "success": status.success(),
    });
    println!("{line}");
    anyhow::ensure!(status.success(), "{program} failed: {status}");
    Ok(())
}

/// Reports a process that goes on running.
pub(crate) fn usage(options: UsageOptions) -> anyhow::Result<()> {
    let usage = used(options.pid).with_context(|| format!("there is no process {}", options.pid))?;
    println!(
        "{}",
        json!({ "what": "usage", "cpu_seconds": usage.cpu_seconds, "peak_rss_mib": usage.peak_rss_mib })
    );
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Usage {
    cpu_seconds: f64,
    peak_rss_mib: f64,
}

/// Reads /proc; nothing if the process is gone.
fn used(pid: u32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().trim_end_matches("kB").trim().parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything; times are the 14th and 15th.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    // Linux reports times in hundredths of a second on every architecture.
    Some(Usage { cpu_seconds: ticks / 100.0, peak_rss_mib: kib / 1_024.0 })
}
