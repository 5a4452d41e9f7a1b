//! `pause`: stops remote calls for everything, a connection, a mapping or a record (rule 64).

use crate::cli::{Pause, Scope};
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use bothways_store::PauseScope;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Pause, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let (scope, name) = find(&opened, &args.scope).await?;
    opened.operations.pause(scope.clone(), &args.reason, &person()).await?;
    if out.is_json() {
        out.json(&json!({ "paused": scope, "reason": args.reason }))?;
    } else {
        talk(format!("paused: {name}. Changes are still noted, and carried once it is resumed"));
    }
    Ok(Ended::Well)
}

/// The scope, and its name for people.
pub(super) async fn find(opened: &Opened, scope: &Scope) -> anyhow::Result<(PauseScope, String)> {
    Ok(match scope {
        Scope::All => (PauseScope::All, "everything".to_owned()),
        Scope::Connection { name } => {
            let name = opened.connection(name)?;
            let text = format!("connection {name}");
            (PauseScope::Connection(name), text)
        }
        Scope::Mapping { name } => {
            let pair = opened.operations.pair(Some(name))?;
            (PauseScope::Pair(pair.id), format!("mapping {name}"))
        }
        Scope::Record(record) => {
            let link = opened.live_link(record.mapping(), record.id()).await?;
            (PauseScope::Link(link.id), format!("record {}", record.id()))
        }
    })
}
