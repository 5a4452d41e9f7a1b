//! `history`: what was written, newest first, with before and after.

use crate::cli::History;
use crate::opened::Opened;
use crate::output::{Ended, Output, moment};
use crate::settings::Settings;
use anyhow::Context;
use bothways_engine::show_value;
use bothways_store::{HistoryFilter, HistoryOp, HistoryRow};

pub(super) async fn run(settings: &Settings, args: &History, out: Output) -> anyhow::Result<Ended> {
    let op = args
        .op
        .as_deref()
        .map(|word| {
            let words = HistoryOp::ALL.map(HistoryOp::as_str).join(", ");
            HistoryOp::parse(word).with_context(|| format!("--op {word}: expected one of {words}"))
        })
        .transpose()?;
    let opened = Opened::open(settings).await?;
    let pair = args.mapping.as_deref().map(|name| opened.operations.pair(Some(name))).transpose()?;
    let filter = HistoryFilter {
        pair: pair.map(|pair| pair.id),
        link: None,
        local_id: args.local.clone().map(Into::into),
        remote_id: args.remote.clone().map(Into::into),
        op,
        pass: args.pass.clone(),
    };
    let rows = opened.operations.history(&filter, args.before, args.limit).await?;
    if out.is_json() {
        out.json(&rows)?;
    } else {
        let rows = rows.iter().map(|row| {
            let entry = &row.entry;
            let id = |id: Option<&str>| id.unwrap_or("-").to_owned();
            [
                row.id.to_string(),
                moment(row.at),
                entry.op.as_str().to_owned(),
                entry.side.as_str().to_owned(),
                id(entry.local_id.as_ref().map(|id| id.as_str())),
                id(entry.remote_id.as_ref().map(|id| id.as_str())),
                changes(row),
                entry.why(),
            ]
        });
        out.table(["no", "at (UTC)", "what", "side", "local", "remote", "fields", "why"], rows.collect())?;
    }
    Ok(Ended::Well)
}

/// The fields of an entry, before and after.
pub(super) fn changes(row: &HistoryRow) -> String {
    let one = |(label, change): (&String, &bothways_store::FieldChange)| match &change.before {
        Some(before) => {
            format!("{label}: {} -> {}", show_value(Some(before)), show_value(change.after.as_ref()))
        }
        None => format!("{label}: {}", show_value(change.after.as_ref())),
    };
    row.entry.fields.iter().map(one).collect::<Vec<_>>().join(", ")
}
