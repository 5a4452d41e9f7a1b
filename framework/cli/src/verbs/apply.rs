//! `apply`: carries a saved plan out. The file is checked whole first; then exactly its items are done, and what has changed since is
//! listed and left. A killed one is simply run again.

use crate::cli::Apply;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use crate::signals::Signals;
use anyhow::Context;
use bothways_engine::{ApplyItem, ApplyOutcome, ApplyReport};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader};

pub(super) async fn run(settings: &Settings, args: &Apply, out: Output) -> anyhow::Result<Ended> {
    let file = &args.file;
    File::open(file).with_context(|| format!("the plan file {}", file.display()))?;
    let pace = bothways_engine::Settings { readers: false, ..bothways_engine::Settings::default() };
    let signals = Signals::listen()?;
    let opened = Opened::open_to_work(settings, pace, |_| Ok(())).await?;
    let mut printed = Ok(());
    let mut open = || File::open(file).map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead + Send>);
    let by = person();
    let mut sink = |item| {
        if printed.is_ok() {
            printed = print(&item, out);
        }
    };
    let applied = tokio::select! {
        biased;
        applied = opened.operations.apply(None, &mut open, &by, &mut sink) => Some(applied),
        () = signals.end() => None,
    };
    printed?;
    let Some(applied) = applied else {
        talk("stopped on the way; applying the same file again goes on from here");
        return Ok(Ended::Waiting);
    };
    let report = applied?;
    if out.is_json() {
        out.json_line(&json!({ "applied": report }))?;
    } else {
        sum_up(&report);
    }
    Ok(Ended::waiting_if(report.stale + report.left + report.failed > 0))
}

fn print(item: &ApplyItem, out: Output) -> anyhow::Result<()> {
    if out.is_json() {
        return out.json_line(&json!({ "item": item }));
    }
    let sides = match (&item.local, &item.remote) {
        (Some(local), Some(remote)) => format!("{local} <-> {remote}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    };
    let word = match item.outcome {
        ApplyOutcome::Done => "done",
        ApplyOutcome::Already => "nothing left",
        ApplyOutcome::Stale => "stale",
        ApplyOutcome::Left => "for a person",
        ApplyOutcome::Failed => "failed",
    };
    let why = if item.why.is_empty() { String::new() } else { format!(": {}", item.why) };
    out.line(&format!("{word:<14} {} {sides}{why}", item.action.as_str()))
}

fn sum_up(report: &ApplyReport) {
    talk(format!(
        "{}: {} of {} done, {} needed nothing, {} stale, {} for a person, {} failed",
        report.mapping, report.done, report.items, report.already, report.stale, report.left, report.failed
    ));
    if report.stale > 0 {
        talk("what is stale was not done: something else would happen by now, and a new plan shows what");
    }
    if report.done > 0 {
        talk(format!("`bothways revert --pass {}` puts back what it wrote to rows", report.id));
    }
}
