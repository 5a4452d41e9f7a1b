//! `parked resolve --all`: one decision about all conflicts of a mapping, once they were shown (rule 18).

use crate::cli::{KeepSide, Resolve};
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, talk};
use anyhow::bail;
use bothways_engine::ConflictSet;
use bothways_engine::stored::Side;
use serde_json::json;

pub(super) async fn run(opened: &Opened, args: &Resolve, out: Output) -> anyhow::Result<Ended> {
    let field = match args.fields.as_slice() {
        [] => None,
        [one] if !one.contains('=') => Some(one.as_str()),
        [one] => bail!("--field {one}: with --all it is the name of a field alone, and --keep says the side"),
        _ => bail!("--field: with --all one field or none; a decision about each field is one of its own"),
    };
    let mapping = args.mapping.as_deref();
    match (&args.digest, args.keep) {
        (Some(digest), Some(keep)) => decide(opened, mapping, field, keep, digest, out).await,
        (Some(_), None) => bail!("say whose values to keep: --keep local or --keep remote"),
        (None, keep) => show(&opened.operations.conflicts(mapping, field).await?, field, keep, out),
    }
}

fn show(
    set: &ConflictSet,
    field: Option<&str>,
    keep: Option<KeepSide>,
    out: Output,
) -> anyhow::Result<Ended> {
    if out.is_json() {
        out.json(set)?;
        return Ok(Ended::waiting_if(set.count > 0));
    }
    let ConflictSet { mapping, count, digest, .. } = set;
    if *count == 0 {
        talk(format!("no conflict of {mapping} waits for a decision"));
        return Ok(Ended::Well);
    }
    let rows = set.fields.iter().map(|(label, records)| [label.clone(), records.to_string()]);
    out.table(["field", "records in conflict"], rows.collect())?;
    if set.more {
        talk("there are more records: these are the first, and the next decision names others");
    }
    let side = match keep {
        Some(KeepSide::Local) => "local",
        Some(KeepSide::Remote) => "remote",
        None => "local|remote",
    };
    let field = field.map(|field| format!(" --field {field}")).unwrap_or_default();
    talk(format!(
        "decide exactly these {count} records: bothways parked resolve --all --mapping {mapping}{field} --keep {side} --digest {digest}"
    ));
    Ok(Ended::Waiting)
}

async fn decide(
    opened: &Opened,
    mapping: Option<&str>,
    field: Option<&str>,
    keep: KeepSide,
    digest: &str,
    out: Output,
) -> anyhow::Result<Ended> {
    let side = if keep == KeepSide::Local { Side::Local } else { Side::Remote };
    let done = opened.operations.resolve_all(mapping, field, side, digest, &person()).await?;
    if out.is_json() {
        out.json(&json!({ "digest": digest, "decided": done.decided, "left_out": done.left_out }))?;
    } else {
        talk(format!(
            "decided: {} records; the running engine, or `bothways sync`, carries it out",
            done.decided
        ));
        if done.left_out > 0 {
            talk(format!(
                "left out: {} records, since a value moved meanwhile or they are being worked on: look again",
                done.left_out
            ));
        }
    }
    Ok(Ended::waiting_if(done.left_out > 0))
}
