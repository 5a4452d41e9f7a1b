//! `explain`: everything about one record, and the line of the document that decides (rule 66).

use super::history::changes;
use crate::cli::Record;
use crate::opened::Opened;
use crate::output::{Ended, Output, moment, moment_of, talk};
use crate::settings::Settings;
use bothways_engine::decide::{Action, RecordAction};
use bothways_engine::{Explanation, show_value};
use bothways_store::Work;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(settings: &Settings, args: &Record, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    let found = opened.operations.explain(args.mapping(), args.id()).await?;
    if out.is_json() {
        out.json(&found)?;
        return Ok(Ended::Well);
    }
    for explanation in &found {
        print(explanation, out)?;
    }
    Ok(Ended::Well)
}

fn print(one: &Explanation, out: Output) -> anyhow::Result<()> {
    let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".into());
    out.line(&format!("mapping {} ({})", one.mapping, one.document))?;
    out.line(&format!("local {}, remote {}: {}", id(&one.local_id), id(&one.remote_id), one.remote))?;
    match &one.link {
        Some(link) => {
            let step = link.in_step_at.map_or_else(|| "never".into(), |at| format!("{} UTC", moment(at)));
            out.line(&format!("link {}, {}, last in step {step}", link.id, link.state.as_str()))?;
            if let Some(note) = &link.body.note {
                out.line(&format!("note: {note}"))?;
            }
        }
        None => out.line("no link")?,
    }
    if let Some(action) = &one.record {
        let line = one.record_line.as_ref().map(|line| format!(" ({line})")).unwrap_or_default();
        out.line(&format!("now: {}{line}", record_words(action)))?;
    }
    out.line("")?;
    let rows = one.fields.iter().map(|field| {
        let verdict = &field.verdict;
        [
            verdict.label.clone(),
            show_value(verdict.local.as_ref()),
            show_value(verdict.base.local.as_ref()),
            show_value(verdict.remote.as_ref()),
            show_value(verdict.base.remote.as_ref()),
            action_word(&verdict.action).to_owned(),
            format!("{} (rule {})", verdict.why, verdict.rule),
            field.line.clone(),
        ]
    });
    let header = ["field", "local", "local base", "remote", "remote base", "now", "why", "decided by"];
    out.table(header, rows.collect())?;
    for work in &one.work {
        talk(work_words(work));
    }
    section(out, "sent to the service, newest first")?;
    let rows = one.intents.iter().map(|intent| {
        [
            intent.number.to_string(),
            moment_of(&intent.at),
            moment_of(&intent.sent_at),
            intent.call.clone(),
            intent.fields.join(", "),
            intent.state.to_owned(),
            intent.outcome.clone().unwrap_or_default(),
        ]
    });
    out.table(["no", "committed (UTC)", "sent (UTC)", "call", "fields", "state", "outcome"], rows.collect())?;
    section(out, "told by the service, newest first")?;
    let rows = one.events.iter().map(|event| {
        let effect = if event.looked { "looked at" } else { "found to show nothing new" };
        [moment_of(&event.at), event.id.clone(), event.told.to_owned(), effect.to_owned()]
    });
    out.table(["taken in (UTC)", "event", "told", "so it was"], rows.collect())?;
    section(out, "written, newest first")?;
    let rows = one.history.iter().map(|write| {
        let (row, entry) = (&write.row, &write.row.entry);
        [
            row.id.to_string(),
            moment(row.at),
            format!("{} {}", entry.op.as_str(), entry.side.as_str()),
            changes(row),
            entry.why(),
            entry.rules.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
            lines(&write.lines),
        ]
    });
    out.table(["no", "at (UTC)", "what", "fields", "why", "rules", "decided by"], rows.collect())?;
    out.line("")
}

/// The lines that decided, each once.
fn lines(of_fields: &BTreeMap<String, String>) -> String {
    let all: BTreeSet<&str> = of_fields.values().map(String::as_str).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn section(out: Output, title: &str) -> anyhow::Result<()> {
    out.line(&format!("\n{title}:"))
}

/// What would happen to the records as wholes.
fn record_words(action: &RecordAction) -> String {
    match action {
        RecordAction::Merge => "both sides are there; the fields decide".into(),
        RecordAction::DeleteRemote => "the remote record would be deleted".into(),
        RecordAction::DeleteLocal => "the row would be deleted".into(),
        RecordAction::ArchiveLocal => "the row would be marked as deleted".into(),
        RecordAction::Recreate => "the remote record would be created again".into(),
        RecordAction::Close { state, why } => format!("the link would become {}: {why}", state.as_str()),
        RecordAction::AskDelete { why, .. } => format!("a person decides: {why}"),
        RecordAction::Missing => "the row is missing without evidence of a delete: a person decides".into(),
        RecordAction::Leave => "nothing: the row is archived and the remote record is left alone".into(),
    }
}

/// What would happen to a field.
pub(super) fn action_word(action: &Action) -> &'static str {
    match action {
        Action::None => "in step",
        Action::Agree => "same value on both sides",
        Action::Accept => "difference accepted",
        Action::Push => "local -> remote",
        Action::Pull => "remote -> local",
        Action::Set(_) => "a person's value to both",
        Action::Conflict { first_contact: true } => "differs at first contact",
        Action::Conflict { first_contact: false } => "conflict",
        Action::Unseen => "not seen",
        Action::Refuse => "may not travel",
        Action::Wait { .. } => "waits for what it refers to",
    }
}

fn work_words(work: &Work) -> String {
    match (&work.parked, &work.held, work.due) {
        (Some(parked), _, _) => {
            format!("parked as {} ({}): {}", work.id.0, parked.reason.as_str(), parked.message)
        }
        (None, Some(held), _) => format!("held: {held}"),
        (None, None, Some(due)) => {
            let error = work.last_error.as_deref().map(|e| format!("; last error: {e}")).unwrap_or_default();
            format!("due for a look at {} UTC, {} attempts so far{error}", moment(due), work.attempts)
        }
        (None, None, None) => "signalled".into(),
    }
}
