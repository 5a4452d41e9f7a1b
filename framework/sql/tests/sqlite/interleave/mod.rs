//! Two at once, statement by statement: see `bothways_store::contract::interleave`.

mod calls;
mod foreign;
mod model;
mod stage;

use bothways_store::contract::interleave::{Call, writing};

/// The number of interleavings is part of the proof.
#[allow(clippy::print_stdout, reason = "read by whoever publishes what was run")]
fn report(line: &str) {
    println!("{line}");
}

/// The writing calls of one part, so that parts can run beside each other.
fn writing_in(part: &str) -> Vec<Call> {
    let queue = [
        "signal",
        "take two",
        "take all",
        "relay one",
        "relay all",
        "lease",
        "lease late",
        "release",
        "end leases",
        "sweep",
    ];
    let is_in = |call: &Call| match part {
        "queue" => queue.contains(&call.name),
        "commits" => call.name.starts_with("commit"),
        _ => !queue.contains(&call.name) && !call.name.starts_with("commit"),
    };
    writing().into_iter().filter(is_in).collect()
}
