//! `unlink`: takes a link apart. Neither side is deleted, and nothing is linked again by itself.

use crate::cli::Record;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Record, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let link = opened.live_link(args.mapping(), args.id()).await?;
    opened.operations.unlink(link.id, &person()).await?;
    let id = |id: Option<&str>| id.unwrap_or("nothing").to_owned();
    let local = id(link.local_id.as_ref().map(|id| id.as_str()));
    let remote = id(link.remote_id.as_ref().map(|id| id.as_str()));
    if out.is_json() {
        out.json(&json!({ "link": link.id, "local": link.local_id, "remote": link.remote_id }))?;
    } else {
        talk(format!("unlinked: {local} and {remote}. `bothways link` makes it again"));
    }
    Ok(Ended::Well)
}
