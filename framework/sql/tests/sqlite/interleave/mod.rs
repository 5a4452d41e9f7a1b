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
    let queue = ["signal", "take two", "take all", "relay one", "relay all"];
    let leases = ["lease", "lease late", "release", "end leases", "sweep"];
    let closing = ["commit: finish", "commit: intent", "commit: failed", "commit: late", "commit: stale"];
    let is_in = |call: &Call| match part {
        "queue" => queue.contains(&call.name),
        "leases" => leases.contains(&call.name),
        "looks" => closing.contains(&call.name),
        "links" => call.name.starts_with("commit") && !closing.contains(&call.name),
        _ => !queue.contains(&call.name) && !leases.contains(&call.name) && !call.name.starts_with("commit"),
    };
    writing().into_iter().filter(is_in).collect()
}

#[test]
fn every_writing_call_is_in_one_part() {
    let all: usize =
        ["queue", "leases", "looks", "links", "rest"].map(|part| writing_in(part).len()).iter().sum();
    assert_eq!(all, writing().len());
}
