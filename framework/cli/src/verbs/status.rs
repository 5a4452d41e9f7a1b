//! `status`: how every mapping stands, and whether this installation can do all of its work.

use crate::opened::Opened;
use crate::output::{Ended, Output, moment, moment_of, talk};
use crate::settings::Settings;
use bothways_engine::PairStatus;
use serde_json::json;
use std::collections::BTreeMap;

pub(super) async fn run(settings: &Settings, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let pairs = opened.operations.status().await?;
    let brakes = opened.operations.brakes().await?;
    let unready = opened.operations.unready().await?;
    let left_out: Vec<String> = opened.connections.left_out.iter().map(|one| one.line()).collect();
    if out.is_json() {
        out.json(&json!({ "mappings": pairs, "brakes": brakes, "unready": unready, "left_out": left_out }))?;
    } else {
        let rows = pairs.iter().map(|pair| {
            [
                pair.mapping.clone(),
                format!("{} <-> {}/{}", pair.catalog, pair.connection, pair.resource),
                stands(pair),
                total(&pair.counts.links),
                pair.counts.conflicts.to_string(),
                total(&pair.counts.parked),
                waiting(pair),
                pair.passed_at.as_deref().map_or_else(|| "never".into(), moment_of),
            ]
        });
        let header = [
            "mapping",
            "between",
            "stands",
            "links",
            "conflicts",
            "parked",
            "under way",
            "last full pass (UTC)",
        ];
        out.table(header, rows.collect())?;
        for pair in &pairs {
            details(pair);
        }
        for brake in &brakes {
            let (id, what) = (&brake.id, super::brakes::what(brake));
            let (mapping, withheld) = (&brake.mapping, brake.withheld);
            talk(format!(
                "{mapping}: the brake on {what} withholds {withheld}: {}. See `bothways brakes {id}`",
                brake.why
            ));
        }
        for line in left_out.iter().chain(&unready) {
            talk(line);
        }
    }
    let waits = pairs.iter().any(|pair| {
        pair.paused.is_some()
            || pair.blocked.is_some()
            || !pair.trouble.is_empty()
            || !pair.approval_is_current
            || pair.counts.conflicts > 0
            || !pair.counts.parked.is_empty()
            || pair.drift.as_ref().is_some_and(|drift| drift.alert)
    });
    Ok(Ended::waiting_if(waits || !brakes.is_empty() || !unready.is_empty()))
}

fn stands(pair: &PairStatus) -> String {
    let word = if pair.blocked.is_some() {
        "blocked"
    } else if pair.paused.is_some() {
        "paused"
    } else if pair.approved_by.is_none() {
        "observing"
    } else if pair.stopped.is_some() {
        "stopped"
    } else if !pair.approval_is_current {
        "changed"
    } else if pair.walked_at.is_none() {
        "first contact"
    } else {
        "syncing"
    };
    word.to_owned()
}

/// The sum, and its parts if there are several: `801 (800 linked, 1 detached)`.
fn total(counts: &BTreeMap<String, u64>) -> String {
    let sum: u64 = counts.values().sum();
    let parts: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    match parts.as_slice() {
        [] => "0".into(),
        [one] => one.clone(),
        many => format!("{sum} ({})", many.join(", ")),
    }
}

fn waiting(pair: &PairStatus) -> String {
    let counts = &pair.counts;
    let mut text = counts.pending.to_string();
    if counts.held > 0 {
        text.push_str(&format!(" ({} held back)", counts.held));
    }
    if let Some(oldest) = counts.oldest {
        text.push_str(&format!(", oldest {}", moment(oldest)));
    }
    text
}

/// What a person should know or do about a mapping.
fn details(pair: &PairStatus) {
    let name = &pair.mapping;
    if let Some(account) = &pair.account {
        talk(format!("{name}: {} account {account}", pair.mode));
    }
    if pair.approved_by.is_none() {
        talk(format!("{name}: only observes. See `bothways plan {name}`, then `bothways approve {name}`"));
    } else if !pair.approval_is_current {
        let going = match &pair.stopped {
            Some(why) => format!("stands still until the change is approved ({why})"),
            None => "goes on as it was approved until the change is".to_owned(),
        };
        talk(format!(
            "{name}: changed since its plan was approved; {going}. See `bothways plan {name}`, then \
             `bothways approve {name} --digest DIGEST`"
        ));
        for change in &pair.held {
            talk(format!("{name}: held: {change}"));
        }
    }
    if let Some(why) = &pair.paused {
        talk(format!("{name}: paused: {why}"));
    }
    if let Some(why) = &pair.blocked {
        talk(format!("{name}: {why}"));
    }
    match &pair.drift {
        Some(drift) if drift.alert => talk(format!(
            "{name}: the last full pass found {} records that differed and {} rows that were gone, and nothing had told of them \
             although events and triggers seem healthy: some are being lost",
            drift.drifted, drift.missing
        )),
        Some(drift) => talk(format!("{name}: last full pass: {drift}")),
        None => {}
    }
    if let Some(quota) = &pair.quota {
        talk(format!("{name}: {}: {quota}", pair.connection));
    }
    for trouble in &pair.trouble {
        talk(format!("{name}: {trouble}"));
    }
    if pair.counts.conflicts > 0 || !pair.counts.parked.is_empty() {
        talk(format!("{name}: something waits for you: `bothways parked list`"));
    }
}
