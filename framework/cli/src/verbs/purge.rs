//! `purge`: erases what is remembered of one person's record beyond its ids (`RULES.md` S28).

use crate::cli::Purge;
use crate::opened::{Stored, person};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use anyhow::Context;
use bothways_model::{LocalId, RemoteId};
use bothways_store::{AuditEntry, Erased, StoreErrorKind};
use chrono::Utc;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Purge, out: Output) -> anyhow::Result<Ended> {
    let stored = Stored::open(settings).await?;
    let mut pairs = stored.store.pairs().await?;
    pairs.retain(|pair| args.mapping.as_ref().is_none_or(|name| pair.spec.mapping == *name));
    anyhow::ensure!(!pairs.is_empty(), "there is no such mapping in this database");
    let (local, remote) = (args.local.clone().map(LocalId), args.remote.clone().map(RemoteId));
    let mut all = Erased::default();
    let mut refused = false;
    for pair in pairs {
        let one = match stored.store.erase(pair.id, local.as_ref(), remote.as_ref()).await {
            Ok(one) => one,
            Err(error) if error.kind == StoreErrorKind::Refused => {
                refused = true;
                talk(format!(
                    "{}: the record is still linked: delete it on both sides, or `bothways unlink` it, then purge it",
                    pair.spec.mapping
                ));
                continue;
            }
            Err(error) => return Err(error).context(pair.spec.mapping),
        };
        all.links += one.links;
        all.intents += one.intents;
        all.history += one.history;
        all.keys += one.keys;
        all.parked += one.parked;
        let entry = AuditEntry {
            at: Utc::now(),
            by: person(),
            action: "purge".into(),
            detail: json!({ "mapping": pair.spec.mapping, "local": local, "remote": remote, "erased": one }),
        };
        stored.store.audit(&entry).await?;
    }
    if all == Erased::default() && !refused {
        // Without connectors nobody knows which other ids a service has for the record.
        talk("nothing is remembered under this id; `bothways history` shows ids as they are kept");
    }
    if out.is_json() {
        out.json(&all)?;
    } else {
        talk(format!(
            "erased the values of {} closed links and {} lines of history; dropped {} finished writes, {} match keys, {} parked items",
            all.links, all.history, all.intents, all.keys, all.parked
        ));
    }
    Ok(Ended::waiting_if(refused))
}
