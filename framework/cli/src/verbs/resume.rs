//! `resume`: takes up again what was paused.

use super::pause;
use crate::cli::Resume;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Resume, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let (scope, name) = pause::find(&opened, &args.scope).await?;
    let was_paused = opened.operations.resume(&scope, &person()).await?;
    if out.is_json() {
        out.json(&json!({ "resumed": scope, "was_paused": was_paused }))?;
    } else if was_paused {
        talk(format!("resumed: {name}"));
    } else {
        talk(format!("{name} was not paused"));
    }
    Ok(Ended::waiting_if(!was_paused))
}
