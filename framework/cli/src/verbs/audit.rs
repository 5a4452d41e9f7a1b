//! `audit`: what people did, newest first.

use crate::cli::Audit;
use crate::opened::Opened;
use crate::output::{Ended, Output, moment};
use crate::settings::Settings;

pub(super) async fn run(settings: &Settings, args: &Audit, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let entries = opened.operations.audits(args.limit).await?;
    if out.is_json() {
        out.json(&entries)?;
    } else {
        let rows = entries
            .into_iter()
            .map(|entry| [moment(entry.at), entry.by, entry.action, entry.detail.to_string()]);
        out.table(["at (UTC)", "who", "what", "on what"], rows.collect())?;
    }
    Ok(Ended::Well)
}
