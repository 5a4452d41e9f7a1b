//! The yardstick: what a person would write by hand for one table and one service, and the stand-in both programs talk to.
//!
//! Every subcommand prints one JSON object a line on stdout. Rates only mean something as ratios within one run on one machine.

mod backfill;
mod latency;
mod load;
mod measure;
mod outward;
mod receiver;
mod signature;
mod table;
mod vendor;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The hand-written program that Bothways is measured against")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a Stripe of N customers without latency or limits.
    Vendor(vendor::Options),
    /// Copy all customers into SQLite.
    Backfill(backfill::Options),
    /// Send an outbox of changes.
    Outward(outward::Options),
    /// Receive webhooks: verify, deduplicate, store, then answer.
    Receive(receiver::Options),
    /// Send freshly signed webhooks to any receiver.
    Load(load::Options),
    /// Time from a local change to the first call about it.
    Latency(latency::Options),
    /// Run another program and report its time, CPU and peak memory.
    Measure(measure::Options),
    /// Report a running process's CPU and peak memory.
    Usage(measure::UsageOptions),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match Arguments::parse().command {
            Command::Vendor(options) => vendor::run(options).await,
            Command::Backfill(options) => backfill::run(options).await,
            Command::Outward(options) => outward::run(options).await,
            Command::Receive(options) => receiver::run(options).await,
            Command::Load(options) => load::run(options).await,
            Command::Latency(options) => latency::run(options).await,
            Command::Measure(options) => measure::run(options),
            Command::Usage(options) => measure::usage(options),
        }
    })
}
