//! `purge`: erases what is remembered of one person's record beyond its ids (`RULES.md` S28).

use crate::cli::Purge;
use crate::documents::check_folders;
use crate::opened::{Stored, connect, person, runnable};
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use anyhow::Context;
use bothways_engine::{Loaded, PairRuntime};
use bothways_model::{LocalId, RemoteId};
use bothways_store::{AuditEntry, Erased, Pair, StoreErrorKind};
use chrono::Utc;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Purge, out: Output) -> anyhow::Result<Ended> {
    let stored = Stored::open(settings).await?;
    let mut pairs = stored.store.pairs().await?;
    pairs.retain(|pair| args.mapping.as_ref().is_none_or(|name| pair.spec.mapping == *name));
    anyhow::ensure!(!pairs.is_empty(), "there is no such mapping in this database");
    let local = args.local.clone().map(LocalId);
    let loaded = if args.remote.is_some() { loaded(settings) } else { Vec::new() };
    let mut all = Erased::default();
    let mut refused = false;
    for pair in pairs {
        let remote = args.remote.as_ref().map(|id| as_kept(&loaded, &pair, id));
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
        // Where a connection cannot be used, nobody knows which other ids its service has for the record.
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

/// The mappings that run here. What is remembered goes whether or not any does, so nothing that is wrong with them matters.
fn loaded(settings: &Settings) -> Vec<Loaded> {
    let project = check_folders(&settings.mappings).ok().and_then(|checked| checked.project);
    let connections = project.as_ref().and_then(|project| connect(project).ok());
    project
        .zip(connections)
        .map(|(project, connections)| runnable(&project, &connections))
        .unwrap_or_default()
}

/// The id as it is kept: as the service answers with it, where a connector of the pair can say; else as it is given.
fn as_kept(loaded: &[Loaded], pair: &Pair, given: &str) -> RemoteId {
    let own = |one: &&Loaded| one.mapping.name == pair.spec.mapping && one.connection == pair.spec.connection;
    let bound = loaded.iter().find(own).and_then(|one| PairRuntime::bind(pair.clone(), one).ok());
    bound.map_or_else(|| RemoteId::from(given), |bound| bound.remote_id(given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Connections;
    use bothways_model::{Mode, PairId};
    use bothways_store::PairSpec;
    use std::path::Path;

    #[test]
    fn an_id_is_looked_for_as_the_service_writes_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappings");
        let project = check_folders(&[folder]).expect("the shipped documents").project.expect("are right");
        let variables = [
            ("SALESFORCE_INSTANCE_URL", "https://acme.my.salesforce.com"),
            ("SALESFORCE_CLIENT_ID", "id"),
            ("SALESFORCE_CLIENT_SECRET", "secret"),
        ];
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let loaded = runnable(&project, &Connections::open(&project, &lookup).expect("they open"));
        let pair = |mapping: &str, connection: &str| Pair {
            id: PairId(1),
            spec: PairSpec {
                catalog: "contacts".into(),
                connection: connection.into(),
                resource: "sobject?object=Contact".into(),
                mapping: mapping.into(),
            },
            account: None,
            mode: Mode::Unknown,
            approval: None,
            walked_at: None,
            passed_at: None,
            retired_at: None,
        };
        let kept = |mapping, connection, id| as_kept(&loaded, &pair(mapping, connection), id).0;
        assert_eq!(kept("salesforce-contacts", "salesforce", "AAAAAAAAAAAAAAA"), "AAAAAAAAAAAAAAA555");
        assert_eq!(kept("salesforce-contacts", "salesforce", "AAAAAAAAAAAAAAA555"), "AAAAAAAAAAAAAAA555");
        assert_eq!(
            kept("stripe-customers", "stripe", "cus_1"),
            "cus_1",
            "without its variables it is as given"
        );
        assert_eq!(kept("salesforce-contacts", "other", "AAAAAAAAAAAAAAA"), "AAAAAAAAAAAAAAA");
    }
}
