//! `brakes`: shows what brakes withhold, record by record, and how to approve exactly that (rules 56 to 60, 63).

use crate::cli::Brakes;
use crate::opened::Opened;
use crate::output::{Ended, Output, moment_of, talk};
use crate::settings::Settings;
use bothways_engine::{BrakeRecord, BrakeStatus};
use serde_json::json;

/// Records read at once.
const PAGE: usize = 500;

pub(super) async fn run(settings: &Settings, args: &Brakes, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    match &args.brake {
        Some(id) => show(&opened, id, args.limit, out).await,
        None => list(&opened, out).await,
    }
}

async fn list(opened: &Opened, out: Output) -> anyhow::Result<Ended> {
    let brakes = opened.operations.brakes().await?;
    if out.is_json() {
        out.json(&brakes)?;
    } else {
        let rows = brakes.iter().map(|brake| {
            [
                brake.id.clone(),
                brake.mapping.clone(),
                what(brake),
                brake.withheld.to_string(),
                brake.approved.to_string(),
                moment_of(&brake.since),
                brake.why.clone(),
            ]
        });
        out.table(["id", "mapping", "brake", "withheld", "approved", "since (UTC)", "why"], rows.collect())?;
        match brakes.first() {
            None => talk("no brake is on"),
            Some(one) => talk(format!("see what one withholds: `bothways brakes {}`", one.id)),
        }
    }
    Ok(Ended::waiting_if(!brakes.is_empty()))
}

async fn show(opened: &Opened, id: &str, limit: usize, out: Output) -> anyhow::Result<Ended> {
    let brake = opened.operations.brake(id).await?;
    let records = records(opened, id, limit).await?;
    if out.is_json() {
        out.json(&json!({ "brake": brake, "records": records }))?;
        return Ok(Ended::Waiting);
    }
    talk(format!("{id} of {}, {}: {}", brake.mapping, what(&brake), brake.why));
    let left = brake.withheld.saturating_sub(records.len() as u64);
    let rows = records.into_iter().map(|record| {
        let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        [
            or(record.local_id),
            or(record.remote_id),
            record.what,
            record.approved_until.as_deref().map_or_else(|| "-".into(), moment_of),
        ]
    });
    out.table(["local", "remote", "what would be done", "approved until (UTC)"], rows.collect())?;
    if left > 0 {
        talk(format!("and {left} more (`--limit`)"));
    }
    match brake.set.as_deref().filter(|_| brake.open > 0) {
        Some(set) => talk(format!(
            "approve exactly these {}, for an hour: bothways approve {id} --set {set} --expires 1h",
            brake.open
        )),
        None => talk("all of it is approved and on its way"),
    }
    Ok(Ended::Waiting)
}

async fn records(opened: &Opened, id: &str, limit: usize) -> anyhow::Result<Vec<BrakeRecord>> {
    let mut all: Vec<BrakeRecord> = Vec::new();
    while all.len() < limit {
        let after = all.last().map(|record| record.key.clone());
        let page = opened.operations.brake_records(id, after.as_deref(), PAGE.min(limit - all.len())).await?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    Ok(all)
}

/// Its kind, and its part if it has one.
pub(super) fn what(brake: &BrakeStatus) -> String {
    if brake.part.is_empty() { brake.kind.clone() } else { format!("{} ({})", brake.kind, brake.part) }
}
