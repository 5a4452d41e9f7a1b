//! `revert`: puts back what sync wrote, as a user would, and lists what somebody changed since (rule 65).

use crate::cli::Revert;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, count, talk};
use crate::settings::Settings;
use bothways_engine::{RevertItem, RevertOutcome, RevertTarget, RevertTotals, show_value};
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Revert, out: Output) -> anyhow::Result<Ended> {
    let target = match (&args.pass, &args.record) {
        (Some(pass), _) => RevertTarget::Pass(pass.clone()),
        (None, record) => RevertTarget::Record {
            mapping: args.mapping.clone(),
            id: record.clone().unwrap_or_default(),
            entry: args.entry,
        },
    };
    let opened = Opened::open(settings).await?;
    let mut printed = Ok(());
    let done = opened
        .operations
        .revert(&target, args.dry_run, &person(), &mut |item| {
            if printed.is_ok() {
                printed = print(&item, args.dry_run, out);
            }
        })
        .await;
    printed?;
    let totals = done?;
    if out.is_json() {
        out.json_line(&json!({ "dry_run": args.dry_run, "totals": totals }))?;
    } else {
        sum_up(&totals, args.dry_run);
    }
    Ok(Ended::waiting_if(totals.differing + totals.refused > 0))
}

fn print(item: &RevertItem, dry_run: bool, out: Output) -> anyhow::Result<()> {
    if out.is_json() {
        return out.json_line(&json!({ "item": item }));
    }
    let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".into());
    let sides = format!("{} <-> {}", id(&item.local_id), id(&item.remote_id));
    let word = |outcome: RevertOutcome| match (outcome, dry_run) {
        (RevertOutcome::Reverted, false) => "put back",
        (RevertOutcome::Reverted, true) => "to put back",
        (RevertOutcome::Already, _) => "as before",
        (RevertOutcome::Differs, _) => "changed since",
        (RevertOutcome::Refused, _) => "refused",
    };
    if item.fields.is_empty() {
        return out.line(&format!("{:<14} {sides} (write {}): {}", word(item.outcome), item.entry, item.why));
    }
    for field in &item.fields {
        let why = if field.why.is_empty() { String::new() } else { format!("; {}", field.why) };
        out.line(&format!(
            "{:<14} {sides} (write {}) {}: now {}, before {}{why}",
            word(field.outcome),
            item.entry,
            field.label,
            show_value(field.now.as_ref()),
            show_value(field.to.as_ref()),
        ))?;
    }
    Ok(())
}

fn sum_up(totals: &RevertTotals, dry_run: bool) {
    talk(format!(
        "{} {}, {} as before already, {} changed since and left, {} refused",
        totals.reverted,
        if dry_run { "to put back" } else { "put back" },
        totals.already,
        totals.differing,
        totals.refused
    ));
    if totals.links > 0 {
        let made = count(totals.links, "link was made and stays", "links were made and stay");
        talk(format!("{made}; `bothways unlink` takes one apart"));
    }
    if totals.reverted > 0 && !dry_run {
        talk("the running engine, or `bothways sync`, carries it to the other side");
    }
}
