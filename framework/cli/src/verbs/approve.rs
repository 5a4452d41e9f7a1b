//! `approve`: lets a mapping carry out what its plan says (rules 61, 62).

use crate::cli::OneMapping;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &OneMapping, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let pair = opened.operations.pair(args.mapping.as_deref())?;
    let name = pair.mapping.name.as_str();
    opened.operations.approve(Some(name), &person()).await?;
    if out.is_json() {
        out.json(&json!({ "mapping": name, "digest": pair.digest }))?;
    } else {
        talk(format!(
            "approved: {name}. A running engine takes it up by itself; `bothways sync` does it now"
        ));
    }
    Ok(Ended::Well)
}
