//! `approve`: lets a mapping carry out what its plan says (rules 61, 62), or lets happen what a brake withholds (rule 63).

use crate::cli::Approve;
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, moment, talk};
use crate::settings::Settings;
use anyhow::{Context, bail};
use bothways_engine::EngineError;
use bothways_engine::stored::WithheldSet;
use serde_json::json;

pub(super) async fn run(settings: &Settings, args: &Approve, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    match args.what.as_deref().filter(|what| what.starts_with("brake-")) {
        Some(_) if args.digest.is_some() => {
            bail!("--digest is of a mapping's plan; a brake is approved by --set")
        }
        Some(brake) => lift(&opened, brake, args, out).await,
        None => {
            if args.set.is_some() || args.expires.is_some() || args.why.is_some() {
                bail!(
                    "--set, --expires and --why are about a brake: name it, such as brake-1 (`bothways brakes`)"
                );
            }
            plan(&opened, args, out).await
        }
    }
}

async fn plan(opened: &Opened, args: &Approve, out: Output) -> anyhow::Result<Ended> {
    let pair = opened.operations.pair(args.what.as_deref())?;
    let name = pair.mapping.name.as_str();
    match &args.digest {
        Some(digest) => opened.operations.approve_plan(Some(name), digest, &person()).await?,
        None => opened.operations.approve(Some(name), &person()).await?,
    }
    if out.is_json() {
        out.json(&json!({ "mapping": name, "digest": pair.digest }))?;
    } else {
        talk(format!(
            "approved: {name}. A running engine takes it up by itself; `bothways sync` does it now"
        ));
    }
    Ok(Ended::Well)
}

/// Approves exactly the set that is named, if the brake still withholds that.
async fn lift(opened: &Opened, id: &str, args: &Approve, out: Output) -> anyhow::Result<Ended> {
    let expires = match &args.expires {
        Some(text) => {
            let time = bothways_mapping::units::parse_duration(text);
            Some(time.map_err(|expected| anyhow::anyhow!("--expires {text}: expected {expected}"))?)
        }
        None => None,
    };
    let brake = opened.operations.brake(id).await?;
    let digest = brake.set.context("the brake names no set")?;
    let Some(named) = &args.set else {
        bail!(
            "name what you have seen: `bothways brakes {id}` shows it, with the --set that approves exactly that"
        );
    };
    if *named != digest {
        let why = format!("{id} withholds another set by now: look again (`bothways brakes {id}`)");
        return Err(EngineError::Refused(why).into());
    }
    let set = WithheldSet { count: brake.open, digest };
    let why = args.why.as_deref().unwrap_or_default();
    let until = opened.operations.approve_brake(id, &set, expires, why, &person()).await?;
    if out.is_json() {
        out.json(&json!({ "brake": id, "count": set.count, "set": set.digest, "until": until }))?;
    } else {
        talk(format!(
            "approved: {} of {id} ({}), until {} UTC. A running engine takes it up by itself; `bothways sync` does it now",
            set.count,
            brake.kind,
            moment(until)
        ));
    }
    Ok(Ended::Well)
}
